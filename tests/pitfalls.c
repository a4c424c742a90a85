/* pitfalls.c: the mistakes of docs/guide/pitfalls.md, each made and mended, and what differs.
 *
 * The wrong forms are those of well-known asyncio programs, said in C as closely as it can be said.
 */
#include <signal.h>

#include <coir/coir.h>
#include <coir/testing.h>

/* ---- a race whose loser is not joined ---- */

struct racer {
    coir_time takes;
    int *open; /* how many hold something */
};

static int run_racer(void *arg)
{
    struct racer *racer = arg;
    ++*racer->open;
    int r = coir_sleep(racer->takes);
    {
        COIR_SHIELD(COIR_SEC(1));
        (void)!coir_sleep(COIR_SEC(0.1)); /* as if it said goodbye */
    }
    --*racer->open;
    return r;
}

static int race_in(coir_group *group, struct racer *racers)
{
    coir_task *tasks[2];
    COIR_TRY(coir_spawn(group, run_racer, &racers[0], &tasks[0]));
    COIR_TRY(coir_spawn(group, run_racer, &racers[1], &tasks[1]));
    int first = COIR_TRY(coir_wait_first(tasks, 2));
    coir_cancel(tasks[1 - first], "the other one won");
    return first;
}

static int race_and_join(struct racer *racers)
{
    COIR_GROUP(group); /* leaving the block joins the loser */
    return race_in(&group, racers);
}

COIR_TEST(race_without_a_join_returns_before_the_loser_has_cleaned_up)
{
    int open = 0;
    struct racer racers[] = {{COIR_SEC(2), &open}, {COIR_SEC(1), &open}};
    COIR_GROUP(group);
    COIR_EXPECT_EQ(race_in(&group, racers), 1);
    COIR_EXPECT_EQ(open, 1);
}

COIR_TEST(race_with_a_join_returns_when_all_is_cleaned_up)
{
    int open = 0;
    struct racer racers[] = {{COIR_SEC(2), &open}, {COIR_SEC(1), &open}};
    coir_time start = coir_now();
    COIR_EXPECT_EQ(race_and_join(racers), 1);
    COIR_EXPECT_EQ(open, 0);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1.2)); /* two goodbyes, one after the other */
}

/* ---- a sentinel in a queue ---- */

#define SENTINEL (-1)

struct line {
    coir_queue *queue;
    int processed;
    bool sentinels;
};

static int put_ten(void *arg)
{
    struct line *line = arg;
    for (int i = 0; i < 10; i++) {
        COIR_TRY(coir_sleep(COIR_SEC(0.1)));
        COIR_TRY(coir_queue_put(line->queue, &i));
    }
    int end = SENTINEL;
    return line->sentinels ? coir_queue_put(line->queue, &end)
                           : coir_queue_shutdown(line->queue, false);
}

static int take(void *arg)
{
    struct line *line = arg;
    int item, r;
    while ((r = coir_queue_get(line->queue, &item)) == 0) {
        if (item == SENTINEL)
            return coir_queue_put(line->queue, &item); /* for the other consumers */
        r = coir_sleep(COIR_SEC(0.2));
        coir_queue_task_done(line->queue);
        COIR_TRY(r);
        line->processed++;
    }
    return r == -COIR_ECLOSED ? 0 : r;
}

static int run_line(struct line *line)
{
    coir_call calls[] = {{put_ten, line, 0}, {take, line, 0}, {take, line, 0}, {take, line, 0}};
    return coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST);
}

COIR_TEST(queue_with_a_sentinel_cannot_be_joined)
{
    struct line line = {.sentinels = true};
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    line.queue = queue;
    COIR_REQUIRE_OK(run_line(&line));
    COIR_EXPECT_EQ(line.processed, 10);
    COIR_EXPECT_EQ(coir_queue_size(queue), 1); /* the sentinel, for ever */
    COIR_SCOPE(limit, COIR_SEC(3600));
    COIR_EXPECT_CODE(coir_queue_join(queue), -ETIME);
    COIR_EXPECT(coir_scope_expired(&limit));
}

COIR_TEST(queue_that_is_shut_down_can_be_joined)
{
    struct line line = {.sentinels = false};
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    line.queue = queue;
    COIR_REQUIRE_OK(run_line(&line));
    COIR_EXPECT_EQ(line.processed, 10);
    COIR_EXPECT_EQ(coir_queue_size(queue), 0);
    coir_time start = coir_now();
    COIR_EXPECT_OK(coir_queue_join(queue));
    COIR_EXPECT_EQ(coir_now() - start, 0);
}

