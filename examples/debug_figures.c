/* debug_figures.c: what each of several tasks has done with its time.
 *
 * Each says itself how long it took, as in the guide. In debug mode the library knows that without
 * being told, and more: how long a task waited, for what, how often, and how long it ran.
 */
#include <coir/coir.h>
#include <coir/debug.h>
#include <stdio.h>

static double seconds(coir_time time)
{
    return (double)time / (double)COIR_SEC(1);
}

struct timed {
    const char *name;
    coir_time duration;
};

static int timed_task(void *arg)
{
    const struct timed *timed = arg;
    coir_time start = coir_now();
    COIR_TRY(coir_sleep(timed->duration));
    printf("%s took %.2fs\n", timed->name, seconds(coir_now() - start));
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct timed all[] = {
        {"Task 1", COIR_SEC(1)}, {"Task 2", COIR_SEC(2)}, {"Task 3", COIR_SEC(0.5)}};
    coir_task *tasks[COIR_COUNT(all)];
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(all); i++)
        COIR_TRY(coir_spawn(&group, timed_task, &all[i], &tasks[i]));
    COIR_TRY(coir_wait_all(tasks, COIR_COUNT(tasks)));

    for (size_t i = 0; i < COIR_COUNT(tasks); i++) {
        struct coir_task_figures figures;
        COIR_TRY(coir_task_figures(tasks[i], &figures));
        printf("%s: %.1f s in all; %s %llu time for %.1f s; ran for %s\n", all[i].name,
               seconds(figures.wall), figures.waits[0].what,
               (unsigned long long)figures.waits[0].times, seconds(figures.waits[0].time),
               figures.running < COIR_SEC(0.4) ? "less than half a second" : "too long");
        COIR_TRY(coir_join(tasks[i], NULL));
    }
    return 0;
}

int main(void)
{
    return coir_main_with(app, NULL, &(coir_loop_opts){.debug = true, .slow_step = COIR_SEC(1)});
}
