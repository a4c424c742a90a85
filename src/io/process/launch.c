/* launch.c: a new process, from its making to its exec.
 *
 * It is made by clone with CLONE_VM and CLONE_VFORK: it borrows the caller's memory, and the caller
 * stands still until it has called exec or ended. So nothing is copied, however large the program
 * is, and what failed is simply left in memory. With CLONE_PIDFD its descriptor comes with it, so
 * there is no moment in which its number could be somebody else's.
 *
 * Until its exec the child is a guest in the caller's memory: it makes bare system calls only, uses
 * nothing of the C library (whose locks others may hold, and whose functions sanitizers replace),
 * and runs no handler: all signals are blocked before, and their dispositions are reset before they
 * are let in again. Emulators and debuggers make a real fork of it, which shares nothing: that is
 * found out by the first launch, and from then on failures come through a pipe.
 */
#include "io/process/process.h"
#include "io/process/sys.h"

#ifdef __clang__
#define BARE __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define BARE                                                                                       \
    __attribute__((no_sanitize("address"), no_sanitize("undefined"), no_sanitize("thread"),        \
                   noinline))
#endif

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { KERNEL_SIGNALS = 64, SET_SIZE = 8, STACK = 16384, MOST_DESCRIPTORS = 65536 };

/* ---- in the child ---- */

BARE static int fail(struct coir__launch *launch, int error, int step)
{
    launch->error = error;
    launch->step = step;
    if (launch->report >= 0) {
        int message[2] = {error, step};
        (void)syscall(SYS_write, launch->report, message, sizeof message);
    }
    return -1;
}

/* What is between 0 and 2 and meant for another place goes out of the way first. */
BARE static int place_descriptors(struct coir__launch *launch)
{
    int from[3];
    for (int i = 0; i < 3; i++) {
        from[i] = launch->fds[i];
        if (from[i] >= 0 && from[i] < 3 && from[i] != i)
            from[i] = (int)syscall(SYS_fcntl, from[i], F_DUPFD_CLOEXEC, 3);
        if (launch->fds[i] >= 0 && from[i] < 0)
            return -1;
    }
    for (int i = 0; i < 3; i++) {
        if (from[i] < 0 || (i == 2 && launch->err_to_out))
            continue;
        if ((from[i] == i ? syscall(SYS_fcntl, i, F_SETFD, 0) : syscall(SYS_dup3, from[i], i, 0)) <
            0)
            return -1;
    }
    return launch->err_to_out && syscall(SYS_dup3, 1, 2, 0) < 0 ? -1 : 0;
}

/* All others end with the exec, those too that somebody made without close-on-exec. */
BARE static void close_others(void)
{
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < MOST_DESCRIPTORS; fd++) /* kernels before 5.11 */
        (void)syscall(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
}

/* The kernel's struct sigaction is zero for the default. */
BARE static void reset_signals(void)
{
    unsigned long plain[8];
    for (int i = 0; i < 8; i++)
        plain[i] = 0;
    for (int number = 1; number <= KERNEL_SIGNALS; number++)
        (void)syscall(SYS_rt_sigaction, number, plain, NULL, SET_SIZE);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, plain, NULL, SET_SIZE);
}

/* Gives the errno of the last path that could be a program at all. */
BARE static int execute(struct coir__launch *launch)
{
    int error = ENOENT;
    for (const char *const *path = launch->paths; *path != NULL; path++) {
        (void)syscall(SYS_execve, *path, launch->argv, launch->env);
        int now = errno;
        if (now == EACCES)
            error = EACCES;
        else if (now != ENOENT && now != ENOTDIR)
            return now;
    }
    return error;
}

