/* task_failure.c: looking at a task that has failed without joining it.
 *
 * Nothing is thrown: coir_task_result is -COIR_ENOTSET while the task runs, and a code when it has
 * ended, also when it was cancelled. Looking counts as reading: the failure is not reported as one
 * that nobody saw.
 */
#include <coir/coir.h>
#include <stdio.h>

static int failing_task(void *arg)
{
    const int *number = arg;
    COIR_TRY(coir_sleep(COIR_SEC(*number)));
    return coir_fail(-EINVAL, "Task %d failed", *number);
}

static int app(void *arg)
{
    (void)arg;
    int number = 1;
    COIR_GROUP_COLLECT(group); /* its failure cancels nobody */
    coir_task *task;
    COIR_TRY(coir_spawn(&group, failing_task, &number, &task));
    printf("Before it has ended: %s\n", coir_error_name(coir_task_result(task)));

    COIR_TRY(coir_sleep(COIR_SEC(2)));
    if (coir_task_done(task) && coir_task_result(task) < 0)
        printf("Task failed with: %s\n", coir_error_message(coir_task_error(task)));

    int result; /* joined all the same: every handle is given up once */
    return coir_join(task, &result);
}

int main(void)
{
    return coir_main(app, NULL);
}
