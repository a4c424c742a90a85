/* cancel.c: cancelling a task that works in a loop, and what it can and cannot do about it.
 *
 * The call that waits returns -ECANCELED; the task cleans up and returns the code. A task that
 * ignores the code sees it again from its next call: a cancellation cannot be swallowed. (2.5 s and
 * not the guide's 3: at 3 s a step of the work is due as well.)
 */
#include <coir/coir.h>
#include <stdio.h>

static int long_running_task(void *arg)
{
    (void)arg;
    int r;
    while ((r = coir_sleep(COIR_SEC(1))) == 0)
        printf("Working...\n");
    printf("Task cancelled, cleaning up...\n");
    return r;
}

static int stubborn_task(void *arg)
{
    (void)arg;
    int seen = 0;
    for (int i = 0; i < 100 && seen < 3; i++)
        if (coir_sleep(COIR_SEC(1)) == -ECANCELED)
            seen++;
    printf("Told %d times\n", seen);
    return 0; /* it has done its work, so this is a success */
}

static int run_and_cancel(coir_fn fn)
{
    COIR_GROUP(group);
    coir_task *task;
    COIR_TRY(coir_spawn(&group, fn, NULL, &task));
    COIR_TRY(coir_sleep(COIR_SEC(2.5)));
    coir_cancel(task, "that was enough");
    int result;
    COIR_TRY(coir_join(task, &result));
    printf(result == -COIR_ECANCELEDTASK ? "Task was cancelled\n" : "Task has ended\n");
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_TRY(run_and_cancel(long_running_task));
    return run_and_cancel(stubborn_task);
}

int main(void)
{
    return coir_main(app, NULL);
}
