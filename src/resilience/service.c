/* service.c: services: started in order, restarted, stopped in the reverse order.
 *
 * Each service has a keeper, a task that outlives its runs; a run is a child of the keeper, started
 * with opts.ready, so that every start is waited for in the same way, and bounded. The keepers are
 * children of a group of no scope, which a cancellation of the caller does not reach: it only wakes
 * the supervisor, and that stops the keepers one by one, under a shield. A keeper ends with 0 when
 * there is nothing more to run, and with a failure that no restart mends.
 */
#include <errno.h>
#include <limits.h>

#include <coir/group.h>
#include <coir/limiter.h>
#include <coir/loop.h>
#include <coir/memory.h>
#include <coir/service.h>

_Static_assert(sizeof(void *) != 8 || sizeof(coir_service) == 136, "part of the ABI");
_Static_assert(sizeof(void *) != 8 || sizeof(coir_services_opts) == 64, "part of the ABI");

/* One call of coir_services_run. */
struct coir__services {
    coir_service *services;
    coir_services_opts opts; /* complete */
    coir_group keepers;
    coir_task **tasks; /* of the keepers that were started, which are the first ones */
    size_t started;
    coir_window restarts;
};

const char *coir_service_state_name(coir_service_state state)
{
    static const char *const names[] = {"stopped", "starting", "ready", "pausing", "stopping"};
    return (unsigned)state < COIR_COUNT(names) ? names[state] : "unknown";
}

static void enter(coir_service *service, coir_service_state state)
{
    if (service->state == state)
        return;
    service->state = state;
    service->since = coir_now();
    const coir_services_opts *opts = &service->coir__services->opts;
    if (opts->on_change != NULL)
        opts->on_change(service, opts->arg);
}

/* ---- a keeper: one service, run after run ---- */

/* Starts a run, and waits until it is ready. */
static int start(coir_service *service, coir_group *group, coir_task **ret_task)
{
    coir_spawn_opts opts = {.ready = true, .name = service->name};
    COIR_SCOPE(bound, service->start != 0 ? service->start : COIR_SEC(30));
    int r = coir_spawn_with(group, service->run, service->arg, &opts, ret_task);
    if (r == -ETIME && coir_scope_expired(&bound))
        return coir_fail(-ETIMEDOUT, "service '%s' was not ready in time", service->name);
    return r;
}

/* One run. Returns how it ended, also when that was because the keeper was cancelled. */
static int run(coir_service *service)
{
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    enter(service, COIR_SERVICE_STARTING);
    COIR_TRY(start(service, &group, &task));
    enter(service, COIR_SERVICE_READY);
    coir_ready();
    coir_task *const tasks[] = {task};
    int waited = coir_wait_all(tasks, 1);
    COIR_SHIELD(COIR_FOREVER); /* the run is inside the keeper's scope, and cancelled with it */
    int result = coir_join(task, NULL);
    return waited < 0 && result == -COIR_ECANCELEDTASK ? 0 : result;
}

/* Whether a run that ended with code is followed by another one. */
static bool ends(const coir_service *service, int code)
{
    if (service->coir__stopping || coir_pending() < 0)
        return true;
    return service->restart == COIR_RESTART_NEVER ||
           (service->restart == COIR_RESTART_ON_FAILURE && code >= 0);
}

static int pause_before_restart(coir_service *service, coir_retry_state *state, int code)
{
    struct coir__services *set = service->coir__services;
    coir_retry backoff = service->backoff != NULL ? *service->backoff : (coir_retry){0};
    if (backoff.attempts == 0)
        backoff.attempts = UINT_MAX;
    if (coir_window_try(&set->restarts, 1) == -EAGAIN)
        return coir_fail(code, "service '%s' was restarted too often: %s", service->name,
                         coir_last_message(code));
    enter(service, COIR_SERVICE_PAUSING);
    COIR_TRY(coir_retry_next(&backoff, state, code, 0));
    service->restarts++;
    return 0;
}

static int keep(void *arg)
{
    coir_service *service = arg;
    const coir_time stable = service->coir__services->opts.within;
    coir_retry_state state = {0};
    bool was_ready = false;
    for (;;) {
        int r = service->code = run(service);
        was_ready = was_ready || service->state == COIR_SERVICE_READY;
        if (ends(service, r) || !was_ready)
            return r;
        if (service->state == COIR_SERVICE_READY && coir_now() - service->since >= stable)
            state = (coir_retry_state){0};
        COIR_TRY(pause_before_restart(service, &state, r < 0 ? r : -COIR_ECLOSED));
    }
}

static int keep_and_say(void *arg)
{
    coir_service *service = arg;
    int r = keep(arg);
    enter(service, COIR_SERVICE_STOPPED);
    return r;
}

