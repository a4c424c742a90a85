/* io_descriptor.c: tests of waiting for descriptors of others, and of descriptors that were taken
 * over. All but the first need a kernel.
 */
#include <fcntl.h>
#include <netinet/in.h>

#include <coir/descriptor.h>
#include <coir/select.h>
#include <coir/socket.h>

#include "net_pair.h"

COIR_TEST(there_are_none_in_the_simulation)
{
    PATIENCE;
    if (strcmp(coir_test_backend(), "sim") != 0)
        COIR_SKIP("only the simulation has no foreign descriptors");
    coir_socket *socket;
    coir_case cases[] = {COIR_ON_DESCRIPTOR(0, POLLIN)};
    COIR_EXPECT_CODE(coir_fd_wait(0, POLLIN), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_socket_adopt(0, &socket), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_select(cases, 1), -EOPNOTSUPP);
}

/* A pipe or a pair of sockets that the test's end closes. */
typedef struct ends {
    int fds[2];
} ends;

static void close_ends(ends *ends)
{
    for (int i = 0; i < 2; i++)
        if (ends->fds[i] > 0)
            close(ends->fds[i]);
}

COIR_CLOSER_VALUE(ends, close_ends);

static ends open_pipe(void)
{
    ends ends = {{0, 0}};
    (void)!pipe2(ends.fds, O_NONBLOCK | O_CLOEXEC);
    return ends;
}

static ends open_sockets(void)
{
    ends ends = {{0, 0}};
    (void)!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.fds);
    return ends;
}

struct wait {
    int fd, events, result;
};

static int wait_for(void *arg)
{
    struct wait *wait = arg;
    return wait->result = coir_fd_wait(wait->fd, wait->events);
}

static void put(int fd)
{
    (void)!write(fd, "x", 1);
}

static void take(int fd)
{
    char data[65536];
    while (read(fd, data, sizeof data) > 0)
        ;
}

static void fill(int fd)
{
    char data[4096] = "";
    while (write(fd, data, sizeof data) > 0)
        ;
}

COIR_TEST_TAGGED(readable, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pipe = open_pipe();
    for (int i = 0; i < 3; i++) { /* the registration is used again */
        struct wait wait = {.fd = pipe.fds[0], .events = POLLIN};
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &wait, NULL));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        put(pipe.fds[1]);
        COIR_REQUIRE_OK(coir_group_wait(&group));
        COIR_EXPECT_EQ(wait.result, POLLIN);
        COIR_EXPECT_CODE(coir_fd_wait(pipe.fds[0], POLLIN), POLLIN); /* at once */
        take(pipe.fds[0]);
    }
}

COIR_TEST_TAGGED(writable, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pipe = open_pipe();
    COIR_EXPECT_CODE(coir_fd_wait(pipe.fds[1], POLLOUT), POLLOUT);
    fill(pipe.fds[1]);
    struct wait wait = {.fd = pipe.fds[1], .events = POLLOUT};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &wait, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    take(pipe.fds[0]);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(wait.result, POLLOUT);
}

/* One waits to read and another to write; a third is refused. */
COIR_TEST_TAGGED(both_directions, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pair = open_sockets();
    fill(pair.fds[0]);
    struct wait in = {.fd = pair.fds[0], .events = POLLIN};
    struct wait out = {.fd = pair.fds[0], .events = POLLOUT};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &in, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &out, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(coir_fd_wait(pair.fds[0], POLLIN), -EBUSY);
    COIR_EXPECT_CODE(coir_fd_wait(pair.fds[0], POLLOUT), -EBUSY);
    COIR_EXPECT_CODE(coir_fd_wait(pair.fds[0], POLLIN | POLLOUT), -EBUSY);
    put(pair.fds[1]);
    while (in.result == 0)
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_EQ(in.result, POLLIN);
    COIR_EXPECT_EQ(out.result, 0);
    take(pair.fds[1]); /* the writer's wait has survived the reader's event */
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(out.result, POLLOUT);
}

COIR_TEST_TAGGED(one_wait_for_both, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pair = open_sockets();
    fill(pair.fds[0]);
    struct wait both = {.fd = pair.fds[0], .events = POLLIN | POLLOUT};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &both, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    put(pair.fds[1]);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(both.result, POLLIN);
}

COIR_TEST_TAGGED(hang_up_is_an_event, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pipe = open_pipe();
    struct wait wait = {.fd = pipe.fds[0], .events = POLLIN};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &wait, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    close(pipe.fds[1]);
    pipe.fds[1] = 0;
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(wait.result, POLLHUP);
}

