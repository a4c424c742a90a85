/* race.c: several ways to the same answer: take the first, cancel and join the rest.
 *
 * coir_wait_first says which task has ended and leaves all handles valid. The loser is cancelled by
 * its handle, which its group does not count as a failure, and joined: race() returns when both
 * have ended.
 */
#include <coir/coir.h>
#include <stdio.h>

struct job {
    const char *name;
    coir_time time;
};

static int work(void *arg)
{
    struct job *job = arg;
    int r = coir_sleep(job->time);
    printf("%s: %s\n", job->name, r == 0 ? "done" : coir_error_name(r));
    return r;
}

static int race(void *arg)
{
    (void)arg;
    struct job jobs[] = {{"A", COIR_SEC(2)}, {"B", COIR_SEC(1)}};
    COIR_GROUP(group);
    coir_task *tasks[2];
    COIR_TRY(coir_spawn(&group, work, &jobs[0], &tasks[0]));
    COIR_TRY(coir_spawn(&group, work, &jobs[1], &tasks[1]));

    int first = COIR_TRY(coir_wait_first(tasks, 2));
    printf("%s wins\n", jobs[first].name);
    coir_cancel(tasks[1 - first], "the other one won");

    int result;
    COIR_TRY(coir_join(tasks[1 - first], &result));
    printf("the other one: %s\n", coir_error_name(result));
    return coir_join(tasks[first], NULL); /* without a variable its failure becomes this one's */
}

int main(void)
{
    return coir_main(race, NULL);
}
