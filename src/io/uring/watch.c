/* watch.c: who waits for descriptors that belong to somebody else.
 *
 * io_uring would let any number wait; the library allows one for each direction, on every backend.
 * So this owns a table by descriptor. An operation that was withdrawn is out of it at once, also
 * while the kernel still has it. Called by op.c.
 */
#include <string.h>

#include "io/uring/uring.h"

#define READING (POLLIN | POLLPRI | POLLRDHUP)

/* Both may be the same operation. */
struct coir__uring_watch {
    const struct coir__op *in, *out;
};

static struct coir__uring_watch *watch_of(struct coir__uring *uring, int fd)
{
    size_t index = (size_t)fd, before = uring->watch_count;
    if (index >= before) {
        size_t count = before * 2 > index + 1 ? before * 2 : index + 1;
        struct coir__uring_watch *watches = coir__alloc_own(count * sizeof *watches);
        if (watches == NULL)
            return NULL;
        memset(watches, 0, count * sizeof *watches);
        if (before > 0)
            memcpy(watches, uring->watches, before * sizeof *watches);
        coir__free_own(uring->watches);
        uring->watches = watches;
        uring->watch_count = count;
    }
    return &uring->watches[index];
}

static bool writes(const struct coir__op *op)
{
    return op->events & POLLOUT;
}

static bool reads(const struct coir__op *op)
{
    return (op->events & READING) || !writes(op);
}

bool coir__uring_watch_busy(const struct coir__uring *uring, const struct coir__op *op)
{
    if ((size_t)op->fd >= uring->watch_count)
        return false;
    const struct coir__uring_watch *watch = &uring->watches[op->fd];
    return (reads(op) && watch->in != NULL) || (writes(op) && watch->out != NULL);
}

int coir__uring_watch_add(struct coir__uring *uring, const struct coir__op *op)
{
    struct coir__uring_watch *watch = watch_of(uring, op->fd);
    if (watch == NULL)
        return -ENOMEM;
    if (reads(op))
        watch->in = op;
    if (writes(op))
        watch->out = op;
    return 0;
}

void coir__uring_watch_remove(struct coir__uring *uring, const struct coir__op *op)
{
    struct coir__uring_watch *watch = &uring->watches[op->fd];
    if (watch->in == op)
        watch->in = NULL;
    if (watch->out == op)
        watch->out = NULL;
}
