/* stream.c: a TLS connection as a stream: reading, writing, ending, asking.
 *
 * Reading looks at the bytes that the stream below has, shows them to OpenSSL, and takes away what
 * it has used; so nothing is lost when a wait ends early. Writing encrypts a piece into a block,
 * which goes down by one write. Only reading can be in the way of writing, and the other way round:
 * OpenSSL may want to write while it reads (an alert), and to read while it writes (a message of
 * the handshake that has come in half). So there are turns: whoever reads below has `input`, and
 * whoever writes there `output`. A reader never waits for `output`: who has it writes the reader's
 * bytes too.
 *
 * The connections of a context that were active last keep OpenSSL's buffers, since taking them anew
 * for each message costs a tenth of it; all others have none. The block is one for all of them
 * while no write has to wait.
 */
#include <errno.h>
#include <string.h>

#include "tls.h"

#define RECORD ((size_t)16384)
#define PIECE (4 * RECORD)    /* of plain text that is encrypted at once */
#define OVERHEAD 320          /* at most, for each record */
#define GOODBYE COIR_SEC(1)   /* for saying it, or for what the peer still sends */
#define UNREAD_ANSWERS RECORD /* bytes of them that wait behind a write */
#define WARM 64               /* connections of a context that keep their buffers */
#define KEPT (RECORD + 4096)

/* ---- buffers ---- */

static void unlink_warm(struct coir__tls *tls)
{
    coir_tls_context *context = tls->context;
    *(tls->warmer != NULL ? &tls->warmer->colder : &context->warmest) = tls->colder;
    *(tls->colder != NULL ? &tls->colder->warmer : &context->coldest) = tls->warmer;
    tls->warm = false;
    context->warm--;
}

static void link_warm(struct coir__tls *tls)
{
    coir_tls_context *context = tls->context;
    tls->warmer = NULL;
    tls->colder = context->warmest;
    *(tls->colder != NULL ? &tls->colder->warmer : &context->coldest) = tls;
    context->warmest = tls;
    tls->warm = true;
    context->warm++;
}

/* One block is kept for whoever writes next. */
static void put_by(coir_tls_context *context, struct coir__tls_buffer *buffer)
{
    buffer->length = 0;
    if (context->spare.data == NULL && buffer->capacity <= KEPT)
        context->spare = *buffer;
    else
        coir_free(buffer->data);
}

static void drop_out(struct coir__tls *tls)
{
    coir_free(tls->out.data);
    tls->out = (struct coir__tls_buffer){0};
}

void coir__tls_warm(struct coir__tls *tls)
{
    coir_tls_context *context = tls->context;
    if (context->warmest == tls)
        return;
    if (tls->warm)
        unlink_warm(tls);
    link_warm(tls);
    if (context->warm > WARM) {
        struct coir__tls *cold = context->coldest;
        unlink_warm(cold);
        (void)SSL_free_buffers(cold->ssl); /* unless something is in them */
    }
}

/* ---- turns ---- */

static void end_turn(struct coir__tls_turn *turn)
{
    if (turn->awaited == NULL) {
        turn->taken = false;
        return;
    }
    *COIR_TAKE(turn->awaited) = true; /* it is taken still, by who has waited */
    coir_event_set(&turn->handed);
}

static int take_turn(struct coir__tls_turn *turn)
{
    if (!turn->taken) {
        turn->taken = true;
        return 0;
    }
    bool mine = false;
    turn->awaited = &mine;
    coir_event_clear(&turn->handed);
    int r = coir_event_wait(&turn->handed);
    if (r < 0 && mine)
        end_turn(turn); /* it came when the wait was cancelled already */
    else if (r < 0)
        turn->awaited = NULL;
    return r;
}

/* ---- below ---- */

int coir__tls_fetch(struct coir__tls *tls)
{
    coir_bytes bytes;
    int r = coir_stream_peek(tls->lower, 1, &bytes);
    if (r > 0) {
        tls->in = bytes.data;
        tls->in_length = bytes.length;
    }
    return r;
}

/* Puts back what could not be written, before what has been added meanwhile. */
static void put_back(struct coir__tls *tls, struct coir__tls_buffer *unsent)
{
    if (coir__tls_grow(unsent, tls->out.length) < 0) {
        tls->unwritable = -COIR_EBROKENSTREAM;
    } else if (tls->out.length > 0) {
        memcpy(unsent->data + unsent->length, tls->out.data, tls->out.length);
        unsent->length += tls->out.length;
    }
    coir_free(tls->out.data);
    tls->out = *unsent;
}

