/* net_tcp.c: tests of connecting, listening, accepting and serving by address. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <coir/socket.h>

#include "net_pair.h"

static const char *message_of_last_error(void)
{
    const coir_error *error = coir_last_error();
    return error != NULL ? coir_error_message(error) : "";
}

/* ---- connecting ---- */

COIR_TEST(localhost_is_both_families)
{
    PATIENCE;
    static const char *const listens[] = {"127.0.0.1:0", "[::1]:0"};
    for (size_t i = 0; i < COIR_COUNT(listens); i++) {
        COIR_AUTO(coir_listener) *listener = NULL;
        COIR_AUTO(coir_stream) *stream = NULL;
        char name[COIR_ADDRESS_TEXT], target[COIR_ADDRESS_TEXT], peer[COIR_ADDRESS_TEXT];
        COIR_REQUIRE_OK(coir_tcp_listen(listens[i], NULL, &listener));
        COIR_REQUIRE_OK(coir_listener_address(listener, name, sizeof name));
        (void)snprintf(target, sizeof target, "localhost%s", strrchr(name, ':'));
        COIR_REQUIRE_OK(coir_tcp_connect(target, NULL, &stream));
        COIR_REQUIRE_OK(coir_stream_peer(stream, peer, sizeof peer));
        COIR_EXPECT_STR(peer, name);
    }
}

COIR_TEST(refused_says_where)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *stream = NULL;
    char name[COIR_ADDRESS_TEXT], text[COIR_ADDRESS_TEXT + 64];
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_REQUIRE_OK(coir_listener_address(listener, name, sizeof name));
    coir_listener_close(COIR_TAKE(listener));
    COIR_EXPECT_CODE(coir_tcp_connect(name, NULL, &stream), -ECONNREFUSED);
    (void)snprintf(text, sizeof text, "connect %s: connection refused", name);
    COIR_EXPECT_STR(message_of_last_error(), text);
    (void)snprintf(text, sizeof text, "localhost%s", strrchr(name, ':'));
    COIR_EXPECT_CODE(coir_tcp_connect(text, NULL, &stream), -ECONNREFUSED);
    COIR_EXPECT_CONTAINS(message_of_last_error(), "connect localhost:");
    COIR_EXPECT_CODE(coir_unix_connect("@coir-nobody", NULL, &stream), -ECONNREFUSED);
    COIR_EXPECT_STR(message_of_last_error(), "connect @coir-nobody: connection refused");
}

COIR_TEST(what_is_no_address_says_so)
{
    PATIENCE;
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_EXPECT_CODE(coir_tcp_connect("not a name:80", NULL, &stream), -COIR_EADDRESS);
    COIR_EXPECT_CONTAINS(message_of_last_error(), "'not a name'");
    COIR_EXPECT_CODE(coir_tcp_connect(NULL, NULL, &stream), -EINVAL);
    COIR_EXPECT_CODE(coir_tcp_listen("nowhere", NULL, &listener), -COIR_EADDRESS);
    COIR_EXPECT_CONTAINS(message_of_last_error(), "'nowhere'");
    COIR_EXPECT_CODE(coir_tcp_listen("example.org:80", NULL, &listener), -COIR_EADDRESS);
    COIR_EXPECT_CONTAINS(message_of_last_error(), "names are not looked up here");
}

COIR_TEST(connect_from_a_local_address)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_stream) *server = NULL;
    char name[COIR_ADDRESS_TEXT], peer[COIR_ADDRESS_TEXT];
    coir_connect_opts opts = {.local = "127.0.0.9:0", .delay = true};
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_REQUIRE_OK(coir_listener_address(listener, name, sizeof name));
    COIR_REQUIRE_OK(coir_tcp_connect(name, &opts, &client));
    COIR_REQUIRE_OK(coir_listener_accept(listener, &server));
    COIR_REQUIRE_OK(coir_stream_peer(server, peer, sizeof peer));
    COIR_EXPECT_CONTAINS(peer, "127.0.0.9:");
}

