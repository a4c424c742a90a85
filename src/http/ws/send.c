/* send.c: what is sent over a WebSocket: messages, what is queued, broadcasts.
 *
 * Who sends a message holds the lock for it, and so messages never mix. What must not wait for the
 * peer is made a packet and queued; the task that writes the queue takes the lock like others. Its
 * first step runs within the call that has started it: as long as the peer keeps up, queueing is
 * sending, and no task is left. Called by programs, socket.c and server.c.
 */
#include "ws.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <coir/memory.h>

enum {
    SMALL = 1 << 10,   /* a payload that is copied behind its head */
    PIECE = 128 << 10, /* of what is sent within stall_limit */
    MASKED = 64 << 10, /* of a large payload, at once */
    TOGETHER = 16,     /* packets that go out in one call */
    PONGS = 16,        /* that wait to be sent */
};

/* ---- writing: with the lock held ---- */

/* Whether something can be sent: 0, or why not. */
static int sendable(const coir_ws *ws)
{
    if (ws->failed < 0)
        return ws->failed;
    if (ws->stream == NULL || ws->closed)
        return -COIR_ECLOSED;
    return ws->broken ? -COIR_EBROKENSTREAM : 0;
}

static int write_bounded(coir_ws *ws, const struct iovec *vectors, size_t count)
{
    if (ws->stream == NULL)
        return ws->failed < 0 ? ws->failed : -COIR_ECLOSED;
    COIR_SCOPE(stall, ws->config->opts.stall_limit);
    int r = count == 1 ? coir_stream_write(ws->stream, vectors[0].iov_base, vectors[0].iov_len)
                       : coir_stream_write_vectors(ws->stream, vectors, count);
    coir_scope_leave(&stall);
    for (size_t i = 0; r == 0 && i < count; i++)
        ws->bytes_sent += vectors[i].iov_len;
    if (r == -ETIME && coir_scope_expired(&stall))
        return coir__ws_cut(ws, coir_fail(-ETIMEDOUT, "the peer takes nothing in"));
    if (r == -EPIPE || r == -ECONNRESET || r == -COIR_ETLS || r == -COIR_ETRUNCATED)
        ws->unsent = r; /* what the peer has sent before can still be read */
    return r == -COIR_ECLOSED && ws->failed < 0 ? ws->failed : r;
}

/* Sends a small frame in one piece, or a large one of ours, which is masked piece by piece. */
static int write_copied(coir_ws *ws, struct coir__ws_head *head, const uint8_t *data,
                        uint8_t *block, size_t size)
{
    size_t used = coir__ws_write_head(block, head);
    for (uint64_t left = head->length;;) {
        size_t n = left < size - used ? (size_t)left : size - used;
        if (head->masked)
            coir__ws_mask(block + used, data, n, head->mask);
        else if (n > 0)
            memcpy(block + used, data, n);
        int r = write_bounded(ws, &(struct iovec){block, used + n}, 1);
        ws->broken |= r < 0 && left != head->length;
        if (r < 0)
            return r;
        left -= n;
        if (left == 0)
            return 0;
        data += n;
        used = 0;
    }
}

static int write_whole(coir_ws *ws, const struct coir__ws_head *head, const uint8_t *data)
{
    uint8_t bytes[COIR__WS_HEAD];
    struct iovec vectors[2] = {{bytes, coir__ws_write_head(bytes, head)}};
    for (uint64_t left = head->length; left > 0;) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        vectors[1] = (struct iovec){(void *)(uintptr_t)data, n};
        bool first = left == head->length;
        int r = write_bounded(ws, first ? vectors : vectors + 1, first ? 2 : 1);
        ws->broken |= r < 0 && !first;
        if (r < 0)
            return r;
        data += n;
        left -= n;
    }
    return 0;
}

static int write_frame(coir_ws *ws, struct coir__ws_head head, const void *data)
{
    uint8_t small[COIR__WS_HEAD + SMALL];
    head.masked = ws->client;
    if (head.masked) {
        int r = coir__ws_random(head.mask, sizeof head.mask);
        if (r < 0)
            return r;
    }
    if (head.length <= SMALL)
        return write_copied(ws, &head, data, small, sizeof small);
    if (!head.masked)
        return write_whole(ws, &head, data);
    size_t size = head.length < MASKED ? (size_t)head.length + COIR__WS_HEAD : MASKED;
    uint8_t *block = coir_alloc(size);
    if (block == NULL)
        return -ENOMEM;
    int r = write_copied(ws, &head, data, block, size);
    coir_free(block);
    return r;
}

