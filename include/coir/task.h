/* coir/task.h: tasks: starting, joining, cancelling, waiting for several, naming, and variables of
 * their own.
 *
 * A task is a function with a stack of its own on one loop; it runs until it waits. Every task has
 * an owner, a group, which outlives it. A handle is needed only to join or cancel one task; it dies
 * at the one join or when the group ends.
 */
#ifndef COIR_TASK_H
#define COIR_TASK_H

#include <coir/scope.h>

COIR__BEGIN

/* A task by its handle; opaque. Its owner is a group (<coir/group.h>). */
typedef struct coir_task coir_task;
typedef struct coir_group coir_group;

/* Zero means the default for each field. */
typedef struct coir_spawn_opts {
    size_t stack_size; /* bytes, with guard and record, rounded up to a class of 64 KiB, 256 KiB, 1
                          MiB, 4 MiB…; 0: the loop's */
    bool eager;        /* the first step runs inside the call, up to its first wait */
    bool ready;        /* the call waits until the child says coir_ready(), or ends */
    const char *name;  /* copied; NULL: the function's name as written at the call */
    size_t coir__reserved[4];
} coir_spawn_opts;

/* Starts fn(arg) as a child of group at its next turn. NULL for group is the calling task's own
 * group, which is joined when the task's function has returned; then arg must not lie on the
 * caller's stack. With NULL for ret_task the child is reaped when it ends; otherwise *ret_task is a
 * handle for one join. A task always starts, even when it is cancelled before, so that it can
 * release its argument. Returns 0, and writes *ret_task. Errors: -COIR_ENOTASK outside a task,
 * -COIR_EWRONGLOOP, -EINVAL for no function or an argument on the caller's stack with the own
 * group, -ENOMEM; then nothing was started and the argument stays the caller's. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
#define coir_spawn(group, fn, arg, ret_task)                                                       \
    coir_spawn_at((group), (fn), (arg), (ret_task), COIR_SITE(#fn))
COIR__CHECKED int coir_spawn_at(coir_group *group, coir_fn fn, void *arg, coir_task **ret_task,
                                const coir_site *site);

/* As coir_spawn, with a copy of size bytes at item for the child's argument (at most 4096): for
 * loops. The copy lives on the child's stack until the child has returned. Returns 0. Errors: as
 * coir_spawn, -E2BIG. Cancel safety: never waits. Thread safety: the loop's thread. */
