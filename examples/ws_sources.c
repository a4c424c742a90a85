/* ws_sources.c: a WebSocket with two sources of events: what its client says, and news from a
 * broadcast that all sockets share. Whichever ends first ends the other, which is joined before the
 * subscription is closed; both may send, since messages never mix.
 */
#include <coir/coir.h>
#include <coir/http_testing.h>
#include <coir/ws.h>
#include <stdio.h>

static int forward(void *arg)
{
    coir_ws *ws = arg;
    int celsius, r;
    while ((r = coir_subscription_receive(coir_ws_data(ws), &celsius)) > 0)
        COIR_TRY(coir_ws_send_text(ws, "News: %d degrees", celsius));
    return r < 0 ? r : coir_ws_shutdown(ws, COIR_WS_GOING_AWAY, "no more news");
}

static int handle(coir_http_request *request, coir_ws *ws)
{
    COIR_AUTO(coir_subscription) *news = NULL;
    COIR_TRY(coir_broadcast_subscribe(coir_http_request_state(request), &news));
    coir_ws_set_data(ws, news);
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, forward, ws, NULL));
    coir_ws_message message;
    int r;
    while ((r = coir_ws_receive(ws, &message)) > 0)
        COIR_TRY(coir_ws_send_text(ws, "Echo: %s", (const char *)message.data.data));
    return coir_group_finish(&group, r);
}

static int app(void *arg)
{
    (void)arg;
    coir_broadcast *news;
    COIR_TRY(coir_broadcast_open(int, 16, NULL, &news));
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL; /* serves in memory */
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.state = news}, &app));
    coir_http_app_websocket(app, "/ws", handle);
    COIR_TRY(coir_http_test_open(app, NULL, &test));
    COIR_TRY(coir_ws_connect(coir_http_test_session(test), "/ws", NULL, &ws));
    COIR_TRY(coir_ws_send_text(ws, "hello"));
    coir_ws_message message;
    for (int i = 0; COIR_TRY(coir_ws_receive(ws, &message)) > 0; i++) {
        printf("%s\n", (const char *)message.data.data);
        COIR_TRY(i < 2 ? coir_broadcast_send(news, &(int){20 + i}) : 0);
        if (i == 2)
            coir_broadcast_close(news);
    }
    return printf("%s\n", coir_ws_close_reason(ws)) < 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
