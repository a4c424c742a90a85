/* core_post.c: posts: from threads, from signal handlers, from callbacks; none is lost, those of a
 * thread keep their order, and a loop that sleeps is woken. Some names are those of Trio's
 * run_sync_soon and of CPython's test_tasks.py.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include <coir/event.h>

#include "core_loop.h"
#include "megabytes.h"

/* ---- from threads ---- */

#define THREADS 3
#define RING 1024
#define EACH (400000 / LESS)

struct message {
    coir_post_node node;
    struct sender *sender;
    uint64_t number;
    int busy; /* atomic: is under way */
};

struct sender {
    pthread_t id;
    coir_loop *loop;
    struct message ring[RING];
    uint64_t expected;   /* the number of the message that comes next */
    uint64_t *remaining; /* of all threads */
    int wrong;
};

static void receive(void *arg)
{
    struct message *message = arg;
    struct sender *sender = message->sender;
    sender->wrong += message->number != sender->expected++;
    __atomic_store_n(&message->busy, 0, __ATOMIC_RELEASE);
    if (--*sender->remaining == 0)
        coir_loop_stop(sender->loop);
}

static void *send_many(void *arg)
{
    struct sender *sender = arg;
    for (uint64_t i = 0; i < EACH; i++) {
        struct message *message = &sender->ring[i % RING];
        while (__atomic_load_n(&message->busy, __ATOMIC_ACQUIRE) != 0)
            sched_yield();
        message->sender = sender;
        message->number = i;
        message->busy = 1;
        if (coir_post(sender->loop, &message->node, receive, message) != 0)
            __atomic_fetch_add(&sender->wrong, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

COIR_TEST_TAGGED(threads_post_in_their_order, "own_loop,posts,no_torture,limit=60")
{
    static struct sender senders[THREADS];
    uint64_t remaining = (uint64_t)THREADS * EACH;
    LOOP(loop);
    for (int i = 0; i < THREADS; i++) {
        senders[i].loop = loop;
        senders[i].remaining = &remaining;
        COIR_REQUIRE_EQ(pthread_create(&senders[i].id, NULL, send_many, &senders[i]), 0);
    }
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    for (int i = 0; i < THREADS; i++) {
        COIR_REQUIRE_EQ(pthread_join(senders[i].id, NULL), 0);
        COIR_EXPECT_EQ(senders[i].wrong, 0);
        COIR_EXPECT_EQ(senders[i].expected, EACH);
    }
    COIR_EXPECT_EQ(remaining, 0);
}

/* A thread and a loop that has gone to sleep before each post. */
struct ping {
    pthread_t id;
    coir_loop *loop;
    coir_post_node node;
    sem_t pong;
    int rounds, received;
};

static void answer(void *arg)
{
    struct ping *ping = arg;
    if (++ping->received == ping->rounds)
        coir_loop_stop(ping->loop);
    sem_post(&ping->pong);
}

static void *ping_often(void *arg)
{
    struct ping *ping = arg;
    for (int i = 0; i < ping->rounds; i++) {
        for (volatile int pause = 0; pause < i % 512; pause++)
            ; /* meet the loop at all places of its way to sleep */
        if (coir_post(ping->loop, &ping->node, answer, ping) != 0)
            ping->rounds = -1;
        sem_wait(&ping->pong);
    }
    return NULL;
}

COIR_TEST_TAGGED(sleeping_loop_is_woken, "own_loop,posts,no_torture,limit=60")
{
    struct ping ping = {.rounds = 40000 / LESS};
    sem_init(&ping.pong, 0, 0);
    LOOP(loop);
    ping.loop = loop;
    COIR_REQUIRE_EQ(pthread_create(&ping.id, NULL, ping_often, &ping), 0);
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_REQUIRE_EQ(pthread_join(ping.id, NULL), 0);
    COIR_EXPECT_EQ(ping.received, 40000 / LESS);
    sem_destroy(&ping.pong);
}

/* ---- a loop that is gone when its poster looks round ---- */

static void *run_until_stopped(void *arg)
{
    struct ping *ping = arg;
    coir_loop_opts opts = coir_test_loop_opts();
    if (coir_loop_open(&opts, &ping->loop) < 0)
        ping->loop = NULL;
    sem_post(&ping->pong);
    if (ping->loop != NULL)
        (void)coir_loop_run_forever(ping->loop);
    (void)coir_loop_close(ping->loop);
    return NULL;
}

/* What is posted stops the loop, and its thread frees it: the post must not touch it any more. */
COIR_TEST_TAGGED(posts_that_stop_the_loop, "own_loop,posts,no_torture")
{
    for (int i = 0; i < 2000 / LESS; i++) {
        struct ping ping = {.rounds = 1};
        sem_init(&ping.pong, 0, 0);
        COIR_REQUIRE_EQ(pthread_create(&ping.id, NULL, run_until_stopped, &ping), 0);
        sem_wait(&ping.pong);
        for (volatile int pause = 0; pause < i % 512; pause++)
            ; /* meet the loop at all places of its way to sleep */
        COIR_EXPECT_OK(coir_post(ping.loop, &ping.node, stop_loop, ping.loop));
        COIR_REQUIRE_EQ(pthread_join(ping.id, NULL), 0);
        sem_destroy(&ping.pong);
    }
}

/* ---- from a signal handler ---- */

static struct {
    coir_loop *loop;
    coir_post_node node;
    int received, refused;
    sem_t answered;
} signalled;

static void handle_signal(int number)
{
    (void)number;
    if (coir_post(signalled.loop, &signalled.node, answer, NULL) == -EALREADY)
        signalled.refused++;
}

static void count_signal(void *arg)
{
    (void)arg;
    signalled.received++;
    sem_post(&signalled.answered);
    if (signalled.received == 200)
        coir_loop_stop(signalled.loop);
}

static void post_from_handler(int number)
{
    (void)number;
    if (coir_post(signalled.loop, &signalled.node, count_signal, NULL) != 0)
        signalled.refused++;
}

static void *send_signals(void *arg)
{
    pthread_t *target = arg;
    for (int i = 0; i < 200; i++) {
        pthread_kill(*target, SIGUSR1);
        sem_wait(&signalled.answered);
    }
    return NULL;
}

/* The handler runs in the loop's thread, mostly while that sleeps in the backend. */
COIR_TEST_TAGGED(signal_handlers_post, "own_loop,posts,no_torture")
{
    struct sigaction action = {.sa_handler = post_from_handler}, before;
    pthread_t id, self = pthread_self();
    sem_init(&signalled.answered, 0, 0);
    LOOP(loop);
    signalled.loop = loop;
    COIR_REQUIRE_EQ(sigaction(SIGUSR1, &action, &before), 0);
    COIR_REQUIRE_EQ(pthread_create(&id, NULL, send_signals, &self), 0);
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_REQUIRE_EQ(pthread_join(id, NULL), 0);
    COIR_REQUIRE_EQ(sigaction(SIGUSR1, &before, NULL), 0);
    COIR_EXPECT_EQ(signalled.received, 200);
    COIR_EXPECT_EQ(signalled.refused, 0);
}

static int raise_twice(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    raise(SIGUSR1); /* the node is under way */
    return coir_sleep(COIR_FOREVER);
}

static void note_and_cancel(void *arg)
{
    ++*(int *)arg;
    coir_loop_stop(coir_loop_current());
}

COIR_TEST_TAGGED(second_signal_finds_the_post_under_way, "own_loop,posts,no_torture")
{
    struct sigaction action = {.sa_handler = handle_signal}, before;
    struct ping ping = {.rounds = 1};
    sem_init(&ping.pong, 0, 0);
    LOOP(loop);
    coir_test_expect_reports(COIR_REPORT_LEFT, 1);
    signalled.loop = ping.loop = loop;
    COIR_REQUIRE_OK(coir_post(loop, &signalled.node, answer, &ping));
    COIR_REQUIRE_EQ(sigaction(SIGUSR1, &action, &before), 0);
    COIR_REQUIRE_OK(coir_loop_spawn(loop, raise_twice, NULL, NULL));
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_REQUIRE_EQ(sigaction(SIGUSR1, &before, NULL), 0);
    COIR_EXPECT_EQ(ping.received, 1); /* the first fn and arg held */
    COIR_EXPECT_EQ(signalled.refused, 2);
    sem_destroy(&ping.pong);
}

/* ---- nodes ---- */

COIR_TEST_TAGGED(node_under_way_keeps_its_first_call, "own_loop,posts")
{
    int first = 0, second = 0;
    coir_post_node node = {0};
    LOOP(loop);
    COIR_EXPECT_OK(coir_post(loop, &node, note_and_cancel, &first));
    COIR_EXPECT_CODE(coir_post(loop, &node, note_and_cancel, &second), -EALREADY);
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_EXPECT_EQ(first, 1);
    COIR_EXPECT_EQ(second, 0);
    COIR_EXPECT_OK(coir_post(loop, &node, note_and_cancel, &second));
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_EXPECT_EQ(second, 1);
}

struct reposter {
    coir_post_node node;
    int posted, refused;
    bool enough;
};

/* In its callback a node is free again. */
static void post_again(void *arg)
{
    struct reposter *reposter = arg;
    reposter->posted++;
    if (!reposter->enough &&
        coir_post(coir_loop_current(), &reposter->node, post_again, reposter) != 0)
        reposter->refused++;
}

static int live_meanwhile(void *arg)
{
    struct reposter *reposter = arg;
    for (int i = 0; i < 2000; i++)
        COIR_TRY(coir_yield());
    COIR_EXPECT_GT(reposter->posted, 1);
    reposter->enough = true;
    return 0;
}

COIR_TEST_TAGGED(run_sync_soon_starvation_resistance, "own_loop,posts")
{
    struct reposter reposter = {.posted = 0};
    LOOP(loop);
    COIR_EXPECT_OK(coir_post(loop, &reposter.node, post_again, &reposter));
    COIR_EXPECT_OK(run_task(loop, live_meanwhile, &reposter));
    COIR_REQUIRE_OK(run_for(loop, 0));
    COIR_EXPECT_EQ(reposter.refused, 0);
}

struct endless {
    struct reposter reposter;
    coir_loop *loop;
    int spawned;
};

static int never_runs(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void post_and_spawn(void *arg)
{
    struct endless *endless = arg;
    int r = coir_post(endless->loop, &endless->reposter.node, post_and_spawn, endless);
    endless->reposter.posted++;
    endless->reposter.refused += r == -COIR_ECLOSED;
    if (r < 0)
        endless->spawned = coir_loop_spawn(endless->loop, never_runs, &endless->spawned, NULL);
}

COIR_TEST_TAGGED(posts_without_end_do_not_keep_a_loop, "own_loop")
{
    struct endless endless = {.spawned = 1};
    {
        LOOP(loop);
        endless.loop = loop;
        COIR_EXPECT_OK(coir_post(loop, &endless.reposter.node, post_and_spawn, &endless));
    }
    COIR_EXPECT_GT(endless.reposter.posted, 1);
    COIR_EXPECT_EQ(endless.reposter.refused, 1);
    COIR_EXPECT_CODE(endless.spawned, -COIR_ECLOSED);
}

#define MASSIVE 100000

struct numbered {
    coir_post_node node;
    uint32_t number;
};

static uint32_t next_number;
static int out_of_order;

static void check_number(void *arg)
{
    struct numbered *numbered = arg;
    out_of_order += numbered->number != next_number++;
    if (next_number == MASSIVE)
        coir_loop_stop(coir_loop_current());
}

COIR_TEST_TAGGED(run_sync_soon_massive_queue, "own_loop,posts")
{
    struct numbered *numbered = megabytes(MASSIVE * sizeof *numbered);
    next_number = 0;
    LOOP(loop);
    for (uint32_t i = 0; i < MASSIVE; i++) {
        numbered[i].number = i;
        COIR_REQUIRE_OK(coir_post(loop, &numbered[i].node, check_number, &numbered[i]));
    }
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_EXPECT_EQ(next_number, MASSIVE);
    COIR_EXPECT_EQ(out_of_order, 0);
}

struct posted {
    coir_post_node node;
    coir_event event;
};

static void set_posted(void *arg)
{
    struct posted *posted = arg;
    COIR_EXPECT_OK(coir_event_set(&posted->event));
}

static int wait_for_own_post(void *arg)
{
    struct posted *posted = arg;
    COIR_TRY(coir_post(coir_loop_current(), &posted->node, set_posted, posted));
    return coir_event_wait(&posted->event);
}

/* Nothing but the post can wake the task, and the post is there: with either clock. */
COIR_TEST_TAGGED(post_under_way_is_no_deadlock, "own_loop")
{
    struct posted posted[2] = {{.event = {0}}, {.event = {0}}};
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_EXPECT_OK(coir_run(wait_for_own_post, &posted[0], &opts, NULL));
    opts.virtual_clock = false;
    COIR_EXPECT_OK(coir_run(wait_for_own_post, &posted[1], &opts, NULL));
}

/* ---- at the end ---- */

static void note_call(void *arg)
{
    ++*(int *)arg;
}

COIR_TEST_TAGGED(accepted_posts_are_called_at_the_latest_by_the_close, "own_loop,posts")
{
    int called = 0;
    coir_post_node node = {0};
    {
        LOOP(loop);
        COIR_EXPECT_OK(coir_post(loop, &node, note_call, &called));
    }
    COIR_EXPECT_EQ(called, 1);
}

struct late {
    coir_loop *loop;
    coir_post_node node;
    int result, called;
};

/* The last code of the user that a closing loop calls. */
static void post_late(const coir_report *report, void *arg)
{
    struct late *late = arg;
    if (report->kind == COIR_REPORT_LEFT)
        late->result = coir_post(late->loop, &late->node, note_call, &late->called);
}

COIR_TEST_TAGGED(run_sync_soon_too_late, "own_loop")
{
    struct late late = {.result = 1};
    coir_timer timer = {0};
    coir_loop_opts opts = coir_test_loop_opts();
    opts.report = post_late;
    opts.report_arg = &late;
    COIR_REQUIRE_OK(coir_loop_open(&opts, &late.loop));
    coir_timer_start(late.loop, &timer, coir_loop_time(late.loop) + COIR_SEC(1), note_call, &late);
    COIR_EXPECT_EQ(coir_loop_close(late.loop), 0);
    COIR_EXPECT_CODE(late.result, -COIR_ECLOSED);
    COIR_EXPECT_EQ(late.called, 0);
}

static int post_in_cleanup(void *arg)
{
    struct late *late = arg;
    int r = coir_sleep(COIR_FOREVER);
    late->result = coir_post(late->loop, &late->node, note_call, &late->called);
    return r;
}

/* While tasks are still being ended, posts are accepted and called. */
COIR_TEST_TAGGED(posts_of_tasks_that_the_close_ends_are_called, "own_loop")
{
    struct late late = {.result = 1};
    {
        LOOP(loop);
        coir_test_expect_reports(COIR_REPORT_LEFT, 1);
        late.loop = loop;
        COIR_REQUIRE_OK(coir_loop_spawn(loop, post_in_cleanup, &late, NULL));
        COIR_REQUIRE_OK(run_for(loop, COIR_SEC(1)));
    }
    COIR_EXPECT_CODE(late.result, 0);
    COIR_EXPECT_EQ(late.called, 1);
}

/* ---- calls across threads ---- */

struct remote {
    coir_loop *loop;
    coir_post_node node;
    coir_event event;
    sem_t done;
    coir_fn fn;
    coir_task *task;
    coir_time limit;
    int result, seen;
};

static void set_event(void *arg)
{
    struct remote *remote = arg;
    COIR_EXPECT_OK(coir_event_set(&remote->event));
}

static void *set_from_thread(void *arg)
{
    struct remote *remote = arg;
    remote->result = coir_post(remote->loop, &remote->node, set_event, remote);
    return NULL;
}

static int wait_for_event(void *arg)
{
    struct remote *remote = arg;
    return coir_event_wait(&remote->event);
}

COIR_TEST_TAGGED(call_soon_threadsafe, "own_loop,posts")
{
    struct remote remote = {.result = 1};
    pthread_t id;
    LOOP(loop);
    remote.loop = loop;
    coir_task *task;
    COIR_REQUIRE_OK(coir_loop_spawn(loop, wait_for_event, &remote, &task));
    COIR_REQUIRE_EQ(pthread_create(&id, NULL, set_from_thread, &remote), 0);
    COIR_EXPECT_OK(coir_loop_run_until(loop, task, NULL));
    COIR_REQUIRE_EQ(pthread_join(id, NULL), 0);
    COIR_EXPECT_EQ(remote.result, 0);
}

/* A thread asks the loop to run fn with a limit of time, and waits for the result. */
static int run_remote(void *arg)
{
    struct remote *remote = arg;
    COIR_SCOPE(scope, remote->limit);
    remote->seen = remote->fn(remote);
    int r = coir_scope_expired(&scope) ? -ETIMEDOUT : remote->seen;
    remote->result = r;
    sem_post(&remote->done);
    return 0;
}

static void start_remote(void *arg)
{
    struct remote *remote = arg;
    COIR_EXPECT_OK(coir_loop_spawn(remote->loop, run_remote, remote, NULL));
}

static int call_remote(struct remote *remote, coir_fn fn, coir_time limit)
{
    remote->fn = fn;
    remote->limit = limit;
    if (coir_post(remote->loop, &remote->node, start_remote, remote) != 0)
        return -1;
    sem_wait(&remote->done);
    return remote->result;
}

static int slow(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    return 7;
}

struct caller {
    struct remote remote;
    coir_post_node end;
    int in_time, too_slow, seen;
};

static void *call_from_thread(void *arg)
{
    struct caller *caller = arg;
    caller->in_time = call_remote(&caller->remote, slow, COIR_SEC(2));
    caller->too_slow = call_remote(&caller->remote, slow, COIR_MS(1));
    caller->seen = caller->remote.seen;
    if (coir_post(caller->remote.loop, &caller->end, stop_loop, caller->remote.loop) != 0)
        caller->seen = 1;
    return NULL;
}

COIR_TEST_TAGGED(run_coroutine_threadsafe_with_timeout, "own_loop,posts,no_torture")
{
    struct caller caller = {.in_time = 1};
    pthread_t id;
    sem_init(&caller.remote.done, 0, 0);
    LOOP(loop);
    caller.remote.loop = loop;
    COIR_REQUIRE_EQ(pthread_create(&id, NULL, call_from_thread, &caller), 0);
    COIR_EXPECT_EQ(coir_loop_run_forever(loop), 0);
    COIR_REQUIRE_EQ(pthread_join(id, NULL), 0);
    COIR_EXPECT_EQ(caller.in_time, 7);
    COIR_EXPECT_CODE(caller.too_slow, -ETIMEDOUT);
    COIR_EXPECT_CODE(caller.seen, -ETIME);
    sem_destroy(&caller.remote.done);
}
