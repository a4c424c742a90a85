/* threads.c: pools of threads: who runs a job, when threads start and end, closing.
 *
 * A pool has a queue of jobs, first in first out, and a stack of idle threads, of which the warmest
 * is taken first so that the others reach their time. One of the two is always empty. A job goes
 * straight into the hands of an idle thread; else it is queued, and while there are fewer threads
 * than the limit another one is started to take it. Everything is under the pool's lock, which is
 * taken once for each end of a job; the post that brings a job back is made outside of it.
 *
 * Threads are joined by each other: who ends joins the one that ended before, and whoever closes
 * the pool joins the last, so that none is left when coir_threads_close has returned. The pool's
 * memory stays until the tasks whose jobs it had are back, since one that is cancelled on its way
 * still asks for the lock.
 *
 * A child of fork has none of the threads, and locks as they happened to be: it never locks a pool
 * that was opened before, but for the two of the library, which begin anew there.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "core/sys.h"
#include "io/threads/threads.h"

#define IDLE COIR_SEC(10)

/* A thread that has nothing to do; on its own stack. */
struct worker {
    struct worker *next, *previous; /* in the stack of idle ones */
    bool listed;
    struct coir__work *work; /* given by who took it off the stack; NULL: look again */
    atomic_uint woken;
};

struct coir_threads {
    pthread_mutex_t lock;
    struct coir__work *first, *last; /* the queue */
    struct worker *idle;
    unsigned limit, threads, idle_count;
    unsigned starting; /* threads that are on their way to take a job of the queue */
    uint64_t queued, queued_longest, running, done, started;
    coir_time waited, longest, idle_time;
    size_t queue_limit;
    bool closing, shrinking;
    bool ended; /* there is a thread to be joined: last_ended */
    pthread_t last_ended;
    struct coir__away *closer; /* told when the last thread ends; NULL: empty is */
    atomic_uint empty;
    atomic_uint changes; /* counted while it shrinks: a thread has ended, or has a job */
    atomic_size_t uses;  /* whoever closes it, and tasks that wait for jobs */
    unsigned forks;      /* as many as there were when it was opened */
    char name[16];
};

static struct coir_threads shared = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .name = "default", .uses = 1};
static struct coir_threads names = {.lock = PTHREAD_MUTEX_INITIALIZER, .name = "names", .uses = 1};

/* How many processes there were before this one, each a child of the one before. */
static unsigned forks;

static bool is_copy(const coir_threads *pool)
{
    return pool->forks != forks;
}

/* ---- the queue and the idle, under the lock ---- */

static void queue_push(coir_threads *pool, struct coir__work *work)
{
    work->next = NULL;
    work->previous = pool->last;
    *(pool->last != NULL ? &pool->last->next : &pool->first) = work;
    pool->last = work;
    pool->queued++;
}

static void queue_remove(coir_threads *pool, struct coir__work *work)
{
    *(work->next != NULL ? &work->next->previous : &pool->last) = work->previous;
    *(work->previous != NULL ? &work->previous->next : &pool->first) = work->next;
    pool->queued--;
}

static void idle_push(coir_threads *pool, struct worker *self)
{
    self->listed = true;
    self->work = NULL;
    self->previous = NULL;
    self->next = pool->idle;
    if (pool->idle != NULL)
        pool->idle->previous = self;
    pool->idle = self;
    pool->idle_count++;
}

static void idle_remove(coir_threads *pool, struct worker *worker)
{
    if (worker->next != NULL)
        worker->next->previous = worker->previous;
    *(worker->previous != NULL ? &worker->previous->next : &pool->idle) = worker->next;
    worker->listed = false;
    pool->idle_count--;
}

/* What waits for a thread that is not on its way. */
static uint64_t waiting(const coir_threads *pool)
{
    return pool->queued > pool->starting ? pool->queued - pool->starting : 0;
}

static void begin(coir_threads *pool, struct coir__work *work)
{
    coir_time took = coir__clock() - work->queued;
    work->state = COIR__JOB_RUNNING;
    pool->running++;
    pool->waited += took;
    if (took > pool->longest)
        pool->longest = took;
}

static struct coir__work *take(coir_threads *pool)
{
    struct coir__work *work = pool->first;
    if (work == NULL)
        return NULL;
    queue_remove(pool, work);
    begin(pool, work);
    return work;
}

