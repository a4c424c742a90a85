/* local.c: task-local variables, and callbacks at a task's end.
 *
 * Values are a chain of counted links, newest first, shared between parent and child: inheriting is
 * one count, looking up walks the few links there are. A link that only this task sees is changed
 * in place.
 */
#include "core/core.h"

struct coir__value {
    struct coir__value *outer;
    const coir_local *local;
    void *value;
    uint64_t users; /* tasks and links that point here */
};

void coir__locals_release(struct coir__value *link)
{
    while (link != NULL && --link->users == 0) {
        struct coir__value *outer = link->outer;
        coir__free(link);
        link = outer;
    }
}

void coir__locals_inherit(struct coir_task *child, struct coir_task *parent)
{
    child->locals = parent->locals;
    child->locals->users++;
    child->flags |= COIR__TASK_BELONGINGS;
}

int coir_local_set(const coir_local *local, void *value)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    for (struct coir__value *link = self->locals; link != NULL && link->users == 1;
         link = link->outer) {
        if (link->local == local) {
            link->value = value;
            return 0;
        }
    }
    struct coir__value *link = coir__alloc(sizeof *link);
    if (link == NULL)
        return -ENOMEM;
    *link = (struct coir__value){self->locals, local, value,
                                 1}; /* takes over the task's count of the old one */
    self->locals = link;
    self->flags |= COIR__TASK_BELONGINGS;
    return 0;
}

void *coir_local_get(const coir_local *local)
{
    struct coir_task *self = coir__self();
    for (struct coir__value *link = self != NULL ? self->locals : NULL; link != NULL;
         link = link->outer)
        if (link->local == local)
            return link->value;
    return NULL;
}

/* ---- callbacks at the end ---- */

struct coir__done {
    struct coir__ready ready;
    struct coir__done *next;
    struct coir_task *task; /* whose list it is in; NULL: in none any more */
    struct coir_loop *loop;
    void (*fn)(void *arg); /* NULL: taken back while in the ready queue */
    void *arg;
    bool queued;
};

static void unlink_done(struct coir__done *done)
{
    struct coir__done **at = &done->task->on_done;
    while (*at != done)
        at = &(*at)->next;
    *at = done->next;
    done->task = NULL;
}

static void run_done(struct coir__ready *ready)
{
    struct coir__done *done = coir__container(ready, struct coir__done, ready);
    if (done->task != NULL)
        unlink_done(done);
    void (*fn)(void *arg) = done->fn;
    void *arg = done->arg;
    if (fn != NULL)
        done->loop->callbacks_live--;
    coir__free(done);
    if (fn != NULL)
        fn(arg);
}

void coir__done_callbacks(struct coir_task *task)
{
    for (struct coir__done *done = task->on_done; done != NULL; done = done->next) {
        if (!done->queued)
            coir__ready_push(task->loop, &done->ready);
        done->queued = true;
    }
}

void coir__done_detach(struct coir_task *task)
{
    while (task->on_done != NULL)
        unlink_done(task->on_done);
}

int coir_task_on_done(coir_task *task, void (*fn)(void *arg), void *arg)
{
    if (fn == NULL)
        return -EINVAL;
    if (task->loop != coir__loop)
        return coir__refuse(task->loop, &task->own, -COIR_EWRONGLOOP);
    struct coir__done *done = coir__alloc(sizeof *done);
    if (done == NULL)
        return -ENOMEM;
    *done = (struct coir__done){
        .ready.run = run_done, .task = task, .loop = task->loop, .fn = fn, .arg = arg};
    task->loop->callbacks_live++;
    struct coir__done **end = &task->on_done;
    while (*end != NULL)
        end = &(*end)->next;
    *end = done;
    task->flags |= COIR__TASK_WATCHED | COIR__TASK_BELONGINGS;
    if (task->flags & COIR__TASK_DONE)
        coir__done_callbacks(task);
    return 0;
}

int coir_task_off_done(coir_task *task, void (*fn)(void *arg), void *arg)
{
    for (struct coir__done *done = task->on_done; done != NULL; done = done->next) {
        if (done->fn != fn || done->arg != arg)
            continue;
        unlink_done(done);
        task->loop->callbacks_live--;
        if (done->queued)
            done->fn = NULL; /* it is freed when its turn comes */
        else
            coir__free(done);
        return 0;
    }
    return -ENOENT;
}
