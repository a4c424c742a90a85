/* io_uring.h: what the tests of the io_uring backend share: its inside, and calls that fail when a
 * test says so.
 */
#ifndef COIR_TESTS_IO_URING_H
#define COIR_TESTS_IO_URING_H

#include "io/uring/uring.h"
#include "net_pair.h"

#define ONLY_HERE                                                                                  \
    if (strcmp(coir_test_backend(), "uring") != 0)                                                 \
    COIR_SKIP("of the io_uring backend")

/* On older kernels rings are opened in other steps, and looking costs a call. */
#define ONLY_WITH_ALL_FLAGS(loop)                                                                  \
    if (!(ring_of(loop)->setup & IORING_SETUP_DEFER_TASKRUN))                                      \
    COIR_SKIP("needs Linux 6.1")

static inline struct coir__uring *ring_of(coir_loop *loop)
{
    return coir__uring_of(loop);
}

static struct {
    enum coir__sys_call call;
    int error, times, skip;
} faults;

static inline int meet_fault(enum coir__sys_call call, size_t *length)
{
    (void)length;
    if (call != faults.call || faults.skip-- > 0 || faults.times <= 0)
        return 0;
    faults.times--;
    return -faults.error;
}

#define FAULT(which, code, count)                                                                  \
    faults.call = COIR__SYS_##which, faults.error = (code), faults.times = (count),                \
    faults.skip = 0, coir__sys_fault = meet_fault

/* The kernel completes what it can, and then the loop needs another ring, before anybody has looked
 * at what is complete. */
static inline void complete_and_move(struct coir__uring *uring)
{
    COIR_EXPECT_EQ(coir__uring_enter(uring, 0), 0);
    FAULT(URING_ENTER, EEXIST, 1);
    COIR_EXPECT_EQ(coir__uring_enter(uring, 0), 0);
    coir__sys_fault = NULL;
}

#endif
