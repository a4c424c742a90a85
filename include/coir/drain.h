/* coir/drain.h: ending in peace: a gate that work goes through, and phases in which a program ends.
 *
 * A gate counts the pieces of work that are under way. Once it is closed it lets no new one in;
 * draining it waits until all that are inside have left, for as long as its grace, and then cancels
 * the rest. Each piece is a scope, so it may be a whole task or a part of one.
 *
 *     static int handle(coir_stream *stream, void *arg)
 *     {
 *         struct server *server = arg;
 *         COIR_GATE(&server->requests);       // to the end of this block; or refused
 *         return answer(stream);
 *     }
 *
 * coir_drain goes through the phases of an end in their order, each with a grace of its own:
 *
 *     const coir_phase phases[] = {
 *         {.name = "stop accepting", .run = close_listener, .arg = &server},
 *         {.name = "finish requests", .gate = &server.requests, .grace = COIR_SEC(20)},
 *         {.name = "close the store", .run = close_store, .arg = &server, .grace = COIR_SEC(2)},
 *     };
 *     return coir_drain(phases, COIR_COUNT(phases), NULL);
 */
#ifndef COIR_DRAIN_H
#define COIR_DRAIN_H

#include <coir/event.h>

COIR__BEGIN

struct coir_gate_pass;

/* A gate in memory of the caller; zero is an open one. Private fields. */
typedef struct coir_gate {
    struct coir_loop *coir__loop; /* that used it first */
    struct coir_gate_pass *coir__first, *coir__last;
    size_t coir__inside;
    coir_event coir__empty; /* set when the last one has left a closed gate */
    bool coir__closed;
    void *coir__reserved[3];
} coir_gate;

/* A piece of work inside a gate, in memory of the task that does it; private fields. */
typedef struct coir_gate_pass {
    coir_scope coir__scope; /* what draining cancels */
    coir_gate *coir__gate;  /* NULL: not inside */
    struct coir_task *coir__task;
    struct coir_gate_pass *coir__next, *coir__previous;
    void *coir__reserved[2];
} coir_gate_pass;

/* Goes in through the gate: from now to coir_gate_leave the calling task is inside, in a scope of
 * its own. pass is overwritten and must stay where it is.
 * Returns 0. Errors: -COIR_ECLOSED when the gate is closed, -COIR_EWRONGLOOP, -COIR_ENOTASK. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
#define coir_gate_enter(gate, pass) coir_gate_enter_at((gate), (pass), COIR_SITE(#gate))
COIR__CHECKED int coir_gate_enter_at(coir_gate *gate, coir_gate_pass *pass, const coir_site *site);

/* Leaves the gate; a zeroed pass, and one that has left, are accepted. Scopes, passes among them,
 * are left in the reverse order of entering. Cancel safety: never waits. Thread safety: the task
 * that went in. */
COIR__PUBLIC void coir_gate_leave(coir_gate_pass *pass);

/* Is inside the gate to the end of the block. When the gate is closed, returns the code from the
 * enclosing function, as COIR_TRY does. */
#define COIR_GATE(gate) COIR__GATE(COIR__UNIQUE(coir__pass_), (gate))
#define COIR__GATE(name, gate)                                                                     \
    __attribute__((cleanup(coir_gate_leave))) coir_gate_pass name = COIR__ZERO;                    \
    __attribute__((unused)) int COIR__JOIN(name, _entered) =                                       \
        COIR_TRY(coir_gate_enter((gate), &name))

/* Closes the gate: nothing goes in any more, what is inside goes on. Closing twice is once. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_gate_close(coir_gate *gate);

/* Closes the gate, waits until all have left it, and after grace nanoseconds cancels what is still
 * inside and waits for that.
 * Returns 0 when all have left by themselves. Errors: -ETIMEDOUT when some had to be cancelled,
 * -EINVAL for a negative grace, -EDEADLK for a task that is inside, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the grace is over: what is inside is cancelled,
 * and waited for. Thread safety: the loop's thread. */
COIR__CHECKED int coir_gate_drain(coir_gate *gate, coir_time grace);

/* How many are inside. Returns the number. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC size_t coir_gate_inside(const coir_gate *gate);

/* Whether the gate is closed. Returns true or false. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC bool coir_gate_closed(const coir_gate *gate);

/* One phase of an end: a function to be called, or a gate to be drained. */
typedef struct coir_phase {
    const char *name; /* for people, may be NULL */
    coir_fn run;
    void *arg;
    coir_gate *gate; /* instead of run */
    coir_time grace; /* bounds run, as a deadline does; or that of the gate; 0: 10 s */
    void *coir__reserved[2];
} coir_phase;

/* Zero means the default for each field. */
typedef struct coir_drain_opts {
    /* Called after each phase with its result and how long it took. It must not wait. May be NULL.
     */
    void (*on_phase)(const coir_phase *phase, int result, coir_time took, void *arg);
    void *arg; /* for it */
    size_t coir__reserved[4];
} coir_drain_opts;

/* Goes through count phases in their order, each when the one before it has ended, whatever its
 * result. In a task that is cancelled already, as by SIGTERM, each has its grace all the same;
 * a cancellation that comes while it drains cuts the graces short, and still every phase is gone
 * through. opts may be NULL.
 * Returns 0 when all have ended well in their time. Errors: the first failure of a phase,
 * -ETIMEDOUT for one that took longer than its grace; -EINVAL for one without, or with both,
 * function and gate or with a negative grace, and -COIR_ENOTASK, both before the first one. Cancel
 * safety: the graces are over; the rest is gone through. Thread safety: the loop's thread. */
COIR__CHECKED int coir_drain(const coir_phase *phases, size_t count, const coir_drain_opts *opts);

COIR__END
#endif
