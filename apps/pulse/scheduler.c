/* scheduler.c: when each target is checked.
 *
 * Every target has a task. The times of its checks are fixed from the first one on (start, start +
 * interval, start + 2 * interval...), so that the rate does not drift with the time that checks
 * take. A check that lasts beyond the next times skips those: there is never more than one check of
 * a target in flight and no burst afterwards. How many are in flight in all is bounded by a
 * semaphore, which is fair; a check's deadline begins when it has its permit.
 */
#include "pulse.h"

struct seat {
    struct schedule *schedule;
    const struct target *target;
};

/* The first of the fixed times that is not over. */
static coir_time next_time(coir_time last, coir_time interval)
{
    coir_time late = coir_now() - last;
    return last + (late / interval + 1) * interval;
}

static int check_in_turn(struct seat *seat, struct result *ret_result)
{
    COIR_SEMAPHORE(&seat->schedule->slots);
    return check_run(seat->target, ret_result);
}

/* The task of one target. */
static int watch(void *arg)
{
    struct seat *seat = arg;
    coir_task_set_name(NULL, "%s", seat->target->name);
    coir_time time = coir_now();
    for (;;) {
        struct result result;
        COIR_TRY(check_in_turn(seat, &result));
        COIR_TRY(coir_send(seat->schedule->results, &result));
        if (seat->schedule->once)
            return 0;
        time = next_time(time, seat->target->interval);
        COIR_TRY(coir_sleep_until(time));
    }
}

int schedule_run(void *arg)
{
    struct schedule *schedule = arg;
    COIR_GROUP(targets);
    for (size_t i = 0; i < schedule->config->count; i++) {
        struct seat seat = {schedule, &schedule->config->targets[i]};
        COIR_TRY(coir_spawn_copy(&targets, watch, &seat, sizeof seat, NULL));
    }
    return coir_group_wait(&targets);
}
