/* fuzz_ws_deflate.c: any bytes as a packed message, as a message to be packed, and as what two ends
 * agree on. Libraries: -lz coir Sources: src/http/ws/deflate.c src/http/message/texts.c
 *
 * Besides what sanitizers see: nothing is unpacked beyond the limit, in pieces comes out what comes
 * out at once, and what was packed is unpacked to what it was, with context and without.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/ws/ws.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

enum { LIMIT = 100000 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct coir__ws_deflate *open_with(unsigned first)
{
    const struct coir__ws_terms terms = {.used = true,
                                         .pack_alone = (first & 1) != 0,
                                         .unpack_alone = (first & 1) != 0,
                                         .pack_bits = (uint8_t)(9 + first / 2 % 7),
                                         .unpack_bits = 15};
    struct coir__ws_deflate *deflate = coir__ws_deflate_open(&terms, 1000);
    require(deflate != NULL);
    return deflate;
}

/* Unpacks data in pieces of so many bytes. */
static int unpack(struct coir__ws_deflate *deflate, const unsigned char *data, size_t length,
                  size_t piece, coir_buffer *out)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < length; at += piece) {
        size_t n = piece < length - at ? piece : length - at;
        r = coir__ws_unpack(deflate, (coir_bytes){data + at, n}, false, LIMIT, out);
    }
    if (r == 0)
        r = coir__ws_unpack(deflate, (coir_bytes){NULL, 0}, true, LIMIT, out);
    require(r == 0 || r == -COIR_ETOOLONG || r == -EBADMSG);
    require(out->length <= LIMIT + 1 && (r != 0 || out->length <= LIMIT));
    return r;
}

static void try_unpacking(unsigned first, const unsigned char *data, size_t length)
{
    coir_buffer one = {0}, two = {0};
    struct coir__ws_deflate *at_once = open_with(first), *in_pieces = open_with(first);
    int r = unpack(at_once, data, length, length + 1, &one);
    int again = unpack(in_pieces, data, length, first % 7 + 1, &two);
    require(r == again && (r != 0 || one.length == two.length));
    require(r != 0 || one.length == 0 || memcmp(one.data, two.data, one.length) == 0);
    coir__ws_deflate_close(at_once);
    coir__ws_deflate_close(in_pieces);
    coir_buffer_close(&one);
    coir_buffer_close(&two);
}

/* Two messages, of which the second may refer to the first. */
static void try_packing(unsigned first, const unsigned char *data, size_t length)
{
    struct coir__ws_deflate *ours = open_with(first), *theirs = open_with(first);
    for (size_t at = 0, n = length / 2; at < length; at += n, n = length - at) {
        coir_buffer packed = {0}, back = {0};
        n += n == 0;
        int r = coir__ws_pack(ours, (coir_bytes){data + at, n}, &packed);
        require(r >= 0 && (r == 0) == (packed.length == 0));
        if (r > 0) {
            const unsigned char *bytes = (const unsigned char *)packed.data;
            require(unpack(theirs, bytes, packed.length, 100, &back) == 0);
            require(back.length == n && memcmp(back.data, data + at, n) == 0);
        }
        coir_buffer_close(&packed);
        coir_buffer_close(&back);
    }
    coir__ws_deflate_close(ours);
    coir__ws_deflate_close(theirs);
}

/* What a server answers to anything is something that a client takes for an answer. */
static void try_terms(unsigned first, const unsigned char *data, size_t length)
{
    const coir_ws_opts opts = {.deflate =
                                   (first & 1) != 0 ? COIR_WS_DEFLATE : COIR_WS_DEFLATE_CONTEXT};
    struct coir__ws_terms terms, agreed;
    coir_buffer answer = {0};
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, data, length);
    text[length] = '\0';
    require(coir__ws_deflate_accept(text, &opts, &terms, &answer) == 0);
    require(terms.used == (answer.length > 0));
    require(coir__ws_deflate_agree(coir_buffer_text(&answer), &opts, &agreed) == NULL);
    require(agreed.used == terms.used);
    if (terms.used)
        require(agreed.unpack_bits >= terms.pack_bits || agreed.unpack_bits == 15);
    (void)coir__ws_deflate_agree(text, &opts, &agreed);
    coir_buffer_close(&answer);
    free(text);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    if (length == 0)
        return 0;
    try_unpacking(data[0], data + 1, length - 1);
    try_packing(data[0], data + 1, length - 1);
    try_terms(data[0], data + 1, length - 1);
    return 0;
}
