/* coir/capacity.h: tokens that holders acquire, in a number that can be changed under way.
 *
 * It bounds what runs at once, as a semaphore does, but knows who holds what: nobody acquires
 * twice, nobody releases what another one holds, and one can look at how full it is. A token may be
 * acquired for a thing (a connection, a job) instead of a task, and be released by another task. It
 * is fair: a token that is released goes to whoever has waited longest.
 *
 *     static coir_capacity workers = {.total = 8};
 *
 *     COIR_CAPACITY(&workers);                // one of eight, to the end of this block
 *     COIR_TRY(compress(file));
 */
#ifndef COIR_CAPACITY_H
#define COIR_CAPACITY_H

#include <coir/task.h>
#include <coir/wait.h>

COIR__BEGIN

struct coir__holding {
    const void *holder;
    uint64_t id; /* of a task: its record may be another's one day; else 0 */
};

/* A limiter in memory of the caller. Set total before it is used, and change it by
 * coir_capacity_resize then. It has some memory of its own while tokens are held or waited
 * for, and none otherwise: where a token may never be released, close it. */
typedef struct coir_capacity {
    size_t total;                 /* tokens there are; SIZE_MAX: no limit */
    struct coir_loop *coir__loop; /* that used it first */
    struct coir__holding *coir__holdings;
    size_t coir__held, coir__waiting, coir__room;
    struct coir__waitlist coir__waiters;
    void *coir__reserved[2];
} coir_capacity;

/* Acquires a token for the current task, waiting behind those that came before.
 * Returns 0. Errors: -EALREADY when this task holds one, -ENOMEM, -COIR_EWRONGLOOP, -COIR_ENOTASK,
 * -COIR_ECLOSED when it is closed meanwhile, -ECANCELED, -ETIME. Cancel safety: nothing was
 * acquired. Thread safety: the loop's thread. */
COIR__CHECKED int coir_capacity_acquire(coir_capacity *capacity);

/* Acquires a token on behalf of holder, any address, instead of the current task. Whoever does the
 * work for it releases it by coir_capacity_release_for.
 * Returns 0. Errors: -EALREADY when holder holds one, or a task waits for one on its behalf;
 * -EINVAL for NULL; otherwise as coir_capacity_acquire. Cancel safety: nothing was acquired. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_capacity_acquire_for(coir_capacity *capacity, const void *holder);

/* As the two above, without waiting.
 * Returns 0. Errors: -EAGAIN when all are held, -EALREADY, -EINVAL, -ENOMEM, -COIR_EWRONGLOOP,
 * and for the first -COIR_ENOTASK. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_capacity_try(coir_capacity *capacity);
COIR__CHECKED int coir_capacity_try_for(coir_capacity *capacity, const void *holder);

/* Release the token of the current task, or of holder. It is of who has waited longest from now
 * on.
 * Returns 0. Errors: -COIR_ENOTHELD when it holds none, -COIR_EWRONGLOOP. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC int coir_capacity_release(coir_capacity *capacity);
COIR__PUBLIC int coir_capacity_release_for(coir_capacity *capacity, const void *holder);

/* Changes how many tokens there are. With more, those that have waited longest go on at once; with
 * fewer, what is held stays so, and is not handed on until it is below the new total.
 * Returns 0. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread, in a task or not. */
COIR__PUBLIC int coir_capacity_resize(coir_capacity *capacity, size_t total);

/* Forgets all holders, and ends the waits of tasks with -COIR_ECLOSED; what is released later
 * is -COIR_ENOTHELD. It can be used again. COIR_AUTO(coir_capacity) does so at the end of a block.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_capacity_close(coir_capacity *capacity);

COIR_CLOSER_VALUE(coir_capacity, coir_capacity_close);

/* How many tokens are held; how many tasks wait; how many could be acquired now.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_capacity_held(const coir_capacity *capacity);
COIR__PUBLIC size_t coir_capacity_waiting(const coir_capacity *capacity);
COIR__PUBLIC size_t coir_capacity_available(const coir_capacity *capacity);

/* Whether holder, or the task with that record, holds a token.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_capacity_holds(const coir_capacity *capacity, const void *holder);

/* Holds a token for the current task to the end of the block. When none can be had, returns the
 * code from the enclosing function, as COIR_TRY does. */
#define COIR_CAPACITY(capacity)                                                                    \
    __attribute__((cleanup(coir__capacity_leave), unused)) coir_capacity *COIR__UNIQUE(            \
        coir__token_) = (__extension__({                                                           \
        coir_capacity *coir__capacity = (capacity);                                                \
        (void)COIR_TRY(coir_capacity_acquire(coir__capacity));                                     \
        coir__capacity;                                                                            \
    }))

COIR__PUBLIC void coir__capacity_leave(coir_capacity **held);

COIR__END
#endif