/* ---- the queue ---- */

static void release_packet(struct coir__ws_packet *packet)
{
    if (--packet->references == 0)
        coir_free(packet);
}

static void free_items(struct coir__ws_item *items)
{
    for (struct coir__ws_item *next; items != NULL; items = next) {
        next = items->next;
        release_packet(items->packet);
        coir_free(items);
    }
}

void coir__ws_drop_queue(coir_ws *ws)
{
    free_items(ws->first);
    ws->first = NULL;
    ws->last = &ws->first;
    ws->queued = 0;
    ws->pongs = 0;
}

/* Takes the first packets off the queue, only those of control frames if so: as many as there is
 * stall_limit for, but one. They count as queued until they are sent. */
static struct coir__ws_item *take_items(coir_ws *ws, bool control, struct iovec *vectors,
                                        size_t *ret_count)
{
    struct coir__ws_item *taken = NULL, **end = &taken, **from = &ws->first;
    size_t count = 0, size = 0;
    while (*from != NULL && count < TOGETHER) {
        struct coir__ws_item *item = *from;
        if (control && !item->packet->control) {
            from = &item->next;
            continue;
        }
        size += item->packet->size;
        if (count > 0 && size > PIECE)
            break;
        *from = item->next;
        if (item->next == NULL)
            ws->last = from;
        item->next = NULL;
        *end = item;
        end = &item->next;
        ws->pongs -= item->packet->pong;
        vectors[count++] = (struct iovec){item->packet->data, item->packet->size};
    }
    *ret_count = count;
    return taken;
}

/* What could not be sent stays the first in the queue. */
static void put_back(coir_ws *ws, struct coir__ws_item *items)
{
    struct coir__ws_item **end = &items;
    for (; *end != NULL; end = &(*end)->next)
        ws->pongs += (*end)->packet->pong;
    *end = ws->first;
    if (ws->first == NULL)
        ws->last = end;
    ws->first = items;
}

/* Writes packets, or one that is longer than what there is stall_limit for. */
static int write_packets(coir_ws *ws, struct iovec *vectors, size_t count)
{
    struct iovec piece = vectors[0];
    size_t left = count == 1 ? piece.iov_len : 0;
    if (left <= PIECE)
        return write_bounded(ws, vectors, count);
    for (bool first = true; left > 0; first = false) {
        piece.iov_len = left < PIECE ? left : PIECE;
        int r = write_bounded(ws, &piece, 1);
        ws->broken |= r < 0 && !first;
        if (r < 0)
            return r;
        piece.iov_base = (char *)piece.iov_base + piece.iov_len;
        left -= piece.iov_len;
    }
    return 0;
}

/* Sends what is queued: control frames only, if so, or within a message that is sent in pieces. */
static int flush(coir_ws *ws, bool control)
{
    struct iovec vectors[TOGETHER];
    size_t count;
    while (!ws->broken) {
        struct coir__ws_item *items = take_items(ws, control || ws->fragmented, vectors, &count);
        if (items == NULL)
            return 0;
        int r = write_packets(ws, vectors, count);
        if (r < 0) {
            put_back(ws, items);
            return r;
        }
        for (const struct coir__ws_item *at = items; at != NULL; at = at->next)
            ws->queued -= at->packet->size;
        free_items(items);
    }
    return -COIR_EBROKENSTREAM;
}

/* The task that writes the queue. What it fails with, a reader and the next sender meet too. */
static int write_queue(void *arg)
{
    coir_ws *ws = arg;
    if (coir_lock_acquire(&ws->lock) == 0) {
        (void)flush(ws, false);
        (void)coir_lock_release(&ws->lock);
    }
    ws->writing = false;
    coir__ws_release(ws);
    return 0;
}

/* Eagerly: other tasks may run before the call returns, and end what nobody holds. */
static int start_writer(coir_ws *ws, bool eagerly)
{
    const coir_spawn_opts opts = {.eager = eagerly, .name = "ws writer"};
    if (ws->writing || ws->closed) /* a broadcast comes to it when others have run */
        return 0;
    ws->writing = true;
    int r = coir_spawn_with(coir__ws_group(ws), write_queue, coir__ws_hold(ws), &opts, NULL);
    if (r < 0) {
        ws->writing = false;
        ws->references--; /* it has more than this one */
    }
    return r;
}

