/* socket.c: a WebSocket: making, receiving, closing, asking.
 *
 * A frame is dealt with as it comes: its head where the stream has it, then what it carries, as
 * much as is there, so that nothing is kept but the message, and what is wrong is seen at its first
 * byte. A failure stays: everything after it gives the same code. Whatever suspends holds the
 * socket in memory, since another task may close it meanwhile. Called by programs, server.c and
 * client.c.
 */
#include "ws.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <strings.h>

#include <jansson.h>
#include <openssl/sha.h>

#include <coir/memory.h>

#define OR(value, usual) ((value) != 0 ? (value) : (usual))

enum {
    KEPT = 1 << 10,    /* bytes of a message's memory that are kept for the next one */
    CHUNK = 1 << 10,   /* of what was packed, unpacked at once */
    DIRECT = 16 << 10, /* missing bytes of a frame that are read without the stream's buffer */
};

/* ---- options ---- */

static int check_opts(const coir_ws_opts *opts)
{
    if (opts->heartbeat < 0 || opts->close_limit < 0 || opts->stall_limit < 0)
        return coir_fail(-EINVAL, "options of a WebSocket: a time is negative");
    if (opts->window_bits != 0 && (opts->window_bits < 9 || opts->window_bits > 15))
        return coir_fail(-EINVAL, "options of a WebSocket: window_bits is %d, not 9 to 15",
                         opts->window_bits);
    if (opts->deflate > COIR_WS_DEFLATE_OFF || opts->slow > COIR_WS_SKIP)
        return coir_fail(-EINVAL, "options of a WebSocket: deflate or slow is not known");
    return 0;
}

int coir__ws_config_make(const coir_ws_opts *opts, struct coir__ws_config **ret_config)
{
    static const coir_ws_opts defaults;
    if (opts == NULL)
        opts = &defaults;
    int r = check_opts(opts);
    if (r < 0)
        return r;
    struct coir__ws_config *config =
        coir_calloc(1, sizeof *config + coir__http_text_size(opts->protocols) +
                           coir__http_text_size(opts->origins) + coir__http_text_size(opts->hosts));
    if (config == NULL)
        return -ENOMEM;
    char *to = config->texts;
    config->references = 1;
    config->opts = *opts;
    opts = &config->opts;
    config->opts.protocols = coir__http_keep(&to, opts->protocols);
    config->opts.origins = coir__http_keep(&to, opts->origins);
    config->opts.hosts = coir__http_keep(&to, opts->hosts);
    config->opts.headers = NULL; /* of the request only */
    config->opts.message_limit = OR(opts->message_limit, (size_t)4 << 20);
    config->opts.heartbeat = OR(opts->heartbeat, COIR_SEC(30));
    config->opts.close_limit = OR(opts->close_limit, COIR_SEC(5));
    config->opts.stall_limit = OR(opts->stall_limit, COIR_SEC(30));
    config->opts.queue_limit = OR(opts->queue_limit, (size_t)1 << 20);
    config->opts.deflate_from = OR(opts->deflate_from, (size_t)1 << 10);
    config->opts.deflate_ratio = OR(opts->deflate_ratio, 250u);
    *ret_config = config;
    return 0;
}

void coir__ws_config_release(struct coir__ws_config *config)
{
    if (--config->references == 0)
        coir_free(config);
}

const char *coir__ws_choose(const char *own, const char *offered, size_t *ret_length)
{
    char token[128];
    while (own != NULL && *(own += strspn(own, ", \t")) != '\0') {
        size_t length = strcspn(own, ", \t");
        if (length < sizeof token) {
            memcpy(token, own, length);
            token[length] = '\0';
            if (coir__http_has_token(offered, token)) {
                *ret_length = length;
                return own;
            }
        }
        own += length;
    }
    return NULL;
}

/* ---- making and freeing ---- */

coir_ws *coir__ws_make(struct coir__ws_config *config, const struct coir__ws_terms *terms)
{
    coir_ws *ws = coir_calloc(1, sizeof *ws);
    if (ws == NULL)
        return NULL;
    if (terms->used) {
        ws->deflate = coir__ws_deflate_open(terms, config->opts.deflate_ratio);
        if (ws->deflate == NULL) {
            coir_free(ws);
            return NULL;
        }
    }
    config->references++;
    ws->config = config;
    ws->last = &ws->first;
    ws->references = 1;
    return ws;
}

