/* io_refused.c: tests of machines that refuse io_uring, or parts of it: by a seccomp filter, by
 * limits, by older kernels. A loop that asked for nothing gets epoll and says why; one that asked
 * for io_uring is told that it does not work here.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <coir/event.h>
#include <coir/group.h>
#include <coir/loop.h>

#include "child.h"
#include "core/sys.h"
#include "core_loop.h"
#include "net_pair.h"

#define ONLY_ONCE                                                                                  \
    if (strcmp(coir_test_backend(), "uring") != 0)                                                 \
    COIR_SKIP("runs with the io_uring backend")

/* ---- working at all ---- */

static int work(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    COIR_TRY(open_pair(BY_TCP, &a, &b));
    char data[5];
    COIR_TRY(coir_stream_write(a, "hello", 5));
    COIR_TRY(coir_stream_read_exactly(b, data, 5));
    printf("%s: %s\n", coir_info()->backend, coir_info()->backend_why);
    return memcmp(data, "hello", 5) == 0 ? 0 : -EBADMSG;
}

/* Opens a loop with what is asked for (NULL: nothing), works in it, and prints how it went. */
static int try(const char *asked)
{
    if (asked == NULL)
        unsetenv("COIR_BACKEND");
    coir_loop_opts opts = {.backend = asked};
    coir_loop *loop = NULL;
    int r = coir_loop_open(&opts, &loop);
    if (r == 0) {
        r = run_task(loop, work, NULL);
        coir_loop_close(loop);
    }
    printf("result %s\n", r == 0 ? "0" : coir_error_name(r));
    return 0;
}

/* ---- filters ---- */

struct filter {
    int number, error;
    const char *asked;
};

static bool forbid(int number, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COIR_COUNT(code), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int try_filtered(void *arg)
{
    const struct filter *filter = arg;
    if (!forbid(filter->number, filter->error))
        return 77;
    if (filter->asked == NULL)
        return try(NULL);
    setenv("COIR_BACKEND", filter->asked, 1);
    (void)try(filter->asked);
    printf("%s\n", coir_info()->backend_why);
    return 0;
}

static void expect_filtered(struct child *child, struct filter filter)
{
    COIR_REQUIRE_OK(child_run(child, try_filtered, &filter));
    COIR_EXPECT(WIFEXITED(child->status) && WEXITSTATUS(child->status) == 0);
}

COIR_TEST_TAGGED(refused_by_a_filter, "own_loop,no_torture")
{
    ONLY_ONCE;
    static const struct {
        int number, error;
        const char *why;
    } rows[] = {
        {SYS_io_uring_setup, EPERM, "not uring: io_uring_setup: EPERM"},
        {SYS_io_uring_setup, ENOSYS, "not uring: io_uring_setup: ENOSYS"},
        {SYS_io_uring_register, EACCES, "not uring: io_uring_register: EACCES"},
        {SYS_io_uring_enter, EPERM, "not uring: io_uring_enter: EPERM"},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        struct child child;
        expect_filtered(&child, (struct filter){rows[i].number, rows[i].error, NULL});
        COIR_EXPECT_CONTAINS(child.output, "epoll: first that works");
        COIR_EXPECT_CONTAINS(child.output, rows[i].why);
        COIR_EXPECT_CONTAINS(child.output, "result 0\n");
        expect_filtered(&child, (struct filter){rows[i].number, rows[i].error, "uring"});
        COIR_EXPECT_CONTAINS(child.output, "result EOPNOTSUPP\n");
        COIR_EXPECT_CONTAINS(child.output, rows[i].why + strlen("not uring: "));
    }
}

/* ---- a filter that comes later ---- */

static int print_read(void *arg)
{
    printf("waiting: %s\n", coir_error_name(read_some(arg)));
    return 0;
}

static void print_report(const coir_report *report, void *arg)
{
    (void)arg;
    printf("report: %s\n", report->text);
}

static void stop_waiting(void *arg)
{
    coir_event_set(arg);
}

struct later {
    coir_loop *loop;
    coir_event event;
    coir_post_node node;
};

static void *post_later(void *arg)
{
    struct later *later = arg;
    struct timespec pause = {.tv_nsec = 30000000};
    nanosleep(&pause, NULL);
    (void)coir_post(later->loop, &later->node, stop_waiting, &later->event);
    return NULL;
}

/* Timers, posts and closing work on; what needs the ring fails, and does not hang. */
static int work_on_without(void *arg)
{
    struct later *later = arg;
    COIR_AUTO(coir_stream) *a = NULL;
    COIR_AUTO(coir_stream) *b = NULL;
    COIR_TRY(open_pair(BY_TCP, &a, &b));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, print_read, b, NULL));
    COIR_TRY(coir_sleep(COIR_MS(1)));
    if (!forbid(SYS_io_uring_enter, EPERM))
        return 77;
    struct coir_loop_stats before, after;
    coir_loop_stats(NULL, &before);
    COIR_TRY(coir_sleep(COIR_MS(200)));
    coir_loop_stats(NULL, &after);
    printf("turns: %s\n", after.turns - before.turns < 60 ? "few" : "many");
    printf("starting: %s\n", coir_error_name(read_some(a)));
    pthread_t thread;
    if (pthread_create(&thread, NULL, post_later, later) != 0)
        return -EAGAIN;
    COIR_TRY(coir_event_wait(&later->event));
    pthread_join(thread, NULL);
    printf("posted\n");
    return 0;
}

