/* io_uring_limits.c: tests of io_uring where it is at its limits: full queues, a ring that another
 * thread needs, a child that has only a copy, and memory that is given back while it is the
 * kernel's.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <coir/descriptor.h>
#include <coir/group.h>
#include <coir/memory.h>
#include <coir/stream.h>
#include <coir/select.h>

#include "child.h"
#include "core_loop.h"
#include "io_uring.h"

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
    LOOP(usual);
    ONLY_WITH_ALL_FLAGS(usual);
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
    LOOP(usual);
    ONLY_WITH_ALL_FLAGS(usual);
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

/* Two ends of which one is not the loop's. */
static int open_half(coir_stream **ret_stream)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    int r = coir_stream_adopt(fds[0], ret_stream);
    if (r < 0)
        close(fds[0]);
    if (r < 0)
        close(fds[1]);
    return r < 0 ? r : fds[1];
}

/* A connection without the library, so that it is there before the loop turns. */
static int connect_to_port(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    COIR_EXPECT_EQ(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

struct late {
    coir_stream *stream;
    coir_listener *listener;
    coir_stream *accepted;
    char data[8];
    int result;
};

static int read_late(void *arg)
{
    struct late *late = arg;
    size_t n;
    late->result = coir_stream_read(late->stream, late->data, sizeof late->data, &n);
    return 0;
}

static int accept_late(void *arg)
{
    struct late *late = arg;
    late->result = coir_listener_accept(late->listener, &late->accepted);
    return 0;
}

/* In the backlog, and when its entry brings it: a result that has come is not withdrawn. */
COIR_TEST_TAGGED(results_that_moved_with_the_loop_are_not_lost, "no_torture,fifo")
{
    ONLY_HERE;
    struct coir__uring *uring = ring_of(coir_loop_current());
    for (int entered = 0; entered < 2; entered++) {
        struct late late = {0};
        int peer = open_half(&late.stream);
        COIR_REQUIRE(peer >= 0);
        coir_task *reader = NULL;
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, read_late, &late, &reader));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
        COIR_EXPECT_EQ(write(peer, "12345678", 8), 8);
        complete_and_move(uring);
        if (entered)
            coir__uring_push(uring);
        coir_cancel(reader, NULL);
        COIR_EXPECT_OK(coir_join(reader, NULL));
        COIR_EXPECT_CODE(late.result, 1);
        COIR_EXPECT_EQ(memcmp(late.data, "12345678", 8), 0);
        coir_stream_close(late.stream);
        close(peer);
    }
}

COIR_TEST_TAGGED(connections_that_moved_with_the_loop_are_not_lost, "no_torture,fifo")
{
    ONLY_HERE;
    for (int closed = 0; closed < 2; closed++) { /* the kit counts descriptors */
        struct late late = {0};
        char name[COIR_ADDRESS_TEXT];
        COIR_REQUIRE_OK(listen_somewhere(BY_TCP, &late.listener, name));
        coir_task *accepter = NULL;
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, accept_late, &late, &accepter));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
        int fd = connect_to_port((int)strtol(strrchr(name, ':') + 1, NULL, 10));
        complete_and_move(ring_of(coir_loop_current()));
        if (closed)
            coir_listener_close(COIR_TAKE(late.listener));
        else
            coir_cancel(accepter, NULL);
        COIR_EXPECT_OK(coir_join(accepter, NULL));
        COIR_EXPECT_CODE(late.result, closed ? -COIR_ECLOSED : 0);
        coir_stream_close(late.accepted);
        coir_listener_close(late.listener);
        close(fd);
    }
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
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    COIR_SKIP("the sanitizer does not follow tasks through fork");
#endif
#endif
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
