/* http_middleware.c: what stands around handlers: each middleware goes on, or answers itself.
 * Those of an application hold for what is mounted in it too; those of the mounted one only there.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <stdio.h>
#include <string.h>

static int timed(coir_http_request *request, void *label)
{
    coir_time start = coir_now();
    int r = coir_http_next(request), ms = (int)((coir_now() - start) / COIR_MS(1));
    printf("%s %s took %d ms: ", (char *)label, coir_http_request_target(request), ms);
    return r;
}

static int with_key(coir_http_request *request, void *key)
{
    const char *shown = coir_http_request_header(request, "X-Key");
    bool right = shown != NULL && strcmp(shown, key) == 0;
    return right ? coir_http_next(request) : coir_http_fail(request, 403, "this takes a key");
}

static int slow(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_MS(20)));
    return coir_http_reply(request, 204, NULL, NULL, 0);
}

static int ask(coir_http_app *app, const char *request)
{
    char status[12];
    COIR_AUTO(coir_stream) *client = NULL;
    coir_stream *server;
    COIR_TRY(coir_stream_pair(0, &client, &server));
    COIR_TRY(coir_stream_write(client, request, strlen(request)));
    COIR_TRY(coir_http_app_serve_stream(app, server));
    COIR_TRY(coir_stream_read_exactly(client, status, sizeof status)); /* HTTP/1.1 200 */
    printf("%.3s\n", status + 9);
    return 0;
}

static int app(void *key)
{
    coir_http_app *admin;
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(NULL, &app));
    COIR_TRY(coir_http_app_open(NULL, &admin));
    coir_http_app_mount(app, "/admin", admin); /* which closes it too */
    coir_http_app_use(app, timed, "GET");
    coir_http_app_use(admin, with_key, key);
    coir_http_app_get(admin, "/slow", slow); /* /admin/slow */
    COIR_TRY(ask(app, "GET /admin/slow HTTP/1.0\r\n\r\n"));
    return ask(app, "GET /admin/slow HTTP/1.0\r\nX-Key: secret\r\n\r\n");
}

int main(void)
{
    return coir_main(app, "secret");
}
