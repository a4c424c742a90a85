/* core_error.c: codes and their words, and the records of failures: what a trace says, to the
 * letter, when it goes on and when it begins anew, how a record moves from task to task, and what
 * happens when there are no more records.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core_kit.h"

#define NOT_INLINED __attribute__((noinline))

/* ---- codes ---- */

COIR_TEST_TAGGED(library_codes_have_names_and_texts, "own_loop")
{
#define EXPECT_CODE(name, value, text)                                                             \
    COIR_EXPECT_EQ(name, value);                                                                   \
    COIR_EXPECT_STR(coir_error_name(name), #name);                                                 \
    COIR_EXPECT_STR(coir_error_name(-name), #name);                                                \
    COIR_EXPECT_STR(coir_error_text(name), text);                                                  \
    COIR_EXPECT_STR(coir_error_text(-name), text);
    COIR_ERRORS(EXPECT_CODE)
}

COIR_TEST_TAGGED(errnos_have_names_and_texts, "own_loop")
{
    COIR_EXPECT_STR(coir_error_name(0), "OK");
    COIR_EXPECT_STR(coir_error_text(0), "success");
    COIR_EXPECT_STR(coir_error_name(-ECONNREFUSED), "ECONNREFUSED");
    COIR_EXPECT_STR(coir_error_text(-ECONNREFUSED), "connection refused");
    COIR_EXPECT_STR(coir_error_text(-ECANCELED), "cancelled");
    COIR_EXPECT_STR(coir_error_text(-ETIME), "the deadline passed");
    COIR_EXPECT_STR(coir_error_text(-ETIMEDOUT), "timed out");
    COIR_EXPECT_STR(coir_error_text(EREMOTEIO), "remote I/O error");
    for (int code = 1; code <= EHWPOISON; code++) {
#if defined(__GLIBC__)
        COIR_EXPECT_STR(coir_error_name(-code),
                        strerrorname_np(code) != NULL ? strerrorname_np(code) : "E?");
#endif
        COIR_EXPECT(strlen(coir_error_text(code)) > 5);
    }
}

COIR_TEST_TAGGED(texts_outlive_each_other, "own_loop")
{
    const char *first = coir_error_text(-ENOENT), *second = coir_error_text(-EPERM);
    COIR_EXPECT_STR(first, "no such file or directory");
    COIR_EXPECT_STR(second, "operation not permitted");
}

COIR_TEST_TAGGED(unknown_codes, "own_loop")
{
    static const int codes[] = {4095, -4095, 4999, INT_MAX, -INT_MAX, INT_MIN};
    for (size_t i = 0; i < COIR_COUNT(codes); i++) {
        COIR_EXPECT_STR(coir_error_name(codes[i]), "E?");
        COIR_EXPECT_STR(coir_error_text(codes[i]), "unknown error");
    }
}

/* ---- traces ---- */

static char text[2048], wanted[2048];

/* The last failure of this task as text. */
static const char *last_text(int code)
{
    (void)coir_error_format(coir_last_error(), code, text, sizeof text);
    return text;
}

#define WANT(...)                                                                                  \
    do {                                                                                           \
        int length = snprintf(wanted, sizeof wanted, __VA_ARGS__);                                 \
        COIR_EXPECT(length > 0 && length < (int)sizeof wanted);                                    \
    } while (0)

enum { REFUSED_LINE = __LINE__ + 3 };
static NOT_INLINED int connect_to_redis(void)
{
    return coir_fail(-ECONNREFUSED, "connect %s: connection refused", "127.0.0.1:6379");
}

enum { LISTEN_LINE = __LINE__ + 4 };
static int listen_to_redis(void *arg)
{
    (void)arg;
    COIR_TRY(connect_to_redis());
    return 0;
}

COIR_TEST(what_a_failure_prints)
{
    coir_task *task;
    coir_task_set_name(NULL, "main");
    COIR_GROUP_COLLECT(group);
    int spawned = __LINE__ + 1;
    COIR_REQUIRE_OK(coir_spawn(&group, listen_to_redis, NULL, &task));
    coir_task_set_name(task, "redis listener");
    int joined = __LINE__ + 1;
    COIR_EXPECT_CODE(coir_join(task, NULL), -ECONNREFUSED);
    WANT("error: ECONNREFUSED: connect 127.0.0.1:6379: connection refused\n"
         "  connect_to_redis      core_error.c:%d\n"
         "  listen_to_redis       core_error.c:%d\n"
         "  task 'redis listener' spawned at core_error.c:%d, joined by 'main' at core_error.c:%d",
         REFUSED_LINE, LISTEN_LINE, spawned, joined);
    COIR_EXPECT_STR(last_text(0), wanted);
    (void)coir_group_errors(&group);
}

static NOT_INLINED int fail_plainly(void)
{
    return -EAGAIN;
}

enum { PASS_LINE = __LINE__ + 3 };
static NOT_INLINED int pass_on(int (*fn)(void))
{
    COIR_TRY(fn());
    return 0;
}

COIR_TEST(code_without_a_record_gets_one)
{
    COIR_EXPECT_CODE(pass_on(fail_plainly), -EAGAIN);
    WANT("error: EAGAIN: resource temporarily unavailable\n"
         "  pass_on               core_error.c:%d",
         PASS_LINE);
    COIR_EXPECT_STR(last_text(0), wanted);
    coir_clear_error();
    COIR_EXPECT_PTR(coir_last_error(), NULL);
    COIR_EXPECT_STR(last_text(-EAGAIN), "error: EAGAIN: resource temporarily unavailable");
}

enum { HELPER_LINE = __LINE__ + 3, CALLER_LINE = HELPER_LINE + 5 };
static inline __attribute__((always_inline)) int inlined_helper(void)
{
    COIR_TRY(connect_to_redis());
    return 0;
}
static NOT_INLINED int call_inlined_helper(void)
{
    COIR_TRY(inlined_helper());
    return 0;
}

COIR_TEST(inlined_helper_has_its_line)
{
    COIR_EXPECT_CODE(call_inlined_helper(), -ECONNREFUSED);
    WANT("error: ECONNREFUSED: connect 127.0.0.1:6379: connection refused\n"
         "  connect_to_redis      core_error.c:%d\n"
         "  inlined_helper        core_error.c:%d\n"
         "  call_inlined_helper   core_error.c:%d",
         REFUSED_LINE, HELPER_LINE, CALLER_LINE);
    COIR_EXPECT_STR(last_text(0), wanted);
}

/* ---- what was swallowed stays out ---- */

static NOT_INLINED int lookup_in_cache(void)
{
    return coir_fail(-ENOENT, "not in the cache");
}

static NOT_INLINED int look_in_cache(void)
{
    COIR_TRY(lookup_in_cache());
    return 0;
}

static NOT_INLINED int find_nothing(void)
{
    return -ENOENT;
}

enum { LOOK_LINE = __LINE__ + 3 };
static NOT_INLINED int look_on_disk(void)
{
    COIR_TRY(find_nothing());
    return 0;
}

/* Both calls have the same frame address and code; the failure of the first one is dealt with. */
static NOT_INLINED int look_everywhere(void)
{
    volatile int r = look_in_cache();
    if (r < 0)
        r = look_on_disk();
    return r;
}

COIR_TEST(swallowed_failure_is_not_continued_by_a_sibling)
{
    COIR_EXPECT_CODE(look_everywhere(), -ENOENT);
    WANT("error: ENOENT: no such file or directory\n"
         "  look_on_disk          core_error.c:%d",
         LOOK_LINE);
    COIR_EXPECT_STR(last_text(0), wanted);
}

static NOT_INLINED int look_deeper(int depth)
{
    volatile char frame[64] = {0};
    int r = depth > 0 ? look_deeper(depth - 1) : look_on_disk();
    return r < 0 ? r : frame[depth];
}

COIR_TEST(swallowed_failure_is_not_continued_from_below)
{
    COIR_EXPECT_CODE(look_in_cache(), -ENOENT);
    COIR_EXPECT_CODE(look_deeper(10), -ENOENT);
    WANT("error: ENOENT: no such file or directory\n"
         "  look_on_disk          core_error.c:%d",
         LOOK_LINE);
    COIR_EXPECT_STR(last_text(0), wanted);
}

enum { OTHER_LINE = __LINE__ + 4 };
static NOT_INLINED int fail_otherwise(void)
{
    if (look_in_cache() < 0)
        COIR_TRY(fail_plainly());
    return 0;
}

COIR_TEST(another_code_begins_a_new_record)
{
    COIR_EXPECT_CODE(fail_otherwise(), -EAGAIN);
    WANT("error: EAGAIN: resource temporarily unavailable\n"
         "  fail_otherwise        core_error.c:%d",
         OTHER_LINE);
    COIR_EXPECT_STR(last_text(0), wanted);
}

static NOT_INLINED int climb(int depth)
{
    volatile char frame[16] = {0};
    if (depth == 0)
        return coir_fail(-EIO, "at the bottom");
    COIR_TRY(climb(depth - 1));
    return frame[0];
}

COIR_TEST(long_traces_are_counted)
{
    COIR_EXPECT_CODE(climb(20), -EIO);
    last_text(0);
    COIR_EXPECT_CONTAINS(text, "error: EIO: at the bottom\n  climb ");
    COIR_EXPECT_CONTAINS(text, "\n  … and 9 more");
}

/* ---- from task to task ---- */

static int fail_later(void *arg)
{
    const int *seconds = arg;
    COIR_TRY(coir_sleep(COIR_SEC(*seconds)));
    return coir_fail(-EIO, "after %d s", *seconds);
}

COIR_TEST(record_moves_from_child_to_group_to_joiner)
{
    int seconds = 1;
    COIR_GROUP(group);
    coir_task_set_name(NULL, "main");
    COIR_REQUIRE_OK(coir_spawn(&group, fail_later, &seconds, NULL));
    COIR_EXPECT_CODE(coir_sleep(COIR_FOREVER), -ECANCELED);
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
    COIR_EXPECT_CODE(coir_group_finish(&group, -ECANCELED), -EIO);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_CODE(coir_error_code(coir_last_error()), -EIO);
    COIR_EXPECT_STR(coir_error_message(coir_last_error()), "after 1 s");
    COIR_EXPECT_PTR(coir_error_next(coir_last_error()), NULL);
    last_text(0);
    COIR_EXPECT_CONTAINS(text, "error: EIO: after 1 s\n  fail_later            core_error.c:");
    COIR_EXPECT_CONTAINS(text, "\n  task 'fail_later' spawned at core_error.c:");
    COIR_EXPECT_CONTAINS(text, ", joined by 'main' at core_error.c:");
}

/* The body's failure is the one that it joined: the group has nothing to add. */
COIR_TEST(joined_failure_is_not_told_twice)
{
    int seconds = 1;
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, fail_later, &seconds, &task));
    int r = coir_join(task, NULL);
    COIR_EXPECT_CODE(coir_group_finish(&group, r), -EIO);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_STR(coir_error_message(coir_last_error()), "after 1 s");
    COIR_EXPECT_PTR(coir_error_next(coir_last_error()), NULL);
}

