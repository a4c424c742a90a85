/* task.c: a task's life: spawned, entered, ended, joined.
 *
 * Owns coir_task. The record lies at the top of the task's stack and is given back with it: by the
 * end of the task when nobody holds a handle, by the one join, or by the group's end. What a task
 * returns is translated at its boundary: -ECANCELED and -ETIME only have a meaning inside, so the
 * joiner gets -COIR_ECANCELEDTASK and -ETIMEDOUT.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"

static const struct coir__wait join_wait;

/* ---- spawning ---- */

/* Fills the record of a task that is not in the ready queue yet. */
static inline void birth(struct coir_task *task, struct coir_loop *loop, struct coir_group *group,
                         coir_fn fn, void *arg, const coir_site *site)
{
    struct coir_scope *outside = &group->coir__scope;
    int effective = outside->coir__effective;
    assert(!(task->flags & COIR__TASK_BELONGINGS) && "given back with something in it");
    task->pending = effective;
    task->flags = 0;
    task->group = group;
    task->fn = fn;
    task->arg = arg;
    task->site = site;
    task->id = ++loop->next_id;
    task->born = loop->now;
    task->own.coir__effective = effective;
    coir__scope_link(outside, &task->own);
    group->coir__running++;
    loop->tasks++;
}

/* Takes a stack for a task and fills its record. NULL: no memory. */
static struct coir_task *make(struct coir_loop *loop, struct coir_group *group, coir_fn fn,
                              void *arg, size_t stack_size, const coir_site *site)
{
    unsigned class_index = stack_size == 0 ? loop->stack_class : coir__stack_class(stack_size);
    struct coir_task *task = coir__stack_take(loop, class_index);
    if (task == NULL)
        return NULL;
    birth(task, loop, group, fn, arg, site);
    if (coir__debugs(loop))
        (void)coir__debugger.born(task);
    if (loop->current != NULL && loop->current->locals != NULL)
        coir__locals_inherit(task, loop->current);
    return task;
}

/* What is kept between the record and the first frame of a task that make has made. */
static inline size_t reserve_of(const struct coir_task *task)
{
    return task->flags & COIR__TASK_DEBUGGED ? COIR__DEBUG_RESERVE : 0;
}

/* Where the first frame of a task begins: below its record. */
static inline void make_context(struct coir_task *task, size_t reserve)
{
    coir__context_make(task, (char *)task - ((reserve + 15) & ~(size_t)15));
}

/* Makes a task ready, and hands it out. */
static inline void publish(struct coir_task *task, struct coir_loop *loop,
                           struct coir_task **ret_task, size_t reserve)
{
    make_context(task, reserve);
    if (ret_task != NULL) {
        task->flags |= COIR__TASK_HANDLE; /* it may have values already */
        *ret_task = task;
    }
    coir__ready_push(loop, &task->ready);
}

int coir__spawn(struct coir_loop *loop, struct coir_group *group, coir_fn fn, void *arg,
                size_t stack_size, const coir_site *site, struct coir_task **ret_task)
{
    if (!group->coir__open)
        return -COIR_ECLOSED; /* the loop is being closed, and takes nothing any more */
    struct coir_task *task = make(loop, group, fn, arg, stack_size, site);
    if (task == NULL)
        return -ENOMEM;
    publish(task, loop, ret_task, reserve_of(task));
    return 0;
}

struct coir_task *coir__spawn_deferred(struct coir_group *group, coir_fn fn, void *arg,
                                       unsigned stack_class, const coir_site *site)
{
    struct coir_loop *loop = group->coir__loop;
    struct coir_task *task = coir__stack_take(loop, stack_class);
    if (task == NULL)
        return NULL;
    birth(task, loop, group, fn, arg, site);
    if (coir__debugs(loop))
        (void)coir__debugger.born(task);
    publish(task, loop, NULL, reserve_of(task));
    return task;
}

static const coir_site own_group_site = {__FILE__, "coir_spawn", "own group", __LINE__};

