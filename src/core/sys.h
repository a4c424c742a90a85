/* sys.h: every system call that the library makes, behind one fault hook.
 *
 * Each wrapper returns what the kernel does, with failures as -errno. A test can install
 * coir__sys_fault to make the n-th call fail by an errno of its choice, or to shorten a transfer to
 * one byte; in production the hook is NULL and costs one predicted branch. Calls are added here
 * when a room needs them, and nowhere else; only those of io_uring, which need its library, those
 * of the file system, and those of processes and terminals are in io/uring/sys.h, io/files/sys.h
 * and io/process/sys.h.
 */
#ifndef COIR_CORE_SYS_H
#define COIR_CORE_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core/core.h"

/* The calls that can be made to fail: the name, whether a transfer can be cut short, and the errnos
 * that each may give (besides those that mean a bug of ours). No EAGAIN where epoll relies on it:
 * one that is not true is followed by no event. */
/* clang-format off */
#define COIR__SYS_CALLS(X)                                                                         \
    X(AFFINITY,     false, EINVAL)                                                                 \
    X(ACCEPT,       true,  EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO)           \
    X(BIND,         false, EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOMEM)                              \
    X(CHMOD,        false, EACCES, EPERM, EROFS)                                                   \
    X(CLONE,        false, EAGAIN, ENOMEM, EINVAL)                                                 \
    X(CONNECT,      false, EINTR, ECONNREFUSED, ENETUNREACH, ETIMEDOUT, EAGAIN)                    \
    X(COPY_RANGE,   true,  EINTR, EXDEV, EOPNOTSUPP, ENOSPC, EIO)                                  \
    X(EPOLL_CREATE, false, EMFILE, ENFILE, ENOMEM)                                                 \
    X(EPOLL_CTL,    false, ENOMEM, ENOSPC)                                                         \
    X(EPOLL_WAIT,   false, EINTR)                                                                  \
    X(EVENTFD,      false, EMFILE, ENFILE, ENOMEM)                                                 \
    X(FCNTL,        false, EBADF)                                                                  \
    X(FSYNC,        false, EINTR, EIO, ENOSPC)                                                     \
    X(GETDENTS,     false, ENOENT, EIO)                                                            \
    X(GETSOCKNAME,  false, ENOBUFS, ENOTCONN)                                                      \
    X(GETSOCKOPT,   false, ENOMEM)                                                                 \
    X(INOTIFY,      false, EMFILE, ENOSPC, ENOMEM)                                                 \
    X(IOCTL,        false, EINVAL)                                                                 \
    X(KILL,         false, EPERM)                                                                  \
    X(LINK,         false, EMLINK, ENOSPC, EIO)                                                    \
    X(LISTEN,       false, EADDRINUSE)                                                             \
    X(LSTAT,        false, ENOENT, EACCES)                                                         \
    X(MADVISE,      false, EINVAL, ENOMEM)                                                         \
    X(MKDIR,        false, EACCES, ENOSPC, EIO)                                                    \
    X(MMAP,         false, ENOMEM)                                                                 \
    X(MPROTECT,     false, ENOMEM)                                                                 \
    X(OPEN,         false, EINTR, EACCES, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC)                  \
    X(PIDFD_OPEN,   false, EMFILE, ENFILE, ENOMEM, ENOSYS)                                         \
    X(PIPE,         false, EMFILE, ENFILE, ENOMEM)                                                 \
    X(POLL,         false, EINTR, ENOMEM)                                                          \
    X(READ,         true,  EINTR, EIO)                                                             \
    X(READLINK,     false, ENOENT, EIO)                                                            \
    X(RECV,         true,  EINTR, ECONNRESET, ENOMEM, ETIMEDOUT)                                   \
    X(RECVMSG,      true,  EINTR, ECONNREFUSED, ENOMEM)                                            \
    X(RENAME,       false, EACCES, EXDEV, ENOSPC, EIO)                                             \
    X(RMDIR,        false, EBUSY, ENOTEMPTY, EIO)                                                  \
    X(SEND,         true,  EINTR, EPIPE, ECONNRESET, ENOBUFS, ENOMEM)                              \
    X(SENDFILE,     true,  EINTR, EINVAL, EPIPE, ECONNRESET, EIO)                                  \
    X(SENDMSG,      true,  EINTR, ECONNREFUSED, EINVAL, EMSGSIZE, ENOBUFS, ENOMEM, EPERM)          \
    X(SETSOCKOPT,   false, ENOMEM)                                                                 \
    X(SHUTDOWN,     false, ENOTCONN)                                                               \
    X(SIGACTION,    false, EINVAL)                                                                 \
    X(SOCKET,       false, EMFILE, ENFILE, ENOBUFS, ENOMEM)                                        \
    X(SOCKETPAIR,   false, EMFILE, ENFILE, ENOMEM)                                                 \
    X(SPLICE,       true,  EINTR, EINVAL, ECONNRESET, ENOMEM)                                      \
    X(STATX,        false, EACCES, ENOENT, ENOMEM)                                                 \
    X(SYMLINK,      false, ENOSPC, EIO)                                                            \
    X(TERMIOS,      false, EINTR, EIO)                                                             \
    X(THREAD,       false, EAGAIN)                                                                 \
    X(TRUNCATE,     false, EINTR, ENOSPC, EIO)                                                     \
    X(UNLINK,       false, ENOENT, EACCES)                                                         \
    X(URING_ENTER,  false, EINTR, EAGAIN, EBUSY, ENOMEM)                                           \
    X(URING_REGISTER, false, EINVAL, ENOMEM)                                                       \
    X(URING_SETUP,  false, EINVAL, ENOMEM, EMFILE, EPERM, ENOSYS)                                  \
    X(WRITE,        true,  EINTR, EPIPE, ENOSPC, EIO)
