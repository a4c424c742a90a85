/* coir/scope.h: cancellation, deadlines and shields as blocks of code.
 *
 * Scopes form a tree: each is inside the scope that was open where it began, a task's first one
 * inside the scope of its group. Cancelling a scope, or reaching its deadline, makes every
 * suspending call inside it return -ECANCELED or -ETIME, again and again until the scope is left.
 * The outermost reason wins, and cancellation outranks expiry. What was finished when the
 * cancellation came is delivered: the next call reports. Trio calls this level-triggered
 * cancellation (trio.readthedocs.io).
 */
#ifndef COIR_SCOPE_H
#define COIR_SCOPE_H

#include <coir/error.h>

COIR__BEGIN

struct coir_task;
struct coir_loop;

/* A timer in memory of the caller. Zero is a timer that is not running. Private fields. */
typedef struct coir_timer {
    struct coir_timer *coir__next, *coir__previous; /* NULL when not running */
    coir_time coir__when;
    void (*coir__fn)(void *arg);
    void *coir__arg;
} coir_timer;

/* A scope in memory of the caller. Opened by COIR_SCOPE, COIR_DEADLINE, COIR_SHIELD or
 * coir_scope_enter; private fields. */
typedef struct coir_scope {
    struct coir_scope *coir__parent, *coir__next, *coir__previous;
    struct coir_scope *coir__first, *coir__last; /* the scopes inside */
    struct coir_task *coir__owner; /* whose code it encloses; NULL for a loop's or an object's */
    int coir__own;                 /* 0, -ETIME or -ECANCELED: what happened to this scope itself */
    int coir__effective;           /* the same with what comes from outside; what its tasks see */
    uint8_t coir__kind, coir__shield;
    bool coir__expired;
    coir_timer coir__timer; /* the deadline, or the bound of a shield */
    coir_time coir__bound;  /* of a shield, in ns */
    struct coir_error *coir__cause;
    const coir_site *coir__site;
} coir_scope;

/* Opens a scope named name that expires after duration nanoseconds (COIR_FOREVER: never), to the
 * end of the block. */
#define COIR_SCOPE(name, duration)                                                                 \
    __attribute__((cleanup(coir_scope_leave))) coir_scope name = COIR__ZERO;                       \
    __attribute__((unused)) coir_scope *COIR__UNIQUE(coir__entered_) =                             \
        coir_scope_enter(&name, (duration), COIR_SITE(#name))

/* Bounds the rest of the block by duration nanoseconds from now. */
#define COIR_DEADLINE(duration) COIR_SCOPE(COIR__UNIQUE(coir__deadline_), (duration))

/* Holds cancellation and outer deadlines off to the end of the block, but no longer than bound
 * nanoseconds from the moment that one arrives (from here when it is pending already). For cleanup
 * that has to talk to a peer. */
#define COIR_SHIELD(bound) COIR__SHIELD(COIR__UNIQUE(coir__shield_), (bound))
#define COIR__SHIELD(name, bound)                                                                  \
    __attribute__((cleanup(coir_scope_leave))) coir_scope name = COIR__ZERO;                       \
    __attribute__((unused)) coir_scope *COIR__JOIN(name, _entered) =                               \
        coir_scope_shield(&name, (bound), COIR_SITE("shield"))

/* Enters a scope by hand: it becomes the innermost scope of the current task until
 * coir_scope_leave. scope is overwritten and must stay where it is. duration counts from now; zero
 * or less has expired already. Returns scope. Errors: outside a task the scope has no effect.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC coir_scope *coir_scope_enter(coir_scope *scope, coir_time duration,
                                          const coir_site *site);

/* Enters a shield by hand; see COIR_SHIELD. bound in nanoseconds, COIR_FOREVER for none.
 * Returns scope. Errors: outside a task no effect. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC coir_scope *coir_scope_shield(coir_scope *scope, coir_time bound,
                                           const coir_site *site);

/* Leaves a scope: the task sees again what comes from outside. Scopes are left in the reverse order
 * of entering; the macros do so by themselves. Cancel safety: never waits. Thread safety: the task
 * that entered it. */
COIR__PUBLIC void coir_scope_leave(coir_scope *scope);

/* Cancels everything inside the scope. reason is for people, copied, may be NULL. Cancelling twice
 * is once. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_scope_cancel(coir_scope *scope, const char *reason);

/* Whether the deadline of this scope (not of one outside) has been reached, also after leaving it.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_scope_expired(const coir_scope *scope);

/* Whether this scope (not one outside) was cancelled, also after leaving it.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_scope_cancelled(const coir_scope *scope);

/* The point in time at which this scope expires. Returns it, or COIR_FOREVER. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC coir_time coir_scope_when(const coir_scope *scope);

/* Moves the deadline to a point in time (COIR_FOREVER takes it away). A scope that has expired
 * stays expired. Returns 0. Errors: -ETIME when it has expired already, -EINVAL for a shield or a
 * group. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_scope_move(coir_scope *scope, coir_time when);

/* The deadline in force for the current task: the earliest of all scopes that it is inside, up to a
 * shield. Returns a point in time or COIR_FOREVER. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC coir_time coir_deadline(void);

/* What the next suspending call of this task would report: 0, -ETIME or -ECANCELED.
 * Returns that code. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_pending(void);

COIR__END
#endif
