/* handshake.c: how a stream becomes a TLS connection, in both roles, by hand, dialled, or served.
 *
 * The stream below is taken over at once: whatever happens, its owner is this file until the
 * connection stands. A server waits for the first message of its client before it takes a place
 * among the handshakes, so that who only connects keeps nobody out, and costs no memory of
 * OpenSSL's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tls.h"

#define HANDSHAKE_RECORD 22 /* the type of a record, its first byte */
#define CLIENT_HELLO 1      /* the kind of a message */
#define MOST_RECORD 16384
#define PATIENCE COIR_MS(20) /* with a peer that keeps a place and says nothing */

/* One attempt. */
struct attempt {
    coir_tls_context *context;
    coir_stream *lower;
    const char *name; /* that the certificate must be for; NULL: none */
    const char *who;  /* for texts */
    bool pinned, borrowed;
    bool placed; /* among the handshakes that are capped */
    unsigned char pin[32];
    struct coir__tls *tls;
    struct coir__tls_doubt doubt;
};

static bool is_cancelled(int code)
{
    return code == -ECANCELED || code == -ETIME;
}

/* ---- places ---- */

static int take_place(struct attempt *attempt)
{
    coir_tls_context *context = attempt->context;
    if (!context->capped)
        return 0;
    context->stats.waiting++;
    int r = coir_semaphore_acquire(&context->places);
    context->stats.waiting--;
    attempt->placed = r == 0;
    return r;
}

static void give_place_up(struct attempt *attempt)
{
    if (attempt->placed)
        (void)coir_semaphore_release(&attempt->context->places);
    attempt->placed = false;
}

/* ---- the conversation ---- */

/* Waits for the peer's answer. Places are there for those who work: a peer that lets one wait gives
 * its own up, or silent ones would keep all others out. What is left to do for it then is little,
 * and needs none. */
static int await_answer(struct attempt *attempt)
{
    if (!attempt->placed)
        return coir__tls_fetch(attempt->tls);
    COIR_SCOPE(patience, PATIENCE);
    int r = coir__tls_fetch(attempt->tls);
    coir_scope_leave(&patience);
    if (r != -ETIME || !coir_scope_expired(&patience))
        return r;
    give_place_up(attempt);
    return coir__tls_fetch(attempt->tls);
}

/* What could not be sent is of no interest while the peer has still something to say, such as why
 * it refused. */
static int converse(struct attempt *attempt)
{
    struct coir__tls *tls = attempt->tls;
    for (;;) {
        int r = coir__tls_call(tls, COIR__TLS_HANDSHAKE, NULL, 0, NULL);
        int sent = coir__tls_flush(tls);
        if (is_cancelled(sent) || (r == 1 && sent < 0))
            return sent;
        if (r != COIR__TLS_HUNGRY)
            return r == 0 ? -COIR_EEOF : r < 0 ? r : 0;
        r = await_answer(attempt);
        if (r <= 0)
            return sent < 0 ? sent : r == 0 ? -COIR_EEOF : r;
    }
}

/* Waits until the first message of a client is there as a whole, in however many records. What is
 * none is not waited for: OpenSSL says so best. */
static int wait_for_hello(coir_stream *lower)
{
    size_t at = 0, have = 0, wanted = 4;
    unsigned char begin[4]; /* its kind, and its length */
    while (have < wanted && at < MOST_RECORD) {
        coir_bytes bytes;
        int r = coir_stream_peek(lower, at + 5, &bytes);
        if (r <= 0)
            return r == 0 ? -COIR_EEOF : r;
        const unsigned char *record = (const unsigned char *)bytes.data + at;
        size_t length = (size_t)record[3] << 8 | record[4];
        if (record[0] != HANDSHAKE_RECORD || length == 0 || at + length > MOST_RECORD)
            return 0;
        r = coir_stream_peek(lower, at + 5 + length, &bytes);
        if (r <= 0)
            return r == 0 ? -COIR_EEOF : r;
        record = (const unsigned char *)bytes.data + at;
        for (size_t i = 0; have + i < sizeof begin && i < length; i++)
            begin[have + i] = record[5 + i];
        have += length;
        at += 5 + length;
        if (have < sizeof begin)
            continue;
        if (begin[0] != CLIENT_HELLO)
            return 0;
        wanted = 4 + ((size_t)begin[1] << 16 | (size_t)begin[2] << 8 | begin[3]);
    }
    return 0;
}

