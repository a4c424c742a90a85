/* file.c: descriptors of the library under epoll: making and closing.
 *
 * Owns the records behind coir__file (memory of the loop's own) and the count of descriptors.
 * Closing takes a file out of epoll before its number is given back, since a duplicate (made by a
 * fork) would keep the registration alive; the record itself outlives the batch of events that may
 * still point to it. Called through the backend's table, and by epoll.c for accepted connections.
 */
#include "io/epoll/epoll.h"

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
    *ret_file = coir__epoll_file_open(record, fd, coir__native_kind(domain, type));
    return 0;
}

int coir__epoll_adopt(struct coir_loop *loop, int fd, struct coir__file **ret_file)
{
    uint32_t kind;
    int r = coir__native_look(fd, &kind);
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

int coir__epoll_pair(struct coir_loop *loop, int type, struct coir__file *ret_files[2])
{
    struct coir__epoll_file *records[2] = {coir__epoll_file_new(loop), coir__epoll_file_new(loop)};
    int fds[2];
    int r = records[0] == NULL || records[1] == NULL
                ? -ENOMEM
                : coir__sys_socketpair(type | SOCK_NONBLOCK | SOCK_CLOEXEC, fds);
    for (int i = 0; i < 2; i++) {
        if (r < 0)
            coir__free_own(records[i]);
        else
            ret_files[i] =
                coir__epoll_file_open(records[i], fds[i], coir__native_kind(AF_UNIX, type));
    }
    return r;
}

void coir__epoll_close(struct coir_loop *loop, struct coir__file *file, bool abrupt)
{
    struct coir__epoll *epoll = coir__epoll_of(loop);
    struct coir__epoll_file *record = coir__epoll_file_of(file);
    assert(!file->read.active && !file->write.active);
    if (record->flags & COIR__EPOLL_REGISTERED)
        coir__sys_epoll_forget(epoll->epfd, file->fd);
    coir__native_close(file->fd, record->flags, abrupt);
    loop->descriptors--;
    record->flags |= COIR__EPOLL_DEAD;
    if (epoll->next < epoll->count) {
        record->file.user = epoll->dead;
        epoll->dead = record;
    } else {
        coir__epoll_file_free(record);
    }
}
