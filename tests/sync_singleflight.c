/* sync_singleflight.c: shared executions: who shares with whom, what each caller gets, and what
 * becomes of the work when some of its callers, or all, give up.
 */
#include <coir/singleflight.h>

#include <stdio.h>
#include <string.h>

#include "core_kit.h"

struct value {
    char text[40];
    int run;
};

/* What the work does; one for each set of flights. */
struct database {
    coir_singleflight flights;
    coir_time takes;
    coir_time cleanup;
    int result;
    int runs, running, cancelled;
};

static int query(struct database *database, coir_bytes key, struct value *value)
{
    COIR_TRY(coir_sleep(database->takes));
    (void)snprintf(value->text, sizeof value->text, "%.*s", (int)key.length,
                   (const char *)key.data);
    if (database->result < 0)
        return coir_fail(database->result, "no row for %s", value->text);
    return database->result;
}

static int load(coir_bytes key, void *arg, void *ret_value)
{
    struct database *database = arg;
    struct value *value = ret_value;
    COIR_EXPECT_EQ(value->run, 0);
    value->run = ++database->runs;
    database->running++;
    int r = query(database, key, value);
    if (r == -ECANCELED) {
        database->cancelled++;
        COIR_SHIELD(COIR_FOREVER);
        COIR_EXPECT_OK(coir_sleep(database->cleanup));
    }
    database->running--;
    return r;
}

struct caller {
    struct database *database;
    const char *key;
    coir_time patience; /* 0: endless */
    struct value value;
    int result;
    char failure[300];
};

static int ask(struct caller *caller)
{
    return coir_singleflight_run(&caller->database->flights, caller->key, strlen(caller->key), load,
                                 caller->database, &caller->value);
}

static int call(void *arg)
{
    struct caller *caller = arg;
    COIR_DEADLINE(caller->patience > 0 ? caller->patience : COIR_FOREVER);
    caller->result = ask(caller);
    if (caller->result < 0)
        coir_error_format(coir_last_error(), caller->result, caller->failure,
                          sizeof caller->failure);
    return caller->result == -ECANCELED ? -ECANCELED : 0;
}

#define CALLER(name, on) struct caller name = {.database = &database, .key = (on), .result = 99}

COIR_TEST(alone)
{
    struct database database = {.takes = COIR_SEC(1), .result = 7};
    CALLER(a, "Ann");
    COIR_EXPECT_EQ(ask(&a), 7);
    COIR_EXPECT_STR(a.value.text, "Ann");
    COIR_EXPECT_EQ(ask(&a), 7); /* nothing is kept */
    COIR_EXPECT_EQ(a.value.run, 2);
    COIR_EXPECT_EQ(coir_singleflight_running(&database.flights), 0);
}

COIR_TEST(equal_keys_share_and_others_do_not)
{
    struct database database = {.takes = COIR_SEC(1)};
    CALLER(a, "Ann");
    CALLER(b, "Ann");
    CALLER(c, "Anna");
    CALLER(d, "");
    struct caller *all[] = {&a, &b, &c, &d};
    coir_time start = coir_now();
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(all); i++)
        START(&group, call, all[i], NULL);
    COIR_EXPECT_EQ(coir_singleflight_running(&database.flights), 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_EQ(database.runs, 3);
    for (size_t i = 0; i < COIR_COUNT(all); i++) {
        COIR_EXPECT_OK(all[i]->result);
        COIR_EXPECT_STR(all[i]->value.text, all[i]->key);
    }
    COIR_EXPECT_EQ(a.value.run, b.value.run);
    COIR_EXPECT_EQ(coir_singleflight_running(&database.flights), 0);
}

static int touches_nothing(coir_bytes key, void *arg, void *ret_value)
{
    (void)key, (void)arg, (void)ret_value;
    return 0;
}

COIR_TEST(arguments)
{
    struct database database = {.takes = COIR_SEC(1)};
    coir_singleflight *flights = &database.flights;
    coir_singleflight_fn fn = touches_nothing;
    CALLER(a, "Ann");
    int other;
    COIR_GROUP(group);
    START(&group, call, &a, NULL);
    COIR_EXPECT_CODE(coir_singleflight_run(flights, "Ann", 3, fn, NULL, &other), -EINVAL);
    COIR_EXPECT_CODE(coir_singleflight_run(flights, "Bob", 3, NULL, NULL, &other), -EINVAL);
    COIR_EXPECT_CODE(coir_singleflight_run(flights, NULL, 3, fn, NULL, &other), -EINVAL);
    COIR_EXPECT_CODE(coir_singleflight_run(flights, "Bob", SIZE_MAX, fn, NULL, &other), -ENOMEM);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(a.result);
}