int coir__tls_flush(struct coir__tls *tls)
{
    while (tls->out.length > 0) {
        struct coir__tls_buffer sending = tls->out;
        tls->out = (struct coir__tls_buffer){0};
        int r = coir_stream_write(tls->lower, sending.data, sending.length);
        if (r < 0) {
            put_back(tls, &sending);
            return r;
        }
        put_by(tls->context, &sending);
    }
    return 0;
}

static bool is_cancelled(int code)
{
    return code == -ECANCELED || code == -ETIME;
}

/* Nothing can be written any more: code says why. */
static void give_up_writing(struct coir__tls *tls, int code)
{
    tls->unwritable = is_cancelled(code) || code == -ENOMEM ? -COIR_EBROKENSTREAM : code;
    drop_out(tls);
}

/* Before a wait for the peer, it gets what it may be waiting for. While a writer waits for a peer
 * that does not read, what the peer asks for (new keys, another handshake) is only answered so
 * far, or it could fill our memory. */
static int flush_beside(struct coir__tls *tls)
{
    if (tls->out.length == 0)
        return 0;
    if (tls->output.taken && tls->out.length <= UNREAD_ANSWERS)
        return 0;
    if (tls->output.taken) {
        tls->reason = "the peer wants answers and does not read them";
        return -COIR_ETLS;
    }
    tls->output.taken = true;
    int r = coir__tls_flush(tls);
    end_turn(&tls->output);
    if (r == 0 || is_cancelled(r))
        return r;
    give_up_writing(tls, r); /* there may still be something to read */
    return 0;
}

static int feed_in_turn(struct coir__tls *tls, enum coir__tls_action action, void *data,
                        size_t size, size_t *ret_n)
{
    int r = COIR__TLS_HUNGRY;
    if (action != COIR__TLS_READ)
        r = coir__tls_call(tls, action, data, size, ret_n);
    if (r != COIR__TLS_HUNGRY)
        return r;
    r = coir__tls_fetch(tls);
    if (r == 0)
        return coir_fail(-COIR_ETRUNCATED, "tls %s: the connection was cut", tls->name);
    return r < 0 ? r : coir__tls_call(tls, action, data, size, ret_n);
}

/* Tries action with what comes from below. As coir__tls_call, or a code of the stream below. While
 * a writer waits for its turn to read, the reader may have read what it needs. */
static int feed(struct coir__tls *tls, enum coir__tls_action action, void *data, size_t size,
                size_t *ret_n)
{
    int r = take_turn(&tls->input);
    if (r < 0)
        return r;
    r = feed_in_turn(tls, action, data, size, ret_n);
    end_turn(&tls->input);
    return r;
}

/* ---- reading ---- */

static int failed(struct coir__tls *tls, int code)
{
    return coir_fail(code, "tls %s: %s", tls->name,
                     tls->reason != NULL ? tls->reason : coir_error_text(code));
}

static bool is_tls(int code)
{
    return code == -COIR_ETLS || code == -ENOMEM;
}

