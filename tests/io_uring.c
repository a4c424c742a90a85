/* io_uring.c: tests of what only the io_uring backend has: the race between an end that was asked
 * for and one that has come, completions that nobody expects or that are lost, calls that fail.
 * What it has in common with the others, the other tests run on it too.
 */
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <coir/descriptor.h>
#include <coir/group.h>
#include <coir/stream.h>
#include <coir/select.h>
#include <coir/socket.h>

#include "core_loop.h"
#include "io_uring.h"

static uint64_t operations(void)
{
    struct coir_loop_stats stats;
    coir_loop_stats(NULL, &stats);
    return stats.operations;
}

/* ---- cancelling ---- */

COIR_TEST_TAGGED(what_the_kernel_has_not_seen_ends_at_once, "fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(coir_yield()); /* no turn of the loop: nothing was handed over */
    COIR_EXPECT_EQ(operations(), 1);
    coir_cancel(reader, NULL);
    COIR_EXPECT_EQ(operations(), 0);
    COIR_EXPECT_CODE(coir_join(reader, NULL), -COIR_ECANCELEDTASK);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(read_some(b), 1);
}

COIR_TEST_TAGGED(what_the_kernel_has_ends_when_it_says_so, "fifo")
{
    ONLY_HERE;
    coir__uring_patience = UINT16_MAX; /* reads of its own */
    PAIR(BY_TCP, a, b);
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_EQ(operations(), 1);
    coir_cancel(reader, NULL);
    COIR_EXPECT_EQ(operations(), 1);
    COIR_EXPECT_CODE(coir_join(reader, NULL), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(operations(), 0);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(read_some(b), 1);
}

/* While it waits, so many others were handed over that the counter of entries is half way round.
 */
COIR_TEST_TAGGED(what_waits_for_long_is_not_taken_for_new, "no_torture,fifo")
{
    ONLY_HERE;
    coir__uring_patience = UINT16_MAX; /* reads of its own */
    PAIR(BY_TCP, a, b);
    static const uint32_t later[] = {0x7fffffffU, 0x80000001U, 0xffffffffU};
    struct coir__uring *uring = ring_of(coir_loop_current());
    for (size_t i = 0; i < COIR_COUNT(later); i++) {
        coir_task *reader = NULL;
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
        for (uint32_t slot = 0; slot < uring->slot_count; slot++)
            if (uring->slots[slot].op != NULL)
                uring->slots[slot].position -= later[i];
        coir_cancel(reader, NULL);
        COIR_EXPECT_EQ(operations(), 1); /* it is the kernel's, and ends when that says so */
        COIR_EXPECT_CODE(coir_join(reader, NULL), -COIR_ECANCELEDTASK);
    }
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(read_some(b), 1);
}

struct accepting {
    coir_socket *listener, *accepted;
    int result;
};

static int accept_one(void *arg)
{
    struct accepting *accepting = arg;
    return accepting->result =
               coir_socket_accept(accepting->listener, &accepting->accepted, NULL, NULL);
}

static int listen_here(coir_socket **ret_socket, struct sockaddr_in *ret_address)
{
    COIR_AUTO(coir_socket) *socket = NULL;
    socklen_t length = sizeof *ret_address;
    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    COIR_TRY(coir_socket_open(AF_INET, SOCK_STREAM, &socket));
    COIR_TRY(coir_socket_bind(socket, (struct sockaddr *)ret_address, length));
    COIR_TRY(coir_socket_listen(socket, 4));
    COIR_TRY(coir_socket_address(socket, false, (struct sockaddr *)ret_address, &length));
    *ret_socket = COIR_TAKE(socket);
    return 0;
}

static void note_end(struct coir__op *op)
{
    COIR_EXPECT(!op->active);
}

/* A connection without the library, so that it is there before the loop turns. */
static int connect_plainly(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Whether the connection or the cancellation was first, the connection is somewhere. */
COIR_TEST_TAGGED(connection_that_comes_with_the_cancellation_is_not_lost, "fifo")
{
    ONLY_HERE;
    PATIENCE;
    struct sockaddr_in address;
    COIR_AUTO(coir_socket) *listener = NULL;
    COIR_REQUIRE_OK(listen_here(&listener, &address));
    struct accepting accepting = {.listener = listener};
    coir_task *task = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, accept_one, &accepting, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    int fd = connect_plainly(&address);
    coir_cancel(task, NULL);
    int r = coir_join(task, NULL);
    if (accepting.result != 0)
        r = accept_one(&accepting);
    COIR_EXPECT_OK(r);
    coir_socket_close(accepting.accepted);
    if (fd >= 0)
        close(fd);
}

/* A connection that the kernel has made for a listener which is closed is closed too: the kit
 * counts descriptors. */
COIR_TEST_TAGGED(connection_that_comes_with_the_close_is_closed, "fifo")
{
    ONLY_HERE;
    PATIENCE;
    struct sockaddr_in address;
    COIR_AUTO(coir_socket) *listener = NULL;
    COIR_REQUIRE_OK(listen_here(&listener, &address));
    struct accepting accepting = {.listener = listener};
    coir_task *task = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, accept_one, &accepting, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    int fd = connect_plainly(&address);
    coir_socket_close(COIR_TAKE(listener));
    COIR_EXPECT_CODE(coir_join(task, NULL), -COIR_ECLOSED);
    COIR_EXPECT_PTR(accepting.accepted, NULL);
    if (fd >= 0)
        close(fd);
}

/* As after a call that was interrupted: what goes on in the background is not waited for by whom it
 * was asked to end. */
COIR_TEST_TAGGED(cancelled_connection_that_goes_on_is_not_waited_for, "fifo,no_torture")
{
    ONLY_HERE;
    struct sockaddr_in address;
    COIR_AUTO(coir_socket) *listener = NULL;
    COIR_REQUIRE_OK(listen_here(&listener, &address));
    COIR_AUTO(coir_socket) *connecting = NULL;
    COIR_REQUIRE_OK(coir_socket_open(AF_INET, SOCK_STREAM, &connecting));
    struct coir__file *file = (struct coir__file *)connecting;
    struct coir__uring *uring = ring_of(coir_loop_current());
    static const int results[] = {-EALREADY, -EINPROGRESS};
    for (size_t i = 0; i < COIR_COUNT(results); i++) {
        struct coir__op writes = {.file = file}, *op = &writes;
        op->kind = COIR__OP_CONNECT;
        op->address = (struct sockaddr *)&address;
        op->address_length = sizeof address;
        op->done = note_end;
        COIR_REQUIRE(coir__uring_start(coir_loop_current(), op) == COIR__STARTED);
        struct coir__uring_slot *slot = &uring->slots[op->slot];
        slot->cancelled = true;
        struct io_uring_cqe completion = {.user_data = (uint64_t)slot->generation << 32 | op->slot,
                                          .res = results[i]};
        COIR_EXPECT_EQ(coir__uring_finish(uring, &completion), 1);
        COIR_EXPECT_CODE((int)op->result, -ECANCELED);
    }
}

/* The number is used again while the kernel still has the old operation. */
COIR_TEST_TAGGED(descriptor_that_was_withdrawn_can_be_waited_for_again, "fifo")
{
    ONLY_HERE;
    PATIENCE;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        coir_case cases[] = {COIR_ON_DESCRIPTOR(fd, POLLIN), COIR_ON_TIMER(COIR_MS(1))};
        COIR_EXPECT_CODE(coir_select(cases, 2), 1);
    }
    uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);
    COIR_EXPECT_EQ(coir_fd_wait(fd, POLLIN), POLLIN);
    close(fd);
}

