/* io_refused.c: tests of machines that refuse io_uring, or parts of it: by a seccomp filter, by
 * limits, by older kernels. A loop that asked for nothing gets epoll and says why; one that asked
 * for io_uring is told that it does not work here.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>

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

static int try_filtered(void *arg)
{
    const struct filter *filter = arg;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)filter->number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)filter->error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COIR_COUNT(code), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
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
        COIR_EXPECT_CONTAINS(child.output, rows[i]);
    }
}
