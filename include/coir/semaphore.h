/* coir/semaphore.h: a number of permits that tasks take and give back.
 *
 * It is fair: a permit that is released goes to the task that has waited longest, which has it
 * before it runs again.
 *
 *     static coir_semaphore slots = {.value = 5};
 *
 *     COIR_SEMAPHORE(&slots);                 // one of five, to the end of this block
 *     COIR_TRY(download(url));
 */
#ifndef COIR_SEMAPHORE_H
#define COIR_SEMAPHORE_H

#include <coir/task.h>
#include <coir/wait.h>

COIR__BEGIN

/* A semaphore in memory of the caller. Set value (and bound) before it is used. */
typedef struct coir_semaphore {
    size_t value; /* permits that are free now */
    size_t bound; /* the most there can be, when releasing too often is to be caught; 0: no bound */
    struct coir_loop *coir__loop; /* that used it first */
    struct coir__waitlist coir__waiters;
    void *coir__reserved[2];
} coir_semaphore;

/* Takes a permit, waiting behind those that came before. A free one is taken without a wait.
 * Returns 0. Errors: -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no permit
 * was taken. Thread safety: the loop's thread. */
COIR__CHECKED int coir_semaphore_acquire(coir_semaphore *semaphore);

/* Takes a permit if one is free.
 * Returns 0. Errors: -EAGAIN when none is, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread
 * safety: the loop's thread, in a task or not. */
COIR__CHECKED int coir_semaphore_try(coir_semaphore *semaphore);

/* Gives a permit back, or adds one: to the task that has waited longest, else to the free ones.
 * Returns 0. Errors: -EOVERFLOW when there would be more than bound; then nothing changed;
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread, in a task or
 * not. */
COIR__PUBLIC int coir_semaphore_release(coir_semaphore *semaphore);

/* Holds a permit to the end of the block. When none can be had, returns the code from the enclosing
 * function, as COIR_TRY does. */
#define COIR_SEMAPHORE(semaphore)                                                                  \
    __attribute__((cleanup(coir__semaphore_leave), unused)) coir_semaphore *COIR__UNIQUE(          \
        coir__permit_) = (__extension__({                                                          \
        coir_semaphore *coir__semaphore = (semaphore);                                             \
        (void)COIR_TRY(coir_semaphore_acquire(coir__semaphore));                                   \
        coir__semaphore;                                                                           \
    }))

COIR__PUBLIC void coir__semaphore_leave(coir_semaphore **held);

COIR__END
#endif
