/* left_open.c: what is still there when a loop closes: it is named, and ended.
 *
 * asyncio's debug mode warns of tasks that were destroyed while pending. Here none is: closing the
 * loop cancels and joins them, so that each releases what it holds, and reports what was left.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int pending(void *arg)
{
    (void)arg;
    int r = coir_sleep(COIR_SEC(3600));
    printf("%s: %s, cleaning up\n", coir_task_name(NULL), coir_error_name(r));
    return r;
}

static int short_one(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_SEC(1));
}

static void say(void *arg)
{
    printf("%s\n", (const char *)arg);
}

static void on_report(const coir_report *report, void *arg)
{
    (void)arg;
    int length = (int)strcspn(report->text, "(\n"); /* without lines of the source */
    printf("report: %.*s\n", length, report->text);
}

int main(void)
{
    coir_loop *loop;
    coir_task *task;
    coir_loop_opts opts = {.virtual_clock = true, .report = on_report};
    if (coir_loop_open(&opts, &loop) < 0)
        return 1;
    int r = coir_loop_spawn(loop, pending, NULL, NULL);
    if (r == 0)
        r = coir_call_later(loop, COIR_SEC(60), say, "never called", NULL);
    if (r == 0)
        r = coir_loop_spawn(loop, short_one, NULL, &task);
    if (r == 0)
        r = coir_loop_run_until(loop, task, NULL);
    printf("closing\n");
    coir_loop_close(loop);
    return r < 0;
}
