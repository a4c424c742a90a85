/* ws_room.c: everybody in a room hears everybody: sockets with handlers, which hold no task and no
 * buffer while nobody speaks. A broadcast encodes a message once and waits for nobody: who does not
 * keep up is cut off. A socket leaves its room when it is closed.
 */
#include <coir/coir.h>
#include <coir/http_testing.h>
#include <coir/ws.h>
#include <stdio.h>

static coir_ws_room room;

static int enter(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    return coir_ws_join(ws, &room);
}

static int say(coir_ws *ws, const coir_ws_message *message)
{
    int heard = COIR_TRY(coir_ws_broadcast(&room, message->kind, message->data, ws));
    return coir_ws_send_text(ws, "(%d heard it)", heard);
}

static int show(const char *who, coir_ws *ws)
{
    coir_ws_message message;
    if (COIR_TRY(coir_ws_receive(ws, &message)) > 0)
        printf("%s: %s\n", who, (const char *)message.data.data);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    static const coir_ws_handlers handlers = {.on_open = enter, .on_message = say};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL; /* serves in memory */
    COIR_TRY(coir_http_app_open(NULL, &app));
    coir_http_app_websocket_handlers(app, "/room", &handlers, NULL);
    COIR_TRY(coir_http_test_open(app, NULL, &test));
    coir_http_session *http = coir_http_test_session(test);

    COIR_AUTO(coir_ws) *anna = NULL, *berta = NULL;
    COIR_TRY(coir_ws_connect(http, "/room", NULL, &anna));
    COIR_TRY(coir_ws_connect(http, "/room", NULL, &berta));
    COIR_TRY(coir_ws_send_text(anna, "good morning"));
    COIR_TRY(show("anna", anna));
    COIR_TRY(show("berta", berta));
    coir_ws_close(COIR_TAKE(anna));
    COIR_TRY(coir_sleep(COIR_MS(10)));
    COIR_TRY(coir_ws_send_text(berta, "is anybody there?"));
    return show("berta", berta);
}

int main(void)
{
    return coir_main(app, NULL);
}
