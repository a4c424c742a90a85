/* sync_watch.c: watches: that a watcher sees the latest value and each change once, and what
 * closing and cancelling leave behind. The names are those of Tokio's sync_watch.rs where the
 * behaviour is.
 */
#include <coir/watch.h>

#include "sync.h"

#define WATCH(name, initial)                                                                       \
    COIR_AUTO(coir_watch) *name = NULL;                                                            \
    COIR_REQUIRE_OK(coir_watch_open(int, &(int){initial}, &name))

#define WATCHER(name, watch)                                                                       \
    COIR_AUTO(coir_watcher) *name = NULL;                                                          \
    COIR_REQUIRE_OK(coir_watch_subscribe((watch), &name))

static void set(coir_watch *watch, int value)
{
    COIR_EXPECT_OK(coir_watch_set(watch, &value));
}

static void expect_change(coir_watcher *watcher, int expected)
{
    int value = -1;
    COIR_EXPECT_EQ(coir_watcher_try_next(watcher, &value), 1);
    COIR_EXPECT_EQ(value, expected);
}

static void expect_code(coir_watcher *watcher, int code)
{
    int value;
    COIR_EXPECT_CODE(coir_watcher_try_next(watcher, &value), code);
}

struct watching {
    coir_watcher *watcher;
    int value, result;
};

static int watch_once(void *arg)
{
    struct watching *watching = arg;
    watching->result = coir_watcher_next(watching->watcher, &watching->value);
    return watching->result == -ECANCELED ? -ECANCELED : 0;
}

COIR_TEST(single_rx_recv)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    int value = 0;
    COIR_EXPECT_OK(coir_watch_get(watch, &value));
    COIR_EXPECT_EQ(value, 1);
    expect_change(one, 1);
    expect_code(one, -EAGAIN);
    set(watch, 2);
    expect_change(one, 2);
    expect_code(one, -EAGAIN);
    COIR_EXPECT_OK(coir_watch_get(watch, &value));
    COIR_EXPECT_EQ(value, 2);
}

/* Only the latest counts; an equal value is a change too. */
COIR_TEST(only_the_latest_counts)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    for (int i = 2; i <= 9; i++)
        set(watch, i);
    expect_change(one, 9);
    expect_code(one, -EAGAIN);
    set(watch, 9);
    expect_change(one, 9);
}

COIR_TEST(open_validates)
{
    coir_watch *watch = NULL;
    char small = 0;
    COIR_EXPECT_CODE(coir_watch_open_at(0, &small, &watch, COIR_SITE(NULL)), -EINVAL);
    COIR_EXPECT_CODE(coir_watch_open(int, NULL, &watch), -EINVAL);
    COIR_EXPECT_PTR(watch, NULL);
    coir_watch_close(NULL);
    coir_watcher_close(NULL);
    WATCH(other, 1);
    WATCHER(one, other);
    COIR_EXPECT_CODE(coir_watch_set(other, &small), -EINVAL);
    COIR_EXPECT_CODE(coir_watch_get(other, &small), -EINVAL);
    COIR_EXPECT_CODE(coir_watcher_next(one, &small), -EINVAL);
}

/* Those that wait have the value before they run: not a later one, and not the same again. */
COIR_TEST(multi_rx)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    WATCHER(two, watch);
    struct watching a = {one, 0, 9}, b = {two, 0, 9}, c = {two, 0, 9};
    expect_change(one, 1);
    expect_change(two, 1);
    COIR_GROUP(group);
    START(&group, watch_once, &a, NULL);
    START(&group, watch_once, &b, NULL);
    START(&group, watch_once, &c, NULL);
    set(watch, 2);
    set(watch, 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.value, 2);
    COIR_EXPECT_EQ(b.value, 2);
    COIR_EXPECT_EQ(c.value, 2);
    COIR_EXPECT_EQ(a.result, 1);
    expect_change(one, 3);
    expect_change(two, 3);
}

/* ---- closing ---- */

COIR_TEST(rx_observes_final_message)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    WATCHER(two, watch);
    expect_change(one, 1);
    set(watch, 2);
    coir_watch_close(COIR_TAKE(watch));
    expect_change(one, 2);
    expect_code(one, 0);
    expect_change(two, 2);
    expect_code(two, 0);
}

COIR_TEST(close_wakes_who_waits)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    struct watching a = {one, 5, 9};
    expect_change(one, 1);
    COIR_GROUP(group);
    START(&group, watch_once, &a, NULL);
    coir_watch_close(COIR_TAKE(watch));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.result, 0);
    COIR_EXPECT_EQ(a.value, 5);
}

