/* io_readable.c: coir_spawn_on_readable: what starts the task (bytes, the end, the idle deadline, a
 * cancellation, a close), that nothing is held until then, and that the group owns it all along. */
#include <coir/memory.h>
#include <coir/stream_pair.h>
#include <stdlib.h>

#include "net_pair.h"

/* What the task found when it was started. */
struct found {
    coir_stream *stream;
    bool started, idle;
    int result; /* of its read */
    char data[16];
    size_t n;
};

static int look(void *arg)
{
    struct found *found = arg;
    found->started = true;
    found->idle = coir_stream_was_idle(found->stream);
    if (!found->idle)
        found->result = coir_stream_read(found->stream, found->data, sizeof found->data, &found->n);
    return found->result < 0 ? found->result : 0;
}

/* Uses nothing but its argument. */
static int note_pending(void *arg)
{
    struct found *found = arg;
    found->started = true;
    found->result = coir_yield();
    return found->result;
}

static uint64_t running_tasks(void)
{
    struct coir_loop_stats stats;
    coir_loop_stats(NULL, &stats);
    return stats.tasks;
}

static void starts_with_bytes(enum transport transport)
{
    PAIR(transport, a, b);
    struct found found = {.stream = b};
    COIR_GROUP(group);
    uint64_t before = running_tasks();
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, look, &found));
    COIR_EXPECT_OK(coir_sleep(COIR_MS(50)));
    COIR_EXPECT(!found.started);
    COIR_EXPECT_EQ(running_tasks(), before);
    COIR_EXPECT_EQ(coir_group_running(&group), 1);
    COIR_REQUIRE_OK(coir_stream_write(a, "hello", 5));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(found.started && !found.idle);
    COIR_EXPECT_EQ(found.result, 1);
    COIR_EXPECT(found.n >= 1 && found.n <= 5);
    COIR_EXPECT_BYTES(found.data, "hello", found.n);
}

COIR_TEST(a_task_starts_when_bytes_arrive_by_tcp)
{
    starts_with_bytes(BY_TCP);
}

COIR_TEST(a_task_starts_when_bytes_arrive_by_unix)
{
    starts_with_bytes(BY_UNIX);
}

COIR_TEST(a_task_starts_at_once_when_bytes_are_there)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    coir_bytes head;
    COIR_REQUIRE_OK(coir_stream_write(a, "hello", 5));
    COIR_REQUIRE_EQ(coir_stream_peek(b, 5, &head), 1); /* they are in the stream's buffer */
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, look, &found));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(found.n, 5);
    found = (struct found){.stream = b};
    COIR_REQUIRE_OK(coir_stream_write(a, "again", 5));
    COIR_EXPECT_OK(coir_sleep(COIR_MS(50))); /* they are in the kernel's */
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, look, &found));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_BYTES(found.data, "again", found.n);
}

COIR_TEST(a_task_starts_at_the_end_of_the_stream)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b, .result = -1};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, look, &found));
    coir_stream_close(COIR_TAKE(a));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(found.result, 0);
}

COIR_TEST(a_task_starts_when_the_peer_resets)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, look, &found));
    coir_stream_abort(COIR_TAKE(a));
    COIR_EXPECT_CODE(coir_group_wait(&group), -ECONNRESET);
    COIR_EXPECT(found.started);
}

COIR_TEST(a_task_starts_at_the_idle_deadline)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_MS(100), look, &found));
    coir_time start = coir_now();
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(found.started && found.idle);
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(100));
    COIR_REQUIRE_OK(coir_stream_write(a, "late", 4));
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_SEC(10), look, &found));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(!found.idle);
    COIR_EXPECT_BYTES(found.data, "late", found.n);
}

COIR_TEST(cancelling_the_group_starts_it_cancelled)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, note_pending, &found));
    coir_group_cancel(&group, "enough");
    COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
    COIR_EXPECT_OK(coir_group_finish(&group, 0));
    COIR_EXPECT(found.started);
    COIR_EXPECT_CODE(found.result, -ECANCELED);
}

COIR_TEST(leaving_the_group_starts_and_joins_it)
{
    PAIR(BY_TCP, a, b);
    struct found found[3] = {{.stream = b}, {.stream = a}};
    {
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, note_pending, &found[0]));
        COIR_REQUIRE_OK(coir_spawn_on_readable(&group, a, COIR_SEC(9), note_pending, &found[1]));
    }
    COIR_EXPECT(found[0].started && found[1].started);
    COIR_EXPECT_CODE(found[0].result, -ECANCELED);
}

