/* epoll.c: the backend on epoll: starts operations by trying them, and finishes on an event what
 * could not be done at once.
 *
 * Owns the epoll descriptor, the wake-up descriptor and the batch of events. An operation is either
 * complete when start() returns or active: linked nowhere, found by its file when an event comes.
 * The kernel never holds a buffer between calls, so cancelling is always done at once. Called by
 * the loop (open, poll, wake, close) and by streams, sockets and descriptors (start, cancel).
 */
#include <stdio.h>

#include "io/epoll/epoll.h"
#include "io/process/process.h"
#include "io/process/signal.h"
#include "io/stream/pipe.h"

static int epoll_open(struct coir_loop *loop, char *why, size_t size)
{
    struct coir__epoll *epoll = coir__alloc_own(sizeof *epoll);
    if (epoll == NULL)
        return -ENOMEM;
    *epoll = (struct coir__epoll){.loop = loop, .wakefd = -1};
    epoll->epfd = coir__sys_epoll_create();
    int r = epoll->epfd < 0 ? epoll->epfd : (epoll->wakefd = coir__sys_eventfd());
    if (r >= 0) {
        /* Edge-triggered, each write to it is an event of its own: nobody has to read it. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLET};
        r = coir__sys_epoll_ctl(epoll->epfd, EPOLL_CTL_ADD, epoll->wakefd, &event);
    }
    if (r < 0) {
        if (epoll->wakefd >= 0)
            coir__sys_close(epoll->wakefd);
        if (epoll->epfd >= 0)
            coir__sys_close(epoll->epfd);
        coir__free_own(epoll);
        return r;
    }
    loop->backend_state = epoll;
    (void)snprintf(why, size, "epoll works here");
    return 0;
}

static void free_dead(struct coir__epoll *epoll)
{
    while (epoll->dead != NULL) {
        struct coir__epoll_file *file = epoll->dead;
        epoll->dead = file->file.read.user;
        coir__free_own(file);
    }
}

static void epoll_close(struct coir_loop *loop)
{
    struct coir__epoll *epoll = coir__epoll_of(loop);
    coir__process_loop_closes(loop);
    coir__signal_loop_closes(loop);
    coir__pipe_loop_closes(loop);
    free_dead(epoll);
    coir__free_own(epoll->spare);
    coir__sys_close(epoll->wakefd);
    coir__sys_close(epoll->epfd);
    coir__free_own(epoll->watches);
    coir__free_own(epoll);
    loop->backend_state = NULL;
}

static void epoll_wake(struct coir_loop *loop)
{
    coir__sys_wake_eventfd(coir__epoll_of(loop)->wakefd);
}

static int epoll_descriptor(const struct coir_loop *loop)
{
    const struct coir__epoll *epoll = loop->backend_state;
    return epoll->epfd;
}

/* ---- trying: the result, or COIR__STARTED when the call would block ---- */

static long read_once(struct coir__epoll_file *file, struct coir__op *op)
{
    long n = coir__native_read(file->file.fd, file->flags, op);
    if (n == -EAGAIN) {
        file->flags &= ~(uint32_t)COIR__EPOLL_READABLE;
        return COIR__STARTED;
    }
    /* Saves the call that would only say EAGAIN. A test that shortens calls proves nothing. */
    if (n > 0 && (size_t)n < op->length && coir__likely(coir__sys_fault == NULL) &&
        (file->flags & (COIR__EPOLL_DRAINS | COIR__EPOLL_FINAL)) == COIR__EPOLL_DRAINS)
        file->flags &= ~(uint32_t)COIR__EPOLL_READABLE;
    return n;
}

static long try_read(struct coir__epoll_file *file, struct coir__op *op)
{
    struct coir_loop *loop = file->file.stream.loop;
    if (coir__op_lend(loop, op) < 0)
        return -ENOMEM;
    long n = read_once(file, op);
    if (n <= 0)
        coir__op_take_back(loop, op);
    return n;
}

static long try_write(struct coir__epoll_file *file, struct coir__op *op)
{
    long n = coir__native_write(file->file.fd, file->flags, op);
    if (n != -EAGAIN)
        return n;
    file->flags &= ~(uint32_t)COIR__EPOLL_WRITABLE;
    return COIR__STARTED;
}

/* The record is there before the connection is taken, and kept for the next one when there is none.
 */
static long try_accept(struct coir__epoll_file *file, struct coir__op *op)
{
    struct coir__epoll *epoll = coir__epoll_of(file->file.stream.loop);
    if (epoll->spare == NULL && (epoll->spare = coir__epoll_file_make(epoll->loop)) == NULL)
        return -ENOMEM;
    int fd = coir__native_accept(file->file.fd);
    if (fd == -EAGAIN) {
        file->flags &= ~(uint32_t)COIR__EPOLL_READABLE;
        return COIR__STARTED;
    }
    if (fd < 0)
        return fd;
    uint32_t kind = file->flags & (COIR__EPOLL_SOCKET | COIR__EPOLL_DRAINS);
    op->accepted = COIR_TAKE(epoll->spare);
    coir__epoll_file_begin(op->accepted, fd, kind);
    return 0;
}

/* Whether a file of the library is ready: what it was last seen to be may be over. */
static long try_poll(struct coir__epoll_file *file, const struct coir__op *op)
{
    int events;
    do
        events = coir__sys_poll(file->file.fd, op->events);
    while (events == -EINTR);
    if (events == 0)
        file->flags &=
            ~(uint32_t)(op == &file->file.read ? COIR__EPOLL_READABLE : COIR__EPOLL_WRITABLE);
    return events == 0 ? COIR__STARTED : events;
}

/* Whether op, for which there is nothing to do now, waits. */
static long wait_or_not(struct coir__epoll_file *file, const struct coir__op *op, uint32_t flag)
{
    file->flags &= ~flag;
    return op->at_once ? -EAGAIN : COIR__STARTED;
}

static long try_receive(struct coir__epoll_file *file, const struct coir__op *op)
{
    long n = coir__native_receive(file->file.fd, op);
    return n == -EAGAIN ? wait_or_not(file, op, COIR__EPOLL_READABLE) : n;
}

static long try_send(struct coir__epoll_file *file, const struct coir__op *op)
{
    long n = coir__native_send(file->file.fd, op);
    return n == -EAGAIN ? wait_or_not(file, op, COIR__EPOLL_WRITABLE) : n;
}

static long begin_connect(struct coir__epoll_file *file, struct coir__op *op)
{
    int r = coir__native_connect(file->file.fd, op);
    if (r != -EINPROGRESS)
        return r;
    file->flags &= ~(uint32_t)COIR__EPOLL_WRITABLE;
    return COIR__STARTED;
}

/* ---- operations ---- */

static int register_file(struct coir__epoll *epoll, struct coir__epoll_file *file)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
        .data.ptr = file,
    };
    int r = coir__sys_epoll_ctl(epoll->epfd, EPOLL_CTL_ADD, file->file.fd, &event);
    if (r == 0)
        file->flags |= COIR__EPOLL_REGISTERED;
    return r;
}