COIR_TEST(failures_of_a_group_are_a_chain)
{
    int seconds[] = {3, 1, 2};
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, fail_later, &seconds[i], NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 3);
    const coir_error *error = coir_group_errors(&group);
    for (int i = 1; i <= 3; i++) {
        char message[32];
        COIR_REQUIRE(error != NULL);
        (void)snprintf(message, sizeof message, "after %d s", i);
        COIR_EXPECT_STR(coir_error_message(error), message);
        error = coir_error_next(error);
    }
    COIR_EXPECT_PTR(error, NULL);
    (void)coir_error_format(coir_group_errors(&group), 0, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "error: EIO: after 1 s\n");
    COIR_EXPECT_CONTAINS(text, "\nalso: EIO: after 2 s\n");
    COIR_EXPECT_CONTAINS(text, "\nalso: EIO: after 3 s\n");
}

/* A task that starts its own like and passes its failure on, depth times. */
static int pass_through(void *arg)
{
    int *depth = arg;
    if ((*depth)-- == 0)
        return coir_fail(-EIO, "at the bottom");
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, pass_through, depth, &task));
    int r = coir_join(task, NULL);
    (void)coir_group_errors(&group);
    return COIR_TRY(r);
}

COIR_TEST(record_crosses_many_tasks)
{
    int depth = 6;
    COIR_EXPECT_CODE(pass_through(&depth), -EIO);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_STR(coir_error_message(coir_last_error()), "at the bottom");
    last_text(0);
    int crossings = 0;
    for (const char *at = text; (at = strstr(at, "\n  task 'pass_through' spawned")) != NULL; at++)
        crossings++;
    COIR_EXPECT_EQ(crossings, 3); /* the innermost ones are kept */
}

