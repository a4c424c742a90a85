/* wait.c: waiting for one, the first failed, or all of several tasks; and how tasks are told apart
 * for that.
 *
 * Each waited-for task gets a waiter in its list of watchers; the first that settles the question
 * withdraws the others and wakes the caller. Handles stay valid.
 */
#include <stdio.h>

#include "core/core.h"

#define ON_STACK 16 /* up to so many waiters need no memory */

enum until { UNTIL_FIRST, UNTIL_ERROR, UNTIL_ALL };

struct several {
    struct coir_task *const *tasks;
    size_t count, left;
    size_t answer; /* who settled it: the first to end or to fail; count: nobody */
    enum until until;
    struct coir_task *caller;
    struct coir__waiter *waiters;
};

static void withdraw(struct several *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->waiters[i].list != NULL)
            coir__waiter_unlink(&wanted->waiters[i]);
}

/* A watched task has ended. */
static void fired(struct coir__waiter *waiter, int result)
{
    struct several *wanted = waiter->slot;
    wanted->left--;
    bool settled = wanted->until == UNTIL_FIRST || wanted->left == 0 ||
                   (wanted->until == UNTIL_ERROR && result < 0);
    if (!settled)
        return;
    if (wanted->until == UNTIL_FIRST || (wanted->until == UNTIL_ERROR && result < 0))
        wanted->answer = (size_t)(waiter - wanted->waiters);
    withdraw(wanted);
    coir__wake(wanted->caller, 0);
}

static bool abort_several(struct coir_task *task)
{
    withdraw((struct several *)(uintptr_t)task->wait_object);
    return true;
}

static size_t describe_several(const struct coir_task *task, char *text, size_t size)
{
    static const char *const what[] = {"the first to end", "the first to fail", "all to end"};
    const struct several *wanted = task->wait_object;
    return (size_t)snprintf(text, size, "%zu tasks, %s", wanted->count, what[wanted->until]);
}

static const struct coir__wait several_wait = {"waits for", abort_several, describe_several};

/* The answer when it is known already: an index, count for none of them, or -EAGAIN. */
static int look(const struct several *wanted)
{
    size_t done = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        const struct coir_task *task = wanted->tasks[i];
        if (!(task->flags & COIR__TASK_DONE))
            continue;
        done++;
        if (wanted->until == UNTIL_FIRST || (wanted->until == UNTIL_ERROR && task->result < 0))
            return (int)i;
    }
    if (done < wanted->count)
        return -EAGAIN;
    return (int)wanted->count;
}

static int park_for(struct several *wanted, struct coir_task *self)
{
    for (size_t i = 0; i < wanted->count; i++) {
        struct coir__waiter *waiter = &wanted->waiters[i];
        *waiter = (struct coir__waiter){.task = self, .slot = wanted, .fire = fired};
        if (wanted->tasks[i]->flags & COIR__TASK_DONE)
            continue;
        wanted->left++;
        coir__task_watch(wanted->tasks[i], waiter);
    }
    return coir__park(self, &several_wait, wanted);
}

static int wait_for(struct coir_task *const *tasks, size_t count, enum until until)
{
    struct coir_task *self = coir__self();
    if (self != NULL && (count == 0 || count > INT32_MAX))
        return -EINVAL;
    if (self == NULL && tasks != NULL && count > 0 && tasks[0] != NULL)
        return coir__refuse(tasks[0]->loop, &tasks[0]->own, -COIR_ENOTASK);
    int r = coir__enter(self);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (tasks[i]->loop != self->loop)
            return coir__refuse(tasks[i]->loop, &tasks[i]->own, -COIR_EWRONGLOOP);
        if (tasks[i] == self)
            return -EDEADLK;
    }
    struct several wanted = {tasks, count, 0, count, until, self, NULL};
    r = look(&wanted);
    if (r != -EAGAIN)
        return r;
    struct coir__waiter few[ON_STACK];
    wanted.waiters = count <= ON_STACK ? few : coir__alloc(count * sizeof *wanted.waiters);
    if (wanted.waiters == NULL)
        return -ENOMEM;
    r = park_for(&wanted, self);
    if (wanted.waiters != few)
        coir__free(wanted.waiters);
    return r < 0 ? r : (int)wanted.answer; /* others may have ended since */
}

int coir_wait_first(coir_task *const *tasks, size_t count)
{
    return coir__stay(wait_for(tasks, count, UNTIL_FIRST));
}

int coir_wait_first_error(coir_task *const *tasks, size_t count)
{
    return coir__stay(wait_for(tasks, count, UNTIL_ERROR));
}

int coir_wait_all(coir_task *const *tasks, size_t count)
{
    int r = wait_for(tasks, count, UNTIL_ALL);
    return r < 0 ? r : 0;
}