static int tls_new(struct attempt *attempt)
{
    const char *name = attempt->name != NULL ? attempt->name : attempt->who;
    size_t size = strlen(name) + 1;
    struct coir__tls *tls = coir_calloc(1, sizeof *tls + size);
    if (tls == NULL)
        return -ENOMEM;
    memcpy(tls->name, name, size);
    tls->context = attempt->context;
    tls->context->users++;
    tls->lower = attempt->lower;
    tls->doubt = &attempt->doubt;
    tls->borrowed = attempt->borrowed;
    attempt->tls = tls;
    return coir__tls_attach(tls);
}

/* A session is resumed only with whom it was begun with, by name. */
static int introduce(struct attempt *attempt)
{
    struct coir__tls *tls = attempt->tls;
    if (attempt->context->role == COIR_TLS_SERVER)
        return 0;
    if (attempt->pinned)
        attempt->doubt.pin = attempt->pin;
    int r = attempt->name != NULL ? coir__tls_verify_name(tls->ssl, attempt->name) : 0;
    tls->keeps = r == 0 && attempt->name != NULL && !attempt->pinned;
    if (tls->keeps)
        coir__tls_session_offer(tls);
    return r;
}

static int shake_hands(struct attempt *attempt)
{
    coir_tls_context *context = attempt->context;
    COIR_DEADLINE(context->limit);
    if (context->role == COIR_TLS_SERVER)
        COIR_TRY(wait_for_hello(attempt->lower));
    COIR_TRY(take_place(attempt));
    context->stats.under_way++;
    int r = tls_new(attempt);
    if (r == 0)
        r = introduce(attempt);
    if (r == 0)
        r = converse(attempt);
    context->stats.under_way--;
    give_place_up(attempt);
    return r;
}

/* ---- its outcome ---- */

static int explain(const struct attempt *attempt, int code)
{
    const char *reason = attempt->tls != NULL ? attempt->tls->reason : NULL;
    if (is_cancelled(code))
        return code;
    if (attempt->doubt.refused) {
        code = -COIR_ECERTIFICATE;
        reason = attempt->doubt.text;
    } else if (code == -COIR_EEOF) {
        reason = "closed during the handshake";
    } else if (code == -ETIMEDOUT) {
        reason = "the handshake took too long";
    }
    if (code != -COIR_ETLS && code != -COIR_ECERTIFICATE && code != -COIR_EEOF &&
        code != -ETIMEDOUT)
        reason = coir_error_text(code);
    return coir_fail(code, "tls %.60s: %s", attempt->who,
                     reason != NULL ? reason : coir_error_text(code));
}

static void release(struct attempt *attempt, int code)
{
    if (attempt->tls != NULL)
        coir__tls_free(attempt->tls);
    if (attempt->borrowed)
        return;
    if (is_cancelled(code) || code == -ETIMEDOUT)
        coir_stream_abort(attempt->lower);
    else
        coir_stream_close(attempt->lower);
}

static int secure(struct attempt *attempt, coir_stream **ret_stream)
{
    coir_tls_context *context = attempt->context;
    context->users++;
    int r = shake_hands(attempt);
    if (r == -ETIME && coir_pending() == 0)
        r = -ETIMEDOUT; /* the deadline was this file's own */
    if (r == 0)
        r = coir_stream_open(&coir__tls_ops, attempt->tls, ret_stream);
    if (r == 0) {
        attempt->tls->doubt = NULL;
        coir__tls_warm(attempt->tls);
        context->stats.done++;
        context->stats.streams++;
        context->stats.resumed += SSL_session_reused(attempt->tls->ssl) == 1;
    } else {
        context->stats.failed++;
        r = explain(attempt, r);
        release(attempt, r);
    }
    coir__tls_context_drop(context);
    return r;
}

/* ---- clients ---- */

