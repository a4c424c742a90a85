/* https.c: a server of HTTPS, for tests/shell/https.sh to ask by curl: https CHAIN KEY says PORT n,
 * and answers until SIGTERM ends it.
 */
#include <stdio.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/http_app.h>
#include <coir/tls.h>

static char **arguments;

static int hello(coir_http_request *request)
{
    return coir_http_reply_text(request, 200, "hello, %s\n",
                                coir_http_request_param(request, "name"));
}

static int echo(coir_http_request *request)
{
    coir_bytes body;
    COIR_TRY(coir_http_request_body(request, &body));
    return coir_http_reply(request, 200, "text/plain", body.data, body.length);
}

static int serve(void *arg)
{
    (void)arg;
    coir_tls_opts opts = {.certificate_file = arguments[1], .key_file = arguments[2]};
    opts.alpn = "http/1.1";
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(coir_tls_context_open(COIR_TLS_SERVER, &opts, &context));
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_TRY(coir_http_app_open(&(coir_http_app_opts){.tls = context}, &app));
    coir_http_app_get(app, "/hello/{name}", hello);
    coir_http_app_post(app, "/echo", echo);
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
    arguments = argv;
    return argc == 3 ? coir_main(serve, NULL) : 2;
}
