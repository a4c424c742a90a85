/* group.c: groups: who owns which tasks, what happens when one of them fails, and joining them all.
 *
 * Owns coir_group. A group is a scope with a count of running children; the children's own scopes
 * are its children in the tree of scopes, which is also the list of its tasks. Joining cannot be
 * interrupted, since children use the memory of whoever opened the group. Failures are kept as
 * records, first one first, until they are handed out or reported.
 */
#include <stdio.h>

#include "core/core.h"

#define KEPT_ERRORS 16 /* records that a group keeps; further ones are reported at once */
#define SLOW_LEAVE COIR_SEC(1)

static struct coir_task *task_of(struct coir_scope *scope)
{
    return scope->coir__kind == COIR__SCOPE_TASK ? scope->coir__owner : NULL;
}

void coir__group_open(struct coir_group *group, struct coir_loop *loop, struct coir_scope *parent,
                      struct coir_task *owner, coir_policy policy, const coir_site *site)
{
    group->coir__loop = loop;
    group->coir__policy = (uint8_t)policy;
    group->coir__attentive = policy == COIR_ANY;
    group->coir__open = true;
    group->coir__scope.coir__kind = COIR__SCOPE_GROUP;
    group->coir__scope.coir__owner = owner;
    group->coir__scope.coir__site = site;
    group->coir__scope.coir__bound = COIR_FOREVER;
    group->coir__scope.coir__effective = parent->coir__effective;
    coir__scope_link(parent, &group->coir__scope);
}

coir_group *coir__group_enter(coir_group *group, coir_policy policy, const coir_site *site)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return group;
    coir__group_open(group, self->loop, self->scope, self, policy, site);
    self->scope = &group->coir__scope;
    return group;
}

int coir_group_init_at(coir_group *group, coir_policy policy, const coir_site *site)
{
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    *group = (coir_group){0};
    coir__group_open(group, coir__loop, &coir__loop->root, NULL, policy, site);
    return 0;
}

/* ---- what children do to it ---- */

/* A copy of the child's record for the group, because the one that the child has goes to its
 * joiner. */
static struct coir_error *record_for_group(struct coir_group *group, struct coir_task *task)
{
    struct coir_error *error = task->error;
    if (error == NULL)
        return NULL;
    if (task->flags & COIR__TASK_HANDLE) {
        error = coir__error_copy(group->coir__loop, error);
        if (error != NULL)
            coir__error_crossed(error, task, group->coir__scope.coir__owner,
                                group->coir__scope.coir__site);
        return error;
    }
    task->error = NULL;
    coir__error_crossed(error, task, group->coir__scope.coir__owner, group->coir__scope.coir__site);
    return error;
}

static void report_failure(struct coir_task *task)
{
    char who[COIR__WHO];
    (void)coir__task_who(task, who, sizeof who);
    coir__report(task->loop, COIR_REPORT_UNREAD, task, task->error,
                 "task %s failed and nobody joins it", who);
}

static void report_unjoined(struct coir_task *task)
{
    char who[COIR__WHO];
    (void)coir__task_who(task, who, sizeof who);
    coir__report(task->loop, COIR_REPORT_UNJOINED, task, task->error,
                 "task %s failed and its handle was never joined", who);
}

/* The own group of a task and the loop's take no decisions: a failure with a handle waits for its
 * join, one without is told. */
static bool is_background(const struct coir_group *group)
{
    const struct coir_scope *scope = &group->coir__scope;
    return group->coir__policy == COIR_REPORT || group == &group->coir__loop->background ||
           (scope->coir__owner == NULL && scope->coir__parent->coir__kind == COIR__SCOPE_TASK);
}

void coir__group_child_failed(struct coir_group *group, struct coir_task *task)
{
    if (is_background(group)) {
        if (!(task->flags & COIR__TASK_HANDLE))
            report_failure(task);
        return;
    }
    if (group->coir__failures++ == 0)
        group->coir__code = task->result;
    group->coir__attentive = true;
    group->coir__unread++;
    task->flags |= COIR__TASK_UNREAD;
    if (group->coir__failures > KEPT_ERRORS) {
        if (group->coir__policy == COIR_COLLECT && !(task->flags & COIR__TASK_HANDLE))
            report_failure(task);
    } else {
        struct coir_error *error = record_for_group(group, task);
        if (group->coir__errors == NULL)
            group->coir__errors = error;
        else if (error != NULL)
            coir__error_append(group->coir__errors, error);
    }
}

