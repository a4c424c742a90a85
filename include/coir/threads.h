/* coir/threads.h: blocking code beside the tasks: jobs on pools of threads, and calls on other
 * loops.
 *
 * A task that calls a blocking function stops every task of its loop. coir_blocking runs the
 * function on a thread instead, and only the calling task waits:
 *
 *     COIR_TRY(coir_blocking(compress_file, &job));
 *
 * The job runs outside any task: calls that wait give -COIR_ENOTASK there. What it may use:
 * coir_call_on, coir_post, channels of coir_channel_open_shared, coir_blocking_cancelled, and
 * coir_fail, whose text reaches the caller.
 *
 * The default pool belongs to the process and serves all loops. Its threads start on demand and end
 * after ten idle seconds. All signals but those of faults are blocked in them. A loop that is
 * closed waits for the jobs of its tasks, but for abandoned ones.
 */
#ifndef COIR_THREADS_H
#define COIR_THREADS_H

#include <coir/loop.h>

COIR__BEGIN

/* A pool of threads; opaque. */
typedef struct coir_threads coir_threads;

/* Runs fn(arg) on a thread of the default pool and waits for it. Jobs begin in the order of the
 * calls.
 * Returns the result of fn, where -ECANCELED and -ETIME, which would speak of the caller's scopes,
 * become -COIR_ECANCELEDTASK and -ETIMEDOUT. Errors: -EAGAIN when no thread can be started and none
 * runs, -EINVAL without fn, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: a job that has not
 * begun is withdrawn, nothing happened; one that runs is waited for, and its result is what the
 * call gives. The job can ask coir_blocking_cancelled() and end early; when it then returns
 * -ECANCELED or -ETIME the caller gets its own code. Thread safety: the loop's thread. */
COIR__CHECKED int coir_blocking(coir_fn fn, void *arg);

/* As coir_blocking, on a pool of one's own (NULL: the default one).
 * Returns the result of fn. Errors: as coir_blocking, -COIR_ECLOSED when the pool is being closed,
 * -EAGAIN also when its queue is full, -COIR_EWRONGLOOP in a child of fork for a pool that was
 * opened before. Cancel safety: as coir_blocking. Thread safety: the loop's thread; any number of
 * loops may use a pool. */
COIR__CHECKED int coir_threads_run(coir_threads *pool, coir_fn fn, void *arg);

/* Zero means the default for each field. */
typedef struct coir_blocking_opts {
    coir_threads *pool; /* NULL: the default one */
    const char *name;   /* of the job, for dumps; must live as long as the call */
    /* When the caller is cancelled it leaves at once, and the thread goes on alone; its result is
     * thrown away. Needs release. For calls that may hang and cannot be asked to stop. */
    bool abandon;
    /* Frees arg, which must not lie on a stack then. With any result but -ECANCELED and -ETIME arg
     * is still the caller's. With these two it is not: release(arg) is called exactly once, by
     * whoever is last to use it, the caller in this call or the thread when fn has returned. */
    void (*release)(void *arg);
    void *coir__reserved[4];
} coir_blocking_opts;

/* As coir_blocking, with options (NULL: none).
 * Returns the result of fn. Errors: as coir_threads_run, -ENOMEM with abandon, -EINVAL for abandon
 * without release. Cancel safety: as coir_blocking; with abandon the call does not wait for a job
 * that runs. Thread safety: the loop's thread. */
COIR__CHECKED int coir_blocking_with(coir_fn fn, void *arg, const coir_blocking_opts *opts);

/* Whether the caller of the job that runs on this thread was cancelled and waits for its end, or
 * has left. A job that takes long asks now and then. Returns true or false; false outside jobs.
 * Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC bool coir_blocking_cancelled(void);

/* Zero means the default for each field. */
typedef struct coir_threads_opts {
    unsigned limit;     /* threads at most; 0: processors + 4, at most 32 */
    const char *name;   /* its threads are "coir/NAME/1" and so on, cut to 15 bytes; copied; NULL:
                           "pool" */
    size_t queue_limit; /* jobs that may wait: a further one is -EAGAIN; 0: any number, since a job
                           that waits costs no more than its task's wait */
    coir_time idle;     /* threads end when they had nothing to do for so long, in real time; 0: 10
                           s */
    size_t coir__reserved[4];
} coir_threads_opts;

/* Opens a pool of threads of one's own: to bound the work of one kind, or to keep it from waiting
 * behind other work. No thread starts before the first job. opts may be NULL. A child of fork has a
 * copy without threads, which it can only close; the default pool starts its own there.
 * Returns 0, and writes *ret_pool, which is the caller's to close. Errors: -ENOMEM, -EINVAL for a
 * negative idle. Cancel safety: never waits. Thread safety: any thread. */
COIR__CHECKED int coir_threads_open(const coir_threads_opts *opts, coir_threads **ret_pool);

/* Closes a pool; NULL is accepted. Jobs that have not begun end with -COIR_ECLOSED; those that run
 * are waited for, in a task without holding its loop, elsewhere by blocking the thread. Not called
 * in one of its jobs. In a child of fork a copy is freed without waiting. Cancel safety: waits for
 * the jobs that run whatever is pending. Thread safety: any thread, once; calls of others must have
 * begun before. */
COIR__PUBLIC void coir_threads_close(coir_threads *pool);

COIR_CLOSER(coir_threads, coir_threads_close);

/* Reads how a pool (NULL: the default one) stands. Cancel safety: never waits. Thread safety: any
 * thread. */
struct coir_threads_stats {
    unsigned limit;
    unsigned threads; /* that there are; of them: */
    unsigned idle;
    uint64_t queued;         /* jobs that wait */
    uint64_t queued_longest; /* as many as ever waited at once */
    uint64_t running;
    uint64_t done;     /* jobs that have ended on a thread */
    uint64_t started;  /* threads that were ever started */
    coir_time waited;  /* by all jobs that have begun, together, before they did */
    coir_time longest; /* by one of them */
    uint64_t coir__reserved[4];
};
COIR__PUBLIC void coir_threads_stats(const coir_threads *pool,
                                     struct coir_threads_stats *ret_stats);

/* The pool of the process on which the system looks up host names (<coir/name.h>), of 8 threads at
 * most, so that lookups which hang hold up nothing but each other. For coir_threads_stats; closing
 * it does nothing. Returns it. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC coir_threads *coir_threads_for_names(void);

/* Runs fn(arg) as a task of loop, which another thread runs, and waits for its end. In a task the
 * caller's loop goes on meanwhile; on a thread without a loop the thread blocks. On the caller's
 * own loop it is a child that is joined. loop must not have been freed when the call begins.
 * Returns the result of fn as coir_join would. Errors: -COIR_ECLOSED when loop closes first or its
 * tasks are being ended, -ENOMEM, -EINVAL, -COIR_ENOTASK in a callback of a loop, -ECANCELED,
 * -ETIME. Cancel safety: the task is cancelled, and waited for; when it has finished all the same,
 * its result is what the call gives. In a job whose caller is cancelled the task is cancelled too,
 * and the call gives -ECANCELED. Thread safety: any thread. */
#define coir_call_on(loop, fn, arg) coir_call_on_at((loop), (fn), (arg), COIR_SITE(#fn))
COIR__CHECKED int coir_call_on_at(coir_loop *loop, coir_fn fn, void *arg, const coir_site *site);

COIR__END
#endif
