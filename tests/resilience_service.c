/* resilience_service.c: services: their order, restarts and pauses, limits, how they are stopped,
 * and what becomes of a failure at each step.
 */
#include <coir/event.h>
#include <coir/service.h>
#include <stdio.h>
#include <string.h>

#include "sync.h"

/* What services did, as "+a +b -b -a". */
static char story[256];

static void tell(const char *what, const char *name)
{
    size_t length = strlen(story);
    (void)snprintf(story + length, sizeof story - length, "%s%s%s", length > 0 ? " " : "", what,
                   name);
}

struct worker {
    const char *name;
    coir_time prepares; /* before it is ready */
    coir_time works;    /* before it returns result; 0: until it is cancelled */
    int result;
    int fails_first;  /* so many runs fail before they are ready, with -EAGAIN */
    coir_time cleans; /* when it is cancelled */
    int cleaned;      /* what it returns then; 0: the cancellation */
    coir_event ask;   /* set by stop */
    int runs;
};

static int clean_up(struct worker *worker, int r)
{
    COIR_SHIELD(COIR_FOREVER);
    if (worker->cleans > 0)
        COIR_TRY(coir_sleep(worker->cleans));
    tell("-", worker->name);
    return worker->cleaned < 0 ? worker->cleaned : r;
}

static int work(void *arg)
{
    struct worker *worker = arg;
    if (worker->runs++ < worker->fails_first)
        return coir_fail(-EAGAIN, "not yet");
    if (worker->prepares > 0)
        COIR_TRY(coir_sleep(worker->prepares));
    tell("+", worker->name);
    coir_ready();
    if (worker->works > 0) {
        COIR_TRY(coir_sleep(worker->works));
        return worker->result;
    }
    return clean_up(worker, coir_event_wait(&worker->ask));
}

static int ask(void *arg)
{
    struct worker *worker = arg;
    tell("?", worker->name);
    return coir_event_set(&worker->ask);
}

static coir_service serves(struct worker *worker)
{
    return (coir_service){.name = worker->name, .run = work, .arg = worker};
}

struct set {
    coir_service *services;
    size_t count;
    coir_services_opts *opts;
};

static int run_set(void *arg)
{
    struct set *set = arg;
    return coir_services_run(set->services, set->count, set->opts);
}

/* Runs services until all are ready, and for a time; then they are cancelled. Its result. */
static int run_for(coir_service *services, size_t count, coir_services_opts *opts,
                   coir_time duration)
{
    struct set set = {services, count, opts};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_TRY(coir_spawn_with(&group, run_set, &set, &(coir_spawn_opts){.ready = true}, &task));
    COIR_TRY(coir_sleep(duration));
    coir_cancel(task, NULL);
    return joined(task);
}

COIR_TEST(order)
{
    struct worker workers[] = {{.name = "a", .prepares = COIR_SEC(3), .cleans = COIR_SEC(1)},
                               {.name = "b"},
                               {.name = "c"}};
    coir_service services[3];
    for (int i = 0; i < 3; i++)
        services[i] = serves(&workers[i]);
    workers[2].cleans = COIR_SEC(5);
    coir_time start = coir_now();
    COIR_EXPECT_CODE(run_for(services, 3, NULL, COIR_SEC(10)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_STR(story, "+a +b +c -c -b -a");
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3 + 10 + 5 + 1));
    for (int i = 0; i < 3; i++) {
        COIR_EXPECT_EQ(services[i].state, COIR_SERVICE_STOPPED);
        COIR_EXPECT_EQ(services[i].code, 0);
    }
}

COIR_TEST(none)
{
    COIR_EXPECT_OK(coir_services_run(NULL, 0, NULL));
}

