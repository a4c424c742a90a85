/* coir/rwlock.h: a lock that many readers share, or one writer has alone.
 *
 * It is worth having where tasks wait in the middle of reading, so that readers would hold each
 * other up under a coir_lock. It is fair between both kinds: tasks are served in the order in which
 * they came, and neighbouring readers together. So a writer that waits holds back the readers that
 * come after it, and no stream of readers keeps it out for ever. It also means that a task which
 * reads already must not read again: a writer may stand between.
 *
 *     struct routes { coir_rwlock lock; struct table *table; };
 *
 *     COIR_RWLOCK_READ(&routes->lock);        // shared, to the end of this block
 *     COIR_TRY(send_all(routes->table));
 *
 *     COIR_RWLOCK_WRITE(&routes->lock);       // alone, to the end of this block
 *     COIR_TRY(reload(routes->table));
 */
#ifndef COIR_RWLOCK_H
#define COIR_RWLOCK_H

#include <coir/task.h>
#include <coir/wait.h>

COIR__BEGIN

/* A read-write lock in memory of the caller; zero is a free one. Private fields. */
typedef struct coir_rwlock {
    struct coir_loop *coir__loop;   /* that used it first */
    struct coir_task *coir__writer; /* NULL: none */
    uint64_t coir__writer_id;       /* so that a task which ended with it is not its successor */
    uint64_t coir__downgraded_id;   /* of the reader that was the writer before, or 0 */
    size_t coir__readers;
    struct coir__waitlist coir__waiters;
    uint64_t coir__order; /* what debug mode knows it by */
    void *coir__reserved;
} coir_rwlock;

/* Acquires lock for reading, waiting behind those that came before. Where nobody writes and nobody
 * waits, it is acquired without a wait.
 * Returns 0. Errors: -EDEADLK when this task holds it for writing, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the lock was not acquired. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_rwlock_acquire_read(coir_rwlock *lock);

/* Acquires lock for reading if nobody writes and nobody waits.
 * Returns 0. Errors: -EAGAIN when it would wait, -EDEADLK when this task holds it for writing,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_rwlock_try_read(coir_rwlock *lock);

/* Acquires lock for writing, waiting behind those that came before. A free one is acquired without
 * a wait. A task that reads must stop doing so first: it would wait for itself.
 * Returns 0. Errors: -EDEADLK when this task holds it for writing, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the lock was not acquired, and the readers that
 * it held back go on. Thread safety: the loop's thread. */
COIR__CHECKED int coir_rwlock_acquire_write(coir_rwlock *lock);

/* Acquires lock for writing if it is free.
 * Returns 0. Errors: -EAGAIN when others read or write, -EDEADLK when this task writes,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_rwlock_try_write(coir_rwlock *lock);

/* Ends one reading. The lock does not know who reads: whoever acquired it must release it, once.
 * Returns 0. Errors: -COIR_ENOTHELD when nobody reads, -COIR_EWRONGLOOP. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC int coir_rwlock_release_read(coir_rwlock *lock);

/* Ends writing. Who has waited longest has the lock from now on: one writer, or all readers up to
 * the next writer.
 * Returns 0. Errors: -COIR_ENOTHELD when this task does not write. Cancel safety: never waits.
 * Thread safety: the task that acquired it. */
COIR__PUBLIC int coir_rwlock_release_write(coir_rwlock *lock);

/* Makes the writer a reader, with nobody writing in between; the readers that wait first join it.
 * It is then released by coir_rwlock_release_read, or by the end of its COIR_RWLOCK_WRITE block.
 * Returns 0. Errors: -COIR_ENOTHELD when this task does not write. Cancel safety: never waits.
 * Thread safety: the task that acquired it. */
COIR__PUBLIC int coir_rwlock_downgrade(coir_rwlock *lock);

/* How many hold lock for reading.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_rwlock_readers(const coir_rwlock *lock);

/* Whether some task holds lock for writing.
 * Returns true or false. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_rwlock_writing(const coir_rwlock *lock);

#define COIR__RWLOCK(lock, acquire, leave)                                                         \
    __attribute__((cleanup(leave), unused)) coir_rwlock *COIR__UNIQUE(coir__held_) =               \
        (__extension__({                                                                           \
            coir_rwlock *coir__lock = (lock);                                                      \
            (void)COIR_TRY(acquire(coir__lock));                                                   \
            coir__lock;                                                                            \
        }))

/* Hold a lock for reading, or for writing, to the end of the block. When it cannot be acquired,
 * they return the code from the enclosing function, as COIR_TRY does. */
#define COIR_RWLOCK_READ(lock) COIR__RWLOCK(lock, coir_rwlock_acquire_read, coir__rwlock_leave_read)
#define COIR_RWLOCK_WRITE(lock)                                                                    \
    COIR__RWLOCK(lock, coir_rwlock_acquire_write, coir__rwlock_leave_write)

COIR__PUBLIC void coir__rwlock_leave_read(coir_rwlock **held);
COIR__PUBLIC void coir__rwlock_leave_write(coir_rwlock **held);

COIR__END
#endif
