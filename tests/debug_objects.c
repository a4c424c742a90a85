/* debug_objects.c: what debug mode says of locks that are taken in different orders, of mutexes
 * held across a wait, and of arguments in frames that have been left.
 */
#include <stdio.h>
#include <string.h>

#include <coir/debug.h>
#include <coir/event.h>
#include <coir/lock.h>
#include <coir/rwlock.h>

#include "core_kit.h"
#include "core_loop.h"
#include "core/core.h"

#define NOT_INLINED __attribute__((noinline))

static int debug_on(void)
{
    COIR_TRY(coir_debug_set(NULL, true));
    coir_debug_set_slow_step(NULL, COIR_FOREVER);
    return 0;
}

static unsigned count_of(coir_report_kind kind)
{
    size_t count;
    unsigned found = 0;
    const coir_test_report *reports = coir_test_reports(&count);
    for (size_t i = 0; i < count; i++)
        found += reports[i].kind == kind;
    return found;
}

/* ---- the order of locks ---- */

struct pair {
    coir_lock *first, *second;
};

static NOT_INLINED int take_both(const struct pair *pair)
{
    COIR_LOCK(pair->first);
    COIR_TRY(coir_yield());
    COIR_LOCK(pair->second);
    return 0;
}

static int debit(void *arg)
{
    COIR_TRY(take_both(arg));
    return 0;
}

static int credit(void *arg)
{
    COIR_TRY(take_both(arg));
    return 0;
}

#define run_one(fn, arg) run_at((fn), (arg), COIR_SITE(#fn))

static int run_at(coir_fn fn, void *arg, const coir_site *site)
{
    coir_task *task;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn_at(&group, fn, arg, &task, site));
    return coir_join(task, NULL);
}

COIR_TEST_TAGGED(locks_in_the_other_order_are_reported_once, "expect_reports")
{
    coir_lock a = {0}, b = {0};
    struct pair there = {&a, &b}, back = {&b, &a};
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(run_one(debit, &there));
    COIR_EXPECT_EQ(count_of(COIR_REPORT_LOCK_ORDER), 0);
    COIR_REQUIRE_OK(run_one(credit, &back));
    COIR_REQUIRE_OK(run_one(credit, &back));
    COIR_REQUIRE_OK(run_one(debit, &there));
    COIR_EXPECT_EQ(count_of(COIR_REPORT_LOCK_ORDER), 1);
    const char *text = report_of(COIR_REPORT_LOCK_ORDER);
    COIR_EXPECT_CONTAINS(text, "task 'credit' (0 s old, spawned at debug_objects.c:");
    COIR_EXPECT_CONTAINS(text, " while it holds lock ");
    COIR_EXPECT_CONTAINS(text, "\n    coir_lock_acquire\n    take_both\n    credit\n");
    COIR_EXPECT_CONTAINS(text, "\n  task 'debit' (0 s old, spawned at debug_objects.c:");
    COIR_EXPECT_CONTAINS(
        text, " took them the other way round:\n    coir_lock_acquire\n    take_both\n    debit");
}

COIR_TEST_TAGGED(a_circle_of_three_locks_is_reported, "expect_reports")
{
    coir_lock locks[3] = {{0}};
    COIR_REQUIRE_OK(debug_on());
    for (int i = 0; i < 3; i++) {
        struct pair pair = {&locks[i], &locks[(i + 1) % 3]};
        COIR_EXPECT_EQ(count_of(COIR_REPORT_LOCK_ORDER), 0);
        COIR_REQUIRE_OK(run_one(debit, &pair));
    }
    COIR_EXPECT_EQ(count_of(COIR_REPORT_LOCK_ORDER), 1);
}

