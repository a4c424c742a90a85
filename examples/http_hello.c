/* http_hello.c: a server of two routes. Called with an address, 127.0.0.1:8080, it serves there;
 * without one it asks itself, over a connection in memory.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <stdio.h>
#include <string.h>

static int home(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "try /hello/world?times=2\n");
}

static int hello(coir_http_request *request)
{
    const char *times = coir_http_request_query(request, "times");
    return coir_http_reply_text(request, 200, "hello, %s%s\n",
                                coir_http_request_param(request, "name"),
                                times != NULL && strcmp(times, "2") == 0 ? ", and again" : "");
}

static int ask(coir_http_app *app, const char *request)
{
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *server;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_TRY(coir_stream_write(client, request, strlen(request)));
    COIR_TRY(coir_stream_shutdown(client));
    COIR_TRY(coir_http_app_serve_stream(app, server)); /* until there are no more requests */
    coir_bytes line;
    while (COIR_TRY(coir_stream_read_line(client, 0, &line)) > 0)
        printf("%.*s\n", (int)line.length, (const char *)line.data);
    return 0;
}

static int app(void *address)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.no_date = address == NULL}, &app));
    coir_http_app_get(app, "/", home);
    coir_http_app_get(app, "/hello/{name}", hello);
    if (address != NULL)
        return coir_http_app_serve(app, address);
    return ask(app, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "GET /hello/w%C3%B6rld?times=2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    "DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

int main(int argc, char **argv)
{
    return coir_main(app, argc > 1 ? argv[1] : NULL);
}