static void forget_incoming(coir_ws *ws)
{
    if (ws->in == NULL)
        return;
    coir_buffer_close(&ws->in->message);
    coir_free(COIR_TAKE(ws->in));
}

void coir__ws_release(coir_ws *ws)
{
    if (--ws->references > 0)
        return;
    coir__ws_leave_all(ws); /* others may have let it in while it was being closed */
    coir__ws_drop_queue(ws);
    coir__ws_deflate_close(ws->deflate);
    coir__ws_config_release(ws->config);
    forget_incoming(ws);
    coir_free(ws->reason);
    coir_free(ws->protocol);
    coir_free(ws->entry);
    coir_free(ws);
}

void coir__ws_keep_incoming(coir_ws *ws)
{
    ws->shown = false;
    if (ws->in == NULL || (!ws->in_message && !ws->in_frame)) {
        forget_incoming(ws);
        return;
    }
    ws->in->ahead = 0;
    if (ws->in->message.length == 0)
        coir_buffer_close(&ws->in->message);
}

/* What ws fails with from here on, and what was heard of the peer. */
static int fail(coir_ws *ws, int code)
{
    if (ws->failed == 0)
        ws->failed = code;
    if (ws->code == 0)
        ws->code = COIR_WS_LOST;
    return ws->failed;
}

int coir__ws_cut(coir_ws *ws, int code)
{
    code = fail(ws, code);
    coir_stream_abort(COIR_TAKE(ws->stream));
    return code;
}

/* The peer has broken a rule, which it is told. */
static int refuse(coir_ws *ws, int why, int code)
{
    (void)coir__ws_goodbye(ws, why, NULL, 0, true);
    return fail(ws, code);
}

/* ---- waiting for the peer ---- */

coir_time coir__ws_patience(const coir_ws *ws)
{
    return ws->close_by != 0 ? ws->close_by - coir_now() : ws->config->opts.heartbeat;
}

int coir__ws_beat(coir_ws *ws)
{
    if (ws->close_by != 0 && coir_now() < ws->close_by)
        return 0;
    if (ws->close_by != 0)
        return coir__ws_cut(ws, coir_fail(-ETIMEDOUT, "the peer does not say goodbye"));
    if (ws->pinged)
        return coir__ws_cut(ws, coir_fail(-ETIMEDOUT, "the peer is silent"));
    int r = coir_ws_ping(ws);
    ws->pinged = r == 0; /* without memory it is not */
    return r;
}

/* Reads what is there to data, or with NULL shows it, least bytes. */
static int read_once(coir_ws *ws, size_t least, void *data, coir_bytes *ret_bytes)
{
    if (data == NULL)
        return coir_stream_peek(ws->stream, least, ret_bytes);
    ret_bytes->data = data;
    return coir_stream_read(ws->stream, data, least, &ret_bytes->length);
}

static int read_patiently(coir_ws *ws, size_t least, void *data, coir_bytes *ret_bytes)
{
    COIR_SCOPE(waiting, coir__ws_patience(ws));
    ws->in->waiting = &waiting;
    int r = read_once(ws, least, data, ret_bytes);
    ws->in->waiting = NULL;
    coir_scope_leave(&waiting);
    return r == -ETIME && coir_scope_expired(&waiting) ? -ETIMEDOUT : r;
}

/* Waits until least bytes are there, and shows all that are; with data reads at most so many to it.
 * Returns 1, or a code, which is not a failure of ws only if it speaks of the task. */
static int await(coir_ws *ws, size_t least, void *data, coir_bytes *ret_bytes)
{
    for (;;) {
        if (ws->failed < 0 || ws->stream == NULL)
            return ws->failed < 0 ? ws->failed : -COIR_ECLOSED;
        int r = ws->in->ahead >= least ? read_once(ws, least, data, ret_bytes)
                                       : read_patiently(ws, least, data, ret_bytes);
        if (r > 0) {
            ws->in->ahead = data == NULL ? ret_bytes->length : 0;
            ws->pinged = false;
            return 1;
        }
        if (r == -ETIMEDOUT && ws->stream != NULL) {
            r = coir__ws_beat(ws);
            if (r == 0)
                continue;
        }
        if (r == -ECANCELED || r == -ETIME || r == -ENOMEM || r == -EBUSY || r == -COIR_ENOTASK ||
            r == -COIR_EWRONGLOOP)
            return r;
        if (r == 0 || r == -COIR_EEOF)
            r = coir_fail(-COIR_EEOF, "the peer has gone without a goodbye");
        return fail(ws, r);
    }
}

