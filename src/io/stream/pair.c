/* pair.c: two connected streams in memory.
 *
 * A pair has two halves, one for each direction, and lives until both ends are closed. A half's
 * ring is there from the first byte that has to wait in it. A writer that finds a waiting reader
 * copies straight to the reader's memory; a reader that makes room takes over bytes of the waiting
 * writer. So these hold between calls: a reader waits only when the ring is empty, a writer only
 * when it is full, and who is woken has finished and does not look at the pair again. The streams
 * over the ends see to it that each has one reader and one writer, and that nobody is inside an end
 * when it is closed.
 */
#include <string.h>

#include "core/core.h"
#include "io/stream/pair.h"

#define CAPACITY 65536

/* What goes from one end to the other. */
struct half {
    char *ring;
    size_t capacity, first, count;
    bool ended;   /* nothing more will be written */
    bool reset;   /* and not because that was the end */
    bool refused; /* nobody will read it */
    /* the reader and the writer that wait, and what they gave */
    struct coir__waitlist reading, writing;
    void *data;
    size_t size;
    const struct iovec *vectors;
    size_t vector_count;
    size_t *read_n, *written_n;
};

struct end {
    struct pair *pair;
    struct half *out, *in;
    bool open;
};

struct pair {
    struct half halves[2];
    struct end ends[2];
    bool one_way; /* the first end only writes, the second only reads */
};

static const struct coir__wait read_wait = {"waits to read in memory", coir__abort_waiter, NULL};
static const struct coir__wait write_wait = {"waits to write in memory", coir__abort_waiter, NULL};

/* ---- moving bytes ---- */

static size_t ring_take(struct half *half, char *data, size_t size)
{
    size_t n = size < half->count ? size : half->count;
    for (size_t done = 0; done < n;) {
        size_t run = half->capacity - half->first;
        run = run < n - done ? run : n - done;
        memcpy(data + done, half->ring + half->first, run);
        half->first = (half->first + run) % half->capacity;
        half->count -= run;
        done += run;
    }
    return n;
}

static size_t ring_put(struct half *half, const char *data, size_t size)
{
    size_t room = half->capacity - half->count;
    size_t n = size < room ? size : room;
    for (size_t done = 0; done < n;) {
        size_t end = (half->first + half->count) % half->capacity;
        size_t run = half->capacity - end;
        run = run < n - done ? run : n - done;
        memcpy(half->ring + end, data + done, run);
        half->count += run;
        done += run;
    }
    return n;
}

/* Copies what fits of the vectors into the ring. Returns how much. */
static size_t put_vectors(struct half *half, const struct iovec *vectors, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count && half->count < half->capacity; i++)
        total += ring_put(half, vectors[i].iov_base, vectors[i].iov_len);
    return total;
}

/* Copies what fits of the vectors to the memory of the waiting reader, and wakes it. */
static size_t hand_over(struct half *half, const struct iovec *vectors, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count && total < half->size; i++) {
        size_t room = half->size - total;
        size_t n = vectors[i].iov_len < room ? vectors[i].iov_len : room;
        memcpy((char *)half->data + total, vectors[i].iov_base, n);
        total += n;
    }
    *half->read_n = total;
    coir__waiter_wake(half->reading.first, 1);
    return total;
}

/* Ends the wait of the one in list, if there is one. */
static void wake(struct coir__waitlist *list, int result)
{
    if (list->first != NULL)
        coir__waiter_wake(list->first, result);
}

/* ---- what the streams call ---- */

static int end_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct end *end = state;
    struct half *half = end->in;
    if (half == NULL)
        return -EBADF;
    if (half->count > 0) {
        *ret_n = ring_take(half, data, size);
        if (half->writing.first != NULL) {
            *half->written_n = put_vectors(half, half->vectors, half->vector_count);
            wake(&half->writing, 0);
        }
        return 1;
    }
    if (half->ended)
        return half->reset ? -ECONNRESET : 0;
    half->data = data;
    half->size = size;
    half->read_n = ret_n;
    return coir__wait_in(coir__self(), &half->reading, &read_wait, half, NULL);
}

