/* epoll.h: the inside of the epoll backend, shared by epoll.c (operations and events), file.c
 * (descriptors of the library) and watch.c (descriptors of others).
 *
 * A descriptor of the library is registered once, edge-triggered for everything, when a call on it
 * first says EAGAIN; after that its flags remember what is worth trying. The data of an event is
 * the address of the file's record, or an odd number for a foreign descriptor, or 0 for the
 * wake-up.
 */
#ifndef COIR_IO_EPOLL_H
#define COIR_IO_EPOLL_H

#include "io/descriptor/native.h"

enum coir__epoll_flag {
    COIR__EPOLL_REGISTERED = 1 << 0,
    COIR__EPOLL_READABLE = 1 << 1, /* a read or accept is worth trying */
    COIR__EPOLL_WRITABLE = 1 << 2,
    COIR__EPOLL_FINAL = 1 << 3, /* end, error or urgent data: a short read proves nothing */
    COIR__EPOLL_SOCKET = COIR__NATIVE_SOCKET,
    COIR__EPOLL_DRAINS = COIR__NATIVE_TCP, /* a short transfer: the kernel's buffer is spent */
    COIR__EPOLL_DEAD = 1 << 6,             /* closed; kept until the batch of events is over */
};

struct coir__epoll_file {
    struct coir__file file;
    uint32_t flags;
};

/* Who waits for a foreign descriptor. Both may be the same operation. */
struct coir__epoll_watch {
    struct coir__op *in, *out;
    uint32_t generation; /* of the last arming: events of earlier ones are stale */
    bool known;          /* the kernel has it, unless the descriptor was closed since */
};

#define COIR__EPOLL_BATCH 256
/* Read in one go; then the tasks get at it while it is in the cache. */
#define COIR__EPOLL_BYTES 65536
/* What a buffer of the loop's counts besides: four are filled in one go. */
#define COIR__EPOLL_LENT 16384

struct coir__epoll {
    struct coir_loop *loop;
    int epfd, wakefd;
    bool coarse;                       /* the kernel's timeouts are in milliseconds */
    int next, count;                   /* of events: those from next on are still to be handled */
    size_t read;                       /* bytes, by the events of this poll */
    uint32_t generation;               /* of watches */
    struct coir__epoll_file *dead;     /* closed, and perhaps in events: linked by read.user */
    struct coir__file *spare;          /* for the next connection: none is taken in vain */
    struct coir__epoll_watch *watches; /* by descriptor */
    size_t watch_count;
    struct epoll_event events[COIR__EPOLL_BATCH];
};

static inline struct coir__epoll *coir__epoll_of(struct coir_loop *loop)
{
    return loop->backend_state;
}

static inline struct coir__epoll_file *coir__epoll_file_of(struct coir__file *file)
{
    return coir__container(file, struct coir__epoll_file, file);
}

/* Ends op and tells its owner. */
static inline void coir__epoll_complete(struct coir_loop *loop, struct coir__op *op, long result)
{
    coir__op_ends(op);
    op->result = result;
    loop->operations--;
    op->done(op);
}

/* file.c */

struct coir__file *coir__epoll_file_make(struct coir_loop *loop);
void coir__epoll_file_begin(struct coir__file *file, int fd, uint32_t flags);
void coir__epoll_close(struct coir_loop *loop, struct coir__file *file, bool abrupt);

/* watch.c */
long coir__epoll_watch_start(struct coir__epoll *epoll, struct coir__op *op);
void coir__epoll_watch_cancel(struct coir__epoll *epoll, struct coir__op *op);
int coir__epoll_watch_event(struct coir__epoll *epoll, uint64_t data, uint32_t events);

#endif
