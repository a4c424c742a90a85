/* workers.c: coir_workers: a loop for each processor, on threads that one task waits for.
 *
 * The record of a call is the caller's, and stays until every thread that was started is back, by
 * the post of coir__away_return, and joined. A loop is posted to only under the lock and while it
 * stands in its worker's record: the worker takes it out before it closes the loop. So nobody
 * touches a loop that is gone. Called by user code.
 */
#include <stdio.h>
#include <string.h>

#include <coir/workers.h>

#include "core/sys.h"

#define MOST 1024

struct worker {
    struct coir__away away;
    struct call *call;
    pthread_t thread;
    unsigned index;
    coir_post_node cancel;
    struct coir_task *task; /* of the worker's thread: its main task, while it runs */
    struct coir_loop *loop; /* under the lock: to be told of the end; NULL: not there */
};

struct call {
    pthread_mutex_t lock;
    coir_worker_fn fn;
    void *arg;
    const coir_workers_opts *opts;
    cpu_set_t processors;
    struct coir_task *caller;
    unsigned count;
    unsigned left; /* threads that are not back; of the caller's thread */
    /* under the lock */
    bool asked;     /* all are to end */
    bool cancelled; /* one of them has, because of that */
    int result;     /* the first failure */
    char text[160]; /* and what it says; "" */
    struct worker workers[];
};

/* ---- ending ---- */

/* On a worker's loop. */
static void cancel_arrives(void *arg)
{
    struct worker *worker = arg;
    if (worker->task != NULL)
        coir_cancel(worker->task, "the workers are asked to end");
}

static void tell(struct worker *worker)
{
    if (worker->loop != NULL)
        (void)coir_post(worker->loop, &worker->cancel, cancel_arrives, worker);
}

/* Under the lock. Those that have no loop yet hear of it when they have one. */
static void ask_all(struct call *call)
{
    call->asked = true;
    for (unsigned i = 0; i < call->count; i++)
        tell(&call->workers[i]);
}

static void note_end(struct worker *worker, int result, const char *text)
{
    struct call *call = worker->call;
    pthread_mutex_lock(&call->lock);
    if (call->asked && result == -COIR_ECANCELEDTASK) {
        call->cancelled = true;
    } else if (result < 0 && call->result == 0) {
        call->result = result;
        (void)snprintf(call->text, sizeof call->text, "%.150s", text);
        ask_all(call);
    }
    pthread_mutex_unlock(&call->lock);
}

/* ---- a worker's thread ---- */

static int run_fn(void *arg)
{
    struct worker *worker = arg;
    coir_task_set_name(NULL, "worker %u", worker->index);
    return worker->call->fn(worker->index, worker->call->arg);
}

static void show(struct worker *worker, struct coir_loop *loop)
{
    pthread_mutex_lock(&worker->call->lock);
    worker->loop = loop;
    if (worker->call->asked)
        tell(worker);
    pthread_mutex_unlock(&worker->call->lock);
}

static int run_loop(struct worker *worker, struct coir_loop *loop)
{
    static const coir_site site = {__FILE__, "coir_workers", "worker", 0};
    int result = 0;
    int r = coir_loop_spawn_at(loop, run_fn, worker, &worker->task, &site);
    if (r < 0)
        return r;
    show(worker, loop);
    r = coir_loop_run_until(loop, worker->task, &result);
    worker->task = NULL;
    show(worker, NULL);
    return r < 0 ? r : result;
}

/* The first processors for the first workers, and again from the beginning. */
static int pin(const struct worker *worker)
{
    const cpu_set_t *all = &worker->call->processors;
    cpu_set_t one;
    unsigned wanted = worker->index % (unsigned)CPU_COUNT(all);
    size_t cpu = 0;
    while (!CPU_ISSET(cpu, all) || wanted-- > 0)
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return coir__sys_set_affinity(&one);
}

static void name_thread(const struct worker *worker)
{
    char name[16];
    const char *given = worker->call->opts->name;
    (void)snprintf(name, sizeof name, "coir/%.6s/%u", given != NULL ? given : "worker",
                   worker->index % 1000); /* the kernel takes 15 bytes */
    (void)pthread_setname_np(pthread_self(), name);
}

