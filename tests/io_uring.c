/* io_uring.c: tests of what only the io_uring backend has: the race between an end that was asked
 * for and one that has come, full queues, lost completions, a ring that another thread needs, and a
 * child that has only a copy. What it has in common with the others, the other tests run on it too.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <coir/descriptor.h>
#include <coir/group.h>
#include <coir/memory.h>
#include <coir/select.h>
#include <coir/socket.h>

#include "child.h"
#include "core_loop.h"
#include "io/uring.h"
#include "net_pair.h"

#define ONLY_HERE                                                                                  \
    if (strcmp(coir_test_backend(), "uring") != 0)                                                 \
    COIR_SKIP("of the io_uring backend")

static uint64_t operations(void)
{
    coir_stats stats;
    coir_loop_stats(NULL, &stats);
    return stats.operations;
}

static struct coir__uring *ring_of(coir_loop *loop)
{
    return coir__uring_of(loop);
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
    COIR_TRY(coir_socket_name(socket, false, (struct sockaddr *)ret_address, &length));
    *ret_socket = COIR_TAKE(socket);
    return 0;
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
        uint64_t count; /* now it is edge-less: what was counted would be told again */
        (void)!read(uring->wakefd, &count, sizeof count);
    }
}

/* ---- faults of entering ---- */

static struct {
    enum coir__sys_call call;
    int error, times, skip;
} faults;

static int meet_fault(enum coir__sys_call call, size_t *length)
{
    (void)length;
    if (call != faults.call || faults.skip-- > 0 || faults.times <= 0)
        return 0;
    faults.times--;
    return -faults.error;
}

#define FAULT(which, code, count)                                                                  \
    faults.call = COIR__SYS_##which, faults.error = (code), faults.times = (count),                \
    faults.skip = 0, coir__sys_fault = meet_fault

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
    coir__uring_ring_close(uring);
    COIR_EXPECT_CODE(coir_loop_current()->backend->poll(coir_loop_current(), 0), -EMFILE);
    COIR_REQUIRE_OK(coir_stream_write(a, "x", 1));
    COIR_EXPECT_CODE(coir_join(reader, NULL), 1);
    coir__sys_fault = NULL;
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

/* ---- full queues ---- */

static int wait_readable(void *arg)
{
    return coir_fd_wait(*(int *)arg, POLLIN);
}

enum { MANY = 300 };

/* More operations than entries, and more completions at once than have a place. */
static int overflow(void *arg)
{
    (void)arg;
    int fds[MANY], r = 0;
    uint64_t one = 1;
    coir_group group;
    COIR_TRY(coir_group_init(&group, COIR_FAIL_FAST));
    for (int i = 0; i < MANY; i++) {
        fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (r == 0)
            r = coir_spawn(&group, wait_readable, &fds[i], NULL);
    }
    if (r == 0)
        r = coir_sleep(COIR_MS(5));
    for (int i = 0; i < MANY; i++)
        (void)!write(fds[i], &one, sizeof one);
    int joined = coir_group_close(&group);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    return r < 0 ? r : joined;
}

/* All are cancelled at once, so that more ends are asked for than there are entries. */
static int cancel_many(void *arg)
{
    int *fd = arg;
    coir_group group;
    COIR_TRY(coir_group_init(&group, COIR_COLLECT));
    int fds[MANY], r = 0;
    for (int i = 0; i < MANY; i++) {
        fds[i] = dup(*fd);
        if (r == 0)
            r = coir_spawn(&group, wait_readable, &fds[i], NULL);
    }
    if (r == 0)
        r = coir_sleep(COIR_MS(5));
    coir_group_cancel(&group, NULL);
    (void)coir_group_close(&group);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    return r;
}

/* Fails the opening of a ring: first with EINVAL, for the flags, then with ENOMEM. */
static int setup_faults[8];

static int meet_setup_fault(enum coir__sys_call call, size_t *length)
{
    (void)length;
    return call == COIR__SYS_URING_SETUP && faults.times < 8 ? setup_faults[faults.times++] : 0;
}

/* A loop with a ring of 8 entries. deferring: all completions come at once when they are asked
 * for, in small portions; else whenever they want to. */
static int open_smallest(coir_loop **ret_loop, bool deferring)
{
    memset(setup_faults, 0, sizeof setup_faults);
    setup_faults[0] = -EINVAL;
    for (int i = 0; i < 5; i++) /* 256, 128, 64, 32, 16 */
        setup_faults[i + !deferring] = -ENOMEM;
    faults.times = 0;
    coir__sys_fault = meet_setup_fault;
    int r = open_loop(ret_loop);
    coir__sys_fault = NULL;
    return r;
}

