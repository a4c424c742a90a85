/* resilience_breaker.c: circuit breakers: each change of state, probes, stragglers, and what does
 * not count.
 */
#include <coir/breaker.h>

#include "sync.h"

/* A service that gives result after a time. */
struct call {
    int result;
    coir_time takes;
    int calls;
    coir_breaker *breaker;
};

static int answer(void *arg)
{
    struct call *call = arg;
    call->calls++;
    if (call->takes > 0)
        COIR_TRY(coir_sleep(call->takes));
    return call->result;
}

static int run(coir_breaker *breaker, int result)
{
    struct call call = {.result = result};
    return coir_breaker_run(breaker, answer, &call);
}

static int run_call(void *arg)
{
    struct call *call = arg;
    return coir_breaker_run(call->breaker, answer, call);
}

static void fail_times(coir_breaker *breaker, int times)
{
    for (int i = 0; i < times; i++)
        COIR_EXPECT_CODE(run(breaker, -EIO), -EIO);
}

static void expect_circuit(const coir_breaker *breaker, coir_circuit circuit)
{
    COIR_EXPECT_STR(coir_circuit_name(coir_breaker_circuit(breaker)), coir_circuit_name(circuit));
}

COIR_TEST(opens_after_failures_in_a_row)
{
    coir_breaker breaker = {.failures = 3};
    fail_times(&breaker, 2);
    COIR_EXPECT_EQ(run(&breaker, 7), 7); /* begins to count anew */
    fail_times(&breaker, 2);
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
    fail_times(&breaker, 1);
    expect_circuit(&breaker, COIR_CIRCUIT_OPEN);
    struct call call = {0};
    COIR_EXPECT_CODE(coir_breaker_run(&breaker, answer, &call), -COIR_EOPEN);
    COIR_EXPECT_EQ(call.calls, 0);
}

COIR_TEST(defaults)
{
    coir_breaker breaker = {0};
    fail_times(&breaker, 5);
    COIR_EXPECT_CODE(run(&breaker, 0), -COIR_EOPEN);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(60) - 1));
    COIR_EXPECT_CODE(run(&breaker, 0), -COIR_EOPEN);
    COIR_REQUIRE_OK(coir_sleep(1));
    COIR_EXPECT_OK(run(&breaker, 0));
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
}

COIR_TEST(successes_close_it)
{
    coir_breaker breaker = {.failures = 1, .successes = 2, .recovery = COIR_SEC(10)};
    fail_times(&breaker, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(10)));
    expect_circuit(&breaker, COIR_CIRCUIT_OPEN);
    COIR_EXPECT_OK(run(&breaker, 0));
    expect_circuit(&breaker, COIR_CIRCUIT_HALF_OPEN);
    COIR_EXPECT_OK(run(&breaker, 0));
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
}

/* Also after successes, and for the whole recovery. */
COIR_TEST(any_failure_opens_it_again)
{
    coir_breaker breaker = {.failures = 5, .successes = 3, .recovery = COIR_SEC(10)};
    fail_times(&breaker, 5);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(12)));
    COIR_EXPECT_OK(run(&breaker, 0));
    COIR_EXPECT_OK(run(&breaker, 0));
    fail_times(&breaker, 1);
    expect_circuit(&breaker, COIR_CIRCUIT_OPEN);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(9)));
    COIR_EXPECT_CODE(run(&breaker, 0), -COIR_EOPEN);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_OK(run(&breaker, 0)); /* successes are counted anew */
    expect_circuit(&breaker, COIR_CIRCUIT_HALF_OPEN);
}

/* A herd that has waited for the recovery: so many probes, the others are refused. */
COIR_TEST(probes_are_limited)
{
    coir_breaker breaker = {.failures = 1, .probes = 2, .successes = 3, .recovery = COIR_SEC(10)};
    struct call call = {.takes = COIR_SEC(1), .breaker = &breaker};
    COIR_GROUP_COLLECT(group);
    coir_task *tasks[5];
    fail_times(&breaker, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(10)));
    for (int i = 0; i < 5; i++)
        START(&group, run_call, &call, &tasks[i]);
    for (int i = 0; i < 5; i++)
        COIR_EXPECT_CODE(joined(tasks[i]), i < 2 ? 0 : -COIR_EOPEN);
    COIR_EXPECT_EQ(call.calls, 2);
    expect_circuit(&breaker, COIR_CIRCUIT_HALF_OPEN);
    COIR_EXPECT_OK(run(&breaker, 0));
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
}

/* A cancelled probe says nothing, and gives its place to the next one. */
COIR_TEST(cancelled_probe)
{
    coir_breaker breaker = {.failures = 1, .recovery = COIR_SEC(10)};
    struct call call = {.takes = COIR_SEC(100), .breaker = &breaker};
    COIR_GROUP(group);
    coir_task *task;
    fail_times(&breaker, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(10)));
    START(&group, run_call, &call, &task);
    COIR_EXPECT_CODE(run(&breaker, 0), -COIR_EOPEN);
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    expect_circuit(&breaker, COIR_CIRCUIT_HALF_OPEN);
    COIR_EXPECT_OK(run(&breaker, 0));
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
}

