//go:build gorilla

// WebSocket by gorilla: an echo server at /ws, and a room at /ws_room, where each message is made once and goes to all.
package main

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func echoMessages(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		kind, data, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, data) != nil {
			return
		}
	}
}

var (
	roomLock sync.Mutex
	room     = map[*websocket.Conn]bool{}
)

func say(kind int, data []byte) {
	message, err := websocket.NewPreparedMessage(kind, data)
	if err != nil {
		return
	}
	roomLock.Lock()
	defer roomLock.Unlock()
	for c := range room {
		c.WritePreparedMessage(message)
	}
}

func joinRoom(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	roomLock.Lock()
	room[c] = true
	roomLock.Unlock()
	for {
		kind, data, err := c.ReadMessage()
		if err != nil {
			break
		}
		say(kind, data)
	}
	roomLock.Lock()
	delete(room, c)
	roomLock.Unlock()
	c.Close()
}

func init() {
	http.HandleFunc("/ws", echoMessages)
	http.HandleFunc("/ws_room", joinRoom)
}