/* Opens the running task's own group, for arguments that outlive its stack. */
static int own_group(const void *arg, struct coir_group **ret_group)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    char *low, *high;
    coir__stack_bounds(self, &low, &high);
    if ((const char *)arg >= low && (const char *)arg < high)
        return coir_fail(-EINVAL,
                         "spawn into the own group: the argument is on the caller's stack");
    if (!(self->flags & COIR__TASK_OWN_GROUP)) {
        self->own_group = (struct coir_group){0};
        coir__group_open(&self->own_group, self->loop, &self->own, NULL, COIR_COLLECT,
                         &own_group_site);
        self->flags |= COIR__TASK_OWN_GROUP;
    }
    *ret_group = &self->own_group;
    return 0;
}

/* Why a group cannot be used here. */
static int refused(const struct coir_group *group)
{
    if (group->coir__loop == NULL || coir__loop == NULL)
        return coir__refuse(group->coir__loop, &group->coir__scope, -COIR_ENOTASK);
    return group->coir__open
               ? coir__refuse(group->coir__loop, &group->coir__scope, -COIR_EWRONGLOOP)
               : -COIR_ECLOSED;
}

/* Whether a spawn into group can go on as it is; else coir__group_resolve has to look at it. */
static inline bool usable(const struct coir_group *group)
{
    return group != NULL && group->coir__open && group->coir__loop == coir__loop;
}

int coir__group_resolve(struct coir_group *group, const void *arg, struct coir_group **ret_group)
{
    if (group == NULL)
        return own_group(arg, ret_group);
    *ret_group = group;
    return usable(group) ? 0 : refused(group);
}

/* Whether a spawn has everything at hand, so that it can do without a call. */
static inline bool is_plain(const coir_group *group, unsigned class_index)
{
    const struct coir_loop *loop = group->coir__loop;
    return loop->stack_free[class_index] != NULL &&
           (loop->current == NULL || loop->current->locals == NULL);
}

/* A spawn in debug mode that has everything at hand. */
static inline int spawn_debugged(struct coir_loop *loop, coir_group *group, coir_fn fn, void *arg,
                                 coir_task **ret_task, const coir_site *site)
{
    struct coir_task *task = coir__stack_pop(loop, loop->stack_class);
    birth(task, loop, group, fn, arg, site);
    publish(task, loop, ret_task, COIR__DEBUG_RESERVE);
    return coir__debugger.born(task);
}

/* A spawn that meets anything unusual: another loop's group, no cached stack, values to inherit. */
static __attribute__((noinline)) int spawn_unusually(coir_group *group, coir_fn fn, void *arg,
                                                     coir_task **ret_task, const coir_site *site)
{
    int r = coir__group_resolve(group, arg, &group);
    if (r < 0)
        return r;
    return fn == NULL ? -EINVAL : coir__spawn(group->coir__loop, group, fn, arg, 0, site, ret_task);
}

static __attribute__((noinline)) int coir_spawn__slowly(coir_group *group, coir_fn fn, void *arg,
                                                        coir_task **ret_task, const coir_site *site)
{
    if (usable(group) && fn != NULL && coir__debugs(group->coir__loop) &&
        is_plain(group, group->coir__loop->stack_class))
        return spawn_debugged(group->coir__loop, group, fn, arg, ret_task, site);
    return coir__stay(spawn_unusually(group, fn, arg, ret_task, site));
}

int coir_spawn_at(coir_group *group, coir_fn fn, void *arg, coir_task **ret_task,
                  const coir_site *site)
{
    if (coir__unlikely(!usable(group) || fn == NULL ||
                       !is_plain(group, group->coir__loop->quick_class)))
        return coir_spawn__slowly(group, fn, arg, ret_task, site);
    struct coir_loop *loop = group->coir__loop;
    struct coir_task *task = coir__stack_pop(loop, loop->quick_class);
    birth(task, loop, group, fn, arg, site);
    publish(task, loop, ret_task, 0);
    return 0;
}

