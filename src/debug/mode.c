/* mode.c: debug mode on and off, the steps of tasks, and their figures.
 *
 * Owns struct coir__debug. A step begins where the last one ended when tasks switch to each other,
 * so that each switch reads the counter once; where the loop was in between it reads it again, and
 * what the loop did is a step of its own. The table coir__debugger is how the core knows of this
 * room.
 */
#include <dlfcn.h>
#include <string.h>

#include "debug/debug.h"

#define SLOW_STEP COIR_MS(100)

/* ---- ticks ---- */

static pthread_once_t measured = PTHREAD_ONCE_INIT;
static double ns_per_tick = 1;

static void measure(void)
{
    enum { FOR = 300000 };
    coir_time begin = coir__clock(), end;
    uint64_t ticks = coir__ticks();
    do
        end = coir__clock();
    while (end - begin < FOR);
    ns_per_tick = (double)(end - begin) / (double)(coir__ticks() - ticks);
}

void coir__ticks_measure(void)
{
    (void)pthread_once(&measured, measure);
}

uint64_t coir__ticks_of(coir_time duration)
{
    double ticks = (double)duration / ns_per_tick;
    return ticks < 9e18 && duration != COIR_FOREVER ? (uint64_t)ticks : UINT64_MAX;
}

coir_time coir__ticks_time(uint64_t ticks)
{
    return (coir_time)((double)ticks * ns_per_tick);
}

/* ---- steps ---- */

static inline void begin_step(struct coir__debug *debug, uint64_t now)
{
    debug->start = now;
    atomic_store_explicit(&debug->since, now, memory_order_relaxed);
}

/* Reports a step of task that was too long, and reads the counter again. */
static __attribute__((noinline, cold)) uint64_t was_slow(struct coir__debug *debug,
                                                         struct coir_task *task, uint64_t took)
{
    coir__report_slow_step(debug, task, took);
    return coir__ticks();
}

/* Ends the step that runs, of task or of the loop; gives its ticks, and begins what comes next. */
static inline uint64_t end_step(struct coir__debug *debug, struct coir_task *task)
{
    uint64_t now = coir__ticks(), took = now - debug->start;
    if (coir__unlikely(took > debug->slow && (int64_t)took > 0))
        now = was_slow(debug, task, took);
    begin_step(debug, now);
    return took;
}

static void count_step(const struct coir__debug *debug, struct coir__debug_task *data,
                       uint64_t took)
{
    data->running += took;
    data->counts += COIR__COUNT_STEP;
    if (took > data->longest)
        data->longest = took;
    data->left = *debug->clock;
}

/* Where time of a kind of waiting is counted. */
static unsigned kind_of(struct coir__debug_task *data, const struct coir__wait *wait)
{
    unsigned kind = coir__debug_kinds(data);
    for (unsigned i = 0; i < kind; i++)
        if (data->waits[i].wait == wait || i == COIR__WAIT_KINDS - 1)
            return i;
    data->counts += COIR__COUNT_KIND;
    data->waits[kind].wait = kind < COIR__WAIT_KINDS - 1 ? wait : NULL;
    data->waits[kind].time = data->waits[kind].times = 0;
    return kind;
}

/* Counts a wait of a kind. */
static __attribute__((noinline)) void count_wait(struct coir__debug_task *data, uint64_t waited)
{
    unsigned kind = kind_of(data, data->wait);
    data->waits[kind].time += waited;
    data->waits[kind].times++;
}

/* Notes that the step that has begun is of task. */
static inline void begin_step_of(const struct coir_task *task, struct coir__debug *debug,
                                 struct coir__debug_task *data)
{
    debug->task = task;
    if (coir__unlikely(data == NULL))
        return;
    uint64_t waited = *debug->clock - data->left;
    if (data->wait == NULL)
        data->ready += waited;
    else
        count_wait(data, waited);
}

static void entered(struct coir_task *task)
{
    struct coir__debug *debug = task->loop->debug;
    (void)end_step(debug, NULL);
    task->flags |= COIR__TASK_WATCHED; /* its end is told */
    begin_step_of(task, debug, coir__debug_of(task));
}

