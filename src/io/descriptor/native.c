/* native.c: calls on descriptors of the library that the backends with a kernel below share:
 * making them, attempts that do not wait, naming, options, paths.
 *
 * Nothing is owned here. An attempt never gives EINTR, and none raises SIGPIPE. Called by the
 * epoll and uring backends, and as part of their tables by streams and sockets.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include <coir/socket.h>

#include "io/descriptor/native.h"

/* So that those of the public header can be handed to the kernel. */
_Static_assert(sizeof(struct mmsghdr) == sizeof(coir_message), "not the kernel's layout");
_Static_assert(offsetof(struct mmsghdr, msg_len) == offsetof(coir_message, length),
               "not the kernel's layout");

/* ---- making ---- */

static uint32_t kind_of(int domain, int type)
{
    bool stream = type == SOCK_STREAM;
    bool tcp = (domain == AF_INET || domain == AF_INET6) && stream;
    return COIR__NATIVE_SOCKET | (tcp ? COIR__NATIVE_TCP : 0) | (stream ? COIR__NATIVE_STREAM : 0);
}

static int look(int fd, uint32_t *ret_kind)
{
    int domain = 0, type = 0;
    socklen_t length = sizeof domain;
    *ret_kind = 0;
    int r = coir__sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
    if (r == -ENOTSOCK)
        return 0;
    if (r == 0)
        r = coir__sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    if (r == 0)
        *ret_kind = kind_of(domain, type);
    return r;
}

int coir__native_socket(struct coir_loop *loop, int domain, int type, struct coir__file **ret_file)
{
    struct coir__file *file = loop->backend->file_make(loop);
    if (file == NULL)
        return -ENOMEM;
    int fd = coir__sys_socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        coir__free_own(file);
        return fd;
    }
    loop->backend->file_begin(file, fd, kind_of(domain, type));
    *ret_file = file;
    return 0;
}

int coir__native_adopt(struct coir_loop *loop, int fd, struct coir__file **ret_file)
{
    uint32_t kind;
    int r = look(fd, &kind);
    if (r < 0)
        return r;
    struct coir__file *file = loop->backend->file_make(loop);
    if (file == NULL)
        return -ENOMEM;
    r = coir__sys_set_nonblocking(fd);
    if (r < 0) {
        coir__free_own(file);
        return r;
    }
    loop->backend->file_begin(file, fd, kind);
    *ret_file = file;
    return 0;
}

int coir__native_pair(struct coir_loop *loop, int type, struct coir__file *ret_files[2])
{
    const struct coir__backend *backend = loop->backend;
    struct coir__file *files[2] = {backend->file_make(loop), backend->file_make(loop)};
    int fds[2];
    int r = files[0] == NULL || files[1] == NULL
                ? -ENOMEM
                : coir__sys_socketpair(type | SOCK_NONBLOCK | SOCK_CLOEXEC, fds);
    for (int i = 0; i < 2; i++) {
        if (r < 0) {
            coir__free_own(files[i]);
            continue;
        }
        backend->file_begin(files[i], fds[i], kind_of(AF_UNIX, type));
        ret_files[i] = files[i];
    }
    return r;
}

/* ---- attempts ---- */

long coir__native_read(int fd, uint32_t kind, const struct coir__op *op)
{
    long n;
    do {
        n = kind & COIR__NATIVE_SOCKET ? coir__sys_recv(fd, op->data, op->length, 0)
                                       : coir__sys_read(fd, op->data, op->length);
    } while (coir__unlikely(n == -EINTR));
    return n;
}

/* Around a call that may raise SIGPIPE: the signal is held off, and taken back. */
static void hold_sigpipe(sigset_t *ret_old)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, ret_old);
}

static void let_sigpipe(const sigset_t *old, long result)
{
    if (result == -EPIPE && !sigismember(old, SIGPIPE)) {
        sigset_t pipe;
        struct timespec now = {0, 0};
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, old, NULL);
}

static long write_quietly(int fd, const struct iovec *vectors, int count)
{
    sigset_t old;
    hold_sigpipe(&old);
    long n = coir__sys_writev(fd, vectors, count);
    let_sigpipe(&old, n);
    return n;
}

static long write_once(int fd, uint32_t kind, const struct coir__op *op)
{
    if (!(kind & COIR__NATIVE_SOCKET))
        return write_quietly(fd, op->vectors, op->count);
    if (op->count == 1)
        return coir__sys_send(fd, op->vectors->iov_base, op->vectors->iov_len, MSG_NOSIGNAL);
    struct msghdr message = {.msg_iov = (struct iovec *)op->vectors,
                             .msg_iovlen = (size_t)op->count};
    return coir__sys_sendmsg(fd, &message, MSG_NOSIGNAL);
}

long coir__native_write(int fd, uint32_t kind, const struct coir__op *op)
{
    long n;
    do
        n = write_once(fd, kind, op);
    while (coir__unlikely(n == -EINTR));
    return n;
}