#define coir_spawn_copy(group, fn, item, size, ret_task)                                           \
    coir_spawn_copy_at((group), (fn), (item), (size), (ret_task), COIR_SITE(#fn))
COIR__CHECKED int coir_spawn_copy_at(coir_group *group, coir_fn fn, const void *item, size_t size,
                                     coir_task **ret_task, const coir_site *site);

/* As coir_spawn, with options. With opts->ready it waits for the child's coir_ready(); a child that
 * ends before gives its result (0 becomes -COIR_ECLOSED) and is reaped. Returns 0. Errors: as
 * coir_spawn; with ready also the child's failure. Cancel safety: with ready, when cancelled, the
 * child is cancelled and joined first. Thread safety: the loop's thread. */
#define coir_spawn_with(group, fn, arg, opts, ret_task)                                            \
    coir_spawn_with_at((group), (fn), (arg), (opts), (ret_task), COIR_SITE(#fn))
COIR__CHECKED int coir_spawn_with_at(coir_group *group, coir_fn fn, void *arg,
                                     const coir_spawn_opts *opts, coir_task **ret_task,
                                     const coir_site *site);

/* Tells whoever started this task with opts.ready that it is ready. Without such a starter it does
 * nothing. Cancel safety: never waits. Thread safety: the task itself. */
COIR__PUBLIC void coir_ready(void);

/* Waits until task has ended and gives up its handle. With ret_result, the task's result is written
 * there and the call's own value speaks of the waiting only; with NULL the task's result is the
 * call's. A task that was cancelled has the result -COIR_ECANCELEDTASK, one that ran into a
 * deadline -ETIMEDOUT. Returns 0 (or, with NULL, the result). Errors: -EBUSY when another task
 * joins it, -EDEADLK for the task itself, -COIR_EWRONGLOOP, -ECANCELED, -ETIME. Cancel safety: the
 * handle stays valid and the task goes on. Thread safety: the loop's thread. */
#define coir_join(task, ret_result) coir_join_at((task), (ret_result), COIR_SITE(NULL))
COIR__CHECKED int coir_join_at(coir_task *task, int *ret_result, const coir_site *site);

/* Cancels one task and what it waits for. reason is for people, copied, may be NULL. The group does
 * not count it as a failure. A task that has ended is left as it is. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__PUBLIC void coir_cancel(coir_task *task, const char *reason);

/* Waits until one of count tasks has ended, and says which; the handles stay valid. Of several
 * that had ended before, the lowest index. Returns the index. Errors: -EINVAL for none,
 * -COIR_EWRONGLOOP, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_wait_first(coir_task *const *tasks, size_t count);

/* Waits until one of count tasks has failed, or all have ended. Returns the index of the first
 * failed one, or count when none failed. Errors, Cancel safety, Thread safety: as coir_wait_first.
 */
COIR__CHECKED int coir_wait_first_error(coir_task *const *tasks, size_t count);

/* Waits until all of count tasks have ended; the handles stay valid. Returns 0. Errors, Cancel
 * safety, Thread safety: as coir_wait_first. */
COIR__CHECKED int coir_wait_all(coir_task *const *tasks, size_t count);

/* Whether a task has ended. Returns true or false. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC bool coir_task_done(const coir_task *task);

/* The result of a task that has ended, without giving up the handle; counts as reading its failure.
 * Returns the result; -COIR_ENOTSET while it runs. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC int coir_task_result(coir_task *task);

/* The record of the failure of a task that has ended; borrowed until the handle dies.
 * Returns it or NULL. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const coir_error *coir_task_error(coir_task *task);

/* Calls fn(arg) once on the loop, outside any task, when task has ended (at the next turn when it
 * has already). Returns 0. Errors: -EINVAL for no function, -ENOMEM, -COIR_EWRONGLOOP. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_task_on_done(coir_task *task, void (*fn)(void *arg), void *arg);

/* Takes back what coir_task_on_done registered with the same fn and arg and has not been called.
 * Returns 0. Errors: -ENOENT. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_task_off_done(coir_task *task, void (*fn)(void *arg), void *arg);

/* The running task. Returns NULL outside a task. Cancel safety: never waits. Thread safety: any
 * thread (its own loop's). */
COIR__PUBLIC coir_task *coir_current(void);

/* Names a task for people, as printf does, cut at 31 bytes. NULL for task: the current one. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_task_set_name(coir_task *task, const char *format, ...) COIR__PRINTF(2, 3);

/* The name of a task; NULL for task: the current one. Returns a string that lives as long as the
 * task and its name. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const char *coir_task_name(const coir_task *task);

/* Calls fn for each live task of the current loop, parents before children, until it returns
 * non-zero. Returns 0 or what fn returned. Errors: -COIR_ENOTASK when no loop runs here. Cancel
 * safety: never waits; fn must not. Thread safety: the loop's thread. */
COIR__PUBLIC int coir_task_each(int (*fn)(coir_task *task, void *arg), void *arg);

/* Writes what a task is waiting for, as "sleeps 0.4 s more" or "waits for lock held by 'b'", to
 * text of size bytes. Returns the length of the whole text, as snprintf. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_task_describe(const coir_task *task, char *text, size_t size);

/* Waits duration nanoseconds; zero or less only lets the other ready tasks run.
 * Returns 0. Errors: -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_sleep(coir_time duration);

/* Waits until a point in time; one in the past only lets the other ready tasks run.
 * Returns 0. Errors: as coir_sleep. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_sleep_until(coir_time when);

/* Lets the other ready tasks run once. Returns 0. Errors: as coir_sleep. Cancel safety: nothing
 * happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_yield(void);

/* A variable that each task has a value of. Define one with static storage and zero; children start
 * with the values that their parent has when it spawns them. Values are pointers that outlive every
 * task which can see them. */
typedef struct coir_local {
    const char *name; /* for people, may be NULL */
} coir_local;

/* Sets the current task's value. Returns 0. Errors: -COIR_ENOTASK, -ENOMEM. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_local_set(const coir_local *local, void *value);

/* The current task's value. Returns NULL when neither it nor an ancestor set one. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void *coir_local_get(const coir_local *local);

COIR__END
#endif