COIR_TEST(nonsense)
{
    struct worker worker = {.name = "a"};
    coir_service good = serves(&worker), all[] = {good, good, good, good, good};
    all[0].name = NULL;
    all[1].run = NULL;
    all[2].start = -1;
    all[3].grace = -1;
    all[4].restart = (coir_restart)3;
    for (size_t i = 0; i < COIR_COUNT(all); i++)
        COIR_EXPECT_CODE(coir_services_run(&all[i], 1, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_services_run(NULL, 1, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_services_run(&good, 1, &(coir_services_opts){.within = -1}), -EINVAL);
    COIR_EXPECT_EQ(worker.runs, 0);
}

COIR_TEST(names_of_states)
{
    COIR_EXPECT_STR(coir_service_state_name(COIR_SERVICE_STOPPED), "stopped");
    COIR_EXPECT_STR(coir_service_state_name(COIR_SERVICE_STOPPING), "stopping");
    COIR_EXPECT_STR(coir_service_state_name((coir_service_state)99), "unknown");
}

COIR_TEST(busy)
{
    struct worker worker = {.name = "a"};
    coir_service service = serves(&worker);
    struct set set = {&service, 1, NULL};
    COIR_GROUP(group);
    START(&group, run_set, &set, NULL);
    COIR_EXPECT_CODE(coir_services_run(&service, 1, NULL), -EBUSY);
}

/* ---- starting ---- */

static int fail_at_once(void *arg)
{
    return arg == NULL ? coir_fail(-ENOENT, "no configuration") : 0;
}

COIR_TEST(failed_start_unwinds)
{
    struct worker a = {.name = "a"}, b = {.name = "b"}, d = {.name = "d"};
    coir_service services[] = {serves(&a),
                               serves(&b),
                               {.name = "c", .run = fail_at_once, .restart = COIR_RESTART_ALWAYS},
                               serves(&d)};
    COIR_EXPECT_CODE(coir_services_run(services, 4, NULL), -ENOENT);
    COIR_EXPECT_STR(story, "+a +b -b -a");
    COIR_EXPECT_EQ(services[2].code, -ENOENT);
    COIR_EXPECT_EQ(services[2].restarts, 0);
    COIR_EXPECT_EQ(d.runs, 0);
}

COIR_TEST(failed_start_says_why)
{
    coir_service service = {.name = "c", .run = fail_at_once};
    COIR_EXPECT_CODE(coir_services_run(&service, 1, NULL), -ENOENT);
    COIR_EXPECT_STR(coir_last_message(-ENOENT), "no configuration");
}

COIR_TEST(end_before_ready_is_a_failure)
{
    coir_service service = {.name = "c", .run = fail_at_once, .arg = &service};
    COIR_EXPECT_CODE(coir_services_run(&service, 1, NULL), -COIR_ECLOSED);
}

COIR_TEST(slow_start)
{
    struct worker a = {.name = "a"}, slow = {.name = "slow", .prepares = COIR_SEC(60)};
    coir_service services[] = {serves(&a), serves(&slow)};
    services[1].start = COIR_SEC(5);
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_services_run(services, 2, NULL), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(5));
    COIR_EXPECT_STR(story, "+a -a");
    services[1].start = 0;
    COIR_EXPECT_CODE(coir_services_run(services, 2, NULL), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(35));
}

COIR_TEST(cancelled_while_it_starts)
{
    struct worker a = {.name = "a"}, slow = {.name = "slow", .prepares = COIR_SEC(20)};
    coir_service services[] = {serves(&a), serves(&slow)};
    {
        COIR_DEADLINE(COIR_SEC(10));
        COIR_EXPECT_CODE(coir_services_run(services, 2, NULL), -ETIME);
    }
    COIR_EXPECT_STR(story, "+a -a");
    COIR_EXPECT_EQ(services[1].state, COIR_SERVICE_STOPPED);
}

/* ---- restarts ---- */

static coir_time entered[32];
static coir_service_state states[32];
static size_t changes;

static void on_change(const coir_service *service, void *arg)
{
    (void)arg;
    if (changes == COIR_COUNT(states))
        return;
    states[changes] = service->state;
    entered[changes++] = service->since;
}

COIR_TEST(restart_after_a_failure)
{
    struct worker worker = {.name = "a", .works = COIR_SEC(5), .result = -EIO};
    static const coir_retry backoff = {.base = COIR_SEC(1), .cap = COIR_SEC(60)};
    coir_service service = serves(&worker);
    service.restart = COIR_RESTART_ON_FAILURE;
    service.backoff = &backoff;
    coir_services_opts opts = {.on_change = on_change};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(run_for(&service, 1, &opts, COIR_SEC(14)), -COIR_ECANCELEDTASK);
    static const coir_service_state expected[] = {
        COIR_SERVICE_STARTING, COIR_SERVICE_READY,   COIR_SERVICE_PAUSING,  COIR_SERVICE_STARTING,
        COIR_SERVICE_READY,    COIR_SERVICE_PAUSING, COIR_SERVICE_STARTING, COIR_SERVICE_READY,
        COIR_SERVICE_STOPPING, COIR_SERVICE_STOPPED};
    static const int at[] = {0, 0, 5, 6, 6, 11, 13, 13, 14, 14};
    COIR_REQUIRE_EQ(changes, COIR_COUNT(expected));
    for (size_t i = 0; i < changes; i++) {
        COIR_EXPECT_EQ(states[i], expected[i]);
        COIR_EXPECT_EQ(entered[i] - start, COIR_SEC(at[i]));
    }
    COIR_EXPECT_EQ(service.restarts, 2);
}

COIR_TEST(success_ends_it)
{
    static const coir_restart policies[] = {COIR_RESTART_NEVER, COIR_RESTART_ON_FAILURE};
    for (size_t i = 0; i < COIR_COUNT(policies); i++) {
        struct worker worker = {.name = "a", .works = COIR_SEC(5)};
        coir_service service = serves(&worker);
        service.restart = policies[i];
        COIR_EXPECT_OK(coir_services_run(&service, 1, NULL));
        COIR_EXPECT_EQ(worker.runs, 1);
    }
}

/* The others go on when one has done its work. */
COIR_TEST(one_ends_the_others_go_on)
{
    struct worker a = {.name = "a", .works = COIR_SEC(1)}, b = {.name = "b", .works = COIR_SEC(9)};
    coir_service services[] = {serves(&a), serves(&b)};
    coir_time start = coir_now();
    COIR_EXPECT_OK(coir_services_run(services, 2, NULL));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(9));
}

