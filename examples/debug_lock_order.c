/* Two locks taken in opposite orders are reported in debug mode, though nothing has deadlocked. */
#include <coir/coir.h>
#include <stdio.h>

static coir_lock accounts, journal;

static void print_report(const coir_report *report, void *arg)
{
    (void)arg;
    printf("%s: takes locks in an order in which they can deadlock\n",
           coir_task_name(report->task));
}

static int book(void *arg)
{
    (void)arg;
    COIR_LOCK(&accounts);
    COIR_LOCK(&journal);
    puts("booked");
    return 0;
}

static int audit(void *arg)
{
    (void)arg;
    COIR_LOCK(&journal);
    COIR_LOCK(&accounts);
    puts("audited");
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(tasks);
    coir_task *first;
    COIR_TRY(coir_spawn(&tasks, book, NULL, &first));
    COIR_TRY(coir_join(first, NULL));
    COIR_TRY(coir_spawn(&tasks, audit, NULL, NULL));
    return coir_group_wait(&tasks);
}

int main(void)
{
    coir_loop_opts opts = {.debug = true, .report = print_report};
    return coir_main_with(app, NULL, &opts);
}
