/* call.c: the only calls into OpenSSL that a connection makes, each with its error.
 *
 * Owns the BIO by which OpenSSL reads and writes: it takes bytes from the window of the connection,
 * and adds them to its block. So a call never waits, and OpenSSL keeps no bytes of its own but the
 * record that it works on. A block is there while bytes are to be written; an idle connection has
 * none.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "tls.h"

/* ---- the BIO ---- */

static BIO_METHOD *method;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *data, int size)
{
    struct coir__tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->in_length == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = (size_t)size < tls->in_length ? (size_t)size : tls->in_length;
    memcpy(data, tls->in, n);
    tls->in += n;
    tls->in_length -= n;
    return (int)n;
}

int coir__tls_grow(struct coir__tls_buffer *buffer, size_t size)
{
    size_t needed = buffer->length + size;
    if (needed <= buffer->capacity)
        return 0;
    size_t capacity = needed < 2 * buffer->capacity ? 2 * buffer->capacity : needed;
    char *data = coir_realloc(buffer->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int coir__tls_reserve(struct coir__tls *tls, size_t size)
{
    if (tls->out.data == NULL) {
        tls->out = tls->context->spare;
        tls->context->spare = (struct coir__tls_buffer){0};
    }
    return coir__tls_grow(&tls->out, size);
}

static int bio_write(BIO *bio, const char *data, int size)
{
    struct coir__tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (coir__tls_reserve(tls, (size_t)size) < 0) {
        tls->starved = true;
        return -1;
    }
    memcpy(tls->out.data + tls->out.length, data, (size_t)size);
    tls->out.length += (size_t)size;
    return size;
}

static long bio_control(BIO *bio, int what, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

/* It lives as long as the process. */
static void make_method(void)
{
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "coir stream");
    if (made == NULL)
        return;
    (void)BIO_meth_set_read(made, bio_read);
    (void)BIO_meth_set_write(made, bio_write);
    (void)BIO_meth_set_ctrl(made, bio_control);
    method = made;
}

int coir__tls_attach(struct coir__tls *tls)
{
    (void)pthread_once(&once, make_method);
    if (method == NULL)
        return -ENOMEM;
    SSL *ssl = SSL_new(tls->context->ssl);
    BIO *bio = BIO_new(method);
    if (ssl == NULL || bio == NULL || SSL_set_app_data(ssl, tls) != 1) {
        BIO_free(bio);
        SSL_free(ssl);
        ERR_clear_error();
        return -ENOMEM;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio); /* which owns it */
    if (tls->context->role == COIR_TLS_CLIENT)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    tls->ssl = ssl;
    return 0;
}

/* ---- calls ---- */

static int act(SSL *ssl, enum coir__tls_action action, void *data, size_t size, size_t *ret_n)
{
    switch (action) {
    case COIR__TLS_HANDSHAKE: return SSL_do_handshake(ssl);
    case COIR__TLS_READ: return SSL_read_ex(ssl, data, size, ret_n);
    case COIR__TLS_WRITE: return SSL_write_ex(ssl, data, size, ret_n);
    case COIR__TLS_GOODBYE: break;
    }
    int r = SSL_shutdown(ssl);
    return r == 0 ? 1 : r; /* 0: said, and not yet answered */
}

/* The code of a call that gave r. */
static int outcome(struct coir__tls *tls, int r)
{
    int code = -COIR_ETLS;
    switch (SSL_get_error(tls->ssl, r)) {
    case SSL_ERROR_NONE: return 1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_WANT_READ: return COIR__TLS_HUNGRY;
    default: break;
    }
    tls->reason = coir__tls_reason(&code);
    if (!tls->starved)
        return code;
    tls->starved = false;
    tls->reason = "not enough memory";
    return -ENOMEM;
}

int coir__tls_call(struct coir__tls *tls, enum coir__tls_action action, void *data, size_t size,
                   size_t *ret_n)
{
    size_t shown = tls->in_length;
    ERR_clear_error();
    int r = outcome(tls, act(tls->ssl, action, data, size, ret_n));
    if (shown > tls->in_length)
        coir_stream_consume(tls->lower, shown - tls->in_length);
    tls->in = NULL;
    tls->in_length = 0;
    return r;
}
