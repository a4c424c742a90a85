/* unpack.c: packed bodies, piece by piece: gzip and deflate by zlib, br by brotli, zstd.
 *
 * An unpacker is given what has come and room for what comes of it, and never makes more than that:
 * how much is unpacked in all is the caller's to bound. Called by response.c.
 */
#include "session.h"

#include <errno.h>
#include <string.h>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <coir/memory.h>

enum kind { ZLIB, BROTLI, ZSTD };

struct coir__unpack {
    enum kind kind;
    bool gzip;
    bool begun; /* of deflate, and a frame of zstd: how it begins is known */
    bool ended; /* what was packed, or a member of it */
    z_stream zlib;
    BrotliDecoderState *brotli;
    ZSTD_DCtx *zstd;
};

static void *take(void *arg, size_t size)
{
    (void)arg;
    return coir_alloc(size);
}

static void give(void *arg, void *block)
{
    (void)arg;
    coir_free(block);
}

static void *take_items(void *arg, unsigned count, unsigned size)
{
    (void)arg;
    return coir_calloc(count, size);
}

static bool is_one_of(const char *coding, const char *name, const char *other)
{
    return coir__http_alike(coding, name) || coir__http_alike(coding, other);
}

int coir__unpack_open(const char *coding, struct coir__unpack **ret_unpack)
{
    bool gzip = is_one_of(coding, "gzip", "x-gzip"), deflate = coir__http_alike(coding, "deflate");
    bool brotli = coir__http_alike(coding, "br"), zstd = coir__http_alike(coding, "zstd");
    if (!gzip && !deflate && !brotli && !zstd)
        return 0;
    struct coir__unpack *unpack = coir_calloc(1, sizeof *unpack);
    if (unpack == NULL)
        return -ENOMEM;
    unpack->kind = brotli ? BROTLI : zstd ? ZSTD : ZLIB;
    unpack->gzip = unpack->begun = gzip;
    unpack->zlib.zalloc = take_items;
    unpack->zlib.zfree = give;
    bool made = true;
    if (brotli)
        made = (unpack->brotli = BrotliDecoderCreateInstance(take, give, NULL)) != NULL;
    else if (zstd)
        made = (unpack->zstd = ZSTD_createDCtx()) != NULL &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(unpack->zstd, ZSTD_d_windowLogMax, 23));
    else
        made = inflateInit2(&unpack->zlib, gzip ? MAX_WBITS + 16 : MAX_WBITS) == Z_OK;
    if (!made) {
        coir__unpack_close(unpack);
        return -ENOMEM;
    }
    *ret_unpack = unpack;
    return 1;
}

void coir__unpack_close(struct coir__unpack *unpack)
{
    if (unpack == NULL)
        return;
    if (unpack->kind == ZLIB)
        (void)inflateEnd(&unpack->zlib);
    BrotliDecoderDestroyInstance(unpack->brotli);
    ZSTD_freeDCtx(unpack->zstd);
    coir_free(unpack);
}

static int refuse(void)
{
    return coir_fail(-COIR_EHTTP, "the body is not packed as it says");
}

/* Some send "deflate" without the header of zlib, which the first byte tells. */
static int begin_deflate(struct coir__unpack *unpack, coir_bytes bytes)
{
    unpack->begun = true;
    if ((*(const unsigned char *)bytes.data & 0x0f) == Z_DEFLATED)
        return 0;
    return inflateReset2(&unpack->zlib, -MAX_WBITS) == Z_OK ? 0 : -ENOMEM;
}

static int unpack_zlib(struct coir__unpack *unpack, coir_bytes bytes, void *data, size_t size,
                       size_t *ret_used, size_t *ret_made)
{
    z_stream *zlib = &unpack->zlib;
    if (!unpack->begun && bytes.length > 0)
        COIR_TRY(begin_deflate(unpack, bytes));
    zlib->next_in = (unsigned char *)(uintptr_t)bytes.data;
    zlib->avail_in = bytes.length < UINT32_MAX ? (unsigned)bytes.length : UINT32_MAX;
    zlib->next_out = data;
    zlib->avail_out = size < UINT32_MAX ? (unsigned)size : UINT32_MAX;
    int r = inflate(zlib, Z_NO_FLUSH);
    *ret_used = (size_t)(zlib->next_in - (const unsigned char *)bytes.data);
    *ret_made = (size_t)(zlib->next_out - (unsigned char *)data);
    unpack->ended = r == Z_STREAM_END;
    if (r == Z_MEM_ERROR)
        return -ENOMEM;
    return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? !unpack->ended : refuse();
}

static int unpack_brotli(struct coir__unpack *unpack, coir_bytes bytes, void *data, size_t size,
                         size_t *ret_used, size_t *ret_made)
{
    const uint8_t *in = bytes.data;
    uint8_t *out = data;
    size_t in_left = bytes.length, out_left = size;
    BrotliDecoderResult r =
        BrotliDecoderDecompressStream(unpack->brotli, &in_left, &in, &out_left, &out, NULL);
    *ret_used = bytes.length - in_left;
    *ret_made = size - out_left;
    unpack->ended = r == BROTLI_DECODER_RESULT_SUCCESS;
    return r == BROTLI_DECODER_RESULT_ERROR ? refuse() : !unpack->ended;
}

/* The library may know formats from before RFC 8878, which are nobody's content coding: frames of
 * today, and those to be skipped, begin otherwise. */
static int begin_zstd(struct coir__unpack *unpack, coir_bytes bytes)
{
    unsigned char first = *(const unsigned char *)bytes.data;
    unpack->begun = true;
    return first == 0x28 || first >> 4 == 5 ? 0 : refuse();
}

static int unpack_zstd(struct coir__unpack *unpack, coir_bytes bytes, void *data, size_t size,
                       size_t *ret_used, size_t *ret_made)
{
    if (!unpack->begun && bytes.length > 0)
        COIR_TRY(begin_zstd(unpack, bytes));
    ZSTD_inBuffer in = {bytes.data, bytes.length, 0};
    ZSTD_outBuffer out = {data, size, 0};
    size_t r = ZSTD_decompressStream(unpack->zstd, &out, &in);
    *ret_used = in.pos;
    *ret_made = out.pos;
    unpack->ended = r == 0;
    return ZSTD_isError(r) ? refuse() : !unpack->ended;
}

bool coir__unpack_next(struct coir__unpack *unpack)
{
    bool members = unpack->gzip || unpack->kind == ZSTD;
    if (members && unpack->ended && (!unpack->gzip || inflateReset(&unpack->zlib) == Z_OK))
        unpack->ended = false;
    if (unpack->kind == ZSTD)
        unpack->begun = unpack->ended;
    return !unpack->ended;
}

int coir__unpack_some(struct coir__unpack *unpack, coir_bytes bytes, void *data, size_t size,
                      size_t *ret_used, size_t *ret_made)
{
    *ret_used = *ret_made = 0;
    if (unpack->ended)
        return 0;
    switch (unpack->kind) {
    case BROTLI: return unpack_brotli(unpack, bytes, data, size, ret_used, ret_made);
    case ZSTD: return unpack_zstd(unpack, bytes, data, size, ret_used, ret_made);
    default: return unpack_zlib(unpack, bytes, data, size, ret_used, ret_made);
    }
}
