/* deferred.c: tasks that are started when something happens, and hold no stack until then.
 *
 * Owns the list of them in each group. One that waits is a running child of its group in every
 * respect that others can see: leaving the group joins it, cancelling the group starts it at once,
 * cancelled, so that it can release its argument. Called by io, which knows what they wait for, and
 * by scope.c when a group's state changes.
 */
#include "core/core.h"

void coir__defer(struct coir__deferred *deferred)
{
    struct coir_group *group = deferred->group;
    deferred->previous = NULL;
    deferred->next = group->coir__deferred;
    if (deferred->next != NULL)
        deferred->next->previous = deferred;
    group->coir__deferred = deferred;
    group->coir__running++;
    group->coir__loop->deferred++;
}

static void undefer(struct coir__deferred *deferred)
{
    struct coir_group *group = deferred->group;
    if (deferred->next != NULL)
        deferred->next->previous = deferred->previous;
    if (deferred->previous != NULL)
        deferred->previous->next = deferred->next;
    else
        group->coir__deferred = deferred->next;
    group->coir__running--;
    group->coir__loop->deferred--;
}

struct coir_task *coir__deferred_start(struct coir__deferred *deferred, unsigned stack_class)
{
    struct coir_group *group = deferred->group;
    struct coir_task *task =
        coir__spawn_deferred(group, deferred->fn, deferred->arg, stack_class, deferred->site);
    if (task != NULL)
        undefer(deferred);
    return task;
}

void coir__deferred_hurry(struct coir_group *group)
{
    struct coir__deferred *next;
    for (struct coir__deferred *deferred = group->coir__deferred; deferred != NULL;
         deferred = next) {
        next = deferred->next; /* hurrying it may start it, and no other one */
        deferred->hurry(deferred);
    }
}