static long try_first(struct coir__epoll_file *file, struct coir__op *op)
{
    switch (op->kind) {
    case COIR__OP_READ:
        return file->flags & COIR__EPOLL_READABLE ? try_read(file, op) : COIR__STARTED;
    case COIR__OP_WRITE:
        return file->flags & COIR__EPOLL_WRITABLE ? try_write(file, op) : COIR__STARTED;
    case COIR__OP_ACCEPT:
        return file->flags & COIR__EPOLL_READABLE ? try_accept(file, op) : COIR__STARTED;
    case COIR__OP_CONNECT: return begin_connect(file, op);
    case COIR__OP_POLL: return try_poll(file, op);
    case COIR__OP_RECEIVE:
        return file->flags & COIR__EPOLL_READABLE || op->at_once ? try_receive(file, op)
                                                                 : COIR__STARTED;
    case COIR__OP_SEND:
        return file->flags & COIR__EPOLL_WRITABLE || op->at_once ? try_send(file, op)
                                                                 : COIR__STARTED;
    default: return -EINVAL;
    }
}

static long epoll_start(struct coir_loop *loop, struct coir__op *op)
{
    struct coir__epoll *epoll = coir__epoll_of(loop);
    assert(!op->active);
    long result;
    if (coir__unlikely(op->file == NULL)) {
        if (op->kind == COIR__OP_SYSTEM)
            return -EOPNOTSUPP;
        result = coir__epoll_watch_start(epoll, op);
    } else {
        struct coir__epoll_file *file = coir__epoll_file_of(op->file);
        result = try_first(file, op);
        if (result == COIR__STARTED && !(file->flags & COIR__EPOLL_REGISTERED)) {
            int r = register_file(epoll, file);
            if (r < 0)
                return r;
        }
    }
    if (result == COIR__STARTED) {
        coir__op_begins(op);
        loop->operations++;
    }
    return result;
}