COIR_TEST(locks_in_one_order_are_fine)
{
    coir_lock a = {0}, b = {0};
    struct pair there = {&a, &b};
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, debit, &there, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

struct mixed {
    coir_lock *lock;
    coir_rwlock *table;
};

static int lock_then_write(void *arg)
{
    struct mixed *mixed = arg;
    COIR_LOCK(mixed->lock);
    COIR_RWLOCK_WRITE(mixed->table);
    return coir_yield();
}

static int read_then_lock(void *arg)
{
    struct mixed *mixed = arg;
    COIR_RWLOCK_READ(mixed->table);
    COIR_LOCK(mixed->lock);
    return coir_yield();
}

COIR_TEST_TAGGED(read_write_locks_have_an_order_too, "expect_reports")
{
    coir_lock lock = {0};
    coir_rwlock table = {0};
    struct mixed mixed = {&lock, &table};
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(run_one(lock_then_write, &mixed));
    COIR_EXPECT_EQ(count_of(COIR_REPORT_LOCK_ORDER), 0);
    COIR_REQUIRE_OK(run_one(read_then_lock, &mixed));
    COIR_EXPECT_EQ(count_of(COIR_REPORT_LOCK_ORDER), 1);
    COIR_EXPECT_CONTAINS(report_of(COIR_REPORT_LOCK_ORDER), "\n    coir_rwlock_acquire_write\n");
}

/* A lock in the memory of one that is gone is another lock. */
COIR_TEST(locks_in_reused_memory_are_new_ones)
{
    coir_lock a = {0}, b = {0};
    struct pair there = {&a, &b}, back = {&b, &a};
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(run_one(debit, &there));
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    COIR_EXPECT_OK(run_one(debit, &back));
}

/* ---- arguments ---- */

#ifdef COIR__SANITIZED
#define ONLY_ON_REAL_STACKS COIR_SKIP("a sanitizer keeps the frames of tasks elsewhere")
#else
#define ONLY_ON_REAL_STACKS (void)0
#endif

static int use_late(void *arg)
{
    (void)arg; /* dead by then: not looked at */
    return coir_sleep(COIR_SEC(1));
}

static NOT_INLINED int spawn_with_own(coir_group *group)
{
    volatile int mine = 7;
    return coir_spawn(group, use_late, (void *)(uintptr_t)&mine, NULL) + mine - 7;
}

static int leave_frame(void *arg)
{
    COIR_TRY(spawn_with_own(arg));
    return coir_sleep(COIR_MS(1));
}

COIR_TEST_TAGGED(argument_in_a_frame_that_was_left, "expect_reports")
{
    ONLY_ON_REAL_STACKS;
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    COIR_REQUIRE_OK(run_one(leave_frame, &group));
    COIR_EXPECT_EQ(count_of(COIR_REPORT_DEAD_ARGUMENT), 1);
    const char *text = report_of(COIR_REPORT_DEAD_ARGUMENT);
    COIR_EXPECT_CONTAINS(text, "task 'use_late' ");
    COIR_EXPECT_CONTAINS(text, ", spawned at debug_objects.c:");
    COIR_EXPECT_CONTAINS(text, " is on the stack of task 'leave_frame' (0 s old, spawned at ");
}

static int end_before_child(void *arg)
{
    int mine = 7;
    return coir_spawn(arg, use_late, &mine, NULL);
}

COIR_TEST_TAGGED(argument_on_the_stack_of_a_task_that_ended, "expect_reports")
{
    ONLY_ON_REAL_STACKS;
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    COIR_REQUIRE_OK(run_one(end_before_child, &group));
    COIR_EXPECT_EQ(count_of(COIR_REPORT_DEAD_ARGUMENT), 1);
    COIR_EXPECT_CONTAINS(report_of(COIR_REPORT_DEAD_ARGUMENT), "), which has ended; ");
}

static int spawn_well(void *arg)
{
    int mine = 7;
    (void)arg;
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++) {
        COIR_TRY(coir_spawn(&group, use_late, &mine, NULL));
        COIR_TRY(coir_sleep(COIR_MS(300)));
    }
    return coir_group_wait(&group);
}

COIR_TEST(arguments_in_living_frames_are_fine)
{
    COIR_REQUIRE_OK(debug_on());
    COIR_EXPECT_OK(run_one(spawn_well, NULL));
}
