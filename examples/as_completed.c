/* as_completed.c: results in the order in which they come, and a bound on all of it.
 *
 * When the deadline passes, the block is left with what there is; the group cancels and joins the
 * tasks that were too slow.
 */
#include <coir/coir.h>
#include <stdio.h>

static int fetch(void *arg)
{
    const coir_time *takes = arg;
    return coir_sleep(*takes);
}

static int show_as_they_come(coir_task **tasks, size_t count)
{
    COIR_AUTO(coir_completions) *ends = NULL;
    COIR_TRY(coir_completions_open(tasks, count, &ends));
    COIR_DEADLINE(COIR_MS(500));
    size_t index;
    while (COIR_TRY(coir_completions_next(ends, &index)) > 0) {
        int result;
        COIR_TRY(coir_join(tasks[index], &result));
        printf("number %zu ended with %d, %zu left\n", index, result, coir_completions_left(ends));
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    coir_time takes[] = {COIR_MS(30), COIR_MS(10), COIR_SEC(60), COIR_MS(20)};
    coir_task *tasks[COIR_COUNT(takes)];
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(takes); i++)
        COIR_TRY(coir_spawn(&group, fetch, &takes[i], &tasks[i]));
    int r = show_as_they_come(tasks, COIR_COUNT(tasks));
    printf("%s\n", coir_error_name(r));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
