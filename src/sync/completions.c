/* completions.c: tasks in the order in which they end.
 *
 * Each task has a waiter of ours among its watchers until it ends; then the waiter is moved to the
 * end of a queue, or its index goes straight to the task that waits for the next one. The record of
 * a task is touched only while it runs, so its handle may die after that.
 */
#include <stdio.h>

#include <coir/completions.h>

#include "sync/sync.h"

struct coir_completions {
    struct coir_loop *loop;
    struct coir_task *caller; /* in coir_completions_next */
    size_t *ret_index;        /* of its call */
    size_t count;
    size_t left;                   /* that were not given */
    struct coir__waitlist settled; /* waiters of tasks that have ended and were not given */
    struct coir__waiter waiters[]; /* one for each task; slot points to the completions */
};

/* ---- the ends ---- */

static size_t index_of(const coir_completions *completions, const struct coir__waiter *waiter)
{
    return (size_t)(waiter - completions->waiters);
}

static void ended(struct coir__waiter *waiter, int result)
{
    (void)result;
    coir_completions *completions = waiter->slot;
    struct coir_task *caller = completions->caller;
    if (caller == NULL) {
        coir__waiter_link(&completions->settled, waiter);
        return;
    }
    *completions->ret_index = index_of(completions, waiter);
    completions->caller = NULL;
    completions->left--;
    coir__wake(caller, 1);
}

/* ---- waiting ---- */

static bool abort_next(struct coir_task *caller)
{
    coir_completions *completions = (coir_completions *)(uintptr_t)caller->wait_object;
    completions->caller = NULL;
    return true;
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_completions *completions = task->wait_object;
    return (size_t)snprintf(text, size, "of %zu tasks, %zu left", completions->count,
                            completions->left);
}

static const struct coir__wait next_wait = {"waits for the next to end", abort_next, describe};

int coir_completions_next(coir_completions *completions, size_t *ret_index)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, completions->loop);
    if (coir__unlikely(r < 0))
        return r;
    if (completions->loop != self->loop)
        return coir__refuse(completions->loop, NULL, -COIR_EWRONGLOOP);
    if (completions->caller != NULL)
        return -EBUSY;
    if (completions->left == 0)
        return coir__charge(self, 0);
    struct coir__waiter *first = completions->settled.first;
    if (first != NULL) {
        coir__waiter_unlink(first);
        completions->left--;
        *ret_index = index_of(completions, first);
        return coir__charge(self, 1);
    }
    completions->caller = self;
    completions->ret_index = ret_index;
    return coir__park(self, &next_wait, completions);
}

size_t coir_completions_left(const coir_completions *completions)
{
    return completions->left;
}

/* ---- opening and closing ---- */

/* Whether the task has a watcher of completions already: it would be the last one. */
static bool is_watched(const coir_completions *completions, const struct coir_task *task)
{
    const struct coir__waiter *last = task->watchers.last;
    return last != NULL && last->fire == ended && last->slot == completions;
}

static int watch(coir_completions *completions, struct coir_task *task)
{
    if (task == NULL)
        return -EINVAL;
    if (task->loop != completions->loop)
        return coir__refuse(task->loop, &task->own, -COIR_EWRONGLOOP);
    if (task == coir__self())
        return -EDEADLK;
    if (is_watched(completions, task))
        return -EINVAL;
    struct coir__waiter *waiter = &completions->waiters[completions->count++];
    *waiter = (struct coir__waiter){.slot = completions, .fire = ended};
    coir__waiter_link(&task->watchers, waiter);
    return 0;
}

/* Watches all of them, those that have ended too, which shows who was given twice. */
static int watch_all(coir_completions *completions, coir_task *const *tasks, size_t count)
{
    int r = 0;
    for (size_t i = 0; i < count && r >= 0; i++)
        r = watch(completions, tasks[i]);
    for (size_t i = 0; i < completions->count; i++) {
        struct coir_task *task = tasks[i];
        if (!(task->flags & COIR__TASK_DONE)) {
            task->flags |= COIR__TASK_WATCHED;
            continue;
        }
        coir__waiter_unlink(&completions->waiters[i]);
        coir__waiter_link(&completions->settled, &completions->waiters[i]);
    }
    return r;
}

int coir_completions_open(coir_task *const *tasks, size_t count, coir_completions **ret_completions)
{
    size_t bytes;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    if (tasks == NULL && count > 0)
        return -EINVAL;
    if (__builtin_mul_overflow(count, sizeof(struct coir__waiter), &bytes) ||
        bytes > PTRDIFF_MAX / 2)
        return -EOVERFLOW;
    coir_completions *completions = coir__alloc(sizeof *completions + bytes);
    if (completions == NULL)
        return -ENOMEM;
    *completions = (coir_completions){.loop = coir__loop};
    int r = watch_all(completions, tasks, count);
    if (r < 0) {
        coir_completions_close(completions);
        return r;
    }
    completions->left = completions->count;
    *ret_completions = completions;
    return 0;
}

void coir_completions_close(coir_completions *completions)
{
    if (completions == NULL || coir__elsewhere(completions->loop, NULL))
        return;
    if (completions->caller != NULL)
        coir__wake(completions->caller, -COIR_ECLOSED);
    for (size_t i = 0; i < completions->count; i++)
        if (completions->waiters[i].list != NULL)
            coir__waiter_unlink(&completions->waiters[i]);
    coir__free(completions);
}
