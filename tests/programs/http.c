/* http.c: a server for tests/shell/http.sh to try with clients and proxies of others.
 *
 *     http [CERTIFICATE KEY]     says PORT n, and serves until it is ended
 *
 * It speaks the locale of its environment, and with ACCESS_LOG there it writes its log to standard
 * error.
 * /hello, /echo (the body comes back), /slow (a second), /pieces (bit by bit), /form (its values),
 * /cookie (the one that it set), /events (three), /ticks and /next (one after the other), /files/
 * (what is in the directory where it was started).
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/tls.h>

static char **arguments;

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello, %s\n", coir_http_request_method(request));
}

static int echo(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply(request, 200, "application/octet-stream", body.data, body.length);
}

static int slow(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    return coir_http_reply_text(request, 200, "at last\n");
}

static int pieces(coir_http_request *request)
{
    COIR_TRY(coir_http_reply_begin(request, 200, "text/plain"));
    for (int i = 0; i < 5; i++) {
        char line[16];
        int length = snprintf(line, sizeof line, "piece %d\n", i);
        COIR_TRY(coir_http_reply_write(request, line, (size_t)length));
        COIR_TRY(coir_sleep(COIR_MS(5)));
    }
    return 0;
}

static int form(coir_http_request *request)
{
    const char *name = "", *text = "";
    COIR_TRY(coir_http_request_form(request, "name", &name));
    COIR_TRY(coir_http_request_form(request, "text", &text));
    return coir_http_reply_text(request, 200, "%s says: %s\n", name, text);
}

static int cookie(coir_http_request *request)
{
    const char *value = coir_http_request_cookie(request, "seen");
    COIR_TRY(coir_http_reply_cookie(request, "seen", "yes", NULL));
    return coir_http_reply_text(request, 200, "%s\n", value != NULL ? value : "no");
}

static int events(coir_http_request *request)
{
    for (int i = 1; i <= 3; i++) {
        char id[12];
        (void)snprintf(id, sizeof id, "%d", i);
        COIR_TRY(coir_http_reply_event(request, "tick", id, "first line\nsecond line"));
        COIR_TRY(coir_sleep(COIR_MS(5)));
    }
    return 0;
}

static coir_event next;

static int ticks(coir_http_request *request)
{
    for (int i = 1; i <= 3; i++) {
        char text[12];
        (void)snprintf(text, sizeof text, "%d", i);
        COIR_TRY(coir_http_reply_event(request, NULL, NULL, text));
        COIR_TRY(coir_event_wait(&next));
        COIR_TRY(coir_event_clear(&next));
    }
    return 0;
}

static int go_on(coir_http_request *request)
{
    COIR_TRY(coir_event_set(&next));
    return coir_http_reply(request, 204, NULL, NULL, 0);
}

static void print(const char *line, void *arg)
{
    (void)arg;
    (void)fprintf(stderr, "%s\n", line);
}

static int serve(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_tls_context) *tls = NULL;
    coir_tls_opts certificate = {.alpn = "http/1.1"};
    if (arguments[1] != NULL) {
        certificate.certificate_file = arguments[1];
        certificate.key_file = arguments[2];
        COIR_TRY(coir_tls_context_open(COIR_TLS_SERVER, &certificate, &tls));
    }
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(
        &(coir_http_app_opts){.tls = tls, .log = getenv("ACCESS_LOG") != NULL ? print : NULL},
        &app));
    coir_http_app_get(app, "/hello", hello);
    coir_http_app_route(app, NULL, "/echo", echo);
    coir_http_app_get(app, "/slow", slow);
    coir_http_app_get(app, "/pieces", pieces);
    coir_http_app_post(app, "/form", form);
    coir_http_app_get(app, "/cookie", cookie);
    coir_http_app_get(app, "/events", events);
    coir_http_app_get(app, "/ticks", ticks);
    coir_http_app_get(app, "/next", go_on);
    coir_http_app_static(app, "/files", ".");
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    printf("PORT %s\n", strrchr(address, ':') + 1);
    (void)fflush(stdout);
    return coir_http_app_serve_listener(app, listener);
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = argv;
    (void)setlocale(LC_ALL, "");
    return coir_main(serve, NULL);
}
