/* deflate.c: compressed messages: what both ends agree on, packing, unpacking.
 *
 * As a rule each message is packed by itself, so that nothing is kept between two of them: zlib's
 * state is made for a message, with a window no longer than that, and given back. With context it
 * stays. Unpacking goes in steps, and stops at the first that exceeds the limit of a message, or
 * makes more of it than what was packed is allowed to become. Called by socket.c, send.c,
 * server.c, client.c.
 */
#include "ws.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include <zlib.h>

#include <coir/memory.h>

enum {
    LEAST_BITS = 9, /* that zlib packs with */
    LEVEL = 3,      /* of 9: messages are short, and somebody waits for them */
    STEP = 16 << 10,
    PIECE = 64 << 10, /* that is packed at once */
    FREE_OF_RATIO = 64 << 10,
};

static const uint8_t tail[4] = {0, 0, 0xff, 0xff}; /* that each packed message is sent without */

struct coir__ws_deflate {
    struct coir__ws_terms terms;
    unsigned ratio;
    bool packs, unpacks; /* its state is there */
    z_stream pack, unpack;
    uint64_t packed, unpacked; /* of the message that is being unpacked */
};

/* ---- what is offered and agreed on: section 7.1 ---- */

/* One extension of a list. */
struct extension {
    bool is_ours, wrong;
    bool server_alone, client_alone;
    int server_bits, client_bits; /* 0: not there; -1: without a value */
};

