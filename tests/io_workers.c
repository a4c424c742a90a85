/* io_workers.c: tests of loops on threads of their own: that all run, how they end, with whose
 * failure, on which processor, and by which signal. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <coir/channel.h>
#include <coir/workers.h>

#include "net_pair.h"

/* The loops of a test: its backend, and real time, since several virtual ones do not agree. */
static const coir_workers_opts *options(coir_workers_opts *opts, coir_loop_opts *loop)
{
    *loop = coir_test_loop_opts();
    loop->report = NULL;
    loop->virtual_clock = false;
    *opts = (coir_workers_opts){.loop = loop};
    return opts;
}

#define OPTIONS(opts)                                                                              \
    coir_loop_opts COIR__JOIN(opts, _loop);                                                        \
    coir_workers_opts COIR__JOIN(opts, _storage);                                                  \
    const coir_workers_opts *opts = options(&COIR__JOIN(opts, _storage), &COIR__JOIN(opts, _loop))

struct seen {
    atomic_uint started, ended;
    atomic_uint mask;
    unsigned fails; /* index of the one that fails */
    coir_loop *loops[8];
};

static int note(unsigned index, void *arg)
{
    struct seen *seen = arg;
    seen->loops[index] = coir_loop_current();
    atomic_fetch_or(&seen->mask, 1U << index);
    atomic_fetch_add(&seen->started, 1);
    COIR_TRY(coir_yield());
    atomic_fetch_add(&seen->ended, 1);
    return (int)index; /* more than 0 is a success too */
}

COIR_TEST_TAGGED(each_runs_once_on_its_loop, "limit=60")
{
    OPTIONS(opts);
    struct seen seen = {.started = 0};
    COIR_REQUIRE_OK(coir_workers_with(4, note, &seen, opts));
    COIR_EXPECT_EQ(atomic_load(&seen.started), 4);
    COIR_EXPECT_EQ(atomic_load(&seen.mask), 15);
    for (int i = 0; i < 4; i++)
        COIR_EXPECT(seen.loops[i] != NULL && seen.loops[i] != coir_loop_current());
    COIR_REQUIRE_OK(coir_workers_with(1, note, &seen, opts));
    COIR_EXPECT_EQ(atomic_load(&seen.started), 5);
}

COIR_TEST_TAGGED(as_many_as_processors, "limit=60")
{
    OPTIONS(opts);
    struct seen seen = {.started = 0};
    if (coir_processors() > 8)
        COIR_SKIP("more processors than this test counts");
    COIR_REQUIRE_OK(coir_workers_with(0, note, &seen, opts));
    COIR_EXPECT_EQ(atomic_load(&seen.started), coir_processors());
}