/* ---- completions that nobody expects ---- */

COIR_TEST_TAGGED(stale_completions_find_nobody, "fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    struct coir__uring *uring = ring_of(coir_loop_current());
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    for (uint64_t i = 0; i < uring->slot_count + 2; i++) {
        for (uint64_t before = 1; before < 4; before++) {
            uint64_t generation = i < uring->slot_count ? uring->slots[i].generation : 0;
            struct io_uring_cqe completion = {.user_data = (generation - before) << 32 | i,
                                              .res = 5};
            COIR_EXPECT_EQ(coir__uring_finish(uring, &completion), 0);
        }
    }
    COIR_EXPECT_EQ(operations(), 1);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(reader, NULL), 1);
}

static void *post_soon(void *arg)
{
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
    coir__uring_of(arg)->loop->backend->wake(arg);
    return NULL;
}

/* A poll of many shots may end at any time. */
COIR_TEST_TAGGED(wake_up_is_armed_again, "own_loop,no_torture")
{
    ONLY_HERE;
    LOOP(loop);
    struct coir__uring *uring = ring_of(loop);
    COIR_EXPECT_EQ(loop->backend->poll(loop, 0), 0);
    COIR_EXPECT(uring->wake_armed);
    struct io_uring_cqe completion = {.user_data = COIR__URING_WAKE, .res = -EINVAL};
    (void)coir__uring_finish(uring, &completion);
    COIR_EXPECT(!uring->wake_armed && uring->wake_once);
    for (int i = 0; i < 3; i++) { /* one shot each from now on */
        pthread_t thread;
        COIR_REQUIRE_EQ(pthread_create(&thread, NULL, post_soon, loop), 0);
        coir_time before = coir__clock();
        while (loop->backend->poll(loop, COIR_SEC(5)) == 0 && uring->wake_armed)
            ;
        COIR_EXPECT_LT(coir__clock() - before, COIR_SEC(4));
        pthread_join(thread, NULL);
        for (int j = 0; j < 3; j++) /* what was told is not told again */
            COIR_EXPECT_EQ(loop->backend->poll(loop, 0), 0);
        COIR_EXPECT(uring->wake_armed);
    }
}

