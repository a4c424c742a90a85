/* idioms.c: small things that asyncio programs do all over, and what they are here.
 *
 *   try: … finally:                    COIR_AUTO
 *   with suppress(CancelledError):     coir_join with a place for the result
 *   [create_task(f(x)) for x in xs]    a group and a loop; coir_spawn_copy for what is in the loop
 *   f'worker-{i}'                      names and failures are made by a format
 */
#include <coir/coir.h>
#include <stdio.h>

typedef struct marker {
    const char *name;
} marker;

static void marker_leave(marker *left)
{
    printf("%s: finally\n", left->name);
}

COIR_CLOSER_VALUE(marker, marker_leave);

static int work(void *arg)
{
    const int number = *(int *)arg;
    coir_task_set_name(NULL, "worker-%d", number);
    COIR_AUTO(marker) here = {coir_task_name(NULL)}; /* try: … finally: */
    COIR_TRY(coir_sleep(COIR_SEC(number)));
    if (number == 2)
        return coir_fail(-EIO, "%s has found nothing", here.name);
    return number;
}

static int app(void *arg)
{
    (void)arg;
    coir_task *tasks[3];
    COIR_GROUP_COLLECT(group);
    for (int number = 1; number <= 3; number++)
        COIR_TRY(coir_spawn_copy(&group, work, &number, sizeof number, &tasks[number - 1]));
    COIR_TRY(coir_sleep(COIR_SEC(2.5)));

    for (size_t i = 0; i < COIR_COUNT(tasks); i++) {
        int result; /* with suppress(CancelledError): cancel, and wait for the end */
        coir_cancel(tasks[i], "that is enough");
        COIR_TRY(coir_join(tasks[i], &result));
        printf("%zu: %s\n", i, result > 0 ? "a result" : coir_last_message(result));
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
