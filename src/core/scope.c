/* scope.c: the tree of scopes, and what each task in it has to report.
 *
 * Owns coir_scope. Every scope keeps its effective state: its own (expired, cancelled) combined
 * with that of its parent, where cancellation outranks expiry and a raised shield lets nothing
 * through. A change is pushed down the tree at once; the task whose innermost scope changes gets it
 * as task->pending and, when it is parked, is woken. Reading is thus one load for a suspending
 * call, however deep the nesting. States only grow, so a push stops where nothing changes.
 */
#include <stdio.h>

#include "core/core.h"

/* The next scope after scope and all that is inside it. */
static struct coir_scope *next_outside(struct coir_scope *root, struct coir_scope *scope)
{
    while (scope != root) {
        if (scope->coir__next != NULL)
            return scope->coir__next;
        scope = scope->coir__parent;
    }
    return NULL;
}

struct coir_scope *coir__scope_next(struct coir_scope *root, struct coir_scope *scope)
{
    return scope->coir__first != NULL ? scope->coir__first : next_outside(root, scope);
}

static int effective(const struct coir_scope *scope)
{
    int outside = scope->coir__parent != NULL ? scope->coir__parent->coir__effective : 0;
    if (scope->coir__shield == COIR__SHIELD_UP)
        outside = 0;
    if (outside == -ECANCELED || scope->coir__own == -ECANCELED)
        return -ECANCELED;
    return outside != 0 ? outside : scope->coir__own;
}

/* Tells a task what its innermost scope says now, and wakes it when it waits. A wait that was asked
 * to end before and could not is left alone: its own completion comes. */
void coir__task_notify(struct coir_task *task, int code)
{
    int before = task->pending;
    task->pending = code;
    if (code == 0)
        task->ignored = 0;
    else if (before == 0 && task->wait != NULL && task->wait->abort != NULL &&
             task->wait->abort(task))
        coir__wake(task, code);
}

/* a + b, which stays at the end of time instead of running over. */
static coir_time add_time(coir_time a, coir_time b)
{
    coir_time sum;
    return __builtin_add_overflow(a, b, &sum) ? COIR_FOREVER : sum;
}

static void refresh(struct coir_scope *top);

static void lower_shield(void *arg)
{
    struct coir_scope *scope = arg;
    scope->coir__shield = COIR__SHIELD_DOWN;
    refresh(scope);
}

/* A shield begins to count when something arrives that it holds off. */
static void start_shield(struct coir_loop *loop, struct coir_scope *scope)
{
    if (scope->coir__parent->coir__effective == 0 || scope->coir__timer.coir__next != NULL ||
        scope->coir__bound == COIR_FOREVER)
        return;
    coir_timer_start(loop, &scope->coir__timer, add_time(coir__clock_of(loop), scope->coir__bound),
                     lower_shield, scope);
}

/* Recomputes one scope. Returns whether what is inside may have changed. */
static bool recompute(struct coir_scope *scope)
{
    if (scope->coir__shield == COIR__SHIELD_UP)
        start_shield(scope->coir__owner->loop, scope);
    int code = effective(scope);
    if (code == scope->coir__effective)
        return false;
    scope->coir__effective = code;
    if (scope->coir__owner != NULL && scope->coir__owner->scope == scope)
        coir__task_notify(scope->coir__owner, code);
    if (scope->coir__kind == COIR__SCOPE_GROUP && code != 0) {
        struct coir_group *group = coir__container(scope, struct coir_group, coir__scope);
        if (group->coir__deferred != NULL)
            coir__deferred_hurry(group);
    }
    return true;
}

static void refresh(struct coir_scope *top)
{
    struct coir_scope *scope = top;
    while (scope != NULL)
        scope = recompute(scope) ? coir__scope_next(top, scope) : next_outside(top, scope);
}

static void expire(void *arg)
{
    struct coir_scope *scope = arg;
    scope->coir__expired = true;
    if (scope->coir__own == 0)
        scope->coir__own = -ETIME;
    refresh(scope);
}

/* The deadline may have been moved since the timer was started. */
static void come_due(void *arg)
{
    struct coir_scope *scope = arg;
    if (scope->coir__bound <= scope->coir__timer.coir__when)
        expire(scope);
    else if (scope->coir__bound != COIR_FOREVER)
        coir_timer_start(scope->coir__owner->loop, &scope->coir__timer, scope->coir__bound,
                         come_due, scope);
}

void coir__scope_expire(struct coir_scope *scope)
{
    expire(scope);
}

/* The loop that a scope belongs to, also while it does not run. */
static struct coir_loop *loop_of(const struct coir_scope *scope)
{
    while (scope->coir__owner == NULL && scope->coir__parent != NULL)
        scope = scope->coir__parent;
    if (scope->coir__owner != NULL)
        return scope->coir__owner->loop;
    return (struct coir_loop *)(uintptr_t)coir__container(scope, const struct coir_loop, root);
}

void coir__scope_cancel(struct coir_scope *scope, struct coir_error *cause)
{
    struct coir_loop *loop = loop_of(scope);
    if (scope->coir__own == -ECANCELED) {
        coir__error_free(loop, cause);
        return;
    }
    scope->coir__own = -ECANCELED;
    coir__error_free(loop, scope->coir__cause);
    scope->coir__cause = cause;
    if (scope->coir__kind == COIR__SCOPE_TASK)
        scope->coir__owner->flags |= COIR__TASK_BELONGINGS;
    refresh(scope);
}