static bool is_called(coir_loop *loop)
{
    struct pollfd ready = {.fd = coir_loop_descriptor(loop), .events = POLLIN};
    return poll(&ready, 1, 100) == 1;
}

static int settle(coir_loop *loop)
{
    int r;
    while ((r = coir_loop_step(loop, 0)) > 0)
        ;
    return r;
}

struct stepping {
    coir_stream *stream;
    int peer, result;
};

static int read_by_steps(void *arg)
{
    struct stepping *stepping = arg;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    stepping->peer = fds[1];
    COIR_TRY(coir_stream_adopt(fds[0], &stepping->stream));
    FAULT(RECV, EAGAIN, 1);
    stepping->result = read_some(stepping->stream);
    coir_stream_close(stepping->stream);
    return 0;
}

/* The last look of a step takes a completion that asks for another entry: it is handed over before
 * an outer loop waits. */
COIR_TEST_TAGGED(steps_leave_nothing_to_hand_over, "own_loop,no_torture")
{
    ONLY_HERE;
    LOOP(loop);
    struct stepping stepping = {.peer = -1};
    coir_task *task;
    COIR_REQUIRE_OK(coir_loop_spawn(loop, read_by_steps, &stepping, &task));
    COIR_EXPECT_EQ(settle(loop), 0);
    coir__sys_fault = NULL;
    COIR_EXPECT_EQ(faults.times, 0);
    COIR_EXPECT(!coir__uring_has_entries(ring_of(loop)));
    COIR_EXPECT_EQ(write(stepping.peer, "x", 1), 1);
    COIR_EXPECT(is_called(loop));
    COIR_EXPECT_EQ(coir_loop_run_until(loop, task, NULL), 0);
    COIR_EXPECT_CODE(stepping.result, 1);
    close(stepping.peer);
}

static void end_wake_up(void *arg)
{
    struct coir__uring *uring = ring_of(arg);
    if (!uring->wake_armed) /* it comes first in a turn, so that the poll arms it */
        return;
    struct io_uring_cqe completion = {.user_data = COIR__URING_WAKE};
    (void)coir__uring_finish(uring, &completion);
}

/* So is the poll of the wake-up, when the last completion that a step takes was its end. */
COIR_TEST_TAGGED(steps_leave_the_wake_up_armed, "own_loop,no_torture")
{
    ONLY_HERE;
    LOOP(loop);
    struct coir__uring *uring = ring_of(loop);
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_EXPECT(uring->wake_armed);
    end_wake_up(loop);
    COIR_EXPECT_EQ(coir_loop_timeout(loop), 0);
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_EXPECT(uring->wake_armed);
    coir_post_node node = {0};
    COIR_REQUIRE_OK(coir_post(loop, &node, end_wake_up, loop));
    COIR_EXPECT(is_called(loop));
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_EXPECT(uring->wake_armed);
    uring->broken = true; /* and without a ring: the next try is awaited, not spun for */
    coir__uring_ring_close(uring);
    uring->lack = -EMFILE;
    uring->next_try = coir__clock() + COIR_MS(5);
    COIR_EXPECT_EQ(settle(loop), 0);
    coir_time timeout = coir_loop_timeout(loop);
    COIR_EXPECT(timeout > 0 && timeout <= COIR_MS(5));
    COIR_REQUIRE_OK(coir_post(loop, &node, end_wake_up, loop));
    COIR_EXPECT(is_called(loop));
    uring->next_try = 0;
    COIR_EXPECT_EQ(settle(loop), 0);
    COIR_EXPECT(!uring->broken && uring->wake_armed);
}

