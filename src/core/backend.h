/* backend.h: what a backend is: the kernel (or its simulation) in completion style.
 *
 * The code above starts operations and is told when they are complete; it cannot tell whether
 * io_uring, epoll or the simulation is below. A backend is one static table; loop.c holds the list
 * of those that were built. One loop has one backend.
 *
 * An operation is memory of the caller (embedded in a coir__file or on a waiting task's stack) and
 * belongs to the backend from start() until done() was called or cancel() answered true: until then
 * its buffers may be written to.
 */
#ifndef COIR_CORE_BACKEND_H
#define COIR_CORE_BACKEND_H

#include <limits.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/core.h"

enum coir__op_kind {
    COIR__OP_NONE,
    COIR__OP_READ,    /* read up to length bytes to data; result: count, 0 at the end. With data
                         NULL the backend takes a buffer of the loop once there are bytes (or no
                         later than it must), and leaves it in data for the owner to give back */
    COIR__OP_WRITE,   /* write count vectors; result: bytes, possibly fewer than asked */
    COIR__OP_ACCEPT,  /* result: 0, and accepted holds the new file */
    COIR__OP_CONNECT, /* result: 0 */
    COIR__OP_POLL,    /* wait until it is ready for events (POLLIN, POLLOUT…); result: the events
                         that are; with a file by its read, or for POLLOUT by its write */
    COIR__OP_RECEIVE, /* receive up to count messages, with addresses and descriptors; result: how
                         many, at least 1, each with its length (0: the end of a stream) */
    COIR__OP_SEND,    /* send count messages; result: how many were sent, at least 1 */
    COIR__OP_SYSTEM,  /* a call on a file or a path (io/files/system.h), which may wait; result: the
                         call's, or at once -EOPNOTSUPP when a thread is to make it. No file */
};

struct coir_message; /* of <coir/socket.h> */

/* One operation. Results are 0 or more, or a negative errno. Two of them are most of what an idle
 * connection costs, so what only one kind needs shares its place with what others need. */
struct coir__op {
    struct coir__op *next, *previous; /* the backend's while it is under way */
    struct coir__file *file;          /* NULL for a foreign descriptor, and COIR__OP_SYSTEM */
    union {
        struct { /* COIR__OP_READ */
            void *data;
            size_t length;
        };
        struct { /* COIR__OP_WRITE */
            const struct iovec *vectors;
            int count;
        };
        struct {                            /* COIR__OP_CONNECT */
            const struct sockaddr *address; /* lives until done */
            socklen_t address_length;
        };
        struct { /* COIR__OP_RECEIVE, COIR__OP_SEND: by the file's read or write */
            struct coir_message *messages; /* with what they point to, live until done */
            uint16_t message_count;
            bool at_once; /* -EAGAIN instead of waiting */
            int flags;    /* of recvmsg(2) */
        };
        struct coir__file *accepted; /* COIR__OP_ACCEPT: its result */
        int fd;                      /* COIR__OP_POLL without a file */
        struct coir__system *system; /* COIR__OP_SYSTEM; lives until done */
    };
    uint8_t kind;     /* enum coir__op_kind */
    bool active : 1;  /* between start and done */
    bool lent : 1;    /* data is a buffer of the loop */
    bool outside : 1; /* COIR__OP_POLL without a file: the simulation asks the machine */
    short events;     /* of COIR__OP_POLL */
    uint32_t slot;    /* the backend's while it is under way */
    long result;
    /* Called by poll() or by a callback of the loop, never from inside start() or cancel(); active
     * is false again, so it may start op anew. */
    void (*done)(struct coir__op *op);
    struct coir_task *task; /* for the caller */
    void *user;             /* for the caller */
};

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

/* A descriptor that the library owns. One reader and one writer at a time. A backend keeps it
 * inside a larger record of its own. */
struct coir__file {
    int fd;              /* of the kernel, or the simulation's number */
    uint32_t generation; /* differs for each file that ever had this number */
    struct coir_loop *loop;
    struct coir__op read, write; /* accept uses read, connect uses write */
    uint32_t holds;              /* calls in between: it is not closed under their feet */
    bool closing; /* the caller's close waits for the operations and calls that are under way */
    bool abrupt;  /* how it will be closed */
    void *user;   /* for the caller: the stream that it belongs to */
    dev_t device; /* of the path that it was bound to, with inode; 0: none */
    ino_t inode;
};

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

    /* A file without a descriptor, which coir__free_own frees; NULL: no memory. And one that is
     * given its own, of that kind (enum coir__native_kind): from here it counts. Only where a
     * kernel is below. */
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
