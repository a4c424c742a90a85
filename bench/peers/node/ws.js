// Peer: Node with ws. usage: ws.js http. An echo server at /ws, and a room at /ws_room, where each message goes to all.
"use strict";
if (process.argv[2] !== "http") process.exit(2);
const { createServer } = require("http");
const { WebSocketServer } = require("ws");

const echo = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const room = new WebSocketServer({ noServer: true, perMessageDeflate: false });
echo.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
room.on("connection", (socket) => {
  socket.on("message", (data, binary) => room.clients.forEach((each) => each.send(data, { binary })));
});

const server = createServer((request, response) => { response.writeHead(404, { "Content-Length": 0 }); response.end(); });
server.on("upgrade", (request, stream, head) => {
  stream.setNoDelay(true);
  const sockets = request.url === "/ws" ? echo : room;
  sockets.handleUpgrade(request, stream, head, (socket) => sockets.emit("connection", socket, request));
});
server.listen(0, "127.0.0.1", 4096, () => console.log(`PORT ${server.address().port}`));