/* ---- faults of entering ---- */

static int exchange(coir_stream *a, coir_stream *b)
{
    char data[8];
    COIR_TRY(coir_stream_write(a, "hello", 5));
    COIR_TRY(coir_stream_read_exactly(b, data, 5));
    return memcmp(data, "hello", 5) == 0 ? 0 : -EBADMSG;
}

COIR_TEST_TAGGED(entering_that_fails_is_made_up_for, "no_torture")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    static const int errors[] = {EAGAIN, EBUSY, ENOMEM, EINTR};
    for (size_t i = 0; i < COIR_COUNT(errors); i++) {
        FAULT(URING_ENTER, errors[i], 3);
        COIR_EXPECT_OK(exchange(a, b));
        coir__sys_fault = NULL;
        COIR_EXPECT_EQ(faults.times, 0);
    }
}

struct reading {
    coir_stream *stream;
    int result;
};

static int note_read(void *arg)
{
    struct reading *reading = arg;
    reading->result = read_some(reading->stream);
    return 0;
}

/* The kernel had no memory for completions: nobody knows what was read. */
COIR_TEST_TAGGED(lost_completions_break_what_was_under_way, "no_torture,fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    struct reading reading = {.stream = b};
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, note_read, &reading, &reader));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    FAULT(URING_ENTER, EBADR, 1);
    COIR_EXPECT_OK(coir_join(reader, NULL));
    coir__sys_fault = NULL;
    COIR_EXPECT_CODE(reading.result, -EIO);
    COIR_EXPECT_OK(exchange(a, b));
}

/* No new ring can be had for a while, then one can: what was under way goes on. */
COIR_TEST_TAGGED(ring_that_is_missing_is_tried_for_again, "no_torture,fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    struct coir__uring *uring = ring_of(coir_loop_current());
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    FAULT(URING_ENTER, EEXIST, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT(!uring->broken);
    FAULT(URING_ENTER, EEXIST, 1);
    (void)coir_loop_current()->backend->poll(coir_loop_current(), COIR_MS(1));
    FAULT(URING_SETUP, EMFILE, 1);
    uring->broken = true;
    uring->next_try = 0;
    coir__uring_ring_close(uring);
    COIR_EXPECT_CODE(coir_loop_current()->backend->poll(coir_loop_current(), 0), -EMFILE);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(reader, NULL), 1);
    coir__sys_fault = NULL;
}

/* Somebody has closed the ring's number: that is told, and another ring takes over. */
COIR_TEST_TAGGED(ring_that_is_gone_is_replaced, "no_torture,fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    coir_test_expect_reports(COIR_REPORT_MISUSE, 1);
    for (int i = 0; i < 2; i++) { /* the second one at once, so that the loop pauses */
        close(ring_of(coir_loop_current())->ring.ring_fd);
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    }
    COIR_EXPECT_STR(report_of(COIR_REPORT_MISUSE),
                    "io_uring_enter: EBADF; another ring has taken over");
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(reader, NULL), 1);
}

/* While no ring can be had the loop waits for the next try, and what is cancelled ends. */
COIR_TEST_TAGGED(loop_without_a_ring_does_not_spin, "no_torture,fifo")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    coir_task *reader = NULL, *cancelled = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, a, &cancelled));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    struct coir__uring *uring = ring_of(coir_loop_current());
    uint64_t turns = coir_loop_current()->turns;
    uring->broken = true;
    coir__uring_ring_close(uring);
    FAULT(URING_SETUP, EMFILE, 5);
    coir_cancel(cancelled, NULL);
    COIR_EXPECT_CODE(coir_join(cancelled, NULL), -COIR_ECANCELEDTASK);
    COIR_EXPECT(uring->broken);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(reader, NULL), 1);
    coir__sys_fault = NULL;
    COIR_EXPECT_EQ(faults.times, 0);
    COIR_EXPECT_LT(coir_loop_current()->turns - turns, 40);
}

static int count_entering(enum coir__sys_call call, size_t *length)
{
    (void)length;
    faults.times += call == COIR__SYS_URING_ENTER;
    return 0;
}

