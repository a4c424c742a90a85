/* http_get.c: a page by HTTP or HTTPS: http_get URL. Without one it asks a server of its own.
 *
 * The session belongs to the whole program: it keeps connections, and checks certificates.
 */
#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/http_session.h>
#include <stdio.h>

static int page(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello from %s\n", coir_http_request_path(request));
}

static int serve(void *listener)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(NULL, &app));
    coir_http_app_get(app, "/{path...}", page);
    return coir_http_app_serve_listener(app, listener);
}

static int get(const char *url)
{
    COIR_DEADLINE(COIR_SEC(30));
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_TRY(coir_http_session_open(NULL, &http));
    COIR_AUTO(coir_http_response) *response = NULL;
    COIR_TRY(coir_http_get(http, url, NULL, &response));
    coir_bytes body;
    COIR_TRY(coir_http_response_read(response, &body));
    printf("%d, %zu bytes: %.100s", coir_http_response_status(response), body.length,
           (const char *)body.data);
    return 0;
}

static int app(void *url)
{
    if (url != NULL)
        return get(url);
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT], own[COIR_ADDRESS_TEXT + 16];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    (void)snprintf(own, sizeof own, "http://%s/tea", address);
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    return get(own);
}

int main(int argc, char **argv)
{
    return coir_main(app, argc > 1 ? argv[1] : NULL);
}
