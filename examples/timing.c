/* timing.c: how long something took: one call, and each of several at once.
 *
 * coir_now is the loop's clock: monotonic, nanoseconds, and virtual where the loop's is.
 * coir_loop_time is the moment at which this turn of the loop began: cheaper, and the same for all
 * that runs in it.
 */
#include <coir/coir.h>
#include <stdio.h>

static double seconds_since(coir_time start)
{
    return (double)(coir_now() - start) / (double)COIR_SEC(1);
}

struct timed {
    const char *name;
    coir_time duration;
};

static int timed_task(void *arg)
{
    struct timed *timed = arg;
    coir_time start = coir_now();
    COIR_TRY(coir_sleep(timed->duration));
    printf("%s took %.2fs\n", timed->name, seconds_since(start));
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    coir_time start = coir_now();
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    printf("Took %.2f seconds\n", seconds_since(start));

    coir_time turn = coir_loop_time(coir_loop_current());
    printf("The turn began %s\n", turn > start && turn <= coir_now() ? "after that" : "when?");

    struct timed tasks[] = {
        {"Task 1", COIR_SEC(1)}, {"Task 2", COIR_SEC(2)}, {"Task 3", COIR_SEC(0.5)}};
    return coir_map(timed_task, tasks, COIR_COUNT(tasks), sizeof tasks[0], NULL);
}

int main(void)
{
    return coir_main(app, NULL);
}
