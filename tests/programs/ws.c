/* ws.c: both ends of a WebSocket for tests/shell/ws.sh and ws_suite.sh to try with those of others.
 *
 *     ws serve [CERTIFICATE KEY]        says PORT n, and echoes until it is ended: /echo in a task,
 *                                       /handlers without, /context packing with context, /plain
 *                                       not at all
 *     ws ask URL [plain|context] [ROOT] asks a server that echoes, and says what is wrong
 *     ws suite URL [plain|context]      is the client of a suite of tests: cases, reports
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/tls.h>
#include <coir/ws.h>

static char **arguments;

static int echo(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    int r;
    (void)request;
    while ((r = coir_ws_receive(ws, &message)) > 0)
        COIR_TRY(coir_ws_send(ws, message.kind, message.data));
    return r;
}

static int give_back(coir_ws *ws, const coir_ws_message *message)
{
    return coir_ws_send(ws, message->kind, message->data);
}

static int serve(void *arg)
{
    (void)arg;
    static const coir_ws_handlers handlers = {.on_message = give_back};
    const coir_ws_opts large = {.message_limit = 32 << 20, .deflate_from = 1};
    coir_ws_opts context = large, plain = large;
    context.deflate = COIR_WS_DEFLATE_CONTEXT;
    plain.deflate = COIR_WS_DEFLATE_OFF;
    COIR_AUTO(coir_tls_context) *tls = NULL;
    if (arguments[0] != NULL) {
        const coir_tls_opts opts = {.certificate_file = arguments[0], .key_file = arguments[1]};
        COIR_TRY(coir_tls_context_open(COIR_TLS_SERVER, &opts, &tls));
    }
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.tls = tls, .requests = SIZE_MAX}, &app));
    coir_http_app_websocket_with(app, "/echo", echo, &large);
    coir_http_app_websocket_with(app, "/", echo, &large);
    coir_http_app_websocket_handlers(app, "/handlers", &handlers, &large);
    coir_http_app_websocket_with(app, "/context", echo, &context);
    coir_http_app_websocket_with(app, "/plain", echo, &plain);
    COIR_AUTO(coir_listener) *listener = NULL;
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    printf("PORT %s\n", strrchr(address, ':') + 1);
    fflush(stdout);
    return coir_http_app_serve_listener(app, listener);
}

/* What a client is asked to be: plain, context, or by default neither. */
static coir_ws_opts opts_of(const char *how)
{
    coir_ws_opts opts = {.message_limit = 32 << 20, .deflate_from = 1};
    if (how != NULL && strcmp(how, "plain") == 0)
        opts.deflate = COIR_WS_DEFLATE_OFF;
    if (how != NULL && strcmp(how, "context") == 0)
        opts.deflate = COIR_WS_DEFLATE_CONTEXT;
    return opts;
}

static int ask_for(coir_ws *ws, coir_ws_kind kind, const char *data, size_t length)
{
    coir_ws_message message;
    COIR_TRY(coir_ws_send(ws, kind, (coir_bytes){data, length}));
    if (COIR_TRY(coir_ws_receive(ws, &message)) == 0)
        return coir_fail(-EPROTO, "closed by %d", coir_ws_close_code(ws));
    if (message.kind != kind || message.data.length != length ||
        memcmp(message.data.data, data, length) != 0)
        return coir_fail(-EPROTO, "%zu bytes do not come back", length);
    return 0;
}

static int ask(void *arg)
{
    (void)arg;
    static const size_t lengths[] = {0, 1, 125, 126, 1023, 1024, 65535, 65536, 1000000};
    const coir_ws_opts opts = opts_of(arguments[1]);
    COIR_AUTO(coir_tls_context) *tls = NULL;
    if (arguments[1] != NULL && arguments[2] != NULL)
        COIR_TRY(coir_tls_context_open(COIR_TLS_CLIENT,
                                       &(coir_tls_opts){.trust_file = arguments[2]}, &tls));
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_AUTO(coir_ws) *ws = NULL;
    COIR_TRY(coir_http_session_open(&(coir_http_session_opts){.tls = tls}, &http));
    COIR_TRY(coir_ws_connect(http, arguments[0], &opts, &ws));
    if (coir_ws_is_deflated(ws) == (opts.deflate == COIR_WS_DEFLATE_OFF))
        return coir_fail(-EPROTO, "it is not as it was asked whether messages are packed");
    static char data[1000000];
    unsigned noise = 1;
    for (size_t i = 0; i < sizeof data; i++) {
        noise = noise * 1664525 + 1013904223;
        data[i] = (char)('a' + (noise >> 24) % 16);
    }
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < COIR_COUNT(lengths); i++) {
            COIR_TRY(ask_for(ws, COIR_TEXT, data, lengths[i]));
            COIR_TRY(ask_for(ws, COIR_BINARY, data, lengths[i]));
            COIR_TRY(coir_ws_ping(ws));
        }
    COIR_TRY(coir_ws_shutdown(ws, 3000, "done"));
    coir_ws_message rest;
    COIR_TRY(coir_ws_receive(ws, &rest));
    printf("%d\n", coir_ws_close_code(ws));
    return 0;
}

/* A suite answers at URL/getCaseCount, /runCase?case=n&agent=a, /updateReports?agent=a. Whatever
 * becomes of a case, the suite judges. */
static int visit(coir_http_session *http, const char *path, int *ret_count)
{
    const coir_ws_opts opts = opts_of(arguments[1]);
    COIR_AUTO(coir_ws) *ws = NULL;
    coir_ws_message message;
    char url[256];
    (void)snprintf(url, sizeof url, "%s%s%s", arguments[0], path,
                   arguments[1] != NULL ? arguments[1] : "default");
    COIR_TRY(coir_ws_connect(http, url, &opts, &ws));
    while (coir_ws_receive(ws, &message) > 0) {
        if (ret_count != NULL)
            *ret_count = (int)strtol(message.data.data, NULL, 10);
        else if (coir_ws_send(ws, message.kind, message.data) < 0)
            break;
    }
    return 0;
}

static int suite(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_http_session) *http = NULL;
    COIR_TRY(coir_http_session_open(NULL, &http));
    int count = 0;
    COIR_TRY(visit(http, "/getCaseCount?agent=", &count));
    for (int i = 1; i <= count; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/runCase?case=%d&agent=", i);
        COIR_TRY(visit(http, path, NULL));
    }
    printf("%d cases\n", count);
    return visit(http, "/updateReports?agent=", NULL);
}

int main(int argc, char **argv)
{
    arguments = argv + 2;
    if (argc >= 2 && strcmp(argv[1], "serve") == 0)
        return coir_main(serve, NULL);
    if (argc >= 3 && strcmp(argv[1], "ask") == 0)
        return coir_main(ask, NULL);
    if (argc >= 3 && strcmp(argv[1], "suite") == 0)
        return coir_main(suite, NULL);
    fprintf(stderr, "usage: ws serve [CERTIFICATE KEY] | ask URL [HOW] [ROOT] | suite URL [HOW]\n");
    return 2;
}