/* ---- reasons ---- */

enum { SLEEP_LINE = __LINE__ + 4 };
static int sleep_for_ever(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_FOREVER));
    return 0;
}

COIR_TEST(reason_of_a_cancellation_is_told)
{
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_for_ever, NULL, &task));
    COIR_REQUIRE_OK(coir_yield());
    SETTLE();
    coir_cancel(task, "the other one won");
    COIR_EXPECT_CODE(coir_join(task, NULL), -COIR_ECANCELEDTASK);
    WANT("error: COIR_ECANCELEDTASK: cancelled: the other one won\n"
         "  sleep_for_ever        core_error.c:%d\n  task 'sleep_for_ever' spawned at ",
         SLEEP_LINE);
    last_text(0);
    COIR_EXPECT_CONTAINS(text, wanted);
}

COIR_TEST(reason_of_a_groups_end_is_told)
{
    int seconds = 1;
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_for_ever, NULL, &task));
    COIR_REQUIRE_OK(coir_spawn(&group, fail_later, &seconds, NULL));
    COIR_EXPECT_CODE(coir_group_wait(&group), -EIO);
    const coir_error *error = coir_task_error(task);
    COIR_REQUIRE(error != NULL);
    COIR_EXPECT_STR(coir_error_message(error),
                    "cancelled: task 'fail_later' of the group failed: EIO");
}

