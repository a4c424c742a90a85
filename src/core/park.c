/* park.c: the slow halves of parking, and the calls that only wait: yield and sleep.
 *
 * The fast halves are inline in core.h. Here is what happens when a cancellation is pending, when a
 * turn's charges are used up, or when a test or a debugging aid wants to see every wait.
 */
#include <stdio.h>

#include "core/core.h"

#define IGNORED_YIELD                                                                              \
    16 /* from this report in a row on, the call really yields, so that the loop stays alive */
#define IGNORED_REPORT 1000 /* and this one is a bug */

/* As leave, when debug mode measures the steps. */
static __attribute__((noinline)) int leave_watched(struct coir_task *self)
{
    struct coir_loop *loop = self->loop;
    coir__debugger.left(self, __builtin_frame_address(0), __builtin_dwarf_cfa());
    struct coir__context *next = coir__next(loop);
    if (loop->current != NULL)
        loop->current->flags |= COIR__TASK_WATCHED; /* debug mode is told of its end */
    return loop->slow & COIR__SLOW_FP ? coir__switch_fp(&self->context, next)
                                      : coir__switch(&self->context, next);
}

/* Switches away from a task that is parked or ready. */
static inline int leave(struct coir_task *self)
{
    struct coir_loop *loop = self->loop;
    if (coir__debugs(loop))
        return leave_watched(self);
    if (loop->slow & COIR__SLOW_FP)
        return coir__switch_fp(&self->context, coir__next(loop));
    return coir__switch(&self->context, coir__next(loop));
}

/* Lets the others run once, whatever is pending. */
static void yield_uninterruptibly(struct coir_task *self)
{
    self->context.result = 0;
    coir__ready_push(self->loop, &self->ready);
    (void)leave(self);
}

int coir__park_slow(struct coir_task *self)
{
    return leave(self);
}

/* Reports the pending code, and keeps a task that will not listen from holding the loop. */
static int report_pending(struct coir_task *self)
{
    uint32_t times = ++self->ignored;
    self->flags |= COIR__TASK_BELONGINGS;
    if (times == IGNORED_REPORT) {
        char who[COIR__WHO];
        (void)coir__task_who(self, who, sizeof who);
        coir__report(self->loop, COIR_REPORT_IGNORED, self, NULL,
                     "task %s ignored %d cancellations in a row", who, IGNORED_REPORT);
    }
    int code = self->pending;
    if (times >= IGNORED_YIELD)
        yield_uninterruptibly(self);
    return code;
}

int coir__look_slow(struct coir_task *self)
{
    struct coir_loop *loop = self->loop;
    if (loop->slow & COIR__SLOW_HOOK) {
        int r = loop->park_hook(self, loop->park_hook_arg);
        if (r < 0)
            return r;
    }
    return self->pending != 0 ? report_pending(self) : 0;
}

/* Whether the turn's charges are used up. While there is a park hook they are counted beside, and
 * charges is kept at 1 so that each call comes the slow way. */
static bool used_up(struct coir_loop *loop)
{
    if (!(loop->slow & COIR__SLOW_HOOK))
        return loop->charges <= 0;
    loop->charges = 1;
    return --loop->hooked_charges <= 0;
}

int coir__charge_slow(struct coir_task *self, int result)
{
    if (used_up(self->loop)) {
        self->loop->budget = 0; /* end the turn: I/O and timers come first */
        yield_uninterruptibly(self);
    }
    return result;
}

int coir__enter_slow(struct coir_task *self)
{
    struct coir_loop *loop = self->loop;
    bool yields = used_up(loop);
    int r = coir__look_slow(self);
    if (r < 0)
        return r;
    if (yields) {
        loop->budget = 0; /* end the turn: I/O and timers come first */
        yield_uninterruptibly(self);
        return self->pending != 0 ? report_pending(self) : 0;
    }
    return 0;
}

int coir__yield_slow(struct coir_task *self)
{
    int r = coir__enter_slow(self);
    if (r < 0)
        return r;
    self->context.result = 0;
    coir__ready_push(self->loop, &self->ready);
    return leave(self);
}

int coir__park_uninterruptibly(struct coir_task *self, const struct coir__wait *wait,
                               const void *object)
{
    assert(wait->abort == NULL);
    return coir__park(self, wait, object);
}

atomic_int coir__debugging;

int coir__misplaced(const struct coir_loop *owner, const struct coir_scope *about, int code)
{
    if (coir__any_debugs())
        coir__debugger.misplaced(owner, about);
    return code;
}

bool coir__runs_elsewhere(const struct coir_loop *loop, const struct coir_scope *about)
{
    if (!coir__debugger.runs(loop))
        return false;
    (void)coir__misplaced(loop, about, 0);
    return true;
}

bool coir__abort_waiter(struct coir_task *task)
{
    coir__waiter_unlink(&task->waiter);
    return true;
}

static __attribute__((noinline)) int coir_yield__slowly(struct coir_task *self)
{
    return self != NULL ? coir__yield_slow(self) : coir__refuse(NULL, NULL, -COIR_ENOTASK);
}

int coir_yield(void)
{
    struct coir_task *self = coir__self();
    if (coir__unlikely(self == NULL || self->pending != 0 || self->loop->slow != 0))
        return coir_yield__slowly(self);
    struct coir_loop *loop = self->loop;
    self->context.result = 0;
    coir__ready_push(loop, &self->ready);
    return coir__switch(&self->context, coir__next(loop));
}

static bool abort_sleep(struct coir_task *task)
{
    coir_timer_stop(task->loop, &task->timer);
    return true;
}

static size_t describe_sleep(const struct coir_task *task, char *text, size_t size)
{
    if (!coir_timer_running(&task->timer))
        return (size_t)snprintf(text, size, "for ever");
    double left = (double)(task->timer.coir__when - task->loop->now) / 1e9;
    return (size_t)snprintf(text, size, left < 1000 ? "%.3g s more" : "%.0f s more",
                            left > 0 ? left : 0);
}

static const struct coir__wait sleep_wait = {"sleeps", abort_sleep, describe_sleep};

static void wake_sleeper(void *arg)
{
    const struct coir_task *task = arg;
    /* A sleeper that ends leaves its group's list: its neighbours may have slept as long. */
    __builtin_prefetch(task->own.coir__next, 1);
    __builtin_prefetch(task->own.coir__previous, 1);
    coir__wake(arg, 0);
}

int coir_sleep_until(coir_time when)
{
    struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    if (when <= self->loop->now)
        return coir_yield();
    int r = coir__enter(self);
    if (r < 0)
        return r;
    if (when != COIR_FOREVER)
        coir_timer_start(self->loop, &self->timer, when, wake_sleeper, self);
    return coir__park(self, &sleep_wait, NULL);
}

int coir_sleep(coir_time duration)
{
    if (duration <= 0)
        return coir_yield();
    coir_time when;
    if (coir__unlikely(coir__loop == NULL))
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    if (__builtin_add_overflow(coir_now(), duration, &when))
        when = COIR_FOREVER;
    return coir_sleep_until(when);
}
