/* chat.c: a chat room by WebSocket, and its page: build/examples/chat 127.0.0.1:8080 examples/chat
 * Open it in two windows, and talk. A window that is open and silent holds no task here. */
#include <coir/coir.h>
#include <coir/ws.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static coir_ws_room room; /* what is said there is made and encoded once */

static int announce(const char *name, const char *text, bool event)
{
    json_t *json = json_pack("{ss ss sb}", "name", name, "text", text, "event", event);
    char *line = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (line == NULL)
        return 0; /* without a name, or no text: nobody hears it */
    int r = coir_ws_broadcast(&room, COIR_TEXT, (coir_bytes){line, strlen(line)}, NULL);
    free(line);
    return r < 0 ? r : 0;
}

static int come(coir_http_request *request, coir_ws *ws)
{
    const char *name = coir_http_request_query(request, "name");
    if (name == NULL || strlen(name) < 1 || strlen(name) > 40)
        return coir_ws_shutdown(ws, COIR_WS_POLICY, "a name of 1 to 40 bytes, please");
    COIR_TRY(coir_ws_join(ws, &room));
    COIR_TRY(announce(name, "has come", true));
    coir_ws_set_data(ws, strdup(name));
    return 0;
}

static int say(coir_ws *ws, const coir_ws_message *message)
{
    return announce(coir_ws_data(ws), message->data.data, false);
}

static void leave(coir_ws *ws)
{
    coir_ws_leave(ws, &room);
    (void)announce(coir_ws_data(ws), "has left", true); /* with no name: nothing */
    free(coir_ws_data(ws));
}

static int app(void *arg)
{
    static const coir_ws_handlers handlers = {come, say, leave, {0}};
    const char *address = ((char **)arg)[1], *directory = ((char **)arg)[2];
    COIR_AUTO(coir_http_app) *chat = NULL;
    COIR_TRY(coir_http_app_open(NULL, &chat));
    coir_http_app_static(chat, "/", directory);
    coir_http_app_websocket_handlers(chat, "/talk", &handlers, NULL);
    return coir_http_app_serve(chat, address);
}

int main(int argc, char **argv)
{
    return argc == 3 ? coir_main(app, argv) : 2;
}