/* clang-format on */

enum coir__sys_call {
#define COIR__X(name, ...) COIR__SYS_##name,
    COIR__SYS_CALLS(COIR__X)
#undef COIR__X
        COIR__SYS_COUNT
};

/* Returns 0 to let the call go on (with *length shortened, where length is not NULL), or the -errno
 * that it fails with. */
extern int (*coir__sys_fault)(enum coir__sys_call call, size_t *length);

/* A test's pages, when it is not 0: larger ones than the kernel's, as other machines have. */
extern size_t coir__sys_pretended_page;
/* 0 until it was asked for. */
extern size_t coir__sys_known_page;

static inline size_t coir__sys_page(void)
{
    if (__builtin_expect(coir__sys_pretended_page != 0, 0))
        return coir__sys_pretended_page;
    size_t page = __atomic_load_n(&coir__sys_known_page, __ATOMIC_RELAXED);
    if (__builtin_expect(page != 0, 1))
        return page;
    page = (size_t)sysconf(_SC_PAGESIZE);
    __atomic_store_n(&coir__sys_known_page, page, __ATOMIC_RELAXED);
    return page;
}

#define COIR__SYS_FAULT(call, length)                                                              \
    do {                                                                                           \
        if (__builtin_expect(coir__sys_fault != NULL, 0)) {                                        \
            int coir__failed = coir__sys_fault((call), (length));                                  \
            if (coir__failed < 0)                                                                  \
                return coir__failed;                                                               \
        }                                                                                          \
    } while (0)

/* ---- sockets ---- */

static inline int coir__sys_socket(int domain, int type, int protocol)
{
    COIR__SYS_FAULT(COIR__SYS_SOCKET, NULL);
    int fd = socket(domain, type, protocol);
    return fd < 0 ? -errno : fd;
}

static inline int coir__sys_socketpair(int type, int ret_fds[2])
{
    COIR__SYS_FAULT(COIR__SYS_SOCKETPAIR, NULL);
    return socketpair(AF_UNIX, type, 0, ret_fds) < 0 ? -errno : 0;
}

static inline int coir__sys_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    COIR__SYS_FAULT(COIR__SYS_BIND, NULL);
    return bind(fd, address, length) < 0 ? -errno : 0;
}

static inline int coir__sys_listen(int fd, int backlog)
{
    COIR__SYS_FAULT(COIR__SYS_LISTEN, NULL);
    return listen(fd, backlog) < 0 ? -errno : 0;
}

static inline int coir__sys_accept(int fd, int flags)
{
    COIR__SYS_FAULT(COIR__SYS_ACCEPT, NULL);
    int accepted = accept4(fd, NULL, NULL, flags);
    return accepted < 0 ? -errno : accepted;
}

static inline int coir__sys_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    COIR__SYS_FAULT(COIR__SYS_CONNECT, NULL);
    return connect(fd, address, length) < 0 ? -errno : 0;
}