static __attribute__((noinline)) void report_mutexes(struct coir_task *task, int count,
                                                     const void *frame)
{
    char stack[3072];
    struct coir__frames frames;
    struct coir__symbols symbols = {.count = 0};
    coir__frames_from(task, frame, &frames);
    (void)coir__frames_format(&frames, &symbols, 4, stack, sizeof stack, NULL);
    coir__symbols_close(&symbols);
    char line[320];
    (void)coir__task_line(task, line, sizeof line);
    coir__report(task->loop, COIR_REPORT_THREAD_LOCK, task, NULL,
                 "%s while its thread holds %d mutex%s; tasks that come meanwhile and want it stop "
                 "the thread for good%s\n  hint: unlock before the wait, or use coir_lock",
                 line, count, count == 1 ? "" : "es", stack);
}

static void left(struct coir_task *task, const void *frame, const void *end)
{
    struct coir_loop *loop = task->loop;
    struct coir__debug *debug = loop->debug;
    struct coir__debug_task *data = coir__debug_of(task);
    if (debug->task != task)
        begin_step_of(task, debug, data);
    uint64_t took = end_step(debug, task);
    if (coir__likely(data != NULL)) {
        count_step(debug, data, took);
        data->wait = task->wait;
        if (coir__unlikely(data->lowest != 0))
            coir__arguments_check(task, data, (uintptr_t)end);
    }
    if (coir__unlikely(debug->held_mutexes != NULL && debug->held_mutexes() > 0))
        report_mutexes(task, debug->held_mutexes(), frame);
    debug->task = NULL;
}

static int born(struct coir_task *task)
{
    task->flags |= COIR__TASK_DEBUGGED | COIR__TASK_WATCHED;
    struct coir__debug_task *data = coir__debug_of(task);
    data->lowest = 0;
    data->left = *task->loop->debug->clock;
    data->wait = NULL;
    data->running = data->ready = data->longest = 0;
    data->counts = 0;
    data->spawner = NULL;
    struct coir_task *self = task->loop->current;
    if (self != NULL && (uintptr_t)self - (uintptr_t)task->arg < coir__debug_reach(self))
        coir__argument_note(task, data, self);
    return 0;
}

static void ended(struct coir_task *task)
{
    struct coir_loop *loop = task->loop;
    struct coir__debug *debug = loop->debug;
    struct coir__debug_task *data = coir__debug_of(task);
    if (debug->task != task)
        begin_step_of(task, debug, data);
    uint64_t took = end_step(debug, task);
    if (coir__likely(data != NULL)) {
        count_step(debug, data, took);
        if (coir__unlikely(data->lowest != 0))
            coir__arguments_check(task, data, UINTPTR_MAX);
    }
    debug->task = NULL;
}

static void idle(struct coir_loop *loop, bool begins)
{
    struct coir__debug *debug = loop->debug;
    if (debug == NULL)
        return;
    if (begins) {
        (void)end_step(debug, NULL);
        atomic_store_explicit(&debug->since, 0, memory_order_relaxed);
    } else {
        begin_step(debug, coir__ticks());
    }
    debug->task = NULL;
}

static void attach(struct coir_loop *loop)
{
    struct coir__debug *debug = loop->debug;
    coir__watchdog_attach(debug);
    coir__misplaced_run(debug, true);
    begin_step(debug, coir__ticks());
    debug->task = NULL;
}

static void detach(struct coir_loop *loop)
{
    (void)end_step(loop->debug, NULL);
    atomic_store_explicit(&loop->debug->since, 0, memory_order_relaxed);
    coir__watchdog_detach(loop->debug);
    coir__misplaced_run(loop->debug, false);
}

/* ---- on and off ---- */

static int switch_on(struct coir_loop *loop)
{
    coir__ticks_measure();
    struct coir__debug *debug = coir__alloc_own(sizeof *debug);
    if (debug == NULL)
        return -ENOMEM;
    memset(debug, 0, sizeof *debug);
    debug->loop = loop;
    debug->clock = loop->opts.virtual_clock ? (const uint64_t *)&loop->now : &debug->start;
    debug->orders = coir__orders_open();
    void *counter = dlsym(RTLD_DEFAULT, "coir_debug_held_mutexes");
    memcpy(&debug->held_mutexes, &counter, sizeof counter);
    coir__watchdog_set(debug, loop->opts.slow_step);
    int r = debug->orders != NULL ? coir__watchdog_start(debug) : -ENOMEM;
    if (r < 0) {
        coir__orders_close(debug->orders);
        coir__free_own(debug);
        return r;
    }
    loop->debug = debug;
    coir__misplaced_join(debug);
    coir__loop_set_slow(loop, COIR__SLOW_DEBUG, true);
    loop->quick_class = COIR__STACK_CLASSES;
    if (coir__loop == loop)
        attach(loop);
    return 0;
}

