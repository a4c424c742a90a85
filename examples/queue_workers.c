/* queue_workers.c: one producer, three workers, and a queue that knows when all is worked off.
 *
 * Where a channel ends with its last sender, a queue is shut down: coir_queue_get returns
 * -COIR_ECLOSED then. coir_queue_join waits until coir_queue_task_done was called for every item.
 */
#include <coir/coir.h>
#include <stdio.h>

struct worker {
    coir_queue *jobs;
    int done;
};

static int work(void *arg)
{
    struct worker *worker = arg;
    int job, r;
    while ((r = coir_queue_get(worker->jobs, &job)) == 0) {
        r = coir_sleep(COIR_MS(5));
        coir_queue_task_done(worker->jobs); /* also when it failed */
        COIR_TRY(r);
        worker->done++;
    }
    return r == -COIR_ECLOSED ? 0 : r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_queue) *jobs = NULL;
    COIR_TRY(coir_queue_open(int, &(coir_queue_opts){.max_size = 4}, &jobs));
    struct worker workers[3] = {{jobs, 0}, {jobs, 0}, {jobs, 0}};

    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(workers); i++)
        COIR_TRY(coir_spawn(&group, work, &workers[i], NULL));
    for (int job = 0; job < 30; job++)
        COIR_TRY(coir_queue_put(jobs, &job)); /* waits while four are in it */

    COIR_TRY(coir_queue_join(jobs));
    printf("unfinished: %zu\n", coir_queue_unfinished(jobs));
    coir_queue_shutdown(jobs, false);
    COIR_TRY(coir_group_wait(&group)); /* the workers have seen it and returned */
    printf("done: %d\n", workers[0].done + workers[1].done + workers[2].done);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
