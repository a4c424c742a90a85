/* shield.c: work that must not stop half way, held off from a cancellation for a bounded time.
 *
 * The bound counts from the moment at which the cancellation arrives. Within it the calls go on as
 * if nothing had happened; behind the block, or when the bound is up, they see -ECANCELED.
 */
#include <coir/coir.h>
#include <stdio.h>

static int save(coir_time bound, coir_time time)
{
    COIR_SHIELD(bound);
    int r = coir_sleep(time); /* as if it wrote */
    printf("  writing: %s\n", coir_error_name(r));
    return r;
}

static int saves(void *arg)
{
    const coir_time *bound = arg;
    int r = save(*bound, COIR_MS(100));
    printf("  after the shield: %s\n", coir_error_name(coir_pending()));
    return r;
}

static int cancel_while_saving(coir_time bound)
{
    COIR_GROUP(group);
    coir_task *task;
    COIR_TRY(coir_spawn(&group, saves, &bound, &task));
    COIR_TRY(coir_sleep(COIR_MS(20)));
    coir_cancel(task, "no longer needed");
    int result;
    COIR_TRY(coir_join(task, &result));
    printf("  result: %s\n", coir_error_name(result));
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    printf("a second, which is enough:\n");
    COIR_TRY(cancel_while_saving(COIR_SEC(1)));
    printf("a millisecond, which is not:\n");
    return cancel_while_saving(COIR_MS(1));
}

int main(void)
{
    return coir_main(app, NULL);
}