/* Links scope as the innermost one of self. */
static void enter(struct coir_task *self, struct coir_scope *scope, const coir_site *site)
{
    scope->coir__kind = COIR__SCOPE_BLOCK;
    scope->coir__owner = self;
    scope->coir__site = site;
    coir__scope_link(self->scope, scope);
    self->scope = scope;
}

coir_scope *coir_scope_enter(coir_scope *scope, coir_time duration, const coir_site *site)
{
    struct coir_task *self = coir__self();
    *scope = (coir_scope){.coir__bound = COIR_FOREVER};
    if (self == NULL)
        return scope;
    enter(self, scope, site);
    scope->coir__effective = scope->coir__parent->coir__effective;
    if (duration <= 0) {
        scope->coir__bound = coir_now();
        expire(scope);
    } else if (duration != COIR_FOREVER) {
        scope->coir__bound = add_time(coir_now(), duration);
        coir_timer_start(self->loop, &scope->coir__timer, scope->coir__bound, come_due, scope);
    }
    return scope;
}

coir_scope *coir_scope_shield(coir_scope *scope, coir_time bound, const coir_site *site)
{
    struct coir_task *self = coir__self();
    *scope = (coir_scope){.coir__bound = bound < 0 ? 0 : bound, .coir__shield = COIR__SHIELD_UP};
    if (self == NULL)
        return scope;
    enter(self, scope, site);
    start_shield(self->loop, scope);
    coir__task_notify(self, 0);
    return scope;
}

void coir_scope_leave(coir_scope *scope)
{
    struct coir_task *self = scope->coir__owner;
    if (self == NULL)
        return;
    assert(self == coir__self() && "a scope is left by the task that entered it");
    assert(self->scope == scope && "scopes are left in the reverse order of entering");
    coir_timer_stop(self->loop, &scope->coir__timer);
    self->scope = scope->coir__parent;
    coir__scope_unlink(scope);
    coir__error_free(self->loop, scope->coir__cause);
    scope->coir__cause = NULL;
    scope->coir__owner = NULL;
    coir__task_notify(self, self->scope->coir__effective);
}

/* Somebody cancels what belongs to another loop. */
static __attribute__((noinline)) void report_stranger(const struct coir_scope *scope)
{
    char who[COIR__WHO] = "a callback", what[COIR__WHO] = "something";
    struct coir_task *self = coir__self();
    if (self != NULL)
        (void)coir__task_who(self, who, sizeof who);
    if (scope->coir__kind == COIR__SCOPE_TASK)
        (void)coir__task_who(scope->coir__owner, what, sizeof what);
    else if (scope->coir__site != NULL)
        (void)snprintf(what, sizeof what, "a scope or group (%.64s:%d)",
                       coir__file_name(scope->coir__site->file), scope->coir__site->line);
    coir__report(coir__loop, COIR_REPORT_MISUSE, self, NULL,
                 "%s%s cancels %s%s of another loop, which goes on; use coir_call_on",
                 self != NULL ? "task " : "", who,
                 scope->coir__kind == COIR__SCOPE_TASK ? "task " : "", what);
}

void coir_scope_cancel(coir_scope *scope, const char *reason)
{
    if (scope->coir__parent == NULL)
        return;
    struct coir_loop *loop = loop_of(scope);
    if (coir__elsewhere(loop, scope))
        return;
    if (coir__loop != NULL && coir__loop != loop) {
        report_stranger(scope);
        return;
    }
    struct coir_error *cause = NULL;
    if (reason != NULL && scope->coir__own != -ECANCELED)
        cause = coir__error_new(loop, -ECANCELED, "%s", reason);
    coir__scope_cancel(scope, cause);
}

bool coir_scope_expired(const coir_scope *scope)
{
    return scope->coir__expired;
}

bool coir_scope_cancelled(const coir_scope *scope)
{
    return scope->coir__own == -ECANCELED;
}

coir_time coir_scope_when(const coir_scope *scope)
{
    return scope->coir__shield == COIR__SHIELD_NONE ? scope->coir__bound : COIR_FOREVER;
}

/* A deadline that moves away, as that of a connection does with each message, takes no timer: the
 * one that runs looks again when it is due. */
int coir_scope_move(coir_scope *scope, coir_time when)
{
    struct coir_task *owner = scope->coir__owner;
    if (scope->coir__kind != COIR__SCOPE_BLOCK || scope->coir__shield != COIR__SHIELD_NONE ||
        owner == NULL)
        return -EINVAL;
    if (scope->coir__expired)
        return -ETIME;
    scope->coir__bound = when;
    bool comes_before =
        coir_timer_running(&scope->coir__timer) && scope->coir__timer.coir__when <= when;
    if (!comes_before && when != COIR_FOREVER)
        coir_timer_start(owner->loop, &scope->coir__timer, when, come_due, scope);
    return 0;
}

coir_time coir_deadline(void)
{
    struct coir_task *self = coir__self();
    coir_time earliest = COIR_FOREVER;
    struct coir_scope *scope = self != NULL ? self->scope : NULL;
    for (; scope != NULL; scope = scope->coir__parent) {
        if (scope->coir__shield == COIR__SHIELD_UP)
            break;
        if (scope->coir__kind == COIR__SCOPE_BLOCK && scope->coir__shield == COIR__SHIELD_NONE &&
            scope->coir__bound < earliest)
            earliest = scope->coir__bound;
    }
    return earliest;
}

int coir_pending(void)
{
    struct coir_task *self = coir__self();
    return self != NULL ? self->pending : 0;
}
