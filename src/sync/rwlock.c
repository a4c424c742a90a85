/* rwlock.c: locks for many readers or one writer, in the order in which they came.
 *
 * Both kinds wait in one list, a writer's waiter being marked by its slot. Between calls the first
 * waiter never could have the lock: it is a writer while somebody holds it, or a reader while
 * somebody writes. Whatever changes that (a release, a downgrade, a cancelled waiter at the head)
 * ends in grant(), which makes the waiters holders before they run; so nobody can step in between,
 * and one that is cancelled after that holds the lock all the same.
 */
#include <stdio.h>

#include <coir/rwlock.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_rwlock) == 72, "part of the ABI");

static char writer_mark; /* its address is the slot of waiting writers */

static inline bool wants_to_write(const struct coir__waiter *waiter)
{
    return waiter->slot == &writer_mark;
}

static inline bool writes(const coir_rwlock *lock, const struct coir_task *task)
{
    return task != NULL && lock->coir__writer == task && lock->coir__writer_id == task->id;
}

static inline void give_to_writer(coir_rwlock *lock, struct coir_task *task)
{
    lock->coir__writer = task;
    lock->coir__writer_id = task->id;
    lock->coir__downgraded_id = 0;
    if (coir__debugs(task->loop))
        coir__debugger.lock_taken(task, &lock->coir__order);
}

static inline void give_to_reader(coir_rwlock *lock, struct coir_task *task)
{
    lock->coir__readers++;
    if (coir__debugs(task->loop))
        coir__debugger.lock_taken(task, &lock->coir__order);
}

/* The running task, if there is one, lets go of it. */
static inline void tell_left(const coir_rwlock *lock)
{
    if (coir__loop != NULL && coir__debugs(coir__loop))
        coir__debugger.lock_left(coir__loop->current, lock->coir__order);
}

/* Lets the first waiters have the lock that may have it now. */
static void grant(coir_rwlock *lock)
{
    struct coir__waiter *next;
    while (lock->coir__writer == NULL && (next = lock->coir__waiters.first) != NULL) {
        if (!wants_to_write(next)) {
            give_to_reader(lock, next->task);
        } else if (lock->coir__readers == 0) {
            give_to_writer(lock, next->task);
        } else {
            return;
        }
        coir__waiter_wake(next, 0);
    }
}

/* ---- waiting ---- */

static bool abort_wait(struct coir_task *task)
{
    coir_rwlock *lock = (coir_rwlock *)(uintptr_t)task->wait_object;
    (void)coir__abort_waiter(task);
    grant(lock);
    return true;
}

/* Finds the writer among the tasks that live. */
static int is_writer(coir_task *task, void *arg)
{
    return writes(arg, task);
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_rwlock *lock = task->wait_object;
    if (lock->coir__writer == NULL)
        return (size_t)snprintf(text, size, "held by %zu reader%s", lock->coir__readers,
                                lock->coir__readers == 1 ? "" : "s");
    const char *name = "a task that has ended";
    if (coir_task_each(is_writer, (void *)(uintptr_t)lock) == 1)
        name = coir_task_name(lock->coir__writer);
    return (size_t)snprintf(text, size, "held by the writer '%s'", name);
}

static const struct coir__wait read_wait = {"waits to read under lock", abort_wait, describe};
static const struct coir__wait write_wait = {"waits to write under lock", abort_wait, describe};

/* Whether the lock can be had without a wait: 0, or the code that coir_rwlock_try_… return. */
static inline int look(const coir_rwlock *lock, const struct coir_task *self, bool writing)
{
    if (coir__unlikely(lock->coir__writer != NULL))
        return writes(lock, self) ? -EDEADLK : -EAGAIN;
    if (writing ? lock->coir__readers > 0 : lock->coir__waiters.first != NULL)
        return -EAGAIN;
    return 0;
}

static int begin(struct coir_task *self, coir_rwlock *lock, bool writing)
{
    int r = coir__begin(self, &lock->coir__loop);
    if (coir__unlikely(r < 0))
        return r;
    r = look(lock, self, writing);
    if (coir__unlikely(r == -EDEADLK))
        return coir_fail(r, "the lock is held by this task already, for writing");
    if (coir__debugs(self->loop))
        coir__debugger.lock_wanted(self, &lock->coir__order);
    return r == -EAGAIN ? 1 : 0;
}

static int try_to(coir_rwlock *lock, bool writing)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(lock->coir__loop, NULL, -COIR_ENOTASK);
    int r = coir__bind(&lock->coir__loop, self->loop);
    if (r < 0)
        return r;
    r = look(lock, self, writing);
    if (r < 0)
        return r;
    if (writing)
        give_to_writer(lock, self);
    else
        give_to_reader(lock, self);
    return 0;
}

/* ---- the public calls ---- */

/* Whether a call of self has no reason to begin slowly: debug mode wants to see it, for one. */
static inline bool is_usual(const coir_rwlock *lock, const struct coir_task *self)
{
    return self != NULL && self->pending == 0 && lock->coir__loop == self->loop &&
           self->loop->slow == 0;
}