COIR_TEST_TAGGED(nothing_is_lost_when_the_queues_are_full, "own_loop,no_torture")
{
    ONLY_HERE;
#ifdef COIR__SANITIZED
    COIR_SKIP("a sanitizer keeps the frames of tasks elsewhere");
#endif
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (int deferring = 0; deferring < 2; deferring++) {
        coir_loop *loop = NULL;
        COIR_REQUIRE_OK(open_smallest(&loop, deferring));
        COIR_EXPECT_EQ(*ring_of(loop)->ring.sq.kring_entries, 8);
        COIR_EXPECT_EQ((ring_of(loop)->setup & IORING_SETUP_DEFER_TASKRUN) != 0, deferring);
        COIR_EXPECT_OK(run_task(loop, overflow, NULL));
        COIR_EXPECT_OK(run_task(loop, cancel_many, &fd));
        coir_loop_close(loop);
    }
    close(fd);
}

/* Entries cannot be handed over for a while, and wait their turn. */
COIR_TEST_TAGGED(backlog_keeps_what_cannot_be_handed_over, "own_loop,no_torture")
{
    ONLY_HERE;
    coir_loop *loop = NULL;
    COIR_REQUIRE_OK(open_smallest(&loop, true));
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    FAULT(URING_ENTER, EBUSY, 400);
    COIR_EXPECT_OK(run_task(loop, overflow, NULL));
    FAULT(URING_ENTER, EAGAIN, 200);
    faults.skip = 20;
    COIR_EXPECT_OK(run_task(loop, cancel_many, &fd));
    coir__sys_fault = NULL;
    coir_loop_close(loop);
    close(fd);
}

/* ---- threads and processes ---- */

struct carried {
    coir_loop *loop;
    coir_task *reader;
    coir_stream *a, *b;
    int result;
    void *data; /* that is freed by release too early */
    void (*release)(void *data);
};

static int begin_reading(void *arg)
{
    struct carried *carried = arg;
    COIR_TRY(open_pair(BY_TCP, &carried->a, &carried->b));
    static const coir_site site = {__FILE__, __func__, "reader", __LINE__};
    COIR_TRY(coir_loop_spawn_at(carried->loop, read_ten, carried->b, &carried->reader, &site));
    return coir_sleep(COIR_MS(1));
}

static int end_reading(void *arg)
{
    struct carried *carried = arg;
    COIR_TRY(coir_stream_write(carried->a, "0123456789", 10));
    int r = coir_join(carried->reader, NULL);
    coir_stream_close(COIR_TAKE(carried->a));
    coir_stream_close(COIR_TAKE(carried->b));
    return r;
}

static void *run_elsewhere(void *arg)
{
    struct carried *carried = arg;
    carried->result = run_task(carried->loop, begin_reading, carried);
    return NULL;
}

/* Opened here, begun on another thread that ends, finished and closed here. */
COIR_TEST_TAGGED(loop_moves_between_threads, "own_loop,no_torture")
{
    ONLY_HERE;
    struct carried carried = {0};
    COIR_REQUIRE_OK(open_loop(&carried.loop));
    pthread_t thread;
    COIR_REQUIRE_EQ(pthread_create(&thread, NULL, run_elsewhere, &carried), 0);
    pthread_join(thread, NULL);
    COIR_EXPECT_OK(carried.result);
    COIR_EXPECT_OK(run_task(carried.loop, end_reading, &carried));
    coir_loop_close(carried.loop);
}

static int act_in_child(void *arg)
{
    struct carried *carried = arg;
    struct coir__op op = {.kind = COIR__OP_POLL, .fd = 0, .events = POLLIN};
    const struct coir__backend *backend = carried->loop->backend;
    if (backend->start(carried->loop, &op) != -COIR_EWRONGLOOP)
        return 10;
    if (backend->poll(carried->loop, COIR_SEC(1)) != -COIR_EWRONGLOOP)
        return 11;
    int r = coir_loop_run_forever(carried->loop);
    (void)coir_loop_close(carried->loop);
    return r == 0 || r == -COIR_EWRONGLOOP ? 12 : 13;
}

