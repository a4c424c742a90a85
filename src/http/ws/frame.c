/* frame.c: frames of WebSocket: their heads, masks, and what texts and goodbyes may hold.
 *
 * A head is refused as soon as it can be known to be wrong, whatever would follow. Nothing here
 * waits or allocates. Called by socket.c, send.c and the fuzz targets.
 */
#include "ws.h"

#include <errno.h>
#include <sys/random.h>

/* ---- heads ---- */

static const char *check(const uint8_t *data, bool masked)
{
    unsigned opcode = data[0] & 0x0f, length = data[1] & 0x7f;
    if ((data[0] & 0x30) != 0)
        return "a reserved bit is set";
    if ((opcode > COIR__WS_BINARY && opcode < COIR__WS_CLOSE) || opcode > COIR__WS_PONG)
        return "a frame of a kind that is reserved";
    if (opcode >= COIR__WS_CLOSE && (data[0] & 0x80) == 0)
        return "a control frame in fragments";
    if (opcode >= COIR__WS_CLOSE && length > COIR__WS_CONTROL)
        return "a control frame of more than 125 bytes";
    if (((data[1] & 0x80) != 0) != masked)
        return masked ? "a frame of a client without a mask" : "a frame of a server with a mask";
    return NULL;
}

/* The length behind the first two bytes, in so many; its first bit is not to be used. */
static const char *read_length(const uint8_t *data, size_t size, uint64_t *ret_length)
{
    uint64_t length = 0;
    for (size_t i = 0; i < size; i++)
        length = length << 8 | data[i];
    *ret_length = length;
    if (length >> 63 != 0)
        return "a frame of 2^63 bytes and more";
    return length < (size == 2 ? 126 : 1 << 16) ? "a length in more bytes than it needs" : NULL;
}

int coir__ws_parse_head(coir_bytes bytes, bool masked, struct coir__ws_head *ret_head,
                        const char **ret_wrong)
{
    const uint8_t *data = bytes.data;
    if (bytes.length < 2)
        return 0;
    const char *wrong = check(data, masked);
    size_t extended = (data[1] & 0x7f) < 126 ? 0 : (data[1] & 0x7f) == 126 ? 2 : 8;
    size_t size = 2 + extended + (masked ? 4 : 0);
    uint64_t length = data[1] & 0x7f;
    if (wrong == NULL && extended > 0 && bytes.length >= 2 + extended)
        wrong = read_length(data + 2, extended, &length);
    if (wrong != NULL) {
        *ret_wrong = wrong;
        return -COIR_EWEBSOCKET;
    }
    if (bytes.length < size)
        return 0;
    *ret_head = (struct coir__ws_head){.length = length,
                                       .size = size,
                                       .opcode = data[0] & 0x0f,
                                       .final = (data[0] & 0x80) != 0,
                                       .packed = (data[0] & 0x40) != 0,
                                       .masked = masked};
    if (masked)
        memcpy(ret_head->mask, data + size - 4, 4);
    return 1;
}

size_t coir__ws_write_head(uint8_t *data, const struct coir__ws_head *head)
{
    size_t extended = head->length < 126 ? 0 : head->length < 1 << 16 ? 2 : 8;
    size_t size = 2;
    data[0] = (uint8_t)((head->final ? 0x80 : 0) | (head->packed ? 0x40 : 0) | head->opcode);
    data[1] = (uint8_t)((head->masked ? 0x80 : 0) | (extended == 0   ? head->length
                                                     : extended == 2 ? 126
                                                                     : 127));
    for (size_t i = extended; i > 0; i--)
        data[size++] = (uint8_t)(head->length >> 8 * (i - 1));
    if (head->masked) {
        memcpy(data + size, head->mask, 4);
        size += 4;
    }
    return size;
}

/* ---- masks ---- */

void coir__ws_mask(void *to, const void *from, size_t n, uint8_t mask[4])
{
    uint8_t *out = to, turned[4];
    const uint8_t *in = from;
    uint64_t wide, word;
    memcpy(&wide, mask, 4);
    memcpy((char *)&wide + 4, mask, 4);
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < n; i++)
        out[i] = in[i] ^ mask[i & 3];
    for (size_t k = 0; k < 4; k++)
        turned[k] = mask[(n + k) & 3];
    memcpy(mask, turned, 4);
}

/* Small amounts come from a stock, since each is a system call otherwise. */
int coir__ws_random(void *data, size_t size)
{
    static __thread uint8_t stock[256];
    static __thread size_t left;
    if (left < size) {
        ssize_t n = getrandom(stock, sizeof stock, 0);
        if (n < (ssize_t)sizeof stock)
            return n < 0 ? -errno : -EIO;
        left = sizeof stock;
    }
    left -= size;
    memcpy(data, stock + left, size);
    return 0;
}

/* ---- texts: RFC 3629, section 4 ---- */

/* A state between two bytes of a character: how many are missing, and between what the next one
 * must lie, which keeps out what is overlong, a surrogate, or beyond U+10FFFF. */
static uint32_t expect(unsigned missing, unsigned least, unsigned most)
{
    return missing << 16 | least << 8 | most;
}

static uint32_t begin_character(unsigned byte)
{
    if (byte >= 0xc2 && byte <= 0xdf)
        return expect(1, 0x80, 0xbf);
    if (byte >= 0xe0 && byte <= 0xef)
        return expect(2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf);
    if (byte >= 0xf0 && byte <= 0xf4)
        return expect(3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf);
    return 0;
}

/* The index of the first byte from i on that is not ASCII. */
static size_t skip_ascii(const uint8_t *data, size_t i, size_t n)
{
    uint64_t word;
    for (; n - i >= 8; i += 8) {
        memcpy(&word, data + i, 8);
        if ((word & 0x8080808080808080) != 0)
            break;
    }
    while (i < n && data[i] < 0x80)
        i++;
    return i;
}

bool coir__ws_utf8(uint32_t *state, const void *data, size_t n)
{
    const uint8_t *bytes = data;
    uint32_t now = *state;
    for (size_t i = 0; i < n; i++) {
        if (now == 0) {
            i = skip_ascii(bytes, i, n);
            if (i == n)
                break;
            now = begin_character(bytes[i]);
            if (now == 0)
                return false;
            continue;
        }
        if (bytes[i] < (now >> 8 & 0xff) || bytes[i] > (now & 0xff))
            return false;
        unsigned missing = (now >> 16) - 1;
        now = missing > 0 ? expect(missing, 0x80, 0xbf) : 0;
    }
    *state = now;
    return true;
}

/* ---- goodbyes: section 7.4, and what was registered since ---- */

bool coir__ws_is_code(unsigned code)
{
    return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
           (code >= 3000 && code <= 4999);
}
