/* io_passing.c: tests of descriptors that travel over streams: what arrives with which byte, what
 * is refused, and that none is left open. */
#include <fcntl.h>

#include <coir/passing.h>
#include <coir/pipe.h>
#include <coir/stream_pair.h>

#include "megabytes.h"
#include "net_pair.h"

/* A pipe of the system, closed on every path. */
struct ends {
    int fds[2];
};

static void close_ends(struct ends *ends)
{
    for (int i = 0; i < 2; i++)
        if (ends->fds[i] >= 0)
            close(ends->fds[i]);
}

typedef struct ends auto_ends;
COIR_CLOSER_VALUE(auto_ends, close_ends);

#define NO_ENDS                                                                                    \
    {                                                                                              \
        {                                                                                          \
            -1, -1                                                                                 \
        }                                                                                          \
    }

#define UNIX_PAIR(a, b)                                                                            \
    PATIENCE;                                                                                      \
    COIR_AUTO(coir_stream) *a = NULL;                                                              \
    COIR_AUTO(coir_stream) *b = NULL;                                                              \
    COIR_REQUIRE_OK(coir_unix_pair(&a, &b))

COIR_TEST(a_descriptor_arrives)
{
    UNIX_PAIR(a, b);
    COIR_AUTO(auto_ends) sent = NO_ENDS;
    COIR_AUTO(auto_ends) received = NO_ENDS;
    char data[8];
    size_t n, count;
    COIR_REQUIRE_EQ(pipe(sent.fds), 0);
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "two", 3, sent.fds, 2));
    COIR_REQUIRE_EQ(coir_stream_receive_descriptors(b, data, 3, &n, received.fds, 2, &count), 1);
    COIR_EXPECT_GE(n, 1);
    COIR_REQUIRE_EQ(count, 2);
    COIR_EXPECT(fcntl(received.fds[0], F_GETFD) & FD_CLOEXEC);
    COIR_EXPECT(received.fds[0] != sent.fds[0]);
    COIR_EXPECT_EQ(write(received.fds[1], "x", 1), 1); /* it is the same pipe */
    COIR_EXPECT_EQ(read(sent.fds[0], data, 1), 1);
    coir_stream_close(COIR_TAKE(a));
    while (coir_stream_receive_descriptors(b, data, 3, &n, received.fds, 2, &count) > 0)
        COIR_EXPECT_EQ(count, 0);
}

/* Each comes with the first byte of its own message, and nothing is read past that message. */
COIR_TEST(with_which_byte)
{
    UNIX_PAIR(a, b);
    COIR_AUTO(auto_ends) sent = NO_ENDS;
    char got[16] = "";
    size_t total = 0;
    COIR_REQUIRE_EQ(pipe(sent.fds), 0);
    COIR_REQUIRE_OK(coir_stream_write(a, "ab", 2));
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "Cd", 2, sent.fds, 1));
    COIR_REQUIRE_OK(coir_stream_write(a, "ef", 2));
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "Gh", 2, sent.fds, 2));
    while (total < 8) {
        size_t n, count;
        int fds[4];
        COIR_REQUIRE_EQ(
            coir_stream_receive_descriptors(b, got + total, 8 - total, &n, fds, 4, &count), 1);
        bool first = memchr(got + total, 'C', n) != NULL;
        bool second = memchr(got + total, 'G', n) != NULL;
        COIR_EXPECT(!first || !second);
        COIR_EXPECT_EQ(count, first ? 1 : second ? 2 : 0);
        if (first)
            COIR_EXPECT_LE(total + n, 4);
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        total += n;
    }
    COIR_EXPECT_STR(got, "abCdefGh");
}

/* Whoever reads without asking for them gets none; nor are they left open. */
COIR_TEST(nobody_takes_them)
{
    UNIX_PAIR(a, b);
    COIR_AUTO(auto_ends) sent = NO_ENDS;
    char data[8], byte;
    size_t n, count;
    int fd;
    COIR_REQUIRE_EQ(pipe(sent.fds), 0);
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "abcd", 4, &sent.fds[1], 1));
    close(sent.fds[1]);
    sent.fds[1] = -1;
    COIR_REQUIRE_OK(coir_stream_read_exactly(b, data, 2));
    COIR_EXPECT_EQ(read(sent.fds[0], &byte, 1), 0); /* the last writer is gone */
    coir_bytes shown;
    COIR_REQUIRE_OK(coir_stream_peek(b, 2, &shown)); /* now they are in the buffer */
    COIR_REQUIRE_EQ(coir_stream_receive_descriptors(b, data, 8, &n, &fd, 1, &count), 1);
    COIR_EXPECT_EQ(n, 2);
    COIR_EXPECT_EQ(count, 0);
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "x", 1, sent.fds, 1)); /* never read */
}

/* Whether descriptors are opened for which there is no room: qemu has the kernel open more of them
 * than its program has room for. */
static bool opens_beyond_the_room(void)
{
    union {
        char room[CMSG_SPACE(2 * sizeof(int))];
        struct cmsghdr aligned;
    } control = {{0}};
    int pair[2];
    char byte = 'x';
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control};
    message.msg_controllen = sizeof control;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    *CMSG_FIRSTHDR(&message) = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(2 * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), pair, sizeof pair);
    bool sent = sendmsg(pair[0], &message, 0) == 1;
    int next = dup(pair[1]); /* the number that the next one will have */
    close(next);
    message.msg_controllen = CMSG_LEN(0); /* for no descriptor at all */
    sent = sent && recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) == 1;
    int last = dup(pair[1]);
    for (int fd = next; fd <= last; fd++)
        close(fd);
    close(pair[0]);
    close(pair[1]);
    return sent && last > next;
}