COIR_TEST(interrupted_by_close)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    WATCHER(two, watch);
    WATCHER(three, watch);
    struct watching a = {two, 5, 9};
    expect_change(two, 1);
    COIR_GROUP(group);
    START(&group, watch_once, &a, NULL);
    coir_watcher_close(COIR_TAKE(two));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(a.result, -COIR_ECLOSED);
    coir_watcher_close(COIR_TAKE(three));
    set(watch, 2);
    expect_change(one, 2);
}

/* ---- cancelling ---- */

COIR_TEST(cancelled_before_and_after_the_change)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    struct watching a = {one, 0, 9}, b = {one, 0, 9};
    coir_task *task;
    expect_change(one, 1);
    COIR_GROUP(group);
    START(&group, watch_once, &a, &task);
    coir_cancel(task, NULL);
    set(watch, 2);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(a.value, 0);
    expect_change(one, 2);
    START(&group, watch_once, &b, &task);
    set(watch, 3);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(b.result, 1);
    COIR_EXPECT_EQ(b.value, 3);
    expect_code(one, -EAGAIN);
}

COIR_TEST(pending_cancellation_is_reported_first)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    int value;
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(coir_watcher_next(one, &value), -ECANCELED);
    expect_change(one, 1);
}

/* ---- in coir_select ---- */

struct choosing {
    coir_watcher *a, *b;
    int value_a, value_b, index, result;
};

static int choose(void *arg)
{
    struct choosing *choosing = arg;
    coir_case cases[] = {
        COIR_ON_WATCHER(choosing->a, &choosing->value_a),
        COIR_ON_WATCHER(choosing->b, &choosing->value_b),
    };
    choosing->index = coir_select(cases, 2);
    if (choosing->index >= 0)
        choosing->result = cases[choosing->index].result;
    return choosing->index < 0 ? choosing->index : 0;
}

/* Two watchers of one watch: one case is settled, the other watcher has still to see the change. */
COIR_TEST(select_of_two)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    WATCHER(two, watch);
    struct choosing a = {one, two, 0, 0, 9, 9};
    expect_change(one, 1);
    COIR_GROUP(group);
    START(&group, choose, &a, NULL); /* two has seen nothing */
    COIR_EXPECT_EQ(a.index, 1);
    COIR_EXPECT_EQ(a.value_b, 1);
    START(&group, choose, &a, NULL);
    set(watch, 2);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.result, 1);
    COIR_EXPECT_EQ(a.value_a + a.value_b, a.index == 0 ? 3 : 2);
    expect_change(a.index == 0 ? two : one, 2);
    expect_code(a.index == 0 ? one : two, -EAGAIN);
    START(&group, choose, &a, NULL);
    coir_watch_close(COIR_TAKE(watch));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.result, 0);
    char small;
    coir_case wrong[] = {COIR_ON_WATCHER(one, &small)};
    COIR_EXPECT_CODE(coir_select(wrong, 1), -EINVAL);
}

static int follow(void *arg)
{
    struct watching *watching = arg;
    int value, r;
    while ((r = coir_watcher_next(watching->watcher, &value)) > 0) {
        COIR_EXPECT_GT(value, watching->value);
        watching->value = value;
        COIR_TRY(coir_sleep(COIR_US(3)));
    }
    watching->result = r;
    return r;
}

/* A slow watcher skips values, and ends with the last one. */
COIR_TEST_TAGGED(slow_watcher, "liveness")
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    struct watching a = {one, 0, 9};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, follow, &a, NULL));
    for (int i = 2; i <= 100; i++) {
        set(watch, i);
        COIR_REQUIRE_OK(coir_sleep(COIR_US(i % 3)));
    }
    coir_watch_close(COIR_TAKE(watch));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(a.value, 100);
    COIR_EXPECT_EQ(a.result, 0);
}

COIR_TEST(description)
{
    WATCH(watch, 1);
    WATCHER(one, watch);
    struct watching a = {one, 0, 9};
    coir_task *task;
    char text[128];
    expect_change(one, 1);
    COIR_GROUP(group);
    START(&group, watch_once, &a, &task);
    coir_task_describe(task, text, sizeof text);
    COIR_EXPECT_CONTAINS(text, "waits for a change of watch of int opened at ");
    set(watch, 2);
    COIR_EXPECT_OK(joined(task));
}