static bool epoll_cancel(struct coir_loop *loop, struct coir__op *op)
{
    assert(op->active);
    if (op->file == NULL)
        coir__epoll_watch_cancel(coir__epoll_of(loop), op);
    coir__op_ends(op);
    loop->operations--;
    return true;
}

/* ---- events ---- */

/* Tries an active operation again. Returns how many were completed. */
static int retry(struct coir__epoll *epoll, struct coir__epoll_file *file, struct coir__op *op)
{
    long result;
    switch (op->kind) {
    case COIR__OP_READ: result = try_read(file, op); break;
    case COIR__OP_WRITE: result = try_write(file, op); break;
    case COIR__OP_ACCEPT: result = try_accept(file, op); break;
    case COIR__OP_POLL: result = try_poll(file, op); break;
    case COIR__OP_RECEIVE: result = try_receive(file, op); break;
    case COIR__OP_SEND: result = try_send(file, op); break;
    default: result = coir__native_connected(file->file.fd); break;
    }
    if (result == COIR__STARTED)
        return 0;
    if (op->kind == COIR__OP_READ && result > 0)
        epoll->read += (size_t)result + (op->lent ? COIR__EPOLL_LENT : 0);
    coir__epoll_complete(epoll->loop, op, result);
    return 1;
}

static int file_event(struct coir__epoll *epoll, struct coir__epoll_file *file, uint32_t events)
{
    if (file->flags & COIR__EPOLL_DEAD)
        return 0;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
        file->flags |= COIR__EPOLL_READABLE;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        file->flags |= COIR__EPOLL_WRITABLE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI))
        file->flags |= COIR__EPOLL_FINAL;
    int completed = 0;
    if (file->file.read.active && (file->flags & COIR__EPOLL_READABLE))
        completed += retry(epoll, file, &file->file.read);
    /* What was told of the first may have closed the file: then nothing is active any more. */
    if (file->file.write != NULL && (file->flags & COIR__EPOLL_WRITABLE))
        completed += retry(epoll, file, file->file.write);
    return completed;
}

/* Asks the kernel for a new batch of events. */
static int fetch(struct coir__epoll *epoll, coir_time timeout)
{
    epoll->next = epoll->count = 0;
    if (coir__unlikely(epoll->dead != NULL))
        free_dead(epoll);
    int count = coir__sys_epoll_wait(epoll->epfd, epoll->events, COIR__EPOLL_BATCH, timeout,
                                     &epoll->coarse);
    if (count < 0)
        return count == -EINTR ? 0 : count;
    epoll->count = count;
    return 0;
}

/* Handles events until much was read: what is left of the batch is for the next call. */
static int epoll_poll(struct coir_loop *loop, coir_time timeout)
{
    struct coir__epoll *epoll = coir__epoll_of(loop);
    if (epoll->next == epoll->count) {
        int r = fetch(epoll, timeout);
        if (r < 0)
            return r;
    }
    int completed = 0;
    epoll->read = 0;
    while (epoll->next < epoll->count && epoll->read < COIR__EPOLL_BYTES) {
        const struct epoll_event *event = &epoll->events[epoll->next];
        if (event->data.u64 & 1)
            completed += coir__epoll_watch_event(epoll, event->data.u64, event->events);
        else if (event->data.ptr != NULL)
            completed += file_event(epoll, event->data.ptr, event->events);
        epoll->next++; /* only now: a file that is closed meanwhile stays until the batch is done */
    }
    return completed;
}

const struct coir__backend coir__backend_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_close,
    .poll = epoll_poll,
    .wake = epoll_wake,
    .descriptor = epoll_descriptor,
    .start = epoll_start,
    .cancel = epoll_cancel,
    .file_make = coir__epoll_file_make,
    .file_begin = coir__epoll_file_begin,
    .file_socket = coir__native_socket,
    .file_adopt = coir__native_adopt,
    .file_pair = coir__native_pair,
    .file_bind = coir__native_bind,
    .file_listen = coir__native_listen,
    .file_shutdown = coir__native_shutdown,
    .file_option = coir__native_option,
    .file_name = coir__native_name,
    .file_unread = coir__native_unread,
    .file_close = coir__epoll_close,
    .path_mode = coir__native_path_mode,
    .path_remove = coir__native_path_remove,
};