static void take(coir_ws *ws, size_t n)
{
    coir_stream_consume(ws->stream, n);
    ws->in->ahead -= n;
    ws->bytes_received += n;
}

/* ---- control frames ---- */

static int hear_goodbye(coir_ws *ws, const uint8_t *data, size_t length)
{
    uint32_t utf8 = 0;
    unsigned code = length >= 2 ? (unsigned)data[0] << 8 | data[1] : 0;
    if (length == 1 || (length >= 2 && !coir__ws_is_code(code)))
        return refuse(ws, COIR_WS_PROTOCOL,
                      coir_fail(-COIR_EWEBSOCKET, "a goodbye with a code that is none"));
    if (length > 2 && (!coir__ws_utf8(&utf8, data + 2, length - 2) || utf8 != 0))
        return refuse(ws, COIR_WS_BAD_DATA,
                      coir_fail(-COIR_EWEBSOCKET, "a reason that is not UTF-8"));
    if (length > 2 && (ws->reason = coir_alloc(length - 1)) != NULL) {
        memcpy(ws->reason, data + 2, length - 2);
        ws->reason[length - 2] = '\0';
    }
    ws->code = (uint16_t)OR(code, (unsigned)COIR_WS_NO_CODE);
    ws->heard = true;
    (void)coir__ws_goodbye(ws, (int)code, NULL, 0, true);
    return 0;
}

static int hear_control(coir_ws *ws, struct coir__ws_head *head, const uint8_t *data)
{
    uint8_t payload[COIR__WS_CONTROL];
    size_t length = (size_t)head->length;
    if (head->packed)
        return refuse(ws, COIR_WS_PROTOCOL,
                      coir_fail(-COIR_EWEBSOCKET, "a control frame that is packed"));
    if (head->masked)
        coir__ws_mask(payload, data, length, head->mask);
    else
        memcpy(payload, data, length);
    take(ws, head->size + length);
    if (head->opcode == COIR__WS_CLOSE)
        return hear_goodbye(ws, payload, length);
    if (head->opcode == COIR__WS_PING && !ws->said)
        (void)coir__ws_pong(ws, payload, length); /* if it cannot be sent, nothing can */
    return 0;
}

/* ---- data frames ---- */

/* A frame of data begins: section 5.4. */
static int begin_frame(coir_ws *ws, const struct coir__ws_head *head)
{
    const char *wrong = NULL;
    if ((head->opcode == COIR__WS_CONTINUATION) != ws->in_message)
        wrong = ws->in_message ? "a message within another" : "a fragment of no message";
    if (head->packed && (ws->deflate == NULL || ws->in_message))
        wrong = "a reserved bit is set";
    if (wrong != NULL)
        return refuse(ws, COIR_WS_PROTOCOL, coir_fail(-COIR_EWEBSOCKET, "%s", wrong));
    if (!ws->in_message) {
        ws->kind = head->opcode;
        ws->packed = head->packed;
        ws->in_message = true;
    }
    ws->in_frame = true;
    ws->final = head->final;
    ws->in->left = head->length;
    memcpy(ws->in->mask, head->mask, sizeof ws->in->mask);
    return 0;
}

/* Checks what has been added to the message behind its first `before` bytes. */
static int check_text(coir_ws *ws, size_t before)
{
    const coir_buffer *message = &ws->in->message;
    if (ws->kind != COIR_TEXT || message->length == before ||
        coir__ws_utf8(&ws->in->utf8, message->data + before, message->length - before))
        return 0;
    return refuse(ws, COIR_WS_BAD_DATA, coir_fail(-COIR_EWEBSOCKET, "a text that is not UTF-8"));
}

static int too_long(coir_ws *ws, size_t limit)
{
    return refuse(ws, COIR_WS_TOO_LONG,
                  coir_fail(-COIR_ETOOLONG, "a message of more than %zu bytes", limit));
}

/* Makes room for n bytes more, in steps that do not depend on what the peer says is to come. */
static int reserve(coir_ws *ws, size_t n)
{
    int r = coir_buffer_reserve(&ws->in->message, n);
    return r == -COIR_ETOOLONG ? too_long(ws, COIR_BUFFER_LIMIT) : r;
}

