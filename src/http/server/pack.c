/* pack.c: packing bodies, piece by piece: gzip by zlib, br by brotli, zstd.
 *
 * A packer is costly to make, so an application keeps one of each coding that is not in use.
 * Brotli's cannot be begun again, so it is made anew, of the memory of the last one. Windows are
 * smaller than the libraries would have them, since a reply that is made bit by bit holds its
 * packer for as long as it takes. The way back is client/unpack.c. Called by reply.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stddef.h>

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include <coir/memory.h>

#include "app.h"

/* What a client and a loop can afford: about 100 KiB of memory for gzip, 800 for zstd, 600 to 2,200
 * for br, and 20 to 100 MB a second. */
enum { GZIP_LEVEL = 5, GZIP_WINDOW = 14, GZIP_MEMORY = 7 };
enum { BROTLI_LEVEL = 4, BROTLI_WINDOW = 17 };
enum { ZSTD_LEVEL = 3, ZSTD_WINDOW = 17 };
enum { ROOM = 4096 };
enum { KEPT_LEAST = 4 << 10, KEPT_MOST = 2 << 20 }; /* bytes of a block that is kept; of all */

/* A block of brotli's. Its encoder ends the process when it gets none (Debian builds it so), and
 * so the allocator does not return then, but jumps to where brotli was called; then all of its
 * blocks are given back. Large ones that the encoder has freed are kept for the next one: they
 * would be pages of the kernel's, that are cleared for each reply. */
struct block {
    _Alignas(max_align_t) struct block *next;
    struct block *previous;
    size_t size;
};

struct coir__pack {
    enum coir__http_coding coding;
    z_stream zlib;
    ZSTD_CCtx *zstd;
    BrotliEncoderState *brotli;
    struct block used, kept; /* rings */
    size_t kept_size;        /* bytes in the second one */
    jmp_buf no_memory;
};

static void *take_items(void *arg, unsigned count, unsigned size)
{
    (void)arg;
    return coir_calloc(count, size);
}

static void give(void *arg, void *data)
{
    (void)arg;
    coir_free(data);
}

static void put_in(struct block *ring, struct block *block)
{
    block->next = ring->next;
    block->previous = ring;
    block->next->previous = block->previous->next = block;
}

static void take_out(struct block *block)
{
    block->next->previous = block->previous;
    block->previous->next = block->next;
}

/* The smallest block that is large enough, of those that are kept; NULL. */
static struct block *take_kept(struct coir__pack *pack, size_t size)
{
    struct block *best = NULL;
    for (struct block *at = pack->kept.next; at != &pack->kept; at = at->next)
        if (at->size >= size && at->size / 2 <= size && (best == NULL || at->size < best->size))
            best = at;
    if (best != NULL) {
        take_out(best);
        pack->kept_size -= best->size;
    }
    return best;
}

static void *take_block(void *arg, size_t size)
{
    struct coir__pack *pack = arg;
    struct block *block = size >= KEPT_LEAST ? take_kept(pack, size) : NULL;
    if (block == NULL) {
        block = coir_alloc(sizeof *block + size);
        if (block == NULL)
            longjmp(pack->no_memory, 1);
        block->size = size;
    }
    put_in(&pack->used, block);
    return block + 1;
}

static void give_block(void *arg, void *data)
{
    struct coir__pack *pack = arg;
    struct block *block = data;
    if (data == NULL)
        return;
    block--;
    take_out(block);
    if (block->size < KEPT_LEAST || block->size > KEPT_MOST - pack->kept_size) {
        coir_free(block);
        return;
    }
    put_in(&pack->kept, block);
    pack->kept_size += block->size;
}

static void free_all(struct block *ring)
{
    while (ring->next != ring) {
        struct block *block = ring->next;
        take_out(block);
        coir_free(block);
    }
}

static void lose_brotli(struct coir__pack *pack)
{
    free_all(&pack->used);
    pack->brotli = NULL;
}

/* ---- making and keeping ---- */

static bool begin_brotli(struct coir__pack *pack)
{
    if (setjmp(pack->no_memory) != 0) {
        lose_brotli(pack);
        return false;
    }
    pack->brotli = BrotliEncoderCreateInstance(take_block, give_block, pack);
    return pack->brotli != NULL &&
           BrotliEncoderSetParameter(pack->brotli, BROTLI_PARAM_QUALITY, BROTLI_LEVEL) &&
           BrotliEncoderSetParameter(pack->brotli, BROTLI_PARAM_LGWIN, BROTLI_WINDOW);
}

static bool begin_zstd(struct coir__pack *pack)
{
    pack->zstd = ZSTD_createCCtx();
    return pack->zstd != NULL &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(pack->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(pack->zstd, ZSTD_c_windowLog, ZSTD_WINDOW));
}

static bool begin(struct coir__pack *pack)
{
    switch (pack->coding) {
    case COIR__HTTP_BROTLI: return begin_brotli(pack);
    case COIR__HTTP_ZSTD: return begin_zstd(pack);
    default:
        pack->zlib.zalloc = take_items;
        pack->zlib.zfree = give;
        return deflateInit2(&pack->zlib, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW + 16, GZIP_MEMORY,
                            Z_DEFAULT_STRATEGY) == Z_OK;
    }
}

