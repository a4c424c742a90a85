/* watchdog.c: the thread that looks whether a step is too long, and the signal that takes its
 * stack.
 *
 * A watchdog belongs to one loop in debug mode. It knows a step by the tick at which it began. When
 * one is too long it signals the loop's thread, once; the handler runs on the thread's signal
 * stack, compares the step, and copies registers and the upper part of the stack. The report is
 * made by the loop's thread when the step has ended, and finds the sample by the same tick.
 */
#include <stdio.h>
#include <unistd.h>

#include "core/sys.h"
#include "debug/debug.h"

#define SLOW_STEP COIR_MS(100)
#define LOOKS 4 /* in the time of a slow step */

static struct sigaction previous;
static atomic_flag installed = ATOMIC_FLAG_INIT;
static char ours; /* its address marks our signals */

static int signal_number(void)
{
    return SIGRTMAX - 2;
}

/* ---- on the loop's thread ---- */

static void take(struct coir__debug *debug, const void *ucontext)
{
    uint64_t step = atomic_load_explicit(&debug->since, memory_order_relaxed);
    if (step == 0 || step != atomic_load_explicit(&debug->wanted, memory_order_relaxed))
        return; /* it has ended meanwhile */
    uintptr_t low = debug->thread_low, high = debug->thread_high;
    if (debug->loop->current != NULL) {
        char *from, *to;
        coir__stack_bounds(debug->loop->current, &from, &to);
        low = (uintptr_t)from;
        high = (uintptr_t)to;
    }
    coir__sample_take(&debug->sample, step, ucontext, low, high);
}

static void leave_to_previous(int number, siginfo_t *info, void *context)
{
    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(number, info, context);
    else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
        previous.sa_handler(number);
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (info->si_code != SI_QUEUE || info->si_value.sival_ptr != &ours)
        leave_to_previous(number, info, context);
    else if (coir__loop != NULL && coir__loop->debug != NULL)
        take(coir__loop->debug, context);
    errno = saved;
}

static int install(void)
{
    if (atomic_flag_test_and_set(&installed))
        return 0;
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    int r = coir__sys_sigaction(signal_number(), &action, &previous);
    if (r < 0)
        atomic_flag_clear(&installed);
    return r;
}

/* ---- the thread ---- */

/* Signals the loop when its step is too long. signalled: the last step that it was done for. */
static void look(struct coir__debug *debug, uint64_t *signalled)
{
    uint64_t step = atomic_load_explicit(&debug->since, memory_order_relaxed);
    uint64_t now = coir__ticks();
    if (!debug->attached || step == 0 || step == *signalled || now < step ||
        now - step <= debug->slow)
        return;
    *signalled = step;
    atomic_store_explicit(&debug->wanted, step, memory_order_relaxed);
    coir__sys_signal_thread(debug->tid, signal_number(), &ours);
}

static void *watch(void *arg)
{
    struct coir__debug *debug = arg;
    uint64_t signalled = 0;
    (void)pthread_mutex_lock(&debug->lock);
    while (!debug->stop) {
        struct timespec until;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        coir_time when = until.tv_nsec + debug->look_every;
        until.tv_sec += when / 1000000000;
        until.tv_nsec = when % 1000000000;
        (void)pthread_cond_timedwait(&debug->wake, &debug->lock, &until);
        look(debug, &signalled);
    }
    (void)pthread_mutex_unlock(&debug->lock);
    return NULL;
}

int coir__watchdog_start(struct coir__debug *debug)
{
    int r = install();
    if (r < 0)
        return r;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&debug->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_mutex_init(&debug->lock, NULL);
    debug->process = getpid();
    r = coir__sys_thread(&debug->watchdog, watch, debug);
    if (r < 0) {
        (void)pthread_cond_destroy(&debug->wake);
        (void)pthread_mutex_destroy(&debug->lock);
    }
    return r;
}

/* Whether this is a child of fork: it has no watchdog, and the lock may be held for ever. */
static bool is_copy(const struct coir__debug *debug)
{
    return debug->process != getpid();
}

void coir__watchdog_stop(struct coir__debug *debug)
{
    if (is_copy(debug))
        return;
    (void)pthread_mutex_lock(&debug->lock);
    debug->stop = true;
    (void)pthread_cond_signal(&debug->wake);
    (void)pthread_mutex_unlock(&debug->lock);
    (void)pthread_join(debug->watchdog, NULL);
    (void)pthread_cond_destroy(&debug->wake);
    (void)pthread_mutex_destroy(&debug->lock);
}

/* ---- where the loop runs ---- */

static void find_stack(struct coir__debug *debug)
{
    pthread_attr_t attributes;
    void *low;
    size_t size;
    debug->thread_low = debug->thread_high = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0)
        return;
    if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
        debug->thread_low = (uintptr_t)low;
        debug->thread_high = (uintptr_t)low + size;
    }
    (void)pthread_attr_destroy(&attributes);
}

void coir__watchdog_attach(struct coir__debug *debug)
{
    if (is_copy(debug))
        return;
    if (debug->thread_high == 0 || !pthread_equal(debug->thread, pthread_self()))
        find_stack(debug);
    (void)pthread_mutex_lock(&debug->lock);
    debug->thread = pthread_self();
    debug->tid = coir__sys_thread_id();
    debug->attached = true;
    (void)pthread_mutex_unlock(&debug->lock);
}

void coir__watchdog_detach(struct coir__debug *debug)
{
    if (is_copy(debug))
        return;
    (void)pthread_mutex_lock(&debug->lock);
    debug->attached = false;
    (void)pthread_mutex_unlock(&debug->lock);
}

void coir__watchdog_set(struct coir__debug *debug, coir_time slow_step)
{
    slow_step = slow_step > 0 ? slow_step : SLOW_STEP;
    bool runs = debug->look_every != 0 && !is_copy(debug);
    if (runs)
        (void)pthread_mutex_lock(&debug->lock);
    debug->slow = coir__ticks_of(slow_step);
    coir_time every = slow_step / LOOKS;
    every = every < COIR_MS(1) ? COIR_MS(1) : every;
    debug->look_every = every > COIR_SEC(1) ? COIR_SEC(1) : every;
    if (runs) {
        (void)pthread_cond_signal(&debug->wake);
        (void)pthread_mutex_unlock(&debug->lock);
    }
}

/* ---- the report ---- */

void coir__report_slow_step(struct coir__debug *debug, struct coir_task *task, uint64_t took)
{
    char who[COIR__WHO] = "the loop itself, or a callback,", stack[3072] = "";
    if (task != NULL)
        (void)coir__task_who(task, who, sizeof who);
    const char *hint = NULL;
    if (debug->sample.step == debug->start) {
        struct coir__symbols symbols = {.count = 0};
        struct coir__frames frames;
        coir__frames_sampled(&debug->sample, &symbols, &frames);
        (void)coir__frames_format(&frames, &symbols, 4, stack, sizeof stack, &hint);
        coir__symbols_close(&symbols);
    }
    coir__report(debug->loop, COIR_REPORT_SLOW_STEP, task, NULL,
                 "%s%s held up the loop for %.3g s without a wait%s%s%s%s",
                 task != NULL ? "task " : "", who, (double)coir__ticks_time(took) / 1e9,
                 stack[0] != '\0' ? "; its stack meanwhile:"
                                  : "; it had ended before its stack "
                                    "was taken",
                 stack, hint != NULL ? "\n  hint: " : "", hint != NULL ? hint : "");
}
