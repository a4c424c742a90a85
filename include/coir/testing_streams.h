/* coir/testing_streams.h: for tests of streams, and of what talks over them: one routine that any
 * kind of stream must pass, a stream that injects faults, and a session that is cut after each
 * byte.
 *
 *     static int make_mine(void *arg, coir_stream **ret_a, coir_stream **ret_b) { ... }
 *
 *     COIR_TEST(my_stream_behaves)
 *     {
 *         coir_stream_maker maker = {.name = "mine", .make = make_mine};
 *         coir_check_stream(&maker);
 *     }
 */
#ifndef COIR_TESTING_STREAMS_H
#define COIR_TESTING_STREAMS_H

#include <coir/stream.h>
#include <coir/testing.h>

COIR__BEGIN

/* ---- any stream ---- */

/* What a kind of stream need not do. */
enum coir_trait {
    COIR_TRAIT_ONE_WAY = 1 << 0,       /* the first only writes, the second only reads */
    COIR_TRAIT_NO_HALF_CLOSE = 1 << 1, /* coir_stream_shutdown does not work */
    COIR_TRAIT_SOFT_ABORT = 1 << 2,    /* the peer of an aborted one reads the end, no reset */
    COIR_TRAIT_UNBOUNDED = 1 << 3,     /* a writer never waits */
    COIR_TRAIT_LINGER = 1 << 4,        /* closing waits for the peer's answer, at most a second */
};

/* How two connected streams of a kind are made, and how the kind differs from a TCP connection. */
typedef struct coir_stream_maker {
    const char *name; /* for people */
    /* Makes both ends. When it fails it leaves nothing behind. */
    int (*make)(void *arg, coir_stream **ret_a, coir_stream **ret_b);
    void *arg;
    unsigned traits; /* enum coir_trait */
    size_t big;      /* more bytes than fit between both ends; 0: 16 MiB */
    size_t coir__reserved[4];
} coir_stream_maker;

/* Checks that streams of a kind do what <coir/stream.h> says: reading and writing, ends and half
 * closes, cancellations and deadlines, closes under a waiter, aborts, back-pressure, what reads
 * through the buffer, queries. Makes many pairs, and uses both ends of each in both roles. A few
 * bytes must fit between both ends. What does not hold are failed expectations, and the name of the
 * check follows each. In a run of torture, checks that move many bytes are left out. Cancel safety:
 * ends early, releases all. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_check_stream(const coir_stream_maker *maker);

/* ---- faults ---- */

/* What happens to one direction of a stream after some bytes. */
typedef enum coir_fault {
    COIR_FAULT_NONE,
    COIR_FAULT_CUT,   /* reads give the end, writes -EPIPE */
    COIR_FAULT_STALL, /* nothing passes any more: calls wait until they are cancelled */
    COIR_FAULT_RESET, /* reads give -ECONNRESET, writes -EPIPE, the peer is reset */
} coir_fault;

/* Zero means harmless for each field. */
typedef struct coir_fault_opts {
    size_t read_most, write_most; /* pass so many bytes at a time; 0: all */
    uint64_t seed;                /* not 0: between one and so many, drawn from it */
    coir_fault read_fault, write_fault;
    uint64_t read_after, write_after; /* how many bytes pass before the fault */
    size_t coir__reserved[4];
} coir_fault_opts;

/* Opens a stream over lower that fails as opts say (NULL: not at all). lower is taken over, also on
 * failure, as by all filters.
 * Returns 0, and writes *ret_stream, which is the caller's to close. Errors: -ENOMEM, -EINVAL,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_fault_stream_open(coir_stream *lower, const coir_fault_opts *opts,
                                         coir_stream **ret_stream);

/* ---- after each byte ---- */

/* A program that talks over a stream, and what its peer sends in a session that goes well. */
typedef struct coir_byte_session {
    /* The program: as the handler of a server it does not close stream. */
    int (*program)(coir_stream *stream, void *arg);
    void *arg;
    const void *input; /* what the peer sends */
    size_t length;
    coir_time limit; /* the program must have ended after so long; 0: a minute */
    size_t coir__reserved[4];
} coir_byte_session;

/* Runs the session once as it is and once byte by byte, which both must go well, and then for each
 * number of bytes that have been sent: cut, stalled, reset there. The program must end each time,
 * with an error or without one, within the limit, and release what it took. In memory, in virtual
 * time. Cancel safety: ends early, releases all. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_test_bytes(const coir_byte_session *session);

COIR__END
#endif
