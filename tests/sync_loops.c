/* sync_loops.c: what all objects of src/sync/ have in common: they belong to the loop that used
 * them first, and those that wait for them can say so.
 */
#include <coir/barrier.h>
#include <coir/condition.h>
#include <coir/queue.h>
#include <coir/select.h>
#include <coir/semaphore.h>

#include "sync.h"

/* One of everything. */
struct objects {
    coir_lock lock;
    coir_event event;
    coir_condition condition;
    coir_semaphore semaphore;
    coir_barrier barrier;
    coir_future future;
    coir_sender *out;
    coir_receiver *in;
    coir_queue *queue;
    coir_task *task;
};

static int open_all(void *arg)
{
    struct objects *all = arg;
    COIR_TRY(coir_lock_try(&all->lock));
    COIR_TRY(coir_event_clear(&all->event));
    COIR_TRY(coir_condition_notify_all(&all->condition));
    COIR_TRY(coir_semaphore_release(&all->semaphore));
    COIR_TRY(coir_barrier_reset(&all->barrier));
    COIR_TRY(coir_future_cancel(&all->future));
    COIR_TRY(coir_queue_open(int, NULL, &all->queue));
    return coir_channel_open(int, 1, &all->out, &all->in);
}

static int close_all(void *arg)
{
    struct objects *all = arg;
    coir_queue_close(all->queue);
    coir_sender_close(all->out);
    coir_receiver_close(all->in);
    coir_cancel(all->task, NULL);
    return coir_join(all->task, NULL);
}

static void use_opaque_ones(struct objects *all, int code)
{
    coir_sender *out = NULL;
    coir_receiver *in = NULL;
    int item = 0;
    COIR_EXPECT_CODE(coir_try_send(all->out, &item), code);
    COIR_EXPECT_CODE(coir_try_receive(all->in, &item), code);
    COIR_EXPECT_CODE(coir_sender_clone(all->out, &out), code);
    COIR_EXPECT_CODE(coir_receiver_clone(all->in, &in), code);
    COIR_EXPECT_CODE(coir_queue_try_put(all->queue, &item), code);
    COIR_EXPECT_CODE(coir_queue_try_get(all->queue, &item), code);
    COIR_EXPECT_CODE(coir_queue_task_done(all->queue), code);
    COIR_EXPECT_CODE(coir_queue_shutdown(all->queue, true), code);
}

static void use_embedded_ones(struct objects *all, int code)
{
    COIR_EXPECT_CODE(coir_event_set(&all->event), code);
    COIR_EXPECT_CODE(coir_event_clear(&all->event), code);
    COIR_EXPECT_CODE(coir_condition_notify(&all->condition, 1), code);
    COIR_EXPECT_CODE(coir_semaphore_try(&all->semaphore), code);
    COIR_EXPECT_CODE(coir_semaphore_release(&all->semaphore), code);
    COIR_EXPECT_CODE(coir_barrier_reset(&all->barrier), code);
    COIR_EXPECT_CODE(coir_barrier_abort(&all->barrier), code);
    COIR_EXPECT_CODE(coir_future_set(&all->future, NULL), code);
}

static void wait_for_all(struct objects *all, int code)
{
    int item = 0;
    COIR_EXPECT_CODE(coir_lock_acquire(&all->lock), code);
    COIR_EXPECT_CODE(coir_lock_try(&all->lock), code);
    COIR_EXPECT_CODE(coir_event_wait(&all->event), code);
    COIR_EXPECT_CODE(coir_condition_wait(&all->condition, &all->lock), code);
    COIR_EXPECT_CODE(coir_semaphore_acquire(&all->semaphore), code);
    COIR_EXPECT_CODE(coir_barrier_wait(&all->barrier), code);
    COIR_EXPECT_CODE(coir_future_wait(&all->future, NULL), code);
    COIR_EXPECT_CODE(coir_send(all->out, &item), code);
    COIR_EXPECT_CODE(coir_receive(all->in, &item), code);
    COIR_EXPECT_CODE(coir_queue_put(all->queue, &item), code);
    COIR_EXPECT_CODE(coir_queue_get(all->queue, &item), code);
    COIR_EXPECT_CODE(coir_queue_join(all->queue), code);
}

static void select_each(struct objects *all, int code)
{
    int item = 0;
    coir_case cases[] = {
        COIR_ON_SEND(all->out, &item), COIR_ON_RECEIVE(all->in, &item),
        COIR_ON_EVENT(&all->event),    COIR_ON_FUTURE(&all->future, NULL),
        COIR_ON_TASK(all->task),
    };
    for (size_t i = 0; i < COIR_COUNT(cases); i++)
        COIR_EXPECT_CODE(coir_try_select(&cases[i], 1), code);
}

