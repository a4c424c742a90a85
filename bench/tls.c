/* coir's side of the benchmarks tls_echo/ and tls_handshake/: a TLS server that sends back what it
 * reads, written as a user would. Listens on a free port of 127.0.0.1 and says `PORT n`. Runs until
 * it is ended. */
#include <stdio.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/tls.h>

#include "floors/tls_certificate.h"

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
    EVP_PKEY *key;
    X509 *certificate;
    char *text;
    make_certificate(&key, &certificate);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long length = BIO_get_mem_data(bio, &text);
    coir_tls_opts opts = {.certificate = {text, (size_t)length}, .handshakes = SIZE_MAX};
    int r = coir_tls_context_open(COIR_TLS_SERVER, &opts, ret_context);
    BIO_free(bio);
    EVP_PKEY_free(key);
    X509_free(certificate);
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_tls_context) *context = NULL;
    COIR_TRY(open_context(&context));
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    char address[COIR_ADDRESS_TEXT];
    COIR_TRY(coir_listener_address(listener, address, sizeof address));
    printf("PORT %s\n", strrchr(address, ':') + 1);
    (void)fflush(stdout);
    return coir_tls_serve(listener, context, echo, NULL);
}

int main(void)
{
    return coir_main(app, NULL);
}