COIR_TEST(what_workers_refuse)
{
    COIR_EXPECT_CODE(coir_workers(1, NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_workers(1025, note, NULL), -EINVAL);
    coir_loop_opts loop = {.backend = "none"};
    struct seen seen = {.started = 0};
    COIR_EXPECT_CODE(coir_workers_with(2, note, &seen, &(coir_workers_opts){.loop = &loop}),
                     -EINVAL);
    COIR_EXPECT_EQ(atomic_load(&seen.started), 0);
}

static int wait_or_fail(unsigned index, void *arg)
{
    struct seen *seen = arg;
    atomic_fetch_add(&seen->started, 1);
    if (index == seen->fails) {
        while (atomic_load(&seen->started) < 3)
            COIR_TRY(coir_sleep(COIR_MS(1)));
        return coir_fail(-ENOENT, "no such thing for %u", index);
    }
    int r = coir_sleep(COIR_SEC(3600));
    atomic_fetch_add(&seen->ended, r == -ECANCELED);
    return r;
}

COIR_TEST_TAGGED(the_first_failure_ends_the_others, "limit=60")
{
    OPTIONS(opts);
    struct seen seen = {.fails = 1};
    COIR_EXPECT_CODE(coir_workers_with(3, wait_or_fail, &seen, opts), -ENOENT);
    COIR_EXPECT_EQ(atomic_load(&seen.ended), 2);
    COIR_EXPECT_STR(coir_last_message(-ENOENT), "no such thing for 1");
}

struct group_of_workers {
    struct seen seen;
    const coir_workers_opts *opts;
};

static int run_three(void *arg)
{
    struct group_of_workers *workers = arg;
    return coir_workers_with(3, wait_or_fail, &workers->seen, workers->opts);
}

static int run_one(void *arg)
{
    struct group_of_workers *workers = arg;
    return coir_workers_with(1, note, &workers->seen, workers->opts);
}

/* Waits, in real time, until so many have started. */
static int await_started(struct seen *seen, unsigned count)
{
    while (atomic_load(&seen->started) < count)
        COIR_TRY(coir_yield());
    return 0;
}

COIR_TEST_TAGGED(cancelling_the_caller_ends_all, "limit=60")
{
    OPTIONS(opts);
    struct group_of_workers workers = {.seen = {.fails = 99}, .opts = opts};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, run_three, &workers, &task));
    if (!coir_test_tortured())
        COIR_REQUIRE_OK(await_started(&workers.seen, 3));
    char text[128];
    (void)coir_task_describe(task, text, sizeof text);
    if (!coir_test_tortured())
        COIR_EXPECT_CONTAINS(text, "waits for 3 workers");
    coir_cancel(task, "enough");
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(atomic_load(&workers.seen.ended), 3);
    (void)coir_group_errors(&group);
}

/* Cancelled before any of them has begun: those that come later hear of it too. */
COIR_TEST_TAGGED(cancelled_at_once, "limit=60")
{
    OPTIONS(opts);
    struct group_of_workers workers = {.seen = {.fails = 99}, .opts = opts};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, run_three, &workers, &task));
    COIR_REQUIRE_OK(coir_yield());
    coir_cancel(task, "at once");
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    (void)coir_group_errors(&group);
}

/* What was finished wins. */
COIR_TEST_TAGGED(cancelled_when_they_have_ended, "limit=60")
{
    OPTIONS(opts);
    struct group_of_workers workers = {.opts = opts};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 1;
    COIR_REQUIRE_OK(coir_spawn(&group, run_one, &workers, &task));
    while (atomic_load(&workers.seen.ended) < 1 && !coir_task_done(task))
        COIR_REQUIRE_OK(coir_yield());
    coir_cancel(task, "too late");
    COIR_REQUIRE_OK(coir_join(task, &result));
    if (!coir_test_tortured())
        COIR_EXPECT_EQ(result, 0);
    (void)coir_group_errors(&group);
}

static int look_around(unsigned index, void *arg)
{
    char name[16] = "", wanted[32];
    cpu_set_t set;
    (void)pthread_getname_np(pthread_self(), name, sizeof name);
    (void)snprintf(wanted, sizeof wanted, "coir/%s/%u", (const char *)arg, index);
    if (strcmp(name, wanted) != 0)
        return coir_fail(-EBADMSG, "the name is '%s'", name);
    if (sched_getaffinity(0, sizeof set, &set) < 0 || CPU_COUNT(&set) != 1)
        return coir_fail(-EBADMSG, "runs on %d processors", CPU_COUNT(&set));
    (void)snprintf(wanted, sizeof wanted, "worker %u", index);
    return strcmp(coir_task_name(coir_current()), wanted) == 0 ? 0 : -EBADMSG;
}

COIR_TEST_TAGGED(pinned_and_named, "limit=60")
{
    coir_loop_opts loop;
    coir_workers_opts opts;
    (void)options(&opts, &loop);
    opts.pin = true;
    COIR_EXPECT_OK(coir_workers_with(3, look_around, (void *)(uintptr_t) "worker", &opts));
    opts.name = "server";
    COIR_EXPECT_OK(coir_workers_with(1, look_around, (void *)(uintptr_t) "server", &opts));
}

/* ---- a server on several loops ---- */