static int use_all(void *arg)
{
    use_opaque_ones(arg, -COIR_EWRONGLOOP);
    use_embedded_ones(arg, -COIR_EWRONGLOOP);
    wait_for_all(arg, -COIR_EWRONGLOOP);
    select_each(arg, -COIR_EWRONGLOOP);
    return 0;
}

static int run(coir_loop *loop, coir_fn fn, void *arg)
{
    coir_task *task;
    COIR_TRY(coir_loop_spawn(loop, fn, arg, &task));
    return coir_loop_run_until(loop, task, NULL);
}

static int sleep_long(void *arg)
{
    (void)arg;
    int r = coir_sleep(COIR_SEC(1000));
    return r == -ECANCELED ? 0 : r;
}

/* No torture: what a fault leaves unopened cannot be used. */
COIR_TEST_TAGGED(objects_of_another_loop, "own_loop,no_torture")
{
    struct objects all = {.barrier = {.parties = 2}};
    coir_loop_opts opts = coir_test_loop_opts();
    coir_loop *first = NULL, *second = NULL;
    COIR_REQUIRE_OK(coir_loop_open(&opts, &first));
    COIR_REQUIRE_OK(coir_loop_open(&opts, &second));
    COIR_EXPECT_OK(coir_loop_spawn(first, sleep_long, NULL, &all.task));
    COIR_REQUIRE_OK(run(first, open_all, &all));
    COIR_EXPECT_OK(run(second, use_all, &all));
    use_embedded_ones(&all, -COIR_ENOTASK);
    wait_for_all(&all, -COIR_ENOTASK);
    COIR_EXPECT_OK(run(first, close_all, &all));
    COIR_EXPECT_OK(coir_loop_close(second));
    COIR_EXPECT_OK(coir_loop_close(first));
}

COIR_TEST_TAGGED(opening_needs_a_loop, "own_loop")
{
    coir_sender *out = NULL;
    coir_receiver *in = NULL;
    coir_queue *queue = NULL;
    coir_case cases[] = {COIR_ON_TIMER(1)};
    COIR_EXPECT_CODE(coir_channel_open(int, 1, &out, &in), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_queue_open(int, NULL, &queue), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_select(cases, 1), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_try_select(cases, 1), -COIR_ENOTASK);
}

/* ---- descriptions ---- */

static int wait_for_event(void *arg)
{
    return coir_event_wait(&((struct objects *)arg)->event);
}

static int wait_for_semaphore(void *arg)
{
    return coir_semaphore_acquire(&((struct objects *)arg)->semaphore);
}

static int wait_at_barrier(void *arg)
{
    return coir_barrier_wait(&((struct objects *)arg)->barrier);
}

static int wait_for_future(void *arg)
{
    return coir_future_wait(&((struct objects *)arg)->future, NULL);
}

static int send_one(void *arg)
{
    int item = 0;
    return coir_send(((struct objects *)arg)->out, &item);
}

static int join_queue(void *arg)
{
    return coir_queue_join(((struct objects *)arg)->queue);
}

static int select_many(void *arg)
{
    struct objects *all = arg;
    int item = 0;
    coir_case cases[] = {
        COIR_ON_EVENT(&all->event), COIR_ON_TIMER(COIR_SEC(2)),    COIR_ON_TIMER(COIR_FOREVER),
        COIR_ON_TASK(all->task),    COIR_ON_SEND(all->out, &item),
    };
    return coir_select(cases, COIR_COUNT(cases));
}

COIR_TEST(descriptions)
{
    static const struct {
        coir_fn fn;
        const char *text;
    } kinds[] = {
        {wait_for_event, "waits for event"},
        {wait_for_semaphore, "waits for semaphore"},
        {wait_at_barrier, "(1 of 2 waiting)"},
        {wait_for_future, "waits for future"},
        {send_one, "waits to send to channel of int opened at sync_loops.c:"},
        {send_one, ", 1 receiver"},
        {join_queue, "waits for all work of queue of int opened at sync_loops.c:"},
        {select_many, "waits for the first of event; time in 2 s; time never; task 'the sleeper';"},
    };
    struct objects all = {.barrier = {.parties = 2}};
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_channel_open(int, 0, &out, &in));
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    COIR_REQUIRE_OK(coir_queue_try_put(queue, &(int){1}));
    all.out = out;
    all.queue = queue;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_long, NULL, &all.task));
    coir_task_set_name(all.task, "the sleeper");
    for (size_t i = 0; i < COIR_COUNT(kinds); i++) {
        coir_task *task;
        char text[192];
        START(&group, kinds[i].fn, &all, &task);
        coir_task_describe(task, text, sizeof text);
        COIR_EXPECT_CONTAINS(text, kinds[i].text);
        coir_cancel(task, NULL);
        COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    }
    coir_cancel(all.task, NULL);
    COIR_EXPECT_OK(joined(all.task));
}
