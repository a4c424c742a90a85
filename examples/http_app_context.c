/* http_app_context.c: what starts and stops with an application: a listener that runs beside it.
 * A context is started before the first request and stopped after the last one; a service is a task
 * between the two. Handlers find what they share in the application's state.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <stdio.h>

struct state {
    int messages;
    coir_listener *listener;
};

static int open_subscription(void *arg)
{
    return printf("subscribed, %d messages so far\n", ((struct state *)arg)->messages);
}

static void close_subscription(void *arg)
{
    printf("unsubscribed after %d messages\n", ((struct state *)arg)->messages);
}

static int receive(void *arg) /* a message a second, until it is cancelled */
{
    for (struct state *state = arg;; state->messages++)
        COIR_TRY(coir_sleep(COIR_SEC(1)));
}

static int count(coir_http_request *request)
{
    struct state *state = coir_http_request_state(request);
    COIR_TRY(coir_sleep(COIR_SEC(2.5)));
    coir_listener_close(COIR_TAKE(state->listener)); /* the server ends when this is answered */
    printf("answering\n");
    return coir_http_reply_text(request, 200, "%d messages\n", state->messages);
}

static int app(void *arg)
{
    (void)arg;
    struct state state = {0};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.state = &state}, &app));
    coir_http_app_get(app, "/", count);
    coir_http_app_context(app, open_subscription, close_subscription, &state);
    coir_http_app_service(app, receive, &state);
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &state.listener));
    COIR_TRY(coir_listener_address(state.listener, address, sizeof address));
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_TRY(coir_tcp_connect(address, NULL, &client));
    COIR_TRY(coir_stream_write(client, "GET / HTTP/1.0\r\n\r\n", 18));
    return coir_http_app_serve_listener(app, state.listener);
}

int main(void)
{
    return coir_main(app, NULL);
}
