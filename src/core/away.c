/* away.c: what other threads do while a task of a loop waits: jobs of a pool, calls on other loops.
 *
 * Each is counted in the loop it left from and comes back by one post. In the simulation with its
 * virtual clock what is back is held until nothing else can happen and everything is back; then the
 * seed says who goes on (loop.c). Called by the pools of threads and by coir_call_on.
 */
#include "core/backend.h"
#include "core/core.h"

_Thread_local struct coir__errand *coir__errand __attribute__((tls_model("initial-exec")));

void coir__away_begin(struct coir__away *away, struct coir_loop *loop,
                      void (*back)(struct coir__away *away))
{
    *away = (struct coir__away){.loop = loop, .number = ++loop->jobs_total, .back = back};
    loop->jobs++;
    loop->hopes++;
}

void coir__away_end(struct coir_loop *loop)
{
    loop->jobs--;
    loop->hopes--;
}

static void call_back(struct coir__away *away)
{
    away->loop->hopes--;
    away->back(away);
}

/* In the order of leaving, so that a draw does not depend on who was back first. */
static void hold(struct coir__away *away)
{
    struct coir__away **link = &away->loop->returned;
    while (*link != NULL && (*link)->number < away->number)
        link = &(*link)->next;
    away->next = *link;
    *link = away;
}

static void arrive(void *arg)
{
    struct coir__away *away = arg;
    struct coir_loop *loop = away->loop;
    loop->jobs--;
    if (loop->backend->simulated && loop->opts.virtual_clock)
        hold(away);
    else
        call_back(away);
}

void coir__away_return(struct coir__away *away)
{
    int r = coir_post(away->loop, &away->node, arrive, away);
    assert(r == 0 && "a loop closes only when nobody waits");
    (void)r;
}

void coir__away_deliver(struct coir_loop *loop)
{
    struct coir__away **link = &loop->returned;
    size_t count = 0;
    for (const struct coir__away *away = *link; away != NULL; away = away->next)
        count++;
    for (size_t i = loop->opts.seed != 0 ? coir__random(&loop->random) % count : 0; i > 0; i--)
        link = &(*link)->next;
    struct coir__away *away = *link;
    *link = away->next;
    call_back(away);
}

/* ---- threads that work for a task and wait themselves ---- */

bool coir__errand_block(struct coir__blocked *blocked)
{
    struct coir__errand *job = coir__errand;
    if (job == NULL)
        return true;
    pthread_mutex_lock(job->lock);
    bool cancelled = atomic_load_explicit(&job->cancelled, memory_order_relaxed);
    if (!cancelled)
        job->blocked = blocked;
    pthread_mutex_unlock(job->lock);
    return !cancelled;
}

void coir__errand_unblock(void)
{
    struct coir__errand *job = coir__errand;
    if (job == NULL)
        return;
    pthread_mutex_lock(job->lock);
    job->blocked = NULL;
    pthread_mutex_unlock(job->lock);
}
