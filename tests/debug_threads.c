/* debug_threads.c: what debug mode says of calls from threads that do not run the loop of their
 * object. The calls come from a thread of the pool, for which the loop waits: nothing races, and
 * what was posted comes before the answer.
 */
#include <stdio.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/debug.h>

#include "core_kit.h"
#include "core_loop.h"

static int debug_on(void)
{
    COIR_TRY(coir_debug_set(NULL, true));
    coir_debug_set_slow_step(NULL, COIR_FOREVER);
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

/* One of everything, and the loop that it belongs to. */
struct objects {
    coir_loop *loop;
    coir_task *task;
    coir_group *group;
    coir_lock lock;
    coir_rwlock table;
    coir_event event;
    coir_semaphore semaphore;
    coir_future future;
    coir_condition condition;
    coir_sender *out;
    coir_receiver *in;
    coir_queue *queue;
    coir_watch *watch;
    coir_broadcast *news;
    coir_stream *stream, *peer;
    coir_timer timer;
};

static int sleep_long(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_SEC(1000));
}

static int open_all(struct objects *all)
{
    int zero = 0;
    all->loop = coir_loop_current();
    COIR_TRY(coir_spawn(all->group, sleep_long, NULL, &all->task));
    coir_task_set_name(all->task, "the sleeper");
    COIR_TRY(coir_sleep(COIR_SEC(2)));
    COIR_TRY(coir_lock_try(&all->lock));
    COIR_TRY(coir_rwlock_try_read(&all->table));
    COIR_TRY(coir_event_clear(&all->event));
    COIR_TRY(coir_semaphore_release(&all->semaphore));
    COIR_TRY(coir_condition_notify_all(&all->condition));
    COIR_TRY(coir_future_set(&all->future, NULL));
    COIR_TRY(coir_channel_open(int, 1, &all->out, &all->in));
    COIR_TRY(coir_queue_open(int, NULL, &all->queue));
    COIR_TRY(coir_watch_open(int, &zero, &all->watch));
    COIR_TRY(coir_broadcast_open(int, 1, NULL, &all->news));
    return coir_stream_pair(0, &all->stream, &all->peer);
}

static void close_all(struct objects *all)
{
    COIR_EXPECT_OK(coir_lock_release(&all->lock));
    COIR_EXPECT_OK(coir_rwlock_release_read(&all->table));
    coir_sender_close(all->out);
    coir_receiver_close(all->in);
    coir_queue_close(all->queue);
    coir_watch_close(all->watch);
    coir_broadcast_close(all->news);
    coir_stream_close(all->stream);
    coir_stream_close(all->peer);
}

/* ---- one function for each call ---- */

#define CALL(name, call)                                                                           \
    static __attribute__((noinline)) int use_##name(struct objects *all)                           \
    {                                                                                              \
        int r = (call);                                                                            \
        (void)all;                                                                                 \
        __asm__ volatile("" : "+r"(r)); /* no jump: this function is on the stack */               \
        return r;                                                                                  \
    }                                                                                              \
    struct name##_is_there

static int item;
static struct coir_loop_stats loop;
static struct coir_channel_stats channel;
static struct coir_broadcast_stats news;

/* What calls without a code have read: nothing, since they were refused. */
static int refused(uint64_t number)
{
    return number == 0 ? -COIR_EWRONGLOOP : 0;
}