static bool is_separator(char c)
{
    return c == '\0' || c == ',' || c == ';' || c == '=' || c == ' ' || c == '\t' || c == '"';
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/* A token at *at, which is passed. Returns its length. */
static size_t read_token(const char **at, const char **ret_token)
{
    *at = skip_blanks(*at);
    *ret_token = *at;
    while (!is_separator(**at))
        ++*at;
    size_t length = (size_t)(*at - *ret_token);
    *at = skip_blanks(*at);
    return length;
}

static bool is_token(const char *token, size_t length, const char *name)
{
    return length == strlen(name) && coir__http_alike_start(token, name, length);
}

/* 8 to 15, in digits, maybe in quotes; 0 for anything else. */
static int read_bits(const char **at)
{
    const char *token;
    *at = skip_blanks(*at);
    bool quoted = **at == '"';
    *at += quoted;
    size_t length = read_token(at, &token);
    if (quoted && *(*at)++ != '"')
        return --*at, 0;
    *at = skip_blanks(*at);
    int bits = length == 1 ? token[0] - '0' : 0;
    if (length == 2 && token[0] == '1')
        bits = 10 + token[1] - '0';
    return bits >= 8 && bits <= 15 ? bits : 0;
}

static void read_parameter(struct extension *extension, const char **at)
{
    const char *token;
    size_t length = read_token(at, &token);
    bool server_bits = is_token(token, length, "server_max_window_bits");
    bool client_bits = is_token(token, length, "client_max_window_bits");
    bool server_alone = is_token(token, length, "server_no_context_takeover");
    bool client_alone = is_token(token, length, "client_no_context_takeover");
    bool valued = **at == '=';
    int bits = -1;
    if (valued) {
        ++*at;
        bits = read_bits(at);
    }
    bool twice = (server_bits && extension->server_bits != 0) ||
                 (client_bits && extension->client_bits != 0) ||
                 (server_alone && extension->server_alone) ||
                 (client_alone && extension->client_alone);
    bool known = server_bits || client_bits || server_alone || client_alone;
    extension->wrong |= !known || twice || bits == 0 ||
                        (valued && (server_alone || client_alone)) || (server_bits && !valued);
    if (server_bits)
        extension->server_bits = bits;
    if (client_bits)
        extension->client_bits = bits;
    extension->server_alone |= server_alone;
    extension->client_alone |= client_alone;
}

/* Reads the next extension of a list. Returns false at the end of it. */
static bool read_extension(const char **at, struct extension *ret_extension)
{
    const char *token;
    *ret_extension = (struct extension){0};
    while (**at == ',' || **at == ' ' || **at == '\t')
        ++*at;
    if (**at == '\0')
        return false;
    size_t length = read_token(at, &token);
    ret_extension->is_ours = is_token(token, length, "permessage-deflate");
    while (**at == ';') {
        ++*at;
        read_parameter(ret_extension, at);
    }
    ret_extension->wrong |= **at != ',' && **at != '\0';
    *at += strcspn(*at, ",");
    return true;
}

static uint8_t own_bits(const coir_ws_opts *opts)
{
    return opts->window_bits != 0 ? opts->window_bits : MAX_WBITS;
}

static uint8_t lesser(int bits, uint8_t own)
{
    return bits > 0 && bits < own ? (uint8_t)bits : own;
}

static int put_answer(const struct extension *offer, const struct coir__ws_terms *terms,
                      coir_buffer *out)
{
    char text[192];
    int length = snprintf(text, sizeof text, "permessage-deflate%s%s",
                          terms->pack_alone ? "; server_no_context_takeover" : "",
                          terms->unpack_alone ? "; client_no_context_takeover" : "");
    size_t n = (size_t)length;
    if (offer->server_bits != 0)
        n += (size_t)snprintf(text + n, sizeof text - n, "; server_max_window_bits=%d",
                              terms->pack_bits);
    if (offer->client_bits != 0)
        n += (size_t)snprintf(text + n, sizeof text - n, "; client_max_window_bits=%d",
                              terms->unpack_bits);
    return coir_buffer_append(out, text, n);
}

int coir__ws_deflate_accept(const char *offers, const coir_ws_opts *opts,
                            struct coir__ws_terms *ret_terms, coir_buffer *ret_answer)
{
    struct extension offer;
    *ret_terms = (struct coir__ws_terms){0};
    while (opts->deflate != COIR_WS_DEFLATE_OFF && read_extension(&offers, &offer)) {
        if (!offer.is_ours || offer.wrong)
            continue;
        bool alone = opts->deflate != COIR_WS_DEFLATE_CONTEXT;
        *ret_terms = (struct coir__ws_terms){
            .used = true,
            .pack_alone = alone || offer.server_alone,
            .unpack_alone = alone || offer.client_alone,
            .pack_bits = lesser(offer.server_bits, own_bits(opts)),
            /* a client that does not speak of its window may use all of it */
            .unpack_bits =
                offer.client_bits != 0 ? lesser(offer.client_bits, own_bits(opts)) : MAX_WBITS};
        return put_answer(&offer, ret_terms, ret_answer);
    }
    return 0;
}

int coir__ws_deflate_offer(const coir_ws_opts *opts, coir_buffer *ret_offer)
{
    char text[192];
    size_t n = (size_t)snprintf(text, sizeof text, "permessage-deflate; client_max_window_bits%s",
                                opts->deflate == COIR_WS_DEFLATE_CONTEXT
                                    ? ""
                                    : "; server_no_context_takeover; client_no_context_takeover");
    if (own_bits(opts) < MAX_WBITS)
        n += (size_t)snprintf(text + n, sizeof text - n, "; server_max_window_bits=%d",
                              own_bits(opts));
    return coir_buffer_append(ret_offer, text, n);
}

const char *coir__ws_deflate_agree(const char *answer, const coir_ws_opts *opts,
                                   struct coir__ws_terms *ret_terms)
{
    struct extension agreed, more;
    bool alone = opts->deflate != COIR_WS_DEFLATE_CONTEXT;
    *ret_terms = (struct coir__ws_terms){0};
    if (!read_extension(&answer, &agreed))
        return NULL;
    if (opts->deflate == COIR_WS_DEFLATE_OFF || !agreed.is_ours || read_extension(&answer, &more))
        return "the server uses an extension that it was not offered";
    if (agreed.wrong || agreed.client_bits < 0)
        return "the parameters of permessage-deflate are wrong";
    if (alone && !agreed.server_alone)
        return "the server wants to keep the context of packed messages";
    if (own_bits(opts) < MAX_WBITS &&
        (agreed.server_bits == 0 || agreed.server_bits > own_bits(opts)))
        return "the server wants a larger window than it was offered";
    *ret_terms = (struct coir__ws_terms){.used = true,
                                         .pack_alone = alone || agreed.client_alone,
                                         .unpack_alone = agreed.server_alone,
                                         .pack_bits = lesser(agreed.client_bits, own_bits(opts)),
                                         .unpack_bits = lesser(agreed.server_bits, MAX_WBITS)};
    return NULL;
}

/* ---- opening and closing ---- */

static void *take_items(void *arg, unsigned count, unsigned size)
{
    (void)arg;
    return coir_alloc((size_t)count * size);
}

static void give(void *arg, void *block)
{
    (void)arg;
    coir_free(block);
}

struct coir__ws_deflate *coir__ws_deflate_open(const struct coir__ws_terms *terms, unsigned ratio)
{
    struct coir__ws_deflate *deflate = coir_calloc(1, sizeof *deflate);
    if (deflate != NULL) {
        deflate->terms = *terms;
        deflate->ratio = ratio;
    }
    return deflate;
}

static void end_unpacking(struct coir__ws_deflate *deflate)
{
    if (deflate->unpacks)
        (void)inflateEnd(&deflate->unpack);
    deflate->unpacks = false;
}

void coir__ws_deflate_close(struct coir__ws_deflate *deflate)
{
    if (deflate == NULL)
        return;
    end_unpacking(deflate);
    if (deflate->packs)
        (void)deflateEnd(&deflate->pack);
    coir_free(deflate);
}

bool coir__ws_packs_alone(const struct coir__ws_deflate *deflate)
{
    return deflate->terms.pack_alone && deflate->terms.pack_bits == MAX_WBITS;
}

/* ---- unpacking: section 7.2.2 ---- */

static int unpack_step(struct coir__ws_deflate *deflate, size_t limit, coir_buffer *out)
{
    z_stream *unpack = &deflate->unpack;
    size_t room = limit - out->length < STEP ? limit - out->length + 1 : STEP;
    COIR_TRY(coir_buffer_reserve(out, room));
    unpack->next_out = (uint8_t *)out->data + out->length;
    unpack->avail_out = (unsigned)room;
    unsigned before = unpack->avail_in;
    int r = inflate(unpack, Z_SYNC_FLUSH);
    size_t made = room - unpack->avail_out;
    deflate->packed += before - unpack->avail_in;
    deflate->unpacked += made;
    out->length += made;
    out->data[out->length] = '\0';
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return coir_fail(-EBADMSG, "a message that cannot be unpacked");
    if (out->length > limit)
        return coir_fail(-COIR_ETOOLONG, "a message of more than %zu bytes", limit);
    if (deflate->unpacked > FREE_OF_RATIO && deflate->unpacked / deflate->ratio > deflate->packed)
        return coir_fail(-COIR_ETOOLONG, "a message that becomes %u times as long unpacked",
                         deflate->ratio);
    /* a stream may end within a message: another follows, with the window where it is, since who
     * sends nothing but such ends would have it copied for every two bytes */
    return r == Z_STREAM_END && inflateResetKeep(unpack) != Z_OK ? -EBADMSG : 0;
}

/* zlib has more to give as long as it fills the room, and takes all else. */
static int unpack_bytes(struct coir__ws_deflate *deflate, const void *data, size_t size,
                        size_t limit, coir_buffer *out)
{
    z_stream *unpack = &deflate->unpack;
    unpack->next_in = (uint8_t *)(uintptr_t)data;
    unpack->avail_in = (unsigned)size;
    do {
        COIR_TRY(unpack_step(deflate, limit, out));
    } while (unpack->avail_in > 0 || unpack->avail_out == 0);
    return 0;
}

static int unpack_all(struct coir__ws_deflate *deflate, coir_bytes bytes, size_t limit,
                      coir_buffer *out)
{
    const char *data = bytes.data;
    for (size_t piece; bytes.length > 0; data += piece, bytes.length -= piece) {
        piece = bytes.length < INT_MAX ? bytes.length : INT_MAX;
        COIR_TRY(unpack_bytes(deflate, data, piece, limit, out));
    }
    return 0;
}

int coir__ws_unpack(struct coir__ws_deflate *deflate, coir_bytes bytes, bool last, size_t limit,
                    coir_buffer *out)
{
    if (!deflate->unpacks) {
        deflate->unpack = (z_stream){.zalloc = take_items, .zfree = give};
        if (inflateInit2(&deflate->unpack, -deflate->terms.unpack_bits) != Z_OK)
            return -ENOMEM;
        deflate->unpacks = true;
    }
    COIR_TRY(unpack_all(deflate, bytes, limit, out));
    if (!last)
        return 0;
    COIR_TRY(unpack_bytes(deflate, tail, sizeof tail, limit, out));
    deflate->packed = deflate->unpacked = 0;
    if (deflate->terms.unpack_alone)
        end_unpacking(deflate);
    return 0;
}

/* ---- packing: section 7.2.1 ---- */

/* A window of bits, and as much of the rest of zlib's state as belongs to it. */
static int begin_packing(z_stream *pack, int bits)
{
    *pack = (z_stream){.zalloc = take_items, .zfree = give};
    int level = bits - 6 < MAX_MEM_LEVEL - 1 ? bits - 6 : MAX_MEM_LEVEL - 1;
    return deflateInit2(pack, LEVEL, Z_DEFLATED, -bits, level, Z_DEFAULT_STRATEGY) == Z_OK
               ? 0
               : -ENOMEM;
}

/* What zlib needs to reach back to the first byte of a message from its last one. */
static int bits_for(size_t length, int most)
{
    enum { LOOK_AHEAD = 262 };
    int bits = LEAST_BITS;
    while (bits < most && ((size_t)1 << bits) < length + LOOK_AHEAD)
        bits++;
    return bits;
}

/* Packs some of a message; last ends it. */
static int pack_piece(z_stream *pack, size_t size, bool last)
{
    pack->avail_in = (unsigned)size;
    bool good = deflate(pack, last ? Z_SYNC_FLUSH : Z_NO_FLUSH) == Z_OK && pack->avail_out > 0;
    return good ? 0 : -ENOMEM;
}

/* If it yields, others have their turns between two pieces. */
static int pack_bytes(z_stream *pack, coir_bytes bytes, bool yields, coir_buffer *out)
{
    size_t bound = deflateBound(pack, bytes.length) + 16; /* and the flush */
    if (bytes.length > INT_MAX || bound > UINT_MAX)
        return 0;
    COIR_TRY(coir_buffer_reserve(out, bound));
    pack->next_in = (uint8_t *)(uintptr_t)bytes.data;
    pack->next_out = (uint8_t *)out->data + out->length;
    pack->avail_out = (unsigned)bound;
    size_t left = bytes.length;
    for (; left > PIECE; left -= PIECE) {
        COIR_TRY(pack_piece(pack, PIECE, false));
        if (yields)
            COIR_TRY(coir_yield());
    }
    COIR_TRY(pack_piece(pack, left, true));
    out->length += bound - pack->avail_out - sizeof tail;
    out->data[out->length] = '\0';
    return 1;
}

static int pack_alone(int bits, coir_bytes bytes, bool yields, coir_buffer *out)
{
    z_stream pack;
    size_t before = out->length;
    COIR_TRY(begin_packing(&pack, bits_for(bytes.length, bits)));
    int r = pack_bytes(&pack, bytes, yields, out);
    (void)deflateEnd(&pack);
    if (r > 0 && out->length - before >= bytes.length) {
        out->length = before;
        return 0;
    }
    return r;
}

int coir__ws_pack_alone(coir_bytes bytes, coir_buffer *out)
{
    return pack_alone(MAX_WBITS, bytes, false, out);
}

int coir__ws_pack(struct coir__ws_deflate *deflate, coir_bytes bytes, coir_buffer *out)
{
    if (deflate->terms.pack_bits < LEAST_BITS)
        return 0;
    if (deflate->terms.pack_alone)
        return pack_alone(deflate->terms.pack_bits, bytes, true, out);
    if (!deflate->packs)
        COIR_TRY(begin_packing(&deflate->pack, deflate->terms.pack_bits));
    deflate->packs = true;
    return pack_bytes(&deflate->pack, bytes, true, out);
}

void coir__ws_pack_lost(struct coir__ws_deflate *deflate)
{
    if (deflate->packs)
        (void)deflateReset(&deflate->pack);
}