int coir_spawn_copy_at(coir_group *group, coir_fn fn, const void *item, size_t size,
                       coir_task **ret_task, const coir_site *site)
{
    if (fn == NULL || (item == NULL && size > 0))
        return -EINVAL;
    if (size > 4096)
        return coir_fail(-E2BIG, "spawn with a copy of %zu bytes: at most 4096", size);
    int r = coir__group_resolve(group, NULL, &group);
    if (r < 0)
        return r;
    struct coir_task *task = make(group->coir__loop, group, fn, NULL, 0, site);
    if (task == NULL)
        return -ENOMEM;
    size += reserve_of(task);
    task->arg = (char *)task - ((size + 15) & ~(size_t)15);
    memcpy(task->arg, item, size - reserve_of(task));
    make_context(task, size);
    if (ret_task != NULL) {
        task->flags |= COIR__TASK_HANDLE; /* it may have values already */
        *ret_task = task;
    }
    coir__ready_push(task->loop, &task->ready);
    return 0;
}

int coir_loop_spawn_at(coir_loop *loop, coir_fn fn, void *arg, coir_task **ret_task,
                       const coir_site *site)
{
    if (loop == NULL || fn == NULL)
        return -EINVAL;
    if (coir__loop != NULL && coir__loop != loop)
        return coir__refuse(loop, NULL, -COIR_EWRONGLOOP);
    if (coir__elsewhere(loop, NULL))
        return -COIR_EWRONGLOOP;
    return coir__spawn(loop, &loop->background, fn, arg, 0, site, ret_task);
}

/* Runs a new task now, up to its first wait; the caller is next. */
static void run_eagerly(struct coir_task *self, struct coir_task *task)
{
    struct coir_loop *loop = self->loop;
    self->ready.next = loop->ready_first;
    if (loop->ready_first == NULL)
        loop->ready_last = &self->ready.next;
    loop->ready_first = &self->ready;
    self->context.result = 0;
    if (coir__debugs(loop))
        coir__debugger.left(self, __builtin_frame_address(0), __builtin_dwarf_cfa());
    loop->current = task;
    if (loop->slow & COIR__SLOW_FP)
        (void)coir__switch_fp(&self->context, &task->context);
    else
        (void)coir__switch(&self->context, &task->context);
}

static bool abort_starter(struct coir_task *starter)
{
    struct coir_task *task = (struct coir_task *)(uintptr_t)starter->wait_object;
    task->starter = NULL;
    return true;
}

static const struct coir__wait starter_wait = {"waits for a child to be ready", abort_starter,
                                               NULL};

/* Waits for coir_ready() or the end of task. */
static int await_ready(struct coir_task *self, struct coir_task *task, bool keep,
                       const coir_site *site)
{
    int r = 0;
    if (!(task->flags & COIR__TASK_DONE) && !(task->flags & COIR__TASK_READY)) {
        task->starter = self;
        task->flags |= COIR__TASK_WATCHED;
        r = self->pending != 0 ? self->pending : coir__park(self, &starter_wait, task);
        task->starter = NULL;
    }
    if (r >= 0 && (task->flags & COIR__TASK_READY)) {
        if (!keep && (task->flags & COIR__TASK_DONE))
            coir__task_release(task);
        else if (!keep)
            task->flags &= ~(uint32_t)COIR__TASK_HANDLE;
        return 0;
    }
    COIR_SHIELD(COIR_FOREVER);
    if (r < 0)
        coir_cancel(task, "who started it was cancelled before it was ready");
    int result = coir_join_at(task, NULL, site);
    return r < 0 ? r : result < 0 ? result : -COIR_ECLOSED;
}

/* Without printf: a server names a task for each connection. */
static void name_task(struct coir_task *task, const char *name)
{
    size_t length = strnlen(name, sizeof task->name - 1);
    memcpy(task->name, name, length);
    task->name[length] = '\0';
    task->flags |= COIR__TASK_NAMED;
}

