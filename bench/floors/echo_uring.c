/* Floor of echo/ and http/ on io_uring: one thread, multishot accept and receive into a ring of
 * provided buffers, each buffer sent as it is and given back when it has left. SINGLE_ISSUER and
 * DEFER_TASKRUN, no records but the kernel's. user_data is operation, buffer, descriptor. With the
 * word `http` it answers requests, and with `http_close` one on each connection. Owns the ring and
 * the buffers; runs until it is killed. */
#define _GNU_SOURCE
#include "echo_listen.h"
#include "http_replies.h"

#include <errno.h>
#include <liburing.h>
#include <unistd.h>

enum { ENTRIES = 4096, COMPLETIONS = 16384, BUFFERS = 4096, BUFFER = 16384 };
enum operation { ACCEPT = 1, RECEIVE, SEND };

static struct io_uring ring;
static struct io_uring_buf_ring *given;
static char *buffers;
static int http, closes;

static struct io_uring_sqe *prepare(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    return sqe;
}

static void name(struct io_uring_sqe *sqe, enum operation operation, int fd, unsigned buffer)
{
    sqe->user_data = (uint64_t)operation << 56 | (uint64_t)buffer << 32 | (uint32_t)fd;
}

static char *at(unsigned buffer)
{
    return buffers + (size_t)buffer * BUFFER;
}

static void give(unsigned buffer)
{
    int mask = io_uring_buf_ring_mask(BUFFERS);
    io_uring_buf_ring_add(given, at(buffer), BUFFER, (unsigned short)buffer, mask, 0);
    io_uring_buf_ring_advance(given, 1);
}

static void start_accept(int listener)
{
    struct io_uring_sqe *sqe = prepare();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
    name(sqe, ACCEPT, listener, 0);
}

static void start_receive(int fd)
{
    struct io_uring_sqe *sqe = prepare();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    name(sqe, RECEIVE, fd, 0);
}

static void on_accept(const struct io_uring_cqe *cqe, int listener)
{
    if (cqe->res >= 0)
        start_receive(cqe->res);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        start_accept(listener);
}

static void on_receive(const struct io_uring_cqe *cqe, int fd)
{
    unsigned buffer = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    int more = cqe->flags & IORING_CQE_F_MORE;
    if (cqe->res <= 0) {
        if (cqe->flags & IORING_CQE_F_BUFFER)
            give(buffer);
        if (cqe->res == -ENOBUFS)
            start_receive(fd);
        else if (!more)
            close(fd);
        return;
    }
    if (!more)
        start_receive(fd);
    const char *data = at(buffer);
    size_t size = (size_t)cqe->res;
    if (http)
        data = http_replies(data, size, &size);
    struct io_uring_sqe *sqe = prepare();
    io_uring_prep_send(sqe, fd, data, size, MSG_WAITALL);
    name(sqe, SEND, fd, buffer);
}

static void on_completion(const struct io_uring_cqe *cqe)
{
    int fd = (int)(uint32_t)cqe->user_data;
    switch ((enum operation)(cqe->user_data >> 56)) {
    case ACCEPT: on_accept(cqe, fd); break;
    case RECEIVE: on_receive(cqe, fd); break;
    case SEND:
        give(cqe->user_data >> 32 & 0xffff);
        if (closes)
            shutdown(fd, SHUT_RDWR); /* the receive ends then, and closes */
        break;
    }
}

static int check(int r, const char *what)
{
    if (r < 0) {
        errno = -r;
        perror(what);
        exit(1);
    }
    return r;
}

static void open_ring(void)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETIONS,
    };
    check(io_uring_queue_init_params(ENTRIES, &ring, &params), "io_uring");
    size_t size = BUFFERS * sizeof(struct io_uring_buf);
    given = aligned_alloc(4096, size);
    buffers = aligned_alloc(4096, (size_t)BUFFERS * BUFFER);
    if (!given || !buffers)
        exit(1);
    memset(given, 0, size);
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)given, .ring_entries = BUFFERS};
    check(io_uring_register_buf_ring(&ring, &reg, 0), "buffer ring");
    io_uring_buf_ring_init(given);
    for (unsigned i = 0; i < BUFFERS; i++)
        give(i);
}

int main(int argc, char **argv)
{
    closes = !strcmp(argv[argc - 1], "http_close");
    http = closes || !strcmp(argv[argc - 1], "http");
    open_ring();
    start_accept(echo_listen(0));
    for (;;) {
        int r = io_uring_submit_and_wait(&ring, 1);
        if (r != -EINTR && r != -EAGAIN && r != -EBUSY)
            check(r, "submit");
        unsigned head, count = 0;
        struct io_uring_cqe *cqe;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            on_completion(cqe);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
