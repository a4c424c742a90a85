/* future.c: a value that comes once, from a callback to tasks.
 *
 * Who waits before it is settled is woken, who comes later gets the value at once. It is settled
 * only once: the second time is -EALREADY.
 */
#include <coir/coir.h>
#include <stdio.h>

static void on_reply(void *arg)
{
    static int reply = 42;
    int first = coir_future_set(arg, &reply);
    int second = coir_future_fail(arg, -EIO);
    printf("settled: %s, again: %s\n", coir_error_name(first), coir_error_name(second));
}

static int wait_for_reply(void *arg)
{
    void *value;
    COIR_TRY(coir_future_wait(arg, &value));
    printf("the reply is %d\n", *(int *)value);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    coir_future reply = {0};
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++)
        COIR_TRY(coir_spawn(&group, wait_for_reply, &reply, NULL));
    COIR_TRY(coir_call_later(coir_loop_current(), COIR_MS(20), on_reply, &reply, NULL));
    COIR_TRY(coir_group_wait(&group));
    return wait_for_reply(&reply);
}

int main(void)
{
    return coir_main(app, NULL);
}