static int add_plain(coir_ws *ws, const uint8_t *data, size_t n)
{
    coir_buffer *message = &ws->in->message;
    size_t before = message->length;
    int r = reserve(ws, n);
    if (r < 0)
        return r;
    if (ws->client)
        memcpy(message->data + before, data, n);
    else
        coir__ws_mask(message->data + before, data, n, ws->in->mask);
    message->length += n;
    message->data[message->length] = '\0';
    return check_text(ws, before);
}

static int unpack(coir_ws *ws, const uint8_t *data, size_t n, bool last, size_t limit)
{
    size_t before = ws->in->message.length;
    int r = coir__ws_unpack(ws->deflate, (coir_bytes){data, n}, last, limit, &ws->in->message);
    if (r == -COIR_ETOOLONG)
        return refuse(ws, COIR_WS_TOO_LONG, r);
    if (r == -EBADMSG)
        return refuse(ws, COIR_WS_BAD_DATA,
                      coir_fail(-COIR_EWEBSOCKET, "a message that cannot be unpacked"));
    if (r < 0) /* how far it has come is not known */
        return coir__ws_cut(ws, r);
    return check_text(ws, before);
}

static int end_message(coir_ws *ws, size_t limit)
{
    int r = ws->packed ? unpack(ws, NULL, 0, true, limit) : 0;
    if (r < 0)
        return r;
    if (ws->in->utf8 != 0)
        return refuse(ws, COIR_WS_BAD_DATA,
                      coir_fail(-COIR_EWEBSOCKET, "a text that ends within a character"));
    ws->in_message = ws->packed = false;
    ws->complete = true;
    ws->received++;
    return 0;
}

/* The frame has ended if nothing of it is left. */
static int end_frame(coir_ws *ws, size_t limit)
{
    if (ws->in->left > 0)
        return 0;
    ws->in_frame = false;
    return ws->final ? end_message(ws, limit) : 0;
}

/* Adds what is there of a frame to the message. What was packed goes in chunks, so that a piece
 * stays small. */
static int add_some(coir_ws *ws, coir_bytes bytes, size_t limit)
{
    uint8_t chunk[CHUNK];
    size_t n = bytes.length < ws->in->left ? bytes.length : (size_t)ws->in->left;
    int r = 0;
    if (ws->packed && n > CHUNK)
        n = CHUNK;
    if (n > 0 && !ws->packed) {
        r = add_plain(ws, bytes.data, n);
    } else if (n > 0) {
        if (ws->client)
            memcpy(chunk, bytes.data, n);
        else
            coir__ws_mask(chunk, bytes.data, n, ws->in->mask);
        r = unpack(ws, chunk, n, false, limit);
    }
    if (r == -ENOMEM)
        return r; /* it can be tried again */
    ws->in->left -= n;
    if (ws->stream != NULL)
        take(ws, n);
    return r < 0 ? r : end_frame(ws, limit);
}

/* What is missing of a large frame is read to where it belongs. */
static int read_directly(coir_ws *ws, size_t limit)
{
    coir_buffer *message = &ws->in->message;
    size_t n = ws->in->left < (64 << 10) ? (size_t)ws->in->left : 64 << 10,
           before = message->length;
    coir_bytes bytes;
    int r = reserve(ws, n);
    if (r < 0)
        return r;
    r = await(ws, n, message->data + before, &bytes);
    if (r < 0)
        return r;
    if (!ws->client)
        coir__ws_mask(message->data + before, message->data + before, bytes.length, ws->in->mask);
    message->length += bytes.length;
    message->data[message->length] = '\0';
    ws->in->left -= bytes.length;
    ws->bytes_received += bytes.length;
    r = check_text(ws, before);
    return r < 0 ? r : end_frame(ws, limit);
}

/* ---- receiving ---- */

/* Waits for a head, and deals with its frame as far as that is there. */
static int read_head(coir_ws *ws)
{
    struct coir__ws_head head;
    coir_bytes bytes;
    const char *wrong = NULL;
    int r = 0;
    for (size_t least = 2; r == 0; least = bytes.length + 1) {
        r = await(ws, least, NULL, &bytes);
        if (r < 0)
            return r;
        r = coir__ws_parse_head(bytes, !ws->client, &head, &wrong);
    }
    if (r < 0)
        return refuse(ws, COIR_WS_PROTOCOL, coir_fail(r, "%s", wrong));
    if (head.opcode >= COIR__WS_CLOSE) {
        r = await(ws, head.size + (size_t)head.length, NULL, &bytes);
        return r < 0 ? r : hear_control(ws, &head, (const uint8_t *)bytes.data + head.size);
    }
    r = begin_frame(ws, &head);
    if (r < 0)
        return r;
    take(ws, head.size);
    return 0;
}