COIR_TEST(more_than_there_is_room_for)
{
    if (opens_beyond_the_room())
        COIR_SKIP("the emulator opens descriptors for which there is no room");
    UNIX_PAIR(a, b);
    COIR_AUTO(auto_ends) sent = NO_ENDS;
    char data[8] = "";
    size_t n, count;
    int fd = -1;
    COIR_REQUIRE_EQ(pipe(sent.fds), 0);
    int many[20];
    for (int i = 0; i < 20; i++)
        many[i] = sent.fds[i % 2];
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "x", 1, many, 20));
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "y", 1, sent.fds, 1));
    COIR_REQUIRE_CODE(coir_stream_receive_descriptors(b, data, 1, &n, &fd, 1, &count), -EMSGSIZE);
    COIR_EXPECT_EQ(n, 1);
    COIR_EXPECT_EQ(count, 0);
    COIR_EXPECT_STR(data, "x");
    COIR_REQUIRE_EQ(coir_stream_receive_descriptors(b, data, 1, &n, &fd, 1, &count), 1);
    COIR_EXPECT_EQ(count, 1);
    close(fd);
}

COIR_TEST(what_is_refused)
{
    UNIX_PAIR(a, b);
    COIR_AUTO(coir_stream) *tcp = NULL;
    COIR_AUTO(coir_stream) *peer = NULL;
    COIR_AUTO(coir_stream) *memory = NULL;
    COIR_AUTO(coir_stream) *other = NULL;
    size_t n, count;
    char byte;
    int closed = 999, open = 0, fd;
    COIR_REQUIRE_OK(open_pair(BY_TCP, &tcp, &peer));
    COIR_REQUIRE_OK(coir_stream_pair(0, &memory, &other));
    COIR_EXPECT_CODE(coir_stream_send_descriptors(tcp, "x", 1, &open, 1), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_stream_send_descriptors(memory, "x", 1, &open, 1), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_stream_receive_descriptors(tcp, &byte, 1, &n, &fd, 1, &count),
                     -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_stream_send_descriptors(a, "x", 1, &closed, 1), -EBADF);
    COIR_EXPECT_CODE(coir_stream_send_descriptors(a, "x", 0, &open, 1), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_send_descriptors(a, "x", 1, &open, 0), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_send_descriptors(a, "x", 1, &open, 254), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_receive_descriptors(b, &byte, 0, &n, &fd, 1, &count), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_receive_descriptors(b, &byte, 1, &n, &fd, 0, &count), -EINVAL);
    COIR_EXPECT_CODE(coir_stream_send_descriptors(NULL, "x", 1, &open, 1), -EINVAL);
}

static int take_one(void *arg)
{
    char byte;
    size_t n, count;
    int fd;
    int r = coir_stream_receive_descriptors(arg, &byte, 1, &n, &fd, 1, &count);
    if (r == 1 && count == 1)
        close(fd);
    return r;
}

COIR_TEST(waiting_for_one)
{
    UNIX_PAIR(a, b);
    COIR_AUTO(auto_ends) sent = NO_ENDS;
    COIR_REQUIRE_EQ(pipe(sent.fds), 0);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, take_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_EXPECT_CODE(take_one(b), -EBUSY);
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    COIR_REQUIRE_OK(coir_spawn(&group, take_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "x", 1, sent.fds, 1));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, 1);
    COIR_REQUIRE_OK(coir_spawn(&group, take_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_stream_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

/* One that comes together with a cancellation or a close is given, or comes with the next call, or
 * is closed. */
COIR_TEST(it_comes_at_the_end)
{
    UNIX_PAIR(a, b);
    COIR_AUTO(auto_ends) sent = NO_ENDS;
    COIR_REQUIRE_EQ(pipe(sent.fds), 0);
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    int result = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, take_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "x", 1, sent.fds, 1));
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &result));
    if (result != 1)
        COIR_EXPECT_EQ(take_one(b), 1);
    COIR_REQUIRE_OK(coir_spawn(&group, take_one, b, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_stream_send_descriptors(a, "x", 1, sent.fds, 1));
    coir_stream_close(COIR_TAKE(b));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT(result == 1 || result == -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

struct long_message {
    coir_stream *stream;
    int fd;
    int result;
};

enum { LONG = 1 << 20 };

static int send_long(void *arg)
{
    struct long_message *message = arg;
    return message->result = coir_stream_send_descriptors(message->stream, megabytes(LONG), LONG,
                                                          &message->fd, 1);
}

/* More bytes than go at once: the descriptor comes first, the rest follows; a sender that is
 * cancelled meanwhile breaks the stream. */
COIR_TEST(with_many_bytes)
{
    UNIX_PAIR(a, b);
    COIR_AUTO(auto_ends) sent = NO_ENDS;
    COIR_REQUIRE_EQ(pipe(sent.fds), 0);
    struct long_message message = {.stream = a, .fd = sent.fds[0], .result = 1};
    static char data[65536];
    size_t total = 0, n, count, descriptors = 0;
    COIR_GROUP_COLLECT(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, send_long, &message, &task));
    while (total < LONG) {
        int fd;
        COIR_REQUIRE_EQ(coir_stream_receive_descriptors(b, data, sizeof data, &n, &fd, 1, &count),
                        1);
        if (count > 0)
            close(fd);
        descriptors += count;
        total += n;
    }
    COIR_EXPECT_EQ(descriptors, 1);
    COIR_REQUIRE_OK(coir_join(task, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, send_long, &message, &task));
    COIR_REQUIRE_OK(take_one(b));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_join(task, &(int){0}));
    COIR_EXPECT_EQ(message.result, -ECANCELED);
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -COIR_EBROKENSTREAM);
    (void)coir_group_errors(&group);
}