/* ---- a time-out that bounds the waiting, and not the work ---- */

struct work {
    int steps, cleaned;
};

static int work(void *arg)
{
    struct work *work = arg;
    int r;
    while ((r = coir_sleep(COIR_SEC(1))) == 0)
        work->steps++;
    work->cleaned++;
    return r;
}

static int join_in_time(coir_task *task, int *ret_result)
{
    COIR_SCOPE(limit, COIR_SEC(4.5));
    int r = coir_join(task, ret_result);
    return coir_scope_expired(&limit) ? -ETIMEDOUT : r;
}

static int work_in_time(struct work *done)
{
    COIR_SCOPE(limit, COIR_SEC(4.5));
    int r = work(done);
    return coir_scope_expired(&limit) ? -ETIMEDOUT : r;
}

COIR_TEST(timeout_around_a_join_leaves_the_task_running)
{
    struct work done = {0};
    int result;
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, work, &done, &task));
    COIR_REQUIRE_EQ(join_in_time(task, &result), -ETIMEDOUT);
    COIR_EXPECT(!coir_task_done(task));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(10)));
    COIR_EXPECT_EQ(done.steps, 14); /* nobody waits for it any more, and it works on */
    COIR_EXPECT_EQ(done.cleaned, 0);

    coir_cancel(task, "it takes too long"); /* what is to be done then */
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(done.cleaned, 1);
}

COIR_TEST(timeout_around_a_call_has_ended_the_work)
{
    struct work done = {0};
    COIR_EXPECT_CODE(work_in_time(&done), -ETIMEDOUT);
    COIR_EXPECT_EQ(done.cleaned, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(10)));
    COIR_EXPECT_EQ(done.steps, 4);
}

/* ---- a flag that is polled, and a signal that is waited for ---- */

struct service {
    bool should_exit; /* the wrong form's */
    int cleaned, slipped_away;
    coir_time told, over;
};

static int serve(void *arg)
{
    struct service *service = arg;
    int r = 0;
    while (!service->should_exit && (r = coir_sleep(COIR_SEC(1.02))) == 0)
        ;
    *(r < 0 ? &service->cleaned : &service->slipped_away) += 1;
    return r;
}

static void set_flag(void *arg)
{
    struct service *service = arg;
    service->told = coir_now();
    service->should_exit = true;
}

static void on_signal(int number)
{
    (void)number;
}

static void send_signal(void *arg)
{
    struct service *service = arg;
    service->told = coir_now();
    raise(SIGTERM);
}

static int spawn_workers(coir_group *group, struct service *service)
{
    for (int i = 0; i < 3; i++)
        COIR_TRY(coir_spawn(group, serve, service, NULL));
    return 0;
}

static int serve_and_poll(struct service *service)
{
    COIR_GROUP(workers);
    COIR_TRY(spawn_workers(&workers, service));
    while (!service->should_exit)
        COIR_TRY(coir_sleep(COIR_SEC(0.1)));
    service->over = coir_now();
    return 0; /* leaving the block cancels and joins the workers */
}

static int serve_until_signal(struct service *service)
{
    COIR_GROUP(workers);
    COIR_AUTO(coir_signals) *signals = NULL;
    COIR_TRY(coir_signals_open((const int[]){SIGTERM, SIGINT}, 2, &signals));
    COIR_TRY(spawn_workers(&workers, service));
    int number;
    COIR_TRY(coir_signals_wait(signals, &number));
    service->over = coir_now();
    return 0;
}

/* Runs serve, which is told to end after 3.02 s. */
static int serve_for_a_while(struct service *service, int (*serve_until)(struct service *service),
                             void (*tell)(void *arg))
{
    coir_callback callback;
    COIR_TRY(coir_call_later(coir_loop_current(), COIR_SEC(3.02), tell, service, &callback));
    int r = serve_until(service);
    (void)coir_callback_cancel(coir_loop_current(), callback);
    return r;
}

/* The workers wake at 3.06 s, and who polls at 3.1 s. */
COIR_TEST(polled_flag_is_seen_late_and_workers_slip_away)
{
    struct service service = {0};
    COIR_REQUIRE_OK(serve_for_a_while(&service, serve_and_poll, set_flag));
    COIR_EXPECT_EQ(service.over - service.told, COIR_SEC(0.08));
    COIR_EXPECT_EQ(service.cleaned, 0);
    COIR_EXPECT_EQ(service.slipped_away, 3);
}

