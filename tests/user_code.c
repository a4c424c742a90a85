/* user_code.c: what code written with coir looks like (the design's user-code.md): its programs, as
 * they are written there, inside a harness that says what they must do. The harness of a section
 * stands before it; nothing in a section is there for the test.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/testing.h>

#include "child.h"

/* Runs one of the programs in virtual time, in a process of its own, and gives what it printed. */
static int run_virtually(void *arg)
{
    coir_fn fn = *(coir_fn *)arg;
    coir_loop_opts opts = coir_test_loop_opts();
    opts.report = NULL;
    int r = coir_run(fn, NULL, &opts, NULL);
    return r < 0 ? 1 : r;
}

static void expect_program(coir_fn fn, struct child *child)
{
    COIR_REQUIRE_EQ(child_run(child, run_virtually, &fn), 0);
    COIR_EXPECT(WIFEXITED(child->status));
    COIR_EXPECT_EQ(WEXITSTATUS(child->status), 0);
}

/* Runs fn(arg) as a task, cancels it after a while, and gives its result and how long it took. */
static int cancel_after(coir_time while_, coir_fn fn, void *arg, coir_time *ret_took)
{
    coir_task *task;
    coir_time start = coir_now();
    int result = 1;
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, fn, arg, &task));
    COIR_TRY(coir_sleep(while_));
    coir_cancel(task, "the user has gone");
    COIR_TRY(coir_join(task, &result));
    *ret_took = coir_now() - start;
    return result;
}

/* ---- 1. a program is one function ---- */

static int hello(void *arg)
{
    (void)arg;
    for (int tick = 0; tick < 3; tick++) {
        COIR_TRY(coir_sleep(COIR_SEC(1)));
        printf("tick %d\n", tick);
    }
    return 0;
}

COIR_TEST_TAGGED(section_1_hello, "own_loop,no_torture")
{
    struct child child;
    expect_program(hello, &child);
    COIR_EXPECT_STR(child.output, "tick 0\ntick 1\ntick 2\n");
}

/* ---- 2. many things at once ---- */

struct page {
    const char *url;
    int status;
    size_t length;
};

static int running, most_running;

static int fetch(void *arg)
{
    struct page *page = arg;
    most_running = ++running > most_running ? running : most_running;
    int r = coir_sleep(COIR_SEC(1));
    running--;
    COIR_TRY(r);
    page->status = 200;
    page->length = strlen(page->url);
    return 0;
}

COIR_TEST(section_2_map)
{
    struct page pages[12];
    coir_time start = coir_now();
    for (size_t i = 0; i < COIR_COUNT(pages); i++)
        pages[i] = (struct page){.url = "https://docs.python.org"};
    /* one task per element, at most 5 in flight; the first failure cancels and joins the rest */
    COIR_REQUIRE_OK(
        coir_map(fetch, pages, COIR_COUNT(pages), sizeof pages[0], &(coir_map_opts){.limit = 5}));
    COIR_EXPECT_EQ(most_running, 5);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
    for (size_t i = 0; i < COIR_COUNT(pages); i++)
        COIR_EXPECT_EQ(pages[i].status, 200);
}

static int fail_at_once(void *arg)
{
    (void)arg;
    return -EIO;
}