/* Adds a packet, which stays the caller's, to the queue. */
static int append(coir_ws *ws, struct coir__ws_packet *packet)
{
    struct coir__ws_item *item = coir_alloc(sizeof *item);
    if (item == NULL)
        return -ENOMEM;
    *item = (struct coir__ws_item){NULL, packet};
    packet->references++;
    ws->pongs += packet->pong;
    *ws->last = item;
    ws->last = &item->next;
    ws->queued += packet->size;
    return 0;
}

/* Adds a packet and has it sent. The caller holds ws. */
static int queue(coir_ws *ws, struct coir__ws_packet *packet, bool eagerly)
{
    struct coir__ws_item **before = ws->last;
    int r = append(ws, packet);
    if (r < 0)
        return r;
    r = start_writer(ws, eagerly);
    if (r < 0) { /* nothing has run */
        free_items(*before);
        ws->last = before;
        *ws->last = NULL;
        ws->queued -= packet->size;
        ws->pongs -= packet->pong;
    }
    return r;
}

/* A packet of a whole frame, for a client or a server. */
static int make_packet(bool client, struct coir__ws_head head, const void *data,
                       struct coir__ws_packet **ret_packet)
{
    head.masked = client;
    if (client) {
        int r = coir__ws_random(head.mask, sizeof head.mask);
        if (r < 0)
            return r;
    }
    struct coir__ws_packet *packet =
        coir_alloc(sizeof *packet + COIR__WS_HEAD + (size_t)head.length);
    if (packet == NULL)
        return -ENOMEM;
    size_t size = coir__ws_write_head(packet->data, &head);
    if (client)
        coir__ws_mask(packet->data + size, data, (size_t)head.length, head.mask);
    else if (head.length > 0)
        memcpy(packet->data + size, data, (size_t)head.length);
    *packet = (struct coir__ws_packet){.references = 1,
                                       .control = head.opcode >= COIR__WS_CLOSE,
                                       .pong = head.opcode == COIR__WS_PONG,
                                       .size = size + (size_t)head.length};
    *ret_packet = packet;
    return 0;
}

/* ---- control frames ---- */

static int queue_frame(coir_ws *ws, uint8_t opcode, const void *data, size_t size, bool eagerly)
{
    struct coir__ws_packet *packet;
    const struct coir__ws_head head = {.length = size, .opcode = opcode, .final = true};
    int r = sendable(ws);
    if (r == 0)
        r = make_packet(ws->client, head, data, &packet);
    if (r < 0)
        return r;
    coir__ws_hold(ws);
    r = queue(ws, packet, eagerly);
    release_packet(packet);
    coir__ws_release(ws);
    return r;
}

/* Of answers that have not been sent the first may be left out: section 5.5.3. */
static void forget_pong(coir_ws *ws)
{
    for (struct coir__ws_item **at = &ws->first; *at != NULL; at = &(*at)->next) {
        struct coir__ws_item *item = *at;
        if (!item->packet->pong)
            continue;
        *at = item->next;
        if (item->next == NULL)
            ws->last = at;
        ws->queued -= item->packet->size;
        ws->pongs--;
        item->next = NULL;
        free_items(item);
        return;
    }
}

int coir__ws_pong(coir_ws *ws, const void *data, size_t size)
{
    if (ws->said)
        return -COIR_ECLOSED;
    if (ws->pongs == PONGS)
        forget_pong(ws);
    return queue_frame(ws, COIR__WS_PONG, data, size, true);
}

int coir_ws_ping(coir_ws *ws)
{
    if (ws == NULL)
        return -EINVAL;
    return ws->said ? -COIR_ECLOSED : queue_frame(ws, COIR__WS_PING, "", 0, true);
}

/* A goodbye has not been answered in time. From the loop. */
static void overdue(void *arg)
{
    coir_ws *ws = arg;
    ws->timed = false;
    if (ws->idle)
        (void)coir__ws_cut(ws, -ETIMEDOUT);
}

void coir__ws_forget_goodbye(coir_ws *ws)
{
    if (ws->timed)
        (void)coir_callback_cancel(coir_loop_current(), ws->overdue);
    ws->timed = false;
}