int coir_spawn_with_at(coir_group *group, coir_fn fn, void *arg, const coir_spawn_opts *opts,
                       coir_task **ret_task, const coir_site *site)
{
    static const coir_spawn_opts defaults;
    if (opts == NULL)
        opts = &defaults;
    if (fn == NULL || coir__stack_class(opts->stack_size) >= COIR__STACK_CLASSES)
        return -EINVAL;
    struct coir_task *self = coir__self();
    if ((opts->eager || opts->ready) && self == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    int r = coir__group_resolve(group, arg, &group);
    if (r < 0)
        return r;
    if (opts->ready && self->pending != 0)
        return self->pending;
    struct coir_task *task = make(group->coir__loop, group, fn, arg, opts->stack_size, site);
    if (task == NULL)
        return -ENOMEM;
    make_context(task, reserve_of(task));
    if (opts->name != NULL)
        name_task(task, opts->name);
    if (ret_task != NULL || opts->ready)
        task->flags |= COIR__TASK_HANDLE;
    if (opts->eager)
        run_eagerly(self, task);
    else
        coir__ready_push(task->loop, &task->ready);
    r = opts->ready ? await_ready(self, task, ret_task != NULL, site) : 0;
    if (r >= 0 && ret_task != NULL)
        *ret_task = task;
    return r;
}

void coir_ready(void)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return;
    self->flags |= COIR__TASK_READY;
    if (self->starter != NULL)
        coir__wake(self->starter, 0);
    self->starter = NULL;
}

/* ---- ending ---- */

/* Gives back what a task holds beyond its record. */
static __attribute__((noinline)) void drop_belongings(struct coir_task *task)
{
    char *low, *high;
    if (coir__unlikely(coir__has_ledger())) {
        coir__stack_bounds(task, &low, &high);
        coir__ledger_of()("the stack of a task is given back", low, (size_t)(high - low));
    }
    coir__done_detach(task);
    coir__locals_release(task->locals);
    coir__error_free(task->loop, task->error);
    coir__error_free(task->loop, task->own.coir__cause);
    task->locals = NULL;
    task->error = NULL;
    task->own.coir__cause = NULL;
    task->ignored = 0;
    task->flags &= ~(uint32_t)COIR__TASK_BELONGINGS;
}

static inline void release(struct coir_task *task)
{
    if (coir__unlikely(task->flags & COIR__TASK_BELONGINGS))
        drop_belongings(task);
    coir__scope_unlink(&task->own);
    task->own.coir__own = 0;
    coir__stack_give(task->loop, task);
}

void coir__task_release(struct coir_task *task)
{
    if (task->flags & COIR__TASK_HANDLE)
        task->loop->handles--;
    release(task);
}

/* Whether a negative result is a failure of the group, or only what a cancellation from outside
 * made of the task. */
static bool is_failure(const struct coir_task *task, int returned)
{
    int code = task->own.coir__effective;
    if (returned == -ECANCELED || returned == -COIR_ECANCELEDTASK)
        return code != -ECANCELED;
    return returned != -ETIME || code == 0;
}

/* The slow half of ending: a negative result finds its way to the group and the joiner. */
static __attribute__((noinline)) void note_failure(struct coir_task *task, int returned)
{
    task->result = coir__translate(returned);
    struct coir_error *error = task->error;
    if (error != NULL && coir_error_code(error) == returned)
        coir__error_set_code(error, task->result);
    else
        coir__error_give(task, coir__error_new(task->loop, task->result, NULL));
    if (task->starter != NULL)
        task->flags |= COIR__TASK_READ; /* it never was ready: its starter gets the failure */
    else if (is_failure(task, returned))
        coir__group_child_failed(task->group, task);
    else
        task->flags |= COIR__TASK_READ; /* nobody has to look */
}