static void wake(struct worker *worker)
{
    atomic_store_explicit(&worker->woken, 1, memory_order_release);
    coir__sys_futex_wake(&worker->woken); /* it may be gone already, which does no harm */
}

/* ---- threads ---- */

/* Under the lock. Tells who waits for a pool that shrinks. */
static void note_change(coir_threads *pool)
{
    if (!pool->shrinking)
        return;
    (void)atomic_fetch_add_explicit(&pool->changes, 1, memory_order_relaxed);
    coir__sys_futex_wake(&pool->changes);
}

/* Tells who closes a pool that there is no thread any more. The pool may be gone afterwards. */
static void tell_closer(coir_threads *pool, struct coir__away *closer)
{
    if (closer != NULL) {
        coir__away_return(closer);
        return;
    }
    atomic_store_explicit(&pool->empty, 1, memory_order_release);
    coir__sys_futex_wake(&pool->empty);
}

/* Sleeps until it is given a job, is dismissed, or its time is up, which *ret_late says. */
static struct coir__work *wait_for_work(coir_threads *pool, struct worker *self, bool *ret_late)
{
    coir_time timeout = pool->idle_time;
    while (atomic_load_explicit(&self->woken, memory_order_acquire) == 0) {
        if (coir__sys_futex_wait(&self->woken, 0, timeout) != -ETIMEDOUT)
            continue;
        pthread_mutex_lock(&pool->lock);
        *ret_late = self->listed;
        if (self->listed)
            idle_remove(pool, self);
        pthread_mutex_unlock(&pool->lock);
        if (*ret_late)
            return NULL;
        timeout = COIR_FOREVER; /* somebody is just waking us */
    }
    atomic_store_explicit(&self->woken, 0, memory_order_relaxed);
    return self->work;
}

/* The kernel takes 15 bytes: the pool's name is cut, not the number. */
static void set_name(const coir_threads *pool, uint64_t number)
{
    char digits[24], name[64];
    int length = snprintf(digits, sizeof digits, "/%llu", (unsigned long long)number);
    int room = 15 - (int)strlen("coir/") - length;
    (void)snprintf(name, sizeof name, "coir/%.*s%s", room > 0 ? room : 0, pool->name, digits);
    name[15] = '\0';
    (void)pthread_setname_np(pthread_self(), name);
}

/* Under the lock, which it gives back. The last thread of a pool that goes on is joined by nobody:
 * there may never be another one. */
static void leave_pool(coir_threads *pool)
{
    bool joins = pool->ended, last = --pool->threads == 0;
    bool joined = !last || pool->closing || pool->shrinking;
    bool told = last && pool->closing;
    struct coir__away *closer = pool->closer;
    pthread_t before = pool->last_ended;
    pool->ended = joined;
    pool->last_ended = pthread_self();
    note_change(pool);
    pthread_mutex_unlock(&pool->lock);
    if (joins)
        (void)pthread_join(before, NULL);
    if (!joined)
        (void)pthread_detach(pthread_self());
    if (told)
        tell_closer(pool, closer);
}

/* Runs a job, and notes its end under the lock, which it keeps. One that was abandoned is released
 * before, since that may take its time too. Returns the job when it has to be brought back. */
static struct coir__work *run_and_lock(coir_threads *pool, struct coir__work *work)
{
    coir__errand = &work->job;
    work->result = work->fn(work->arg);
    coir__errand = NULL;
    pthread_mutex_lock(&pool->lock);
    work->state = COIR__JOB_DONE;
    if (work->abandoned) {
        pthread_mutex_unlock(&pool->lock);
        work->release(work->arg);
        coir__free(work);
        work = NULL;
        pthread_mutex_lock(&pool->lock);
    }
    pool->running--;
    pool->done++;
    return work;
}

/* A job is taken, or the thread becomes idle or leaves, in the same stretch under the lock in which
 * the end of the one before was noted. */