BARE static int prepare(struct coir__launch *launch)
{
    if (launch->report >= 0 && launch->report < 3) {
        launch->report = (int)syscall(SYS_fcntl, launch->report, F_DUPFD_CLOEXEC, 3);
        if (launch->report < 0)
            return fail(launch, errno, COIR__LAUNCH_CLONE);
    }
    if (launch->session ? syscall(SYS_setsid) < 0 : launch->group && syscall(SYS_setpgid, 0, 0) < 0)
        return fail(launch, errno, COIR__LAUNCH_CLONE);
    if (place_descriptors(launch) < 0)
        return fail(launch, errno, COIR__LAUNCH_CLONE);
    if (launch->cwd != NULL && syscall(SYS_chdir, launch->cwd) < 0)
        return fail(launch, errno, COIR__LAUNCH_DIRECTORY);
    return 0;
}

BARE static int child_main(void *arg)
{
    struct coir__launch *launch = arg;
    launch->ran = true;
    if (prepare(launch) == 0) {
        close_others();
        reset_signals();
        (void)fail(launch, execute(launch), COIR__LAUNCH_EXEC);
    }
    (void)syscall(SYS_exit_group, 127);
    return 127;
}

/* ---- in the caller ---- */

/* Whether a child that was made so shares memory; what the first launch has found out. */
static atomic_int sharing; /* 0: not known yet */
enum { SHARED = 1, COPIED };

/* The child has its own descriptor where the kernel gives one, and where not, its number is not
 * used again before it was reaped. */
static int clone_child(struct coir__launch *launch, char *stack, int *ret_pidfd)
{
    int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
    int pid = coir__sys_clone(child_main, stack, flags | COIR__CLONE_PIDFD, launch, ret_pidfd);
    if (pid != -EINVAL)
        return pid;
    *ret_pidfd = -1;
    return coir__sys_clone(child_main, stack, flags, launch, NULL);
}

static int clone_quietly(struct coir__launch *launch, int *ret_pidfd)
{
    char stack[STACK] __attribute__((aligned(64)));
    uint64_t all = UINT64_MAX, before;
    (void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &before, SET_SIZE);
    int pid = clone_child(launch, stack + sizeof stack, ret_pidfd);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SET_SIZE);
    return pid;
}

/* Waits for the exec of a child that has memory of its own. */
static void read_report(struct coir__launch *launch, int fd)
{
    int message[2] = {0, 0};
    ssize_t n;
    do
        n = read(fd, message, sizeof message);
    while (n < 0 && errno == EINTR);
    launch->error = n == (ssize_t)sizeof message ? message[0] : 0;
    launch->step = message[1];
}

static int launch_reporting(struct coir__launch *launch, pid_t *ret_pid, int *ret_pidfd)
{
    int report[2] = {-1, -1};
    if (atomic_load(&sharing) != SHARED) {
        int r = coir__sys_pipe_that_waits(report);
        if (r < 0)
            return r;
    }
    launch->report = report[1];
    int pid = clone_quietly(launch, ret_pidfd);
    if (report[1] >= 0)
        coir__sys_close(report[1]);
    if (pid > 0) {
        atomic_store(&sharing, launch->ran ? SHARED : COPIED);
        if (!launch->ran)
            read_report(launch, report[0]);
    }
    if (report[0] >= 0)
        coir__sys_close(report[0]);
    *ret_pid = pid;
    return pid < 0 ? pid : 0;
}

int coir__launch(struct coir__launch *launch, pid_t *ret_pid, int *ret_pidfd)
{
    launch->ran = false;
    launch->error = 0;
    launch->step = COIR__LAUNCH_CLONE;
    *ret_pidfd = -1;
    int r = launch_reporting(launch, ret_pid, ret_pidfd);
    if (r < 0)
        return r;
    r = -launch->error;
    if (r == 0 && *ret_pidfd < 0) {
        *ret_pidfd = r = coir__sys_pidfd_open(*ret_pid);
        if (r == -ESRCH) /* it has ended, and nobody's children are kept: SIGCHLD is ignored */
            r = -ECHILD;
        if (r < 0)
            (void)kill(*ret_pid, SIGKILL);
    }
    if (r >= 0)
        return 0;
    coir__sys_reap_by_number(*ret_pid);
    if (*ret_pidfd >= 0)
        coir__sys_close(*ret_pidfd);
    return r;
}
