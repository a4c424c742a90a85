/* loop.c: the loop: opening, turning, running until, closing.
 *
 * A turn: run what is ready, within the budget; ask the backend what the kernel completed (waiting
 * when there is nothing to run); read the clock once; call what expired and what was posted. Tasks
 * switch to each other directly and come back here when the queue is empty, a callback is next, or
 * the budget is spent. The loop is deadlocked when nothing is ready and nothing can come: no timer,
 * no operation, no hope from outside (signal waits, jobs, posts that were announced).
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/backend.h"
#include "core/core.h"
#include "core/sys.h"

_Thread_local struct coir_loop *coir__loop __attribute__((tls_model("initial-exec")));

/* In the order in which they are tried. */
static const struct coir__backend *const backends[] = {
#ifdef COIR__URING
    &coir__backend_uring,
#endif
    &coir__backend_epoll,
    &coir__backend_sim,
};

/* ---- clock ---- */

coir_time coir__clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (coir_time)now.tv_sec * 1000000000 + now.tv_nsec;
}

coir_time coir__clock_of(const struct coir_loop *loop)
{
    return loop->opts.virtual_clock ? loop->now : coir__clock();
}

coir_time coir_now(void)
{
    return coir__loop != NULL ? coir__clock_of(coir__loop) : coir__clock();
}

coir_time coir_loop_time(const coir_loop *loop)
{
    return loop->now;
}

/* ---- opening ---- */

