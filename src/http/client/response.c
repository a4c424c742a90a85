/* response.c: responses: their heads, and their bodies, read whole or bit by bit, unpacked.
 *
 * A response holds its connection until the end of the body was read. Then, or when it is closed,
 * the connection goes back to the pool if nothing of the exchange is left on it, in peace also if
 * it was the last one, and else is discarded. Called by programs and send.c.
 */
#include "session.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <jansson.h>

#include <coir/memory.h>

enum { PIECE = 16 << 10 }; /* of a body that is read as a whole; the most that a spare one keeps */

/* ---- records ---- */

coir_http_response *coir__http_response_make(coir_http_session *session, const coir_site *site)
{
    coir_http_response *response = COIR_TAKE(session->spare);
    if (response == NULL)
        response = coir_calloc(1, sizeof *response);
    if (response == NULL)
        return NULL;
    response->session = session;
    response->site = site;
    response->next = session->responses;
    if (response->next != NULL)
        response->next->previous = response;
    session->responses = response;
    session->stats.responses++;
    return response;
}

/* Whether nothing of the exchange is left on the connection, and it still speaks HTTP. */
static bool is_complete(const coir_http_response *response)
{
    return response->body.over && response->body.failed == 0 && response->head.status != 101;
}

/* Whether something has come behind the response, which would be taken for the next one. Of a
 * connection that is kept, what the kernel has is seen before it is used again. */
static bool has_leftover(const coir_http_response *response, bool kept)
{
    const struct coir__http_link *link = response->pooled->connection;
    size_t unread = 0;
    int key = kept ? COIR_QUERY_HELD : COIR_QUERY_UNREAD;
    return coir_stream_query(link->stream, key, &unread) == 0 && unread > 0;
}

/* Abruptly, the peer could lose what it has not read yet. */
static void give_back(coir_http_response *response)
{
    if (response->pooled == NULL)
        return;
    bool kept = response->head.keep_alive && response->body.framing != COIR__HTTP_TO_THE_END;
    bool complete = is_complete(response) && !has_leftover(response, kept);
    coir_pooled *pooled = COIR_TAKE(response->pooled);
    if (!complete)
        coir_pool_discard(pooled);
    else if (kept)
        coir_pool_release(pooled);
    else
        coir_pool_retire(pooled);
}

void coir__http_response_free(coir_http_response *response)
{
    if (response == NULL)
        return;
    coir__http_head_free(&response->head);
    coir_buffer_close(&response->url);
    coir_buffer_close(&response->whole);
    coir_free(response);
}

void coir__http_response_detach(coir_http_response *response)
{
    coir_http_session *session = response->session;
    if (session == NULL)
        return;
    give_back(response);
    *(response->previous != NULL ? &response->previous->next : &session->responses) =
        response->next;
    if (response->next != NULL)
        response->next->previous = response->previous;
    session->stats.responses--;
    response->session = NULL;
}

void coir__http_response_keep_hops(coir_http_response *response, coir_http_hop *hops, size_t count)
{
    coir__http_free_hops(response->hops, response->hop_count);
    response->hops = hops;
    response->hop_count = hops != NULL ? count : 0;
}

void coir__http_free_hops(coir_http_hop *hops, size_t count)
{
    for (size_t i = 0; hops != NULL && i < count; i++)
        coir_free((char *)(uintptr_t)hops[i].url);
    coir_free(hops);
}

int coir__http_response_begin(coir_http_response *response, const char *method)
{
    struct coir__http_link *link = response->pooled->connection;
    coir__http_body_begin(&response->body, link->stream, &response->head, method);
    response->ended = response->body.over;
    response->there = true;
    coir__http_tell_response(response, (coir_http_event){.phase = COIR_HTTP_ANSWERED});
    if (response->ended && response->head.status != 101) {
        give_back(response);
        coir__http_tell_response(response, (coir_http_event){.phase = COIR_HTTP_ENDED});
    }
    const char *coding = coir_http_header_get(response->head.headers, "Content-Encoding");
    if (response->session->opts.no_compression || response->ended || coding == NULL)
        return 0;
    int r = coir__unpack_open(coding, &response->unpack);
    return r < 0 ? r : 0;
}

int coir_http_response_upgraded(coir_http_response *response, coir_stream **ret_stream)
{
    if (response == NULL || ret_stream == NULL)
        return -EINVAL;
    if (response->head.status != 101 || response->pooled == NULL)
        return coir_fail(-EPROTO, "the server has not changed the protocol");
    struct coir__http_link *link = response->pooled->connection;
    *ret_stream = COIR_TAKE(link->stream);
    coir_pool_discard(COIR_TAKE(response->pooled));
    return 0;
}

/* A short rest that is there already is read away, so that the connection can be kept. */
static void drain(coir_http_response *response)
{
    enum { SHORT = 4 };
    COIR_SCOPE(moment, COIR_MS(1)); /* for the end of a chunk that has not come */
    coir_bytes bytes;
    size_t unread = 1;
    for (int i = 0; i < SHORT && unread > 0 && !response->body.over; i++) {
        if (coir_stream_query(response->body.stream, COIR_QUERY_UNREAD, &unread) < 0 ||
            unread == 0 || coir__http_body_peek(&response->body, &bytes) <= 0)
            return;
        coir__http_body_take(&response->body, bytes.length);
    }
}

void coir_http_response_close(coir_http_response *response)
{
    if (response == NULL)
        return;
    coir_http_session *session = response->session;
    if (response->pooled != NULL && !response->body.over && response->body.failed == 0)
        drain(response);
    coir__http_response_detach(response);
    coir__unpack_close(response->unpack);
    coir__http_free_hops(response->hops, response->hop_count);
    if (session == NULL || session->spare != NULL) {
        coir__http_response_free(response);
        return;
    }
    if (response->whole.capacity > PIECE)
        coir_buffer_close(&response->whole);
    memset(response, 0, offsetof(struct coir_http_response, url));
    response->url.length = response->whole.length = 0;
    session->spare = response;
}

