/* throttle.c: a stream that is slower than the one below it.
 *
 * Each direction has the time at which it may move again: a piece that passes moves it on by what
 * the piece takes at the rate. Waits come before anything happens, so a cancelled one loses
 * nothing; for the latency the bytes wait in the buffer of the stream below.
 */
#include <coir/filter.h>
#include <coir/memory.h>

#include "core/core.h"

#define PIECES 100 /* per second */

struct throttle {
    coir_stream *lower;
    uint64_t read_rate, write_rate; /* 0: no bound */
    coir_time latency;
    coir_time read_next, write_next; /* when the direction may move again */
};

/* Of size bytes how many may pass at once. */
static size_t piece_of(uint64_t rate, size_t size)
{
    if (rate == 0)
        return size;
    uint64_t piece = rate < PIECES ? 1 : rate / PIECES;
    return size < piece ? size : (size_t)piece;
}

static int wait_until(coir_time when)
{
    return when > coir_now() ? coir_sleep_until(when) : 0;
}

static void passed(coir_time *next, uint64_t rate, size_t size)
{
    if (rate == 0)
        return;
    coir_time now = coir_now();
    *next = (*next > now ? *next : now) + (coir_time)((double)size * 1e9 / (double)rate);
}

static int throttle_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct throttle *throttle = state;
    int r = wait_until(throttle->read_next);
    if (r == 0 && throttle->latency > 0) {
        coir_bytes bytes;
        r = coir_stream_peek(throttle->lower, 1, &bytes);
        if (r <= 0)
            return r;
        r = coir_sleep(throttle->latency);
    }
    if (r < 0)
        return r;
    r = coir_stream_read(throttle->lower, data, piece_of(throttle->read_rate, size), ret_n);
    if (r > 0)
        passed(&throttle->read_next, throttle->read_rate, *ret_n);
    return r;
}

static int throttle_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct throttle *throttle = state;
    uint64_t rate = throttle->write_rate;
    int r = wait_until(throttle->write_next);
    if (r < 0)
        return r;
    struct iovec piece = *vectors;
    if (rate > 0) {
        piece.iov_len = piece_of(rate, piece.iov_len);
        vectors = &piece;
        count = 1;
    }
    r = coir_stream_write_some(throttle->lower, vectors, count, ret_n);
    if (r == 0)
        passed(&throttle->write_next, rate, *ret_n);
    return r;
}

static int throttle_shutdown(void *state)
{
    return coir_stream_shutdown(((struct throttle *)state)->lower);
}

static void throttle_close(void *state, bool abrupt)
{
    struct throttle *throttle = state;
    if (abrupt)
        coir_stream_abort(throttle->lower);
    else
        coir_stream_close(throttle->lower);
    coir_free(throttle);
}

static int throttle_query(void *state, int key, void *ret_value)
{
    struct throttle *throttle = state;
    if (key != COIR_QUERY_LOWER)
        return coir_stream_query(throttle->lower, key, ret_value);
    *(coir_stream **)ret_value = throttle->lower;
    return 0;
}

static const coir_stream_ops throttle_ops = {
    .name = "throttle",
    .read = throttle_read,
    .write = throttle_write,
    .shutdown = throttle_shutdown,
    .close = throttle_close,
    .query = throttle_query,
};

static int open_over(coir_stream *lower, const coir_throttle_opts *opts, coir_stream **ret_stream)
{
    if (lower == NULL || ret_stream == NULL || (opts != NULL && opts->latency < 0))
        return -EINVAL;
    struct throttle *throttle = coir_calloc(1, sizeof *throttle);
    if (throttle == NULL)
        return -ENOMEM;
    throttle->lower = lower;
    if (opts != NULL) {
        throttle->read_rate = opts->read_rate;
        throttle->write_rate = opts->write_rate;
        throttle->latency = opts->latency;
    }
    int r = coir_stream_open(&throttle_ops, throttle, ret_stream);
    if (r < 0)
        coir_free(throttle);
    return r;
}

int coir_throttle_open(coir_stream *lower, const coir_throttle_opts *opts, coir_stream **ret_stream)
{
    int r = open_over(lower, opts, ret_stream);
    if (r < 0)
        coir_stream_abort(lower);
    return r;
}