COIR_TEST(never_restarted)
{
    struct worker a = {.name = "a"}, b = {.name = "b", .works = COIR_SEC(5), .result = -EIO};
    struct worker c = {.name = "c"};
    coir_service services[] = {serves(&a), serves(&b), serves(&c)};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_services_run(services, 3, NULL), -EIO);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(5));
    COIR_EXPECT_STR(story, "+a +b +c -c -a");
    COIR_EXPECT_EQ(services[1].code, -EIO);
}

COIR_TEST(restart_always)
{
    struct worker worker = {.name = "a", .works = COIR_SEC(5)};
    static const coir_retry backoff = {.base = COIR_SEC(1), .factor = 1};
    coir_service service = serves(&worker);
    service.restart = COIR_RESTART_ALWAYS;
    service.backoff = &backoff;
    COIR_EXPECT_CODE(run_for(&service, 1, NULL, COIR_SEC(20)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(worker.runs, 4);
    COIR_EXPECT_EQ(service.restarts, 3);
}

/* The sixth restart in a minute is one too many; after a longer time it is not. */
COIR_TEST(too_many_restarts)
{
    struct worker a = {.name = "a"}, b = {.name = "b", .works = COIR_SEC(1), .result = -EIO};
    static const coir_retry backoff = {.base = COIR_SEC(1), .factor = 1};
    coir_service services[] = {serves(&a), serves(&b)};
    services[1].restart = COIR_RESTART_ON_FAILURE;
    services[1].backoff = &backoff;
    coir_time start = coir_now();
    COIR_EXPECT_CODE(coir_services_run(services, 2, NULL), -EIO);
    COIR_EXPECT_CONTAINS(coir_last_message(-EIO), "service 'b' was restarted too often");
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(6 * 1 + 5 * 1));
    COIR_EXPECT_EQ(services[1].restarts, 5);
    COIR_EXPECT_CONTAINS(story, "-a");
    b.works = COIR_SEC(11); /* five in a minute, and never six */
    COIR_EXPECT_CODE(run_for(services, 2, NULL, COIR_SEC(600)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(services[1].restarts, 50);
}

/* All services share the limit, and it can be set. */
COIR_TEST(restarts_are_counted_together)
{
    struct worker workers[] = {{.name = "a", .works = COIR_SEC(2), .result = -EIO},
                               {.name = "b", .works = COIR_SEC(3), .result = -EPIPE}};
    static const coir_retry backoff = {.base = COIR_SEC(100)};
    coir_service services[] = {serves(&workers[0]), serves(&workers[1])};
    services[0].restart = services[1].restart = COIR_RESTART_ON_FAILURE;
    services[0].backoff = services[1].backoff = &backoff;
    coir_services_opts opts = {.restarts = 1, .within = COIR_SEC(10)};
    coir_time start = coir_now();
    COIR_DEADLINE(COIR_SEC(1000)); /* one alone would go on for ever */
    COIR_EXPECT_CODE(coir_services_run(services, 2, &opts), -EPIPE);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
}

/* A service that has worked for long is not the one that kept failing. */
COIR_TEST(pauses_begin_anew)
{
    struct worker worker = {.name = "a", .works = COIR_SEC(100), .result = -EIO};
    static const coir_retry backoff = {.base = COIR_SEC(1), .cap = COIR_SEC(1000), .factor = 10};
    coir_service service = serves(&worker);
    service.restart = COIR_RESTART_ON_FAILURE;
    service.backoff = &backoff;
    coir_services_opts opts = {.on_change = on_change};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(run_for(&service, 1, &opts, COIR_SEC(203)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(worker.runs, 3);
    COIR_REQUIRE_GT(changes, 6);
    COIR_EXPECT_EQ(entered[6] - start, COIR_SEC(202));
}

COIR_TEST(failing_restarts_go_on)
{
    struct worker worker = {.name = "a", .works = COIR_SEC(5), .result = -EIO};
    static const coir_retry backoff = {.base = COIR_SEC(1), .factor = 1};
    coir_service service = serves(&worker);
    service.restart = COIR_RESTART_ON_FAILURE;
    service.backoff = &backoff;
    struct set set = {&service, 1, NULL};
    COIR_GROUP(group);
    coir_task *task;
    START(&group, run_set, &set, &task);
    worker.runs = 0;
    worker.fails_first = 2; /* the next two starts fail, and are retried */
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(5 + 3 + 1)));
    COIR_EXPECT_EQ(service.state, COIR_SERVICE_READY);
    COIR_EXPECT_EQ(service.restarts, 3);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
}

/* What the policy does not retry ends all. */
COIR_TEST(not_worth_a_restart)
{
    struct worker worker = {.name = "a", .works = COIR_SEC(5), .result = -EINVAL};
    coir_service service = serves(&worker);
    service.restart = COIR_RESTART_ALWAYS;
    COIR_EXPECT_CODE(coir_services_run(&service, 1, NULL), -EINVAL);
    COIR_EXPECT_EQ(worker.runs, 1);
}

COIR_TEST(attempts_of_the_policy)
{
    struct worker worker = {.name = "a", .works = COIR_SEC(5), .result = -EIO};
    static const coir_retry backoff = {.attempts = 3};
    coir_service service = serves(&worker);
    service.restart = COIR_RESTART_ALWAYS;
    service.backoff = &backoff;
    COIR_EXPECT_CODE(coir_services_run(&service, 1, NULL), -EIO);
    COIR_EXPECT_EQ(worker.runs, 3);
}

COIR_TEST(stopped_in_a_pause)
{
    struct worker worker = {.name = "a", .works = COIR_SEC(5), .result = -EIO};
    static const coir_retry backoff = {.base = COIR_SEC(100), .cap = COIR_SEC(100)};
    coir_service service = serves(&worker);
    service.restart = COIR_RESTART_ALWAYS;
    service.backoff = &backoff;
    service.stop = ask;
    coir_time start = coir_now();
    COIR_EXPECT_CODE(run_for(&service, 1, NULL, COIR_SEC(10)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(10));
    COIR_EXPECT_STR(story, "+a"); /* nobody asks what does not run */
}

/* ---- stopping ---- */

COIR_TEST(asked_to_end)
{
    struct worker a = {.name = "a", .cleans = COIR_SEC(4)}, b = {.name = "b"};
    coir_service services[] = {serves(&a), serves(&b)};
    services[0].stop = services[1].stop = ask;
    coir_time start = coir_now();
    COIR_EXPECT_CODE(run_for(services, 2, NULL, COIR_SEC(1)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_STR(story, "+a +b ?b -b ?a -a");
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(5));
}

static int ignore(void *arg)
{
    tell("?", ((struct worker *)arg)->name);
    return 0;
}

static int refuse(void *arg)
{
    tell("?", ((struct worker *)arg)->name);
    return -EIO;
}

static int sleep_long(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_SEC(3600));
}

/* Each has its own grace: 2 s, the default of 10 s; one that refuses is cancelled at once. */
COIR_TEST(grace)
{
    struct worker workers[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}};
    coir_service services[4];
    for (int i = 0; i < 4; i++)
        services[i] = serves(&workers[i]);
    services[0].stop = ignore;
    services[0].grace = COIR_SEC(2);
    services[1].stop = ignore;
    services[2].stop = refuse;
    services[3].stop = sleep_long;
    services[3].grace = COIR_SEC(5);
    coir_time start = coir_now();
    COIR_EXPECT_CODE(run_for(services, 4, NULL, COIR_SEC(1)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1 + 5 + 0 + 10 + 2));
    COIR_EXPECT_STR(story, "+a +b +c +d -d ?c -c ?b -b ?a -a");
}

/* A failure of stopping is the result where there is no other. */
COIR_TEST(stopping_fails)
{
    struct worker a = {.name = "a", .cleaned = -EIO}, b = {.name = "b"};
    coir_service services[] = {serves(&a), serves(&b)};
    COIR_EXPECT_CODE(run_for(services, 2, NULL, COIR_SEC(1)), -EIO);
    COIR_EXPECT_EQ(services[0].code, -EIO);
    COIR_EXPECT_STR(story, "+a +b -b -a");
    b = (struct worker){.name = "b", .works = COIR_SEC(1), .result = -EPIPE};
    COIR_EXPECT_CODE(coir_services_run(services, 2, NULL), -EPIPE);
}

/* Services are one service of others, with a readiness of their own. */
COIR_TEST(nested)
{
    struct worker a = {.name = "a", .prepares = COIR_SEC(1)}, b = {.name = "b"}, c = {.name = "c"};
    coir_service inner[] = {serves(&a), serves(&b)};
    struct set set = {inner, 2, NULL};
    coir_service outer[] = {{.name = "inner", .run = run_set, .arg = &set}, serves(&c)};
    COIR_EXPECT_CODE(run_for(outer, 2, NULL, COIR_SEC(1)), -COIR_ECANCELEDTASK);
    COIR_EXPECT_STR(story, "+a +b +c -c -b -a");
}
