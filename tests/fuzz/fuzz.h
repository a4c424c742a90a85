/* fuzz.h: what fuzz targets of protocols share: an abort where something does not hold, a stream in
 * memory whose bytes come in pieces, and a loop to read it in.
 *
 * The stream never waits: it has what is left of its input, so much at a time, and then the end.
 */
#ifndef COIR_TESTS_FUZZ_H
#define COIR_TESTS_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include <coir/coir.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static inline void require(bool holds)
{
    if (!holds)
        abort();
}

/* A text of its own of the bytes up to the first that is 0. Not strndup, which a strict sanitizer
 * wants to be given a text. */
static inline char *text_of(const void *data, size_t length)
{
    const void *end = length > 0 ? memchr(data, '\0', length) : NULL;
    size_t n = end != NULL ? (size_t)((const char *)end - (const char *)data) : length;
    char *text = malloc(n + 1);
    require(text != NULL);
    if (n > 0)
        memcpy(text, data, n);
    text[n] = '\0';
    return text;
}

/* What a stream gives, and what it was given. */
struct feed {
    const unsigned char *data;
    size_t length, at;
    size_t piece;     /* so many bytes at a time; 0: all */
    coir_buffer *out; /* NULL: nothing is kept */
};

static inline int feed_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct feed *feed = state;
    size_t left = feed->length - feed->at, n = size < left ? size : left;
    if (n > feed->piece && feed->piece > 0)
        n = feed->piece;
    if (n == 0)
        return 0;
    memcpy(data, feed->data + feed->at, n);
    feed->at += n;
    *ret_n = n;
    return 1;
}

static inline int feed_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct feed *feed = state;
    *ret_n = 0;
    for (size_t i = 0; i < count; i++) {
        if (feed->out != NULL)
            require(coir_buffer_append(feed->out, vectors[i].iov_base, vectors[i].iov_len) == 0);
        *ret_n += vectors[i].iov_len;
    }
    return 0;
}

static inline int feed_shutdown(void *state)
{
    (void)state;
    return 0;
}

static inline void feed_close(void *state, bool abrupt)
{
    (void)state;
    (void)abrupt;
}

/* Opens a stream over feed, which stays the caller's. */
static inline coir_stream *feed_open(struct feed *feed)
{
    static const coir_stream_ops ops = {.name = "feed",
                                        .read = feed_read,
                                        .write = feed_write,
                                        .shutdown = feed_shutdown,
                                        .close = feed_close};
    coir_stream *stream = NULL;
    require(coir_stream_open(&ops, feed, &stream) == 0);
    return stream;
}

/* Runs fn(arg) as a task in a loop that knows no time but its own, the same for all inputs. */
static inline void run_in_loop(coir_fn fn, void *arg)
{
    static coir_loop *loop;
    coir_task *task = NULL;
    int result = 0;
    if (loop == NULL)
        require(coir_loop_open(&(coir_loop_opts){.backend = "sim"}, &loop) == 0);
    require(coir_loop_spawn(loop, fn, arg, &task) == 0);
    require(coir_loop_run_until(loop, task, &result) == 0 && result == 0);
}

#endif
