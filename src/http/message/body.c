/* body.c: the body of a message, read from its stream as the framing says.
 *
 * A chunk's line is read as a whole, within a bound, and nothing in it is forgiven: digits of a
 * hexadecimal number, 15 at most, and extensions in their syntax, which are ignored.
 * Trailers are checked, bounded, and dropped: they are never merged into headers. A body that has
 * failed stays failed, since nobody knows where the next message begins. Called by connections of
 * both sides.
 */
#include <errno.h>
#include <string.h>

#include <coir/error.h>

#include "message.h"

/* Lines of chunks may be 16 times as long as what is in them, beyond so many bytes: a client that
 * sends single bytes needs six for each. */
enum { CHUNK_LINE = 1024, TRAILERS = 8192, DIGITS = 15, FRAMED_MOST = 16384 };

static bool is_without_body(const struct coir__http_head *head, const char *method)
{
    return strcmp(method, "HEAD") == 0 || head->status / 100 == 1 || head->status == 204 ||
           head->status == 304 || (strcmp(method, "CONNECT") == 0 && head->status / 100 == 2);
}

void coir__http_body_begin(struct coir__http_body *body, coir_stream *stream,
                           const struct coir__http_head *head, const char *method)
{
    bool response = head->method == NULL;
    *body = (struct coir__http_body){.stream = stream};
    if (response && is_without_body(head, method))
        body->framing = COIR__HTTP_NO_BODY;
    else if (head->chunked)
        body->framing = COIR__HTTP_CHUNKED;
    else if (head->has_length)
        body->framing = COIR__HTTP_LENGTH;
    else
        body->framing = response ? COIR__HTTP_TO_THE_END : COIR__HTTP_NO_BODY;
    body->left = body->framing == COIR__HTTP_LENGTH ? head->length : 0;
    body->over = body->framing == COIR__HTTP_NO_BODY ||
                 (body->framing == COIR__HTTP_LENGTH && body->left == 0);
}

/* ---- chunks ---- */