COIR_TEST_TAGGED(what_cannot_be_waited_for, "real")
{
    PATIENCE;
    COIR_EXPECT_CODE(coir_fd_wait(-1, POLLIN), -EBADF);
    COIR_EXPECT_CODE(coir_fd_wait(987654, POLLIN), -EBADF);
    COIR_EXPECT_CODE(coir_fd_wait(0, POLLIN | 0x4000), -EINVAL);
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    COIR_REQUIRE_GE(fd, 0);
    COIR_EXPECT_CODE(coir_fd_wait(fd, POLLIN), POLLIN); /* a file on disk is always ready */
    close(fd);
}

/* A number that was closed and is another file now starts afresh, and a withdrawn wait leaves
 * nothing. */
COIR_TEST_TAGGED(numbers_are_used_again, "real")
{
    PATIENCE;
    for (int i = 0; i < 5; i++) {
        COIR_AUTO(ends) pipe = open_pipe();
        struct wait wait = {.fd = pipe.fds[0], .events = POLLIN};
        COIR_GROUP(group);
        coir_task *task;
        int result = 0;
        COIR_REQUIRE_OK(coir_spawn(&group, wait_for, &wait, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        if (i % 2 == 0)
            coir_cancel(task, NULL);
        else
            put(pipe.fds[1]);
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, i % 2 == 0 ? -COIR_ECANCELEDTASK : POLLIN);
    }
}

COIR_TEST_TAGGED(a_cancelled_wait_is_no_event_for_the_next, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pipe = open_pipe();
    COIR_SCOPE(first, COIR_MS(1));
    COIR_EXPECT_CODE(coir_fd_wait(pipe.fds[0], POLLIN), -ETIME);
    coir_scope_leave(&first);
    put(pipe.fds[1]); /* the kernel has an armed registration that nobody waits for */
    COIR_REQUIRE_OK(coir_yield());
    take(pipe.fds[0]);
    COIR_SCOPE(second, COIR_MS(1));
    COIR_EXPECT_CODE(coir_fd_wait(pipe.fds[0], POLLIN), -ETIME);
}

/* ---- coir_select ---- */

COIR_TEST_TAGGED(select_descriptors, "real")
{
    PATIENCE;
    COIR_AUTO(ends) a = open_pipe();
    COIR_AUTO(ends) b = open_pipe();
    coir_case cases[] = {
        COIR_ON_DESCRIPTOR(a.fds[0], POLLIN),
        COIR_ON_DESCRIPTOR(b.fds[0], POLLIN),
        COIR_ON_TIMER(COIR_MS(20)),
    };
    COIR_EXPECT_CODE(coir_try_select(cases, 2), -EAGAIN);
    COIR_EXPECT_CODE(coir_select(cases, 3), 2);
    put(b.fds[1]);
    COIR_EXPECT_CODE(coir_select(cases, 3), 1);
    COIR_EXPECT_EQ(cases[1].result, POLLIN);
    take(b.fds[0]);
    put(a.fds[1]);
    COIR_EXPECT_CODE(coir_select(cases, 2), 0);
    coir_case bad[] = {COIR_ON_DESCRIPTOR(987654, POLLIN)};
    COIR_EXPECT_CODE(coir_select(bad, 1), -EBADF);
}

struct chooser {
    int fds[2];
    int index, result;
};

static int choose(void *arg)
{
    struct chooser *chooser = arg;
    coir_case cases[] = {
        COIR_ON_DESCRIPTOR(chooser->fds[0], POLLIN),
        COIR_ON_DESCRIPTOR(chooser->fds[1], POLLIN),
    };
    chooser->index = COIR_TRY(coir_select(cases, 2));
    chooser->result = cases[chooser->index].result;
    return 0;
}

COIR_TEST_TAGGED(select_waits_for_descriptors, "real")
{
    PATIENCE;
    COIR_AUTO(ends) a = open_pipe();
    COIR_AUTO(ends) b = open_pipe();
    struct chooser chooser = {.fds = {a.fds[0], b.fds[0]}};
    COIR_GROUP(group);
    for (int i = 0; i < 4; i++) {
        coir_task *task;
        int result = 0;
        COIR_REQUIRE_OK(coir_spawn(&group, choose, &chooser, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        if (i % 2 == 0)
            put(b.fds[1]);
        else
            coir_cancel(task, NULL);
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT_EQ(result, i % 2 == 0 ? 0 : -COIR_ECANCELEDTASK);
        COIR_EXPECT_EQ(chooser.index, 1);
        COIR_EXPECT_EQ(chooser.result, POLLIN);
        take(b.fds[0]);
    }
}

/* ---- descriptors that were taken over ---- */

static int adopt(int *fd, coir_stream **ret_stream)
{
    COIR_AUTO(coir_socket) *socket = NULL;
    COIR_TRY(coir_socket_adopt(*fd, &socket));
    *fd = 0;
    COIR_TRY(coir_stream_from_socket(socket, ret_stream));
    (void)COIR_TAKE(socket);
    return 0;
}

COIR_TEST_TAGGED(adopted_pipe, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pipe = open_pipe();
    COIR_AUTO(coir_stream) *in = NULL;
    COIR_AUTO(coir_stream) *out = NULL;
    COIR_REQUIRE_OK(adopt(&pipe.fds[0], &in));
    COIR_REQUIRE_OK(adopt(&pipe.fds[1], &out));
    struct message sent = {.stream = out, .size = 300000, .chunk = 65536};
    struct message received = {.stream = in, .chunk = 5000};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &sent, NULL));
    while (received.done < sent.size) {
        char data[5000];
        size_t n;
        COIR_REQUIRE_EQ(coir_stream_read(in, data, sizeof data, &n), 1);
        received.done += n;
    }
    (void)!coir_group_wait(&group);
    (void)coir_group_errors(&group);
    COIR_EXPECT_EQ(sent.result, -ENOTSOCK); /* a pipe has no half to shut */
    coir_stream_close(COIR_TAKE(in));
    COIR_EXPECT_CODE(coir_stream_write(out, "x", 1), -EPIPE); /* and no SIGPIPE */
}

COIR_TEST_TAGGED(adopted_socket, "real")
{
    PATIENCE;
    COIR_AUTO(ends) pair = open_sockets();
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    COIR_REQUIRE_OK(adopt(&pair.fds[0], &a));
    COIR_REQUIRE_OK(adopt(&pair.fds[1], &b));
    char data[5] = "";
    COIR_EXPECT_OK(coir_stream_write(a, "hello", 5));
    COIR_EXPECT_OK(coir_stream_read_exactly(b, data, 5));
    COIR_EXPECT_BYTES(data, "hello", 5);
    coir_socket *socket;
    COIR_EXPECT_CODE(coir_socket_adopt(987654, &socket), -EBADF);
}

/* A duplicate keeps the kernel's file alive after the close: nothing of it may come back, and a new
 * file with the same number is a new one. */
COIR_TEST_TAGGED(remove_fds_after_closing, "real")
{
    PATIENCE;
    COIR_AUTO(ends) first = open_sockets();
    COIR_AUTO(coir_stream) *old = NULL;
    COIR_AUTO(ends) copy = {{dup(first.fds[0]), 0}};
    COIR_REQUIRE_GE(copy.fds[0], 0);
    int number = first.fds[0];
    COIR_REQUIRE_OK(adopt(&first.fds[0], &old));
    COIR_SCOPE(scope, COIR_MS(1));
    char data[8];
    size_t n;
    COIR_EXPECT_CODE(coir_stream_read(old, data, sizeof data, &n),
                     -ETIME); /* it is registered now */
    coir_scope_leave(&scope);
    coir_stream_close(COIR_TAKE(old));

    COIR_AUTO(ends) second = open_sockets();
    COIR_AUTO(coir_stream) *new = NULL;
    COIR_EXPECT_EQ(second.fds[0], number);
    COIR_REQUIRE_OK(adopt(&second.fds[0], &new));
    put(first.fds[1]); /* an event of the old file, if it was still known */
    COIR_SCOPE(again, COIR_MS(5));
    COIR_EXPECT_CODE(coir_stream_read(new, data, sizeof data, &n), -ETIME);
    coir_scope_leave(&again);
    put(second.fds[1]);
    COIR_EXPECT_CODE(coir_stream_read(new, data, sizeof data, &n), 1);
}

/* Urgent data stop a read early; what follows must be read without another event. */
COIR_TEST_TAGGED(urgent_data_do_not_stall, "real")
{
    PATIENCE;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_AUTO(coir_stream) *server = NULL;
    char name[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &listener, name));
    coir_address address;
    COIR_REQUIRE_OK(coir_address_parse(name, &address));
    COIR_AUTO(ends) client = {{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 0}};
    COIR_REQUIRE_EQ(connect(client.fds[0], (struct sockaddr *)&address.storage, address.length), 0);
    COIR_REQUIRE_OK(coir_listener_accept(listener, &server));
    COIR_SCOPE(scope, COIR_MS(1));
    char data[64];
    size_t n;
    COIR_EXPECT_CODE(coir_stream_read(server, data, sizeof data, &n), -ETIME);
    coir_scope_leave(&scope);
    (void)!send(client.fds[0], "before", 6, 0);
    (void)!send(client.fds[0], "!", 1, MSG_OOB);
    (void)!send(client.fds[0], "after", 5, 0);
    COIR_EXPECT_OK(coir_stream_read_exactly(server, data, 11));
    COIR_EXPECT_BYTES(data, "beforeafter", 11);
}
