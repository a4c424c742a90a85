/* coir/breaker.h: a circuit breaker: no calls to a service that only fails, until it may have
 * recovered.
 *
 * While the circuit is closed, calls go through; so many failures in a row open it. While it is
 * open, calls are refused at once, which spares the caller the wait and the service the load. After
 * a time a few probes are let through (half-open): successes close it, any failure opens it again.
 *
 *     static coir_breaker breaker = {.failures = 5, .recovery = COIR_SEC(60), .successes = 2};
 *
 *     int r = coir_breaker_run(&breaker, ask, &question);
 *     if (r == -COIR_EOPEN)
 *         return answer_from_cache(&question);
 *
 * One breaker serves all tasks of a loop that call the same service. With retries, put the breaker
 * inside (coir_retry_run around coir_breaker_run), so that each attempt is counted.
 */
#ifndef COIR_BREAKER_H
#define COIR_BREAKER_H

#include <coir/task.h>

COIR__BEGIN

/* Where a breaker stands. */
typedef enum coir_circuit {
    COIR_CIRCUIT_CLOSED,    /* calls go through */
    COIR_CIRCUIT_OPEN,      /* calls are refused */
    COIR_CIRCUIT_HALF_OPEN, /* a few calls go through, to see whether the service has recovered */
} coir_circuit;

/* A breaker in memory of the caller; zero means the default for each field. */
typedef struct coir_breaker {
    unsigned failures;  /* in a row that open it; 0: 5 */
    unsigned successes; /* of probes that close it again; 0: 1 */
    unsigned probes;    /* that run at once when it is half open; 0: 1 */
    coir_time recovery; /* how long it is open, in nanoseconds; 0: 60 s */
    /* Whether a failure speaks against the service; one that does not ("no such record") is an
     * answer like a success. NULL: all do. It is not asked about -ECANCELED, -ETIME and the task
     * versions of them, nor about -EINVAL, -COIR_EWRONGLOOP, -COIR_ENOTASK: those say nothing about
     * the service and never count. */
    bool (*counts)(int code, void *arg);
    /* Called when the circuit has changed. It must not wait. May be NULL. */
    void (*on_change)(coir_circuit before, coir_circuit now, void *arg);
    void *arg; /* for both */

    struct coir_loop *coir__loop; /* that used it first */
    coir_circuit coir__circuit;
    unsigned coir__failures, coir__successes, coir__probing;
    uint64_t coir__generation; /* how often it has changed: which calls began before that */
    coir_time coir__opened;
    uint64_t coir__calls, coir__failed, coir__refused, coir__opens;
    void *coir__reserved[2];
} coir_breaker;

/* Calls fn(arg) through the circuit, and counts how it ended. Of a call that began before the
 * circuit last changed, the end says nothing any more and is not counted. A call that was cancelled
 * or ran into a deadline of this task is not counted either, since that says nothing about the
 * service: bound the call inside fn, and make it -ETIMEDOUT there.
 * Returns what fn returned. Errors: -COIR_EOPEN when the circuit is open, or half open with all
 * probes under way, and then fn was not called; -EINVAL for no function or a negative recovery;
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: as fn. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_breaker_run(coir_breaker *breaker, coir_fn fn, void *arg);

/* Where the breaker stands. Open it stays, also after its recovery, until the next call comes.
 * Returns that. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC coir_circuit coir_breaker_circuit(const coir_breaker *breaker);

/* The name of a circuit's state for people: "half open". Returns a static string. Cancel safety:
 * never waits. Thread safety: any thread. */
COIR__PUBLIC const char *coir_circuit_name(coir_circuit circuit);

/* Reads what went through a breaker. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
struct coir_breaker_stats {
    uint64_t calls;    /* that went through */
    uint64_t failures; /* of them that counted */
    uint64_t refused;  /* calls that did not */
    uint64_t opens;    /* how often the circuit has opened */
    uint64_t coir__reserved[4];
};
COIR__PUBLIC void coir_breaker_stats(const coir_breaker *breaker,
                                     struct coir_breaker_stats *ret_stats);

COIR__END
#endif
