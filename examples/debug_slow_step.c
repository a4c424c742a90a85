/* A step that blocks the loop is reported in debug mode, with what to use instead. */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Prints the first words of a report and its hint: times and stacks differ from run to run. */
static void print_report(const coir_report *report, void *arg)
{
    (void)arg;
    const char *hint = strstr(report->text, "hint: ");
    printf("%.17s %s\n", report->text, hint != NULL ? hint : "no hint");
}

static int poll_badly(void *arg)
{
    (void)arg;
    struct timespec second = {.tv_sec = 2};
    (void)nanosleep(&second, NULL); /* nothing else runs now */
    return 0;
}

static int poll_well(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_MS(10));
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(tasks);
    coir_task *task;
    COIR_TRY(coir_spawn(&tasks, poll_badly, NULL, NULL));
    COIR_TRY(coir_spawn(&tasks, poll_well, NULL, &task));
    COIR_TRY(coir_wait_all(&task, 1));

    struct coir_task_figures figures;
    COIR_TRY(coir_task_figures(task, &figures));
    printf("'%s' has waited %llu times: it %s\n", coir_task_name(task),
           (unsigned long long)figures.waits[0].times, figures.waits[0].what);
    return coir_group_wait(&tasks);
}

int main(void)
{
    coir_loop_opts opts = {.debug = true, .slow_step = COIR_MS(400), .report = print_report};
    return coir_main_with(app, NULL, &opts);
}
