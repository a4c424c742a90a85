/* coir/event.h: a flag that tasks can wait for.
 *
 * Setting it wakes everyone who waits, and lets through everyone who comes, until it is cleared.
 * For a value that comes once use coir_future, for a change of shared state coir_condition.
 *
 *     coir_event ready = {0};
 *     COIR_TRY(coir_event_wait(&ready));      // in one task
 *     coir_event_set(&ready);                 // in another
 */
#ifndef COIR_EVENT_H
#define COIR_EVENT_H

#include <coir/task.h>
#include <coir/wait.h>

COIR__BEGIN

/* An event in memory of the caller; zero is a cleared one. Private fields. */
typedef struct coir_event {
    struct coir_loop *coir__loop; /* that used it first */
    struct coir__waitlist coir__waiters;
    bool coir__set;
    void *coir__reserved[2];
} coir_event;

/* Sets event and wakes all that wait for it; they return 0 even when it is cleared before they run.
 * Returns 0. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread, in a task or not. */
COIR__PUBLIC int coir_event_set(coir_event *event);

/* Clears event: from now on tasks wait for the next coir_event_set.
 * Returns 0. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread, in a task or not. */
COIR__PUBLIC int coir_event_clear(coir_event *event);

/* Whether event is set.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_event_is_set(const coir_event *event);

/* Waits until event is set; does not wait when it is.
 * Returns 0. Errors: -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing
 * happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_event_wait(coir_event *event);

COIR__END
#endif
