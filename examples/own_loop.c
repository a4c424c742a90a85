/* own_loop.c: a loop that the program opens, runs piece by piece, and closes itself.
 *
 * coir_main does this and handles signals too; coir_run does it in one call. With a virtual clock
 * time jumps to the next timer when nothing else can happen: two hours pass at once.
 */
#include <coir/coir.h>
#include <stdio.h>

static int work(void *arg)
{
    const coir_time *length = arg;
    COIR_TRY(coir_sleep(*length));
    return (int)(*length / COIR_SEC(60));
}

static int run(coir_loop *loop)
{
    coir_time hour = COIR_SEC(3600);
    coir_time start = coir_loop_time(loop);
    coir_task *first, *second;
    COIR_TRY(coir_loop_spawn(loop, work, &hour, &first)); /* owned by the loop */
    int minutes;
    COIR_TRY(coir_loop_run_until(loop, first, &minutes)); /* joins it */
    printf("the first one slept %d minutes\n", minutes);

    COIR_TRY(coir_loop_spawn(loop, work, &hour, &second));
    COIR_TRY(coir_loop_run_until(loop, second, NULL));
    printf("hours that have passed: %d\n", (int)((coir_loop_time(loop) - start) / hour));
    return 0;
}

static void on_report(const coir_report *report, void *arg)
{
    (void)arg;
    printf("report: %s\n", report->text); /* what was left behind, if anything */
}

int main(void)
{
    coir_loop_opts opts = {.virtual_clock = true, .report = on_report};
    coir_loop *loop;
    if (coir_loop_open(&opts, &loop) < 0)
        return 1;
    int r = run(loop);
    coir_loop_close(loop);
    return r < 0;
}