static void switch_off(struct coir_loop *loop)
{
    struct coir__debug *debug = loop->debug;
    coir__misplaced_leave(debug);
    coir__watchdog_stop(debug);
    coir__loop_set_slow(loop, COIR__SLOW_DEBUG, false);
    loop->quick_class = loop->stack_class;
    loop->debug = NULL; /* a signal that comes late finds nothing */
    atomic_signal_fence(memory_order_seq_cst);
    coir__orders_close(debug->orders);
    coir__free_own(debug);
}

static int set(struct coir_loop *loop, bool on)
{
    if (on && loop->debug == NULL)
        return switch_on(loop);
    if (!on && loop->debug != NULL)
        switch_off(loop);
    return 0;
}

const struct coir__debugger coir__debugger = {
    .set = set,
    .attach = attach,
    .detach = detach,
    .idle = idle,
    .born = born,
    .left = left,
    .entered = entered,
    .ended = ended,
    .lock_wanted = coir__order_wanted,
    .lock_taken = coir__order_taken,
    .lock_left = coir__order_left,
    .misplaced = coir__misplaced_report,
    .runs = coir__misplaced_runs,
    .dump = coir__dump,
    .dump_here = coir__dump_here,
};

/* ---- the public calls ---- */

int coir_debug_set(coir_loop *loop, bool on)
{
    loop = loop != NULL ? loop : coir__loop;
    return loop != NULL ? set(loop, on) : -EINVAL;
}

bool coir_debug_on(const coir_loop *loop)
{
    loop = loop != NULL ? loop : coir__loop;
    return loop != NULL && loop->debug != NULL;
}

void coir_debug_set_slow_step(coir_loop *loop, coir_time slow_step)
{
    loop = loop != NULL ? loop : coir__loop;
    if (loop == NULL)
        return;
    loop->opts.slow_step = slow_step;
    if (loop->debug != NULL)
        coir__watchdog_set(loop->debug, slow_step);
}

/* ---- figures ---- */

static coir_time time_of(const struct coir_loop *loop, uint64_t stamps)
{
    return loop->opts.virtual_clock ? (coir_time)stamps : coir__ticks_time(stamps);
}

static void add_waits(const struct coir_loop *loop, const struct coir__debug_task *data,
                      struct coir_task_figures *figures)
{
    figures->wait_count = coir__debug_kinds(data);
    for (size_t i = 0; i < figures->wait_count; i++) {
        const struct coir__wait *wait = data->waits[i].wait;
        figures->waits[i].what = wait != NULL ? wait->verb : "others";
        figures->waits[i].time = time_of(loop, data->waits[i].time);
        figures->waits[i].times = data->waits[i].times;
        figures->waiting += figures->waits[i].time;
    }
}

int coir_task_figures(const coir_task *task, struct coir_task_figures *ret_figures)
{
    task = task != NULL ? task : coir__self();
    if (task == NULL)
        return -COIR_ENOTASK;
    const struct coir_loop *loop = task->loop;
    const struct coir__debug_task *data = coir__debug_of(task);
    if (coir__elsewhere(loop, &task->own))
        return -COIR_EWRONGLOOP;
    if (data == NULL)
        return -ENODATA;
    bool runs = task == coir__self() && loop->debug != NULL;
    if (runs && loop->debug->task != task)
        begin_step_of(task, loop->debug, coir__debug_of(task));
    *ret_figures = (struct coir_task_figures){.steps = data->counts / COIR__COUNT_STEP,
                                              .ready = time_of(loop, data->ready)};
    uint64_t running = data->running, longest = data->longest;
    if (runs) {
        uint64_t step = coir__ticks() - loop->debug->start;
        running += step;
        longest = step > longest ? step : longest;
        ret_figures->steps++;
    }
    ret_figures->running = coir__ticks_time(running);
    ret_figures->longest = coir__ticks_time(longest);
    add_waits(loop, data, ret_figures);
    if (!loop->opts.virtual_clock)
        ret_figures->wall = ret_figures->running + ret_figures->ready + ret_figures->waiting;
    else
        ret_figures->wall =
            (task->flags & COIR__TASK_DONE ? (coir_time)data->left : loop->now) - task->born;
    return 0;
}
