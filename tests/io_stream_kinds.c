/* io_stream_kinds.c: coir_check_stream on every kind of stream that there is, filters over filters,
 * and a kind that only this test knows. Filters over the kernel are not tortured: what would fail
 * there fails in the kernel's kinds and in the filters over memory.
 */
#include <coir/event.h>
#include <coir/filter.h>
#include <coir/memory.h>
#include <coir/pipe.h>
#include <coir/stream_pair.h>
#include <coir/testing_streams.h>

#include "io/stream/outside.h"
#include "io/process/sys.h"
#include "net_pair.h"

/* ---- the bottom: what filters stand on ---- */

static int make_tcp(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    (void)arg;
    return open_pair(BY_TCP, ret_a, ret_b);
}

static int make_unix(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    (void)arg;
    return open_pair(BY_UNIX, ret_a, ret_b);
}

static int make_memory(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    (void)arg;
    return coir_stream_pair(0, ret_a, ret_b);
}

static int make_narrow(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    (void)arg;
    return coir_stream_pair(16, ret_a, ret_b);
}

static int make_pipe(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    (void)arg;
    return coir_pipe_open(ret_b, ret_a);
}

/* A pipe of the machine, as programs and terminals have them, on every backend. */
static int make_outside(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    const struct coir__outside_opts *opts = arg;
    int fds[2];
    int r = opts->waits ? coir__sys_pipe_that_waits(fds) : coir__sys_pipe(fds);
    if (r < 0)
        return r;
    coir_stream *reader = NULL;
    r = coir__outside_stream(fds[0], opts, &reader);
    if (r == 0)
        r = coir__outside_stream(fds[1], opts, ret_a);
    if (r < 0) {
        coir__sys_close(fds[1]);
        if (reader == NULL)
            coir__sys_close(fds[0]);
        coir_stream_abort(reader);
        return r;
    }
    *ret_b = reader;
    return 0;
}

COIR_TEST_TAGGED(tcp, "slow,limit=60")
{
    coir_stream_maker maker = {.name = "tcp", .make = make_tcp};
    coir_check_stream(&maker);
}

COIR_TEST_TAGGED(unix_socket, "slow,limit=60")
{
    coir_stream_maker maker = {.name = "unix", .make = make_unix};
    maker.traits = COIR_TRAIT_SOFT_ABORT;
    coir_check_stream(&maker);
}

COIR_TEST_TAGGED(outside, "slow,limit=60")
{
    struct coir__outside_opts opts = {.name = "outside"};
    coir_stream_maker maker = {.name = "outside", .make = make_outside, .arg = &opts};
    maker.traits = COIR_TRAIT_ONE_WAY | COIR_TRAIT_NO_HALF_CLOSE | COIR_TRAIT_SOFT_ABORT;
    coir_check_stream(&maker);
}

COIR_TEST_TAGGED(outside_that_waits, "slow,limit=60")
{
    struct coir__outside_opts opts = {.name = "outside", .waits = true};
    coir_stream_maker maker = {.name = "outside", .make = make_outside, .arg = &opts};
    maker.traits = COIR_TRAIT_ONE_WAY | COIR_TRAIT_NO_HALF_CLOSE | COIR_TRAIT_SOFT_ABORT;
    coir_check_stream(&maker);
}

COIR_TEST(memory)
{
    coir_stream_maker maker = {.name = "memory", .make = make_memory, .big = 300000};
    coir_check_stream(&maker);
}

COIR_TEST(narrow_memory)
{
    coir_stream_maker maker = {.name = "narrow memory", .make = make_narrow, .big = 3000};
    coir_check_stream(&maker);
}

COIR_TEST(pipes)
{
    coir_stream_maker maker = {.name = "pipe", .make = make_pipe, .big = 300000};
    maker.traits = COIR_TRAIT_ONE_WAY | COIR_TRAIT_SOFT_ABORT;
    coir_check_stream(&maker);
}

/* ---- filters: the first end is one, the second is bare ---- */

struct layer {
    int (*below)(void *arg, coir_stream **ret_a, coir_stream **ret_b);
    int (*open)(coir_stream *lower, coir_stream **ret_stream);
    bool both;                                                 /* also on the second end */
    int (*more)(coir_stream *lower, coir_stream **ret_stream); /* on top of that, on the first */
};

static int put_on(coir_stream **stream, int (*open)(coir_stream *lower, coir_stream **ret_stream))
{
    return open(COIR_TAKE(*stream), stream);
}

static int make_layered(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    const struct layer *layer = arg;
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    COIR_TRY(layer->below(NULL, &a, &b));
    COIR_TRY(put_on(&a, layer->open));
    if (layer->more != NULL)
        COIR_TRY(put_on(&a, layer->more));
    if (layer->both)
        COIR_TRY(put_on(&b, layer->open));
    *ret_a = COIR_TAKE(a);
    *ret_b = COIR_TAKE(b);
    return 0;
}

static int open_slow(coir_stream *lower, coir_stream **ret_stream)
{
    coir_throttle_opts opts = {.read_rate = 1 << 20, .write_rate = 1 << 20, .latency = COIR_MS(1)};
    return coir_throttle_open(lower, &opts, ret_stream);
}

static int open_hardly_slow(coir_stream *lower, coir_stream **ret_stream)
{
    coir_throttle_opts opts = {.read_rate = 4000000000, .write_rate = 4000000000};
    return coir_throttle_open(lower, &opts, ret_stream);
}

static int open_whole(coir_stream *lower, coir_stream **ret_stream)
{
    return coir_fault_stream_open(lower, NULL, ret_stream);
}

