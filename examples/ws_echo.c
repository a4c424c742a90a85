/* ws_echo.c: a WebSocket: ws_echo URL sends what it reads from a server that echoes. Without one it
 * asks a server of its own.
 *
 * The handler has a task of its own for each socket, so it is a loop. A client connects by way of a
 * session, with its TLS, cookies and headers.
 */
#include <coir/coir.h>
#include <coir/http_testing.h>
#include <coir/ws.h>
#include <stdio.h>

static int echo(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    coir_ws_message message;
    int r;
    while ((r = coir_ws_receive(ws, &message)) > 0)
        COIR_TRY(coir_ws_send(ws, message.kind, message.data));
    return r;
}

static int talk(coir_http_session *http, const char *url)
{
    COIR_DEADLINE(COIR_SEC(30));
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_ws_connect(http, url, NULL, &ws));
    for (int i = 1; i <= 3; i++) {
        coir_ws_message message;
        COIR_TRY(coir_ws_send_text(ws, "message %d", i));
        if (COIR_TRY(coir_ws_receive(ws, &message)) == 0)
            break;
        printf("%s\n", (const char *)message.data.data);
    }
    COIR_TRY(coir_ws_shutdown(ws, COIR_WS_NORMAL, "that was all"));
    coir_ws_message rest;
    while (COIR_TRY(coir_ws_receive(ws, &rest)) > 0)
        ;
    printf("closed: %d\n", coir_ws_close_code(ws));
    return 0;
}

static int app(void *url)
{
    if (url != NULL) {
        COIR_AUTO(coir_http_session) *http = NULL;
        COIR_TRY(coir_http_session_open(NULL, &http));
        return talk(http, url);
    }
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL; /* serves in memory */
    COIR_TRY(coir_http_app_open(NULL, &app));
    coir_http_app_websocket(app, "/echo", echo);
    COIR_TRY(coir_http_test_open(app, NULL, &test));
    return talk(coir_http_test_session(test), "ws://localhost/echo");
}

int main(int argc, char **argv)
{
    return coir_main(app, argc > 1 ? argv[1] : NULL);
}