struct scopes {
    coir_scope *outer, *inner;
    bool shielded; /* a shield between them */
};

static int sleep_in_inner(struct scopes *scopes)
{
    COIR_SCOPE(inner, COIR_FOREVER);
    scopes->inner = &inner;
    COIR_TRY(coir_sleep(COIR_FOREVER));
    return 0;
}

static int sleep_in_scopes(void *arg)
{
    struct scopes *scopes = arg;
    COIR_SCOPE(outer, COIR_FOREVER);
    scopes->outer = &outer;
    if (!scopes->shielded)
        return sleep_in_inner(scopes);
    COIR_SHIELD(COIR_SEC(1));
    return sleep_in_inner(scopes);
}

/* Cancels what is named by the letters, in their order: the task, the scopes. Returns the text of
 * the failure, or "". */
static const char *reason_of(const char *letters, bool shielded)
{
    static char message[128];
    struct scopes scopes = {.shielded = shielded};
    coir_task *task;
    message[0] = '\0';
    COIR_GROUP_COLLECT(group);
    if (coir_spawn(&group, sleep_in_scopes, &scopes, &task) < 0)
        return message;
    if (coir_test_wait_all_blocked() == 0 && !coir_task_done(task)) {
        for (; *letters != '\0'; letters++) {
            switch (*letters) {
            case 't': coir_cancel(task, "of the task"); break;
            case 'o': coir_scope_cancel(scopes.outer, "of the outer one"); break;
            case 'i': coir_scope_cancel(scopes.inner, "of the inner one"); break;
            default: break;
            }
        }
    }
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(coir_join(task, NULL), -COIR_ECANCELEDTASK);
    const coir_error *error = coir_last_error();
    if (error != NULL)
        (void)snprintf(message, sizeof message, "%s", coir_error_message(error));
    return message;
}

/* Of several cancellations the outermost one ends the most, so it is the one to be told; what a
 * shield holds off is not what ended the wait. */
COIR_TEST(outermost_reason_is_told)
{
    COIR_EXPECT_STR(reason_of("toi", false), "cancelled: of the task");
    COIR_EXPECT_STR(reason_of("iot", false), "cancelled: of the task");
    COIR_EXPECT_STR(reason_of("ti", false), "cancelled: of the task");
    COIR_EXPECT_STR(reason_of("it", true), "cancelled: of the inner one");
    COIR_EXPECT_STR(reason_of("oi", true), "cancelled: of the inner one");
}

enum { DEADLINE_LINE = __LINE__ + 4 };
static int sleep_within_limits(void *arg)
{
    (void)arg;
    COIR_SCOPE(scope, COIR_SEC(1));
    COIR_TRY(coir_sleep(COIR_SEC(2)));
    return 0;
}

