/* file.c: descriptors of the library under epoll: making and closing.
 *
 * Owns the records behind coir__file (memory of the loop's own) and the count of descriptors.
 * Closing takes a file out of epoll before its number is given back, since a duplicate (made by a
 * fork) would keep the registration alive; the record itself outlives the batch of events that may
 * still point to it. Called through the backend's table, and by epoll.c for accepted connections.
 */
#include "io/epoll/epoll.h"

struct coir__file *coir__epoll_file_make(struct coir_loop *loop)
{
    struct coir__epoll_file *record = coir__alloc_own(sizeof *record);
    if (record == NULL)
        return NULL;
    *record = (struct coir__epoll_file){.file.stream.loop = loop};
    record->file.read.file = &record->file;
    return &record->file;
}

void coir__epoll_file_begin(struct coir__file *file, int fd, uint32_t flags)
{
    file->fd = fd;
    coir__epoll_file_of(file)->flags = flags | COIR__EPOLL_READABLE | COIR__EPOLL_WRITABLE;
    file->stream.loop->descriptors++;
}

void coir__epoll_close(struct coir_loop *loop, struct coir__file *file, bool abrupt)
{
    struct coir__epoll *epoll = coir__epoll_of(loop);
    struct coir__epoll_file *record = coir__epoll_file_of(file);
    assert(!file->read.active && file->write == NULL);
    if (record->flags & COIR__EPOLL_REGISTERED)
        coir__sys_epoll_forget(epoll->epfd, file->fd);
    coir__native_close(file->fd, record->flags, abrupt);
    loop->descriptors--;
    record->flags |= COIR__EPOLL_DEAD;
    if (epoll->next < epoll->count) {
        record->file.read.user = epoll->dead;
        epoll->dead = record;
    } else {
        coir__free_own(record);
    }
}
