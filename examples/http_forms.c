/* http_forms.c: a form, a cookie, JSON: what comes with a request, and what goes back.
 * A handler that returns the failure of reading a body is a 400 or a 413 by itself.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static int choose(coir_http_request *request)
{
    const char *theme = NULL;
    COIR_TRY(coir_http_request_form(request, "theme", &theme));
    if (theme == NULL || (strcmp(theme, "dark") != 0 && strcmp(theme, "light") != 0))
        return coir_http_fail(request, 422, "dark or light?");
    COIR_TRY(coir_http_reply_cookie(request, "theme", theme, NULL));
    return coir_http_redirect(request, 303, "/");
}

static int repeat(coir_http_request *request)
{
    json_t *said;
    COIR_TRY(coir_http_request_json(request, &said));
    return coir_http_reply_json(request, 200, json_pack("{so}", "you said", said));
}

static int ask(coir_http_app *app, const char *head, const char *body)
{
    char request[512];
    int length = snprintf(request, sizeof request, "%s\r\nHost: h\r\nContent-Length: %zu\r\n\r\n%s",
                          head, strlen(body), body);
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *server;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_TRY(coir_stream_write(client, request, (size_t)length));
    COIR_TRY(coir_stream_shutdown(client));
    COIR_TRY(coir_http_app_serve_stream(app, server));
    coir_bytes reply;
    COIR_TRY(coir_stream_peek(client, 1, &reply)); /* it is all there */
    printf("%.*s\n", (int)reply.length, (const char *)reply.data);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.no_date = true}, &app));
    coir_http_app_post(app, "/theme", choose);
    coir_http_app_post(app, "/repeat", repeat);
    COIR_TRY(ask(app, "POST /theme HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded",
                 "theme=dark"));
    COIR_TRY(ask(app, "POST /repeat HTTP/1.1", "[1, 2, 39]"));
    return ask(app, "POST /repeat HTTP/1.1", "[1, 2");
}

int main(void)
{
    return coir_main(app, NULL);
}