/* A connection that hangs, since the listener's queue is full, ends with its deadline. */
COIR_TEST(cancel_connect)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    coir_stream *streams[4] = {NULL};
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", &(coir_listen_opts){.backlog = 1}, &listener));
    COIR_REQUIRE_OK(coir_listener_address(listener, name, sizeof name));
    int r = 0;
    size_t count = 0;
    for (; count < COIR_COUNT(streams) && r == 0; count++) {
        COIR_DEADLINE(COIR_MS(100));
        r = coir_tcp_connect(name, NULL, &streams[count]);
    }
    COIR_EXPECT_CODE(r, -ETIME);
    COIR_EXPECT_EQ(count, 3);
    for (size_t i = 0; i < COIR_COUNT(streams); i++)
        coir_stream_close(streams[i]);
}

/* ---- listening ---- */

COIR_TEST(address_in_use_says_where)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *first = NULL;
    COIR_AUTO(coir_listener) *second = NULL;
    char name[COIR_ADDRESS_TEXT], text[COIR_ADDRESS_TEXT + 64];
    COIR_REQUIRE_OK(coir_tcp_listen("localhost:0", NULL, &first));
    COIR_REQUIRE_OK(coir_listener_address(first, name, sizeof name));
    COIR_EXPECT_CONTAINS(name, "127.0.0.1:");
    COIR_EXPECT_CODE(coir_tcp_listen(name, NULL, &second), -EADDRINUSE);
    (void)snprintf(text, sizeof text, "listen %s: %s", name, coir_error_text(-EADDRINUSE));
    COIR_EXPECT_STR(message_of_last_error(), text);
    COIR_EXPECT_CODE(coir_listener_address(first, name, 5), -ENOSPC);
    coir_listener_close(COIR_TAKE(first));
    COIR_EXPECT_OK(coir_listener_address(first, name, 0) == -EINVAL ? 0 : -1);
}

/* A server can be started again at once, with connections of the old one still around. */
COIR_TEST(listen_again_at_once)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_stream) *server = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_REQUIRE_OK(coir_listener_address(listener, name, sizeof name));
    COIR_REQUIRE_OK(coir_tcp_connect(name, NULL, &client));
    COIR_REQUIRE_OK(coir_listener_accept(listener, &server));
    coir_listener_close(COIR_TAKE(listener));
    coir_stream_close(COIR_TAKE(server));
    COIR_EXPECT_OK(coir_tcp_listen(name, NULL, &listener));
}

static int accept_one(void *arg)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    return coir_listener_accept(arg, &stream);
}

COIR_TEST(cancel_sock_accept)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &listener, name));
    COIR_GROUP(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, accept_one, listener, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(accept_one(listener), -EBUSY);
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    /* Whatever was cancelled, the next connection is accepted by who asks next. */
    COIR_REQUIRE_OK(coir_tcp_connect(name, NULL, &client));
    COIR_EXPECT_OK(accept_one(listener));
}

/* A connection and a cancellation at the same moment: either the one or the other, nothing is lost.
 */
COIR_TEST(cancel_sock_accept_race)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(listen_somewhere(BY_UNIX, &listener, name));
    COIR_GROUP(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, accept_one, listener, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_unix_connect(name, NULL, &client));
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &result));
    if (result != 0) {
        COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
        COIR_EXPECT_OK(accept_one(listener));
    }
}

COIR_TEST(close_a_listener_that_accepts)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &listener, name));
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, accept_one, listener, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_listener_close(COIR_TAKE(listener));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

/* ---- Unix sockets ---- */

static const char *socket_path(char *path, size_t size)
{
    (void)snprintf(path, size, "%s/x.sock", coir_test_tmpdir());
    return path;
}

