/* sys.h: the system calls on processes and terminals, behind the fault hook of core/sys.h.
 * Internal to io.
 *
 * Waiting for a process never waits here: its descriptor says when it has ended. What only a
 * cleanup needs, and could do nothing about when it failed, is never made to fail.
 */
#ifndef COIR_IO_PROCESS_SYS_H
#define COIR_IO_PROCESS_SYS_H

#include <sched.h>
#include <sys/wait.h>
#include <termios.h>

#include "core/sys.h"

#define COIR__P_PIDFD ((idtype_t)3) /* older headers lack it */
#define COIR__CLONE_PIDFD 0x1000    /* the same */

/* TSan has a clone of its own, which takes a child that shares memory for a fork. The C library's
 * has a second name. */
#if defined(__SANITIZE_THREAD__)
#define COIR__UNSEEN_CLONE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COIR__UNSEEN_CLONE 1
#endif
#endif
#ifdef COIR__UNSEEN_CLONE
int coir__unseen_clone(int (*fn)(void *), void *stack, int flags, void *arg,
                       ...) __asm__("__clone");
#else
#define coir__unseen_clone clone
#endif

/* Runs fn(arg) in a new process that shares the caller's memory, which stands still until the
 * process has called exec or ended. stack is the end of at least a few KiB. */
static inline int coir__sys_clone(int (*fn)(void *arg), void *stack, int flags, void *arg,
                                  int *ret_pidfd)
{
    COIR__SYS_FAULT(COIR__SYS_CLONE, NULL);
    int pid = coir__unseen_clone(fn, stack, flags, arg, ret_pidfd, NULL, NULL);
    return pid < 0 ? -errno : pid;
}

static inline int coir__sys_pidfd_open(pid_t pid)
{
    COIR__SYS_FAULT(COIR__SYS_PIDFD_OPEN, NULL);
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

/* Signals a process that was not reaped yet, never another one that has got its number. Where the
 * call is not known (valgrind, some sandboxes) the number has to do. */
static inline int coir__sys_signal_one(int pidfd, pid_t pid, int number)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0) == 0)
        return 0;
    return errno != ENOSYS ? -errno : kill(pid, number) < 0 ? -errno : 0;
}

static inline int coir__sys_pidfd_signal(int pidfd, pid_t pid, int number)
{
    COIR__SYS_FAULT(COIR__SYS_KILL, NULL);
    return coir__sys_signal_one(pidfd, pid, number);
}

/* To end what is left of a group whose leader was not reaped yet, so the number is its own. */
static inline int coir__sys_end_group(pid_t leader, int number)
{
    return kill(-leader, number) < 0 ? -errno : 0;
}

/* To end a process that was not reaped yet, and the group that it led at first. It may have gone
 * to another one. */
static inline int coir__sys_end(int pidfd, pid_t pid, bool leads, int number)
{
    int r = leads ? coir__sys_end_group(pid, number) : -ESRCH;
    if (r == 0 && number != SIGKILL && getpgid(pid) == pid)
        return 0;
    return coir__sys_signal_one(pidfd, pid, number);
}

/* Takes the status of a process that has ended: 1; 0 while it runs. One that is kept is not reaped:
 * its number stays its own. */
static inline int coir__sys_reap(int pidfd, bool keep, siginfo_t *ret_info)
{
    *ret_info = (siginfo_t){0};
    int how = WEXITED | WNOHANG | (keep ? WNOWAIT : 0);
    if (waitid(COIR__P_PIDFD, (id_t)pidfd, ret_info, how) < 0)
        return -errno;
    return ret_info->si_pid != 0;
}

/* Waits for a process that ends at once, or has. */
static inline void coir__sys_reap_by_number(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

/* As ppoll(2), up to timeout nanoseconds. */
static inline int coir__sys_poll_all(struct pollfd *polled, size_t count, coir_time timeout)
{
    struct timespec time = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
    int n = ppoll(polled, count, timeout == COIR_FOREVER ? NULL : &time, NULL);
    return n < 0 ? -errno : n;
}

/* A pipe whose ends wait, as other programs expect it. */
static inline int coir__sys_pipe_that_waits(int ret_fds[2])
{
    COIR__SYS_FAULT(COIR__SYS_PIPE, NULL);
    return pipe2(ret_fds, O_CLOEXEC) < 0 ? -errno : 0;
}

static inline int coir__sys_open_device(const char *path, int flags)
{
    COIR__SYS_FAULT(COIR__SYS_OPEN, NULL);
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
    return fd < 0 ? -errno : fd;
}

/* ---- terminals ---- */

static inline int coir__sys_get_mode(int fd, struct termios *ret_mode)
{
    COIR__SYS_FAULT(COIR__SYS_TERMIOS, NULL);
    return tcgetattr(fd, ret_mode) < 0 ? -errno : 0;
}

static inline int coir__sys_set_mode(int fd, const struct termios *mode)
{
    COIR__SYS_FAULT(COIR__SYS_TERMIOS, NULL);
    return tcsetattr(fd, TCSANOW, mode) < 0 ? -errno : 0;
}

/* Async-signal-safe. Restoring is never made to fail: nobody would be told. */
static inline void coir__sys_restore_mode(int fd, const struct termios *mode)
{
    while (tcsetattr(fd, TCSANOW, mode) < 0 && errno == EINTR)
        ;
}

/* Whether fd is the side of a pseudo-terminal that its program does not see. */
static inline bool coir__sys_is_master(int fd)
{
    unsigned number;
    return ioctl(fd, TIOCGPTN, &number) == 0;
}

static inline int coir__sys_get_flags(int fd)
{
    COIR__SYS_FAULT(COIR__SYS_FCNTL, NULL);
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : flags;
}

static inline int coir__sys_window(int fd, struct winsize *ret_size)
{
    COIR__SYS_FAULT(COIR__SYS_IOCTL, NULL);
    return ioctl(fd, TIOCGWINSZ, ret_size) < 0 ? -errno : 0;
}

#endif