CALL(lock_acquire, coir_lock_acquire(&all->lock));
CALL(lock_try, coir_lock_try(&all->lock));
CALL(rwlock_acquire_read, coir_rwlock_acquire_read(&all->table));
CALL(rwlock_acquire_write, coir_rwlock_acquire_write(&all->table));
CALL(rwlock_release_read, coir_rwlock_release_read(&all->table));
CALL(event_set, coir_event_set(&all->event));
CALL(event_wait, coir_event_wait(&all->event));
CALL(semaphore_acquire, coir_semaphore_acquire(&all->semaphore));
CALL(semaphore_release, coir_semaphore_release(&all->semaphore));
CALL(condition_notify, coir_condition_notify(&all->condition, 1));
CALL(future_cancel, coir_future_cancel(&all->future));
CALL(future_wait, coir_future_wait(&all->future, NULL));
CALL(send, coir_send(all->out, &item));
CALL(try_send, coir_try_send(all->out, &item));
CALL(receive, coir_receive(all->in, &item));
CALL(try_receive, coir_try_receive(all->in, &item));
CALL(queue_put, coir_queue_put(all->queue, &item));
CALL(queue_get, coir_queue_get(all->queue, &item));
CALL(queue_join, coir_queue_join(all->queue));
CALL(watch_set, coir_watch_set(all->watch, &item));
CALL(stream_write, coir_stream_write(all->stream, "x", 1));
CALL(stream_read_exactly, coir_stream_read_exactly(all->stream, &item, 1));
CALL(spawn, coir_spawn(all->group, sleep_long, NULL, NULL));
CALL(spawn_copy, coir_spawn_copy(all->group, sleep_long, &item, sizeof item, NULL));
CALL(group_wait, coir_group_wait(all->group));
CALL(join, coir_join(all->task, NULL));
CALL(wait_all, coir_wait_all(&all->task, 1));
CALL(task_on_done, coir_task_on_done(all->task, nothing, NULL));
CALL(cancel, (coir_cancel(all->task, NULL), -COIR_EWRONGLOOP));
CALL(group_cancel, (coir_group_cancel(all->group, NULL), -COIR_EWRONGLOOP));
CALL(call_soon, coir_call_soon(all->loop, nothing, NULL, NULL));
CALL(call_later, coir_call_later(all->loop, 1, nothing, NULL, NULL));
CALL(callback_cancel, coir_callback_cancel(all->loop, (coir_callback){0}));
CALL(timer_start, (coir_timer_start(all->loop, &all->timer, 1, nothing, NULL), -COIR_EWRONGLOOP));
CALL(timer_stop, (coir_timer_stop(all->loop, &all->timer), -COIR_EWRONGLOOP));
CALL(loop_spawn, coir_loop_spawn(all->loop, sleep_long, NULL, NULL));
CALL(loop_stop, (coir_loop_stop(all->loop), -COIR_EWRONGLOOP));
CALL(loop_close, coir_loop_close(all->loop));
CALL(dump, coir_dump(all->loop, 2));
CALL(queue_close, (coir_queue_close(all->queue), -COIR_EWRONGLOOP));
CALL(sender_close, (coir_sender_close(all->out), -COIR_EWRONGLOOP));
CALL(receiver_close, (coir_receiver_close(all->in), -COIR_EWRONGLOOP));
CALL(watch_close, (coir_watch_close(all->watch), -COIR_EWRONGLOOP));
CALL(stream_close, (coir_stream_close(all->stream), -COIR_EWRONGLOOP));
CALL(task_set_name, (coir_task_set_name(all->task, "another name"), -COIR_EWRONGLOOP));
CALL(task_result, coir_task_result(all->task));
CALL(task_error, refused(coir_task_error(all->task) != NULL));
CALL(task_describe, refused(coir_task_describe(all->task, NULL, 0)));
CALL(task_figures, coir_task_figures(all->task, &(struct coir_task_figures){0}));
CALL(group_failures, refused(coir_group_failures(all->group)));
CALL(group_errors, refused(coir_group_errors(all->group) != NULL));
CALL(loop_stats, (coir_loop_stats(all->loop, &loop), refused(loop.tasks)));
CALL(sender_stats, (coir_sender_stats(all->out, &channel), refused(channel.capacity)));
CALL(receiver_stats, (coir_receiver_stats(all->in, &channel), refused(channel.capacity)));
CALL(broadcast_stats, (coir_broadcast_stats(all->news, &news), refused(news.capacity)));
CALL(sleep, coir_sleep(1));
CALL(yield, coir_yield());
CALL(blocking, coir_blocking(sleep_long, NULL));
CALL(channel_open, coir_channel_open(int, 1, &all->out, &all->in));

#define USE(name)                                                                                  \
    {                                                                                              \
        "coir_" #name, "\n    use_" #name, use_##name                                              \
    }
static const struct use {
    const char *call, *frame;
    int (*fn)(struct objects *all);
} owned[] = {
    USE(lock_acquire),
    USE(lock_try),
    USE(rwlock_acquire_read),
    USE(rwlock_acquire_write),
    USE(rwlock_release_read),
    USE(event_set),
    USE(event_wait),
    USE(semaphore_acquire),
    USE(semaphore_release),
    USE(condition_notify),
    USE(future_cancel),
    USE(future_wait),
    USE(send),
    USE(try_send),
    USE(receive),
    USE(try_receive),
    USE(queue_put),
    USE(queue_get),
    USE(queue_join),
    USE(watch_set),
    USE(stream_write),
    USE(stream_read_exactly),
    USE(spawn),
    USE(spawn_copy),
    USE(group_wait),
    USE(join),
    USE(task_on_done),
    USE(cancel),
    USE(group_cancel),
    USE(call_soon),
    USE(call_later),
    USE(callback_cancel),
    USE(timer_start),
    USE(timer_stop),
    USE(loop_spawn),
    USE(loop_stop),
    USE(loop_close),
    USE(dump),
    USE(queue_close),
    USE(sender_close),
    USE(receiver_close),
    USE(watch_close),
    USE(stream_close),
    USE(wait_all),
    USE(task_set_name),
    USE(task_result),
    USE(task_error),
    USE(task_describe),
    USE(task_figures),
    USE(group_failures),
    USE(group_errors),
    USE(loop_stats),
    USE(sender_stats),
    USE(receiver_stats),
    USE(broadcast_stats),
};
static const struct use homeless[] = {
    USE(sleep),
    USE(yield),
    USE(blocking),
    USE(channel_open),
};