static bool has_said_goodbye(const struct coir__tls *tls)
{
    return (SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

/* Sends the alert that says what was wrong, unless the peer does not even read that. */
static void tell_why(struct coir__tls *tls)
{
    const char *reason = tls->reason;
    COIR_SCOPE(saying, GOODBYE);
    (void)flush_beside(tls);
    coir_scope_leave(&saying);
    tls->reason = reason;
}

static int tls_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct coir__tls *tls = state;
    if (tls->unreadable < 0)
        return failed(tls, tls->unreadable);
    if (has_said_goodbye(tls))
        return 0;
    int r = COIR__TLS_HUNGRY;
    if (SSL_pending(tls->ssl) > 0)
        r = coir__tls_call(tls, COIR__TLS_READ, data, size, ret_n);
    while (r == COIR__TLS_HUNGRY) {
        r = flush_beside(tls);
        if (r == 0)
            r = feed(tls, COIR__TLS_READ, data, size, ret_n);
    }
    coir__tls_warm(tls);
    if (!is_tls(r) || tls->reason == NULL)
        return r;
    tls->unreadable = r; /* OpenSSL does not go on after an error */
    tell_why(tls);
    return failed(tls, r);
}

/* ---- writing ---- */

/* As coir__tls_call, and gives it what it needs to read. */
static int call_fed(struct coir__tls *tls, enum coir__tls_action action, void *data, size_t size,
                    size_t *ret_n)
{
    int r = coir__tls_call(tls, action, data, size, ret_n);
    while (r == COIR__TLS_HUNGRY) {
        r = coir__tls_flush(tls);
        if (r == 0)
            r = feed(tls, action, data, size, ret_n);
    }
    return r;
}

/* Encrypts and sends. When something was encrypted and not sent, nothing can follow. */
static int write_piece(struct coir__tls *tls, const void *data, size_t size)
{
    size_t records = size / RECORD + 2; /* one more for messages of OpenSSL's own */
    size_t n;
    int r = coir__tls_flush(tls);
    if (r == 0)
        r = coir__tls_reserve(tls, size + records * OVERHEAD);
    if (r < 0)
        return r;
    r = call_fed(tls, COIR__TLS_WRITE, (void *)(uintptr_t)data, size, &n);
    if (r < 0 && !is_tls(r))
        return r; /* it waited to read: nothing was encrypted */
    if (r == 1)
        r = coir__tls_flush(tls);
    if (r < 0)
        give_up_writing(tls, r);
    return r;
}

/* Several blocks become one record. */
static int write_gathered(struct coir__tls *tls, const struct iovec *vectors, size_t count,
                          size_t *ret_n)
{
    size_t size = 0;
    for (size_t i = 0; i < count && size < RECORD; i++)
        size += vectors[i].iov_len < RECORD - size ? vectors[i].iov_len : RECORD - size;
    char *data = coir_alloc(size);
    if (data == NULL)
        return -ENOMEM;
    *ret_n = 0;
    for (size_t i = 0; *ret_n < size; i++) {
        size_t n = vectors[i].iov_len < size - *ret_n ? vectors[i].iov_len : size - *ret_n;
        if (n > 0)
            memcpy(data + *ret_n, vectors[i].iov_base, n);
        *ret_n += n;
    }
    int r = write_piece(tls, data, size);
    coir_free(data);
    return r;
}

static int write_in_turn(struct coir__tls *tls, const struct iovec *vectors, size_t count,
                         size_t *ret_n)
{
    if (tls->unwritable < 0)
        return tls->unwritable;
    if (tls->shut)
        return -EPIPE;
    if (tls->unreadable < 0)
        return failed(tls, tls->unreadable);
    if (count > 1 && vectors->iov_len < RECORD)
        return write_gathered(tls, vectors, count, ret_n);
    *ret_n = vectors->iov_len < PIECE ? vectors->iov_len : PIECE;
    return write_piece(tls, vectors->iov_base, *ret_n);
}

/* What is cancelled already must not be encrypted. */
static int tls_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct coir__tls *tls = state;
    int r = coir_pending();
    if (r == 0)
        r = take_turn(&tls->output);
    if (r < 0)
        return r;
    r = write_in_turn(tls, vectors, count, ret_n);
    coir__tls_warm(tls);
    end_turn(&tls->output);
    return r;
}

/* ---- ending ---- */

static int shutdown_in_turn(struct coir__tls *tls)
{
    if (tls->unwritable < 0)
        return tls->unwritable;
    if (tls->unreadable < 0)
        return failed(tls, tls->unreadable);
    if (!tls->shut) {
        int r = coir__tls_reserve(tls, OVERHEAD);
        if (r == 0 && SSL_in_init(tls->ssl)) /* half of a ticket is there; the rest comes first */
            r = call_fed(tls, COIR__TLS_HANDSHAKE, NULL, 0, NULL);
        if (r >= 0)
            r = call_fed(tls, COIR__TLS_GOODBYE, NULL, 0, NULL);
        if (r < 0)
            return r;
        tls->shut = true;
    }
    return coir__tls_flush(tls);
}

static int tls_shutdown(void *state)
{
    struct coir__tls *tls = state;
    int r = coir_pending();
    if (r == 0)
        r = take_turn(&tls->output);
    if (r < 0)
        return r;
    r = shutdown_in_turn(tls);
    end_turn(&tls->output);
    return r;
}

static size_t unread_below(struct coir__tls *tls)
{
    size_t unread = 0;
    return coir_stream_query(tls->lower, COIR_QUERY_UNREAD, &unread) == 0 ? unread : 0;
}