COIR_TEST(an_expired_scope_starts_it_expired)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    COIR_SCOPE(outer, COIR_MS(30));
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, note_pending, &found));
    COIR_EXPECT_CODE(coir_sleep(COIR_SEC(1)), -ETIME);
    COIR_EXPECT_CODE(coir_group_finish(&group, 0), 0);
    COIR_EXPECT(found.result == -ETIME || found.result == -ECANCELED); /* by then left as well */
}

COIR_TEST(in_a_cancelled_group_it_starts_at_once)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    COIR_GROUP(group);
    coir_group_cancel(&group, NULL);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, note_pending, &found));
    COIR_EXPECT_OK(coir_group_finish(&group, 0));
    COIR_EXPECT_CODE(found.result, -ECANCELED);
}

COIR_TEST(closing_the_stream_starts_it_cancelled)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = NULL};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_SEC(10), note_pending, &found));
    coir_stream_close(COIR_TAKE(b));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(found.started);
    COIR_EXPECT_CODE(found.result, -ECANCELED);
}

COIR_TEST(one_reader_and_no_other)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = b};
    char byte;
    size_t n;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_CODE(coir_spawn_on_readable(&group, b, 0, look, &found), -EBUSY);
    COIR_REQUIRE_OK(coir_stream_write(a, "1", 1));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, b, COIR_FOREVER, look, &found));
    COIR_EXPECT_CODE(coir_stream_read(b, &byte, 1, &n), -EBUSY);
    COIR_EXPECT_CODE(coir_spawn_on_readable(&group, b, 0, look, &found), -EBUSY);
    COIR_EXPECT_OK(coir_stream_write(b, "writing goes on", 15));
    COIR_REQUIRE_OK(coir_stream_write(a, "2", 1));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_BYTES(found.data, "2", 1);
}

