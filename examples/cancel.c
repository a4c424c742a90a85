/* cancel.c: cancelling a task that works in a loop, and what it can and cannot do about it.
 *
 * The call that waits returns -ECANCELED; the task cleans up and returns the code. A task that
 * ignores the code sees it again from its next call: a cancellation cannot be swallowed.
 */
#include <coir/coir.h>
#include <stdio.h>

static int works(void *arg)
{
    (void)arg;
    int r;
    while ((r = coir_sleep(COIR_MS(20))) == 0)
        ;
    printf("works: %s, cleaning up\n", coir_error_name(r));
    return r;
}

static int ignores(void *arg)
{
    (void)arg;
    int seen = 0;
    for (int i = 0; i < 100 && seen < 3; i++)
        if (coir_sleep(COIR_MS(20)) == -ECANCELED)
            seen++;
    printf("ignores: cancelled %d times\n", seen);
    return 0; /* it has done its work, so this is a success */
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(group);
    coir_task *tasks[2];
    COIR_TRY(coir_spawn(&group, works, NULL, &tasks[0]));
    COIR_TRY(coir_spawn(&group, ignores, NULL, &tasks[1]));
    COIR_TRY(coir_sleep(COIR_MS(50)));
    for (int i = 0; i < 2; i++) {
        coir_cancel(tasks[i], "that was enough");
        int result;
        COIR_TRY(coir_join(tasks[i], &result));
        printf("joined: %s\n", coir_error_name(result));
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