static void *thread_main(void *arg)
{
    coir_threads *pool = arg;
    struct worker self = {.listed = false};
    struct coir__work *ended = NULL;
    bool late = false;
    pthread_mutex_lock(&pool->lock);
    pool->starting--;
    set_name(pool, ++pool->started);
    for (;;) {
        struct coir__work *work = take(pool);
        bool leaves = work == NULL && (late || pool->closing || pool->shrinking);
        if (leaves && ended == NULL)
            break;
        if (work == NULL && !leaves)
            idle_push(pool, &self);
        else if (work != NULL)
            note_change(pool);
        pthread_mutex_unlock(&pool->lock);
        if (ended != NULL)
            coir__away_return(&ended->job.away);
        ended = NULL;
        if (work == NULL && !leaves)
            work = wait_for_work(pool, &self, &late);
        if (work != NULL)
            ended = run_and_lock(pool, work);
        else
            pthread_mutex_lock(&pool->lock);
    }
    leave_pool(pool);
    return NULL;
}

/* ---- submitting ---- */

static const char no_thread[] = "no thread could be started for the job, and none is there";

static void explain(struct coir__work *work, int code, const char *text)
{
    work->job.said = code;
    (void)snprintf(work->job.text, sizeof work->job.text, "%s", text);
}

/* There is no thread, and none can be started: all that wait get the error. Under the lock, which
 * it gives back. */
static void fail_queue(coir_threads *pool, int error)
{
    struct coir__work *work = pool->first;
    pool->first = pool->last = NULL;
    pool->queued = 0;
    for (struct coir__work *each = work; each != NULL; each = each->next) {
        each->state = COIR__JOB_DONE;
        each->result = error;
        if (error == -EAGAIN)
            explain(each, error, no_thread);
    }
    pthread_mutex_unlock(&pool->lock);
    while (work != NULL) {
        struct coir__work *next = work->next;
        coir__away_return(&work->job.away);
        work = next;
    }
}

/* Starts the thread that was counted in. Returns 0 when work is taken care of. */
static int start_thread(coir_threads *pool, struct coir__work *work)
{
    pthread_t thread;
    int r = coir__sys_thread(&thread, thread_main, pool);
    if (r == 0)
        return 0;
    pthread_mutex_lock(&pool->lock);
    pool->starting--;
    pool->threads--;
    bool lost = pool->threads == 0 && work->state == COIR__JOB_QUEUED;
    if (lost) {
        queue_remove(pool, work);
        explain(work, -EAGAIN, no_thread);
        note_change(pool);
        fail_queue(pool, -EAGAIN); /* theirs was not started either, or would have been this one */
        return -EAGAIN;
    }
    bool told = pool->threads == 0 && pool->closing; /* which has ended work */
    struct coir__away *closer = pool->closer;
    note_change(pool);
    pthread_mutex_unlock(&pool->lock);
    if (told)
        tell_closer(pool, closer);
    return 0;
}

/* Under the lock. Whether a thread has to be started. */
static bool queue_work(coir_threads *pool, struct coir__work *work)
{
    bool starts = pool->threads < pool->limit;
    queue_push(pool, work);
    if (starts) {
        pool->threads++;
        pool->starting++;
    } else if (waiting(pool) > pool->queued_longest) {
        pool->queued_longest = waiting(pool);
    }
    return starts;
}

/* Under the lock. 0, or why work cannot be taken. */
static int refuse(const coir_threads *pool, struct coir__work *work)
{
    if (pool->closing)
        return -COIR_ECLOSED;
    bool full = pool->queue_limit > 0 && pool->idle == NULL && pool->threads == pool->limit &&
                waiting(pool) >= pool->queue_limit;
    if (!full)
        return 0;
    explain(work, -EAGAIN, "the queue of the pool is full");
    return -EAGAIN;
}

int coir__threads_submit(struct coir__work *work)
{
    coir_threads *pool = work->pool;
    if (is_copy(pool))
        return -COIR_EWRONGLOOP;
    work->forks = forks;
    work->job.lock = &pool->lock;
    work->queued = coir__clock();
    pthread_mutex_lock(&pool->lock);
    struct worker *worker = pool->idle;
    bool starts = false;
    int r = refuse(pool, work);
    if (r == 0)
        (void)atomic_fetch_add_explicit(&pool->uses, 1, memory_order_relaxed);
    if (r == 0 && worker != NULL) {
        idle_remove(pool, worker);
        worker->work = work;
        begin(pool, work);
    } else if (r == 0) {
        starts = queue_work(pool, work);
    }
    pthread_mutex_unlock(&pool->lock);
    if (r == 0 && worker != NULL)
        wake(worker);
    if (starts && (r = start_thread(pool, work)) < 0)
        coir__threads_let_go(pool);
    return r;
}

