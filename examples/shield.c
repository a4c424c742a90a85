/* shield.c: work that must not stop half way, held off from a cancellation for a bounded time.
 *
 * The bound counts from the moment at which the cancellation arrives. Within it the calls go on as
 * if nothing had happened; behind the block, or when the bound is up, they see -ECANCELED.
 */
#include <coir/coir.h>
#include <stdio.h>

struct saving {
    coir_time bound, time;
};

static int save(const struct saving *saving)
{
    COIR_SHIELD(saving->bound);
    int r = coir_sleep(saving->time); /* as if it wrote */
    printf("  writing: %s\n", coir_error_name(r));
    return r;
}

static int saves(void *arg)
{
    int r = save(arg);
    printf("  after the shield: %s\n", coir_error_name(coir_pending()));
    return r;
}

static int cancel_while_saving(struct saving saving)
{
    COIR_GROUP(group);
    coir_task *task;
    COIR_TRY(coir_spawn(&group, saves, &saving, &task));
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
    printf("a second for what takes less:\n");
    COIR_TRY(cancel_while_saving((struct saving){.bound = COIR_SEC(1), .time = COIR_MS(80)}));
    printf("a millisecond for what takes a minute:\n");
    return cancel_while_saving((struct saving){.bound = COIR_MS(1), .time = COIR_SEC(60)});
}

int main(void)
{
    return coir_main(app, NULL);
}
