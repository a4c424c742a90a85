/* scheduler.c: when each target is checked.
 *
 * At the beginning each target is checked as soon as it can be. From then on its times are fixed:
 * they lie an interval apart, so that the rate does not drift with the time that checks take, and
 * those of all targets are spread over the interval, so that many do not come at once. A check that
 * lasts beyond the next times skips those: there is never more than one check of a target in flight
 * and no burst afterwards.
 *
 * Between its checks a target is a timer and no task. Those that are due stand in a queue; the
 * dispatcher takes them out in order, waits until one more check may be in flight, and starts a
 * task for it. A check's deadline begins there, and how late it is goes into the lag.
 */
#include "lag.h"
#include "pulse.h"

#include <errno.h>
#include <stdlib.h>

struct seat {
    struct plan *plan;
    const struct target *target;
    coir_timer timer; /* runs while it waits for its next time */
    coir_time due;    /* 0: at the beginning */
    struct seat *next_due;
};

typedef struct plan {
    struct schedule *schedule;
    coir_time start;
    struct seat *first_due, **last_due;
    coir_event some_due;
    struct seat seats[];
} plan;

static void plan_close(struct plan *plan)
{
    for (size_t i = 0; plan && i < plan->schedule->config->count; i++)
        coir_timer_stop(coir_loop_current(), &plan->seats[i].timer);
    free(plan);
}

COIR_CLOSER(plan, plan_close);

/* --- The queue -------------------------------------------------------------------------------- */

static void push_due(struct seat *seat)
{
    struct plan *plan = seat->plan;
    seat->next_due = NULL;
    *plan->last_due = seat;
    plan->last_due = &seat->next_due;
    (void)coir_event_set(&plan->some_due);
}

static struct seat *pop_due(struct plan *plan)
{
    struct seat *seat = plan->first_due;
    plan->first_due = seat->next_due;
    if (!plan->first_due) {
        plan->last_due = &plan->first_due;
        (void)coir_event_clear(&plan->some_due);
    }
    return seat;
}

static void on_time(void *seat)
{
    push_due(seat);
}

/* Waits for the first of its fixed times that is not over. The one after the beginning is at least
 * half an interval away: what begins together is past then, however much it is. */
static void wait_for_next_time(struct seat *seat)
{
    struct plan *plan = seat->plan;
    coir_time interval = seat->target->interval;
    size_t count = plan->schedule->config->count, place = (size_t)(seat - plan->seats);
    coir_time first = plan->start + (coir_time)((double)interval * (double)place / (double)count);
    coir_time passed = coir_now() + (seat->due == 0 ? interval / 2 : 0) - first;
    seat->due = passed < 0 ? first : first + (passed / interval + 1) * interval;
    coir_timer_start(coir_loop_current(), &seat->timer, seat->due, on_time, seat);
}

/* --- Checks ----------------------------------------------------------------------------------- */

static int check_and_send(struct seat *seat)
{
    struct schedule *schedule = seat->plan->schedule;
    struct result result;
    if (seat->due > 0)
        lag_add(schedule->lag, coir_now() - seat->due);
    COIR_TRY(check_run(schedule->clients, seat->target, &result));
    return coir_send(schedule->results, &result);
}

/* The task of one check. It has a slot already, and gives it back. */
static int check(void *arg)
{
    struct seat *seat = arg;
    coir_task_set_name(NULL, "%s", seat->target->name);
    int r = check_and_send(seat);
    (void)coir_semaphore_release(&seat->plan->schedule->slots);
    if (r == 0 && !seat->plan->schedule->once)
        wait_for_next_time(seat);
    return r;
}

static int dispatch(struct plan *plan, coir_group *checks)
{
    struct schedule *schedule = plan->schedule;
    size_t left = schedule->once ? schedule->config->count : SIZE_MAX;
    for (; left > 0; left--) {
        COIR_TRY(coir_event_wait(&plan->some_due));
        COIR_TRY(coir_semaphore_acquire(&schedule->slots));
        COIR_TRY(coir_spawn(checks, check, pop_due(plan), NULL));
    }
    return 0;
}

int schedule_run(void *arg)
{
    struct schedule *schedule = arg;
    size_t count = schedule->config->count;
    COIR_AUTO(plan) *plan = calloc(1, sizeof *plan + count * sizeof plan->seats[0]);
    if (!plan)
        return -ENOMEM;
    plan->schedule = schedule;
    plan->start = coir_now();
    plan->last_due = &plan->first_due;
    for (size_t i = 0; i < count; i++) {
        plan->seats[i].plan = plan;
        plan->seats[i].target = &schedule->config->targets[i];
        push_due(&plan->seats[i]);
    }
    COIR_GROUP(checks);
    int r = dispatch(plan, &checks);
    return r < 0 ? coir_group_finish(&checks, r) : coir_group_wait(&checks);
}