int coir__ws_goodbye(coir_ws *ws, int code, const char *reason, size_t length, bool eagerly)
{
    uint8_t payload[COIR__WS_CONTROL] = {(uint8_t)(code >> 8), (uint8_t)code};
    if (ws->said)
        return 0;
    if (length > 0)
        memcpy(payload + 2, reason, length);
    ws->said = true;
    ws->close_by = coir_now() + ws->config->opts.close_limit;
    /* who waits for the peer does not know of it yet; a wait that is over looks by itself */
    coir_scope *waiting = ws->in != NULL ? ws->in->waiting : NULL;
    if (waiting != NULL && coir_scope_move(waiting, ws->close_by) == -EINVAL)
        return -EINVAL;
    if (ws->idle && eagerly) /* its wait for the peer has begun, and is longer; or drain ends it */
        ws->timed = coir_call_at(coir_loop_current(), ws->close_by, overdue, ws, &ws->overdue) == 0;
    int r = queue_frame(ws, COIR__WS_CLOSE, payload, code != 0 ? 2 + length : 0, eagerly);
    if (r == -ENOMEM) { /* it can be tried again */
        ws->said = false;
        ws->close_by = 0;
        coir__ws_forget_goodbye(ws);
    }
    return r;
}

int coir__ws_flush(coir_ws *ws)
{
    int r = coir_lock_acquire(&ws->lock);
    if (r == -EDEADLK && ws->streaming) { /* of this task, which does not go on with it */
        ws->streaming = false;
        r = 0;
    }
    if (r < 0)
        return r;
    r = flush(ws, false); /* also when the peer was refused */
    (void)coir_lock_release(&ws->lock);
    return r;
}

int coir_ws_shutdown(coir_ws *ws, int code, const char *reason)
{
    uint32_t utf8 = 0;
    size_t length = reason != NULL ? strlen(reason) : 0;
    if (ws == NULL)
        return -EINVAL;
    if ((code != 0 && !coir__ws_is_code((unsigned)code)) || (code == 0 && length > 0))
        return coir_fail(-EINVAL, "%d is no code to be sent", code);
    if (length > COIR__WS_CONTROL - 2 || !coir__ws_utf8(&utf8, reason, length) || utf8 != 0)
        return coir_fail(-EINVAL, "the reason is no UTF-8 of at most 123 bytes");
    if (ws->said)
        return 0;
    coir__ws_hold(ws);
    int r = coir__ws_goodbye(ws, code, reason, length, true);
    if (r == 0)
        r = coir__ws_flush(ws);
    coir__ws_release(ws);
    return r;
}

/* ---- messages ---- */

static int check_kind(coir_ws_kind kind, coir_bytes data)
{
    bool known = kind == COIR_TEXT || kind == COIR_BINARY;
    return known && (data.data != NULL || data.length == 0) ? 0 : -EINVAL;
}

static int check_message(coir_ws_kind kind, coir_bytes data)
{
    uint32_t utf8 = 0;
    int r = check_kind(kind, data);
    if (r == 0 && kind == COIR_TEXT && (!coir__ws_utf8(&utf8, data.data, data.length) || utf8 != 0))
        return coir_fail(-EBADMSG, "the text is not UTF-8");
    return r;
}

/* What a message of that length is packed by, or NULL. */
static struct coir__ws_deflate *packer(const coir_ws *ws, size_t length)
{
    return length >= ws->config->opts.deflate_from ? ws->deflate : NULL;
}

static int send_packed(coir_ws *ws, struct coir__ws_head head, coir_bytes data)
{
    COIR_AUTO(coir_buffer) packed = {0};
    int r = coir__ws_pack(ws->deflate, data, &packed);
    if (r == 0)
        return write_frame(ws, head, data.data);
    if (r > 0) {
        head.length = packed.length;
        head.packed = true;
        r = write_frame(ws, head, packed.data);
    }
    if (r < 0)
        coir__ws_pack_lost(ws->deflate);
    return r;
}

static int send_locked(coir_ws *ws, coir_ws_kind kind, coir_bytes data)
{
    int r = sendable(ws);
    if (r < 0)
        return r;
    if (ws->said)
        return -COIR_ECLOSED;
    struct coir__ws_head head = {.length = data.length, .opcode = (uint8_t)kind, .final = true};
    r = packer(ws, data.length) != NULL ? send_packed(ws, head, data)
                                        : write_frame(ws, head, data.data);
    ws->sent += r == 0;
    return r;
}

int coir_ws_send(coir_ws *ws, coir_ws_kind kind, coir_bytes data)
{
    int r = ws != NULL ? check_message(kind, data) : -EINVAL;
    if (r < 0)
        return r;
    coir__ws_hold(ws);
    r = coir_lock_acquire(&ws->lock);
    if (r == 0) {
        r = send_locked(ws, kind, data);
        (void)coir_lock_release(&ws->lock);
    } else if (r == -EDEADLK) {
        r = coir_fail(-EBUSY, "a message is being sent in pieces");
    }
    coir__ws_release(ws);
    return r;
}