static int open_pieces(coir_stream *lower, coir_stream **ret_stream)
{
    coir_fault_opts opts = {.read_most = 100, .write_most = 7, .seed = 12345};
    return coir_fault_stream_open(lower, &opts, ret_stream);
}

static void ignore(const coir_captured *captured, void *arg)
{
    (void)captured, (void)arg;
}

static int open_captured(coir_stream *lower, coir_stream **ret_stream)
{
    return coir_capture_open(lower, ignore, NULL, ret_stream);
}

static void check_layer(const char *name, struct layer layer, unsigned traits, size_t big)
{
    coir_stream_maker maker = {
        .name = name, .make = make_layered, .arg = &layer, .traits = traits, .big = big};
    coir_check_stream(&maker);
}

COIR_TEST_TAGGED(throttle_over_memory, "slow")
{
    check_layer("throttle over memory", (struct layer){make_memory, open_slow, false, NULL}, 0,
                200000);
}

COIR_TEST_TAGGED(throttle_over_tcp, "no_torture,limit=60")
{
    check_layer("throttle over tcp", (struct layer){make_tcp, open_hardly_slow, true, NULL}, 0, 0);
}

COIR_TEST_TAGGED(capture_over_memory, "slow")
{
    check_layer("capture over memory", (struct layer){make_memory, open_captured, true, NULL}, 0,
                200000);
}

COIR_TEST_TAGGED(capture_over_unix, "no_torture,limit=60")
{
    check_layer("capture over unix", (struct layer){make_unix, open_captured, false, NULL},
                COIR_TRAIT_SOFT_ABORT, 0);
}

COIR_TEST_TAGGED(faults_that_are_harmless, "slow")
{
    check_layer("no fault", (struct layer){make_memory, open_whole, false, NULL}, 0, 200000);
}

COIR_TEST_TAGGED(faults_that_make_pieces, "slow")
{
    check_layer("pieces over memory", (struct layer){make_memory, open_pieces, true, NULL}, 0,
                100000);
}

COIR_TEST_TAGGED(faults_that_make_pieces_of_tcp, "no_torture,limit=60")
{
    check_layer("pieces over tcp", (struct layer){make_tcp, open_pieces, false, NULL},
                COIR_TRAIT_UNBOUNDED, 0);
}

COIR_TEST_TAGGED(filters_over_filters, "slow")
{
    check_layer("tower", (struct layer){make_narrow, open_pieces, true, open_captured}, 0, 5000);
}

/* ---- a kind that only this test knows: it waits for events, and need not know of closes ---- */

struct letters {
    char data[100];
    size_t first, count;
    bool ended, reset, refused;
    coir_event filled, emptied; /* one for each who waits: nobody clears the other's */
};

struct desk {
    struct letters *out, *in;
    struct office *office;
};

struct office {
    struct letters letters[2];
    struct desk desks[2];
    int open;
};

static int desk_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct letters *in = ((struct desk *)state)->in;
    while (in->count == 0 && !in->ended) {
        coir_event_clear(&in->filled);
        COIR_TRY(coir_event_wait(&in->filled));
    }
    if (in->count == 0)
        return in->reset ? -ECONNRESET : 0;
    *ret_n = size < in->count ? size : in->count;
    memcpy(data, in->data + in->first, *ret_n);
    in->first += *ret_n;
    in->count -= *ret_n;
    coir_event_set(&in->emptied);
    return 1;
}

static size_t room_of(struct letters *letters)
{
    if (letters->count == 0)
        letters->first = 0;
    return sizeof letters->data - letters->first - letters->count;
}

static int desk_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct letters *out = ((struct desk *)state)->out;
    (void)count; /* the rest is given again */
    while (room_of(out) == 0 && !out->refused) {
        coir_event_clear(&out->emptied);
        COIR_TRY(coir_event_wait(&out->emptied));
    }
    if (out->refused || out->ended)
        return -EPIPE;
    *ret_n = vectors->iov_len < room_of(out) ? vectors->iov_len : room_of(out);
    memcpy(out->data + out->first + out->count, vectors->iov_base, *ret_n);
    out->count += *ret_n;
    coir_event_set(&out->filled);
    return 0;
}

static int desk_shutdown(void *state)
{
    struct letters *out = ((struct desk *)state)->out;
    out->ended = true;
    coir_event_set(&out->filled);
    return 0;
}

static void desk_close(void *state, bool abrupt)
{
    struct desk *desk = state;
    desk->out->reset = abrupt;
    desk->in->refused = true;
    coir_event_set(&desk->in->emptied);
    (void)desk_shutdown(desk);
    if (--desk->office->open == 0)
        coir_free(desk->office);
}

static const coir_stream_ops desk_ops = {
    .name = "desk",
    .read = desk_read,
    .write = desk_write,
    .shutdown = desk_shutdown,
    .close = desk_close,
};

static int make_desks(void *arg, coir_stream **ret_a, coir_stream **ret_b)
{
    (void)arg;
    struct office *office = coir_calloc(1, sizeof *office);
    if (office == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < 2; i++)
        office->desks[i] = (struct desk){&office->letters[i], &office->letters[1 - i], office};
    int r = coir_stream_open(&desk_ops, &office->desks[0], ret_a);
    office->open = 1;
    if (r < 0) {
        coir_free(office);
        return r;
    }
    r = coir_stream_open(&desk_ops, &office->desks[1], ret_b);
    if (r < 0)
        coir_stream_abort(COIR_TAKE(*ret_a));
    else
        office->open = 2;
    return r;
}

COIR_TEST(ones_own)
{
    coir_stream_maker maker = {.name = "desk", .make = make_desks, .big = 3000};
    coir_check_stream(&maker);
}