/* Every caller gets the failure, with its trace. */
COIR_TEST(failure_for_all)
{
    struct database database = {.takes = COIR_SEC(1), .result = -ENOENT};
    CALLER(a, "Ann");
    CALLER(b, "Ann");
    COIR_GROUP(group);
    START(&group, call, &a, NULL);
    START(&group, call, &b, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(database.runs, 1);
    struct caller *both[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        COIR_EXPECT_CODE(both[i]->result, -ENOENT);
        COIR_EXPECT_CONTAINS(both[i]->failure, "error: ENOENT: no row for Ann");
        COIR_EXPECT_CONTAINS(both[i]->failure, "task 'load' spawned at sync_singleflight.c:");
    }
}

/* ---- giving up ---- */

/* The one that started the work gives up: the others get their value. */
COIR_TEST(first_caller_is_cancelled)
{
    struct database database = {.takes = COIR_SEC(1), .result = 7};
    CALLER(a, "Ann");
    CALLER(b, "Ann");
    coir_task *task;
    COIR_GROUP(group);
    START(&group, call, &a, &task);
    START(&group, call, &b, NULL);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(b.result, 7);
    COIR_EXPECT_STR(b.value.text, "Ann");
    COIR_EXPECT_EQ(database.runs, 1);
    COIR_EXPECT_EQ(database.cancelled, 0);
}

/* The deadline of one caller is not that of the work. */
COIR_TEST(deadline_of_one_caller)
{
    struct database database = {.takes = COIR_SEC(2)};
    CALLER(a, "Ann");
    CALLER(b, "Ann");
    a.patience = COIR_SEC(1);
    COIR_GROUP(group);
    START(&group, call, &a, NULL);
    START(&group, call, &b, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -ETIME);
    COIR_EXPECT_OK(b.result);
    COIR_EXPECT_EQ(database.runs, 1);
}

/* All have gone: the work is cancelled, and the last one has joined it when it returns. */
COIR_TEST(last_caller_joins_the_work)
{
    struct database database = {.takes = COIR_SEC(9), .cleanup = COIR_SEC(0.5)};
    CALLER(a, "Ann");
    CALLER(b, "Ann");
    coir_time start = coir_now();
    a.patience = COIR_SEC(1);
    b.patience = COIR_SEC(2);
    COIR_GROUP(group);
    START(&group, call, &a, NULL);
    START(&group, call, &b, NULL);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -ETIME);
    COIR_EXPECT_CODE(b.result, -ETIME);
    COIR_EXPECT_EQ(database.cancelled, 1);
    COIR_EXPECT_EQ(database.running, 0);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(2.5));
}

/* Who comes while the work of callers that have gone is cleaning up starts anew. */
COIR_TEST(asked_again_during_the_cleanup)
{
    struct database database = {.takes = COIR_SEC(1), .cleanup = COIR_SEC(0.5)};
    CALLER(a, "Ann");
    CALLER(b, "Ann");
    coir_task *task;
    COIR_GROUP(group);
    START(&group, call, &a, &task);
    coir_cancel(task, NULL);
    SETTLE();
    COIR_EXPECT_EQ(database.running, 1);
    COIR_EXPECT_EQ(coir_singleflight_running(&database.flights), 0);
    START(&group, call, &b, NULL);
    COIR_EXPECT_EQ(database.running, 2);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(b.result);
    COIR_EXPECT_EQ(b.value.run, 2);
}

/* Cancelled in the turn in which the work has ended: it has its value, and the next call
 * reports. */
COIR_TEST_TAGGED(cancelled_after_the_end, "fifo")
{
    struct database database = {.takes = COIR_SEC(1), .result = 7};
    CALLER(a, "Ann");
    coir_task *task;
    COIR_GROUP(group);
    START(&group, call, &a, &task);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    SETTLE();
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(a.result, 7);
}

COIR_TEST(pending_cancellation_starts_nothing)
{
    struct database database = {.takes = COIR_SEC(1)};
    CALLER(a, "Ann");
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(ask(&a), -ECANCELED);
    COIR_EXPECT_EQ(database.runs, 0);
}

/* ---- inside the work ---- */

static int load_itself(coir_bytes key, void *arg, void *ret_value)
{
    struct database *database = arg;
    struct value value;
    (void)ret_value;
    int r =
        coir_singleflight_run(&database->flights, key.data, key.length, load_itself, arg, &value);
    COIR_EXPECT_CODE(r, -EDEADLK);
    return coir_singleflight_run(&database->flights, "Bob", 3, load, arg, &value);
}

/* The work may ask for other keys, and not for its own. */
COIR_TEST(nested)
{
    struct database database = {.takes = COIR_SEC(1), .result = 7};
    struct value value;
    COIR_EXPECT_EQ(
        coir_singleflight_run(&database.flights, "Ann", 3, load_itself, &database, &value), 7);
    COIR_EXPECT_EQ(database.runs, 1);
}

static int cancel_itself(coir_bytes key, void *arg, void *ret_value)
{
    (void)key, (void)arg, (void)ret_value;
    coir_cancel(coir_current(), NULL);
    return coir_yield();
}

/* A cancellation of the work is not one of its callers. */
COIR_TEST(work_that_cancels_itself)
{
    coir_singleflight flights = {0};
    int value;
    COIR_EXPECT_CODE(coir_singleflight_run(&flights, "", 0, cancel_itself, NULL, &value),
                     -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_yield());
}

enum { CALLERS = 60 };

COIR_TEST_TAGGED(many, "liveness")
{
    static const char *const keys[] = {"Ann", "Bob", "Cid"};
    struct database database = {.takes = COIR_US(5), .cleanup = COIR_US(1)};
    struct caller callers[CALLERS];
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.database = &database, .key = keys[i % 3], .result = 99};
        callers[i].patience = i % 4 == 0 ? COIR_US(4) : 0;
        SPAWN(&group, call, &callers[i], NULL);
        COIR_REQUIRE_OK(coir_sleep(COIR_US(i % 3)));
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
    for (int i = 0; i < CALLERS; i++) {
        if (callers[i].result != -ETIME)
            COIR_EXPECT_STR(callers[i].value.text, keys[i % 3]);
    }
    COIR_EXPECT_LT(database.runs, CALLERS);
    COIR_EXPECT_EQ(database.running, 0);
    COIR_EXPECT_EQ(coir_singleflight_running(&database.flights), 0);
}

COIR_TEST(description)
{
    struct database database = {.takes = COIR_SEC(1)};
    CALLER(a, "Ann");
    coir_task *task;
    char text[128];
    COIR_GROUP(group);
    START(&group, call, &a, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits for the shared call 'load' (1 caller)");
    COIR_EXPECT_OK(joined(task));
}
