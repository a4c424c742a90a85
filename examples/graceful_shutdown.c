/* graceful_shutdown.c: SIGTERM stops what is new at once, and lets what has begun end in time.
 *
 * The signal cancels the main task. The group of the source is inside that; the jobs are behind a
 * shield, which holds the cancellation off from them for half a second, the grace.
 */
#include <coir/coir.h>
#include <stdio.h>

static int job(void *arg)
{
    const coir_time *length = arg;
    int r = coir_sleep(*length);
    printf("a job of %d ms: %s\n", (int)(*length / COIR_MS(1)), coir_error_name(r));
    return r;
}

static int source(void *arg)
{
    coir_group *jobs = arg;
    static coir_time lengths[] = {COIR_MS(20), COIR_MS(200), COIR_SEC(60)};
    for (size_t i = 0; i < COIR_COUNT(lengths); i++)
        COIR_TRY(coir_spawn(jobs, job, &lengths[i], NULL));
    COIR_TRY(coir_sleep(COIR_MS(50)));
    printf("sending SIGTERM to myself\n");
    raise(SIGTERM);
    int r = coir_sleep(COIR_SEC(60)); /* as if it waited for the next connection */
    printf("no more jobs: %s\n", coir_error_name(r));
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(sources);       /* cancelled by the signal */
    COIR_SHIELD(COIR_MS(400)); /* from then on, so much time for the jobs */
    COIR_GROUP(jobs);
    COIR_TRY(coir_spawn(&sources, source, &jobs, NULL));
    int r = coir_group_wait(&sources);
    printf("draining %zu jobs\n", coir_group_running(&jobs));
    int drained = coir_group_wait(&jobs); /* -ECANCELED when the grace is over */
    return r < 0 ? r : drained;           /* leaving the block joins them */
}

int main(void)
{
    int code = coir_main(app, NULL);
    printf("exit code %d\n", code); /* after SIGTERM, 0 for a program that was cancelled */
    return code;
}