COIR_TEST(signal_that_is_waited_for_is_seen_at_once_and_all_clean_up)
{
    struct service service = {0};
    /* What is raised again when the wait was cut short must not end the process. */
    COIR_REQUIRE_EQ(sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_signal}, NULL), 0);
    COIR_REQUIRE_OK(serve_for_a_while(&service, serve_until_signal, send_signal));
    COIR_EXPECT_LT(service.over - service.told, COIR_SEC(0.04));
    COIR_EXPECT_EQ(service.cleaned, 3);
    COIR_EXPECT_EQ(service.slipped_away, 0);
}

/* ---- several producers, and who says that it is the end ---- */

enum { PRODUCERS = 3, CONSUMERS = 5, ITEMS = 10 };

struct processor {
    coir_queue *queue;
    bool sentinels;
    int processed[PRODUCERS * ITEMS]; /* how often, each item */
    int total, looks;
};

struct producer {
    struct processor *processor;
    int number;
};

static int produce(void *arg)
{
    struct producer *producer = arg;
    for (int i = 0; i < ITEMS; i++) {
        int item = producer->number * ITEMS + i;
        COIR_TRY(coir_sleep(COIR_SEC(0.3) * (producer->number + 1)));
        COIR_TRY(coir_queue_put(producer->processor->queue, &item));
    }
    int end = SENTINEL;
    return producer->processor->sentinels ? coir_queue_put(producer->processor->queue, &end) : 0;
}

static int consume(void *arg)
{
    struct processor *processor = arg;
    int item, r;
    while ((r = coir_queue_get(processor->queue, &item)) == 0) {
        if (item == SENTINEL)
            return coir_queue_put(processor->queue, &item);
        r = coir_sleep(COIR_SEC(0.17));
        coir_queue_task_done(processor->queue);
        COIR_TRY(r);
        processor->processed[item]++;
        processor->total++;
    }
    return r == -COIR_ECLOSED ? 0 : r;
}

static int monitor(void *arg)
{
    for (struct processor *processor = arg;; processor->looks++)
        COIR_TRY(coir_sleep(COIR_SEC(2)));
}

static int process(struct processor *processor)
{
    struct producer producers[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        producers[i] = (struct producer){processor, i};
    COIR_GROUP(background);
    COIR_TRY(coir_spawn(&background, monitor, processor, NULL));
    COIR_GROUP(consumers);
    for (int i = 0; i < CONSUMERS; i++)
        COIR_TRY(coir_spawn(&consumers, consume, processor, NULL));
    COIR_TRY(coir_map(produce, producers, PRODUCERS, sizeof producers[0], NULL));
    if (!processor->sentinels)
        coir_queue_shutdown(processor->queue, false);
    return coir_group_wait(&consumers);
}

COIR_TEST(sentinel_of_the_first_producer_loses_items_of_the_others)
{
    struct processor processor = {.sentinels = true};
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    processor.queue = queue;
    COIR_REQUIRE_OK(process(&processor));
    COIR_EXPECT_LT(processor.total, PRODUCERS * ITEMS);
    int item, lost = 0;
    while (coir_queue_try_get(queue, &item) == 0)
        lost += item != SENTINEL;
    COIR_EXPECT_EQ(processor.total + lost, PRODUCERS * ITEMS);
    COIR_EXPECT_GE(lost, 12); /* 13 when the order of one moment is the other one */
}

COIR_TEST(all_thirty_items_are_processed_when_the_last_producer_ends_the_queue)
{
    struct processor processor = {.sentinels = false};
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &queue));
    processor.queue = queue;
    COIR_REQUIRE_OK(process(&processor));
    COIR_EXPECT_EQ(processor.total, PRODUCERS * ITEMS);
    for (int i = 0; i < PRODUCERS * ITEMS; i++)
        COIR_EXPECT_EQ(processor.processed[i], 1);
    COIR_EXPECT_EQ(coir_queue_unfinished(queue), 0);
    COIR_EXPECT_EQ(processor.looks, 4); /* at 2, 4, 6 and 8 s; it ends at 9.17 s */
    COIR_EXPECT_OK(coir_queue_join(queue));
}