/* The default pool is never closed, and has its first use for ever. */
void coir__threads_let_go(coir_threads *pool)
{
    if (atomic_fetch_sub_explicit(&pool->uses, 1, memory_order_acq_rel) > 1)
        return;
    if (!is_copy(pool))
        pthread_mutex_destroy(&pool->lock);
    coir__free(pool);
}

/* A child of fork unwinds a task that it has a copy of: no thread knows of the job, unless its end
 * is under way already. */
static enum coir__withdrawn withdraw_copy(struct coir__work *work)
{
    if (work->state == COIR__JOB_DONE)
        return COIR__UNFINISHED;
    work->state = COIR__JOB_DONE;
    return COIR__WITHDRAWN;
}

enum coir__withdrawn coir__threads_withdraw(struct coir__work *work)
{
    coir_threads *pool = work->pool;
    enum coir__withdrawn what = COIR__UNFINISHED;
    if (work->forks != forks)
        return withdraw_copy(work);
    pthread_mutex_lock(&pool->lock);
    if (work->state == COIR__JOB_QUEUED) {
        queue_remove(pool, work);
        work->state = COIR__JOB_DONE;
        what = COIR__WITHDRAWN;
    } else if (work->state == COIR__JOB_RUNNING) {
        atomic_store_explicit(&work->job.cancelled, true, memory_order_relaxed);
        if (work->job.blocked != NULL)
            work->job.blocked->interrupt(work->job.blocked);
        work->abandoned = work->job.forgotten = work->release != NULL;
        if (work->abandoned && work->job.lent)
            work->job.away.loop->jobs++; /* the caller counts it out */
        work->job.lent = work->job.lent && !work->abandoned;
        what = work->abandoned ? COIR__ABANDONED : COIR__UNFINISHED;
    }
    pthread_mutex_unlock(&pool->lock);
    return what;
}

/* ---- opening and closing ---- */

enum { NAMES_LIMIT = 8 };

static unsigned processors(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}

static unsigned usual_limit(void)
{
    unsigned limit = processors() + 4;
    return limit > 32 ? 32 : limit;
}

/* A child of fork has none of the threads, and none of the jobs is its own. */
static void forget_threads_of(coir_threads *pool)
{
    coir_threads fresh = {.lock = PTHREAD_MUTEX_INITIALIZER, .limit = pool->limit};
    fresh.idle_time = IDLE;
    fresh.forks = forks;
    memcpy(fresh.name, pool->name, sizeof fresh.name);
    size_t uses = atomic_load_explicit(&pool->uses, memory_order_relaxed);
    atomic_init(&fresh.uses, uses); /* copies of tasks count theirs out */
    *pool = fresh;
}

static void forget_threads(void)
{
    forks++;
    forget_threads_of(&shared);
    forget_threads_of(&names);
}

static void lock_own(void)
{
    pthread_mutex_lock(&shared.lock);
    pthread_mutex_lock(&names.lock);
}

static void unlock_own(void)
{
    pthread_mutex_unlock(&names.lock);
    pthread_mutex_unlock(&shared.lock);
}

static void open_own(void)
{
    shared.limit = usual_limit();
    names.limit = NAMES_LIMIT;
    shared.idle_time = names.idle_time = IDLE;
    (void)pthread_atfork(lock_own, unlock_own, forget_threads);
}

coir_threads *coir__threads_default(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, open_own);
    return &shared;
}

coir_threads *coir_threads_for_names(void)
{
    (void)coir__threads_default();
    return &names;
}

