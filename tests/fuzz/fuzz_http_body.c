/* fuzz_http_body.c: any bytes as the body of a message: chunked, of a length, or up to the end.
 * Libraries: http Sources: src/http/message
 *
 * The first byte chooses the framing, the second one how many bytes come at a time. Besides what
 * sanitizers see: pieces give what the whole gives, a chunked body that is accepted is one as RFC
 * 9112, section 7.1 has it, byte by byte, and what is behind a body is left alone.
 */
#include "fuzz.h"

#include <ctype.h>

#include "http/message/message.h"

/* A way to read the input, and what came of it. */
struct reading {
    const unsigned char *data;
    size_t length, piece;
    struct coir__http_head head;
    int code;
    coir_buffer body, rest;
};

static int read_it(void *arg)
{
    struct reading *reading = arg;
    struct feed feed = {.data = reading->data, .length = reading->length, .piece = reading->piece};
    COIR_AUTO(coir_stream) *stream = feed_open(&feed);
    struct coir__http_body body;
    coir_bytes bytes;
    coir__http_body_begin(&body, stream, &reading->head, "GET");
    reading->code = coir__http_body_read_all(&body, &reading->body);
    if (reading->code < 0)
        require(coir__http_body_peek(&body, &bytes) == reading->code);
    while (reading->code == 0 && coir_stream_peek(stream, 1, &bytes) > 0) {
        require(coir_buffer_append(&reading->rest, bytes.data, bytes.length) == 0);
        coir_stream_consume(stream, bytes.length);
    }
    coir_clear_error();
    return 0;
}

static bool same(const coir_buffer *a, const coir_buffer *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* The line at *at, which must be there, without its CR and LF; *at goes behind it. */
static coir_bytes take_line(const unsigned char **at, const unsigned char *end)
{
    const unsigned char *begin = *at, *lf = memchr(begin, '\n', (size_t)(end - begin));
    require(lf != NULL && lf > begin && lf[-1] == '\r');
    for (const unsigned char *byte = begin; byte < lf - 1; byte++)
        require(*byte == '\t' || (*byte >= ' ' && *byte != 0x7f));
    *at = lf + 1;
    return (coir_bytes){begin, (size_t)(lf - 1 - begin)};
}

/* The size that a chunk's line says. */
static size_t size_of(coir_bytes line)
{
    const unsigned char *text = line.data;
    size_t i = 0;
    unsigned long long size = 0;
    for (; i < line.length && isxdigit(text[i]); i++)
        size = size * 16 +
               (unsigned long long)(isdigit(text[i]) ? text[i] - '0' : tolower(text[i]) - 'a' + 10);
    require(i > 0 && i <= 15);
    while (i < line.length && (text[i] == ' ' || text[i] == '\t'))
        i++;
    require(i == line.length ? isxdigit(text[i - 1]) != 0 : text[i] == ';');
    return (size_t)size;
}

/* Follows the grammar over a body that was accepted. */
static void require_chunked(const struct reading *reading)
{
    const unsigned char *at = reading->data, *end = at + reading->length;
    size_t taken = 0;
    for (;;) {
        size_t size = size_of(take_line(&at, end));
        if (size == 0)
            break;
        require(size <= (size_t)(end - at) && size <= reading->body.length - taken);
        require(memcmp(at, reading->body.data + taken, size) == 0);
        taken += size;
        at += size;
        require(take_line(&at, end).length == 0);
    }
    for (coir_bytes line; (line = take_line(&at, end)).length > 0;)
        require(memchr(line.data, ':', line.length) > line.data);
    require(taken == reading->body.length && (size_t)(end - at) == reading->rest.length);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    if (length < 2)
        return 0;
    struct reading whole = {.data = data + 2, .length = length - 2, .head = {.method = "POST"}};
    whole.head.chunked = data[0] % 4 < 2;
    whole.head.has_length = data[0] % 4 == 2;
    whole.head.length = data[0] / 4;
    if (data[0] % 4 == 3)
        whole.head = (struct coir__http_head){.status = 200};
    struct reading pieces = whole;
    pieces.piece = 1 + data[1] % 32;
    run_in_loop(read_it, &whole);
    run_in_loop(read_it, &pieces);
    require(whole.code == pieces.code && same(&whole.body, &pieces.body) &&
            same(&whole.rest, &pieces.rest));
    if (whole.code == 0 && whole.head.chunked)
        require_chunked(&whole);
    coir_buffer_close(&whole.body);
    coir_buffer_close(&whole.rest);
    coir_buffer_close(&pieces.body);
    coir_buffer_close(&pieces.rest);
    return 0;
}
