/* op.h: an operation of a backend, and what a task keeps of the write that it waits for.
 *
 * Idle connections are many, and each has an operation by which it waits to be read. So an
 * operation is small: what only one kind needs shares its place with what others need, and with the
 * result. Only a task writes, and one thing at a time, so a write lies in the task's record, and
 * what is not being written to has no room for it. backend.h says how operations are used.
 */
#ifndef COIR_CORE_OP_H
#define COIR_CORE_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

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
struct coir__system; /* of io/files/system.h */

/* One operation. Results are 0 or more, or a negative errno. */
struct coir__op {
    struct coir__file *file; /* NULL for a foreign descriptor, and COIR__OP_SYSTEM */
    union {
        void *data;                     /* COIR__OP_READ */
        const struct iovec *vectors;    /* COIR__OP_WRITE */
        const struct sockaddr *address; /* COIR__OP_CONNECT: lives until done */
        struct coir_message *messages;  /* COIR__OP_RECEIVE, COIR__OP_SEND: by the file's read or a
                                           write; with what they point to, live until done */
        struct coir__file *accepted;    /* COIR__OP_ACCEPT: its result */
        int fd;                         /* COIR__OP_POLL without a file */
        struct coir__system *system;    /* COIR__OP_SYSTEM; lives until done */
    };
    union {
        size_t length;            /* COIR__OP_READ */
        int count;                /* COIR__OP_WRITE */
        socklen_t address_length; /* COIR__OP_CONNECT */
        struct {                  /* COIR__OP_RECEIVE, COIR__OP_SEND */
            uint16_t message_count;
            bool at_once; /* -EAGAIN instead of waiting */
            int flags;    /* of recvmsg(2) */
        };
        struct coir__op *next; /* COIR__OP_POLL without a file: the simulation's */
        long result;           /* when it is done */
    };
    uint8_t kind;     /* enum coir__op_kind */
    bool active : 1;  /* between start and done */
    bool lent : 1;    /* data is a buffer of the loop */
    bool outside : 1; /* COIR__OP_POLL without a file: the simulation asks the machine */
    short events;     /* of COIR__OP_POLL */
    uint32_t slot;    /* the backend's while it is under way */
    /* Called by poll() or by a callback of the loop, never from inside start() or cancel(); active
     * is false again, so it may start op anew. */
    void (*done)(struct coir__op *op);
    struct coir_task *task; /* for the caller */
    void *user;             /* for the caller */
};

/* What a task writes. Also of streams that are made of functions, then where their call waits. */
struct coir__writing {
    struct coir__op op;
    struct msghdr message;    /* the backend's while op is under way */
    struct iovec one;         /* what is left: this, and then */
    const struct iovec *next; /* these, left of them */
    size_t left;
    bool sent;    /* some of it has left */
    bool stopped; /* it was cancelled, but the backend was not ready to let go */
};

#endif
