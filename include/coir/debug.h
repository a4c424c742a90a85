/* coir/debug.h: debug mode, the dump of all tasks, and what each task has done with its time.
 *
 * Debug mode measures every step, which is what runs between two waits, and keeps track of locks
 * and arguments. It is asked for by coir_loop_opts.debug, by COIR_DEBUG=1 in the environment, or at
 * run time by coir_debug_set. What it finds goes to the loop's report hook: steps that are too long
 * (COIR_REPORT_SLOW_STEP) with the C stack taken while they block, locks that are taken in an order
 * in which they can deadlock (COIR_REPORT_LOCK_ORDER), mutexes of threads that are held across a
 * wait (COIR_REPORT_THREAD_LOCK), arguments that lie in a frame which has been left
 * (COIR_REPORT_DEAD_ARGUMENT), and calls from a thread that does not run the loop of their object
 * (COIR_REPORT_WRONG_THREAD). Switched off it costs nothing.
 *
 * Stacks are walked by the unwind tables that compilers write unless they are told not to, and from
 * where those end by frame pointers.
 */
#ifndef COIR_DEBUG_H
#define COIR_DEBUG_H

#include <coir/loop.h>

COIR__BEGIN

/* Switches debug mode of a loop on or off. What began before it was switched on is known only from
 * its next wait on. It takes a thread, and a real-time signal of the process (SIGRTMAX - 2), which
 * interrupts a blocking call when its step is too long. NULL for loop: the current one. Returns 0.
 * Errors: -ENOMEM, -EAGAIN for no thread, -EINVAL for no loop; then nothing has changed. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_debug_set(coir_loop *loop, bool on);

/* Whether debug mode is on. NULL for loop: the current one. Returns true or false. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC bool coir_debug_on(const coir_loop *loop);

/* Sets how long a step may be before it is reported; 0: 100 ms, COIR_FOREVER: never. NULL for loop:
 * the current one. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_debug_set_slow_step(coir_loop *loop, coir_time slow_step);

/* Prints the tree of scopes, groups and tasks of a loop to a descriptor: of each task its name,
 * what it waits for, its age, where it was spawned, and its C stack. Debug mode is not needed. A
 * program of coir_main does it to standard error on SIGQUIT and goes on. When the loop is stuck in
 * a step, the stack of that step is printed: in debug mode at once, else on the second SIGQUIT.
 * NULL for loop: the current one. Returns 0. Errors: -EINVAL for no loop; in debug mode
 * -COIR_EWRONGLOOP while another thread runs it. Cancel safety: never waits. Thread safety: the
 * loop's thread; from others post a callback that calls it. */
COIR__PUBLIC int coir_dump(coir_loop *loop, int fd);

/* As coir_dump, and calls fn with each line, which has no newline and is borrowed. fn must not
 * wait, start or end a task. Returns 0. Errors: -EINVAL for no loop or function, else as coir_dump.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC int coir_dump_lines(coir_loop *loop, void (*fn)(const char *line, void *arg),
                                 void *arg);

/* One kind of waiting. */
struct coir_task_figures_wait {
    const char *what; /* "sleeps", "waits to read"…, as in coir_task_describe */
    coir_time time;
    uint64_t times;
};

/* Reads what a task has done with its time, as debug mode has counted it: from the beginning of the
 * step that spawned it up to its last wait (of the running task: up to now). running is real time;
 * under a virtual clock the others are virtual. NULL for task: the current one. Returns 0, and
 * writes *ret_figures. Errors: -ENODATA for a task that was spawned without debug mode,
 * -COIR_ENOTASK for none. Cancel safety: never waits. Thread safety: the loop's thread. */
struct coir_task_figures {
    coir_time wall;    /* since it was spawned, or from then to its end */
    coir_time running; /* it had the thread */
    coir_time ready;   /* it could run, and others did: before its first step, and yields */
    coir_time waiting; /* all kinds together, until it ran again */
    coir_time longest; /* of its steps */
    uint64_t steps;
    size_t wait_count;
    /* In the order of their first time; the last one may be "others". */
    struct coir_task_figures_wait waits[8];
    uint64_t coir__reserved[4];
};
COIR__CHECKED int coir_task_figures(const coir_task *task, struct coir_task_figures *ret_figures);

COIR__END
#endif
