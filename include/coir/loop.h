/* coir/loop.h: event loops, from coir_main to callbacks and posts.
 *
 * A loop runs its tasks on one thread. Most programs only call coir_main; tests, embedders and
 * programs with many loops open their own. Callbacks (call_soon, call_later, call_at, timers,
 * posts) run on the loop's own stack, outside any task: they must not wait, and a call that would
 * wait returns -COIR_ENOTASK there.
 */
#ifndef COIR_LOOP_H
#define COIR_LOOP_H

#include <coir/task.h>

COIR__BEGIN

/* An event loop; opaque. */
typedef struct coir_loop coir_loop;

/* What the report hook is told about: mistakes and events that no return value can carry. */
typedef enum coir_report_kind {
    COIR_REPORT_DEADLOCK,   /* nothing can ever wake the tasks that wait */
    COIR_REPORT_UNREAD,     /* a failure that nobody read */
    COIR_REPORT_UNJOINED,   /* a task whose handle was never joined */
    COIR_REPORT_LEFT,       /* something that was left open when the loop closed */
    COIR_REPORT_SLOW_LEAVE, /* leaving a group has waited a second for a child */
    COIR_REPORT_IGNORED,    /* a task ignored a thousand cancellations in a row */
    COIR_REPORT_OVERFLOW,   /* a stack overflow; the process ends after it */
    COIR_REPORT_MISUSE,     /* a programming error that was survived */
    COIR_REPORT_OVERLOAD,   /* something the system has no more of, such as descriptors */
    /* in debug mode only (see debug.h) */
    COIR_REPORT_SLOW_STEP,     /* a task, or a callback, has held up the loop */
    COIR_REPORT_LOCK_ORDER,    /* locks are taken in an order in which they can deadlock */
    COIR_REPORT_THREAD_LOCK,   /* a task waits while its thread holds a mutex */
    COIR_REPORT_DEAD_ARGUMENT, /* a task's argument lies in a frame that has been left */
    COIR_REPORT_WRONG_THREAD,  /* a call from a thread that does not run the object's loop */
} coir_report_kind;

/* A report. Everything is borrowed for the duration of the hook. */
typedef struct coir_report {
    coir_report_kind kind;
    const char *text;        /* complete, several lines, no newline at the end */
    coir_task *task;         /* the task concerned, or NULL */
    const coir_error *error; /* its record, or NULL */
    void *coir__reserved[2];
} coir_report;

/* Is told of each report, where it happens: it must not wait. */
typedef void (*coir_report_fn)(const coir_report *report, void *arg);

/* Writes a report to standard error. What coir_main, coir_run and the test runner use when no hook
 * is given. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC void coir_report_to_stderr(const coir_report *report, void *arg);

/* Makes a report, with a text as printf makes it, to the hook of the loop that runs on this thread:
 * for libraries, which have nobody to print for. Without a loop nothing happens. Cancel safety:
 * never waits. Thread safety: any thread. */
COIR__PUBLIC void coir_report_make(coir_report_kind kind, const char *format, ...)
    COIR__PRINTF(2, 3);

/* Zero means the default for each field. In the loops of coir_main and coir_run the clock is also
 * virtual when $COIR_VIRTUAL_CLOCK is set to something other than 0. */
typedef struct coir_loop_opts {
    const char *backend;   /* "uring", "epoll", "sim"; NULL: $COIR_BACKEND, else the best */
    size_t stack_size;     /* default stack of its tasks in bytes; 0: 256 KiB */
    uint64_t seed;         /* not 0: run ready tasks in an order drawn from it */
    bool virtual_clock;    /* time jumps to the next timer when nothing else can happen */
    bool expects_posts;    /* other threads will post: waiting for ever is no deadlock */
    bool fp_control;       /* save and restore floating-point control words at each switch */
    bool debug;            /* debug mode, see debug.h; $COIR_DEBUG=1 does the same */
    coir_report_fn report; /* NULL: coir_main and coir_run print it, other loops only count */
    void *report_arg;
    coir_time slow_step; /* in debug mode: a step that is longer is reported; 0: 100 ms */
    size_t coir__reserved[7];
} coir_loop_opts;