static inline int coir__sys_shutdown(int fd, int how)
{
    COIR__SYS_FAULT(COIR__SYS_SHUTDOWN, NULL);
    return shutdown(fd, how) < 0 ? -errno : 0;
}

static inline int coir__sys_setsockopt(int fd, int level, int name, const void *value,
                                       socklen_t length)
{
    COIR__SYS_FAULT(COIR__SYS_SETSOCKOPT, NULL);
    return setsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

static inline int coir__sys_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    COIR__SYS_FAULT(COIR__SYS_GETSOCKOPT, NULL);
    return getsockopt(fd, level, name, value, length) < 0 ? -errno : 0;
}

static inline int coir__sys_getsockname(int fd, bool peer, struct sockaddr *ret_address,
                                        socklen_t *length)
{
    COIR__SYS_FAULT(COIR__SYS_GETSOCKNAME, NULL);
    int r = peer ? getpeername(fd, ret_address, length) : getsockname(fd, ret_address, length);
    return r < 0 ? -errno : 0;
}

static inline long coir__sys_recv(int fd, void *data, size_t length, int flags)
{
    COIR__SYS_FAULT(COIR__SYS_RECV, &length);
    ssize_t n = recv(fd, data, length, flags);
    return n < 0 ? -errno : n;
}

static inline long coir__sys_send(int fd, const void *data, size_t length, int flags)
{
    COIR__SYS_FAULT(COIR__SYS_SEND, &length);
    ssize_t n = send(fd, data, length, flags);
    return n < 0 ? -errno : n;
}

/* Shortened, only the first vector is sent, or its first byte. */
static inline long coir__sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (__builtin_expect(coir__sys_fault != NULL, 0))
        return coir__sys_send(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len, flags);
    ssize_t n = sendmsg(fd, message, flags);
    return n < 0 ? -errno : n;
}

/* Messages, with what belongs to them. Returns how many went, at least one. Shortened, only the
 * first one does. */
static inline long coir__sys_receive_messages(int fd, struct mmsghdr *messages, size_t count,
                                              int flags)
{
    COIR__SYS_FAULT(COIR__SYS_RECVMSG, &count);
    if (count > 1) {
        int n = recvmmsg(fd, messages, (unsigned)count, flags, NULL);
        return n < 0 ? -errno : n;
    }
    struct msghdr *header = &messages->msg_hdr;
    ssize_t length;
    if (header->msg_iovlen == 1 && header->msg_controllen == 0 && (flags & MSG_TRUNC)) {
        /* A datagram without more: cheaper, and its length says whether it was cut. */
        length = recvfrom(fd, header->msg_iov->iov_base, header->msg_iov->iov_len, flags,
                          header->msg_name, &header->msg_namelen);
        header->msg_flags = length > (ssize_t)header->msg_iov->iov_len ? MSG_TRUNC : 0;
    } else {
        length = recvmsg(fd, header, flags);
    }
    messages->msg_len = length > 0 ? (unsigned)length : 0;
    return length < 0 ? -errno : 1;
}

static inline long coir__sys_send_messages(int fd, struct mmsghdr *messages, size_t count,
                                           int flags)
{
    COIR__SYS_FAULT(COIR__SYS_SENDMSG, &count);
    if (count > 1) {
        int n = sendmmsg(fd, messages, (unsigned)count, flags);
        return n < 0 ? -errno : n;
    }
    const struct msghdr *header = &messages->msg_hdr;
    ssize_t length = header->msg_iovlen == 1 && header->msg_controllen == 0
                         ? sendto(fd, header->msg_iov->iov_base, header->msg_iov->iov_len, flags,
                                  header->msg_name, header->msg_namelen)
                         : sendmsg(fd, header, flags);
    messages->msg_len = length > 0 ? (unsigned)length : 0;
    return length < 0 ? -errno : 1;
}

/* ---- other descriptors ---- */

static inline long coir__sys_read(int fd, void *data, size_t length)
{
    COIR__SYS_FAULT(COIR__SYS_READ, &length);
    ssize_t n = read(fd, data, length);
    return n < 0 ? -errno : n;
}

