/* coir's side of the benchmarks tls_echo/ and tls_handshake/: a TLS server that sends back what it
 * reads, written as a user would. Listens on a free port of 127.0.0.1 and says `PORT n`. Runs until
 * it is ended. */
#include <stdlib.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/tls.h>

#include "floors/tls_certificate.h"
#include "listen.h"

static int echo(coir_stream *stream, void *arg)
{
    (void)arg;
    char data[16384];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_stream_write(stream, data, n));
    return r;
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
    (void)arg;
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(open_context(&context));
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(bench_listen("127.0.0.1:0", &listener));
    return coir_tls_serve(listener, context, echo, NULL);
}

int main(void)
{
    return coir_main(app, NULL);
}
