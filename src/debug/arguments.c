/* arguments.c: finds arguments of running tasks that lie in frames which have been left.
 *
 * A task whose argument lies on the stack of the task that spawned it is noted at both: the child
 * has its spawner, the spawner the lowest such address. Whenever the spawner waits, all below its
 * stack pointer has been left, and when it ends all of its stack has; if a child still runs with an
 * argument there, that is reported, once. There are no false alarms: memory below the stack pointer
 * is nobody's. Frames that were left and covered again by others before the first wait are not
 * noticed.
 */
#include "debug/debug.h"

void coir__argument_note(struct coir_task *task, struct coir__debug_task *data,
                         struct coir_task *self)
{
    struct coir__debug_task *spawner = coir__debug_of(self);
    uintptr_t at = (uintptr_t)task->arg;
    if (spawner == NULL)
        return;
    data->spawner = self;
    if (spawner->lowest == 0 || at < spawner->lowest)
        spawner->lowest = at;
}

static void report(struct coir_task *task, struct coir_task *child, bool ends)
{
    char line[320], who[COIR__WHO];
    (void)coir__task_line(child, line, sizeof line);
    (void)coir__task_who(task, who, sizeof who);
    coir__report(task->loop, COIR_REPORT_DEAD_ARGUMENT, child, NULL,
                 "task %s\n  its argument %p is on the stack of task %s, which %s; let the group "
                 "that it runs in end first, use coir_spawn_copy, or allocate the argument",
                 line, child->arg, who,
                 ends ? "has ended" : "has left the function that it was in");
}

void coir__arguments_check(struct coir_task *task, struct coir__debug_task *data, uintptr_t sp)
{
    if (data->lowest >= sp)
        return;
    struct coir_scope *scope = &task->loop->root;
    data->lowest = 0;
    while ((scope = coir__scope_next(&task->loop->root, scope)) != NULL) {
        struct coir_task *child = scope->coir__owner;
        if (scope->coir__kind != COIR__SCOPE_TASK || (child->flags & COIR__TASK_DONE))
            continue;
        struct coir__debug_task *its = coir__debug_of(child);
        if (its == NULL || its->spawner != task)
            continue;
        uintptr_t at = (uintptr_t)child->arg;
        if (at >= sp) {
            data->lowest = data->lowest == 0 || at < data->lowest ? at : data->lowest;
            continue;
        }
        its->spawner = NULL;
        report(task, child, sp == UINTPTR_MAX);
    }
}