/* Copies of the children's records, joined at site. */
static struct coir_error *copy_errors(struct coir_group *group, const coir_site *site)
{
    struct coir_error *errors = coir__error_copy_chain(group->coir__loop, group->coir__errors);
    for (struct coir_error *error = errors; error != NULL; error = coir__error_next(error))
        coir__error_joined_at(error, site);
    return errors;
}

/* Somebody has looked at all failures so far. */
static void mark_all_read(struct coir_group *group)
{
    struct coir_scope *scope = group->coir__unread > 0 ? group->coir__scope.coir__first : NULL;
    for (; scope != NULL; scope = scope->coir__next)
        if (task_of(scope) != NULL)
            task_of(scope)->flags &= ~(uint32_t)COIR__TASK_UNREAD;
    group->coir__unread = 0;
}

/* What the children say when all have ended, to task, which asks at site: 0 or the first failure,
 * which is then read. Those of a collecting group wait for somebody who asks. */
static int outcome(struct coir_group *group, struct coir_task *task, const coir_site *site)
{
    if (group->coir__policy == COIR_COLLECT || group->coir__policy == COIR_REPORT)
        return 0;
    mark_all_read(group);
    if (group->coir__policy == COIR_ANY && group->coir__won)
        return 0;
    if (group->coir__failures == 0)
        return group->coir__policy == COIR_ANY && group->coir__lost ? -COIR_ECANCELEDTASK : 0;
    if (group->coir__errors != NULL && task != NULL)
        coir__error_give(task, copy_errors(group, site));
    return group->coir__code;
}

/* What was pending before the group itself was cancelled. */
static int pending_outside(const struct coir_group *group)
{
    const struct coir_scope *parent = group->coir__scope.coir__parent;
    return group->coir__scope.coir__owner != NULL && parent != NULL ? parent->coir__effective : 0;
}

/* The outcome for a task in coir_group_wait. When the group was only cancelled, and so was what is
 * outside of it, then that is what happened to its owner. */
static int wait_outcome(struct coir_group *group, struct coir_task *task, const coir_site *site)
{
    int r = outcome(group, task, site);
    bool cancelled = group->coir__scope.coir__own == -ECANCELED && !group->coir__won;
    if (r == 0 && cancelled && group->coir__scope.coir__owner == task)
        return pending_outside(group);
    return r;
}

/* All children have ended. Who waits gets the outcome from here, and does not touch the group any
 * more: somebody else may close it first. */
static void wake_waiters(struct coir_group *group)
{
    struct coir_task *waiter = group->coir__waiter, *joiner = group->coir__joiner;
    group->coir__waiter = group->coir__joiner = NULL;
    group->coir__attentive = group->coir__policy == COIR_ANY || group->coir__failures > 0;
    if (waiter != NULL)
        coir__wake(waiter, wait_outcome(group, waiter, waiter->wait_data));
    if (joiner != NULL)
        coir__wake(joiner, 0);
}

/* Comes after whoever waited for this task was told of its end: the join of a child that failed is
 * a finished operation, and the next call reports the cancellation. */
void coir__group_settled(struct coir_group *group, struct coir_task *task)
{
    if (group->coir__policy == COIR_FAIL_FAST && group->coir__failures > 0 &&
        group->coir__scope.coir__own != -ECANCELED)
        coir__scope_cancel(&group->coir__scope,
                           coir__error_new(group->coir__loop, -ECANCELED,
                                           "task '%s' of the group failed: %s",
                                           coir_task_name(task), coir_error_name(task->result)));
    if (coir__unlikely(group->coir__policy == COIR_ANY && task->result >= 0 && !group->coir__won)) {
        group->coir__won = true;
        coir__scope_cancel(&group->coir__scope,
                           coir__error_new(group->coir__loop, -ECANCELED,
                                           "task '%s' of the group succeeded first",
                                           coir_task_name(task)));
    }
    group->coir__lost = group->coir__lost || task->result < 0;
    if (group->coir__running == 0)
        wake_waiters(group);
}

/* ---- waiting for the children ---- */

static size_t describe_group(const struct coir_task *task, char *text, size_t size)
{
    const struct coir_group *group = task->wait_object;
    return (size_t)snprintf(text, size, "of %zu", group->coir__running);
}

static bool abort_group_wait(struct coir_task *task)
{
    struct coir_group *group = (struct coir_group *)(uintptr_t)task->wait_object;
    group->coir__waiter = NULL;
    return true;
}