/* Runs fn(arg) as the main task of a loop of its own, and the process around it: SIGINT and SIGTERM
 * cancel the main task, a second one ends the process at once (signals that the program ignores or
 * handles already are left alone); SIGQUIT prints all tasks (see debug.h); a failure prints its
 * trace on standard error. Exactly one call in a process, from main. Returns the exit code: 0 after
 * SIGTERM with 0 or -ECANCELED; 0..125 as fn returned them; 1 for other failures. After SIGINT with
 * 0 or -ECANCELED it raises SIGINT again with its default action. Cancel safety: not called in a
 * task. Thread safety: the main thread. */
COIR__PUBLIC int coir_main(coir_fn fn, void *arg);

/* As coir_main, with options for its loop (NULL: none): a program whose tasks wait for posts of
 * other threads sets opts.expects_posts. Returns the exit code. Cancel safety: not called in a
 * task. Thread safety: the main thread. */
COIR__PUBLIC int coir_main_with(coir_fn fn, void *arg, const coir_loop_opts *opts);

/* Opens a loop, runs fn(arg) as its main task, and closes it. opts may be NULL. With ret_result,
 * fn's result is written there and the call's own value speaks of the loop only; with NULL it is
 * the call's. Returns 0 (or, with NULL, the result). Errors: -EBUSY inside a loop that runs,
 * -ENOMEM, -EINVAL, -ENOTSUP for a backend that does not work here, -EDEADLK after a deadlock.
 * Cancel safety: not called in a task. Thread safety: any thread. */
COIR__PUBLIC int coir_run(coir_fn fn, void *arg, const coir_loop_opts *opts, int *ret_result);

/* Opens a loop for the calling thread; opts may be NULL. Returns 0, and writes *ret_loop, which is
 * the caller's to close. Errors: as coir_run. Cancel safety: never waits. Thread safety: any
 * thread; the loop is then used by the thread that runs it. After fork(2) a child must only exec or
 * _exit: it shares the loop's descriptors with its parent. */
COIR__CHECKED int coir_loop_open(const coir_loop_opts *opts, coir_loop **ret_loop);

/* Cancels and joins what still runs, reports what was left, and frees the loop. NULL is accepted.
 * Posts are called, and the tasks they start end, before any is refused; only posts that never end
 * are refused in their midst. Returns 0. Errors: -EBUSY while it runs; then nothing happened.
 * Cancel safety: not called in one of its tasks. Thread safety: the loop's thread. */
COIR__PUBLIC int coir_loop_close(coir_loop *loop);

/* Starts fn(arg) as a task of loop from outside a task, owned by the loop. As coir_spawn otherwise.
 * Returns 0. Errors: -EINVAL for no loop or function, -ENOMEM, -COIR_EWRONGLOOP, -COIR_ECLOSED in
 * the posts that a loop calls when it takes no more. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
#define coir_loop_spawn(loop, fn, arg, ret_task)                                                   \
    coir_loop_spawn_at((loop), (fn), (arg), (ret_task), COIR_SITE(#fn))
COIR__CHECKED int coir_loop_spawn_at(coir_loop *loop, coir_fn fn, void *arg, coir_task **ret_task,
                                     const coir_site *site);

/* Runs loop until task, one of its own, has ended, and joins it. As coir_join for ret_result.
 * Returns 0 (or, with NULL, the result). Errors: -EBUSY, -EDEADLK after a deadlock, -COIR_ECLOSED
 * when coir_loop_stop came first. Cancel safety: not called in a task. Thread safety: the loop's
 * thread. */
COIR__PUBLIC int coir_loop_run_until(coir_loop *loop, coir_task *task, int *ret_result);

