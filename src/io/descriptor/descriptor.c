/* descriptor.c: waiting for descriptors of other libraries, alone and as a case of coir_select.
 *
 * A single wait has its operation on the waiting task's stack. A case has one of its own, since
 * coir_select forgets its cases at once while a backend may let go of an operation later; the
 * operation frees itself then.
 */
#include <stdio.h>

#include <coir/descriptor.h>
#include <coir/select.h>

#include "core/backend.h"
#include "core/sys.h"
#include "io/descriptor/file.h"

#define EVENTS (POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLERR | POLLHUP)

static bool abort_wait(struct coir_task *task)
{
    struct coir__op *op = (struct coir__op *)(uintptr_t)task->wait_object;
    return task->loop->backend->cancel(task->loop, op);
}

static size_t describe_wait(const struct coir_task *task, char *text, size_t size)
{
    const struct coir__op *op = task->wait_object;
    return (size_t)snprintf(text, size, "%d", op->fd);
}

static const struct coir__wait wait_fd = {"waits for descriptor", abort_wait, describe_wait};

static void wait_done(struct coir__op *op)
{
    coir__wake(op->task, coir__late(op, op->result));
}

int coir_fd_wait(int fd, int events)
{
    struct coir_task *self = coir__self();
    int r = coir__enter(self);
    if (r < 0)
        return r;
    if ((events & ~EVENTS) != 0)
        return -EINVAL;
    struct coir__op op = {
        .kind = COIR__OP_POLL,
        .fd = fd,
        .events = (short)events,
        .done = wait_done,
        .task = self,
    };
    long result = self->loop->backend->start(self->loop, &op);
    return result != COIR__STARTED ? (int)result : coir__park(self, &wait_fd, &op);
}

/* ---- coir_select ---- */

struct watch {
    struct coir__op op;
    struct coir_case *wanted; /* NULL: it was withdrawn */
};

static void case_done(struct coir__op *op)
{
    struct watch *watch = coir__container(op, struct watch, op);
    struct coir_case *wanted = watch->wanted;
    int result = (int)op->result;
    coir__free(watch);
    if (wanted != NULL)
        wanted->coir__waiter.fire(&wanted->coir__waiter, result);
}

static int attempt(struct coir_case *wanted)
{
    if ((wanted->coir__flags & ~EVENTS) != 0)
        return -EINVAL;
    if (coir__loop->backend->simulated)
        return -EOPNOTSUPP;
    int events;
    do
        events = coir__sys_poll((int)wanted->coir__number, (short)wanted->coir__flags);
    while (events == -EINTR);
    if (events > 0 && (events & POLLNVAL))
        return -EBADF;
    wanted->result = events > 0 ? events : 0;
    return events > 0 ? 1 : events;
}

static int begin(struct coir_case *wanted)
{
    struct watch *watch = coir__alloc(sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    *watch = (struct watch){
        .op = {.kind = COIR__OP_POLL,
               .fd = (int)wanted->coir__number,
               .events = (short)wanted->coir__flags,
               .done = case_done},
        .wanted = wanted,
    };
    long result = coir__loop->backend->start(coir__loop, &watch->op);
    if (result == COIR__STARTED) {
        wanted->coir__object = watch;
        return 0;
    }
    coir__free(watch);
    if (result >= 0)
        wanted->coir__waiter.fire(&wanted->coir__waiter, (int)result);
    return result < 0 ? (int)result : 0;
}

static void withdraw(struct coir_case *wanted)
{
    struct watch *watch = wanted->coir__object;
    if (coir__loop->backend->cancel(coir__loop, &watch->op))
        coir__free(watch);
    else
        watch->wanted = NULL;
}

static size_t describe(const struct coir_case *wanted, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "%d", (int)wanted->coir__number);
}

const struct coir__waitable coir__on_descriptor = {"descriptor", attempt, begin, withdraw,
                                                   describe};