long coir__native_splice_in(int fd, int pipe, size_t length)
{
    long n;
    do
        n = coir__sys_splice(fd, pipe, length);
    while (coir__unlikely(n == -EINTR));
    return n;
}

long coir__native_splice_out(int pipe, int fd, size_t length)
{
    sigset_t old;
    hold_sigpipe(&old);
    long n = coir__native_splice_in(pipe, fd, length);
    let_sigpipe(&old, n);
    return n;
}

static struct mmsghdr *messages_of(const struct coir__op *op)
{
    return (struct mmsghdr *)(void *)op->messages;
}

long coir__native_receive(int fd, const struct coir__op *op)
{
    long n;
    do
        n = coir__sys_receive_messages(fd, messages_of(op), op->message_count,
                                       op->flags | MSG_CMSG_CLOEXEC);
    while (coir__unlikely(n == -EINTR));
    return n;
}

long coir__native_send(int fd, const struct coir__op *op)
{
    long n;
    do
        n = coir__sys_send_messages(fd, messages_of(op), op->message_count, MSG_NOSIGNAL);
    while (coir__unlikely(n == -EINTR));
    return n;
}

int coir__native_accept(int fd)
{
    int accepted;
    do
        accepted = coir__sys_accept(fd, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (accepted == -EINTR);
    return accepted;
}

int coir__native_connect(int fd, const struct coir__op *op)
{
    bool interrupted = false;
    int r;
    while ((r = coir__sys_connect(fd, op->address, op->address_length)) == -EINTR)
        interrupted = true; /* it goes on in the background: asking again tells how far it is */
    if (r == -EISCONN && interrupted)
        return 0;
    return r == -EALREADY ? -EINPROGRESS : r;
}

int coir__native_connected(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    int r = coir__sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return r < 0 ? r : -error;
}

void coir__native_close(int fd, uint32_t kind, bool abrupt)
{
    if (abrupt && (kind & COIR__NATIVE_SOCKET)) {
        struct linger none = {.l_onoff = 1, .l_linger = 0};
        (void)coir__sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    coir__sys_close(fd);
}

/* ---- naming and options ---- */

/* Remembers which entry of the file system the socket made, so that it can be removed later and no
 * other one that has taken its place. */
static void remember_path(struct coir__file *file, const struct sockaddr *address, socklen_t length)
{
    const struct sockaddr_un *local = (const struct sockaddr_un *)address;
    char path[sizeof local->sun_path + 1];
    size_t size = length - offsetof(struct sockaddr_un, sun_path);
    if (length <= offsetof(struct sockaddr_un, sun_path) || local->sun_path[0] == '\0')
        return;
    memcpy(path, local->sun_path, size);
    path[size] = '\0';
    struct stat status;
    if (coir__sys_lstat(path, &status) == 0) {
        file->device = status.st_dev;
        file->inode = status.st_ino;
    }
}

int coir__native_bind(struct coir_loop *loop, struct coir__file *file,
                      const struct sockaddr *address, socklen_t length)
{
    (void)loop;
    int r = coir__sys_bind(file->fd, address, length);
    if (r == 0 && address->sa_family == AF_UNIX)
        remember_path(file, address, length);
    return r;
}

int coir__native_listen(struct coir_loop *loop, struct coir__file *file, int backlog)
{
    (void)loop;
    return coir__sys_listen(file->fd, backlog);
}

int coir__native_shutdown(struct coir_loop *loop, struct coir__file *file, int how)
{
    (void)loop;
    return coir__sys_shutdown(file->fd, how);
}

int coir__native_option(struct coir_loop *loop, struct coir__file *file, int level, int name,
                        const void *value, socklen_t length)
{
    (void)loop;
    return coir__sys_setsockopt(file->fd, level, name, value, length);
}

int coir__native_name(struct coir_loop *loop, struct coir__file *file, bool peer,
                      struct sockaddr *ret_address, socklen_t *length)
{
    (void)loop;
    return coir__sys_getsockname(file->fd, peer, ret_address, length);
}

int coir__native_unread(struct coir_loop *loop, struct coir__file *file)
{
    (void)loop;
    return coir__sys_unread(file->fd);
}

/* ---- paths ---- */

int coir__native_path_mode(struct coir_loop *loop, const char *path, unsigned mode)
{
    (void)loop;
    return coir__sys_chmod(path, mode);
}

int coir__native_path_remove(struct coir_loop *loop, const char *path, struct coir__file *file)
{
    (void)loop;
    struct stat status;
    int r = coir__sys_lstat(path, &status);
    if (r < 0)
        return r;
    if (!S_ISSOCK(status.st_mode))
        return -ENOTSOCK;
    if (file != NULL && (status.st_dev != file->device || status.st_ino != file->inode))
        return -ENOENT;
    return coir__sys_unlink(path);
}