int coir_ws_send_text(coir_ws *ws, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return -ENOMEM;
    int r = coir_ws_send(ws, COIR_TEXT, (coir_bytes){text, (size_t)length});
    free(text);
    return r;
}

int coir_ws_send_json(coir_ws *ws, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(json);
    if (text == NULL)
        return -ENOMEM;
    int r = coir_ws_send(ws, COIR_TEXT, (coir_bytes){text, strlen(text)});
    free(text);
    return r;
}

/* ---- messages in pieces ---- */

/* Checks a piece of a text, which may end within a character unless it is the last one. */
static int check_piece(const coir_ws *ws, coir_bytes data, bool last, uint32_t *ret_utf8)
{
    *ret_utf8 = ws->fragmented ? ws->utf8_sent : 0;
    if (!coir__ws_utf8(ret_utf8, data.data, data.length) || (last && *ret_utf8 != 0))
        return coir_fail(-EBADMSG, "the text is not UTF-8");
    return 0;
}

static int send_piece(coir_ws *ws, coir_ws_kind kind, coir_bytes data, bool last)
{
    uint32_t utf8 = 0;
    int r = sendable(ws);
    if (r == 0 && ws->said)
        r = -COIR_ECLOSED;
    if (r == 0 && kind == COIR_TEXT)
        r = check_piece(ws, data, last, &utf8);
    if (r == 0)
        r = flush(ws, true);
    if (r < 0)
        return r;
    struct coir__ws_head head = {.length = data.length,
                                 .opcode = ws->fragmented ? COIR__WS_CONTINUATION : (uint8_t)kind,
                                 .final = last};
    r = write_frame(ws, head, data.data);
    if (r < 0)
        return r;
    ws->fragmented = !last;
    ws->utf8_sent = utf8;
    ws->sent += last;
    return 0;
}

/* The lock is held from the first piece to the last, or until nothing can be sent any more. */
int coir_ws_send_some(coir_ws *ws, coir_ws_kind kind, coir_bytes data, bool last)
{
    int r = ws != NULL ? check_kind(kind, data) : -EINVAL;
    if (r < 0)
        return r;
    coir__ws_hold(ws);
    r = coir_lock_acquire(&ws->lock);
    bool begins = r == 0;
    if (begins)
        ws->streaming = true;
    if (begins || r == -EDEADLK)
        r = send_piece(ws, kind, data, last);
    if ((r == 0 && last) || (r < 0 && (begins || ws->said || sendable(ws) < 0))) {
        ws->streaming = false;
        (void)coir_lock_release(&ws->lock);
    }
    coir__ws_release(ws);
    return r;
}

/* ---- without waiting ---- */

/* Whether another packet has room in the queue; a peer that is too slow is dealt with. */
static int make_room(coir_ws *ws, size_t size)
{
    int r = sendable(ws);
    if (r < 0)
        return r;
    if (ws->said)
        return -COIR_ECLOSED;
    if (ws->queued + size <= ws->config->opts.queue_limit || ws->queued == 0)
        return 0;
    if (ws->config->opts.slow == COIR_WS_CUT)
        (void)coir__ws_cut(
            ws, coir_fail(-ENOBUFS, "the peer is too slow: %zu bytes wait for it", ws->queued));
    ws->skipped++;
    return -EAGAIN;
}

/* A message by itself, packed or not, as a packet. */
static int make_message(bool client, coir_ws_kind kind, coir_bytes data, bool packed,
                        struct coir__ws_packet **ret_packet)
{
    const struct coir__ws_head head = {
        .length = data.length, .opcode = (uint8_t)kind, .final = true, .packed = packed};
    return make_packet(client, head, data.data, ret_packet);
}

/* Makes a packet of a message for ws alone. */
static int make_own(coir_ws *ws, coir_ws_kind kind, coir_bytes data,
                    struct coir__ws_packet **ret_packet)
{
    COIR_AUTO(coir_buffer) packed = {0};
    /* with context, packets would have to go out in the order in which they were packed */
    bool alone = packer(ws, data.length) != NULL && coir__ws_packs_alone(ws->deflate);
    int r = alone ? coir__ws_pack_alone(data, &packed) : 0;
    if (r < 0)
        return r;
    if (r > 0)
        data = (coir_bytes){packed.data, packed.length};
    return make_message(ws->client, kind, data, r > 0, ret_packet);
}

