/* outside.c: streams over descriptors that others share, or that the simulation does not know: the
 * ends of pipes to processes, terminals, standard input and output.
 *
 * Such a stream is made of functions: one attempt, or a wait for the descriptor and an attempt. A
 * descriptor whose open file is shared with other programs cannot be made non-blocking, because
 * that would make it so for them too. There each attempt is made only when the kernel has said that
 * it will not wait, and writes are small enough for what it has promised.
 */
#include <stdio.h>

#include <coir/pipe.h>

#include "io/descriptor/file.h"
#include "io/descriptor/native.h"
#include "io/stream/outside.h"
#include "io/process/sys.h"

#define PROMISED 256 /* bytes that a terminal, or a pipe, takes when it says that it is writable */

struct outside {
    int fd;
    struct coir_loop *loop;
    struct coir__outside_opts opts;
};

/* ---- waiting ---- */

void coir__outside_poll(struct coir__op *op, int fd, short events,
                        void (*done)(struct coir__op *op))
{
    *op = (struct coir__op){.kind = COIR__OP_POLL, .fd = fd, .events = events, .done = done};
    op->outside = coir__loop->backend->simulated;
}

static bool abort_wait(struct coir_task *task)
{
    struct coir__op *op = (struct coir__op *)(uintptr_t)task->wait_object;
    return task->loop->backend->cancel(task->loop, op);
}

static size_t describe_wait(const struct coir_task *task, char *text, size_t size)
{
    const struct coir__op *op = task->wait_object;
    return (size_t)snprintf(text, size, "fd %d", op->fd);
}

static const struct coir__wait read_wait = {"waits to read", abort_wait, describe_wait};
static const struct coir__wait write_wait = {"waits to write", abort_wait, describe_wait};

static void wait_done(struct coir__op *op)
{
    coir__wake(op->task, coir__late(op, op->result));
}

static int wait_for(int fd, short events)
{
    struct coir_task *self = coir__self();
    int r = coir__enter(self);
    if (r < 0)
        return r;
    struct coir__op op;
    coir__outside_poll(&op, fd, events, wait_done);
    op.task = self;
    long result = self->loop->backend->start(self->loop, &op);
    if (result == COIR__STARTED)
        result = coir__park(self, events == POLLIN ? &read_wait : &write_wait, &op);
    return result < 0 ? (int)result : 0;
}

/* ---- the functions of the stream ---- */

static int outside_read(void *state, void *data, size_t size, size_t *ret_n)
{
    struct outside *outside = state;
    struct coir__op op = {.data = data, .length = size};
    long n = outside->opts.waits ? -EAGAIN : coir__native_read(outside->fd, 0, &op);
    while (n == -EAGAIN) {
        int r = wait_for(outside->fd, POLLIN);
        if (r < 0)
            return r;
        n = coir__native_read(outside->fd, 0, &op);
    }
    if (n <= 0)
        return (int)n;
    *ret_n = (size_t)n;
    return 1;
}

static int outside_write(void *state, const struct iovec *vectors, size_t count, size_t *ret_n)
{
    struct outside *outside = state;
    struct iovec little = vectors[0];
    struct coir__op op = {.vectors = vectors, .count = count < IOV_MAX ? (int)count : IOV_MAX};
    if (outside->opts.waits) {
        little.iov_len = little.iov_len < PROMISED ? little.iov_len : PROMISED;
        op.vectors = &little;
        op.count = 1;
    }
    long n = outside->opts.waits ? -EAGAIN : coir__native_write(outside->fd, 0, &op);
    while (n == -EAGAIN) {
        int r = wait_for(outside->fd, POLLOUT);
        if (r < 0)
            return r;
        n = coir__native_write(outside->fd, 0, &op);
    }
    if (n < 0)
        return (int)n;
    *ret_n = (size_t)n;
    return 0;
}

static int outside_shutdown(void *state)
{
    (void)state;
    return -ENOTSOCK; /* as for every descriptor that is no socket */
}

static void outside_close(void *state, bool abrupt)
{
    (void)abrupt;
    struct outside *outside = state;
    if (!outside->opts.keep) {
        coir__sys_close(outside->fd);
        outside->loop->descriptors--;
    }
    coir__free(outside);
}

static int outside_query(void *state, int key, void *ret_value)
{
    const struct outside *outside = state;
    switch (key) {
    case COIR_QUERY_NAME: *(const char **)ret_value = outside->opts.name; return 0;
    case COIR_QUERY_DESCRIPTOR: *(int *)ret_value = outside->fd; return 0;
    default: return -EOPNOTSUPP;
    }
}

static const coir_stream_ops outside_ops = {
    .name = "descriptor",
    .read = outside_read,
    .write = outside_write,
    .shutdown = outside_shutdown,
    .close = outside_close,
    .query = outside_query,
};

/* ---- making ---- */

int coir__outside_stream(int fd, const struct coir__outside_opts *opts, coir_stream **ret_stream)
{
    struct outside *outside = coir__alloc(sizeof *outside);
    if (outside == NULL)
        return -ENOMEM;
    *outside = (struct outside){.fd = fd, .loop = coir__loop, .opts = *opts};
    int r = coir_stream_open(&outside_ops, outside, ret_stream);
    if (r < 0)
        coir__free(outside);
    else if (!opts->keep)
        coir__loop->descriptors++;
    return r;
}

int coir__outside_own(int fd, const char *name, coir_stream **ret_stream)
{
    if (!coir__loop->backend->simulated)
        return coir_stream_adopt(fd, ret_stream);
    int r = coir__sys_set_nonblocking(fd);
    struct coir__outside_opts opts = {.name = name};
    return r < 0 ? r : coir__outside_stream(fd, &opts, ret_stream);
}

int coir__outside_pipe(bool child_reads, int *ret_childs, coir_stream **ret_ours)
{
    int fds[2];
    int r = coir__sys_pipe_that_waits(fds);
    if (r < 0)
        return r;
    int ours = fds[child_reads ? 1 : 0], childs = fds[child_reads ? 0 : 1];
    r = coir__outside_own(ours, "pipe", ret_ours);
    if (r < 0) {
        coir__sys_close(ours);
        coir__sys_close(childs);
        return r;
    }
    *ret_childs = childs;
    return 0;
}
