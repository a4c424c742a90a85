/* system.c: calls on files and paths as entries of the ring.
 *
 * The second column of the table of system.c. What this kernel's ring does not have is -EOPNOTSUPP,
 * and a thread makes the call. Most of these operations are done by the kernel's own workers, whose
 * number ring.c limits. Called by op.c.
 */
#include "io/files/system.h"
#include "io/uring/uring.h"

#define FTRUNCATE 55 /* of Linux 6.9, later than the library that we are content with */

/* Which operation of the ring makes a call; NOP: none. */
static unsigned operation_of(const struct coir__system *call)
{
    switch (call->kind) {
    case COIR__SYSTEM_OPEN: return IORING_OP_OPENAT2;
    case COIR__SYSTEM_READ: return IORING_OP_READ;
    case COIR__SYSTEM_WRITE: return IORING_OP_WRITE;
    case COIR__SYSTEM_SYNC: return IORING_OP_FSYNC;
    case COIR__SYSTEM_STAT: return IORING_OP_STATX;
    case COIR__SYSTEM_TRUNCATE: return FTRUNCATE;
    case COIR__SYSTEM_MKDIR: return IORING_OP_MKDIRAT;
    case COIR__SYSTEM_UNLINK:
    case COIR__SYSTEM_RMDIR: return IORING_OP_UNLINKAT;
    case COIR__SYSTEM_RENAME: return IORING_OP_RENAMEAT;
    case COIR__SYSTEM_LINK: return IORING_OP_LINKAT;
    case COIR__SYSTEM_SYMLINK: return IORING_OP_SYMLINKAT;
    default: return IORING_OP_NOP;
    }
}

bool coir__uring_system_known(const struct coir__uring *uring, const struct coir__system *call)
{
    unsigned operation = operation_of(call);
    return operation != IORING_OP_NOP && (uring->known >> operation & 1);
}

/* Whether making it a second time does no harm. */
bool coir__uring_system_repeats(const struct coir__system *call)
{
    switch (call->kind) {
    case COIR__SYSTEM_READ:
    case COIR__SYSTEM_SYNC:
    case COIR__SYSTEM_STAT:
    case COIR__SYSTEM_TRUNCATE: return true;
    default: return false;
    }
}

void coir__uring_system_prepare(struct io_uring_sqe *entry, struct coir__system *call,
                                unsigned length)
{
    switch (call->kind) {
    case COIR__SYSTEM_OPEN: io_uring_prep_openat2(entry, call->fd, call->path, &call->how); break;
    case COIR__SYSTEM_READ:
        io_uring_prep_read(entry, call->fd, call->data, length, call->offset);
        break;
    case COIR__SYSTEM_WRITE:
        io_uring_prep_write(entry, call->fd, call->data, length, call->offset);
        break;
    case COIR__SYSTEM_SYNC: io_uring_prep_fsync(entry, call->fd, 0); break;
    case COIR__SYSTEM_STAT:
        io_uring_prep_statx(entry, AT_FDCWD, call->path, (int)call->flags, COIR__SYSTEM_STATUS,
                            call->status);
        break;
    case COIR__SYSTEM_TRUNCATE:
        io_uring_prep_rw(FTRUNCATE, entry, call->fd, NULL, 0, call->offset);
        break;
    case COIR__SYSTEM_MKDIR:
        io_uring_prep_mkdirat(entry, AT_FDCWD, call->path, (mode_t)call->mode);
        break;
    case COIR__SYSTEM_UNLINK: io_uring_prep_unlinkat(entry, AT_FDCWD, call->path, 0); break;
    case COIR__SYSTEM_RMDIR:
        io_uring_prep_unlinkat(entry, AT_FDCWD, call->path, AT_REMOVEDIR);
        break;
    case COIR__SYSTEM_RENAME:
        io_uring_prep_renameat(entry, AT_FDCWD, call->path, AT_FDCWD, call->to, call->flags);
        break;
    case COIR__SYSTEM_LINK:
        io_uring_prep_linkat(entry, AT_FDCWD, call->path, AT_FDCWD, call->to, 0);
        break;
    default: io_uring_prep_symlinkat(entry, call->path, AT_FDCWD, call->to); break;
    }
}