int coir__pack_take(coir_http_app *app, enum coir__http_coding coding, struct coir__pack **ret_pack)
{
    struct coir__pack *pack = COIR_TAKE(app->packs[coding]);
    if (pack == NULL) {
        pack = coir_calloc(1, sizeof *pack);
        if (pack == NULL)
            return -ENOMEM;
        pack->coding = coding;
        pack->used.next = pack->used.previous = &pack->used;
        pack->kept.next = pack->kept.previous = &pack->kept;
        if (!begin(pack)) {
            coir__pack_free(pack);
            return -ENOMEM;
        }
    }
    *ret_pack = pack;
    return 0;
}

void coir__pack_free(struct coir__pack *pack)
{
    if (pack == NULL)
        return;
    if (pack->coding == COIR__HTTP_GZIP)
        (void)deflateEnd(&pack->zlib);
    if (pack->brotli != NULL)
        BrotliEncoderDestroyInstance(pack->brotli);
    free_all(&pack->kept);
    (void)ZSTD_freeCCtx(pack->zstd);
    coir_free(pack);
}

static bool begin_brotli_again(struct coir__pack *pack)
{
    if (pack->brotli == NULL)
        return false;
    BrotliEncoderDestroyInstance(COIR_TAKE(pack->brotli));
    return begin_brotli(pack);
}

/* Whether it can be used again, from the beginning. */
static bool reset(struct coir__pack *pack)
{
    switch (pack->coding) {
    case COIR__HTTP_BROTLI: return begin_brotli_again(pack);
    case COIR__HTTP_ZSTD:
        return !ZSTD_isError(ZSTD_CCtx_reset(pack->zstd, ZSTD_reset_session_only));
    default: return deflateReset(&pack->zlib) == Z_OK;
    }
}

void coir__pack_give(coir_http_app *app, struct coir__pack *pack)
{
    if (pack == NULL)
        return;
    if (app->packs[pack->coding] == NULL && reset(pack))
        app->packs[pack->coding] = pack;
    else
        coir__pack_free(pack);
}

/* ---- packing ---- */

static int pack_zlib(struct coir__pack *pack, coir_bytes bytes, enum coir__pack_end end,
                     coir_buffer *out)
{
    static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
    z_stream *zlib = &pack->zlib;
    zlib->next_in = (unsigned char *)(uintptr_t)bytes.data;
    zlib->avail_in = (unsigned)bytes.length;
    do {
        COIR_TRY(coir_buffer_reserve(out, ROOM));
        size_t room = out->capacity - out->length;
        zlib->next_out = (unsigned char *)out->data + out->length;
        zlib->avail_out = room < UINT32_MAX ? (unsigned)room : UINT32_MAX;
        (void)deflate(zlib, flushes[end]); /* it can only say that there is nothing to do */
        out->length = (size_t)((char *)zlib->next_out - out->data);
    } while (zlib->avail_out == 0);
    return 0;
}

/* One call of brotli's, which may use up bytes, and adds what it makes to out. */
static int call_brotli(struct coir__pack *pack, coir_bytes *bytes, BrotliEncoderOperation operation,
                       coir_buffer *out)
{
    const uint8_t *in = bytes->data;
    size_t room = out->capacity - out->length;
    uint8_t *to = (uint8_t *)out->data + out->length;
    if (pack->brotli == NULL)
        return -ENOMEM;
    if (setjmp(pack->no_memory) != 0) {
        lose_brotli(pack);
        return -ENOMEM;
    }
    if (!BrotliEncoderCompressStream(pack->brotli, operation, &bytes->length, &in, &room, &to,
                                     NULL))
        return -ENOMEM;
    bytes->data = in;
    out->length = (size_t)((char *)to - out->data);
    return 0;
}

static int pack_brotli(struct coir__pack *pack, coir_bytes bytes, enum coir__pack_end end,
                       coir_buffer *out)
{
    static const BrotliEncoderOperation operations[] = {
        BROTLI_OPERATION_PROCESS, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH};
    do {
        COIR_TRY(coir_buffer_reserve(out, ROOM));
        COIR_TRY(call_brotli(pack, &bytes, operations[end], out));
    } while (bytes.length > 0 || BrotliEncoderHasMoreOutput(pack->brotli));
    return 0;
}

static int pack_zstd(struct coir__pack *pack, coir_bytes bytes, enum coir__pack_end end,
                     coir_buffer *out)
{
    static const ZSTD_EndDirective directives[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer in = {bytes.data, bytes.length, 0};
    size_t left;
    do {
        COIR_TRY(coir_buffer_reserve(out, ROOM));
        ZSTD_outBuffer to = {out->data, out->capacity, out->length};
        left = ZSTD_compressStream2(pack->zstd, &to, &in, directives[end]);
        if (ZSTD_isError(left))
            return -ENOMEM;
        out->length = to.pos;
    } while (end == COIR__PACK_MORE ? in.pos < in.size : left > 0);
    return 0;
}

int coir__pack_some(struct coir__pack *pack, coir_bytes bytes, enum coir__pack_end end,
                    coir_buffer *out)
{
    switch (pack->coding) {
    case COIR__HTTP_BROTLI: return pack_brotli(pack, bytes, end, out);
    case COIR__HTTP_ZSTD: return pack_zstd(pack, bytes, end, out);
    default: return pack_zlib(pack, bytes, end, out);
    }
}
