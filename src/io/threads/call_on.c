/* call_on.c: coir_call_on: a task of one loop, or a thread without one, waits for a task of
 * another.
 *
 * The record of a call lies in the frame of the caller. Two posts go to the other loop: one begins
 * the task, a second one, at most, cancels it. The caller goes on only when the task has ended and
 * neither post is under way, so nothing of the other loop touches the record afterwards. And the
 * caller posts to the other loop only while that cannot have answered (over, under the call's
 * lock), so it never touches a loop that is gone.
 */
#include <stdio.h>

#include <coir/threads.h>

#include "core/sys.h"

struct call {
    struct coir__away away;       /* of a task that waits */
    struct coir__blocked blocked; /* of a thread that does */
    coir_post_node begin, cancel;
    struct coir__waiter ended; /* in the watchers of the task */
    struct coir_loop *loop;    /* where the task runs */
    struct coir_task *task;    /* that runs there; of that loop's thread */
    struct coir_task *caller;  /* NULL: a thread waits */
    struct coir__errand *job;  /* what that thread does for a task of the same loop, or NULL */
    coir_fn fn;
    void *arg;
    const coir_site *site;
    pthread_mutex_t lock;
    /* Under the lock. */
    bool asked;    /* the caller wants out */
    bool posted;   /* cancel is under way */
    bool finished; /* the task has ended, but for that */
    bool over;     /* nothing is posted to loop any more */
    int result;
    atomic_uint answered; /* a thread waits for it */
    char text[160];       /* of a failure; "" */
};

/* ---- on the other loop ---- */

/* While a job's thread waits for its own loop, that loop does not wait for the thread. */
static void lend(struct coir__errand *job)
{
    if (job == NULL || job->forgotten)
        return;
    job->lent = true;
    job->away.loop->jobs--;
}

static void take_back(struct coir__errand *job)
{
    if (job == NULL || !job->lent)
        return;
    job->lent = false;
    job->away.loop->jobs++;
}

static void answer(struct call *call)
{
    take_back(call->job);
    if (call->caller != NULL) {
        coir__away_return(&call->away);
        return;
    }
    atomic_store_explicit(&call->answered, 1, memory_order_release);
    coir__sys_futex_wake(&call->answered);
}

static void finish(struct call *call, int result)
{
    pthread_mutex_lock(&call->lock);
    call->result = result;
    call->finished = true;
    call->over = !call->posted;
    bool over = call->over;
    pthread_mutex_unlock(&call->lock);
    if (over)
        answer(call);
}

static void cancel_arrives(void *arg)
{
    struct call *call = arg;
    pthread_mutex_lock(&call->lock);
    call->posted = false;
    call->over = call->finished;
    bool over = call->over;
    pthread_mutex_unlock(&call->lock);
    if (over)
        answer(call);
    else /* it overtook the begin when there is no task, and is noted */
        coir_cancel(call->task, "who called it from elsewhere was cancelled");
}

/* On the stack of the task, which has ended: takes what a join would have. */
static void task_ended(struct coir__waiter *waiter, int result)
{
    struct call *call = coir__container(waiter, struct call, ended);
    struct coir_task *task = call->task;
    call->task = NULL;
    if (result == -COIR_ECANCELEDTASK && call->loop->root.coir__effective != 0)
        result = -COIR_ECLOSED;
    else if (result < 0 && task->error != NULL && coir_error_code(task->error) == result)
        (void)snprintf(call->text, sizeof call->text, "%s", coir_error_message(task->error));
    task->flags &= ~(uint32_t)COIR__TASK_HANDLE;
    if (task->result < 0)
        coir__join_failed(task, NULL, call->site);
    finish(call, result);
}

static void begin_arrives(void *arg)
{
    struct call *call = arg;
    struct coir_loop *loop = call->loop;
    lend(call->job);
    pthread_mutex_lock(&call->lock);
    int r = call->asked ? -COIR_ECANCELEDTASK : 0;
    pthread_mutex_unlock(&call->lock);
    if (r == 0)
        r = coir__spawn(loop, &loop->background, call->fn, call->arg, 0, call->site, &call->task);
    if (r < 0) {
        finish(call, r);
        return;
    }
    call->ended = (struct coir__waiter){.task = call->task, .fire = task_ended};
    coir__task_watch(call->task, &call->ended);
}