struct server {
    char name[COIR_ADDRESS_TEXT];
    coir_sender *ready;
    atomic_uint served;
};

static int answer(coir_stream *stream, void *arg)
{
    struct server *server = arg;
    char byte;
    COIR_TRY(coir_stream_read_exactly(stream, &byte, 1));
    atomic_fetch_add(&server->served, 1);
    return coir_stream_write(stream, &byte, 1);
}

static int serve(unsigned index, void *arg)
{
    struct server *server = arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen(server->name, &(coir_listen_opts){.reuse_port = true}, &listener));
    COIR_TRY(coir_send(server->ready, &index));
    return coir_listener_serve(listener, answer, server);
}

struct running {
    struct server *server;
    const coir_workers_opts *opts;
};

static int run_server(void *arg)
{
    struct running *running = arg;
    return coir_workers_with(2, serve, running->server, running->opts);
}

COIR_TEST_TAGGED(one_address_for_all, "real,limit=60,no_torture")
{
    OPTIONS(opts);
    struct server server = {.served = 0};
    struct running running = {&server, opts};
    COIR_AUTO(coir_receiver) *ready = NULL;
    COIR_AUTO(coir_listener) *first = NULL;
    COIR_AUTO(coir_sender) *sender = NULL;
    COIR_REQUIRE_OK(coir_channel_open_shared(unsigned, 2, &sender, &ready));
    server.ready = sender;
    COIR_REQUIRE_OK(
        coir_tcp_listen("127.0.0.1:0", &(coir_listen_opts){.reuse_port = true}, &first));
    COIR_REQUIRE_OK(coir_listener_address(first, server.name, sizeof server.name));
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, run_server, &running, &task));
    for (unsigned i = 0, index; i < 2; i++)
        COIR_REQUIRE_EQ(coir_receive(ready, &index), 1);
    coir_listener_close(COIR_TAKE(first));
    for (int i = 0; i < 20; i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        char byte = 'x';
        COIR_REQUIRE_OK(coir_tcp_connect(server.name, NULL, &stream));
        COIR_REQUIRE_OK(coir_stream_write(stream, &byte, 1));
        COIR_REQUIRE_OK(coir_stream_read_exactly(stream, &byte, 1));
    }
    COIR_EXPECT_EQ(atomic_load(&server.served), 20);
    coir_cancel(task, "enough");
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    (void)coir_group_errors(&group);
}

/* ---- signals ---- */

static int pipe_to_test[2];

static int say_and_wait(unsigned index, void *arg)
{
    (void)index, (void)arg;
    if (write(pipe_to_test[1], "!", 1) != 1)
        return -EIO;
    int r = coir_sleep(COIR_SEC(3600));
    if (write(pipe_to_test[1], r == -ECANCELED ? "c" : "?", 1) != 1)
        return -EIO;
    return r;
}

static int wait_for_workers(void *arg)
{
    (void)arg;
    return coir_workers(3, say_and_wait, NULL);
}

/* A signal that ends the main task ends all of them, in order. */
COIR_TEST_TAGGED(signals_reach_all, "own_loop,no_torture,limit=60")
{
    static const int numbers[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < COIR_COUNT(numbers); i++) {
        char said[8] = "";
        int status = -1;
        COIR_REQUIRE_EQ(pipe(pipe_to_test), 0);
        pid_t pid = fork();
        if (pid == 0)
            _exit(coir_main(wait_for_workers, NULL));
        close(pipe_to_test[1]);
        for (size_t n = 0; n < 3 && read(pipe_to_test[0], said + n, 1) == 1;)
            n++;
        kill(pid, numbers[i]);
        for (size_t n = 3; n < 6 && read(pipe_to_test[0], said + n, 1) == 1;)
            n++;
        waitpid(pid, &status, 0);
        close(pipe_to_test[0]);
        COIR_EXPECT_STR(said, "!!!ccc");
        if (numbers[i] == SIGTERM)
            COIR_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        else
            COIR_EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    }
}