COIR_TEST(unix_path)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_listener) *second = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    COIR_AUTO(coir_stream) *server = NULL;
    char path[COIR_ADDRESS_TEXT], name[COIR_ADDRESS_TEXT];
    socket_path(path, sizeof path);
    COIR_REQUIRE_OK(coir_unix_listen(path, &(coir_listen_opts){.mode = 0600}, &listener));
    COIR_REQUIRE_OK(coir_listener_address(listener, name, sizeof name));
    COIR_EXPECT_STR(name, path);
    COIR_EXPECT_CODE(coir_unix_listen(path, NULL, &second), -EADDRINUSE);
    COIR_REQUIRE_OK(coir_unix_connect(path, NULL, &client));
    COIR_REQUIRE_OK(coir_listener_accept(listener, &server)); /* the probe of the second one */
    coir_stream_close(COIR_TAKE(server));
    COIR_REQUIRE_OK(coir_listener_accept(listener, &server));
    COIR_REQUIRE_OK(coir_stream_peer(server, name, sizeof name));
    COIR_EXPECT_STR(name, "unix");
    COIR_REQUIRE_OK(coir_stream_peer(client, name, sizeof name));
    COIR_EXPECT_STR(name, path);
    coir_listener_close(COIR_TAKE(listener));
    coir_stream_close(COIR_TAKE(client));
    COIR_EXPECT_CODE(coir_unix_connect(path, NULL, &client), -ENOENT);
}

/* A socket of a dead server is replaced. */
COIR_TEST(unix_stale_path_is_replaced)
{
    PATIENCE;
    COIR_AUTO(coir_socket) *dead = NULL;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    char path[COIR_ADDRESS_TEXT];
    coir_address address;
    COIR_REQUIRE_OK(coir_address_unix(socket_path(path, sizeof path), &address));
    COIR_REQUIRE_OK(coir_socket_open(AF_UNIX, SOCK_STREAM, &dead));
    COIR_REQUIRE_OK(coir_socket_bind(dead, (struct sockaddr *)&address.storage, address.length));
    coir_socket_close(COIR_TAKE(dead));
    COIR_EXPECT_CODE(coir_unix_connect(path, NULL, &client), -ECONNREFUSED);
    COIR_REQUIRE_OK(coir_unix_listen(path, NULL, &listener));
    COIR_EXPECT_OK(coir_unix_connect(path, NULL, &client));
}

/* At its end a listener removes its own path only, not that of a server which has replaced it. */
COIR_TEST(unix_path_of_another_is_left)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *first = NULL;
    COIR_AUTO(coir_listener) *second = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    char path[COIR_ADDRESS_TEXT];
    socket_path(path, sizeof path);
    COIR_REQUIRE_OK(coir_unix_listen(path, NULL, &first));
    COIR_REQUIRE_OK(coir_socket_remove_path(NULL, path));
    COIR_REQUIRE_OK(coir_unix_listen(path, NULL, &second));
    coir_listener_close(COIR_TAKE(first));
    COIR_EXPECT_OK(coir_unix_connect(path, NULL, &client));
}

COIR_TEST_TAGGED(unix_other_files_are_left, "real")
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    char path[COIR_ADDRESS_TEXT];
    socket_path(path, sizeof path);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    COIR_REQUIRE_GE(fd, 0);
    close(fd);
    COIR_EXPECT_CODE(coir_unix_listen(path, NULL, &listener), -EADDRINUSE);
    struct stat status;
    COIR_REQUIRE_EQ(lstat(path, &status), 0);
    COIR_EXPECT(S_ISREG(status.st_mode));
    COIR_REQUIRE_EQ(unlink(path), 0);
    COIR_REQUIRE_OK(coir_unix_listen(path, &(coir_listen_opts){.mode = 0620}, &listener));
    COIR_REQUIRE_EQ(lstat(path, &status), 0);
    COIR_EXPECT_EQ(status.st_mode & 0777, 0620);
}

static int connect_and_close(void *arg)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    return coir_unix_connect(arg, NULL, &stream);
}

