/* file.c: descriptors of the library under io_uring: making and closing.
 *
 * Owns the records behind coir__file and the count of descriptors. A descriptor is closed when
 * nothing of it is under way, so the kernel holds no reference and closing has its effect at once.
 * Called through the backend's table, and by op.c for accepted connections.
 */
#include "io/uring/uring.h"

struct coir__file *coir__uring_file_make(struct coir_loop *loop)
{
    struct coir__uring_file *record = coir__alloc_own(sizeof *record);
    if (record == NULL)
        return NULL;
    *record = (struct coir__uring_file){
        .file = {.stream.loop = loop, .patience = coir__uring_patience & COIR__URING_PATIENCE}};
    record->file.read.file = &record->file;
    return &record->file;
}

/* Writing to a pipe by the ring would raise SIGPIPE. */
void coir__uring_file_begin(struct coir__file *file, int fd, uint32_t kind)
{
    file->fd = fd;
    file->flags =
        (kind | (kind & COIR__NATIVE_SOCKET ? 0 : (uint32_t)COIR__URING_DIRECT)) & UINT8_MAX;
    file->stream.loop->descriptors++;
}

void coir__uring_close(struct coir_loop *loop, struct coir__file *file, bool abrupt)
{
    struct coir__uring_file *record = coir__uring_file_of(file);
    struct coir__uring *uring = coir__uring_of(loop);
    assert(!file->read.active && file->write == NULL);
    abrupt |= coir__uring_receive_close(uring, record);
    coir__native_close(file->fd, file->flags, abrupt && !coir__uring_is_copy(uring));
    loop->descriptors--;
    coir__free_own(record);
}