/* The record of the failure that the last coir_loop_run_until gave, or of the last one outside
 * tasks. Borrowed until the next. Returns it or NULL. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__PUBLIC const coir_error *coir_loop_error(const coir_loop *loop);

/* Runs loop until coir_loop_stop. A loop that runs forever counts on posts and signals: it has no
 * deadlock. Returns 0. Errors: -EBUSY. Cancel safety: not called in a task. Thread safety: the
 * loop's thread. */
COIR__PUBLIC int coir_loop_run_forever(coir_loop *loop);

/* Makes a running loop return from its run at the end of this turn; before a run, at the end of its
 * first turn. Cancel safety: never waits. Thread safety: the loop's thread; from others post a
 * callback that calls it. */
COIR__PUBLIC void coir_loop_stop(coir_loop *loop);

/* Does what there is to do, after waiting at most timeout nanoseconds for the first of it (0: not
 * at all), and returns: for programs whose thread belongs to another loop (a user interface, a
 * game). That one polls coir_loop_descriptor, waits no longer than coir_loop_timeout, and then
 * steps:
 *
 *     struct pollfd ready = {.fd = coir_loop_descriptor(loop), .events = POLLIN};
 *     while (coir_loop_step(loop, 0) > 0)
 *         ;
 *     poll(&ready, 1, milliseconds(coir_loop_timeout(loop)));
 *
 * Tasks are started by coir_loop_spawn before, between steps, or by other tasks. Between steps
 * nothing of the loop runs. Deadlocks are not recognised. Returns 1 when there is more to do at
 * once, 0 when not. Errors: -EBUSY inside a loop that runs. Cancel safety: not called in a task.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_loop_step(coir_loop *loop, coir_time timeout);

/* The descriptor that becomes readable when a step has something to do; only to be polled for
 * reading (level-triggered), and never read or closed. Ask before each wait: a loop that has moved
 * to another thread has another one. Returns it. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC int coir_loop_descriptor(const coir_loop *loop);

/* How long a foreign loop may wait before it steps. Returns nanoseconds: 0 when there is something
 * to do now, COIR_FOREVER when nothing but the descriptor will say so. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__PUBLIC coir_time coir_loop_timeout(const coir_loop *loop);

/* The loop that runs on this thread. Returns it or NULL. Cancel safety: never waits. Thread safety:
 * any thread. */
COIR__PUBLIC coir_loop *coir_loop_current(void);

/* Where a loop keeps its resolver of host names (<coir/name.h>). */
COIR__PUBLIC void **coir__loop_resolver(coir_loop *loop);

/* Now, on the current loop's clock (the process's monotonic clock outside a loop), read afresh.
 * Returns nanoseconds. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC coir_time coir_now(void);

/* The time at which this turn of the loop began: cheaper than coir_now, and the same for all that
 * runs in the turn. Returns nanoseconds. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC coir_time coir_loop_time(const coir_loop *loop);

/* A callback that waits to be called, by value; stale ones are recognised. Zero is none. */
typedef struct coir_callback {
    uint32_t coir__slot, coir__generation;
} coir_callback;

/* Calls fn(arg) once at the loop's next turn, after what was asked for before. ret_callback may be
 * NULL. Returns 0. Errors: -EINVAL for no function, -ENOMEM; in debug mode -COIR_EWRONGLOOP while
 * another thread runs the loop, with a report. Cancel safety: never waits. Thread safety: the
 * loop's thread; see coir_post for others. */
COIR__CHECKED int coir_call_soon(coir_loop *loop, void (*fn)(void *arg), void *arg,
                                 coir_callback *ret_callback);

/* Calls fn(arg) once, delay nanoseconds from now. Returns 0. Errors: as coir_call_soon. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_call_later(coir_loop *loop, coir_time delay, void (*fn)(void *arg),
                                  void *arg, coir_callback *ret_callback);

/* Calls fn(arg) once at a point in time, in the order of the times and then of the calls; what
 * is past already is called at the next turn, in the order of the calls. Returns 0. Errors: as
 * coir_call_soon. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_call_at(coir_loop *loop, coir_time when, void (*fn)(void *arg), void *arg,
                               coir_callback *ret_callback);

/* Takes a callback back. Returns 0. Errors: -ENOENT when it was called or taken back already; as
 * coir_call_soon in debug mode. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC int coir_callback_cancel(coir_loop *loop, coir_callback callback);

/* Starts a timer in memory of the caller: fn(arg) is called once at when, from the loop. A running
 * one is moved. Nothing is allocated. Cancel safety: never waits. Thread safety: the loop's thread.
 */
