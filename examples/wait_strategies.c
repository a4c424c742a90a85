/* wait_strategies.c: waiting for the first of some tasks, for the first that fails, and for all.
 *
 * None of these calls ends a task or gives up a handle, so they can follow each other. In a group
 * that collects, a failure cancels nobody.
 */
#include <coir/coir.h>
#include <stdio.h>

struct job {
    coir_time takes;
    int result;
};

static int work(void *arg)
{
    const struct job *job = arg;
    COIR_TRY(coir_sleep(job->takes));
    return job->result;
}

static int seconds_since(coir_time start)
{
    return (int)((coir_now() - start) / COIR_SEC(1));
}

static int app(void *arg)
{
    (void)arg;
    struct job jobs[] = {{COIR_SEC(3), 0}, {COIR_SEC(2), -EIO}, {COIR_SEC(1), 0}};
    coir_task *tasks[COIR_COUNT(jobs)];
    coir_time start = coir_now();
    COIR_GROUP_COLLECT(group);
    for (size_t i = 0; i < COIR_COUNT(jobs); i++)
        COIR_TRY(coir_spawn(&group, work, &jobs[i], &tasks[i]));

    int first = COIR_TRY(coir_wait_first(tasks, COIR_COUNT(tasks)));
    printf("first completed: task %d after %d s\n", first, seconds_since(start));
    int failed = COIR_TRY(coir_wait_first_error(tasks, COIR_COUNT(tasks)));
    printf("first error: task %d after %d s\n", failed, seconds_since(start));
    COIR_TRY(coir_wait_all(tasks, COIR_COUNT(tasks)));
    printf("all completed after %d s\n", seconds_since(start));

    for (size_t i = 0; i < COIR_COUNT(tasks); i++) {
        int result;
        COIR_TRY(coir_join(tasks[i], &result));
        printf("task %zu: %s\n", i, coir_error_name(result));
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