static const struct coir__wait group_wait = {"joins group", abort_group_wait, describe_group};
static const struct coir__wait group_leave = {"leaves group", NULL, describe_group};

/* Leaving takes long: say whom it waits for. */
static void report_slow_leave(void *arg)
{
    struct coir_group *group = arg;
    struct coir_scope *scope = group->coir__scope.coir__first;
    for (; scope != NULL; scope = scope->coir__next) {
        struct coir_task *task = task_of(scope);
        if (task == NULL || (task->flags & COIR__TASK_DONE))
            continue;
        char line[256];
        coir__task_line(task, line, sizeof line);
        coir__report(
            group->coir__loop, COIR_REPORT_SLOW_LEAVE, task, NULL,
            "leaving group '%s' (%s:%d) has waited 1 s for %zu of its tasks; the first: %s",
            group->coir__scope.coir__site->what,
            coir__file_name(group->coir__scope.coir__site->file),
            group->coir__scope.coir__site->line, group->coir__running, line);
        return;
    }
}

int coir__group_join(struct coir_group *group)
{
    struct coir_task *self = coir__self();
    if (group->coir__running == 0)
        return 0;
    if (group->coir__waiter != NULL) { /* the group ends under it */
        coir__wake(group->coir__waiter, -COIR_ECLOSED);
        group->coir__waiter = NULL;
    }
    coir_timer slow = {0};
    if (group->coir__scope.coir__effective != 0) /* else they may take their time */
        coir_timer_start(self->loop, &slow, coir_now() + SLOW_LEAVE, report_slow_leave, group);
    assert(group->coir__joiner == NULL);
    group->coir__joiner = self;
    group->coir__attentive = true;
    (void)coir__park_uninterruptibly(self, &group_leave, group);
    coir_timer_stop(self->loop, &slow);
    return 0;
}

static void cancel_children(struct coir_group *group, const char *reason)
{
    if (group->coir__scope.coir__own != -ECANCELED)
        coir__scope_cancel(&group->coir__scope,
                           coir__error_new(group->coir__loop, -ECANCELED, "%s", reason));
}

/* The body failed by itself: what the children failed with is said with it. */
static void attach_failures(struct coir_group *group, int result, const coir_site *site)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return;
    if (self->error == NULL || coir_error_code(self->error) != result)
        coir__error_give(self, coir__error_new(self->loop, result, NULL));
    if (self->error == NULL)
        return; /* no record is free: the group's end reports them */
    coir__error_append(self->error, copy_errors(group, site));
    mark_all_read(group);
}

/* Whether task is a child of group, or further below: it would wait for itself. */
static bool is_below(const struct coir_task *task, const struct coir_group *group)
{
    const struct coir_scope *scope = task->own.coir__parent;
    while (scope != NULL && scope != &group->coir__scope)
        scope = scope->coir__parent;
    return scope != NULL;
}

/* The owner's wait was ended by the cancellation of the group itself: what is left is to join. */
static int join_cancelled(struct coir_group *group, struct coir_task *self, const coir_site *site)
{
    if (group->coir__waiter != NULL || group->coir__joiner != NULL)
        return -EBUSY;
    (void)coir__group_join(group);
    return wait_outcome(group, self, site);
}

int coir_group_wait_at(coir_group *group, const coir_site *site)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(group->coir__loop, &group->coir__scope, -COIR_ENOTASK);
    if (!group->coir__open)
        return -COIR_ECLOSED;
    if (group->coir__loop != self->loop)
        return coir__refuse(group->coir__loop, &group->coir__scope, -COIR_EWRONGLOOP);
    if (is_below(self, group))
        return -EDEADLK;
    bool owns = group->coir__scope.coir__owner == self;
    if (owns && group->coir__scope.coir__own == -ECANCELED)
        return join_cancelled(group, self, site);
    int r = coir__look(self);
    if (r < 0)
        return owns && group->coir__scope.coir__own == -ECANCELED
                   ? join_cancelled(group, self, site)
                   : r;
    if (group->coir__running == 0)
        return wait_outcome(group, self, site);
    if (group->coir__waiter != NULL || group->coir__joiner != NULL)
        return -EBUSY;
    group->coir__waiter = self;
    group->coir__attentive = true;
    self->wait_data = site;
    r = coir__park(self, &group_wait, group);
    if (owns && (r == -ECANCELED || r == -ETIME) && group->coir__scope.coir__own == -ECANCELED)
        return join_cancelled(group, self, site);
    return r;
}

