/* fuzz_ws_frames.c: any bytes as a frame of WebSocket, and as a text, of which the first byte says
 * who sends it. Libraries: build/lib*.a coir Sources: src/http/ws/frame.c
 *
 * Besides what sanitizers see: a head that is good is the only way to write what it says, no part
 * of it is taken for a whole one, and what is wrong stays wrong whatever follows; masking twice
 * changes nothing, in pieces or at once; a text is UTF-8 to us if it is to a decoder that reads it
 * character by character, wherever it is cut.
 */
#include <stdlib.h>
#include <string.h>

#include "http/ws/ws.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static int parse(const unsigned char *data, size_t length, bool masked, struct coir__ws_head *head)
{
    const char *wrong = NULL;
    unsigned char *copy = malloc(length + (length == 0)); /* its bounds are seen by ASan */
    require(copy != NULL);
    memcpy(copy, data, length);
    int r = coir__ws_parse_head((coir_bytes){copy, length}, masked, head, &wrong);
    free(copy);
    require(r == 0 || r == 1 || (r == -COIR_EWEBSOCKET && wrong != NULL));
    return r;
}

static void try_head(const unsigned char *data, size_t length, bool masked)
{
    struct coir__ws_head head, part;
    unsigned char again[COIR__WS_HEAD];
    int last = 0;
    for (size_t n = 0; n <= length && n <= COIR__WS_HEAD; n++) {
        int r = parse(data, n, masked, &part);
        require(last >= 0 ? r != 1 || last == 1 || n == part.size : r < 0);
        last = r;
    }
    if (parse(data, length, masked, &head) != 1)
        return;
    require(head.size <= length && head.length >> 63 == 0 && head.masked == masked);
    require(head.opcode < COIR__WS_CLOSE || (head.final && head.length <= COIR__WS_CONTROL));
    require(coir__ws_write_head(again, &head) == head.size && memcmp(again, data, head.size) == 0);
}

static void try_mask(const unsigned char *data, size_t length)
{
    uint8_t mask[4], at_once[4], in_pieces[4];
    if (length < 4)
        return;
    memcpy(mask, data, 4);
    unsigned char *one = malloc(length), *two = malloc(length);
    require(one != NULL && two != NULL);
    memcpy(at_once, mask, 4);
    coir__ws_mask(one, data, length, at_once);
    memcpy(in_pieces, mask, 4);
    for (size_t n = 0, piece; n < length; n += piece) {
        piece = data[n] % 19u < length - n ? data[n] % 19u : length - n;
        piece += piece == 0;
        coir__ws_mask(two + n, data + n, piece, in_pieces);
    }
    require(memcmp(one, two, length) == 0 && memcmp(at_once, in_pieces, 4) == 0);
    for (size_t n = 0; n < length; n++)
        require((one[n] ^ mask[n & 3]) == data[n]);
    free(one);
    free(two);
}

/* The character at the beginning of data, in so many bytes: 0 if there is none. */
static size_t decode(const unsigned char *data, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = data[0] < 0x80           ? 1
               : (data[0] >> 5) == 0x06 ? 2
               : (data[0] >> 4) == 0x0e ? 3
               : (data[0] >> 3) == 0x1e ? 4
                                        : 0;
    if (n == 0 || n > length)
        return 0;
    uint32_t character = n == 1 ? data[0] : data[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (data[i] & 0x3f);
    }
    bool good = character >= least[n] && character <= 0x10ffff && character >> 11 != 0x1b;
    return good ? n : 0;
}

static void try_text(const unsigned char *data, size_t length)
{
    size_t good = 0;
    for (size_t n; good < length && (n = decode(data + good, length - good)) > 0; good += n)
        ;
    uint32_t state = 0, pieces = 0;
    bool at_once = coir__ws_utf8(&state, data, length) && state == 0;
    require(at_once == (good == length));
    bool in_pieces = true;
    for (size_t n = 0; n < length && in_pieces; n++)
        in_pieces = coir__ws_utf8(&pieces, data + n, 1);
    require((in_pieces && pieces == 0) == at_once);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    if (length == 0)
        return 0;
    try_head(data + 1, length - 1, (data[0] & 1) != 0);
    try_mask(data + 1, length - 1);
    try_text(data + 1, length - 1);
    return 0;
}
