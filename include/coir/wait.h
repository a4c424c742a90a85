/* coir/wait.h: what stands inside the objects that tasks wait for; private to the library.
 *
 * Locks, events, semaphores, barriers and futures lie in the caller's memory, so their lists of
 * waiters have to be complete types in public headers. Programs use none of this by name;
 * src/core/core.h says how it works.
 */
#ifndef COIR_WAIT_H
#define COIR_WAIT_H

#include <coir/base.h>

COIR__BEGIN

struct coir_task;
struct coir_loop;
struct coir__waiter;

/* The waiters of one object, first come first served. Zero is empty. */
struct coir__waitlist {
    struct coir__waiter *first, *last;
};

/* One task that waits for one object. Single waits use the one in the task record; coir_select has
 * one for each case. */
struct coir__waiter {
    struct coir__waiter *next, *previous;
    struct coir__waitlist *list; /* NULL: not linked */
    struct coir_task *task;
    void *slot; /* where the value comes from or goes to */
    void (*fire)(struct coir__waiter *waiter,
                 int result); /* NULL: wake the task; select: settle the case */
};

COIR__END
#endif