/* A full queue of a Unix socket is waited for. */
COIR_TEST(unix_queue_is_full)
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    char name[COIR_ADDRESS_TEXT];
    (void)snprintf(name, sizeof name, "@coir-test-full-%d", (int)getpid());
    COIR_REQUIRE_OK(coir_unix_listen(name, &(coir_listen_opts){.backlog = 1}, &listener));
    COIR_GROUP(group);
    for (int i = 0; i < 10; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, connect_and_close, name, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    for (int i = 0; i < 10; i++)
        COIR_REQUIRE_OK(accept_one(listener));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* ---- serving ---- */

struct server {
    coir_listener *listener;
    char name[COIR_ADDRESS_TEXT];
    int started, running, most, served, cancelled;
    coir_time time; /* that each one takes */
    int result;
};

static int answer(coir_stream *stream, void *arg)
{
    struct server *server = arg;
    char byte;
    server->started++;
    server->running++;
    server->most = server->running > server->most ? server->running : server->most;
    int r = coir_stream_read_exactly(stream, &byte, 1);
    if (r == 0 && server->time > 0)
        r = coir_sleep(server->time);
    if (r == 0)
        r = coir_stream_write(stream, &byte, 1);
    server->running--;
    server->served += r == 0;
    server->cancelled += r == -ECANCELED;
    return r < 0 ? r : server->result;
}

static int serve(void *arg)
{
    struct server *server = arg;
    return coir_listener_serve(server->listener, answer, server);
}

static int ask(void *arg)
{
    struct server *server = arg;
    COIR_AUTO(coir_stream) *stream = NULL;
    char byte = 'x';
    COIR_TRY(coir_tcp_connect(server->name, NULL, &stream));
    COIR_TRY(coir_stream_write(stream, &byte, 1));
    return coir_stream_read_exactly(stream, &byte, 1);
}

static int start_server(struct server *server, const coir_listen_opts *opts, coir_group *group,
                        coir_task **ret_task)
{
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", opts, &server->listener));
    COIR_TRY(coir_listener_address(server->listener, server->name, sizeof server->name));
    return coir_spawn(group, serve, server, ret_task);
}

/* Asks count times at once. */
static int ask_often(struct server *server, int count)
{
    COIR_GROUP(group);
    for (int i = 0; i < count; i++)
        COIR_TRY(coir_spawn(&group, ask, server, NULL));
    return coir_group_wait(&group);
}

/* Waits, up to a limit, until so many handlers have started and so many are running: their clients
 * may know of it earlier. */
static int settle(struct server *server, int started, int running)
{
    for (int i = 0; i < 1000; i++) {
        if (server->started >= started && server->running == running)
            return 0;
        COIR_TRY(coir_sleep(COIR_MS(1)));
    }
    return -ETIMEDOUT;
}

static void close_server(struct server *server)
{
    coir_listener_close(server->listener);
}

typedef struct server auto_server;
COIR_CLOSER_VALUE(auto_server, close_server);

COIR_TEST(serve_each_in_its_task)
{
    PATIENCE;
    COIR_AUTO(auto_server) server = {.time = COIR_MS(5)};
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(start_server(&server, NULL, &group, &task));
    COIR_EXPECT_OK(ask_often(&server, 20));
    COIR_REQUIRE_OK(settle(&server, 20, 0));
    coir_cancel(task, "enough");
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(server.served, 20);
    COIR_EXPECT_GT(server.most, 1);
}

static int answer_in_time(coir_stream *stream, void *arg)
{
    COIR_DEADLINE(COIR_MS(5));
    return answer(stream, arg);
}

static int serve_in_time(void *arg)
{
    struct server *server = arg;
    return coir_listener_serve(server->listener, answer_in_time, server);
}

/* A handler that gives up on a peer by a deadline of its own has not failed: no report. */
COIR_TEST(serve_gives_up_on_slow_peers)
{
    PATIENCE;
    COIR_AUTO(auto_server) server = {0};
    COIR_AUTO(coir_stream) *silent = NULL;
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_tcp_listen("127.0.0.1:0", NULL, &server.listener));
    COIR_REQUIRE_OK(coir_listener_address(server.listener, server.name, sizeof server.name));
    COIR_REQUIRE_OK(coir_spawn(&group, serve_in_time, &server, &task));
    COIR_REQUIRE_OK(coir_tcp_connect(server.name, NULL, &silent));
    char byte;
    size_t n;
    COIR_EXPECT_CODE(coir_stream_read(silent, &byte, 1, &n), 0);
    coir_cancel(task, "enough");
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(server.served, 0);
}