static int end_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct end *end = state;
    struct half *half = end->out;
    if (half == NULL)
        return -EBADF;
    if (half->ended || half->refused)
        return -EPIPE;
    if (half->reading.first != NULL) {
        *ret_n = hand_over(half, vectors, count);
        return 0;
    }
    if (half->ring == NULL && (half->ring = coir__alloc(half->capacity)) == NULL)
        return -ENOMEM;
    *ret_n = put_vectors(half, vectors, count);
    if (*ret_n > 0)
        return 0;
    half->vectors = vectors;
    half->vector_count = count;
    half->written_n = ret_n;
    return coir__wait_in(coir__self(), &half->writing, &write_wait, half, NULL);
}

static int end_shutdown(void *state)
{
    struct end *end = state;
    if (end->pair->one_way)
        return -ENOTSOCK;
    end->out->ended = true;
    wake(&end->out->reading, 0);
    return 0;
}

static void close_output(struct half *half, bool abrupt)
{
    half->reset = abrupt && !half->ended;
    half->ended = true;
    wake(&half->reading, half->reset ? -ECONNRESET : 0);
}

static void close_input(struct half *half)
{
    half->refused = true;
    wake(&half->writing, -EPIPE);
    coir__free(half->ring);
    half->ring = NULL;
    half->count = 0;
}

static void end_close(void *state, bool abrupt)
{
    struct end *end = state;
    struct pair *pair = end->pair;
    end->open = false;
    if (end->out != NULL)
        close_output(end->out, abrupt && !pair->one_way);
    if (end->in != NULL)
        close_input(end->in);
    if (pair->ends[0].open || pair->ends[1].open)
        return;
    coir__free(pair->halves[0].ring);
    coir__free(pair->halves[1].ring);
    coir__free(pair);
}

static int end_query(void *state, int key, void *ret_value)
{
    struct end *end = state;
    if (key != COIR_QUERY_UNREAD)
        return -EOPNOTSUPP;
    *(size_t *)ret_value = end->in != NULL ? end->in->count : 0;
    return 0;
}

static const coir_stream_ops memory_ops = {
    .name = "memory",
    .read = end_read,
    .write = end_write,
    .shutdown = end_shutdown,
    .close = end_close,
    .query = end_query,
};

static const coir_stream_ops pipe_ops = {
    .name = "pipe",
    .read = end_read,
    .write = end_write,
    .shutdown = end_shutdown,
    .close = end_close,
    .query = end_query,
};

/* ---- making ---- */

static struct pair *pair_new(size_t capacity, bool one_way)
{
    struct pair *pair = coir__calloc(1, sizeof *pair);
    if (pair == NULL)
        return NULL;
    pair->one_way = one_way;
    for (size_t i = 0; i < 2; i++) {
        pair->halves[i].capacity = capacity > 0 ? capacity : CAPACITY;
        pair->ends[i] = (struct end){.pair = pair, .open = true};
        pair->ends[i].out = one_way && i == 1 ? NULL : &pair->halves[i];
        pair->ends[i].in = one_way && i == 0 ? NULL : &pair->halves[1 - i];
    }
    return pair;
}

int coir__stream_pair(size_t capacity, bool one_way, coir_stream **ret_a, coir_stream **ret_b)
{
    if (ret_a == NULL || ret_b == NULL)
        return -EINVAL;
    struct pair *pair = pair_new(capacity, one_way);
    if (pair == NULL)
        return -ENOMEM;
    const coir_stream_ops *ops = one_way ? &pipe_ops : &memory_ops;
    coir_stream *a, *b;
    int r = coir_stream_open(ops, &pair->ends[0], &a);
    if (r < 0) {
        coir__free(pair);
        return r;
    }
    r = coir_stream_open(ops, &pair->ends[1], &b);
    if (r < 0) {
        pair->ends[1].open = false;
        coir_stream_abort(a);
        return r;
    }
    *ret_a = a;
    *ret_b = b;
    return 0;
}

int coir_stream_pair(size_t capacity, coir_stream **ret_a, coir_stream **ret_b)
{
    return coir__stream_pair(capacity, false, ret_a, ret_b);
}
