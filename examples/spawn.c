/* spawn.c: a task in the background: started, named, joined for its result.
 *
 * A spawned task takes its first step at the loop's next turn, so the line after coir_spawn comes
 * first. coir_join waits for the end; what it writes is what the function has returned.
 */
#include <coir/coir.h>
#include <stdio.h>

static int add_up(void *arg)
{
    const int *limit = arg;
    int sum = 0;
    for (int i = 1; i <= *limit; i++) {
        sum += i;
        COIR_TRY(coir_yield()); /* let the others run: asyncio's sleep(0) */
    }
    printf("%s has ended\n", coir_task_name(NULL));
    return sum; /* 0 and positive results are successes */
}

static int app(void *arg)
{
    (void)arg;
    int limit = 10;
    COIR_GROUP(group); /* declared after what its tasks use */
    coir_task *task;
    COIR_TRY(coir_spawn(&group, add_up, &limit, &task));
    printf("spawned: %s\n", coir_task_name(task));
    coir_task_set_name(task, "sum of 1 to %d", limit);
    printf("done already: %s\n", coir_task_done(task) ? "yes" : "no");

    int sum;
    COIR_TRY(coir_join(task, &sum));
    printf("the sum is %d\n", sum);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