COIR_TEST(section_2_gather)
{
    struct page page = {.url = "https://pypi.org"};
    coir_call calls[] = {{.fn = fetch, .arg = &page}, {.fn = fail_at_once}};
    COIR_EXPECT_CODE(coir_gather(calls, 2, COIR_FAIL_FAST), -EIO);
    COIR_EXPECT_CODE(calls[0].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(calls[1].result, -EIO);
    COIR_EXPECT_OK(coir_gather(calls, 2, COIR_COLLECT));
    COIR_EXPECT_CODE(calls[0].result, 0);
    COIR_EXPECT_CODE(calls[1].result, -EIO);
}

/* ---- 3. groups own tasks ---- */

struct job {
    const char *name;
    coir_time time;
};

static int sleep_then_report(void *arg)
{
    struct job *job = arg;
    int r = coir_sleep(job->time);
    printf("%s after %g s: %s\n", coir_task_name(NULL), (double)job->time / 1e9,
           coir_error_name(r));
    return r;
}

static int race(void *arg)
{
    (void)arg;
    struct job a = {"A", COIR_SEC(2)}, b = {"B", COIR_SEC(1)};
    COIR_GROUP(jobs); /* declared after what its tasks use; leaving cancels and joins them */

    coir_task *tasks[2];
    COIR_TRY(coir_spawn(&jobs, sleep_then_report, &a, &tasks[0]));
    COIR_TRY(coir_spawn(&jobs, sleep_then_report, &b, &tasks[1]));
    coir_task_set_name(tasks[0], "job %s", "A");

    int first = COIR_TRY(coir_wait_first(tasks, 2)); /* 1: B, after one second */
    coir_cancel(tasks[1 - first], "the other one won");

    int result;
    COIR_TRY(coir_join(tasks[1 - first], &result)); /* the joining worked; result says cancelled */
    return coir_join(tasks[first], NULL);           /* NULL: its failure becomes mine */
}

COIR_TEST_TAGGED(section_3_race, "own_loop,no_torture")
{
    struct child child;
    expect_program(race, &child);
    COIR_EXPECT_STR(child.output, "sleep_then_report after 1 s: OK\njob A after 2 s: ECANCELED\n");
}

COIR_TEST(section_3_race_takes_a_second)
{
    coir_time start = coir_now();
    COIR_REQUIRE_OK(race(NULL));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

/* A group is a scope of the body that opened it. */
static int serve(void *arg)
{
    struct job job = {"A", COIR_SEC(2)};
    COIR_GROUP(jobs);
    COIR_TRY(coir_spawn(&jobs, sleep_then_report, &job, NULL));
    COIR_TRY(coir_spawn(&jobs, fail_at_once, NULL, NULL));
    *(int *)arg = coir_sleep(COIR_SEC(10));
    return coir_group_finish(&jobs, *(int *)arg);
}

COIR_TEST(section_3_failing_child_ends_the_body)
{
    int body = 0;
    coir_time start = coir_now();
    COIR_EXPECT_CODE(serve(&body), -EIO);
    COIR_EXPECT_CODE(body, -ECANCELED);
    COIR_EXPECT_EQ(coir_now() - start, 0);
}

COIR_TEST(section_3_first_success_cancels_the_rest)
{
    struct job a = {"A", COIR_SEC(2)}, b = {"B", COIR_SEC(1)};
    coir_time start = coir_now();
    COIR_GROUP_ANY(jobs);
    COIR_REQUIRE_OK(coir_spawn(&jobs, sleep_then_report, &a, NULL));
    COIR_REQUIRE_OK(coir_spawn(&jobs, fail_at_once, NULL, NULL));
    COIR_REQUIRE_OK(coir_spawn(&jobs, sleep_then_report, &b, NULL));
    COIR_EXPECT_OK(coir_group_wait(&jobs));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

/* ---- 4. deadlines, cancellation, cleanup ---- */

typedef struct db {
    coir_time goodbye; /* how long it takes */
    int said, freed;
} db;

static db the_db;

static int db_connect(const char *host, db **ret_db)
{
    (void)host;
    *ret_db = &the_db;
    return coir_yield();
}

static int db_query(db *conn, const char *text)
{
    (void)conn, (void)text;
    COIR_TRY(coir_sleep(COIR_SEC(60)));
    return 1;
}

static int db_say_goodbye(db *conn)
{
    COIR_TRY(coir_sleep(conn->goodbye));
    conn->said++;
    return 0;
}

static void db_free(db *conn)
{
    conn->freed++;
}

static void db_close(db *conn) /* what COIR_AUTO(db) calls, by COIR_CLOSER(db, db_close) */
{
    COIR_SHIELD(COIR_SEC(1)); /* from here if a cancellation is pending, else from its arrival */
    (void)!db_say_goodbye(conn);
    db_free(conn);
}
COIR_CLOSER(db, db_close);

static int with_cleanup(void *arg)
{
    (void)arg;
    COIR_AUTO(db) *conn = NULL; /* an async context manager: closed on every path */
    COIR_TRY(db_connect("localhost", &conn));

    COIR_SCOPE(query, COIR_SEC(5)); /* to the end of this block */
    int r = db_query(conn, "select pg_sleep(60)");
    if (coir_scope_expired(&query)) {
        fprintf(stderr, "too slow\n");
        r = -ETIMEDOUT; /* the scope is mine: what I return is a result, not a cancellation */
    }
    return r;
}

COIR_TEST(section_4_query_is_too_slow)
{
    coir_time start = coir_now();
    the_db = (db){.goodbye = COIR_MS(500)};
    COIR_EXPECT_CODE(with_cleanup(NULL), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(5.5));
    COIR_EXPECT_EQ(the_db.said, 1);
    COIR_EXPECT_EQ(the_db.freed, 1);
}

COIR_TEST(section_4_cancelled_query_says_goodbye)
{
    coir_time took = 0;
    the_db = (db){.goodbye = COIR_MS(500)};
    COIR_EXPECT_CODE(cancel_after(COIR_SEC(2), with_cleanup, NULL, &took), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(took, COIR_SEC(2.5));
    COIR_EXPECT_EQ(the_db.said, 1);
    COIR_EXPECT_EQ(the_db.freed, 1);
}

COIR_TEST(section_4_goodbye_is_bounded)
{
    coir_time took = 0;
    the_db = (db){.goodbye = COIR_SEC(100)};
    COIR_EXPECT_CODE(cancel_after(COIR_SEC(2), with_cleanup, NULL, &took), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(took, COIR_SEC(3));
    COIR_EXPECT_EQ(the_db.said, 0);
    COIR_EXPECT_EQ(the_db.freed, 1);
    /* the cancellation arrives in the middle of the goodbye, and is held off from there on */
    the_db = (db){.goodbye = COIR_SEC(100)};
    COIR_EXPECT_CODE(cancel_after(COIR_SEC(30), with_cleanup, NULL, &took), -ETIMEDOUT);
    COIR_EXPECT_EQ(took, COIR_SEC(31));
    COIR_EXPECT_EQ(the_db.freed, 1);
}

/* ---- 5. channels carry values ---- */

struct item {
    int id;
    coir_time time;
};

static int producer(void *arg)
{
    COIR_AUTO(coir_sender) *out = arg; /* the channel closes when its last sender closes */
    for (int i = 0; i < 10; i++) {
        COIR_TRY(coir_sleep(COIR_MS(100)));
        struct item item = {.id = i, .time = coir_now()};
        COIR_TRY(coir_send(out, &item)); /* waits while the channel is full */
    }
    return 0;
}

static int start_producer(coir_group *group, coir_sender *out)
{
    COIR_AUTO(coir_sender) *mine = NULL;
    COIR_TRY(coir_sender_clone(out, &mine));
    COIR_TRY(coir_spawn(group, producer, mine, NULL));
    (void)COIR_TAKE(mine); /* spawned: it is the producer's now */
    return 0;
}

static int channel_app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_TRY(coir_channel_open(struct item, 64, &out, &in));

    COIR_GROUP(producers);
    for (int i = 0; i < 3; i++)
        COIR_TRY(start_producer(&producers, out));
    coir_sender_close(COIR_TAKE(out)); /* only the producers hold it open now */

    struct item item;
    int r;
    while ((r = coir_receive(in, &item)) > 0)
        printf("%d\n", item.id);
    return coir_group_finish(&producers, r);
}

COIR_TEST_TAGGED(section_5_channels, "own_loop,no_torture")
{
    struct child child;
    char expected[256] = "";
    size_t length = 0;
    for (int i = 0; i < 30; i++)
        length += (size_t)snprintf(expected + length, sizeof expected - length, "%d\n", i / 3);
    expect_program(channel_app, &child);
    COIR_EXPECT_STR(child.output, expected);
}

COIR_TEST(section_5_channels_under_torture)
{
    coir_time start = coir_now();
    COIR_REQUIRE_OK(channel_app(NULL));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

/* ---- 6. whatever comes first ---- */

struct commander {
    coir_sender *out;
    coir_receiver *commands;
    int obeyed, reloads, reports;
};

static int select_once(struct commander *commander)
{
    coir_receiver *commands = commander->commands;
    int command;
    coir_case cases[] = {
        COIR_ON_RECEIVE(commands, &command),
        COIR_ON_SIGNAL(SIGHUP),
        COIR_ON_TIMER(COIR_SEC(30)),
    };
    switch (COIR_TRY(coir_select(cases, COIR_COUNT(cases)))) {
    case 0: commander->obeyed += command; break;
    case 1: commander->reloads++; break;
    case 2: commander->reports++; break;
    }
    return 0;
}

static int send_command_and_signal(void *arg)
{
    struct commander *commander = arg;
    int command = 5;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    COIR_TRY(coir_send(commander->out, &command));
    COIR_TRY(coir_sleep(COIR_SEC(10)));
    raise(SIGHUP);
    return 0;
}

COIR_TEST_TAGGED(section_6_select, "no_torture")
{
    struct commander commander = {.obeyed = 0};
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_REQUIRE_OK(coir_channel_open(int, 1, &out, &in));
    commander.out = out;
    commander.commands = in;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_command_and_signal, &commander, NULL));
    COIR_EXPECT_OK(select_once(&commander));
    COIR_EXPECT_EQ(commander.obeyed, 5);
    COIR_EXPECT_OK(select_once(&commander));
    COIR_EXPECT_EQ(commander.reloads, 1);
    coir_time start = coir_now();
    COIR_EXPECT_OK(select_once(&commander));
    COIR_EXPECT_EQ(commander.reports, 1);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(30));
}

/* ---- 7. locks ---- */

struct counter {
    coir_lock lock;
    long value;
};

static int worker(void *arg)
{
    struct counter *counter = arg;
    for (int i = 0; i < 100; i++) {
        COIR_LOCK(&counter->lock); /* held to the end of this block */
        long current = counter->value;
        COIR_TRY(coir_yield());
        counter->value = current + 1;
    }
    return 0;
}

COIR_TEST(section_7_ten_workers_count_to_a_thousand)
{
    struct counter counter = {.value = 0};
    COIR_GROUP(workers);
    for (int i = 0; i < 10; i++)
        COIR_REQUIRE_OK(coir_spawn(&workers, worker, &counter, NULL));
    COIR_EXPECT_OK(coir_group_wait(&workers));
    COIR_EXPECT_EQ(counter.value, 1000);
    COIR_EXPECT(!coir_lock_held(&counter.lock));
}

/* ---- 10. production patterns ---- */

static int unstable_call(void *arg)
{
    int *calls = arg;
    return ++*calls < 3 ? -ECONNREFUSED : 0;
}

static int flaky_service(void *arg)
{
    ++*(int *)arg;
    return -ECONNRESET;
}

static int be_persistent(int call)
{
    coir_retry retry = {
        .attempts = 5, .base = COIR_SEC(1), .cap = COIR_SEC(60), .jitter = COIR_JITTER_FULL};
    COIR_TRY(coir_retry_run(&retry, unstable_call, &call));
    return call;
}

static int be_considerate(int call)
{
    coir_breaker breaker = {.failures = 5, .recovery = COIR_SEC(60), .successes = 2};
    int r = 0;
    while (r != -COIR_EOPEN)
        r = coir_breaker_run(&breaker, flaky_service, &call);
    return call;
}

static int be_patient(void)
{
    coir_limiter limiter = {.rate = 100, .per = COIR_SEC(1), .burst = 20};
    for (int i = 0; i < 120; i++)
        COIR_TRY(coir_limiter_take(&limiter, 1));
    return 0;
}

COIR_TEST_TAGGED(section_10_production, "no_torture")
{
    COIR_EXPECT_EQ(be_persistent(0), 3);
    COIR_EXPECT_EQ(be_considerate(0), 5);
    coir_time start = coir_now();
    COIR_EXPECT_OK(be_patient());
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
}

/* ---- 11. tests run in no time at all ---- */

struct flaky {
    int calls, fail_first;
};

static int call_flaky(void *arg)
{
    struct flaky *service = arg;
    COIR_TRY(coir_yield());
    return service->calls++ < service->fail_first ? -ECONNREFUSED : 0;
}

COIR_TEST(retry_backs_off_exponentially) /* own loop, virtual clock, leak check */
{
    coir_retry retry = {.attempts = 5, .base = COIR_SEC(1), .cap = COIR_SEC(60)};
    coir_time start = coir_now();
    struct flaky service = {.fail_first = 4};
    COIR_EXPECT_OK(coir_retry_run(&retry, call_flaky, &service));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1 + 2 + 4 + 8)); /* fifteen seconds */
}
