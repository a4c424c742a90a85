/* watch.c: waiting for descriptors that belong to somebody else, such as those of other
 * libraries.
 *
 * Owns a table, by descriptor, of who waits to read and who waits to write. The kernel's
 * registration is armed for one event and stays behind disarmed, so that the next wait costs one
 * call; its owner may have closed the number meanwhile, which the kernel then tells by ENOENT. Each
 * arming has a generation, so an event of an earlier one, or of a file that had the number before,
 * wakes nobody. Called by epoll.c.
 */
#include <string.h>

#include "io/epoll/epoll.h"

#define READING (POLLIN | POLLPRI | POLLRDHUP)
#define ALWAYS (POLLERR | POLLHUP)

static struct coir__epoll_watch *watch_of(struct coir__epoll *epoll, int fd)
{
    size_t index = (size_t)fd;
    if (index >= epoll->watch_count) {
        size_t count = epoll->watch_count * 2 > index + 1 ? epoll->watch_count * 2 : index + 1;
        struct coir__epoll_watch *watches = coir__alloc_own(count * sizeof *watches);
        if (watches == NULL)
            return NULL;
        memset(watches, 0, count * sizeof *watches);
        if (epoll->watch_count > 0)
            memcpy(watches, epoll->watches, epoll->watch_count * sizeof *watches);
        coir__free_own(epoll->watches);
        epoll->watches = watches;
        epoll->watch_count = count;
    }
    return &epoll->watches[index];
}

/* Asks the kernel for one event of those that somebody waits for. */
static int arm(struct coir__epoll *epoll, int fd, struct coir__epoll_watch *watch)
{
    uint32_t wanted = EPOLLONESHOT;
    if (watch->in != NULL)
        wanted |= (uint32_t)(uint16_t)watch->in->events;
    if (watch->out != NULL)
        wanted |= (uint32_t)(uint16_t)watch->out->events;
    watch->generation = ++epoll->generation;
    struct epoll_event event = {
        .events = wanted,
        .data.u64 = (uint64_t)watch->generation << 32 | (uint64_t)fd << 1 | 1,
    };
    int operation = watch->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int r = coir__sys_epoll_ctl(epoll->epfd, operation, fd, &event);
    if (r == -ENOENT)
        r = coir__sys_epoll_ctl(epoll->epfd, EPOLL_CTL_ADD, fd, &event);
    else if (r == -EEXIST)
        r = coir__sys_epoll_ctl(epoll->epfd, EPOLL_CTL_MOD, fd, &event);
    watch->known = r == 0;
    return r;
}

static void set_waiter(struct coir__epoll_watch *watch, struct coir__op *op)
{
    if (op->events & POLLOUT)
        watch->out = op;
    if ((op->events & READING) || !(op->events & POLLOUT))
        watch->in = op;
}

static void clear_waiter(struct coir__epoll_watch *watch, struct coir__op *op)
{
    if (watch->in == op)
        watch->in = NULL;
    if (watch->out == op)
        watch->out = NULL;
}

/* What poll(2) says now: it also knows regular files, which are always ready and which epoll
 * refuses, and numbers that are not open. */
static long ready_now(struct coir__op *op)
{
    int events;
    do
        events = coir__sys_poll(op->fd, op->events);
    while (events == -EINTR);
    if (events > 0 && (events & POLLNVAL))
        return -EBADF;
    return events == 0 ? COIR__STARTED : events;
}

/* Whether somebody else waits for the same descriptor and direction. */
static bool is_busy(const struct coir__epoll *epoll, const struct coir__op *op)
{
    if ((size_t)op->fd >= epoll->watch_count)
        return false;
    const struct coir__epoll_watch *watch = &epoll->watches[op->fd];
    bool writes = op->events & POLLOUT, reads = (op->events & READING) || !writes;
    return (reads && watch->in != NULL) || (writes && watch->out != NULL);
}

/* The table grows only for a descriptor that is open: a wild number takes no memory. */
long coir__epoll_watch_start(struct coir__epoll *epoll, struct coir__op *op)
{
    if (op->fd < 0)
        return -EBADF;
    if (is_busy(epoll, op))
        return -EBUSY;
    long result = ready_now(op);
    if (result != COIR__STARTED)
        return result;
    struct coir__epoll_watch *watch = watch_of(epoll, op->fd);
    if (watch == NULL)
        return -ENOMEM;
    set_waiter(watch, op);
    int r = arm(epoll, op->fd, watch);
    if (r == 0)
        return COIR__STARTED;
    clear_waiter(watch, op);
    return r == -EPERM ? op->events : r; /* what epoll cannot watch is always ready */
}

/* The kernel stays armed: its one event, if it comes, finds nobody. */
void coir__epoll_watch_cancel(struct coir__epoll *epoll, struct coir__op *op)
{
    clear_waiter(&epoll->watches[op->fd], op);
}

/* Ends op when events are for it. Returns whether they were. */
static bool deliver(struct coir__epoll *epoll, int fd, struct coir__op *op, uint32_t events)
{
    if (op == NULL)
        return false;
    uint32_t result = events & ((uint32_t)(uint16_t)op->events | ALWAYS);
    if (result == 0)
        return false;
    clear_waiter(&epoll->watches[fd], op);
    coir__epoll_complete(epoll->loop, op, (long)result);
    return true;
}

/* Ends one of those who wait for fd, if there is any. Returns how many. */
static int fail(struct coir__epoll *epoll, int fd, int code)
{
    struct coir__epoll_watch *watch = &epoll->watches[fd];
    struct coir__op *op = watch->in != NULL ? watch->in : watch->out;
    if (op == NULL)
        return 0;
    clear_waiter(watch, op);
    coir__epoll_complete(epoll->loop, op, code);
    return 1;
}

int coir__epoll_watch_event(struct coir__epoll *epoll, uint64_t data, uint32_t events)
{
    int fd = (int)((data & UINT32_MAX) >> 1);
    struct coir__epoll_watch *watch = &epoll->watches[fd];
    uint32_t generation = (uint32_t)(data >> 32);
    if (watch->generation != generation)
        return 0;
    int completed = deliver(epoll, fd, watch->in, events);
    /* Telling the first may have moved the table, or armed it anew. */
    watch = &epoll->watches[fd];
    if (watch->generation != generation)
        return completed;
    completed += deliver(epoll, fd, watch->out, events);
    watch = &epoll->watches[fd];
    if (watch->generation != generation || (watch->in == NULL && watch->out == NULL))
        return completed;
    int r = arm(epoll, fd, watch);
    if (r < 0)
        completed += fail(epoll, fd, r) + fail(epoll, fd, r);
    return completed;
}