/* ---- heads ---- */

int coir_http_response_status(const coir_http_response *response)
{
    return response->head.status;
}

const char *coir_http_response_reason(const coir_http_response *response)
{
    return response->head.reason;
}

const coir_http_hop *coir_http_response_history(const coir_http_response *response,
                                                size_t *ret_count)
{
    *ret_count = response->hop_count;
    return response->hops;
}

const char *coir_http_response_header(const coir_http_response *response, const char *name)
{
    return coir_http_header_get(response->head.headers, name);
}

const coir_http_header *coir_http_response_headers(const coir_http_response *response)
{
    return response->head.headers;
}

const char *coir_http_response_url(const coir_http_response *response)
{
    return coir_buffer_text(&response->url);
}

/* ---- bodies ---- */

static int peek(coir_http_response *response, coir_bytes *ret_bytes)
{
    if (response->body.over)
        return 0; /* a deadline is not free */
    COIR_SCOPE(silence, response->session->opts.read_limit);
    int r = coir__http_body_peek(&response->body, ret_bytes);
    coir_scope_leave(&silence);
    if (r == -ETIME && coir_scope_expired(&silence))
        return coir_fail(-ETIMEDOUT, "%s: the server says nothing more",
                         coir_buffer_text(&response->url));
    return r;
}

static int read_plain(coir_http_response *response, void *data, size_t size, size_t *ret_n)
{
    coir_bytes bytes;
    int r = peek(response, &bytes);
    if (r <= 0)
        return r;
    *ret_n = bytes.length < size ? bytes.length : size;
    memcpy(data, bytes.data, *ret_n);
    coir__http_body_take(&response->body, *ret_n);
    return 1;
}

/* What is still inside the unpacker comes first: it may have more to give than it was given. */
static int read_packed(coir_http_response *response, void *data, size_t size, size_t *ret_n)
{
    static const char nothing[1];
    coir_bytes bytes = {nothing, 0};
    size_t used;
    for (;;) {
        int r = coir__unpack_some(response->unpack, bytes, data, size, &used, ret_n);
        if (bytes.length > 0)
            coir__http_body_take(&response->body, used);
        if (r < 0 || *ret_n > 0)
            return r < 0 ? r : 1;
        int more = peek(response, &bytes);
        if (more < 0)
            return more;
        if (more == 0)
            return r == 0 ? 0 : coir_fail(-COIR_EHTTP, "the packed body ends too early");
        if (r == 0 && !coir__unpack_next(response->unpack))
            return coir_fail(-COIR_EHTTP, "there is something behind the packed body");
    }
}

int coir_http_response_read_some(coir_http_response *response, void *data, size_t size,
                                 size_t *ret_n)
{
    if (response == NULL || data == NULL || size == 0 || ret_n == NULL)
        return -EINVAL;
    if (response->ended)
        return 0;
    if (response->session == NULL)
        return -COIR_ECLOSED;
    if (response->session->loop != coir_loop_current())
        return -COIR_EWRONGLOOP;
    int r = response->unpack != NULL ? read_packed(response, data, size, ret_n)
                                     : read_plain(response, data, size, ret_n);
    response->ended = r == 0;
    coir_http_phase phase = r > 0 ? COIR_HTTP_CHUNK : r == 0 ? COIR_HTTP_ENDED : COIR_HTTP_FAILED;
    coir__http_tell_response(response,
                             (coir_http_event){.phase = phase,
                                               .bytes = r > 0 ? *ret_n : 0,
                                               .code = r < 0 ? r : 0,
                                               .text = r < 0 ? coir_last_message(r) : NULL});
    if (r == 0 || response->body.over)
        give_back(response);
    return r;
}

/* How much room the next read of the whole body wants: what is left, where that is known. */
static size_t room_for(const coir_http_response *response)
{
    const struct coir__http_body *body = &response->body;
    bool known = response->unpack == NULL && body->framing == COIR__HTTP_LENGTH;
    return known && body->left < PIECE ? (size_t)body->left + 1 : PIECE;
}

static int read_whole(coir_http_response *response)
{
    coir_buffer *whole = &response->whole;
    int r = 1;
    if (response->session != NULL &&
        __builtin_add_overflow(response->session->opts.body_limit, PIECE, &whole->limit))
        whole->limit = SIZE_MAX;
    while (r > 0) {
        size_t n = 0, room = room_for(response);
        COIR_TRY(coir_buffer_reserve(whole, room));
        r = coir_http_response_read_some(response, whole->data + whole->length, room, &n);
        whole->length += r > 0 ? n : 0;
        whole->data[whole->length] = '\0';
        if (whole->length > whole->limit - PIECE)
            return coir_fail(-COIR_ETOOLONG, "the body is longer than %zu bytes",
                             whole->limit - PIECE);
    }
    return r;
}

int coir_http_response_read(coir_http_response *response, coir_bytes *ret_body)
{
    if (response == NULL || ret_body == NULL)
        return -EINVAL;
    if (!response->read)
        COIR_TRY(read_whole(response));
    response->read = true;
    *ret_body = (coir_bytes){response->whole.data, response->whole.length};
    return 0;
}

int coir_http_response_json(coir_http_response *response, json_t **ret_json)
{
    coir_bytes body;
    if (ret_json == NULL)
        return -EINVAL;
    COIR_TRY(coir_http_response_read(response, &body));
    return coir__http_load_json(body, ret_json);
}