/* The parent's operations stay what they are, whatever the child does with its copy. */
COIR_TEST_TAGGED(child_has_only_a_copy, "own_loop,no_torture")
{
    ONLY_HERE;
    struct carried carried = {0};
    COIR_REQUIRE_OK(open_loop(&carried.loop));
    COIR_EXPECT_OK(run_task(carried.loop, begin_reading, &carried));
    struct child child;
    COIR_REQUIRE_OK(child_run(&child, act_in_child, &carried));
    COIR_EXPECT_EQ(WIFEXITED(child.status) ? WEXITSTATUS(child.status) : -1, 12);
    COIR_EXPECT_OK(run_task(carried.loop, end_reading, &carried));
    coir_loop_close(carried.loop);
}

/* ---- closing the loop ---- */

static int leave_a_wait_behind(void *arg)
{
    coir_case cases[] = {COIR_ON_DESCRIPTOR(*(int *)arg, POLLIN), COIR_ON_TIMER(COIR_MS(1))};
    return coir_select(cases, 2) == 1 ? 0 : -EBADMSG;
}

/* What was withdrawn is still the kernel's when the loop is closed: its memory waits for that. */
COIR_TEST_TAGGED(loop_closes_when_the_kernel_has_let_go, "own_loop")
{
    ONLY_HERE;
    coir_loop *loop = NULL;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    COIR_EXPECT_OK(open_loop(&loop));
    if (loop != NULL) {
        COIR_EXPECT_OK(run_task(loop, leave_a_wait_behind, &fd));
        coir_loop_close(loop);
    }
    close(fd);
}

/* ---- memory that is given back too early ---- */

static int own_buffer(void *arg)
{
    struct carried *carried = arg;
    size_t n;
    return coir_stream_read(carried->b, (char *)carried->data + 8, 16, &n);
}

/* Opens a loop, in which a task waits to read into the middle of carried->data. */
static int begin_owned_read(void *arg)
{
    struct carried *carried = arg;
    COIR_TRY(open_pair(BY_TCP, &carried->a, &carried->b));
    static const coir_site site = {__FILE__, __func__, "reader", __LINE__};
    COIR_TRY(coir_loop_spawn_at(carried->loop, own_buffer, carried, &carried->reader, &site));
    COIR_TRY(coir_sleep(COIR_MS(1)));
    carried->release(carried->data);
    return 0;
}

static int free_too_early(void *arg)
{
    struct carried *carried = arg;
    return open_loop(&carried->loop) < 0 ? 1 : run_task(carried->loop, begin_owned_read, carried);
}

static int end_too_early(void *arg)
{
    struct coir__op op = {.kind = COIR__OP_POLL, .fd = *(int *)arg, .events = POLLIN};
    op.task = coir_current();
    return coir__loop->backend->start(coir__loop, &op) == COIR__STARTED ? 0 : -EBADMSG;
}

static int leave_stack_too_early(void *arg)
{
    coir_loop *loop = NULL;
    return open_loop(&loop) < 0 ? 1 : run_task(loop, end_too_early, arg);
}

static void expect_complaint(int (*fn)(void *arg), void *arg, const char *text)
{
    struct child child;
    COIR_REQUIRE_OK(child_run(&child, fn, arg));
    COIR_EXPECT(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    COIR_EXPECT_CONTAINS(child.output, text);
}

COIR_TEST_TAGGED(memory_of_the_library_is_freed_too_early, "own_loop,no_torture")
{
    ONLY_HERE;
    struct carried carried = {.data = coir_alloc(64), .release = coir_free};
    expect_complaint(free_too_early, &carried,
                     "coir: memory is freed while the kernel still has "
                     "it: read of fd ");
    expect_complaint(free_too_early, &carried, " by task 'reader', 16 bytes at ");
    coir_free(carried.data);
}

COIR_TEST_TAGGED(memory_of_the_program_is_freed_too_early, "own_loop,no_torture")
{
    ONLY_HERE;
#ifndef COIR__SANITIZED
    COIR_SKIP("only a sanitizer tells of every free");
#endif
    struct carried carried = {.data = malloc(64), .release = free};
    expect_complaint(free_too_early, &carried,
                     "coir: memory is freed while the kernel still has "
                     "it: read of fd ");
    free(carried.data);
}

COIR_TEST_TAGGED(stack_is_given_back_too_early, "own_loop,no_torture")
{
    ONLY_HERE;
#ifdef COIR__SANITIZED
    COIR_SKIP("a sanitizer keeps the frames of tasks elsewhere");
#endif
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    expect_complaint(leave_stack_too_early, &fd,
                     "coir: the stack of a task is given back while "
                     "the kernel still has it: poll of fd ");
    close(fd);
}