COIR_TEST(bad_arguments_are_refused)
{
    PAIR(BY_TCP, a, b);
    COIR_GROUP(group);
    COIR_EXPECT_CODE(coir_spawn_on_readable(&group, NULL, 0, look, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_spawn_on_readable(&group, b, 0, NULL, NULL), -EINVAL);
#ifndef __SANITIZE_ADDRESS__ /* which keeps frames elsewhere than on the stack */
    struct found here = {.stream = b};
    COIR_EXPECT_CODE(coir_spawn_on_readable(NULL, b, 0, look, &here), -EINVAL);
#endif
    COIR_EXPECT_EQ(coir_group_running(&group), 0);
}

/* ---- options ---- */

struct shown {
    coir_stream *stream;
    bool started;
    char name[40];
};

static int show_name(void *arg)
{
    struct shown *shown = arg;
    shown->started = true;
    snprintf(shown->name, sizeof shown->name, "%s", coir_task_name(NULL));
    return 0;
}

/* More than the default stack has. */
static int use_much_stack(void *arg)
{
    volatile char space[700 << 10];
    for (size_t i = 0; i < sizeof space; i += 4096)
        space[i] = (char)i;
    return space[0] == 0 ? show_name(arg) : -EINVAL;
}

COIR_TEST(the_name_is_kept_until_the_task_starts)
{
    PAIR(BY_TCP, a, b);
    struct shown shown = {.stream = b};
    COIR_GROUP(group);
    char name[] = "a connection with a name that is longer than names are";
    coir_spawn_opts opts = {.name = name};
    COIR_REQUIRE_OK(coir_spawn_on_readable_with(&group, b, COIR_FOREVER, show_name, &shown, &opts));
    memset(name, '?', sizeof name - 1);
    COIR_EXPECT(!shown.started);
    COIR_REQUIRE_OK(coir_stream_write(a, "1", 1));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_STR(shown.name, "a connection with a name that i");
}

COIR_TEST(the_name_is_that_of_the_function_without_options)
{
    PAIR(BY_TCP, a, b);
    struct shown shown = {.stream = b};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn_on_readable_with(&group, b, COIR_MS(1), show_name, &shown, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_STR(shown.name, "show_name");
}

COIR_TEST(a_task_that_starts_at_once_has_its_options_too)
{
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    COIR_REQUIRE_OK(coir_stream_pair(0, &a, &b));
    struct shown shown = {.stream = b};
    COIR_GROUP(group);
    coir_spawn_opts opts = {.name = "at once", .stack_size = 1 << 20};
    COIR_REQUIRE_OK(
        coir_spawn_on_readable_with(&group, b, COIR_FOREVER, use_much_stack, &shown, &opts));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_STR(shown.name, "at once");
}

COIR_TEST(the_stack_is_as_large_as_asked_for)
{
    PAIR(BY_TCP, a, b);
    struct shown shown = {.stream = b};
    COIR_GROUP(group);
    coir_spawn_opts opts = {.stack_size = 1 << 20};
    /* One is there then: without memory for any the task could never start. */
    COIR_REQUIRE_OK(coir_spawn_with(&group, use_much_stack, &shown, &opts, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    shown.started = false;
    COIR_REQUIRE_OK(
        coir_spawn_on_readable_with(&group, b, COIR_FOREVER, use_much_stack, &shown, &opts));
    COIR_REQUIRE_OK(coir_stream_write(a, "1", 1));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(shown.started);
}

COIR_TEST(options_of_a_task_that_starts_now_are_refused)
{
    PAIR(BY_TCP, a, b);
    struct shown shown = {.stream = b};
    COIR_GROUP(group);
    const coir_spawn_opts wrong[] = {{.eager = true}, {.ready = true}, {.stack_size = SIZE_MAX}};
    for (size_t i = 0; i < COIR_COUNT(wrong); i++)
        COIR_EXPECT_CODE(
            coir_spawn_on_readable_with(&group, b, COIR_FOREVER, show_name, &shown, &wrong[i]),
            -EINVAL);
    COIR_EXPECT_EQ(coir_group_running(&group), 0);
}

/* ---- over streams that leave the lower one open, as a body in a connection does ---- */

static int body_read(void *state, void *data, size_t size, size_t *ret_n)
{
    return coir_stream_read(state, data, size, ret_n);
}

static int body_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    (void)count;
    *ret_n = vectors->iov_len;
    return coir_stream_write(state, vectors->iov_base, vectors->iov_len);
}

static int body_shutdown(void *state)
{
    return coir_stream_shutdown(state);
}

static void body_close(void *state, bool abrupt)
{
    (void)state, (void)abrupt;
}

static int body_query(void *state, int key, void *ret_value)
{
    if (key != COIR_QUERY_LOWER)
        return coir_stream_query(state, key, ret_value);
    *(coir_stream **)ret_value = state;
    return 0;
}

static const coir_stream_ops body_ops = {.name = "body",
                                         .read = body_read,
                                         .write = body_write,
                                         .shutdown = body_shutdown,
                                         .close = body_close,
                                         .query = body_query};

COIR_TEST(closing_a_body_starts_it_cancelled)
{
    PAIR(BY_TCP, a, b);
    struct found found = {.stream = NULL};
    COIR_GROUP_COLLECT(group);
    coir_stream *body;
    COIR_REQUIRE_OK(coir_stream_open(&body_ops, b, &body));
    int r = coir_spawn_on_readable(&group, body, COIR_MS(50), note_pending, &found);
    coir_stream_close(body);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(found.started);
    COIR_EXPECT_CODE(found.result, -ECANCELED);
    COIR_EXPECT_OK(coir_sleep(COIR_MS(100))); /* past the idle deadline: nothing is left of it */
    COIR_EXPECT_OK(coir_stream_write(a, "the connection goes on", 22));
}

COIR_TEST(a_body_is_awaited_through_its_connection)
{
    PAIR(BY_TCP, a, b);
    COIR_AUTO(coir_stream) *body = NULL;
    COIR_REQUIRE_OK(coir_stream_open(&body_ops, b, &body));
    struct found found = {.stream = body};
    COIR_GROUP(group);
    uint64_t before = running_tasks();
    COIR_REQUIRE_OK(coir_spawn_on_readable(&group, body, COIR_FOREVER, look, &found));
    COIR_EXPECT_EQ(running_tasks(), before);
    COIR_EXPECT_CODE(coir_spawn_on_readable(&group, body, COIR_FOREVER, look, &found), -EBUSY);
    COIR_REQUIRE_OK(coir_stream_write(a, "hello", 5));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_BYTES(found.data, "hello", found.n);
}

/* ---- the end of the loop ---- */

struct held {
    coir_group group;
    coir_stream *client, *server;
    bool plain; /* with an ordinary child beside it */
};

static int let_go(void *arg)
{
    struct held *held = arg;
    coir_stream_close(COIR_TAKE(held->server));
    coir_stream_close(COIR_TAKE(held->client));
    return 0;
}

static int hang(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_FOREVER);
}

static int leave_it_waiting(void *arg)
{
    struct held *held = arg;
    COIR_TRY(coir_group_init(&held->group, COIR_REPORT));
    COIR_TRY(open_pair(BY_TCP, &held->client, &held->server));
    if (held->plain)
        COIR_TRY(coir_spawn(&held->group, hang, NULL, NULL));
    return coir_spawn_on_readable(&held->group, held->server, COIR_FOREVER, let_go, held);
}

/* A group in an object holds an idle connection; the loop ends. */
static void loop_ends(bool plain)
{
    struct held held = {.plain = plain};
    coir_test_expect_reports(COIR_REPORT_LEFT, plain);
    coir_loop *loop;
    coir_task *task;
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_OK(coir_loop_open(&opts, &loop));
    int r = coir_loop_spawn(loop, leave_it_waiting, &held, &task);
    if (r == 0)
        r = coir_loop_run_until(loop, task, NULL);
    COIR_EXPECT_OK(r);
    COIR_EXPECT_EQ(coir_loop_close(loop), 0);
    COIR_EXPECT(held.server == NULL);
}

COIR_TEST_TAGGED(closing_the_loop_starts_what_waits, "own_loop,untidy,no_torture")
{
    loop_ends(false);
}

COIR_TEST_TAGGED(closing_the_loop_starts_what_waits_beside_tasks, "own_loop,untidy,no_torture")
{
    loop_ends(true);
}

/* ---- many idle connections ---- */

enum { CONNECTIONS = 20, ROUNDS = 3 };

struct server {
    coir_group *group;
    coir_stream *streams[CONNECTIONS];
    size_t most; /* tasks at once */
};

struct connection {
    struct server *server;
    coir_stream *stream;
};

/* Answers what has come, and waits for more without a task. */
static int answer(void *arg)
{
    struct connection *connection = arg;
    coir_stream *stream = connection->stream;
    char data[16];
    size_t n;
    uint64_t tasks = running_tasks();
    if (tasks > connection->server->most)
        connection->server->most = tasks;
    int r = coir_stream_read(stream, data, sizeof data, &n);
    if (r > 0)
        r = coir_stream_write(stream, data, n);
    if (r == 0 && n > 0)
        return coir_spawn_on_readable(connection->server->group, stream, COIR_SEC(60), answer,
                                      connection);
    return r == -ECANCELED || r == -ETIME ? 0 : r;
}

static uint64_t running_timers(void)
{
    struct coir_loop_stats stats;
    coir_loop_stats(NULL, &stats);
    return stats.timers;
}

/* Those of one call wait as long, and their times are over in the order of their beginnings. */
COIR_TEST(waits_of_one_kind_have_one_timer)
{
    PAIR(BY_TCP, a, b);
    PAIR(BY_TCP, c, d);
    struct found founds[4] = {{.stream = a}, {.stream = b}, {.stream = c}, {.stream = d}};
    COIR_GROUP(group);
    uint64_t before = running_timers();
    for (int i = 0; i < 4; i++) {
        COIR_REQUIRE_OK(
            coir_spawn_on_readable(&group, founds[i].stream, COIR_SEC(4), look, &founds[i]));
        COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
        COIR_EXPECT_EQ(running_timers(), before + 1);
    }
    COIR_EXPECT_OK(coir_sleep(COIR_MS(100)));
    COIR_EXPECT(founds[0].idle && !founds[1].started);
    COIR_EXPECT_OK(coir_stream_write(c, "x", 1)); /* to d, the last of them */
    COIR_EXPECT_OK(coir_sleep(COIR_MS(100)));
    COIR_EXPECT(founds[3].started && !founds[3].idle && !founds[1].started);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT(founds[1].idle && !founds[2].started);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT(founds[2].idle);
    COIR_EXPECT_EQ(running_timers(), before);
}

COIR_TEST(idle_connections_hold_no_task)
{
    COIR_DEADLINE(coir_test_tortured() ? COIR_SEC(1)
                                       : COIR_SEC(30)); /* a lost one does not answer */
    struct server server = {0};
    struct connection connections[CONNECTIONS];
    coir_stream *clients[CONNECTIONS] = {0};
    int r = 0;
    COIR_GROUP_COLLECT(group);
    server.group = &group;
    for (int i = 0; i < CONNECTIONS && r == 0; i++) {
        r = open_pair(BY_TCP, &clients[i], &server.streams[i]);
        connections[i] = (struct connection){&server, server.streams[i]};
        if (r == 0)
            r = coir_spawn_on_readable(&group, server.streams[i], COIR_SEC(60), answer,
                                       &connections[i]);
    }
    uint64_t before = running_tasks();
    for (int i = 0; i < ROUNDS * CONNECTIONS && r == 0; i++) {
        char reply[4];
        coir_stream *client = clients[i * 7 % CONNECTIONS];
        r = coir_stream_write(client, "ping", 4);
        if (r == 0)
            r = coir_stream_read_exactly(client, reply, 4);
    }
    if (r == 0)
        r = coir_sleep(COIR_MS(10)); /* the last answer may arrive before its write has ended */
    if (r == 0) {
        COIR_EXPECT_EQ(coir_group_running(&group), CONNECTIONS);
        COIR_EXPECT_EQ(running_tasks(), before);
        COIR_EXPECT_LE(server.most, before + 2); /* the last answer's write may be under way */
    }
    coir_group_cancel(&group, NULL);
    COIR_EXPECT_OK(coir_group_finish(&group, 0));
    for (int i = 0; i < CONNECTIONS; i++) {
        coir_stream_close(clients[i]);
        coir_stream_close(server.streams[i]);
    }
    COIR_EXPECT_OK(r);
}

/* ---- what one costs ---- */

enum {
    MANY = 100,
    MOST_BYTES = 720 /* both ends, their part of a buffer of the loop's and of tables */
};

static size_t live_bytes;

/* Memory with its size in front. */
static void *allocate(size_t size, void *arg)
{
    (void)arg;
    size_t *block = malloc(size + 16);
    if (block == NULL)
        return NULL;
    *block = size;
    live_bytes += size;
    return block + 2;
}

static void release(void *memory, void *arg)
{
    (void)arg;
    if (memory == NULL)
        return;
    size_t *block = (size_t *)memory - 2;
    live_bytes -= *block;
    free(block);
}

static void *reallocate(void *memory, size_t size, void *arg)
{
    void *moved = allocate(size, arg);
    if (moved != NULL && memory != NULL) {
        size_t before = *((size_t *)memory - 2);
        memcpy(moved, memory, before < size ? before : size);
        release(memory, arg);
    }
    return moved;
}

static int measure(void *arg)
{
    coir_stream *clients[MANY] = {0}, *servers[MANY] = {0};
    COIR_AUTO(coir_listener) *listener = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_TRY(listen_somewhere(BY_TCP, &listener, name));
    int r = 0;
    {
        COIR_GROUP_COLLECT(group);
        struct found found = {0};
        size_t before = live_bytes;
        for (int i = 0; i < MANY && r == 0; i++) {
            r = coir_tcp_connect(name, NULL, &clients[i]);
            if (r == 0)
                r = coir_listener_accept(listener, &servers[i]);
            coir_bytes line;
            if (r == 0)
                r = coir_stream_write(clients[i], "before\n", 7);
            if (r == 0)
                r = coir_stream_read_line(servers[i], 0, &line) > 0 ? 0 : -EBADMSG;
            if (r == 0)
                r = coir_spawn_on_readable(&group, servers[i], COIR_SEC(9), note_pending, &found);
        }
        if (r == 0)
            r = coir_sleep(COIR_MS(10));
        *(size_t *)arg = (live_bytes - before) / MANY;
    }
    for (int i = 0; i < MANY; i++) {
        coir_stream_close(clients[i]);
        coir_stream_close(servers[i]);
    }
    return r;
}

COIR_TEST_TAGGED(an_idle_connection_costs_little, "own_loop,real,no_torture")
{
    size_t bytes = 0;
    const coir_allocator counting = {allocate, reallocate, release, NULL};
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_OK(coir_set_allocator(&counting));
    int r = coir_run(measure, &bytes, &opts, NULL);
    COIR_EXPECT_OK(coir_set_allocator(NULL));
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_LE(bytes, MOST_BYTES);
}
