/* coir's side of the benchmarks http/ and ws_: a server of a short text, of JSON, of a file and of
 * WebSockets, written as a user would. Called with "https" it serves by TLS, with "http_everywhere"
 * at all addresses of the machine; any other word is HTTP. Listens on a free port of 127.0.0.1 and
 * says `PORT n`; COIR_BACKEND chooses the backend, COIR_BENCH_HTTP_FILES is the directory of the
 * files. Runs until it is ended. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/tls.h>
#include <coir/ws.h>

#include <jansson.h>

#include "floors/tls_certificate.h"
#include "listen.h"

static int hello(coir_http_request *request)
{
    return coir_http_reply(request, 200, "text/plain", "Hello, World!", 13);
}

static int json(coir_http_request *request)
{
    return coir_http_reply_json(request, 200, json_pack("{s:s}", "message", "Hello, World!"));
}

static int echo(coir_http_request *request, coir_ws *ws)
{
    coir_ws_message message;
    int r;
    (void)request;
    while ((r = coir_ws_receive(ws, &message)) > 0)
        COIR_TRY(coir_ws_send(ws, message.kind, message.data));
    return r;
}

static coir_ws_room room;

static int come(coir_http_request *request, coir_ws *ws)
{
    (void)request;
    return coir_ws_join(ws, &room);
}

static int say(coir_ws *ws, const coir_ws_message *message)
{
    (void)ws;
    return coir_ws_broadcast(&room, message->kind, message->data, NULL);
}

static int open_context(coir_tls_context **ret_context)
{
    size_t length;
    char *text = make_pem(&length);
    coir_tls_opts opts = {.certificate = {text, length}, .handshakes = SIZE_MAX};
    int r = coir_tls_context_open(COIR_TLS_SERVER, &opts, ret_context);
    free(text);
    return r;
}

static int app(void *arg)
{
    COIR_AUTO(coir_tls_context) *context = NULL;
    if (strcmp(arg, "https") == 0)
        COIR_TRY(open_context(&context));
    const coir_http_app_opts opts = {
        .tls = context, .connections = 65536, .client_connections = SIZE_MAX, .requests = UINT_MAX};
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&opts, &app));
    coir_http_app_get(app, "/", hello);
    coir_http_app_get(app, "/json", json);
    coir_http_app_websocket(app, "/ws", echo);
    coir_http_app_websocket_handlers(app, "/ws_room",
                                     &(coir_ws_handlers){.on_open = come, .on_message = say}, NULL);
    if (getenv("COIR_BENCH_HTTP_FILES") != NULL)
        coir_http_app_static(app, "/files", getenv("COIR_BENCH_HTTP_FILES"));
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(
        bench_listen(strcmp(arg, "http_everywhere") == 0 ? "0.0.0.0:0" : "127.0.0.1:0", &listener));
    return coir_http_app_serve_listener(app, listener);
}

int main(int argc, char **argv)
{
    return coir_main(app, argv[argc - 1]);
}