COIR_TEST(deadline_that_passed_is_told)
{
    coir_task *task;
    char where[64];
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_within_limits, NULL, &task));
    COIR_EXPECT_CODE(coir_join(task, NULL), -ETIMEDOUT);
    (void)coir_group_errors(&group);
    (void)snprintf(where, sizeof where,
                   "core_error.c:%d passed\n  sleep_within_limits   core_error", DEADLINE_LINE);
    last_text(0);
    COIR_EXPECT_CONTAINS(text, "error: ETIMEDOUT: the deadline of ");
    COIR_EXPECT_CONTAINS(text, where);
}

/* ---- the pool ---- */

#define MANY 200

static int fail_alone(void *arg)
{
    return coir_fail(-*(int *)arg, "number %d", *(int *)arg);
}

COIR_TEST(codes_travel_without_records)
{
    struct coir_loop_stats before, after;
    static int numbers[MANY];
    static coir_task *tasks[MANY];
    COIR_GROUP_COLLECT(group);
    coir_loop_stats(NULL, &before);
    for (int i = 0; i < MANY; i++) {
        numbers[i] = 10000 + i;
        COIR_REQUIRE_OK(coir_spawn(&group, fail_alone, &numbers[i], &tasks[i]));
    }
    COIR_REQUIRE_OK(coir_wait_all(tasks, MANY));
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.errors, 128);
    COIR_EXPECT_EQ(after.memory, before.memory); /* a failure allocates nothing */
    COIR_EXPECT_EQ(coir_group_failures(&group), MANY);
    int with_record = 0;
    for (int i = 0; i < MANY; i++) {
        with_record += coir_task_error(tasks[i]) != NULL;
        COIR_EXPECT_CODE(coir_join(tasks[i], NULL), -numbers[i]);
    }
    COIR_EXPECT_GE(with_record, 100);
    (void)coir_group_errors(&group);
    coir_clear_error();
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_LE(after.errors, before.errors + 16); /* those that the group keeps */
}

/* ---- texts ---- */

COIR_TEST(texts_are_cut)
{
    char longer[400], small[24];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    COIR_EXPECT_CODE(coir_fail(-EIO, "%s", longer), -EIO);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_EQ(strlen(coir_error_message(coir_last_error())), 159);

    size_t length = coir_error_format(coir_last_error(), 0, text, sizeof text);
    COIR_EXPECT_EQ(length, strlen(text));
    COIR_EXPECT_EQ(coir_error_format(coir_last_error(), 0, small, sizeof small), length);
    COIR_EXPECT_EQ(strlen(small), sizeof small - 1);
    COIR_EXPECT_BYTES(small, text, sizeof small - 1);
    COIR_EXPECT_EQ(coir_error_format(coir_last_error(), 0, NULL, 0), length);
    COIR_EXPECT_EQ(coir_error_format(coir_last_error(), 0, small, 1), length);
    COIR_EXPECT_STR(small, "");
    COIR_EXPECT_EQ(coir_error_format(NULL, -EPIPE, small, sizeof small), 25);
    COIR_EXPECT_STR(small, "error: EPIPE: broken pi");
}

static void fail_in_callback(void *arg)
{
    bool *done = arg;
    COIR_EXPECT_CODE(coir_fail(-EIO, "outside a task"), -EIO);
    COIR_EXPECT(coir_last_error() == NULL ||
                strcmp(coir_error_message(coir_last_error()), "outside a task") == 0);
    coir_clear_error();
    *done = true;
}

COIR_TEST(callbacks_have_a_last_failure_of_their_own)
{
    static bool done;
    COIR_EXPECT_CODE(coir_fail(-EPERM, "in the task"), -EPERM);
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), fail_in_callback, &done, NULL));
    COIR_REQUIRE_OK(coir_yield());
    SETTLE();
    COIR_EXPECT(done);
    COIR_REQUIRE(coir_last_error() != NULL);
    COIR_EXPECT_STR(coir_error_message(coir_last_error()), "in the task");
}

COIR_TEST_TAGGED(without_a_loop_only_the_code_is_kept, "own_loop")
{
    COIR_EXPECT_CODE(coir_fail(-EIO, "nowhere"), -EIO);
    COIR_EXPECT_CODE(pass_on(fail_plainly), -EAGAIN);
    COIR_EXPECT_PTR(coir_last_error(), NULL);
    coir_clear_error();
}