int coir_group_finish_at(coir_group *group, int result, const coir_site *site)
{
    if (!group->coir__open)
        return result;
    bool followed = result == -ECANCELED && group->coir__scope.coir__own == -ECANCELED &&
                    pending_outside(group) != -ECANCELED;
    followed = followed || (result == -COIR_ECANCELEDTASK && group->coir__failures > 0);
    if (group->coir__running > 0)
        cancel_children(group, "the body of the group has finished");
    (void)coir__group_join(group);
    if (result < 0 && !followed) {
        if (group->coir__unread > 0)
            attach_failures(group, result, site);
        return result;
    }
    int r = outcome(group, coir__self(), site);
    if (r < 0)
        return r;
    return followed ? 0 : result;
}

/* ---- the end ---- */

void coir__group_end(struct coir_group *group)
{
    struct coir_scope *scope = group->coir__scope.coir__first;
    while (scope != NULL) {
        struct coir_scope *next = scope->coir__next;
        struct coir_task *task = task_of(scope);
        assert(task != NULL && (task->flags & COIR__TASK_DONE) &&
               "a scope is left before its group");
        if (is_background(group) && task->result < 0 && !(task->flags & COIR__TASK_READ))
            report_unjoined(task);
        coir__task_release(task);
        scope = next;
    }
    if (group->coir__unread > 0)
        coir__report(group->coir__loop, COIR_REPORT_UNREAD, NULL, group->coir__errors,
                     "group '%s' (%s:%d) ended with %zu failed tasks that nobody asked for",
                     group->coir__scope.coir__site->what,
                     coir__file_name(group->coir__scope.coir__site->file),
                     group->coir__scope.coir__site->line, group->coir__failures);
    coir__error_free(group->coir__loop, group->coir__errors);
    coir__error_free(group->coir__loop, group->coir__scope.coir__cause);
    group->coir__errors = NULL;
    group->coir__scope.coir__cause = NULL;
    group->coir__open = false;
    coir__scope_unlink(&group->coir__scope);
}

void coir__group_leave(coir_group *group)
{
    if (!group->coir__open)
        return;
    struct coir_task *self = group->coir__scope.coir__owner;
    assert(self == coir__self() && "a group is left by the task that opened it");
    assert(self->scope == &group->coir__scope &&
           "groups and scopes are left in the reverse order of entering");
    if (group->coir__running > 0)
        cancel_children(group, "the block of the group was left");
    (void)coir__group_join(group);
    self->scope = group->coir__scope.coir__parent;
    coir__group_end(group);
    coir__task_notify(self, self->scope->coir__effective);
}

int coir_group_close_at(coir_group *group, const coir_site *site)
{
    struct coir_task *self = coir__self();
    if (!group->coir__open)
        return 0;
    if (group->coir__scope.coir__owner != NULL)
        return -EINVAL; /* of COIR_GROUP: its block ends it */
    if (group->coir__joiner != NULL)
        return -EBUSY;
    if (coir__elsewhere(group->coir__loop, &group->coir__scope))
        return -COIR_ENOTASK;
    if (self == NULL && group->coir__running > 0)
        return -COIR_ENOTASK;
    for (struct coir_scope *scope = self != NULL ? self->scope : NULL; scope != NULL;
         scope = scope->coir__parent)
        if (scope == &group->coir__scope)
            return -EDEADLK;
    if (group->coir__running > 0)
        cancel_children(group, "the object that owns the group was closed");
    (void)coir__group_join(group);
    int r = outcome(group, self, site);
    coir__group_end(group);
    return r;
}

void coir_group_cancel(coir_group *group, const char *reason)
{
    if (group->coir__open && !coir__elsewhere(group->coir__loop, &group->coir__scope))
        coir_scope_cancel(&group->coir__scope, reason);
}

size_t coir_group_running(const coir_group *group)
{
    return group->coir__running;
}

size_t coir_group_failures(coir_group *group)
{
    if (coir__elsewhere(group->coir__loop, &group->coir__scope))
        return 0;
    mark_all_read(group);
    return group->coir__failures;
}

const coir_error *coir_group_errors(coir_group *group)
{
    if (coir__elsewhere(group->coir__loop, &group->coir__scope))
        return NULL;
    mark_all_read(group);
    return group->coir__errors;
}
