/* timeout.c: a bound on a function, and on the waiting for a task.
 *
 * A function is called inside a scope that expires: no task is needed, and when the call returns it
 * has cleaned up. A bound around coir_join ends only the join: the task goes on, and whoever waited
 * decides. asyncio's wait_for has cancelled and joined the task already when it says so; the guide
 * does both again. (4.5 s and not 5: at 5 s a step of the work is due as well.)
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

static int call_with_timeout(void)
{
    COIR_SCOPE(limit, COIR_SEC(4.5));
    int r = long_running_task(NULL);
    return coir_scope_expired(&limit) ? -ETIMEDOUT : r;
}

static int join_with_timeout(coir_task *task, int *ret_result)
{
    COIR_SCOPE(limit, COIR_SEC(4.5));
    int r = coir_join(task, ret_result);
    return coir_scope_expired(&limit) ? -ETIMEDOUT : r;
}

static int app(void *arg)
{
    (void)arg;
    printf("the call: %s\n", coir_error_name(call_with_timeout()));

    COIR_GROUP(group);
    coir_task *task;
    COIR_TRY(coir_spawn(&group, long_running_task, NULL, &task));
    int result = 0;
    int r = join_with_timeout(task, &result);
    printf("the join: %s, the task %s\n", coir_error_name(r),
           coir_task_done(task) ? "has ended" : "runs on");
    coir_cancel(task, "it takes too long");
    COIR_TRY(coir_join(task, &result));
    printf("the task: %s\n", coir_error_name(result));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
