/* file.c: descriptors of the library under io_uring: making and closing.
 *
 * Owns the records behind coir__file and the count of descriptors. A descriptor is closed when
 * nothing of it is under way, so the kernel holds no reference and closing has its effect at once.
 * Called through the backend's table, and by op.c for accepted connections.
 */
#include "io/uring/uring.h"

struct coir__uring_file *coir__uring_file_new(struct coir_loop *loop)
{
    struct coir__uring_file *record = coir__alloc_own(sizeof *record);
    if (record == NULL)
        return NULL;
    *record = (struct coir__uring_file){.file.loop = loop, .patience = coir__uring_patience};
    record->file.read.file = record->file.write.file = &record->file;
    return record;
}

struct coir__file *coir__uring_file_open(struct coir__uring_file *record, int fd, uint32_t kind)
{
    struct coir_loop *loop = record->file.loop;
    record->file.fd = fd;
    record->file.generation = ++coir__uring_of(loop)->generation;
    record->flags = kind;
    loop->descriptors++;
    return &record->file;
}

int coir__uring_socket(struct coir_loop *loop, int domain, int type, struct coir__file **ret_file)
{
    struct coir__uring_file *record = coir__uring_file_new(loop);
    if (record == NULL)
        return -ENOMEM;
    int fd = coir__sys_socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        coir__free_own(record);
        return fd;
    }
    *ret_file = coir__uring_file_open(record, fd, coir__native_kind(domain, type));
    return 0;
}

int coir__uring_adopt(struct coir_loop *loop, int fd, struct coir__file **ret_file)
{
    uint32_t kind;
    int r = coir__native_look(fd, &kind);
    if (r < 0)
        return r;
    struct coir__uring_file *record = coir__uring_file_new(loop);
    if (record == NULL)
        return -ENOMEM;
    r = coir__sys_set_nonblocking(fd);
    if (r < 0) {
        coir__free_own(record);
        return r;
    }
    if (!(kind & COIR__NATIVE_SOCKET)) /* writing to a pipe by the ring would raise SIGPIPE */
        kind |= COIR__URING_DIRECT;
    *ret_file = coir__uring_file_open(record, fd, kind);
    return 0;
}

int coir__uring_pair(struct coir_loop *loop, int type, struct coir__file *ret_files[2])
{
    struct coir__uring_file *records[2] = {coir__uring_file_new(loop), coir__uring_file_new(loop)};
    int fds[2];
    int r = records[0] == NULL || records[1] == NULL
                ? -ENOMEM
                : coir__sys_socketpair(type | SOCK_NONBLOCK | SOCK_CLOEXEC, fds);
    for (int i = 0; i < 2; i++) {
        if (r < 0)
            coir__free_own(records[i]);
        else
            ret_files[i] =
                coir__uring_file_open(records[i], fds[i], coir__native_kind(AF_UNIX, type));
    }
    return r;
}

void coir__uring_close(struct coir_loop *loop, struct coir__file *file, bool abrupt)
{
    struct coir__uring_file *record = coir__uring_file_of(file);
    struct coir__uring *uring = coir__uring_of(loop);
    assert(!file->read.active && !file->write.active);
    abrupt |= coir__uring_receive_close(uring, record);
    coir__native_close(file->fd, record->flags, abrupt && !coir__uring_is_copy(uring));
    loop->descriptors--;
    coir__free_own(record->spare);
    coir__free_own(record);
}
