/* backend.h: what a backend is: the kernel (or its simulation) in completion style.
 *
 * The code above starts operations and is told when they are complete; it cannot tell whether
 * io_uring, epoll or the simulation is below. A backend is one static table; loop.c holds the list
 * of those that were built. One loop has one backend.
 *
 * An operation (op.h) is memory of the caller (in a file, in the record of the task that writes, or
 * on a waiting task's stack) and belongs to the backend from start() until done() was called or
 * cancel() answered true: until then its buffers may be written to.
 */
#ifndef COIR_CORE_BACKEND_H
#define COIR_CORE_BACKEND_H

#include <limits.h>
#include <sys/types.h>

#include "core/core.h"

/* start() answers this when done() will be called. */
#define COIR__STARTED LONG_MIN

/* Gets op, a read that is about to be made, a buffer if it has none. Returns 0 or -ENOMEM. */
static inline int coir__op_lend(struct coir_loop *loop, struct coir__op *op)
{
    op->lent = op->data == NULL;
    if (coir__likely(!op->lent))
        return 0;
    op->data = coir__buffer_take(loop);
    return op->data == NULL ? -ENOMEM : 0;
}

/* Takes the buffer back from a read that got nothing. */
static inline void coir__op_take_back(struct coir_loop *loop, struct coir__op *op)
{
    if (!op->lent)
        return;
    void *buffer = op->data;
    op->data = NULL; /* first: what an operation has must not be given back */
    coir__buffer_give(loop, buffer);
}

struct coir__backend {
    const char *name;
    bool simulated; /* there is no kernel: what is under way completes by callbacks and timers of
                       the loop, or never */
    /* Opens it for loop; loop->backend_state is its own. why (of size bytes) says how it went. */
    int (*open)(struct coir_loop *loop, char *why, size_t size);
    void (*close)(struct coir_loop *loop);
    /* Completes what can be, waiting up to timeout ns for the first (0: not at all; COIR_FOREVER).
     * May return early. Returns how many operations it completed, or a negative errno. The
     * simulation waits (for wake() only) when timeout is not 0. */
    int (*poll)(struct coir_loop *loop, coir_time timeout);
    /* Ends a poll() that waits. Called from other threads and signal handlers. */
    void (*wake)(struct coir_loop *loop);
    /* A descriptor that is readable when poll() has something to do. */
    int (*descriptor)(const struct coir_loop *loop);
    /* How long until poll() has something to do that the descriptor does not tell: 0 now,
     * COIR_FOREVER never. NULL: never. */
    coir_time (*due)(const struct coir_loop *loop);

    /* Starts op: its result when it was complete at once, else COIR__STARTED. */
    long (*start)(struct coir_loop *loop, struct coir__op *op);
    /* Withdraws op. True: it is over, nothing happened, done() is not called. False: done() comes,
     * with -ECANCELED or with what had happened before. Asking again is allowed. The accept of a
     * file that is closing ends at once unless something is wrong: its address must be free. */
    bool (*cancel)(struct coir_loop *loop, struct coir__op *op);

    /* A file (io/descriptor/file.h) without a descriptor, which coir__free_own frees; NULL: no
     * memory. And one that is given its own, of that kind (enum coir__native_kind): from here it
     * counts. Only where a kernel is below. */
    struct coir__file *(*file_make)(struct coir_loop *loop);
    void (*file_begin)(struct coir__file *file, int fd, uint32_t kind);

    /* Files. type is SOCK_STREAM and so on; the backend adds non-blocking and close-on-exec. */
    int (*file_socket)(struct coir_loop *loop, int domain, int type, struct coir__file **ret_file);
    int (*file_adopt)(struct coir_loop *loop, int fd,
                      struct coir__file **ret_file); /* takes fd over; -EOPNOTSUPP in sim */
    /* Two files that are connected to each other, of Unix sockets. */
    int (*file_pair)(struct coir_loop *loop, int type, struct coir__file *ret_files[2]);
    int (*file_bind)(struct coir_loop *loop, struct coir__file *file,
                     const struct sockaddr *address, socklen_t length);
    int (*file_listen)(struct coir_loop *loop, struct coir__file *file, int backlog);
    int (*file_shutdown)(struct coir_loop *loop, struct coir__file *file, int how);
    int (*file_option)(struct coir_loop *loop, struct coir__file *file, int level, int name,
                       const void *value, socklen_t length);
    int (*file_name)(struct coir_loop *loop, struct coir__file *file, bool peer,
                     struct sockaddr *ret_address, socklen_t *length);
    /* How many bytes have arrived and were not read: closing with some resets the peer. */
    int (*file_unread)(struct coir_loop *loop, struct coir__file *file);
    /* Of these, how many are not in the kernel any more. NULL: none. */
    size_t (*file_held)(struct coir_loop *loop, struct coir__file *file);
    /* Others will know the descriptor of file, and may read from it: from now on the backend does
     * so only for reads that are under way. NULL: it never does anything else. */
    void (*file_show)(struct coir_loop *loop, struct coir__file *file);
    /* Whether it has received something of file that was not read, or is about to: then nobody may
     * read from the descriptor. NULL: never. */
    bool (*file_holds)(struct coir_loop *loop, struct coir__file *file);
    /* Closes and frees file; no operation of it is under way. abrupt: reset the peer instead of a
     * goodbye. */
    void (*file_close)(struct coir_loop *loop, struct coir__file *file, bool abrupt);

    /* Names of Unix sockets in the file system (or its simulation). Sets the permissions of path.
     */
    int (*path_mode)(struct coir_loop *loop, const char *path, unsigned mode);
    /* Removes path; with file only when file was bound to it and nobody has replaced it since.
     * -ENOTSOCK for other things. */
    int (*path_remove)(struct coir_loop *loop, const char *path, struct coir__file *file);
};

extern const struct coir__backend coir__backend_uring, coir__backend_epoll, coir__backend_sim;

#endif