static int try_send(coir_ws *ws, coir_ws_kind kind, coir_bytes data)
{
    struct coir__ws_packet *packet;
    int r = make_room(ws, data.length);
    if (r == 0)
        r = make_own(ws, kind, data, &packet);
    if (r < 0)
        return r;
    r = queue(ws, packet, true);
    ws->sent += r == 0;
    release_packet(packet);
    return r;
}

int coir_ws_try_send(coir_ws *ws, coir_ws_kind kind, coir_bytes data)
{
    int r = ws != NULL ? check_message(kind, data) : -EINVAL;
    if (r < 0)
        return r;
    coir__ws_hold(ws);
    r = try_send(ws, kind, data);
    coir__ws_release(ws);
    return r;
}

/* ---- broadcasts ---- */

/* What a broadcast has made of its message, as it was needed. */
struct encodings {
    coir_ws_kind kind;
    coir_bytes data;
    struct coir__ws_packet *plain, *packed;
    bool unpackable; /* it would be no shorter */
};

static int encode_plain(struct encodings *made)
{
    return made->plain != NULL ? 0
                               : make_message(false, made->kind, made->data, false, &made->plain);
}

static int encode_packed(struct encodings *made)
{
    if (made->packed != NULL || made->unpackable)
        return 0;
    COIR_AUTO(coir_buffer) packed = {0};
    int r = coir__ws_pack_alone(made->data, &packed);
    made->unpackable = r == 0;
    return r > 0 ? make_message(false, made->kind, (coir_bytes){packed.data, packed.length}, true,
                                &made->packed)
                 : r;
}

static int broadcast_masked(coir_ws *ws, const struct encodings *made)
{
    struct coir__ws_packet *packet;
    int r = make_room(ws, made->data.length);
    if (r == 0)
        r = make_own(ws, made->kind, made->data, &packet);
    if (r < 0)
        return r;
    r = append(ws, packet);
    ws->sent += r == 0;
    release_packet(packet);
    return r;
}

static int broadcast_to(coir_ws *ws, struct encodings *made)
{
    struct coir__ws_packet *packet = NULL;
    int r = 0;
    if (ws->client) /* whose frames have a mask each */
        return broadcast_masked(ws, made);
    bool packs = packer(ws, made->data.length) != NULL && coir__ws_packs_alone(ws->deflate);
    if (packs) {
        r = encode_packed(made);
        packet = made->packed;
    }
    if (r == 0 && packet == NULL) {
        r = encode_plain(made);
        packet = made->plain;
    }
    if (r == 0)
        r = make_room(ws, packet->size);
    if (r == 0)
        r = append(ws, packet);
    ws->sent += r == 0;
    return r;
}

/* Queues the message for all sockets, and holds in targets those that it is to be sent to. Nothing
 * else runs meanwhile. Returns how many they are, or -ENOMEM. */
static int queue_for_all(coir_ws_room *room, struct encodings *made, const coir_ws *except,
                         coir_ws **targets)
{
    int count = 0;
    for (struct coir__ws_member *at = room->coir__first; at != NULL; at = at->next) {
        if (at->ws == except)
            continue;
        int r = broadcast_to(at->ws, made);
        if (r == 0)
            targets[count++] = coir__ws_hold(at->ws);
        if (r == -ENOMEM)
            return count > 0 ? count : r;
    }
    return count;
}

/* The sockets are known and held before the first of them is written to, since other tasks may run
 * then, and end what they like. */
int coir_ws_broadcast(coir_ws_room *room, coir_ws_kind kind, coir_bytes data, const coir_ws *except)
{
    int r = room != NULL ? check_message(kind, data) : -EINVAL;
    if (r < 0 || room->coir__count == 0)
        return r;
    coir_ws **targets = coir_calloc(room->coir__count, sizeof *targets);
    if (targets == NULL)
        return -ENOMEM;
    struct encodings made = {.kind = kind, .data = data};
    int count = queue_for_all(room, &made, except, targets);
    for (int i = 0; i < count; i++) {
        (void)start_writer(targets[i], true); /* without memory it goes with the next one */
        coir__ws_release(targets[i]);
    }
    coir_free(targets);
    if (made.plain != NULL)
        release_packet(made.plain);
    if (made.packed != NULL)
        release_packet(made.packed);
    return count;
}