/* ---- where the call is made ---- */

static void ask_to_end(struct call *call)
{
    pthread_mutex_lock(&call->lock);
    call->asked = true;
    if (!call->over && !call->posted && !call->finished)
        call->posted = coir_post(call->loop, &call->cancel, cancel_arrives, call) == 0;
    pthread_mutex_unlock(&call->lock);
}

static bool abort_call(struct coir_task *task)
{
    ask_to_end((struct call *)(uintptr_t)task->wait_object);
    return false;
}

static size_t describe_call(const struct coir_task *task, char *text, size_t size)
{
    const struct call *call = task->wait_object;
    return (size_t)snprintf(text, size, "'%s' on another loop%s", call->site->what,
                            task->pending != 0 ? " (asked to end)" : "");
}

static const struct coir__wait call_wait = {"waits for", abort_call, describe_call};

static void back(struct coir__away *away)
{
    coir__wake(coir__container(away, struct call, away)->caller, 0);
}

static int call_from_task(struct call *call, struct coir_task *self)
{
    int r = coir__look(self);
    if (r < 0)
        return r;
    call->caller = self;
    coir__away_begin(&call->away, self->loop, back);
    r = coir_post(call->loop, &call->begin, begin_arrives, call);
    if (r < 0) {
        coir__away_end(self->loop);
        return r;
    }
    (void)coir__park(self, &call_wait, call);
    r = call->result;
    if (call->asked && r == -COIR_ECANCELEDTASK)
        return self->pending != 0 ? self->pending : r;
    if (r < 0 && call->text[0] != '\0')
        coir__error_give(self, coir__error_new(self->loop, r, "%s", call->text));
    return r;
}

static void interrupt(struct coir__blocked *blocked)
{
    ask_to_end(coir__container(blocked, struct call, blocked));
}

static int call_from_thread(struct call *call)
{
    if (!coir__errand_block(&call->blocked))
        return -ECANCELED;
    if (coir__errand != NULL && coir__errand->away.loop == call->loop)
        call->job = coir__errand;
    int r = coir_post(call->loop, &call->begin, begin_arrives, call);
    while (r == 0 && atomic_load_explicit(&call->answered, memory_order_acquire) == 0)
        (void)coir__sys_futex_wait(&call->answered, 0, COIR_FOREVER);
    coir__errand_unblock();
    r = r < 0 ? r : call->result;
    if (call->asked && r == -COIR_ECANCELEDTASK)
        return -ECANCELED;
    return r < 0 && call->text[0] != '\0' ? coir_fail(r, "%s", call->text) : r;
}

/* On the caller's own loop: a child. */
static int call_here(const struct call *call)
{
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result;
    int r = coir_spawn_at(&group, call->fn, call->arg, &task, call->site);
    if (r < 0)
        return r;
    r = coir_join_at(task, &result, call->site);
    if (r >= 0)
        return result;
    COIR_SHIELD(COIR_FOREVER);
    coir_cancel(task, "who called it was cancelled");
    int joined = coir_join_at(task, &result, call->site);
    return joined < 0 || result == -COIR_ECANCELEDTASK ? r : result;
}

int coir_call_on_at(coir_loop *loop, coir_fn fn, void *arg, const coir_site *site)
{
    if (loop == NULL || fn == NULL)
        return -EINVAL;
    struct call call = {
        .blocked = {interrupt},
        .loop = loop,
        .fn = fn,
        .arg = arg,
        .site = site,
        .lock = PTHREAD_MUTEX_INITIALIZER,
    };
    struct coir_task *self = coir__self();
    int r;
    if (coir__loop == NULL)
        r = call_from_thread(&call);
    else if (self == NULL)
        r = -COIR_ENOTASK;
    else
        r = self->loop == loop ? call_here(&call) : call_from_task(&call, self);
    pthread_mutex_destroy(&call.lock);
    return r;
}