/* Waits for more of what the peer sends, and deals with it. limit is that of a message. */
static int step(coir_ws *ws, size_t limit)
{
    coir_bytes bytes = {0};
    int r = ws->in_frame ? 0 : read_head(ws);
    if (r < 0 || !ws->in_frame)
        return r;
    if (!ws->packed && limit < SIZE_MAX &&
        (ws->in->left > limit || ws->in->message.length > limit - ws->in->left))
        return too_long(ws, limit);
    if (ws->in->ahead == 0 && !ws->packed && ws->in->left >= DIRECT)
        return read_directly(ws, limit);
    if (ws->in->left == 0)
        return end_frame(ws, limit);
    r = await(ws, 1, NULL, &bytes);
    return r < 0 ? r : add_some(ws, bytes, limit);
}

static int begin_receiving(coir_ws *ws)
{
    if (ws->in == NULL && (ws->in = coir_calloc(1, sizeof *ws->in)) == NULL)
        return -ENOMEM;
    if (!ws->shown)
        return 0;
    ws->shown = false;
    ws->in->message.length = 0;
    if (ws->in->message.capacity > KEPT)
        coir_buffer_close(&ws->in->message);
    else if (ws->in->message.data != NULL)
        ws->in->message.data[0] = '\0'; /* the next one may be empty */
    return 0;
}

static void show(coir_ws *ws, coir_ws_message *ret_message)
{
    const coir_buffer *message = &ws->in->message;
    *ret_message =
        (coir_ws_message){.kind = (coir_ws_kind)ws->kind,
                          .last = ws->complete,
                          .data = {message->data != NULL ? message->data : "", message->length}};
    ws->complete = false;
    ws->shown = true;
}

/* Whether what was asked for is there. */
static bool is_there(const coir_ws *ws, bool piece)
{
    return ws->complete || (piece && ws->in->message.length > 0);
}

/* now: gives -EAGAIN rather than wait for a frame of which nothing is there. */
static int receive(coir_ws *ws, bool piece, bool now, coir_ws_message *ret_message)
{
    size_t limit = piece ? SIZE_MAX : ws->config->opts.message_limit;
    int r = 0;
    while (r == 0 && !is_there(ws, piece)) {
        if (ws->heard)
            return 0;
        r = step(ws, limit);
        if (now && r == 0 && !ws->complete && !ws->in_frame && ws->in->ahead == 0 && !ws->heard)
            return -EAGAIN;
    }
    if (r < 0)
        return r;
    show(ws, ret_message);
    return 1;
}

static int receive_held(coir_ws *ws, bool piece, bool now, coir_ws_message *ret_message)
{
    if (ws == NULL || ret_message == NULL)
        return -EINVAL;
    if (ws->receiving)
        return coir_fail(-EBUSY, "another task receives");
    coir__ws_hold(ws);
    ws->receiving = true;
    int r = begin_receiving(ws);
    if (r == 0)
        r = receive(ws, piece, now, ret_message);
    ws->receiving = false;
    if (ws->closed)
        r = -COIR_ECLOSED;
    coir__ws_release(ws);
    return r;
}

int coir_ws_receive(coir_ws *ws, coir_ws_message *ret_message)
{
    return receive_held(ws, false, false, ret_message);
}

int coir_ws_receive_some(coir_ws *ws, coir_ws_message *ret_piece)
{
    return receive_held(ws, true, false, ret_piece);
}

int coir__ws_receive_now(coir_ws *ws, coir_ws_message *ret_message)
{
    return receive_held(ws, false, true, ret_message);
}

int coir_ws_receive_json(coir_ws *ws, json_t **ret_json)
{
    coir_ws_message message;
    if (ret_json == NULL)
        return -EINVAL;
    int r = coir_ws_receive(ws, &message);
    if (r <= 0)
        return r;
    r = coir__http_load_json(message.data, ret_json);
    return r < 0 ? r : 1;
}

/* ---- closing ---- */