COIR_TEST(deadlines_of_the_caller_do_not_count)
{
    coir_breaker breaker = {.failures = 1};
    struct call call = {.takes = COIR_SEC(100)};
    COIR_DEADLINE(COIR_SEC(1));
    COIR_EXPECT_CODE(coir_breaker_run(&breaker, answer, &call), -ETIME);
    COIR_EXPECT_CODE(coir_breaker_run(&breaker, answer, &call), -ETIME);
    COIR_EXPECT_EQ(call.calls, 1);
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
}

static bool nothing_escapes(int code, void *arg)
{
    int *asked = arg;
    ++*asked;
    return code != -ENOENT;
}

/* Whatever the predicate says. */
COIR_TEST(what_never_counts)
{
    static const int codes[] = {-ECANCELED, -ETIME,           -COIR_ECANCELEDTASK,
                                -EINVAL,    -COIR_EWRONGLOOP, -COIR_ENOTASK};
    int asked = 0;
    coir_breaker breaker = {.failures = 2, .counts = nothing_escapes, .arg = &asked};
    fail_times(&breaker, 1);
    for (size_t i = 0; i < COIR_COUNT(codes); i++)
        COIR_EXPECT_CODE(run(&breaker, codes[i]), codes[i]);
    COIR_EXPECT_EQ(asked, 1);
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
    fail_times(&breaker, 1); /* nor were they successes, that begin the count anew */
    expect_circuit(&breaker, COIR_CIRCUIT_OPEN);
}

/* A failure that does not count is an answer of a service that works. */
COIR_TEST(predicate)
{
    int asked = 0;
    coir_breaker breaker = {
        .failures = 2, .recovery = COIR_SEC(1), .counts = nothing_escapes, .arg = &asked};
    fail_times(&breaker, 1);
    COIR_EXPECT_CODE(run(&breaker, -ENOENT), -ENOENT);
    fail_times(&breaker, 1);
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
    fail_times(&breaker, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_CODE(run(&breaker, -ENOENT), -ENOENT);
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
}

/* Calls that began before the circuit changed: they neither open nor close it. */
COIR_TEST(stragglers)
{
    coir_breaker breaker = {.failures = 1, .recovery = COIR_SEC(10)};
    struct call good = {.takes = COIR_SEC(11), .breaker = &breaker};
    struct call bad = {.result = -EIO, .takes = COIR_SEC(30), .breaker = &breaker};
    struct call probe = {.takes = COIR_SEC(5), .breaker = &breaker};
    coir_task *tasks[3];
    COIR_GROUP_COLLECT(group);
    START(&group, run_call, &good, &tasks[0]);
    START(&group, run_call, &bad, &tasks[1]);
    fail_times(&breaker, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(10)));
    START(&group, run_call, &probe, &tasks[2]);
    COIR_EXPECT_OK(joined(tasks[0]));
    expect_circuit(&breaker, COIR_CIRCUIT_HALF_OPEN);
    COIR_EXPECT_CODE(run(&breaker, 0), -COIR_EOPEN); /* the probe's place is not the straggler's */
    COIR_EXPECT_OK(joined(tasks[2]));
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
    COIR_EXPECT_CODE(joined(tasks[1]), -EIO);
    expect_circuit(&breaker, COIR_CIRCUIT_CLOSED);
}

static void note_change(coir_circuit before, coir_circuit now, void *arg)
{
    note(arg, (int)before + 1);
    note(arg, (int)now + 1);
}

COIR_TEST(changes_are_told)
{
    struct record record = {0};
    coir_breaker breaker = {
        .failures = 1, .recovery = COIR_SEC(1), .on_change = note_change, .arg = &record};
    for (int i = 0; i < 2; i++) {
        fail_times(&breaker, 1);
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
        COIR_EXPECT_EQ(run(&breaker, i == 0 ? -EIO : 0), i == 0 ? -EIO : 0);
        COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
        if (i == 0)
            COIR_EXPECT_OK(run(&breaker, 0));
    }
    COIR_EXPECT_EQ(record.digits, 1223322331122331);
    struct coir_breaker_stats stats;
    coir_breaker_stats(&breaker, &stats);
    COIR_EXPECT_EQ(stats.calls, 5);
    COIR_EXPECT_EQ(stats.failures, 3);
    COIR_EXPECT_EQ(stats.opens, 3);
    COIR_EXPECT_EQ(stats.refused, 0);
}

static void run_outside_a_task(void *arg)
{
    COIR_EXPECT_CODE(run(arg, 0), -COIR_ENOTASK);
}

COIR_TEST(misuse)
{
    coir_breaker breaker = {0}, negative = {.recovery = -1};
    COIR_EXPECT_CODE(coir_breaker_run(&breaker, NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(run(&negative, 0), -EINVAL);
    COIR_EXPECT_STR(coir_circuit_name((coir_circuit)7), "unknown");
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), run_outside_a_task, &breaker, NULL));
    COIR_EXPECT_OK(coir_sleep(1));
}