int coir_threads_open(const coir_threads_opts *opts, coir_threads **ret_pool)
{
    static const coir_threads_opts defaults;
    if (opts == NULL)
        opts = &defaults;
    if (opts->idle < 0)
        return -EINVAL;
    coir_threads *pool = coir__calloc(1, sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    (void)coir__threads_default(); /* which counts forks */
    pthread_mutex_init(&pool->lock, NULL);
    pool->forks = forks;
    atomic_init(&pool->uses, 1);
    pool->limit = opts->limit != 0 ? opts->limit : usual_limit();
    pool->queue_limit = opts->queue_limit;
    pool->idle_time = opts->idle != 0 ? opts->idle : IDLE;
    (void)snprintf(pool->name, sizeof pool->name, "%s", opts->name != NULL ? opts->name : "pool");
    *ret_pool = pool;
    return 0;
}

/* Under the lock: they look again, and find that there is nothing to stay for. */
static struct worker *dismiss(coir_threads *pool)
{
    struct worker *idle = pool->idle;
    pool->idle = NULL;
    pool->idle_count = 0;
    for (struct worker *worker = idle; worker != NULL; worker = worker->next)
        worker->listed = false;
    return idle;
}

static void wake_all(struct worker *worker)
{
    while (worker != NULL) {
        struct worker *next = worker->next;
        wake(worker);
        worker = next;
    }
}

static const struct coir__wait closing_wait = {"waits for the jobs of a pool that it closes", NULL,
                                               NULL};

struct closing {
    struct coir__away away;
    struct coir_task *task;
};

static void closed(struct coir__away *away)
{
    coir__wake(coir__container(away, struct closing, away)->task, 0);
}

static void wait_until_empty(coir_threads *pool, struct closing *closing)
{
    if (closing->task != NULL) {
        (void)coir__park_uninterruptibly(closing->task, &closing_wait, pool);
        return;
    }
    while (atomic_load_explicit(&pool->empty, memory_order_acquire) == 0)
        (void)coir__sys_futex_wait(&pool->empty, 0, COIR_FOREVER);
}

/* Ends what waits in the queue, and waits until what runs and all threads have ended. */
static void end_jobs(coir_threads *pool)
{
    struct closing closing = {.task = coir__self()};
    if (closing.task != NULL)
        coir__away_begin(&closing.away, closing.task->loop, closed);
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pool->closer = closing.task != NULL ? &closing.away : NULL;
    struct worker *idle = dismiss(pool);
    bool waits = pool->threads > 0;
    fail_queue(pool, -COIR_ECLOSED);
    wake_all(idle);
    if (waits)
        wait_until_empty(pool, &closing);
    else if (closing.task != NULL)
        coir__away_end(closing.task->loop);
    if (pool->ended)
        (void)pthread_join(pool->last_ended, NULL);
}

void coir_threads_close(coir_threads *pool)
{
    if (pool == NULL || pool == &names)
        return;
    if (!is_copy(pool))
        end_jobs(pool);
    coir__threads_let_go(pool);
}

/* All threads end but those that run jobs. */
static void shrink(coir_threads *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->shrinking = true;
    wake_all(dismiss(pool));
    while (pool->threads > pool->running) {
        unsigned seen = atomic_load_explicit(&pool->changes, memory_order_relaxed);
        pthread_mutex_unlock(&pool->lock);
        (void)coir__sys_futex_wait(&pool->changes, seen, COIR_FOREVER);
        pthread_mutex_lock(&pool->lock);
    }
    bool ended = pool->ended;
    pool->ended = false;
    pthread_mutex_unlock(&pool->lock);
    if (ended)
        (void)pthread_join(pool->last_ended, NULL);
}

/* At the end of the process, or when the library is unloaded. */
static __attribute__((destructor)) void end_threads(void)
{
    shrink(&shared);
    shrink(&names);
}

void coir_threads_stats(const coir_threads *asked, struct coir_threads_stats *ret_stats)
{
    coir_threads *pool = asked != NULL ? (coir_threads *)(uintptr_t)asked : coir__threads_default();
    if (is_copy(pool)) {
        *ret_stats = (struct coir_threads_stats){.limit = pool->limit};
        return;
    }
    pthread_mutex_lock(&pool->lock);
    *ret_stats = (struct coir_threads_stats){
        .limit = pool->limit,
        .threads = pool->threads,
        .idle = pool->idle_count,
        .queued = waiting(pool),
        .queued_longest = pool->queued_longest,
        .running = pool->running,
        .done = pool->done,
        .started = pool->started,
        .waited = pool->waited,
        .longest = pool->longest,
    };
    pthread_mutex_unlock(&pool->lock);
}
