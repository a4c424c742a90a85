/* capture.c: a stream that tells a function of everything that passes through it.
 *
 * It adds nothing of its own: each call goes to the stream below, and what came of it is told
 * before the call returns. What was written is told when it was taken over.
 */
#include <stdio.h>

#include <coir/filter.h>
#include <coir/memory.h>

#include "core/core.h"

struct capture {
    coir_stream *lower;
    coir_capture_fn fn;
    void *arg;
    coir_time opened;
};

static void tell(struct capture *capture, coir_captured_kind kind, int code, const void *data,
                 size_t length)
{
    coir_captured captured = {
        .kind = kind,
        .code = code,
        .time = coir_now() - capture->opened,
        .data = {data, length},
    };
    capture->fn(&captured, capture->arg);
}

static int capture_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct capture *capture = state;
    int r = coir_stream_read(capture->lower, data, size, ret_n);
    if (r > 0)
        tell(capture, COIR_CAPTURED_READ, 0, data, *ret_n);
    else
        tell(capture, r == 0 ? COIR_CAPTURED_END : COIR_CAPTURED_FAILED, r, NULL, 0);
    return r;
}

static int capture_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct capture *capture = state;
    int r = coir_stream_write_vectors(capture->lower, vectors, count);
    if (r < 0) {
        tell(capture, COIR_CAPTURED_FAILED, r, NULL, 0);
        return r;
    }
    *ret_n = 0;
    for (size_t i = 0; i < count; i++) {
        *ret_n += vectors[i].iov_len;
        if (vectors[i].iov_len > 0)
            tell(capture, COIR_CAPTURED_WRITE, 0, vectors[i].iov_base, vectors[i].iov_len);
    }
    return 0;
}

static int capture_shutdown(void *state)
{
    struct capture *capture = state;
    int r = coir_stream_shutdown(capture->lower);
    tell(capture, r == 0 ? COIR_CAPTURED_SHUTDOWN : COIR_CAPTURED_FAILED, r, NULL, 0);
    return r;
}

static void capture_close(void *state, bool abrupt)
{
    struct capture *capture = state;
    if (abrupt)
        coir_stream_abort(capture->lower);
    else
        coir_stream_close(capture->lower);
    tell(capture, abrupt ? COIR_CAPTURED_ABORTED : COIR_CAPTURED_CLOSED, 0, NULL, 0);
    coir_free(capture);
}

static int capture_query(void *state, int key, void *ret_value)
{
    struct capture *capture = state;
    if (key != COIR_QUERY_LOWER)
        return coir_stream_query(capture->lower, key, ret_value);
    *(coir_stream **)ret_value = capture->lower;
    return 0;
}

static const coir_stream_ops capture_ops = {
    .name = "capture",
    .read = capture_read,
    .write = capture_write,
    .shutdown = capture_shutdown,
    .close = capture_close,
    .query = capture_query,
};

static int open_over(coir_stream *lower, coir_capture_fn fn, void *arg, coir_stream **ret_stream)
{
    if (lower == NULL || fn == NULL || ret_stream == NULL)
        return -EINVAL;
    struct capture *capture = coir_calloc(1, sizeof *capture);
    if (capture == NULL)
        return -ENOMEM;
    *capture = (struct capture){lower, fn, arg, coir_now()};
    int r = coir_stream_open(&capture_ops, capture, ret_stream);
    if (r < 0)
        coir_free(capture);
    return r;
}

int coir_capture_open(coir_stream *lower, coir_capture_fn fn, void *arg, coir_stream **ret_stream)
{
    int r = open_over(lower, fn, arg, ret_stream);
    if (r < 0)
        coir_stream_abort(lower);
    return r;
}

/* ---- as text ---- */

/* A text that is cut to size; length is what it would have. */
struct text {
    char *at;
    size_t size, length;
};

static void add(struct text *text, const char *piece, size_t length)
{
    for (size_t i = 0; i < length; i++, text->length++)
        if (text->length + 1 < text->size)
            text->at[text->length] = piece[i];
}

static void add_byte(struct text *text, unsigned char byte)
{
    static const char names[] = "\"\"\\\\\nn\rr\tt"; /* a byte and its letter */
    char piece[8];
    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if (byte == (unsigned char)names[i]) {
            add(text, (char[]){'\\', names[i + 1]}, 2);
            return;
        }
    }
    int length = byte >= 0x20 && byte < 0x7f ? snprintf(piece, sizeof piece, "%c", byte)
                                             : snprintf(piece, sizeof piece, "\\%03o", byte);
    add(text, piece, (size_t)length);
}

size_t coir_captured_format(const coir_captured *captured, char *text, size_t size)
{
    static const char *const names[] = {"",      "< \"",   "> \"",    "< end",
                                        "> end", "closed", "aborted", "failed: "};
    struct text line = {text, size, 0};
    char piece[64];
    int length = snprintf(piece, sizeof piece, "%.6f %s", (double)captured->time / 1e9,
                          names[captured->kind]);
    add(&line, piece, (size_t)length);
    const unsigned char *data = captured->data.data;
    for (size_t i = 0; i < captured->data.length; i++)
        add_byte(&line, data[i]);
    if (captured->kind == COIR_CAPTURED_READ || captured->kind == COIR_CAPTURED_WRITE)
        add(&line, "\"", 1);
    if (captured->kind == COIR_CAPTURED_FAILED) {
        const char *name = coir_error_name(captured->code);
        while (*name != '\0')
            add(&line, name++, 1);
    }
    if (size > 0)
        text[line.length < size ? line.length : size - 1] = '\0';
    return line.length;
}
