/* system.h: one call on a file or a path, as data: so that the ring, a thread and the simulation
 * can each make it. Internal to io.
 *
 * The table is in two columns: how a call is made by the thread that waits for it (system.c), and
 * how it is an entry of the ring (uring/system.c). Whoever adds a kind adds both, or says that
 * the ring does not have it.
 *
 * A call lies in the frame of the task that makes it. It is the backend's or the thread's until it
 * is over, also when the task is cancelled meanwhile.
 */
#ifndef COIR_IO_SYSTEM_H
#define COIR_IO_SYSTEM_H

#include <linux/openat2.h>
#include <sys/stat.h>
#ifndef STATX_BASIC_STATS /* musl 1.2.3 leaves it to the kernel's headers */
#include <linux/stat.h>
#endif

#include "core/backend.h"
#include "core/sys.h"

enum coir__system_kind {
    COIR__SYSTEM_OPEN,     /* path below fd, as how says; result: the descriptor */
    COIR__SYSTEM_READ,     /* fd, data, length, offset; result: bytes */
    COIR__SYSTEM_WRITE,    /* the same */
    COIR__SYSTEM_SYNC,     /* fd */
    COIR__SYSTEM_STAT,     /* path, flags (AT_…), status */
    COIR__SYSTEM_TRUNCATE, /* fd, offset: the size */
    COIR__SYSTEM_MKDIR,    /* path, mode */
    COIR__SYSTEM_UNLINK,   /* path */
    COIR__SYSTEM_RMDIR,    /* path */
    COIR__SYSTEM_RENAME,   /* path, to, flags (RENAME_…) */
    COIR__SYSTEM_LINK,     /* path, to */
    COIR__SYSTEM_SYMLINK,  /* path: what it says; to: where it is */
    COIR__SYSTEM_READLINK, /* path, data, length; result: bytes */
    COIR__SYSTEM_ENTRIES,  /* fd, data, length; result: bytes */
    COIR__SYSTEM_COPY,     /* fd, to_fd, offset of both, length; result: bytes */
    COIR__SYSTEM_SEND,     /* fd, to_fd: a socket, offset, length; result: bytes, or -EAGAIN */
    COIR__SYSTEM_CHMOD,    /* fd, mode */
    COIR__SYSTEM_WATCH,    /* fd: of inotify, path, flags: what for; result: its number */
    COIR__SYSTEM_COUNT
};

struct coir__system {
    uint8_t kind;
    bool tries_in_vain; /* in, out: a call that would not wait is not known for this file */
    int fd, to_fd;
    const char *path, *to;
    void *data;
    size_t length;
    uint64_t offset;
    unsigned flags, mode;
    struct statx *status;
    struct open_how how;
    struct coir__op op; /* when the backend makes it */
    void *backend;      /* its own, meanwhile */
    long result;
};

#define COIR__SYSTEM_STATUS (STATX_BASIC_STATS | STATX_BTIME)
/* Of one read or write: what is copied in one go, so that no other task waits for long. */
#define COIR__SYSTEM_MOST ((size_t)1 << 20)

/* Makes a call of the running task: at once if it cannot wait, else by the ring, the simulation or
 * a thread. A suspending call: returns the result; a negative errno of the system's, a code of
 * coir_blocking, or -ECANCELED or -ETIME, and then nothing happened. */
long coir__system(struct coir__system *call);
/* Makes it here, waiting for it. EINTR is not seen. */
long coir__system_now(const struct coir__system *call);
/* What it is called, for people: "open". */
const char *coir__system_name(const struct coir__system *call);
/* What a test that makes it fail calls it, and whether it moves bytes. */
enum coir__sys_call coir__system_fault(const struct coir__system *call, bool *ret_moves);
/* Gives code with a text that names path, unless it needs none. */
int coir__system_failed(long code, const char *what, const char *path);

#endif
