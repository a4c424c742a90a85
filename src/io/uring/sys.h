/* sys.h: the system calls of io_uring, behind the fault hook of core/sys.h. Internal to io.
 *
 * Only what enters the kernel is here; the memory that is shared with it is liburing's layout and
 * read and written by ring.c.
 */
#ifndef COIR_IO_URING_SYS_H
#define COIR_IO_URING_SYS_H

#include <liburing.h>

#include "core/sys.h"

static inline int coir__sys_uring_setup(struct io_uring *ring, unsigned entries,
                                        struct io_uring_params *parameters)
{
    COIR__SYS_FAULT(COIR__SYS_URING_SETUP, NULL);
    return io_uring_queue_init_params(entries, ring, parameters);
}

/* Submits and waits for wait completions, up to timeout nanoseconds when that is more than 0
 * (COIR_FOREVER: without end). -ETIME when the time is over. */
static inline int coir__sys_uring_enter(const struct io_uring *ring, unsigned submit, unsigned wait,
                                        coir_time timeout)
{
    COIR__SYS_FAULT(COIR__SYS_URING_ENTER, NULL);
    unsigned flags = IORING_ENTER_GETEVENTS;
    if (wait == 0 || timeout == COIR_FOREVER)
        return io_uring_enter2((unsigned)ring->ring_fd, submit, wait, flags, NULL, _NSIG / 8);
    struct __kernel_timespec time = {.tv_sec = timeout / 1000000000,
                                     .tv_nsec = timeout % 1000000000};
    struct io_uring_getevents_arg argument = {.sigmask_sz = _NSIG / 8,
                                              .ts = (uint64_t)(uintptr_t)&time};
    return io_uring_enter2((unsigned)ring->ring_fd, submit, wait, flags | IORING_ENTER_EXT_ARG,
                           (sigset_t *)(void *)&argument, sizeof argument);
}

/* Hands entries over and does not look at completions. */
static inline int coir__sys_uring_submit(const struct io_uring *ring, unsigned submit)
{
    COIR__SYS_FAULT(COIR__SYS_URING_ENTER, NULL);
    return io_uring_enter2((unsigned)ring->ring_fd, submit, 0, 0, NULL, 0);
}

static inline int coir__sys_uring_probe(struct io_uring *ring, struct io_uring_probe *probe,
                                        unsigned count)
{
    COIR__SYS_FAULT(COIR__SYS_URING_REGISTER, NULL);
    return io_uring_register_probe(ring, probe, count);
}

static inline int coir__sys_uring_limit_workers(struct io_uring *ring, unsigned most)
{
    COIR__SYS_FAULT(COIR__SYS_URING_REGISTER, NULL);
    unsigned limits[2] = {most, most}; /* bounded and unbounded work */
    return io_uring_register_iowq_max_workers(ring, limits);
}

/* Makes count buffers known that ring, which is memory of the caller, tells of. */
static inline int coir__sys_uring_register_buffers(struct io_uring *ring, void *buffers,
                                                   unsigned count, uint16_t group)
{
    COIR__SYS_FAULT(COIR__SYS_URING_REGISTER, NULL);
    struct io_uring_buf_reg request = {
        .ring_addr = (uintptr_t)buffers, .ring_entries = count, .bgid = group};
    return io_uring_register_buf_ring(ring, &request, 0);
}

/* A child of fork(2) must not see the memory that the kernel shares with the parent. */
static inline int coir__sys_uring_hide_from_children(struct io_uring *ring)
{
    COIR__SYS_FAULT(COIR__SYS_MADVISE, NULL);
    return io_uring_ring_dontfork(ring);
}

#endif