static __attribute__((noinline)) int coir_rwlock_acquire_read__slowly(coir_rwlock *lock)
{
    struct coir_task *self = coir__self();
    int r = begin(self, lock, false);
    if (coir__unlikely(r < 0))
        return r;
    if (r > 0)
        return coir__wait_in(self, &lock->coir__waiters, &read_wait, lock, NULL);
    give_to_reader(lock, self);
    return 0;
}

/* The short ways call nothing and so need no frame. */
int coir_rwlock_acquire_read(coir_rwlock *lock)
{
    const struct coir_task *self = coir__self();
    if (coir__unlikely(!is_usual(lock, self) || lock->coir__writer != NULL ||
                       lock->coir__waiters.first != NULL || --self->loop->charges <= 0))
        return coir_rwlock_acquire_read__slowly(lock);
    lock->coir__readers++;
    return 0;
}

int coir_rwlock_try_read(coir_rwlock *lock)
{
    return coir__stay(try_to(lock, false));
}

static __attribute__((noinline)) int coir_rwlock_acquire_write__slowly(coir_rwlock *lock)
{
    struct coir_task *self = coir__self();
    int r = begin(self, lock, true);
    if (coir__unlikely(r < 0))
        return r;
    if (r > 0)
        return coir__wait_in(self, &lock->coir__waiters, &write_wait, lock, &writer_mark);
    give_to_writer(lock, self);
    return 0;
}

int coir_rwlock_acquire_write(coir_rwlock *lock)
{
    struct coir_task *self = coir__self();
    if (coir__unlikely(!is_usual(lock, self) || lock->coir__writer != NULL ||
                       lock->coir__readers > 0 || --self->loop->charges <= 0))
        return coir_rwlock_acquire_write__slowly(lock);
    lock->coir__writer = self;
    lock->coir__writer_id = self->id;
    lock->coir__downgraded_id = 0;
    return 0;
}

int coir_rwlock_try_write(coir_rwlock *lock)
{
    return coir__stay(try_to(lock, true));
}

static void release_read(coir_rwlock *lock)
{
    tell_left(lock);
    if (--lock->coir__readers == 0)
        grant(lock);
}

static __attribute__((noinline)) int coir_rwlock_release_read__slowly(coir_rwlock *lock)
{
    int r = coir__bind(&lock->coir__loop, coir__loop);
    if (r < 0)
        return r;
    if (coir__unlikely(lock->coir__readers == 0))
        return -COIR_ENOTHELD;
    const struct coir_task *self = coir__self();
    if (self != NULL && lock->coir__downgraded_id == self->id)
        lock->coir__downgraded_id = 0;
    release_read(lock);
    return 0;
}

int coir_rwlock_release_read(coir_rwlock *lock)
{
    const struct coir_loop *loop = coir__loop;
    if (coir__unlikely(loop == NULL || lock->coir__loop != loop || loop->slow != 0 ||
                       lock->coir__readers == 0 || lock->coir__waiters.first != NULL ||
                       lock->coir__downgraded_id != 0))
        return coir_rwlock_release_read__slowly(lock);
    lock->coir__readers--;
    return 0;
}

static __attribute__((noinline)) int coir_rwlock_release_write__slowly(coir_rwlock *lock)
{
    if (coir__unlikely(!writes(lock, coir__self())))
        return -COIR_ENOTHELD;
    tell_left(lock);
    lock->coir__writer = NULL;
    grant(lock);
    return 0;
}

int coir_rwlock_release_write(coir_rwlock *lock)
{
    const struct coir_task *self = coir__self();
    if (coir__unlikely(!writes(lock, self) || lock->coir__waiters.first != NULL ||
                       self->loop->slow != 0))
        return coir_rwlock_release_write__slowly(lock);
    lock->coir__writer = NULL;
    return 0;
}

int coir_rwlock_downgrade(coir_rwlock *lock)
{
    if (!writes(lock, coir__self()))
        return -COIR_ENOTHELD;
    lock->coir__downgraded_id = lock->coir__writer_id;
    lock->coir__writer = NULL;
    lock->coir__readers = 1;
    grant(lock);
    return 0;
}

size_t coir_rwlock_readers(const coir_rwlock *lock)
{
    return lock->coir__readers;
}

bool coir_rwlock_writing(const coir_rwlock *lock)
{
    return lock->coir__writer != NULL;
}

/* ---- the ends of blocks ---- */

void coir__rwlock_leave_read(coir_rwlock **held)
{
    if ((*held)->coir__readers > 0)
        release_read(*held);
}

/* The block has it for writing, or for reading since a downgrade: while it reads, nobody else can
 * have been downgraded after it. */
void coir__rwlock_leave_write(coir_rwlock **held)
{
    const struct coir_task *self = coir__self();
    if (writes(*held, self))
        (void)coir_rwlock_release_write(*held);
    else if (self != NULL && (*held)->coir__downgraded_id == self->id)
        (void)coir_rwlock_release_read(*held);
}