uint64_t coir__random(uint64_t *state)
{
    uint64_t z =
        (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64, Steele, Lea and Flood 2014 */
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void coir__loop_set_slow(struct coir_loop *loop, uint32_t flag, bool on)
{
    loop->slow = on ? loop->slow | flag : loop->slow & ~flag;
    loop->charges = 1; /* the next suspending call looks */
}

/* Adds to the reasons of loop's backend. */
static void explain(struct coir_loop *loop, const char *between, const char *what, const char *how)
{
    size_t at = strlen(loop->backend_why);
    (void)snprintf(loop->backend_why + at, sizeof loop->backend_why - at, "%s%s%s", between, what,
                   how);
}

/* Tries one backend. refused: those before it, with their reasons. */
static int try_backend(struct coir_loop *loop, const struct coir__backend *backend, bool any,
                       char *refused, size_t size)
{
    char how[96] = "";
    loop->backend = backend;
    int r = backend->open(loop, how, sizeof how);
    loop->backend_why[0] = '\0';
    if (r >= 0 || !any) {
        explain(loop, any ? "first that works" : "asked for", how[0] != '\0' ? ", " : "", how);
        explain(loop, "", refused, "");
    } else {
        size_t at = strlen(refused);
        (void)snprintf(refused + at, size - at, "; not %s: %s", backend->name, how);
    }
    return r;
}

int coir__loop_open_backend(struct coir_loop *loop)
{
    const char *wanted = loop->opts.backend != NULL ? loop->opts.backend : getenv("COIR_BACKEND");
    bool any = wanted == NULL || wanted[0] == '\0';
    char refused[128] = "";
    int r = !any && strcmp(wanted, "uring") == 0 ? -ENOTSUP : -EINVAL; /* not built; no such name */
    (void)snprintf(loop->backend_why, sizeof loop->backend_why, "asked for, not in this build");
#ifndef COIR__URING
    (void)snprintf(refused, sizeof refused, "; not uring: not in this build");
#endif
    for (size_t i = 0; i < COIR_COUNT(backends); i++) {
        /* Nobody gets a simulation who did not ask for it. */
        if (any ? backends[i]->simulated : strcmp(backends[i]->name, wanted) != 0)
            continue;
        r = try_backend(loop, backends[i], any, refused, sizeof refused);
        if (r >= 0 || !any)
            return r;
    }
    return r;
}

static const coir_site background_site = {__FILE__, "coir_loop_open", "loop", __LINE__};

/* The parts of a loop that take memory. On failure the caller frees what is there. */
static int open_parts(struct coir_loop *loop)
{
    loop->now = coir__clock();
    loop->timers = coir__timers_open(loop->now);
    loop->stacks = coir__stacks_open();
    loop->errors = coir__errors_open();
    if (loop->timers == NULL || loop->stacks == NULL || loop->errors == NULL)
        return -ENOMEM;
    return coir__loop_open_backend(loop);
}

static void free_parts(struct coir_loop *loop)
{
    if (loop->timers != NULL)
        coir__timers_close(loop->timers);
    if (loop->stacks != NULL)
        coir__stacks_close(loop->stacks);
    if (loop->errors != NULL)
        coir__errors_close(loop->errors);
    coir__buffers_close(loop);
    coir__free_own(loop);
}

void (*coir__loop_opened)(struct coir_loop *loop);

/* Whether the options or the environment ask for debug mode. */
static bool wants_debug(const struct coir_loop *loop)
{
    const char *asked = getenv("COIR_DEBUG");
    return loop->opts.debug || (asked != NULL && asked[0] != '\0' && strcmp(asked, "0") != 0);
}

int coir_loop_open(const coir_loop_opts *opts, coir_loop **ret_loop)
{
    if (opts != NULL && coir__stack_class(opts->stack_size) >= COIR__STACK_CLASSES)
        return -EINVAL;
    struct coir_loop *loop = coir__alloc_own(sizeof *loop);
    if (loop == NULL)
        return -ENOMEM;
    memset(loop, 0, sizeof *loop);
    if (opts != NULL)
        loop->opts = *opts;
    loop->ready_last = &loop->ready_first;
    loop->expects_posts = loop->opts.expects_posts;
    loop->stack_class =
        coir__stack_class(loop->opts.stack_size != 0 ? loop->opts.stack_size : COIR__STACK_SIZE);
    loop->random = loop->opts.seed;
    loop->quick_class = loop->stack_class;
    coir__loop_set_slow(loop, COIR__SLOW_SEED, loop->opts.seed != 0);
    coir__loop_set_slow(loop, COIR__SLOW_FP, loop->opts.fp_control);
    loop->root.coir__kind = COIR__SCOPE_ROOT;
    coir__group_open(&loop->background, loop, &loop->root, NULL, COIR_COLLECT, &background_site);
    int r = open_parts(loop);
    if (r >= 0 && wants_debug(loop) && (r = coir__debugger.set(loop, true)) < 0)
        loop->backend->close(loop);
    if (r < 0) {
        free_parts(loop);
        return r;
    }
    if (coir__unlikely(coir__loop_opened != NULL))
        coir__loop_opened(loop);
    *ret_loop = loop;
    return 0;
}

/* ---- a turn ---- */

/* Takes a random one of the first ready ones; callbacks keep their order among themselves. */
static struct coir__ready *pop_shuffled(struct coir_loop *loop)
{
    enum { WINDOW = 64 };
    unsigned count = 0;
    for (struct coir__ready *at = loop->ready_first; at != NULL && count < WINDOW; at = at->next)
        count++;
    unsigned chosen = (unsigned)(coir__random(&loop->random) % count);
    struct coir__ready **link = &loop->ready_first;
    for (unsigned i = 0; i < chosen; i++)
        link = &(*link)->next;
    if ((*link)->run != NULL)
        for (link = &loop->ready_first; (*link)->run == NULL;)
            link = &(*link)->next;
    struct coir__ready *ready = *link;
    *link = ready->next;
    if (loop->ready_last == &ready->next)
        loop->ready_last = link;
    return ready;
}

/* Switches to a task when there is more to it. The loop and its callbacks keep their floating-point
 * control words. */
static __attribute__((noinline)) void enter_slowly(struct coir_loop *loop, struct coir_task *task)
{
    if (coir__debugs(loop))
        coir__debugger.entered(task);
    if (loop->slow & COIR__SLOW_FP)
        (void)coir__switch_fp(&loop->context, &task->context);
    else
        (void)coir__switch(&loop->context, &task->context);
}

/* Runs ready tasks and callbacks until there are none or the turn is over. */
static void run_ready(struct coir_loop *loop)
{
    bool shuffled = loop->slow & COIR__SLOW_SEED;
    int left = COIR__BUDGET;
    loop->charges = loop->slow & COIR__SLOW_HOOK ? 1 : COIR__CHARGES;
    loop->hooked_charges = COIR__CHARGES;
    loop->budget = COIR__BUDGET;
    while (loop->ready_first != NULL && left > 0 && loop->budget > 0) {
        struct coir__ready *ready = shuffled ? pop_shuffled(loop) : coir__ready_pop(loop);
        left--;
        if (ready->run != NULL) {
            ready->run(ready);
            continue;
        }
        struct coir_task *task = coir__container(ready, struct coir_task, ready);
        if (shuffled)
            loop->budget = 1; /* no direct hand-over: each step is drawn here */
        loop->current = task;
        if (coir__unlikely(loop->slow & (COIR__SLOW_FP | COIR__SLOW_DEBUG)))
            enter_slowly(loop, task);
        else
            (void)coir__switch(&loop->context, &task->context);
        if (shuffled && loop->charges > 0)
            loop->budget = COIR__BUDGET;
    }
}

static bool may_be_woken(const struct coir_loop *loop)
{
    return loop->hopes > 0 || loop->vague_hopes > 0 || loop->expects_posts || loop->forever;
}

/* Waits in the backend, unless something was posted meanwhile. */
static int sleep_in_backend(struct coir_loop *loop, coir_time timeout)
{
    bool watched = coir__debugs(loop);
    if (watched)
        coir__debugger.idle(loop, true);
    int r = loop->backend->poll(loop, coir__inbox_sleep(loop) ? timeout : 0);
    coir__inbox_awake(loop);
    if (watched)
        coir__debugger.idle(loop, false);
    return r;
}

/* Waits for the kernel as long as a test has patience, if it is one that limits it. A silence goes
 * on until an operation is complete or another one is under way, so it is waited out once, however
 * many timers expire meanwhile. Returns 1 when the kernel stayed silent all that time, 0, or
 * -COIR_EWRONGLOOP in a child that has only a copy of the loop. */
static int outlast(struct coir_loop *loop, coir_time timeout)
{
    if (loop->patience == 0 || loop->jobs > 0 || (timeout == COIR_FOREVER && may_be_woken(loop))) {
        int r = sleep_in_backend(loop, timeout);
        return r == -COIR_EWRONGLOOP ? r : 0;
    }
    if (loop->operations != loop->silent_operations)
        loop->silence = 0;
    coir_time left = loop->silence < loop->patience ? loop->patience - loop->silence : 0;
    coir_time before = coir__clock();
    int completed = sleep_in_backend(loop, left < timeout ? left : timeout);
    loop->silence = completed > 0 ? 0 : loop->silence + (coir__clock() - before);
    loop->silent_operations = loop->operations;
    return completed == -COIR_EWRONGLOOP ? completed : loop->silence >= loop->patience;
}

/* Waits for others to post. Of vague hopes the patience of a test has an end. */
static int wait_for_posts(struct coir_loop *loop)
{
    bool limited =
        loop->patience != 0 && loop->hopes == 0 && !loop->expects_posts && !loop->forever;
    coir_time before = coir__clock();
    (void)sleep_in_backend(loop, limited ? loop->patience : COIR_FOREVER);
    bool silent = limited && !coir__inbox_filled(loop) && coir__clock() - before >= loop->patience;
    return silent ? -EDEADLK : 0;
}

static int jump(struct coir_loop *loop, coir_time next)
{
    if (next == COIR_FOREVER)
        return wait_for_posts(loop);
    loop->now = next > loop->now ? next : loop->now;
    return 0;
}

/* For how long, in real time, threads must have been at rest before they count as waiting for the
 * simulation; and how long one that is not may take. */
#define LOCKSTEP COIR_SEC(1)
#define LONGEST_STEP COIR_SEC(5)

/* Waits for threads that work for the simulation. Returns whether they wait for it. A machine that
 * has no processor to spare for them does not make it so. */
static bool stand_still(struct coir_loop *loop)
{
    coir_time before = coir__clock();
    do {
        coir_time now = coir__clock();
        (void)sleep_in_backend(loop, LOCKSTEP);
        if (coir__inbox_filled(loop) || coir__clock() - now < LOCKSTEP)
            return false;
    } while (coir__sys_others_work() && coir__clock() - before < LONGEST_STEP);
    return true;
}

/* The simulation goes in step with the threads that work for it: it waits until everything is back
 * and then goes on with one of them, so that what they do takes no time and comes in an order that
 * the seed decides. Work that waits for the simulation itself ends the standstill. */
static int keep_step(struct coir_loop *loop, coir_time next)
{
    if (loop->jobs > 0 && !stand_still(loop))
        return 0;
    if (loop->returned == NULL)
        return jump(loop, next);
    loop->busy_turns = 0;
    coir__away_deliver(loop);
    return 0;
}

/* Whether something is under way that takes real time. */
static bool kernel_works(const struct coir_loop *loop)
{
    return loop->backend->simulated ? loop->outside > 0 : loop->operations > 0;
}

/* How the clock moves while nothing is ready and time is virtual. It jumps to the next timer when
 * nothing else can come first; while the kernel or a thread works on something, it moves at the
 * speed of the real one. */
static int idle_virtually(struct coir_loop *loop, coir_time next)
{
    if (loop->backend->simulated && (loop->jobs > 0 || loop->returned != NULL))
        return keep_step(loop, next);
    if (loop->jobs == 0 && !kernel_works(loop))
        return jump(loop, next);
    coir_time before = coir__clock();
    int silent = outlast(loop, next == COIR_FOREVER ? COIR_FOREVER : next - loop->now);
    if (silent < 0)
        return silent;
    if (silent && next == COIR_FOREVER)
        return -EDEADLK;
    coir_time now = loop->now + (coir__clock() - before);
    loop->now = now < next && !silent ? now : next;
    return 0;
}

/* Nothing is ready: waits for the first thing that can happen. Returns -EDEADLK when nothing can.
 */
static int idle(struct coir_loop *loop)
{
    if (coir__inbox_filled(loop))
        return 0; /* collect() comes next */
    coir_time next = coir__timers_next(loop->timers);
    if (next == COIR_FOREVER && !kernel_works(loop) && !may_be_woken(loop))
        return -EDEADLK;
    if (loop->opts.virtual_clock)
        return idle_virtually(loop, next);
    if (next == COIR_FOREVER) {
        int silent = outlast(loop, COIR_FOREVER);
        return silent > 0 ? -EDEADLK : silent;
    }
    coir_time now = coir__clock();
    int r = sleep_in_backend(loop, next > now ? next - now : 0);
    return r == -COIR_EWRONGLOOP ? r : 0;
}

/* What the outside has brought: completions, time, posts. */
static void collect(struct coir_loop *loop)
{
    if (!loop->opts.virtual_clock)
        loop->now = coir__clock();
    coir__timers_expire(loop, loop->now);
    coir__inbox_drain(loop);
}

/* A loop that is never idle must not keep for ever what is held: see keep_step. */
static void count_busy_turn(struct coir_loop *loop)
{
    enum { MOST = 256 };
    if (loop->returned == NULL) {
        loop->busy_turns = 0;
    } else if (++loop->busy_turns == MOST) {
        loop->busy_turns = 0;
        coir__away_deliver(loop);
    }
}

/* One turn of a run that ends when finished says so. */
static int turn(struct coir_loop *loop, bool (*finished)(struct coir_loop *loop))
{
    loop->turns++;
    run_ready(loop);
    if (finished(loop))
        return 0;
    if (loop->ready_first != NULL || loop->opts.virtual_clock) { /* a look without waiting */
        if ((loop->operations > 0 || loop->backend->simulated) && loop->backend->poll(loop, 0) > 0)
            loop->silence = 0;
        collect(loop);
        count_busy_turn(loop);
        if (loop->ready_first != NULL || finished(loop))
            return 0;
    }
    int r = idle(loop);
    collect(loop);
    return r == -EDEADLK || r == -COIR_EWRONGLOOP ? r : 0;
}

/* ---- runs ---- */

static int begin_run(struct coir_loop *loop)
{
    if (coir__loop != NULL || __atomic_load_n(&loop->running, __ATOMIC_RELAXED))
        return loop->running && coir__loop != loop ? coir__refuse(loop, NULL, -EBUSY) : -EBUSY;
    coir__loop = loop;
    coir__inbox_awake(loop); /* after a step it sleeps on */
    __atomic_store_n(&loop->running, true, __ATOMIC_RELAXED);
    loop->now = loop->opts.virtual_clock ? loop->now : coir__clock();
    coir__context_thread(loop);
    coir__stack_watch_thread();
    if (coir__debugs(loop))
        coir__debugger.attach(loop);
    return 0;
}

static void end_run(struct coir_loop *loop)
{
    if (coir__debugs(loop))
        coir__debugger.detach(loop);
    coir__stack_unwatch_thread();
    loop->done = NULL;
    loop->stop = loop->forever = false;
    __atomic_store_n(&loop->running, false, __ATOMIC_RELAXED);
    coir__loop = NULL;
}

/* A deadlock is reported, and everything is cancelled so that the tasks can release what they hold.
 * When even that wakes nobody, the run is given up. */
static int break_deadlock(struct coir_loop *loop)
{
    if (loop->deadlocked)
        return -EDEADLK;
    loop->deadlocked = true;
    coir__report_deadlock(loop);
    coir__scope_cancel(&loop->root,
                       coir__error_new(loop, -ECANCELED, "nothing could wake any task: deadlock"));
    loop->silence = 0; /* what was withdrawn from a kernel wakes its task when that lets go */
    return loop->ready_first != NULL || kernel_works(loop) ? 0 : -EDEADLK;
}

static int run(struct coir_loop *loop, bool (*finished)(struct coir_loop *loop))
{
    do {
        int r = turn(loop, finished);
        if (r == -EDEADLK)
            r = break_deadlock(loop);
        if (r < 0)
            return r;
    } while (!finished(loop));
    return loop->deadlocked ? -EDEADLK : 0;
}

static bool task_finished(struct coir_loop *loop)
{
    return loop->stop || (loop->done->flags & COIR__TASK_DONE);
}

static bool was_stopped(struct coir_loop *loop)
{
    return loop->stop;
}

static bool no_tasks(struct coir_loop *loop)
{
    return loop->tasks == 0 && loop->deferred == 0;
}

static const coir_site run_site = {__FILE__, "coir_loop_run_until", NULL, __LINE__};

/* Takes the result of the task that the run was for; the failure's record becomes the loop's last
 * error. */
static int take_result(struct coir_loop *loop, struct coir_task *task, int *ret_result)
{
    int result = task->result;
    if (result < 0 && task->error != NULL) {
        if (task->site->line != 0) /* else it is the main task: its spawn says nothing */
            coir__error_crossed(task->error, task, NULL, &run_site);
        coir__error_free(loop, loop->error);
        loop->error = task->error;
        task->error = NULL;
    }
    coir__task_release(task);
    if (ret_result == NULL)
        return result;
    *ret_result = result;
    return 0;
}

int coir_loop_run_until(coir_loop *loop, coir_task *task, int *ret_result)
{
    if (task->loop != loop)
        return -COIR_EWRONGLOOP;
    int r = task->joiner != NULL ? -EBUSY : begin_run(loop);
    if (r < 0)
        return r;
    loop->done = task;
    r = run(loop, task_finished);
    bool finished = task->flags & COIR__TASK_DONE;
    if (finished) {
        int taken = take_result(loop, task, ret_result);
        r = r < 0 ? r : taken;
    } else if (r >= 0) {
        r = -COIR_ECLOSED;
    }
    end_run(loop);
    return r;
}

int coir_loop_run_forever(coir_loop *loop)
{
    int r = begin_run(loop);
    if (r < 0)
        return r;
    loop->forever = true;
    (void)run(loop, was_stopped);
    end_run(loop);
    return 0;
}

/* ---- steps, for those who have a loop of their own ---- */

static void no_more(void *arg)
{
    (void)arg;
}

/* Waits for the first thing that can happen, at most timeout. */
static void idle_for(struct coir_loop *loop, coir_time timeout)
{
    coir_timer limit = {0};
    coir_time now = coir__clock_of(loop), when;
    if (!__builtin_add_overflow(now, timeout, &when))
        coir_timer_start(loop, &limit, when, no_more, NULL);
    (void)idle(loop);
    coir_timer_stop(loop, &limit);
}

static coir_time backend_due(const struct coir_loop *loop)
{
    return loop->backend->due != NULL ? loop->backend->due(loop) : COIR_FOREVER;
}

int coir_loop_step(coir_loop *loop, coir_time timeout)
{
    int r = begin_run(loop);
    if (r < 0)
        return r;
    loop->forever = true; /* what may come from the outer loop is not known here: no deadlock */
    loop->turns++;
    if (loop->ready_first == NULL)
        idle_for(loop, timeout > 0 ? timeout : 0);
    collect(loop);
    run_ready(loop);
    (void)loop->backend->poll(loop, 0); /* hands what was started to the kernel */
    collect(loop);
    /* from here on a post writes to the descriptor */
    bool more = !coir__inbox_sleep(loop) || loop->ready_first != NULL || backend_due(loop) == 0;
    end_run(loop);
    return more;
}

int coir_loop_descriptor(const coir_loop *loop)
{
    return loop->backend->descriptor(loop);
}

coir_time coir_loop_timeout(const coir_loop *loop)
{
    if (loop->ready_first != NULL || coir__inbox_filled(loop))
        return 0;
    coir_time next = coir__timers_next(loop->timers), now = coir__clock_of(loop);
    coir_time due = backend_due(loop);
    if (next == COIR_FOREVER)
        return due;
    coir_time left = next > now ? next - now : 0;
    return left < due ? left : due;
}

const coir_error *coir_loop_error(const coir_loop *loop)
{
    return loop->error;
}

void coir_loop_stop(coir_loop *loop)
{
    if (coir__elsewhere(loop, NULL))
        return;
    loop->stop = true;
}

coir_loop *coir_loop_current(void)
{
    return coir__loop;
}

void **coir__loop_resolver(coir_loop *loop)
{
    return &loop->resolver;
}

/* ---- closing ---- */

static int report_left(coir_task *task, void *arg)
{
    struct coir_loop *loop = arg;
    char line[320];
    (void)coir__task_line(task, line, sizeof line);
    coir__report(loop, COIR_REPORT_LEFT, task, NULL, "the loop closes while task %s", line);
    return 0;
}

static void report_count(struct coir_loop *loop, uint64_t count, const char *what)
{
    if (count > 0)
        coir__report(loop, COIR_REPORT_LEFT, NULL, NULL, "the loop closed with %llu %s",
                     (unsigned long long)count, what);
}

/* Cancels what runs and lets it end. */
static void wind_down(struct coir_loop *loop)
{
    (void)coir_task_each(report_left, loop);
    loop->stop = false;
    loop->expects_posts = false;
    coir__scope_cancel(&loop->root, coir__error_new(loop, -ECANCELED, "the loop closes"));
    (void)run(loop, no_tasks);
}

/* A post may start tasks, a task may post, and while there are tasks other threads may have
 * something for them: so the inbox is closed only when it is empty and no task is left. Of posts
 * that follow each other without end the last ones are called when it is closed, and start nothing.
 */
static void wind_down_and_close_inbox(struct coir_loop *loop)
{
    enum { MOST = 64 };
    for (int times = 0; times < MOST; times++) {
        coir__inbox_drain(loop);
        if (!no_tasks(loop))
            wind_down(loop);
        if (coir__inbox_close_empty(loop))
            return;
    }
    uint64_t started = loop->next_id;
    loop->background.coir__open = false;
    coir__inbox_close(loop);
    loop->background.coir__open = true;
    if (loop->next_id != started) /* in a group of an object */
        wind_down(loop);
}

int coir_loop_close(coir_loop *loop)
{
    if (loop == NULL)
        return 0;
    if (begin_run(loop) < 0)
        return -EBUSY;
    wind_down_and_close_inbox(loop);
    if (loop->tasks == 0) {
        assert(loop->jobs == 0 && loop->hopes == 0 && loop->vague_hopes == 0);
        coir__group_end(&loop->background);
    }
    report_count(loop, coir__timers_live(loop->timers) - coir__callbacks_timers(loop),
                 "timers that still run");
    report_count(loop, loop->callbacks_live, "callbacks that were not called");
    report_count(loop, loop->descriptors, "open descriptors");
    coir__error_free(loop, loop->error);
    coir__error_free(loop, loop->root.coir__cause);
    coir__callbacks_close(loop);
    while (atomic_load_explicit(&loop->wakers, memory_order_acquire) > 0)
        (void)sched_yield();
    loop->backend->close(loop);
    end_run(loop);
    (void)coir__debugger.set(loop, false);
    free_parts(loop);
    return 0;
}

/* ---- all in one ---- */

/* Whoever starts a program may ask for virtual time: one that sleeps can be tried at once. */
static bool virtual_clock_wanted(void)
{
    const char *wanted = getenv("COIR_VIRTUAL_CLOCK");
    return wanted != NULL && wanted[0] != '\0' && strcmp(wanted, "0") != 0;
}

coir_loop_opts coir__program_opts(const coir_loop_opts *opts)
{
    coir_loop_opts program = opts != NULL ? *opts : (coir_loop_opts){0};
    if (program.report == NULL)
        program.report = coir_report_to_stderr;
    program.virtual_clock = program.virtual_clock || virtual_clock_wanted();
    return program;
}

int coir_run(coir_fn fn, void *arg, const coir_loop_opts *opts, int *ret_result)
{
    coir_loop_opts program = coir__program_opts(opts);
    if (coir__loop != NULL)
        return -EBUSY;
    coir_loop *loop;
    int r = coir_loop_open(&program, &loop);
    if (r < 0)
        return r;
    coir_task *task;
    static const coir_site main_site = {__FILE__, "coir_run", "main", 0};
    r = coir_loop_spawn_at(loop, fn, arg, &task, &main_site);
    if (r >= 0)
        r = coir_loop_run_until(loop, task, ret_result);
    (void)coir_loop_close(loop);
    return r;
}

/* ---- counters ---- */

void coir_loop_stats(const coir_loop *loop, struct coir_loop_stats *ret_stats)
{
    *ret_stats = (struct coir_loop_stats){0};
    if (loop == NULL)
        loop = coir__loop;
    if (loop == NULL || coir__elsewhere(loop, NULL))
        return;
    ret_stats->tasks = loop->tasks;
    ret_stats->tasks_total = loop->next_id;
    ret_stats->handles = loop->handles;
    ret_stats->timers = coir__timers_live(loop->timers);
    ret_stats->callbacks = loop->callbacks_live;
    ret_stats->operations = loop->operations;
    ret_stats->descriptors = loop->descriptors;
    ret_stats->memory = coir__memory_live();
    coir__stacks_count(loop, &ret_stats->stacks, &ret_stats->stacks_cached);
    ret_stats->turns = loop->turns;
    ret_stats->errors = coir__errors_live(loop->errors);
    ret_stats->reports = loop->reports;
}