struct run {
    const struct use *use;
    struct objects *all;
};

static int use_it(void *arg)
{
    const struct run *run = arg;
    int r = run->use->fn(run->all);
    return r == -COIR_ENOTASK || r == -COIR_EWRONGLOOP || r == -EBUSY ? 0 : r < 0 ? r : -EPROTO;
}

/* The text of the last report, which is about the wrong thread, or "". */
static const char *last_text(void)
{
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    if (count == 0 || reports[count - 1].kind != COIR_REPORT_WRONG_THREAD)
        return "";
    return reports[count - 1].text;
}

static void use_in_thread(const struct use *use, struct objects *all, bool owner_known)
{
    struct run run = {use, all};
    char begin[96];
    size_t before = coir_test_report_count(COIR_REPORT_WRONG_THREAD);
    COIR_EXPECT_OK(coir_blocking(use_it, &run));
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_WRONG_THREAD), before + 1);
    (void)snprintf(begin, sizeof begin, "%s is called in thread ", use->call);
    const char *text = last_text();
    COIR_EXPECT(strncmp(text, begin, strlen(begin)) == 0);
    COIR_EXPECT_CONTAINS(text, begin);
    COIR_EXPECT_CONTAINS(text, ", which runs no loop");
    COIR_EXPECT(owner_known == (strstr(text, " is of the loop of thread ") != NULL));
    COIR_EXPECT_CONTAINS(text, use->frame);
    COIR_EXPECT_CONTAINS(text, owner_known ? "\n  hint: use coir_post, coir_call_on, "
                                           : "\n  hint: only a task can do that: spawn one, ");
}

COIR_TEST_TAGGED(calls_from_a_thread_without_a_loop, "expect_reports,no_torture")
{
    struct objects all = {0};
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    all.group = &group;
    COIR_REQUIRE_OK(open_all(&all));
    for (size_t i = 0; i < COIR_COUNT(owned); i++)
        use_in_thread(&owned[i], &all, true);
    for (size_t i = 0; i < COIR_COUNT(homeless); i++)
        use_in_thread(&homeless[i], &all, false);
    COIR_EXPECT(!coir_task_done(all.task));
    COIR_EXPECT_STR(coir_task_name(all.task), "the sleeper");
    close_all(&all);
}

COIR_TEST_TAGGED(what_is_used_is_named, "expect_reports,no_torture")
{
    struct objects all = {0};
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    all.group = &group;
    COIR_REQUIRE_OK(open_all(&all));
    use_in_thread(&(struct use)USE(join), &all, true);
    COIR_EXPECT_CONTAINS(last_text(), "; task 'the sleeper' (2 s old, spawned at debug_threads.c:");
    use_in_thread(&(struct use)USE(group_cancel), &all, true);
    COIR_EXPECT_CONTAINS(last_text(), "; group 'group' (debug_threads.c:");
    use_in_thread(&(struct use)USE(event_set), &all, true);
    COIR_EXPECT_CONTAINS(last_text(), "; the object is of the loop of thread ");
    close_all(&all);
}

/* ---- once, in debug mode, and where it is wrong ---- */

static int set_often(void *arg)
{
    struct objects *all = arg;
    for (int i = 0; i < 100; i++)
        (void)use_event_set(all);
    return 0;
}

COIR_TEST_TAGGED(a_line_is_reported_once, "expect_reports,no_torture")
{
    struct objects all = {0};
    COIR_REQUIRE_OK(coir_event_clear(&all.event));
    COIR_REQUIRE_OK(coir_blocking(set_often, &all));
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_WRONG_THREAD), 0);
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(coir_blocking(set_often, &all));
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_WRONG_THREAD), 1);
}

struct open_ways {
    coir_loop *loop;
    coir_future future;
    coir_sender *out;
    coir_post_node node;
};

static int return_five(void *arg)
{
    (void)arg;
    return 5;
}

static int reach_the_loop(void *arg)
{
    struct open_ways *ways = arg;
    COIR_EXPECT_EQ(coir_call_on(ways->loop, return_five, NULL), 5);
    COIR_EXPECT_OK(coir_post(ways->loop, &ways->node, nothing, NULL));
    COIR_EXPECT_OK(coir_future_post(ways->loop, &ways->future, NULL));
    COIR_EXPECT_OK(coir_send(ways->out, &item));
    return 0;
}

