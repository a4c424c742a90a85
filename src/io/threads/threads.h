/* threads.h: the inside of pools of threads, shared by threads.c (threads, queue, closing) and
 * blocking.c (the calls of tasks).
 *
 * A job lies where its task waits, on the heap only when it can be abandoned. It is the queue's
 * from coir__threads_submit until it begins, the thread's until its end is noted under the pool's
 * lock, and the task's again when it is back on the loop.
 */
#ifndef COIR_IO_THREADS_H
#define COIR_IO_THREADS_H

#include <coir/threads.h>

#include "core/core.h"

enum coir__job_state { COIR__JOB_QUEUED, COIR__JOB_RUNNING, COIR__JOB_DONE };

struct coir__work {
    struct coir__errand job;
    struct coir__work *next, *previous; /* while queued */
    coir_threads *pool;
    coir_fn fn;
    void *arg;
    const char *name;
    struct coir_task *task;
    void (*release)(void *arg); /* of one that may be abandoned */
    enum coir__job_state state; /* under the pool's lock, as the next */
    bool abandoned;
    unsigned forks; /* of the process that it was submitted in */
    int result;
    coir_time queued;
};

/* What became of a job whose task wants out. */
enum coir__withdrawn {
    COIR__WITHDRAWN,  /* it never began */
    COIR__ABANDONED,  /* it runs alone, and is not the caller's any more */
    COIR__UNFINISHED, /* it comes back */
};

/* The default pool. */
coir_threads *coir__threads_default(void);
/* Queues a job whose away was begun, and sees to it that a thread takes it. On failure it was not
 * taken. */
int coir__threads_submit(struct coir__work *work);
enum coir__withdrawn coir__threads_withdraw(struct coir__work *work);
/* The task that submitted to pool has done with it, and a pool that was closed meanwhile may go. */
void coir__threads_let_go(coir_threads *pool);

#endif