/* Settles a join that waits: the joiner gets the result, and the handle is gone. */
static inline void settle_joiner(struct coir_task *task, struct coir_task *joiner)
{
    int result = task->result;
    task->joiner = NULL;
    task->flags &= ~(uint32_t)COIR__TASK_HANDLE;
    if (coir__unlikely(result < 0))
        coir__join_failed(task, joiner, joiner->wait_data);
    if (task->join_into != NULL) {
        *task->join_into = result;
        result = 0;
    }
    coir__wake(joiner, result);
}

/* Tells whoever else waits for this end. */
static __attribute__((noinline)) void tell_others(struct coir_task *task)
{
    if (task->starter != NULL)
        coir__wake(task->starter, 0);
    task->starter = NULL;
    while (task->watchers.first != NULL)
        coir__waiter_wake(task->watchers.first, task->result);
    if (task->on_done != NULL)
        coir__done_callbacks(task);
}

static __attribute__((noinline)) void tell_watchers(struct coir_task *task)
{
    if (coir__debugs(task->loop))
        coir__debugger.ended(task);
    if (task->starter != NULL || task->watchers.first != NULL || task->on_done != NULL)
        tell_others(task);
}

/* A task's own group is joined when its function has returned; a failure cancels it first. */
static __attribute__((noinline)) int join_own_group(struct coir_task *task, int result)
{
    if (result < 0)
        coir__scope_cancel(&task->own_group.coir__scope, NULL);
    (void)coir__group_join(&task->own_group);
    coir__group_end(&task->own_group);
    task->flags &= ~(uint32_t)COIR__TASK_OWN_GROUP;
    return result;
}

/* What is rare when a task's function has returned: a failure, or tasks of its own. */
static __attribute__((noinline)) void end_rarely(struct coir_task *task)
{
    if (task->flags & COIR__TASK_OWN_GROUP)
        task->result = join_own_group(task, task->result);
    if (task->result < 0)
        note_failure(task, task->result);
}

_Noreturn void coir__task_main(struct coir_task *task)
{
    coir__context_entered(task);
    if (coir__unlikely(task->loop->slow & COIR__SLOW_FP))
        coir__context_default_fp();
    task->result = task->fn(task->arg);
    if (coir__unlikely(task->result < 0 || (task->flags & COIR__TASK_OWN_GROUP)))
        end_rarely(task);
    assert(task->scope == &task->own && "a task ended inside a scope that it had entered");
    struct coir_loop *loop = task->loop;
    loop->tasks--;
    task->flags |= COIR__TASK_DONE;
    if (task->joiner != NULL)
        settle_joiner(task, task->joiner);
    if (coir__unlikely(task->flags & COIR__TASK_WATCHED))
        tell_watchers(task);
    coir__group_child_ended(task->group, task);
    if (task->flags & COIR__TASK_HANDLE)
        loop->handles++;
    else
        release(task);
    coir__switch_final(task, coir__next(loop));
}

/* ---- joining and cancelling ---- */

/* Somebody has looked at the result of a task that has ended. */
static void mark_read(struct coir_task *task)
{
    if ((task->flags & COIR__TASK_UNREAD) && task->group->coir__unread > 0)
        task->group->coir__unread--;
    task->flags = (task->flags | COIR__TASK_READ) & ~(uint32_t)COIR__TASK_UNREAD;
}

void coir__join_failed(struct coir_task *task, struct coir_task *joiner, const coir_site *site)
{
    mark_read(task);
    struct coir_error *error = task->error;
    task->error = NULL;
    if (error == NULL)
        return;
    coir__error_crossed(error, task, joiner, site);
    if (joiner != NULL)
        coir__error_give(joiner, error);
    else
        coir__error_free(task->loop, error);
}

static bool abort_join(struct coir_task *joiner)
{
    struct coir_task *task = (struct coir_task *)(uintptr_t)joiner->wait_object;
    task->joiner = NULL;
    return true;
}

static size_t describe_join(const struct coir_task *joiner, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "'%s'", coir_task_name(joiner->wait_object));
}

static const struct coir__wait join_wait = {"joins task", abort_join, describe_join};

