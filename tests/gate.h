/* gate.h: what the tests of threads share: a gate at which jobs wait in real time, jobs that pass
 * it, and starting them.
 */
#ifndef COIR_TESTS_GATE_H
#define COIR_TESTS_GATE_H

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include <coir/testing.h>
#include <coir/threads.h>

struct gate {
    sem_t inside, open;
    int result;
    coir_threads *pool;
    atomic_int released;
    int value;
};

static inline void gate_make(struct gate *gate)
{
    memset(gate, 0, sizeof *gate);
    sem_init(&gate->inside, 0, 0);
    sem_init(&gate->open, 0, 0);
}

/* Opens it for good, so that no job stays in it when a test ends early. */
static inline void gate_open(struct gate **gate)
{
    for (int i = 0; i < 64; i++)
        sem_post(&(*gate)->open);
}

#define OPENS_AT_END(closed)                                                                       \
    __attribute__((cleanup(gate_open), unused)) struct gate *COIR__UNIQUE(opens_) = (closed)

static inline int pass_gate(void *arg)
{
    struct gate *gate = arg;
    sem_post(&gate->inside);
    while (sem_wait(&gate->open) != 0)
        ;
    return gate->result;
}

static inline int task_at_gate(void *arg)
{
    struct gate *gate = arg;
    return coir_threads_run(gate->pool, pass_gate, gate);
}

static inline int wait_until_asked(void *arg)
{
    struct gate *gate = arg;
    sem_post(&gate->inside);
    while (!coir_blocking_cancelled())
        sched_yield();
    return gate->result;
}

static inline int task_until_asked(void *arg)
{
    struct gate *gate = arg;
    return coir_threads_run(gate->pool, wait_until_asked, gate);
}

/* Starts fn(gate) as a task, and waits until its job runs. */
static inline coir_task *start_inside(coir_group *group, coir_fn fn, struct gate *gate)
{
    coir_task *task = NULL;
    if (!COIR_EXPECT_OK(coir_spawn(group, fn, gate, &task)))
        return NULL;
    while (sem_trywait(&gate->inside) != 0 && !coir_task_done(task))
        if (coir_yield() < 0)
            break;
    return task;
}

#endif