/* While nothing is started and nothing comes, a look at the ring is a look at memory. */
COIR_TEST_TAGGED(turns_without_news_make_no_system_call, "no_torture,fifo")
{
    ONLY_HERE;
    ONLY_WITH_ALL_FLAGS(coir_loop_current());
    PAIR(BY_TCP, a, b);
    coir_task *reader = NULL;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, b, &reader));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    uint64_t turns = coir_loop_current()->turns;
    faults.times = 0;
    coir__sys_fault = count_entering;
    while (coir_loop_current()->turns < turns + 20)
        COIR_REQUIRE_OK(coir_yield());
    COIR_EXPECT_EQ(faults.times, 0);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(reader, NULL), 1);
    coir__sys_fault = NULL;
    COIR_EXPECT_LE(faults.times, 4); /* one for the write and what it brings, and a look or two */
}

/* ---- what the ring cannot do with a file ---- */

COIR_TEST_TAGGED(what_the_ring_does_not_support_is_done_by_calls, "no_torture")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    FAULT(RECV, EINVAL, 1); /* this once */
    COIR_EXPECT_OK(exchange(b, a));
    FAULT(RECV, EAGAIN, 1);
    COIR_EXPECT_OK(exchange(b, a));
    FAULT(SEND, EAGAIN, 1);
    COIR_EXPECT_OK(exchange(b, a));
    FAULT(RECV, EOPNOTSUPP, 1); /* never again */
    COIR_EXPECT_OK(exchange(a, b));
    FAULT(SEND, EOPNOTSUPP, 1);
    COIR_EXPECT_OK(exchange(a, b));
    coir__sys_fault = NULL;
    COIR_EXPECT_OK(exchange(a, b)); /* directly, from now on */
}

/* What a test injects comes back as a completion, and means what it means on epoll. */
COIR_TEST_TAGGED(faults_come_back_as_completions, "no_torture")
{
    ONLY_HERE;
    PAIR(BY_TCP, a, b);
    struct sockaddr_in address;
    COIR_AUTO(coir_socket) *listener = NULL;
    COIR_AUTO(coir_socket) *connecting = NULL;
    COIR_REQUIRE_OK(listen_here(&listener, &address));
    COIR_REQUIRE_OK(coir_socket_open(AF_INET, SOCK_STREAM, &connecting));
    struct accepting accepting = {.listener = listener};
    FAULT(RECV, ECONNRESET, 1);
    COIR_EXPECT_CODE(read_some(b), -ECONNRESET);
    FAULT(SEND, ENOBUFS, 1);
    COIR_EXPECT_CODE(coir_stream_write(a, "x", 1), -ENOBUFS);
    FAULT(ACCEPT, EMFILE, 1);
    COIR_EXPECT_CODE(accept_one(&accepting), -EMFILE);
    FAULT(CONNECT, ETIMEDOUT, 1);
    COIR_EXPECT_CODE(coir_socket_connect(connecting, (struct sockaddr *)&address, sizeof address),
                     -ETIMEDOUT);
    FAULT(CONNECT, EINTR, 2); /* and what is no result is made up for */
    COIR_EXPECT_OK(coir_socket_connect(connecting, (struct sockaddr *)&address, sizeof address));
    FAULT(ACCEPT, EINTR, 2);
    COIR_EXPECT_OK(accept_one(&accepting));
    FAULT(SEND, EINTR, 2);
    COIR_EXPECT_OK(exchange(a, b));
    FAULT(RECV, ECANCELED, 2); /* of a thread that has ended */
    COIR_EXPECT_OK(exchange(a, b));
    coir__sys_fault = NULL;
    coir_socket_close(accepting.accepted);
}

static int count_workers(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;) {
        char path[300], name[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        count += fgets(name, sizeof name, file) != NULL && strncmp(name, "iou-wrk", 7) == 0;
        fclose(file);
    }
    if (tasks != NULL)
        closedir(tasks);
    return count;
}

/* Nothing that is asked of the kernel makes it start threads, however long it waits. */
COIR_TEST_TAGGED(kernel_starts_no_threads, "no_torture,fifo")
{
    ONLY_HERE;
    PAIR(BY_UNIX, a, b);
    struct sockaddr_in address;
    COIR_AUTO(coir_socket) *listener = NULL;
    COIR_REQUIRE_OK(listen_here(&listener, &address));
    struct accepting accepting = {.listener = listener};
    struct message message = {.stream = a, .size = 4 << 20, .chunk = 65536};
    COIR_GROUP(group);
    coir_task *accepter = NULL;
    COIR_REQUIRE_OK(coir_spawn(&group, accept_one, &accepting, &accepter));
    COIR_REQUIRE_OK(coir_spawn(&group, read_some, a, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, send_message, &message, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(5)));
    COIR_EXPECT_EQ(count_workers(), 0);
    coir_group_cancel(&group, NULL);
}
