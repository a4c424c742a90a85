/* http_drain.c: SIGTERM: no new connections, and what is being answered may end in the grace.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <stdio.h>
#include <string.h>

static int slow(coir_http_request *request)
{
    printf("a request of 3 s has begun; sending SIGTERM to myself\n");
    raise(SIGTERM);
    COIR_TRY(coir_sleep(COIR_SEC(3)));
    printf("it is answered\n");
    return coir_http_reply_text(request, 200, "all of it\n");
}

static int deaf(coir_http_request *request)
{
    (void)request;
    int r = coir_sleep(COIR_SEC(60)); /* the grace ends before that */
    printf("a request of 60 s: %s\n", coir_error_name(r));
    return r;
}

static int say(const char *address, const char *request, coir_stream **ret_stream)
{
    COIR_TRY(coir_tcp_connect(address, NULL, ret_stream));
    return coir_stream_write(*ret_stream, request, strlen(request));
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.grace = COIR_SEC(5)}, &app));
    coir_http_app_get(app, "/slow", slow);
    coir_http_app_get(app, "/deaf", deaf);
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    COIR_AUTO(coir_stream) *one = NULL;
    COIR_AUTO(coir_stream) *other = NULL;
    COIR_TRY(say(address, "GET /deaf HTTP/1.0\r\n\r\n", &one));
    COIR_TRY(say(address, "GET /slow HTTP/1.0\r\n\r\n", &other));
    coir_time start = coir_now();
    int r = coir_http_app_serve_listener(app, listener);
    printf("the server has ended after %d s\n", (int)((coir_now() - start) / COIR_SEC(1)));
    return r;
}

int main(void)
{
    int code = coir_main(app, NULL);
    printf("exit code %d\n", code);
    return code;
}