COIR__PUBLIC void coir_timer_start(coir_loop *loop, coir_timer *timer, coir_time when,
                                   void (*fn)(void *arg), void *arg);

/* Stops a timer; one that does not run is left as it is. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__PUBLIC void coir_timer_stop(coir_loop *loop, coir_timer *timer);

/* Whether a timer runs. Returns true or false. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC bool coir_timer_running(const coir_timer *timer);

/* A message to a loop in memory of the caller. Zero is one that is not under way. */
typedef struct coir_post_node {
    struct coir_post_node *coir__next;
    void (*coir__fn)(void *arg);
    void *coir__arg;
    int coir__queued; /* atomic */
} coir_post_node;

/* Asks the loop to call fn(arg) once, soon. node stays the loop's until fn is called; posting a
 * node that is under way changes nothing (its first fn and arg hold). The only call that is safe
 * from other threads and from signal handlers. Returns 0. Errors: -EINVAL for no function,
 * -EALREADY when it is under way, -COIR_ECLOSED when the loop is closing. Cancel safety: never
 * waits. Thread safety: any thread and any signal handler, as long as the loop is not freed. */
COIR__PUBLIC int coir_post(coir_loop *loop, coir_post_node *node, void (*fn)(void *arg), void *arg);

/* Reads the live things and totals of a loop; every number is exact. NULL for loop: the current
 * one; without a loop all are zero. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
struct coir_loop_stats {
    uint64_t tasks, tasks_total; /* that run; that ever started */
    uint64_t handles;            /* tasks that have ended and wait for their join */
    uint64_t timers;             /* running: deadlines, sleeps, callbacks, the user's */
    uint64_t callbacks;          /* of call_soon, call_later, call_at that wait */
    uint64_t operations;         /* that the kernel (or its simulation) works on */
    uint64_t descriptors;        /* open ones of the library */
    uint64_t memory; /* blocks that the library holds, process-wide, the loop's own left out */
    uint64_t stacks, stacks_cached; /* in use; kept warm */
    uint64_t turns;                 /* total */
    uint64_t errors;                /* records in use */
    uint64_t reports;               /* made so far */
    uint64_t coir__reserved[8];
};
COIR__PUBLIC void coir_loop_stats(const coir_loop *loop, struct coir_loop_stats *ret_stats);

/* What this build and machine offer. Returns a pointer to a thread's own static struct, refreshed
 * by each call. Cancel safety: never waits. Thread safety: any thread. */
struct coir_info {
    const char *version;     /* "0.1.0" */
    const char *backend;     /* of the current loop, or what a loop would get */
    const char *backend_why; /* how it was chosen */
    const char *guards;      /* "madvise" or "mprotect": how stacks are guarded */
    size_t stack_size;       /* default, bytes */
    size_t stack_limit; /* how many guarded stacks this kernel allows; 0: no limit of its own */
    const char *text;   /* all of it as lines */
    void *coir__reserved[8];
};
COIR__PUBLIC const struct coir_info *coir_info(void);

/* Functions that the library takes its memory from. */
typedef struct coir_allocator {
    void *(*allocate)(size_t size, void *arg);
    void *(*reallocate)(void *block, size_t size, void *arg);
    void (*release)(void *block, void *arg);
    void *arg;
} coir_allocator;

/* Sets where the library's memory comes from; NULL: malloc. Stacks are mapped, not allocated.
 * Before the first loop. Returns 0. Errors: -EBUSY when the library holds memory, -EINVAL for a
 * missing function. Cancel safety: never waits. Thread safety: while no loop exists. */
COIR__PUBLIC int coir_set_allocator(const coir_allocator *allocator);

COIR__END
#endif
