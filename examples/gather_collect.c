/* gather_collect.c: keep going after failures, and look at each result.
 *
 * With COIR_COLLECT coir_gather returns 0 whatever the calls return; with COIR_FAIL_FAST it returns
 * the first failure, and the calls that it cut short, cancelled and joined, have the result
 * -COIR_ECANCELEDTASK. asyncio's gather lets them run on.
 */
#include <coir/coir.h>
#include <stdio.h>

struct job {
    int number; /* also of seconds */
    bool fails;
    char text[32];
};

static int work(void *arg)
{
    struct job *job = arg;
    COIR_TRY(coir_sleep(COIR_SEC(job->number)));
    snprintf(job->text, sizeof job->text, "Task %d %s", job->number,
             job->fails ? "failed" : "succeeded");
    return job->fails ? -EINVAL : 0;
}

static int gather(coir_policy policy)
{
    struct job jobs[] = {{.number = 1}, {.number = 2, .fails = true}, {.number = 3}};
    coir_call calls[COIR_COUNT(jobs)];
    for (size_t i = 0; i < COIR_COUNT(jobs); i++)
        calls[i] = (coir_call){.fn = work, .arg = &jobs[i]};
    int r = coir_gather(calls, COIR_COUNT(calls), policy);
    for (size_t i = 0; i < COIR_COUNT(jobs); i++) {
        if (calls[i].result == 0)
            printf("Task %zu result: %s\n", i, jobs[i].text);
        else if (calls[i].result == -COIR_ECANCELEDTASK)
            printf("Task %zu was cut short\n", i);
        else
            printf("Task %zu failed: %s\n", i, jobs[i].text);
    }
    return r;
}

static int app(void *arg)
{
    (void)arg;
    int r = gather(COIR_COLLECT);
    printf("collect: %s\n\n", coir_error_name(r));
    r = gather(COIR_FAIL_FAST);
    printf("fail fast: %s\n", coir_error_name(r));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
