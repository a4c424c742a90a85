/* fuzz_http_unpack.c: any bytes as a packed body, in the coding that the first byte chooses.
 * Libraries: http Sources: src/http
 *
 * The second byte says how many packed bytes come at a time, and for how many unpacked ones there
 * is room. Besides what sanitizers see: what is good as a whole is good in pieces, and gives the
 * same, each step gets further, and none makes more than there is room for. (zstd looks closer at
 * a frame that it has as a whole: there, what is good in pieces need not be.)
 */
#include "fuzz.h"

#include "http/client/session.h"

enum { MOST = 1 << 18 }; /* unpacked bytes: bombs need not go off */

/* Unpacks everything. Returns 0 at the end of what is packed, 1 when it has none, or a code;
 * *ret_used is how many bytes were packed. */
static int unpack(const char *coding, coir_bytes packed, size_t piece, size_t room,
                  coir_buffer *ret_text, size_t *ret_used)
{
    struct coir__unpack *unpack = NULL;
    require(coir__unpack_open(coding, &unpack) == 1);
    char *data = malloc(room); /* its bounds are seen by ASan */
    require(data != NULL);
    size_t at = 0, used = 1, made = 1;
    int r = 1;
    while (r == 1 && (at < packed.length || made > 0) && ret_text->length < MOST) {
        size_t left = packed.length - at, length = left < piece ? left : piece;
        char *some = malloc(length + (length == 0));
        require(some != NULL);
        memcpy(some, (const char *)packed.data + at, length);
        r = coir__unpack_some(unpack, (coir_bytes){some, length}, data, room, &used, &made);
        free(some);
        require(used <= length && made <= room && (r != 1 || used > 0 || made > 0 || length == 0));
        require(coir_buffer_append(ret_text, data, made) == 0);
        at += used;
    }
    *ret_used = at;
    free(data);
    coir__unpack_close(unpack);
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd"};
    COIR_AUTO(coir_buffer) whole = {0};
    COIR_AUTO(coir_buffer) pieces = {0};
    size_t used, used_in_pieces;
    if (length < 2)
        return 0;
    const char *coding = codings[data[0] % COIR_COUNT(codings)];
    coir_bytes packed = {data + 2, length - 2};
    int r = unpack(coding, packed, packed.length, 64 << 10, &whole, &used);
    int in_pieces = unpack(coding, packed, 1 + (size_t)data[1] % 16, 1 + (size_t)data[1] / 16 * 50,
                           &pieces, &used_in_pieces);
    if (whole.length >= MOST || pieces.length >= MOST)
        return 0;
    require(r != 0 || in_pieces == 0);
    require(in_pieces != 0 || r == 0 || strcmp(coding, "zstd") == 0);
    if (r == 0)
        require(used == used_in_pieces && whole.length == pieces.length);
    size_t common = whole.length < pieces.length ? whole.length : pieces.length;
    require(common == 0 || memcmp(whole.data, pieces.data, common) == 0);
    return 0;
}