COIR_TEST(serve_at_most_so_many)
{
    PATIENCE;
    COIR_AUTO(auto_server) server = {.time = COIR_MS(5)};
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(start_server(&server, &(coir_listen_opts){.limit = 3}, &group, &task));
    COIR_EXPECT_OK(ask_often(&server, 20));
    COIR_REQUIRE_OK(settle(&server, 20, 0));
    COIR_EXPECT_EQ(server.served, 20);
    COIR_EXPECT_EQ(server.most, 3);
    coir_cancel(task, NULL);
}

COIR_TEST(serve_cancels_its_handlers)
{
    PATIENCE;
    COIR_AUTO(auto_server) server = {.time = 0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(start_server(&server, NULL, &group, &task));
    COIR_REQUIRE_OK(coir_tcp_connect(server.name, NULL, &stream));
    COIR_REQUIRE_OK(settle(&server, 1, 1));
    coir_cancel(task, NULL);
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(server.cancelled, 1);
    char byte;
    COIR_EXPECT_CODE(coir_stream_read_exactly(stream, &byte, 1), -ECONNRESET);
}

/* Peers that go away are no event; a handler that fails by itself is reported, and the server goes
 * on. */
COIR_TEST(serve_goes_on_after_failures)
{
    PATIENCE;
    COIR_AUTO(auto_server) server = {.result = 0};
    COIR_GROUP(group);
    coir_task *task;
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    COIR_REQUIRE_OK(start_server(&server, NULL, &group, &task));
    for (int i = 0; i < 3; i++) {
        COIR_AUTO(coir_stream) *stream = NULL;
        COIR_REQUIRE_OK(coir_tcp_connect(server.name, NULL, &stream));
        if (i == 1)
            coir_stream_abort(COIR_TAKE(stream));
    }
    COIR_REQUIRE_OK(settle(&server, 3, 0));
    server.result = -EDOM;
    COIR_EXPECT_OK(ask(&server));
    COIR_REQUIRE_OK(settle(&server, 4, 0));
    server.result = 0;
    COIR_EXPECT_OK(ask(&server));
    COIR_REQUIRE_OK(settle(&server, 5, 0));
    COIR_EXPECT_EQ(server.served, 2);
    coir_cancel(task, NULL);
}

COIR_TEST(serve_ends_when_its_listener_is_closed)
{
    PATIENCE;
    COIR_AUTO(auto_server) server = {.time = 0};
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_REQUIRE_OK(start_server(&server, NULL, &group, &task));
    COIR_REQUIRE_OK(ask(&server));
    coir_listener_close(COIR_TAKE(server.listener));
    int result = 0;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

/* ---- out of descriptors ---- */

static rlim_t set_descriptor_limit(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = most;
    setrlimit(RLIMIT_NOFILE, &limit);
    return before;
}

static int accept_into(void *arg)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    return coir_listener_accept(arg, &stream);
}

/* Without descriptors a listener pauses; it neither fails nor spins, and goes on when there are
 * some. */
COIR_TEST_TAGGED(accept_pauses_without_descriptors, "real,real_clock")
{
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "vgpreload") != NULL)
        COIR_SKIP("valgrind drops the connection that has no descriptor");
    PATIENCE;
    coir_test_expect_reports(COIR_REPORT_OVERLOAD, 1);
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *client = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &listener, name));
    COIR_REQUIRE_OK(coir_tcp_connect(name, NULL, &client));
    COIR_GROUP(group);
    coir_task *task;
    int next = dup(0);
    close(next);
    rlim_t before = set_descriptor_limit((rlim_t)next);
    struct coir_loop_stats first, second;
    coir_loop_stats(NULL, &first);
    int r = coir_spawn(&group, accept_into, listener, &task);
    if (r == 0)
        r = coir_sleep(COIR_MS(100));
    coir_loop_stats(NULL, &second);
    (void)set_descriptor_limit(before);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_LT(second.turns - first.turns, 30);
    COIR_EXPECT(!coir_task_done(task));
    COIR_EXPECT_OK(coir_join(task, NULL));
}
