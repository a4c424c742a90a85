/* fault_stream.c: a stream over another one that moves bytes in pieces, and fails after so many.
 *
 * The directions have counters and faults of their own; only a reset concerns both. It aborts the
 * stream below at once, so that the peer learns of it, and whoever is inside that one is told what
 * has happened here.
 */
#include <coir/memory.h>
#include <coir/testing_streams.h>

#include "core/core.h"

/* One direction. */
struct course {
    coir_fault fault;
    uint64_t left; /* bytes that pass before it */
    size_t most;   /* at a time */
};

struct faulty {
    coir_stream *lower; /* NULL: reset */
    struct course read, write;
    uint64_t random; /* 0: pieces are as large as may be */
};

/* How many of size bytes may pass now; 0: the fault is due. */
static size_t piece_of(struct faulty *faulty, const struct course *course, size_t size)
{
    if (course->fault != COIR_FAULT_NONE && course->left < size)
        size = (size_t)course->left;
    size_t most = course->most > 0 && course->most < size ? course->most : size;
    if (faulty->random == 0 || most == 0)
        return most;
    return 1 + (size_t)(coir__random(&faulty->random) % most);
}

static void passed(struct course *course, size_t size)
{
    if (course->fault != COIR_FAULT_NONE)
        course->left -= size;
}

static void reset(struct faulty *faulty)
{
    coir_stream *lower = faulty->lower;
    faulty->lower = NULL;
    coir_stream_abort(lower);
}

/* What a call of a direction gives whose fault is due. */
static int fail(struct faulty *faulty, const struct course *course, int cut, int gone)
{
    if (course->fault == COIR_FAULT_CUT)
        return cut;
    if (course->fault == COIR_FAULT_STALL)
        return coir_sleep(COIR_FOREVER);
    reset(faulty);
    return gone;
}

static int faulty_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct faulty *faulty = state;
    if (faulty->lower == NULL)
        return -ECONNRESET;
    size_t piece = piece_of(faulty, &faulty->read, size);
    if (piece == 0)
        return fail(faulty, &faulty->read, 0, -ECONNRESET);
    int r = coir_stream_read(faulty->lower, data, piece, ret_n);
    if (r > 0)
        passed(&faulty->read, *ret_n);
    return r < 0 && faulty->lower == NULL ? -ECONNRESET : r;
}

static int faulty_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct faulty *faulty = state;
    (void)count;
    if (faulty->lower == NULL)
        return -EPIPE;
    struct iovec piece = *vectors;
    piece.iov_len = piece_of(faulty, &faulty->write, piece.iov_len);
    if (piece.iov_len == 0)
        return fail(faulty, &faulty->write, -EPIPE, -EPIPE);
    int r = coir_stream_write_some(faulty->lower, &piece, 1, ret_n);
    if (r == 0)
        passed(&faulty->write, *ret_n);
    return r < 0 && faulty->lower == NULL ? -EPIPE : r;
}

static int faulty_shutdown(void *state)
{
    struct faulty *faulty = state;
    return faulty->lower != NULL ? coir_stream_shutdown(faulty->lower) : -ENOTCONN;
}

static void faulty_close(void *state, bool abrupt)
{
    struct faulty *faulty = state;
    if (abrupt)
        coir_stream_abort(faulty->lower);
    else
        coir_stream_close(faulty->lower);
    coir_free(faulty);
}

static int faulty_query(void *state, int key, void *ret_value)
{
    struct faulty *faulty = state;
    if (faulty->lower == NULL)
        return -EOPNOTSUPP;
    if (key != COIR_QUERY_LOWER)
        return coir_stream_query(faulty->lower, key, ret_value);
    *(coir_stream **)ret_value = faulty->lower;
    return 0;
}

static const coir_stream_ops faulty_ops = {
    .name = "fault",
    .read = faulty_read,
    .write = faulty_write,
    .shutdown = faulty_shutdown,
    .close = faulty_close,
    .query = faulty_query,
};

static int open_over(coir_stream *lower, const coir_fault_opts *opts, coir_stream **ret_stream)
{
    if (lower == NULL || ret_stream == NULL)
        return -EINVAL;
    struct faulty *faulty = coir_calloc(1, sizeof *faulty);
    if (faulty == NULL)
        return -ENOMEM;
    faulty->lower = lower;
    if (opts != NULL) {
        faulty->read = (struct course){opts->read_fault, opts->read_after, opts->read_most};
        faulty->write = (struct course){opts->write_fault, opts->write_after, opts->write_most};
        faulty->random = opts->seed;
    }
    int r = coir_stream_open(&faulty_ops, faulty, ret_stream);
    if (r < 0)
        coir_free(faulty);
    return r;
}

int coir_fault_stream_open(coir_stream *lower, const coir_fault_opts *opts,
                           coir_stream **ret_stream)
{
    int r = open_over(lower, opts, ret_stream);
    if (r < 0)
        coir_stream_abort(lower);
    return r;
}