/* Joins a task that has ended. */
static __attribute__((noinline)) int join_ended(struct coir_task *task, int *ret_result,
                                                const coir_site *site)
{
    int result = task->result;
    if (coir__unlikely(result < 0))
        coir__join_failed(task, coir__self(), site);
    if (task->flags & COIR__TASK_HANDLE)
        task->loop->handles--;
    release(task);
    if (ret_result == NULL)
        return result;
    *ret_result = result;
    return 0;
}

/* Whether self can join task: it is of the same loop, another one, and nobody else joins it. One
 * that has ended has no joiner: its second cache line need not be fetched. */
static inline bool joinable(const struct coir_task *task, const struct coir_task *self)
{
    return task != NULL && task->loop == self->loop && task != self && task != self->loop->done &&
           ((task->flags & COIR__TASK_DONE) || task->joiner == NULL);
}

/* Joins a task that still runs: its end wakes self. Tail-call it. */
static inline int join_running(struct coir_task *self, struct coir_task *task, int *ret_result,
                               const coir_site *site)
{
    task->joiner = self;
    task->join_into = ret_result;
    self->wait_data = site;
    return coir__park(self, &join_wait, task);
}

/* A join that cannot be, or that has something else to do first. */
static __attribute__((noinline)) int coir_join__slowly(struct coir_task *task, int *ret_result,
                                                       const coir_site *site)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(task != NULL ? task->loop : NULL, task != NULL ? &task->own : NULL,
                            -COIR_ENOTASK);
    int r = coir__enter_slow(self);
    if (r < 0)
        return r;
    if (task == NULL)
        return -EINVAL;
    if (task->loop != self->loop)
        return coir__refuse(task->loop, &task->own, -COIR_EWRONGLOOP);
    if (!joinable(task, self)) /* by itself; by another task, or a run is for it */
        return task == self ? -EDEADLK : -EBUSY;
    return task->flags & COIR__TASK_DONE ? join_ended(task, ret_result, site)
                                         : join_running(self, task, ret_result, site);
}

int coir_join_at(coir_task *task, int *ret_result, const coir_site *site)
{
    struct coir_task *self = coir__self();
    if (coir__unlikely(self == NULL || self->pending != 0 || --self->loop->charges <= 0 ||
                       !joinable(task, self)))
        return coir_join__slowly(task, ret_result, site);
    if (task->flags & COIR__TASK_DONE)
        return join_ended(task, ret_result, site);
    return join_running(self, task, ret_result, site);
}

void coir_cancel(coir_task *task, const char *reason)
{
    if (task == NULL || coir__elsewhere(task->loop, &task->own))
        return;
    if (!(task->flags & COIR__TASK_DONE))
        coir_scope_cancel(&task->own, reason);
}

/* ---- looking ---- */

bool coir_task_done(const coir_task *task)
{
    return (task->flags & COIR__TASK_DONE) != 0;
}

int coir_task_result(coir_task *task)
{
    if (coir__elsewhere(task->loop, &task->own))
        return -COIR_EWRONGLOOP;
    if (!(task->flags & COIR__TASK_DONE))
        return -COIR_ENOTSET;
    mark_read(task);
    return task->result;
}

const coir_error *coir_task_error(coir_task *task)
{
    if (coir__elsewhere(task->loop, &task->own) || !(task->flags & COIR__TASK_DONE) ||
        task->result >= 0)
        return NULL;
    mark_read(task);
    return task->error;
}

coir_task *coir_current(void)
{
    return coir__self();
}

void coir_task_set_name(coir_task *task, const char *format, ...)
{
    if (task == NULL)
        task = coir__self();
    if (task == NULL || coir__elsewhere(task->loop, &task->own))
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(task->name, sizeof task->name, format, args);
    va_end(args);
    task->flags |= COIR__TASK_NAMED;
}

const char *coir_task_name(const coir_task *task)
{
    if (task == NULL)
        task = coir__self();
    if (task == NULL)
        return "";
    if (task->flags & COIR__TASK_NAMED)
        return task->name;
    return task->site->what != NULL ? task->site->what : "task";
}