static int work(struct worker *worker, char *text, size_t size)
{
    coir_loop_opts opts = coir__program_opts(worker->call->opts->loop);
    struct coir_loop *loop;
    name_thread(worker);
    int r = worker->call->opts->pin ? pin(worker) : 0;
    if (r == 0)
        r = coir_loop_open(&opts, &loop);
    if (r < 0)
        return r;
    r = run_loop(worker, loop);
    const coir_error *error = coir_loop_error(loop);
    if (r < 0 && error != NULL && coir_error_code(error) == r)
        (void)snprintf(text, size, "%s", coir_error_message(error));
    (void)coir_loop_close(loop);
    return r;
}

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
    char text[160] = "";
    int result = work(worker, text, sizeof text);
    note_end(worker, result, text);
    coir__away_return(&worker->away);
    return NULL;
}

/* ---- the caller ---- */

static void back(struct coir__away *away)
{
    struct worker *worker = coir__container(away, struct worker, away);
    struct call *call = worker->call;
    (void)pthread_join(worker->thread, NULL); /* it only has to return */
    if (--call->left == 0)
        coir__wake(call->caller, 0);
}

static bool abort_workers(struct coir_task *task)
{
    struct call *call = (struct call *)(uintptr_t)task->wait_object;
    pthread_mutex_lock(&call->lock);
    ask_all(call);
    pthread_mutex_unlock(&call->lock);
    return false;
}

static size_t describe_workers(const struct coir_task *task, char *text, size_t size)
{
    const struct call *call = task->wait_object;
    return (size_t)snprintf(text, size, "%u workers%s", call->left,
                            task->pending != 0 ? " (asked to end)" : "");
}

static const struct coir__wait workers_wait = {"waits for", abort_workers, describe_workers};

/* Starts the threads. When one cannot be started the others end. */
static void start(struct call *call, struct coir_loop *loop)
{
    for (unsigned i = 0; i < call->count; i++) {
        struct worker *worker = &call->workers[i];
        worker->call = call;
        worker->index = i;
        coir__away_begin(&worker->away, loop, back);
        int r = coir__sys_thread(&worker->thread, thread_main, worker);
        if (r < 0) {
            coir__away_end(loop);
            note_end(worker, r, "a worker's thread cannot be started");
            return;
        }
        call->left++;
    }
}

static int outcome(struct call *call, struct coir_task *self)
{
    if (call->result < 0) {
        if (call->text[0] != '\0')
            coir__error_give(self, coir__error_new(self->loop, call->result, "%s", call->text));
        return call->result;
    }
    if (call->cancelled)
        return self->pending != 0 ? self->pending : -COIR_ECANCELEDTASK;
    return 0;
}

static int run(struct call *call, struct coir_task *self)
{
    pthread_mutex_init(&call->lock, NULL);
    int r = coir__sys_affinity(&call->processors);
    if (r == 0) {
        start(call, self->loop);
        if (call->left > 0)
            (void)coir__park(self, &workers_wait, call);
        r = outcome(call, self);
    }
    pthread_mutex_destroy(&call->lock);
    return r;
}

int coir_workers_with(unsigned n, coir_worker_fn fn, void *arg, const coir_workers_opts *opts)
{
    static const coir_workers_opts defaults;
    struct coir_task *self = coir__self();
    if (fn == NULL || n > MOST)
        return -EINVAL;
    int r = coir__look(self);
    if (r < 0)
        return r;
    n = n > 0 ? n : coir_processors();
    struct call *call = coir__calloc(1, sizeof *call + n * sizeof call->workers[0]);
    if (call == NULL)
        return -ENOMEM;
    call->fn = fn;
    call->arg = arg;
    call->opts = opts != NULL ? opts : &defaults;
    call->caller = self;
    call->count = n;
    r = run(call, self);
    coir__free(call);
    return r;
}

int coir_workers(unsigned n, coir_worker_fn fn, void *arg)
{
    return coir_workers_with(n, fn, arg, NULL);
}

unsigned coir_processors(void)
{
    cpu_set_t set;
    int count = coir__sys_affinity(&set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count > MOST ? MOST : (unsigned)count;
}