COIR_TEST_TAGGED(the_ways_for_threads_are_fine, "no_torture")
{
    static struct open_ways ways;
    COIR_AUTO(coir_receiver) *in = NULL;
    ways.loop = coir_loop_current();
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(coir_channel_open_shared(int, 1, &ways.out, &in));
    COIR_EXPECT_OK(coir_blocking(reach_the_loop, &ways));
    COIR_EXPECT_OK(coir_future_wait(&ways.future, NULL));
    coir_sender_close(ways.out);
}

static void wait_in_callback(void *arg)
{
    *(int *)arg = coir_sleep(1);
}

COIR_TEST(callbacks_are_on_the_right_thread)
{
    int code = 0;
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), wait_in_callback, &code, NULL));
    COIR_REQUIRE_OK(coir_sleep(1));
    COIR_EXPECT_CODE(code, -COIR_ENOTASK);
}

static void ignore_line(const char *line, void *arg)
{
    (void)line, (void)arg;
}

COIR_TEST_TAGGED(a_loop_between_its_runs_can_be_used, "own_loop")
{
    LOOP(loop);
    COIR_REQUIRE_OK(coir_debug_set(loop, true));
    coir_debug_set_slow_step(loop, COIR_FOREVER);
    COIR_REQUIRE_OK(coir_call_soon(loop, nothing, NULL, NULL));
    COIR_EXPECT_OK(coir_loop_step(loop, 0));
    COIR_EXPECT_OK(coir_dump_lines(loop, ignore_line, NULL));
}

/* ---- from a task of another loop ---- */

struct elsewhere {
    struct objects *all;
    bool debug;
    size_t heard; /* by the hook of the other loop */
    char text[2048];
};

static void hear(const coir_report *report, void *arg)
{
    struct elsewhere *elsewhere = arg;
    elsewhere->heard += report->kind == COIR_REPORT_WRONG_THREAD;
    (void)snprintf(elsewhere->text, sizeof elsewhere->text, "%s", report->text);
}

static int join_from_there(void *arg)
{
    COIR_EXPECT_CODE(use_join(arg), -COIR_EWRONGLOOP);
    return 0;
}

static int run_other_loop(void *arg)
{
    struct elsewhere *elsewhere = arg;
    coir_loop_opts opts = coir_test_loop_opts();
    opts.debug = elsewhere->debug;
    opts.slow_step = COIR_FOREVER;
    opts.report = hear;
    opts.report_arg = elsewhere;
    return coir_run(join_from_there, elsewhere->all, &opts, NULL);
}

static void expect_heard(const char *text)
{
    COIR_EXPECT_CONTAINS(text, "coir_join is called by task 'main' (0 s old) in thread ");
    COIR_EXPECT_CONTAINS(text, "; task 'the sleeper' (2 s old, spawned at debug_threads.c:");
    COIR_EXPECT_CONTAINS(text, "\n    coir_join\n    use_join\n    join_from_there\n");
}

COIR_TEST_TAGGED(the_loop_of_the_caller_is_told, "expect_reports,no_torture")
{
    static struct elsewhere there;
    struct objects all = {0};
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    all.group = &group;
    COIR_REQUIRE_OK(open_all(&all));
    there = (struct elsewhere){.all = &all, .debug = true};
    COIR_EXPECT_OK(coir_blocking(run_other_loop, &there));
    COIR_EXPECT_EQ(there.heard, 1);
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_WRONG_THREAD), 0);
    expect_heard(there.text);
    COIR_EXPECT_CONTAINS(there.text, ") is of the loop of thread ");
    close_all(&all);
}

COIR_TEST_TAGGED(the_owner_is_told_when_the_caller_is_not_in_debug_mode,
                 "expect_reports,no_torture")
{
    static struct elsewhere there;
    struct objects all = {0};
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    all.group = &group;
    COIR_REQUIRE_OK(open_all(&all));
    there = (struct elsewhere){.all = &all};
    COIR_EXPECT_OK(coir_blocking(run_other_loop, &there));
    COIR_EXPECT_EQ(there.heard, 0);
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_WRONG_THREAD), 1);
    expect_heard(last_text());
    close_all(&all);
}

/* The age of a task is told as well when its loop has no debug mode: the task is there. */
COIR_TEST_TAGGED(a_task_of_a_loop_without_debug_mode_has_its_age, "expect_reports,no_torture")
{
    static struct elsewhere there;
    struct objects all = {0};
    COIR_GROUP(group);
    all.group = &group;
    COIR_REQUIRE_OK(open_all(&all));
    there = (struct elsewhere){.all = &all, .debug = true};
    COIR_EXPECT_OK(coir_blocking(run_other_loop, &there));
    COIR_EXPECT_EQ(there.heard, 1);
    expect_heard(there.text);
    COIR_EXPECT_CONTAINS(there.text, ") is of another loop:");
    close_all(&all);
}
