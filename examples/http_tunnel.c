/* http_tunnel.c: a proxy for other protocols: CONNECT asks for a connection to somewhere, and bytes
 * go both ways. Only one place is allowed here. */
#include <coir/coir.h>
#include <coir/http_testing.h>
#include <stdio.h>
#include <string.h>

struct direction {
    coir_stream *from, *to;
};

static int forward(void *arg)
{
    const struct direction *direction = arg;
    COIR_TRY(coir_stream_splice(direction->from, direction->to, COIR_STREAM_REST, NULL));
    return coir_stream_shutdown(direction->to); /* the end is passed on too */
}

static int tunnel(coir_http_request *request)
{
    const char *target = coir_http_request_target(request);
    if (strcmp(target, coir_http_request_state(request)) != 0)
        return coir_http_fail(request, 403, "not to %s", target);
    COIR_AUTO(coir_stream) *server = NULL;
    coir_stream *client;
    COIR_TRY(coir_tcp_connect(target, NULL, &server));
    COIR_TRY(coir_http_reply_tunnel(request, &client));
    struct direction directions[] = {{client, server}, {server, client}};
    return coir_map(forward, directions, 2, sizeof directions[0], NULL);
}

static int app(void *arg)
{
    (void)arg;
    char target[COIR_ADDRESS_TEXT], text[200];
    COIR_AUTO(coir_listener) *far = NULL;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_stream) *served = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &far));
    COIR_TRY(coir_listener_address(far, target, sizeof target));
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.state = target, .no_date = true}, &app));
    coir_http_app_route(app, "CONNECT", "*", tunnel);
    COIR_TRY(coir_http_test_open(app, NULL, &test));
    COIR_TRY(coir_http_test_connect(test, &client));
    (void)snprintf(text, sizeof text, "CONNECT %s HTTP/1.1\r\nHost: a\r\n\r\nhello\n", target);
    COIR_TRY(coir_stream_write(client, text, strlen(text)));
    COIR_TRY(coir_stream_shutdown(client));
    COIR_TRY(coir_listener_accept(far, &served));
    COIR_TRY(coir_stream_splice(served, served, COIR_STREAM_REST, NULL)); /* an echo */
    COIR_TRY(coir_stream_read_exactly(client, text, 25));
    printf("%.15s\n%.6s", text, text + 19);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