static int refuse_later(void *arg)
{
    (void)arg;
    coir_loop_opts opts = {.backend = "uring", .report = print_report, .expects_posts = true};
    struct later later = {0};
    int r = coir_loop_open(&opts, &later.loop);
    if (r == 0)
        r = run_task(later.loop, work_on_without, &later);
    printf("result %s\n", r == 0 ? "0" : coir_error_name(r));
    coir_loop_close(later.loop);
    printf("closed\n");
    return 0;
}

COIR_TEST_TAGGED(refused_by_a_filter_that_comes_later, "own_loop,no_torture")
{
    ONLY_ONCE;
    struct child child;
    COIR_REQUIRE_OK(child_run(&child, refuse_later, NULL));
    COIR_EXPECT_CONTAINS(child.output,
                         "report: io_uring_enter: EPERM; without it reading and writing fail\n");
    COIR_EXPECT_CONTAINS(child.output, "waiting: EPERM\nturns: few\nstarting: EPERM\nposted\n"
                                       "result 0\nclosed\n");
    char *once = strstr(child.output, "report");
    COIR_EXPECT(once == NULL || strstr(once + 1, "report") == NULL);
}

/* ---- limits ---- */

static int try_without_locked_memory(void *arg)
{
    (void)arg;
    struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_MEMLOCK, &none) < 0 ? 77 : try(NULL);
}

/* Old kernels count a ring as locked memory, new ones do not: something works in any case. */
COIR_TEST_TAGGED(no_locked_memory, "own_loop,no_torture")
{
    ONLY_ONCE;
    struct child child;
    COIR_REQUIRE_OK(child_run(&child, try_without_locked_memory, NULL));
    COIR_EXPECT_CONTAINS(child.output, "first that works");
    COIR_EXPECT_CONTAINS(child.output, "result 0\n");
}

/* ---- older kernels ---- */

static struct {
    enum coir__sys_call call;
    int error, times;
} faults;

static int meet_fault(enum coir__sys_call call, size_t *length)
{
    (void)length;
    if (call != faults.call || faults.times <= 0)
        return 0;
    faults.times--;
    return -faults.error;
}

static int try_with_faults(void *arg)
{
    coir__sys_fault = meet_fault;
    int r = try(arg);
    coir__sys_fault = NULL;
    return r;
}

static void expect_with_faults(struct child *child, enum coir__sys_call call, int error, int times)
{
    faults.call = call;
    faults.error = error;
    faults.times = times;
    COIR_REQUIRE_OK(child_run(child, try_with_faults, NULL));
    COIR_EXPECT_CONTAINS(child->output, "result 0\n");
}

COIR_TEST_TAGGED(flags_are_given_up_one_by_one, "own_loop,no_torture")
{
    ONLY_ONCE;
    static const char *const rows[] = {
        "256 entries, DEFER_TASKRUN, SINGLE_ISSUER, COOP_TASKRUN, SUBMIT_ALL\n",
        "256 entries, SINGLE_ISSUER, COOP_TASKRUN, SUBMIT_ALL\n",
        "256 entries, COOP_TASKRUN, SUBMIT_ALL\n",
        "256 entries, SUBMIT_ALL\n",
        "256 entries\n",
        "not uring: io_uring_setup: EINVAL\n",
    };
    for (int i = 0; i < (int)COIR_COUNT(rows); i++) {
        struct child child;
        expect_with_faults(&child, COIR__SYS_URING_SETUP, EINVAL, i);
        if (i == 0 && strstr(child.output, "DEFER_TASKRUN") == NULL)
            COIR_SKIP("needs Linux 6.1");
        COIR_EXPECT_CONTAINS(child.output, rows[i]);
    }
}

COIR_TEST_TAGGED(small_rings_are_taken_where_memory_is_short, "own_loop,no_torture")
{
    ONLY_ONCE;
    static const char *const rows[] = {"256 entries", "128 entries", "64 entries", "32 entries",
                                       "16 entries",  "8 entries",   "ENOMEM"};
    for (int i = 0; i < (int)COIR_COUNT(rows); i++) {
        struct child child;
        expect_with_faults(&child, COIR__SYS_URING_SETUP, ENOMEM, i);
        if (i == 0 && strstr(child.output, "DEFER_TASKRUN") == NULL)
            COIR_SKIP("needs Linux 6.1: before, the flags take more than one try");
        COIR_EXPECT_CONTAINS(child.output, rows[i]);
    }
}