/* Reads a line that ends with CR and LF, without them. */
static int read_line(struct coir__http_body *body, coir_bytes *ret_line)
{
    int r = coir_stream_read_until(body->stream, "\n", 1, CHUNK_LINE, ret_line);
    if (r == -COIR_ETOOLONG)
        return coir_fail(-COIR_EHTTP, "a line in a chunked body is too long");
    if (r <= 0)
        return r < 0 ? r : -COIR_EEOF;
    const char *text = ret_line->data;
    if (ret_line->length < 2 || text[ret_line->length - 2] != '\r')
        return coir_fail(-COIR_EHTTP, "a line in a chunked body ends without CR and LF");
    ret_line->length -= 2;
    if (!coir__http_is_value(ret_line->data, ret_line->length))
        return coir_fail(-COIR_EHTTP, "a control character in a line of a chunked body");
    body->framed += ret_line->length + 2;
    if (body->framed > FRAMED_MOST + 16 * body->taken)
        return coir_fail(-COIR_EHTTP, "more is said about the chunks of a body than is in them");
    return 1;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

static const char *skip_token(const char *at, const char *end)
{
    while (at < end && coir__http_is_token(at, 1))
        at++;
    return at;
}

/* Behind the string in quotes that begins at at; at, if it has no end. */
static const char *skip_quoted(const char *at, const char *end)
{
    for (const char *next = at + 1; next < end; next++)
        if (*next == '"')
            return next + 1;
        else if (*next == '\\')
            next++;
    return at;
}

/* Whether what stands behind the size of a chunk are extensions: RFC 9112, section 7.1.1. */
static bool are_extensions(const char *at, const char *end)
{
    while (at < end) {
        at = skip_blanks(at, end);
        if (at == end || *at != ';')
            return false;
        const char *name = skip_blanks(at + 1, end);
        at = skip_token(name, end);
        if (at == name)
            return false;
        const char *value = skip_blanks(at, end);
        if (value == end || *value != '=')
            continue;
        value = skip_blanks(value + 1, end);
        at = value < end && *value == '"' ? skip_quoted(value, end) : skip_token(value, end);
        if (at == value)
            return false;
    }
    return true;
}

/* The number at the beginning of a chunk's line. */
static int read_size(coir_bytes line, uint64_t *ret_size)
{
    const char *text = line.data;
    size_t i = 0;
    uint64_t size = 0;
    for (; i < line.length && i <= DIGITS && digit_of(text[i]) >= 0; i++)
        size = size << 4 | (uint64_t)digit_of(text[i]);
    if (i == 0 || i > DIGITS || !are_extensions(text + i, text + line.length))
        return coir_fail(-COIR_EHTTP, "a chunk without its size");
    *ret_size = size;
    return 0;
}

/* Reads the lines behind the last chunk. */
static int read_trailers(struct coir__http_body *body)
{
    for (;;) {
        coir_bytes line;
        int r = read_line(body, &line);
        if (r < 0)
            return r;
        if (line.length == 0)
            break;
        const char *colon = memchr(line.data, ':', line.length);
        size_t name = colon != NULL ? (size_t)(colon - (const char *)line.data) : 0;
        body->trailers += line.length + 2;
        if (!coir__http_is_token(line.data, name) || body->trailers > TRAILERS)
            return coir_fail(-COIR_EHTTP, "trailers that are none, or too many");
    }
    body->over = true;
    return 0;
}

/* Reads what stands before the next bytes: the end of a chunk, and the line of the next one. */
static int next_chunk(struct coir__http_body *body)
{
    coir_bytes line;
    if (body->inside) {
        COIR_TRY(read_line(body, &line));
        if (line.length != 0)
            return coir_fail(-COIR_EHTTP, "a chunk is longer than it says");
        body->inside = false;
    }
    if (!body->last) {
        COIR_TRY(read_line(body, &line));
        COIR_TRY(read_size(line, &body->left));
        body->last = body->left == 0;
    }
    if (body->last)
        return read_trailers(body);
    body->inside = true;
    return 0;
}

/* ---- reading ---- */

static bool may_go_on(int code)
{
    return code == -ECANCELED || code == -ETIME || code == -EBUSY || code == -ENOMEM;
}

static int peek(struct coir__http_body *body, coir_bytes *ret_bytes)
{
    while (body->framing == COIR__HTTP_CHUNKED && body->left == 0 && !body->over) {
        int r = next_chunk(body);
        if (r < 0)
            return r;
    }
    if (body->over)
        return 0;
    int r = coir_stream_peek(body->stream, 1, ret_bytes);
    if (r == 0 && body->framing == COIR__HTTP_TO_THE_END) {
        body->over = true;
        return 0;
    }
    if (r == 0)
        return coir_fail(-COIR_EEOF, "the connection ended in the middle of a body");
    if (r > 0 && body->framing != COIR__HTTP_TO_THE_END && ret_bytes->length > body->left)
        ret_bytes->length = (size_t)body->left;
    return r;
}

int coir__http_body_peek(struct coir__http_body *body, coir_bytes *ret_bytes)
{
    if (body->failed < 0)
        return body->failed;
    int r = peek(body, ret_bytes);
    if (r < 0 && !may_go_on(r))
        body->failed = r;
    return r;
}

void coir__http_body_take(struct coir__http_body *body, size_t n)
{
    coir_stream_consume(body->stream, n);
    body->taken += n;
    if (body->framing == COIR__HTTP_TO_THE_END)
        return;
    body->left -= n;
    if (body->left == 0 && body->framing == COIR__HTTP_LENGTH)
        body->over = true;
}

int coir__http_body_read(struct coir__http_body *body, void *data, size_t size, size_t *ret_n)
{
    coir_bytes bytes;
    int r = coir__http_body_peek(body, &bytes);
    if (r <= 0)
        return r;
    *ret_n = bytes.length < size ? bytes.length : size;
    memcpy(data, bytes.data, *ret_n);
    coir__http_body_take(body, *ret_n);
    return 1;
}

int coir__http_body_read_all(struct coir__http_body *body, coir_buffer *buffer)
{
    coir_bytes bytes;
    int r;
    while ((r = coir__http_body_peek(body, &bytes)) > 0) {
        COIR_TRY(coir_buffer_append(buffer, bytes.data, bytes.length));
        coir__http_body_take(body, bytes.length);
    }
    return r;
}
