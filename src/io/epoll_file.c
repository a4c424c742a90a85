/* epoll_file.c: descriptors of the library under epoll: making, naming, closing.
 *
 * Owns the records behind coir__file (memory of the loop's own) and the count of descriptors.
 * Closing takes a file out of epoll before its number is given back, since a duplicate (made by a
 * fork) would keep the registration alive; the record itself outlives the batch of events that may
 * still point to it. Called through the backend's table, and by epoll.c for accepted connections.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "io/epoll.h"

struct coir__epoll_file *coir__epoll_file_new(struct coir_loop *loop)
{
    struct coir__epoll_file *record = coir__alloc_own(sizeof *record);
    if (record == NULL)
        return NULL;
    *record = (struct coir__epoll_file){.file.loop = loop};
    record->file.read.file = record->file.write.file = &record->file;
    return record;
}

struct coir__file *coir__epoll_file_open(struct coir__epoll_file *record, int fd, uint32_t flags)
{
    struct coir_loop *loop = record->file.loop;
    record->file.fd = fd;
    record->file.generation = ++coir__epoll_of(loop)->generation;
    record->flags = flags | COIR__EPOLL_READABLE | COIR__EPOLL_WRITABLE;
    loop->descriptors++;
    return &record->file;
}

void coir__epoll_file_free(struct coir__epoll_file *file)
{
    coir__free_own(file);
}

static uint32_t kind_of(int domain, int type)
{
    bool tcp = (domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM;
    return COIR__EPOLL_SOCKET | (tcp ? COIR__EPOLL_DRAINS : 0);
}

int coir__epoll_socket(struct coir_loop *loop, int domain, int type, struct coir__file **ret_file)
{
    struct coir__epoll_file *record = coir__epoll_file_new(loop);
    if (record == NULL)
        return -ENOMEM;
    int fd = coir__sys_socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        coir__epoll_file_free(record);
        return fd;
    }
    *ret_file = coir__epoll_file_open(record, fd, kind_of(domain, type));
    return 0;
}

/* What fd is. Returns 0 and flags. */
static int look_at(int fd, uint32_t *ret_kind)
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

int coir__epoll_adopt(struct coir_loop *loop, int fd, struct coir__file **ret_file)
{
    uint32_t kind;
    int r = look_at(fd, &kind);
    if (r < 0)
        return r;
    struct coir__epoll_file *record = coir__epoll_file_new(loop);
    if (record == NULL)
        return -ENOMEM;
    r = coir__sys_set_nonblocking(fd);
    if (r < 0) {
        coir__epoll_file_free(record);
        return r;
    }
    *ret_file = coir__epoll_file_open(record, fd, kind);
    return 0;
}

/* Remembers which entry of the file system the socket made, so that it can be removed later and no
 * other one that has taken its place. */
static void remember_path(struct coir__epoll_file *file, const struct sockaddr *address,
                          socklen_t length)
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

int coir__epoll_bind(struct coir_loop *loop, struct coir__file *file,
                     const struct sockaddr *address, socklen_t length)
{
    (void)loop;
    int r = coir__sys_bind(file->fd, address, length);
    if (r == 0 && address->sa_family == AF_UNIX)
        remember_path(coir__epoll_file_of(file), address, length);
    return r;
}

int coir__epoll_listen(struct coir_loop *loop, struct coir__file *file, int backlog)
{
    (void)loop;
    return coir__sys_listen(file->fd, backlog);
}

int coir__epoll_shutdown(struct coir_loop *loop, struct coir__file *file, int how)
{
    (void)loop;
    return coir__sys_shutdown(file->fd, how);
}

int coir__epoll_option(struct coir_loop *loop, struct coir__file *file, int level, int name,
                       const void *value, socklen_t length)
{
    (void)loop;
    return coir__sys_setsockopt(file->fd, level, name, value, length);
}

int coir__epoll_name(struct coir_loop *loop, struct coir__file *file, bool peer,
                     struct sockaddr *ret_address, socklen_t *length)
{
    (void)loop;
    return coir__sys_getsockname(file->fd, peer, ret_address, length);
}

int coir__epoll_unread(struct coir_loop *loop, struct coir__file *file)
{
    (void)loop;
    return coir__sys_unread(file->fd);
}

void coir__epoll_close(struct coir_loop *loop, struct coir__file *file, bool abrupt)
{
    struct coir__epoll *epoll = coir__epoll_of(loop);
    struct coir__epoll_file *record = coir__epoll_file_of(file);
    assert(!file->read.active && !file->write.active);
    if (record->flags & COIR__EPOLL_REGISTERED)
        coir__sys_epoll_forget(epoll->epfd, file->fd);
    if (abrupt && (record->flags & COIR__EPOLL_SOCKET)) {
        struct linger none = {.l_onoff = 1, .l_linger = 0};
        (void)coir__sys_setsockopt(file->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    coir__sys_close(file->fd);
    loop->descriptors--;
    record->flags |= COIR__EPOLL_DEAD;
    if (epoll->next < epoll->count) {
        record->next_dead = epoll->dead;
        epoll->dead = record;
    } else {
        coir__epoll_file_free(record);
    }
}

int coir__epoll_path_mode(struct coir_loop *loop, const char *path, unsigned mode)
{
    (void)loop;
    return coir__sys_chmod(path, mode);
}

int coir__epoll_path_remove(struct coir_loop *loop, const char *path, struct coir__file *file)
{
    (void)loop;
    struct stat status;
    int r = coir__sys_lstat(path, &status);
    if (r < 0)
        return r;
    if (!S_ISSOCK(status.st_mode))
        return -ENOTSOCK;
    if (file != NULL) {
        struct coir__epoll_file *record = coir__epoll_file_of(file);
        if (status.st_dev != record->device || status.st_ino != record->inode)
            return -ENOENT;
    }
    return coir__sys_unlink(path);
}