/* Takes what has come, without waiting: left unread, it would make the kernel reset the connection.
 * Returns 1 when there was something that the peer wanted to be read. */
static int take_what_is_there(struct coir__tls *tls)
{
    char data[1024];
    size_t n;
    int r = SSL_pending(tls->ssl) > 0 ? 1 : COIR__TLS_HUNGRY;
    while (r == COIR__TLS_HUNGRY && unread_below(tls) > 0)
        r = feed(tls, COIR__TLS_READ, data, sizeof data, &n);
    return r == COIR__TLS_HUNGRY ? 0 : r;
}

/* Reads until the peer says goodbye or leaves without it, and throws away what it says meanwhile: a
 * peer that was reset would lose what it has not read yet. One that does not understand goodbyes
 * sees the end of the stream below. */
static int await_goodbye(struct coir__tls *tls)
{
    char data[4096];
    size_t n;
    int r = coir_stream_shutdown(tls->lower);
    if (r < 0 && r != -ENOTSOCK)
        return r;
    do {
        r = COIR__TLS_HUNGRY;
        if (SSL_pending(tls->ssl) > 0)
            r = coir__tls_call(tls, COIR__TLS_READ, data, sizeof data, &n);
        if (r == COIR__TLS_HUNGRY)
            r = feed(tls, COIR__TLS_READ, data, sizeof data, &n);
        tls->out.length = 0; /* after a goodbye nothing is answered */
    } while (r == 1 || r == COIR__TLS_HUNGRY);
    return r;
}

/* Returns whether the stream below can be closed in peace. */
static bool say_goodbye(struct coir__tls *tls)
{
    COIR_SCOPE(saying, GOODBYE);
    int r = tls_shutdown(tls);
    coir_scope_leave(&saying);
    if (r < 0 || has_said_goodbye(tls))
        return !is_cancelled(r);
    if (tls->context->linger == 0) {
        r = take_what_is_there(tls);
        if (r <= 0)
            return !is_cancelled(r);
    }
    COIR_DEADLINE(tls->context->linger > 0 ? tls->context->linger : GOODBYE);
    r = await_goodbye(tls);
    return !is_cancelled(r) || unread_below(tls) == 0;
}

void coir__tls_free(struct coir__tls *tls)
{
    if (tls->warm)
        unlink_warm(tls);
    if (tls->ssl != NULL) {
        if (tls->unreadable == 0) /* a cancelled task is no reason not to resume its session */
            SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(tls->ssl);
    }
    coir_free(tls->out.data);
    coir__tls_context_drop(tls->context);
    coir_free(tls);
}

static void tls_close(void *state, bool abrupt)
{
    struct coir__tls *tls = state;
    coir_stream *lower = tls->lower;
    bool borrowed = tls->borrowed;
    if (tls->unwritable == -COIR_EBROKENSTREAM)
        abrupt = true;
    if (!abrupt && tls->unwritable == 0 && tls->unreadable == 0)
        abrupt = !say_goodbye(tls);
    tls->context->stats.streams--;
    coir__tls_free(tls);
    if (borrowed)
        return;
    if (abrupt)
        coir_stream_abort(lower);
    else
        coir_stream_close(lower);
}

/* ---- asking ---- */

/* What was decrypted, and what was not yet: goodbyes are among it. */
static int held(struct coir__tls *tls, size_t *ret_n)
{
    int r = coir_stream_query(tls->lower, COIR_QUERY_HELD, ret_n);
    if (r == 0)
        *ret_n += (size_t)SSL_pending(tls->ssl);
    return r;
}

static int tls_query(void *state, int key, void *ret_value)
{
    struct coir__tls *tls = state;
    switch (key) {
    case COIR_QUERY_LOWER: *(coir_stream **)ret_value = tls->lower; return 0;
    case COIR_QUERY_UNREAD: *(size_t *)ret_value = (size_t)SSL_pending(tls->ssl); return 0;
    case COIR_QUERY_HELD: return held(tls, ret_value);
    case COIR__TLS_QUERY: *(struct coir__tls **)ret_value = tls; return 0;
    default: return coir_stream_query(tls->lower, key, ret_value);
    }
}

const coir_stream_ops coir__tls_ops = {
    .name = "tls",
    .read = tls_read,
    .write = tls_write,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .query = tls_query,
};