/* Waits for the peer's goodbye, and throws away what comes before it. */
static void hear_out(coir_ws *ws)
{
    coir_bytes bytes;
    int r = begin_receiving(ws);
    while (r == 0 && !ws->heard) {
        r = step(ws, SIZE_MAX);
        ws->in->message.length = 0;
        ws->complete = false;
    }
    if (r == 0 && ws->client) /* the server is the first to close: section 7.1.1 */
        while (ws->stream != NULL && coir_stream_peek(ws->stream, 1, &bytes) > 0)
            coir_stream_consume(ws->stream, bytes.length);
}

/* Says what is still to be said. Returns whether the peer knows how it ends. */
static bool part(coir_ws *ws, int code)
{
    COIR_SCOPE(limit, ws->config->opts.close_limit);
    if (ws->stream == NULL)
        return false;
    if (ws->failed == 0)
        (void)coir__ws_goodbye(ws, code, NULL, 0, true);
    bool flushed = coir__ws_flush(ws) == 0;
    if (flushed && ws->failed == 0 && !ws->receiving)
        hear_out(ws);
    return flushed && (ws->said || ws->failed == -COIR_EEOF) && coir_pending() == 0;
}

void coir__ws_finish(coir_ws *ws, int code)
{
    coir__ws_leave_all(ws);
    bool good = coir_pending() == 0 && part(ws, code);
    ws->closed = true;
    coir__ws_forget_goodbye(ws);
    ws->code = OR(ws->code, (uint16_t)COIR_WS_LOST);
    coir_stream *stream = COIR_TAKE(ws->stream);
    if (good)
        coir_stream_close(stream);
    else
        coir_stream_abort(stream);
}

void coir_ws_close(coir_ws *ws)
{
    if (ws == NULL)
        return;
    if (ws->owned) { /* and the server does the rest */
        (void)coir__ws_goodbye(ws, COIR_WS_NORMAL, NULL, 0, true);
        return;
    }
    int excuse = ws->client ? 0 : coir__ws_excuse(ws);
    coir__ws_finish(ws, COIR_WS_NORMAL);
    if (ws->client) {
        (void)coir_group_close(ws->group);
        coir_free(ws->group);
    } else {
        coir__ws_detach(ws, excuse);
    }
    coir__ws_release(ws);
}

/* ---- asking ---- */

int coir_ws_close_code(const coir_ws *ws)
{
    return ws->code;
}

const char *coir_ws_close_reason(const coir_ws *ws)
{
    return ws->reason != NULL ? ws->reason : "";
}

const char *coir_ws_protocol(const coir_ws *ws)
{
    return ws->protocol;
}

bool coir_ws_is_deflated(const coir_ws *ws)
{
    return ws->deflate != NULL;
}

void coir_ws_set_data(coir_ws *ws, void *data)
{
    ws->data = data;
}

void *coir_ws_data(const coir_ws *ws)
{
    return ws->data;
}

void coir_ws_stats_get(const coir_ws *ws, coir_ws_stats *ret_stats)
{
    *ret_stats = (coir_ws_stats){.received = ws->received,
                                 .sent = ws->sent,
                                 .skipped = ws->skipped,
                                 .queued = ws->queued,
                                 .bytes_received = ws->bytes_received,
                                 .bytes_sent = ws->bytes_sent};
}

/* ---- the handshake, which both ends need: section 4.2.2 ---- */

static void put_base64(const uint8_t *data, size_t size, char *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3, to += 4) {
        size_t n = size - i;
        unsigned bits = (unsigned)data[i] << 16 | (n > 1 ? (unsigned)data[i + 1] << 8 : 0) |
                        (n > 2 ? data[i + 2] : 0u);
        to[0] = digits[bits >> 18];
        to[1] = digits[bits >> 12 & 63];
        to[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
        to[3] = n > 2 ? digits[bits & 63] : '=';
    }
    *to = '\0';
}

int coir__ws_make_key(char ret_key[32])
{
    uint8_t bytes[16];
    int r = coir__ws_random(bytes, sizeof bytes);
    if (r == 0)
        put_base64(bytes, sizeof bytes, ret_key);
    return r;
}

void coir__ws_answer(const char *key, char ret_answer[32])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t hash[SHA_DIGEST_LENGTH];
    char text[64];
    int length = snprintf(text, sizeof text, "%.24s%s", key, guid);
    (void)SHA1((const unsigned char *)text, (size_t)length, hash);
    put_base64(hash, sizeof hash, ret_answer);
}