/* Shortened, only the first vector is written, or its first byte. */
static inline long coir__sys_writev(int fd, const struct iovec *vectors, int count)
{
    size_t length = vectors[0].iov_len;
    COIR__SYS_FAULT(COIR__SYS_WRITE, &length);
    ssize_t n = length < vectors[0].iov_len ? write(fd, vectors[0].iov_base, length)
                                            : writev(fd, vectors, count);
    return n < 0 ? -errno : n;
}

static inline int coir__sys_pipe(int ret_fds[2])
{
    COIR__SYS_FAULT(COIR__SYS_PIPE, NULL);
    return pipe2(ret_fds, O_NONBLOCK | O_CLOEXEC) < 0 ? -errno : 0;
}

/* Moves bytes from or to a pipe, without waiting. */
static inline long coir__sys_splice(int from, int to, size_t length)
{
    COIR__SYS_FAULT(COIR__SYS_SPLICE, &length);
    ssize_t n = splice(from, NULL, to, NULL, length, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return n < 0 ? -errno : n;
}

/* A duplicate for ourselves alone. */
static inline int coir__sys_duplicate(int fd)
{
    COIR__SYS_FAULT(COIR__SYS_FCNTL, NULL);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy < 0 ? -errno : copy;
}

/* Sets flags of the open file description and close-on-exec. */
static inline int coir__sys_set_nonblocking(int fd)
{
    COIR__SYS_FAULT(COIR__SYS_FCNTL, NULL);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static inline int coir__sys_unread(int fd)
{
    COIR__SYS_FAULT(COIR__SYS_IOCTL, NULL);
    int count;
    return ioctl(fd, FIONREAD, &count) < 0 ? -errno : count;
}

/* Whether fd is ready, without waiting: the events, or 0. */
static inline int coir__sys_poll(int fd, short events)
{
    COIR__SYS_FAULT(COIR__SYS_POLL, NULL);
    struct pollfd one = {.fd = fd, .events = events};
    return poll(&one, 1, 0) < 0 ? -errno : one.revents;
}

/* Never fails in a way that one could act on: the number is gone whatever it returns. */
static inline void coir__sys_close(int fd)
{
    (void)close(fd);
}

/* ---- epoll ---- */

static inline int coir__sys_epoll_create(void)
{
    COIR__SYS_FAULT(COIR__SYS_EPOLL_CREATE, NULL);
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static inline int coir__sys_eventfd(void)
{
    COIR__SYS_FAULT(COIR__SYS_EVENTFD, NULL);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

static inline int coir__sys_epoll_ctl(int epfd, int operation, int fd, struct epoll_event *event)
{
    COIR__SYS_FAULT(COIR__SYS_EPOLL_CTL, NULL);
    return epoll_ctl(epfd, operation, fd, event) < 0 ? -errno : 0;
}

/* Needs nothing that could be missing, so it is never made to fail. */
static inline void coir__sys_epoll_forget(int epfd, int fd)
{
    (void)epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
}

/* Waits up to timeout nanoseconds (COIR_FOREVER: without end). *coarse remembers that this kernel
 * only knows milliseconds; then the time is rounded up, so that a timer is never early. */
static inline int coir__sys_epoll_wait(int epfd, struct epoll_event *events, int count,
                                       coir_time timeout, bool *coarse)
{
    COIR__SYS_FAULT(COIR__SYS_EPOLL_WAIT, NULL);
    int n;
    if (timeout <= 0) {
        n = epoll_wait(epfd, events, count, 0);
        return n < 0 ? -errno : n;
    }
#ifdef SYS_epoll_pwait2
    if (!*coarse) {
        struct timespec time = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
        n = (int)syscall(SYS_epoll_pwait2, epfd, events, count,
                         timeout == COIR_FOREVER ? NULL : &time, NULL, 0);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n < 0 ? -errno : n;
        *coarse = true;
    }
#endif
    coir_time ms = timeout / 1000000 + (timeout % 1000000 != 0);
    n = epoll_wait(epfd, events, count,
                   timeout == COIR_FOREVER ? -1 : (int)(ms < INT_MAX ? ms : INT_MAX));
    return n < 0 ? -errno : n;
}

/* Sleeps up to timeout nanoseconds until fd is readable, and empties it: the wake-up of a loop that
 * has no kernel to ask. */
static inline void coir__sys_wait_eventfd(int fd, coir_time timeout)
{
    struct timespec time = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
    struct pollfd one = {.fd = fd, .events = POLLIN};
    uint64_t count;
    if (ppoll(&one, 1, timeout == COIR_FOREVER ? NULL : &time, NULL) > 0)
        (void)!read(fd, &count, sizeof count);
}

/* Async-signal-safe. It can only fail when the counter is full, and then the event is there. */
static inline void coir__sys_wake_eventfd(int fd)
{
    int saved = errno;
    uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

/* ---- files and signals ---- */

static inline int coir__sys_lstat(const char *path, struct stat *ret_stat)
{
    COIR__SYS_FAULT(COIR__SYS_LSTAT, NULL);
    return lstat(path, ret_stat) < 0 ? -errno : 0;
}

static inline int coir__sys_chmod(const char *path, unsigned mode)
{
    COIR__SYS_FAULT(COIR__SYS_CHMOD, NULL);
    return chmod(path, mode) < 0 ? -errno : 0;
}

static inline int coir__sys_unlink(const char *path)
{
    COIR__SYS_FAULT(COIR__SYS_UNLINK, NULL);
    return unlink(path) < 0 ? -errno : 0;
}

static inline int coir__sys_sigaction(int number, const struct sigaction *action,
                                      struct sigaction *ret_old)
{
    COIR__SYS_FAULT(COIR__SYS_SIGACTION, NULL);
    return sigaction(number, action, ret_old) < 0 ? -errno : 0;
}

/* ---- threads ---- */

/* Starts a thread that takes no signals but those of its own faults. */
static inline int coir__sys_thread(pthread_t *ret_thread, void *(*fn)(void *arg), void *arg)
{
    COIR__SYS_FAULT(COIR__SYS_THREAD, NULL);
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int error = pthread_create(ret_thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

/* The processors that the calling thread may run on; and the same set. */
static inline int coir__sys_affinity(cpu_set_t *ret_set)
{
    COIR__SYS_FAULT(COIR__SYS_AFFINITY, NULL);
    return -pthread_getaffinity_np(pthread_self(), sizeof *ret_set, ret_set);
}

static inline int coir__sys_set_affinity(const cpu_set_t *set)
{
    COIR__SYS_FAULT(COIR__SYS_AFFINITY, NULL);
    return -pthread_setaffinity_np(pthread_self(), sizeof *set, set);
}

static inline pid_t coir__sys_thread_id(void)
{
    return (pid_t)syscall(SYS_gettid);
}

/* Whether another thread of this process runs, would run if there were a processor for it, or waits
 * for a disk, as far as can be told. */
bool coir__sys_others_work(void);

/* Signals a thread of this process, with a pointer, as sigqueue(3) does a process. */
static inline void coir__sys_signal_thread(pid_t id, int number, void *value)
{
    siginfo_t info = {.si_signo = number, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = value;
    (void)syscall(SYS_rt_tgsigqueueinfo, info.si_pid, id, number, &info);
}

/* Sleeps while *word is value, until it is woken or up to timeout nanoseconds. Returns 0 or
 * -ETIMEDOUT; the word has to be looked at again in any case. */
static inline int coir__sys_futex_wait(atomic_uint *word, unsigned value, coir_time timeout)
{
    struct timespec time = {.tv_sec = timeout / 1000000000, .tv_nsec = timeout % 1000000000};
    long r = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                     timeout == COIR_FOREVER ? NULL : &time, NULL, 0);
    return r < 0 && errno == ETIMEDOUT ? -ETIMEDOUT : 0;
}

/* Wakes who sleeps on word, which may be gone already: then nobody does, or wakes for nothing. */
static inline void coir__sys_futex_wake(atomic_uint *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- memory ---- */

static inline void *coir__sys_mmap(size_t length, int protection, int flags)
{
    if (__builtin_expect(coir__sys_fault != NULL, 0) && coir__sys_fault(COIR__SYS_MMAP, NULL) < 0)
        return NULL;
    void *memory = mmap(NULL, length, protection, flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static inline int coir__sys_mprotect(void *memory, size_t length, int protection)
{
    COIR__SYS_FAULT(COIR__SYS_MPROTECT, NULL);
    return mprotect(memory, length, protection) < 0 ? -errno : 0;
}

static inline int coir__sys_madvise(void *memory, size_t length, int advice)
{
    COIR__SYS_FAULT(COIR__SYS_MADVISE, NULL);
    return madvise(memory, length, advice) < 0 ? -errno : 0;
}

#endif