/* Refuses what the caller has got wrong; lower is closed as after any failure. */
static int refuse(coir_stream *lower, const char *why)
{
    coir_stream_close(lower);
    return coir_fail(-EINVAL, "tls: %s", why);
}

int coir_tls_connect(coir_tls_context *context, const char *host, coir_stream *lower,
                     const coir_tls_connect_opts *opts, coir_stream **ret_stream)
{
    static const coir_tls_connect_opts defaults;
    if (opts == NULL)
        opts = &defaults;
    if (lower == NULL || ret_stream == NULL || context == NULL || context->role != COIR_TLS_CLIENT)
        return refuse(lower, "wants a client's context and a stream");
    struct attempt attempt = {.context = context, .lower = lower};
    attempt.name = opts->name != NULL ? opts->name : host;
    attempt.who = attempt.name != NULL ? attempt.name : "server";
    attempt.pinned = opts->fingerprint != NULL;
    if (attempt.pinned && coir__tls_parse_fingerprint(opts->fingerprint, attempt.pin) < 0)
        return refuse(lower, "a fingerprint has 64 hexadecimal digits");
    if (attempt.name == NULL && !attempt.pinned && !context->anyone)
        return refuse(lower, "whom is the certificate for?");
    return secure(&attempt, ret_stream);
}

/* The host of "host:port" and "[::1]:port". Returns 0 or -COIR_EADDRESS. */
static int host_of(const char *address, char *ret_host, size_t size)
{
    const char *end = strrchr(address, ':');
    if (end == NULL)
        return -COIR_EADDRESS;
    if (address[0] == '[' && end > address + 1 && end[-1] == ']') {
        address++;
        end--;
    }
    int n = snprintf(ret_host, size, "%.*s", (int)(end - address), address);
    return n > 0 && (size_t)n < size ? 0 : -COIR_EADDRESS;
}

int coir_tls_dial(coir_tls_context *context, const char *address, const coir_tls_connect_opts *opts,
                  coir_stream **ret_stream)
{
    char host[256];
    if (address == NULL || host_of(address, host, sizeof host) < 0)
        return coir_fail(-COIR_EADDRESS, "tls: '%.100s' is no host and port",
                         address != NULL ? address : "");
    coir_stream *lower;
    COIR_TRY(coir_tcp_connect(address, opts != NULL ? opts->connect : NULL, &lower));
    return coir_tls_connect(context, host, lower, opts, ret_stream);
}

/* ---- servers ---- */

static int accept_on(coir_tls_context *context, coir_stream *lower, bool borrowed,
                     coir_stream **ret_stream)
{
    char peer[COIR_ADDRESS_TEXT];
    struct attempt attempt = {.context = context, .lower = lower, .borrowed = borrowed};
    attempt.who = coir_stream_peer(lower, peer, sizeof peer) == 0 ? peer : "client";
    return secure(&attempt, ret_stream);
}

int coir_tls_accept(coir_tls_context *context, coir_stream *lower, coir_stream **ret_stream)
{
    if (lower == NULL || ret_stream == NULL || context == NULL || context->role != COIR_TLS_SERVER)
        return refuse(lower, "wants a server's context and a stream");
    return accept_on(context, lower, false, ret_stream);
}

struct server {
    coir_tls_context *context;
    int (*handler)(coir_stream *stream, void *arg);
    void *arg;
};

/* The stream below is the listener's. */
static int handle(coir_stream *lower, void *arg)
{
    const struct server *server = arg;
    coir_stream *stream;
    int r = accept_on(server->context, lower, true, &stream);
    if (r < 0)
        return is_cancelled(r) || r == -ENOMEM ? r : 0;
    r = server->handler(stream, server->arg);
    coir_stream_close(stream);
    return r == -COIR_ETLS || r == -COIR_ETRUNCATED ? 0 : r;
}

int coir_tls_serve(coir_listener *listener, coir_tls_context *context,
                   int (*handler)(coir_stream *stream, void *arg), void *arg)
{
    if (context == NULL || context->role != COIR_TLS_SERVER || handler == NULL)
        return -EINVAL;
    struct server server = {context, handler, arg};
    return coir_listener_serve(listener, handle, &server);
}