/* ---- all of them ---- */

/* Starts each when the one before it is ready. */
static int start_all(struct coir__services *set, size_t count)
{
    for (; set->started < count; set->started++) {
        coir_service *service = &set->services[set->started];
        coir_spawn_opts opts = {.ready = true, .name = service->name};
        COIR_TRY(coir_spawn_with(&set->keepers, keep_and_say, service, &opts,
                                 &set->tasks[set->started]));
    }
    return 0;
}

/* Has a service end by itself, if it knows how to, within its grace. */
static void ask_to_end(coir_service *service, coir_task *const *task)
{
    COIR_DEADLINE(service->grace != 0 ? service->grace : COIR_SEC(10));
    if (service->stop(service->arg) < 0 || coir_wait_all(task, 1) < 0)
        coir_clear_error(); /* it will be cancelled */
}

/* Returns what the keeper ended with. */
static int stop(coir_service *service, coir_task **task)
{
    bool asks = service->stop != NULL && service->state == COIR_SERVICE_READY;
    if (!coir_task_done(*task)) {
        service->coir__stopping = true;
        enter(service, COIR_SERVICE_STOPPING);
        if (asks)
            ask_to_end(service, task);
        coir_cancel(*task, "the services are stopped");
    }
    int result = coir_join(*task, NULL);
    return result == -COIR_ECANCELEDTASK ? 0 : result;
}

/* Stops those that were started, the last one first. Returns the reason r for it, or the failure
 * of the which-th, which is the reason, or one of stopping where there is no other. */
static int stop_all(struct coir__services *set, int r, size_t which)
{
    COIR_SHIELD(COIR_FOREVER);
    for (size_t i = set->started; i-- > 0;) {
        if (i == which)
            continue;
        int stopped = stop(&set->services[i], &set->tasks[i]);
        if (stopped < 0 && which == SIZE_MAX && (r == 0 || r == -ECANCELED || r == -ETIME))
            r = stopped;
    }
    return which < set->started ? stop(&set->services[which], &set->tasks[which]) : r;
}

static int run_all(struct coir__services *set, size_t count)
{
    size_t failed = SIZE_MAX;
    int r = start_all(set, count);
    if (r == 0) {
        coir_ready();
        r = count > 0 ? coir_wait_first_error(set->tasks, count) : 0;
        if (r >= 0 && (size_t)r < count)
            failed = (size_t)r;
        r = r < 0 ? r : 0;
    }
    return stop_all(set, r, failed);
}

/* ---- the public call ---- */

static int check(const coir_service *services, size_t count, const coir_services_opts *opts)
{
    if ((services == NULL && count > 0) || count > INT_MAX || opts->within < 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        const coir_service *service = &services[i];
        if (service->coir__services != NULL)
            return -EBUSY;
        if (service->name == NULL || service->run == NULL || service->start < 0 ||
            service->grace < 0 || (unsigned)service->restart > COIR_RESTART_ALWAYS)
            return -EINVAL;
    }
    return 0;
}

static void take_services(struct coir__services *set, size_t count, struct coir__services *owner)
{
    for (size_t i = 0; i < count; i++) {
        coir_service *service = &set->services[i];
        service->coir__services = owner;
        if (owner == NULL)
            continue;
        service->state = COIR_SERVICE_STOPPED;
        service->code = 0;
        service->restarts = 0;
        service->coir__stopping = false;
    }
}

static int open_set(struct coir__services *set, size_t count)
{
    set->restarts.limit = set->opts.restarts;
    set->restarts.per = set->opts.within;
    set->restarts.times = coir_calloc(set->opts.restarts, sizeof *set->restarts.times);
    set->tasks = coir_calloc(count + 1, sizeof *set->tasks);
    if (set->restarts.times == NULL || set->tasks == NULL)
        return -ENOMEM;
    return coir_group_init(&set->keepers, COIR_COLLECT);
}

static void close_set(struct coir__services *set)
{
    (void)coir_group_close(&set->keepers);
    coir_free(set->restarts.times);
    coir_free(set->tasks);
}

int coir_services_run(coir_service *services, size_t count, const coir_services_opts *opts)
{
    struct coir__services set = {.services = services};
    if (opts != NULL)
        set.opts = *opts;
    if (set.opts.restarts == 0)
        set.opts.restarts = 5;
    if (set.opts.within == 0)
        set.opts.within = COIR_SEC(60);
    COIR_TRY(check(services, count, &set.opts));
    COIR_TRY(coir_pending());
    int r = open_set(&set, count);
    if (r == 0) {
        take_services(&set, count, &set);
        r = run_all(&set, count);
        take_services(&set, count, NULL);
    }
    close_set(&set);
    return r;
}
