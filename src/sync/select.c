/* select.c: coir_select, and its cases for tasks and times.
 *
 * Every case has a table (struct coir__waitable) and a waiter of its own. A call first attempts all
 * cases in order; if none can be settled it begins all, parks, and is woken by the first that
 * fires. Whoever fires a case has delivered its value already; the others are withdrawn before the
 * task runs, so that no second one can fire. What all cases of a call share is kept in the first.
 */
#include <stdio.h>

#include <coir/select.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_case) == 192, "part of the ABI");

static bool abort_select(struct coir_task *task);
static size_t describe(const struct coir_task *task, char *text, size_t size);

static const struct coir__wait select_wait = {"waits for the first of", abort_select, describe};

/* Withdraws what was begun, but for the case that won (NULL: all). */
static void withdraw_all(coir_case *first, const coir_case *won)
{
    size_t begun = first->coir__begun;
    first->coir__begun = 0;
    for (size_t i = 0; i < begun; i++)
        if (&first[i] != won)
            first[i].coir__kind->withdraw(&first[i]);
}

/* A case is settled: the others are not wanted any more. */
static void fired(struct coir__waiter *waiter, int result)
{
    coir_case *won = coir__container(waiter, coir_case, coir__waiter);
    coir_case *first = won->coir__first;
    struct coir_task *task = waiter->task;
    won->result = result;
    withdraw_all(first, won);
    first->coir__won = (int)(won - first);
    if (task->wait == &select_wait)
        coir__wake(task, first->coir__won);
}

static bool abort_select(struct coir_task *task)
{
    withdraw_all((coir_case *)(uintptr_t)task->wait_object, NULL);
    return true;
}

/* Writes "send to channel of int opened at …" at text + at, as far as there is room. Returns its
 * whole length. */
static size_t describe_case(const coir_case *wanted, char *text, size_t size, size_t at)
{
    const struct coir__waitable *kind = wanted->coir__kind;
    char *to = at < size ? text + at : NULL;
    size_t left = at < size ? size - at : 0;
    if (kind->describe == NULL)
        return (size_t)snprintf(to, left, "%s", kind->verb);
    size_t length = (size_t)snprintf(to, left, "%s ", kind->verb);
    to = length < left ? to + length : NULL;
    left = length < left ? left - length : 0;
    return length + kind->describe(wanted, to, left);
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_case *cases = task->wait_object;
    size_t at = describe_case(&cases[0], text, size, 0);
    for (size_t i = 1; i < cases->coir__count; i++) {
        at += (size_t)snprintf(at < size ? text + at : NULL, at < size ? size - at : 0, "; ");
        at += describe_case(&cases[i], text, size, at);
    }
    return at;
}

/* Settles the first case that needs no wait. Returns its index, -EAGAIN when there is none, or what
 * is wrong. */
static int look(coir_case *cases, size_t count)
{
    if (cases == NULL || count == 0 || count > INT32_MAX)
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    for (size_t i = 0; i < count; i++) {
        cases[i].result = 0;
        int r = cases[i].coir__kind->attempt(&cases[i]);
        if (r != 0)
            return r < 0 ? r : (int)i;
    }
    return -EAGAIN;
}

/* Begins all cases. Returns 0, or what one of them cannot do; then none is begun. */
static int begin_all(struct coir_task *self, coir_case *cases, size_t count)
{
    cases->coir__count = count;
    cases->coir__begun = 0;
    cases->coir__won = -1;
    for (size_t i = 0; i < count && cases->coir__won < 0; i++) {
        coir_case *wanted = &cases[i];
        wanted->coir__first = cases;
        wanted->coir__waiter = (struct coir__waiter){.task = self, .fire = fired};
        int r = wanted->coir__kind->begin(wanted);
        if (r < 0) {
            withdraw_all(cases, NULL);
            return r;
        }
        if (cases->coir__won < 0)
            cases->coir__begun = i + 1;
    }
    return 0;
}

int coir_select(coir_case *cases, size_t count)
{
    struct coir_task *self = coir__self();
    int r = coir__look(self);
    if (coir__unlikely(r < 0))
        return r;
    r = look(cases, count);
    if (r != -EAGAIN)
        return coir__charge(self, r);
    r = begin_all(self, cases, count);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(cases->coir__won >= 0))
        return cases->coir__won;
    return coir__park(self, &select_wait, cases);
}

int coir_try_select(coir_case *cases, size_t count)
{
    return coir__stay(look(cases, count));
}

/* ---- tasks ---- */

static int attempt_task(coir_case *wanted)
{
    const struct coir_task *task = wanted->coir__object;
    if (task->loop != coir__loop)
        return coir__refuse(task->loop, &task->own, -COIR_EWRONGLOOP);
    if (task == coir__self())
        return -EDEADLK;
    if (!(task->flags & COIR__TASK_DONE))
        return 0;
    wanted->result = task->result;
    return 1;
}

static int begin_task(coir_case *wanted)
{
    struct coir_task *task = wanted->coir__object;
    coir__task_watch(task, &wanted->coir__waiter); /* fired with the task's result */
    return 0;
}

static void withdraw_task(coir_case *wanted)
{
    coir__waiter_unlink(&wanted->coir__waiter);
}

static size_t describe_task(const coir_case *wanted, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "'%s'", coir_task_name(wanted->coir__object));
}

const struct coir__waitable coir__on_task = {"task", attempt_task, begin_task, withdraw_task,
                                             describe_task};

/* ---- times: coir__number is a point in time, or with coir__flags a duration ---- */

static int attempt_time(coir_case *wanted)
{
    coir_time reached = wanted->coir__flags ? 0 : coir__loop->now;
    return wanted->coir__number <= reached;
}

static void time_reached(void *arg)
{
    coir_case *wanted = arg;
    fired(&wanted->coir__waiter, 0);
}

static int begin_time(coir_case *wanted)
{
    coir_time when = wanted->coir__number;
    if (wanted->coir__flags && __builtin_add_overflow(coir_now(), when, &when))
        when = COIR_FOREVER;
    wanted->coir__timer = (coir_timer){.coir__when = when};
    if (when != COIR_FOREVER)
        coir_timer_start(coir__loop, &wanted->coir__timer, when, time_reached, wanted);
    return 0;
}

static void withdraw_time(coir_case *wanted)
{
    coir_timer_stop(coir__loop, &wanted->coir__timer);
}

static size_t describe_time(const coir_case *wanted, char *text, size_t size)
{
    if (wanted->coir__timer.coir__when == COIR_FOREVER)
        return (size_t)snprintf(text, size, "never");
    double left = (double)(wanted->coir__timer.coir__when - coir__loop->now) / 1e9;
    return (size_t)snprintf(text, size, "in %.3g s", left > 0 ? left : 0);
}

const struct coir__waitable coir__on_time = {"time", attempt_time, begin_time, withdraw_time,
                                             describe_time};
