/* callbacks.c: functions that the loop calls: soon, later, at a time, at a task's end.
 *
 * They run outside any task, so a call that would wait returns -COIR_ENOTASK. A callback that was
 * asked for can be taken back; a coir_timer does the same in memory of the caller.
 */
#include <coir/coir.h>
#include <stdio.h>

static void say(void *arg)
{
    printf("%s\n", (const char *)arg);
}

static void try_to_wait(void *arg)
{
    (void)arg;
    printf("waiting in a callback: %s\n", coir_error_name(coir_sleep(COIR_MS(1))));
}

static int task(void *arg)
{
    return coir_sleep(*(coir_time *)arg);
}

static int app(void *arg)
{
    (void)arg;
    coir_loop *loop = coir_loop_current();
    COIR_TRY(coir_call_at(loop, coir_now() + COIR_MS(60), say, "at 60 ms", NULL));
    COIR_TRY(coir_call_later(loop, COIR_MS(20), say, "after 20 ms", NULL));
    COIR_TRY(coir_call_soon(loop, say, "soon", NULL));
    COIR_TRY(coir_call_soon(loop, try_to_wait, NULL, NULL));
    printf("asked for\n");

    coir_callback callback;
    COIR_TRY(coir_call_later(loop, COIR_MS(10), say, "never", &callback));
    printf("taken back: %s\n", coir_error_name(coir_callback_cancel(loop, callback)));
    printf("again: %s\n", coir_error_name(coir_callback_cancel(loop, callback)));

    coir_timer timer = {0};
    coir_timer_start(loop, &timer, coir_now() + COIR_MS(40), say, "the timer, at 40 ms");

    coir_time length = COIR_MS(80);
    COIR_GROUP(group);
    coir_task *handle;
    COIR_TRY(coir_spawn(&group, task, &length, &handle));
    COIR_TRY(coir_task_on_done(handle, say, "the task has ended"));
    COIR_TRY(coir_join(handle, NULL));
    return coir_yield(); /* one turn for the last callback */
}

int main(void)
{
    return coir_main(app, NULL);
}
