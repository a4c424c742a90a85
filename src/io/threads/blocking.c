/* blocking.c: what a task sees of threads: coir_blocking and its kin.
 *
 * The job's record lies in the frame of the call, so a call allocates nothing; one that may be
 * abandoned is on the heap, and belongs to the thread alone once its task has left. The task parks
 * until the job is back on its loop. Cancelled, it takes a queued job out of the queue, asks a
 * running one to end, or abandons it.
 */
#include <stdio.h>
#include <string.h>

#include "io/threads/threads.h"

/* A task that waits for its job. */
struct waiting {
    struct coir__work *work;
    enum coir__withdrawn what;
    coir_fn fn; /* for dumps: the work may be gone */
    const char *name;
};

static bool abort_job(struct coir_task *task)
{
    struct waiting *waiting = (struct waiting *)(uintptr_t)task->wait_object;
    waiting->what = coir__threads_withdraw(waiting->work);
    if (waiting->what == COIR__UNFINISHED)
        return false;
    coir__away_end(task->loop);
    return true;
}

static size_t describe_job(const struct coir_task *task, char *text, size_t size)
{
    const struct waiting *waiting = task->wait_object;
    const char *asked = task->pending != 0 ? " (asked to end)" : "";
    if (waiting->name != NULL)
        return (size_t)snprintf(text, size, "'%s'%s", waiting->name, asked);
    return (size_t)snprintf(text, size, "%p%s", (void *)(uintptr_t)waiting->fn, asked);
}

static const struct coir__wait job_wait = {"waits for a job in a thread", abort_job, describe_job};

static void back(struct coir__away *away)
{
    struct coir__errand *job = coir__container(away, struct coir__errand, away);
    coir__wake(coir__container(job, struct coir__work, job)->task, 0);
}

/* The result of a job that is back, for its caller. */
static int result_of(struct coir__work *work, struct coir_task *self)
{
    int result = work->result;
    bool left = result == -ECANCELED || result == -ETIME;
    int translated = left && self->pending != 0 ? self->pending : coir__translate(result);
    if (result < 0 && work->job.said == result)
        coir__error_give(self, coir__error_new(self->loop, translated, "%s", work->job.text));
    return translated;
}

/* Returns the job's result, or why there is none; *ret_what says what became of it. */
static int run(struct coir__work *work, struct coir_task *self, enum coir__withdrawn *ret_what)
{
    struct waiting waiting = {work, COIR__UNFINISHED, work->fn, work->name};
    work->task = self;
    coir__away_begin(&work->job.away, self->loop, back);
    int r = coir__threads_submit(work);
    if (r < 0) {
        coir__away_end(self->loop);
        return r == -EAGAIN ? coir_fail(r, "%s", work->job.text) : r;
    }
    coir_threads *pool = work->pool; /* an abandoned job may be gone */
    r = coir__park(self, &job_wait, &waiting);
    coir__threads_let_go(pool);
    *ret_what = waiting.what;
    return waiting.what == COIR__UNFINISHED ? result_of(work, self) : r;
}

static void prepare(struct coir__work *work, coir_threads *pool, coir_fn fn, void *arg)
{
    work->pool = pool != NULL ? pool : coir__threads_default();
    work->fn = fn;
    work->arg = arg;
    work->name = NULL;
    work->release = NULL;
    work->state = COIR__JOB_QUEUED;
    work->abandoned = false;
    work->job.blocked = NULL;
    work->job.said = 0;
    work->job.lent = work->job.forgotten = false;
    atomic_init(&work->job.cancelled, false);
}

static int run_on_stack(struct coir__work *work)
{
    struct coir_task *self = coir__self();
    enum coir__withdrawn what;
    int r = coir__look(self);
    if (r < 0)
        return r;
    return run(work, self, &what);
}

int coir_threads_run(coir_threads *pool, coir_fn fn, void *arg)
{
    if (fn == NULL)
        return -EINVAL;
    struct coir__work work;
    prepare(&work, pool, fn, arg);
    return run_on_stack(&work);
}

int coir_blocking(coir_fn fn, void *arg)
{
    return coir__stay(coir_threads_run(NULL, fn, arg));
}

/* The caller gives arg away when it reports a cancellation. */
static int run_abandonable(coir_fn fn, void *arg, const coir_blocking_opts *opts)
{
    struct coir_task *self = coir__self();
    int r = coir__look(self);
    if (r == -ECANCELED || r == -ETIME)
        opts->release(arg);
    if (r < 0)
        return r;
    struct coir__work *work = coir__alloc(sizeof *work);
    if (work == NULL)
        return -ENOMEM;
    prepare(work, opts->pool, fn, arg);
    work->name = opts->name;
    work->release = opts->release;
    enum coir__withdrawn what = COIR__UNFINISHED;
    r = run(work, self, &what);
    if (what == COIR__ABANDONED)
        return r;
    coir__free(work);
    if (what == COIR__WITHDRAWN || r == -ECANCELED || r == -ETIME)
        opts->release(arg);
    return r;
}

int coir_blocking_with(coir_fn fn, void *arg, const coir_blocking_opts *opts)
{
    if (opts == NULL)
        return coir__stay(coir_threads_run(NULL, fn, arg));
    if (fn == NULL || opts->abandon != (opts->release != NULL))
        return -EINVAL;
    if (opts->abandon)
        return run_abandonable(fn, arg, opts);
    struct coir__work work;
    prepare(&work, opts->pool, fn, arg);
    work.name = opts->name;
    return run_on_stack(&work);
}

bool coir_blocking_cancelled(void)
{
    return coir__errand != NULL &&
           atomic_load_explicit(&coir__errand->cancelled, memory_order_relaxed);
}
