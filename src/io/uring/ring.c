/* ring.c: the ring: opening one that works here, entries, entering the kernel, completions,
 * the wake-up, and moving to another ring.
 *
 * Owns both queues. What is offered to the kernel counts from the opening of the ring: an entry
 * whose position lies behind the kernel's head was not taken yet. With DEFER_TASKRUN completions
 * only appear on entering with GETEVENTS, and only to the thread that opened the ring: when another
 * thread runs the loop, or completions were dropped, a new ring takes over what is under way.
 * A ring that fails in a way that it never should is given up too. While there is none, posts and
 * timers work on. Called by uring.c and op.c.
 */
#include <stdio.h>
#include <string.h>

#include "io/uring/uring.h"

#define ENTRIES 256U
#define FEWEST 8U
#define COMPLETIONS 16U /* for each entry */
#define TRIES 10        /* of a NOP */
#define LOOKS 32        /* for one completion: a look may have the kernel do 20 things */
#define RECOVERY COIR_MS(10)
#define WORKERS 4U /* threads of the kernel: only calls on files and paths need one */

#define ALWAYS (IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP)
#define NEEDED                                                                                     \
    (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG)

/* What is wanted of a ring, and given up one after the other where the kernel does not know it. */
static const struct {
    uint32_t flags;
    const char *name;
} wanted[] = {
    {IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
    {IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
    {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, "COOP_TASKRUN"},
    {IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
};

static const uint8_t operations[] = {
    IORING_OP_NOP,  IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_RECV,
    IORING_OP_SEND, IORING_OP_SENDMSG,  IORING_OP_ACCEPT,       IORING_OP_CONNECT,
};

/* ---- the queue of entries ---- */

static unsigned count_queued(const struct coir__uring *uring)
{
    const struct io_uring_sq *queue = &uring->ring.sq;
    return queue->sqe_tail - __atomic_load_n(queue->khead, __ATOMIC_ACQUIRE);
}

static bool is_full(const struct coir__uring *uring)
{
    return count_queued(uring) >= *uring->ring.sq.kring_entries;
}

/* Offers all entries to the kernel. Returns how many it has not taken. */
static unsigned offer(struct coir__uring *uring)
{
    struct io_uring_sq *queue = &uring->ring.sq;
    __atomic_store_n(queue->ktail, queue->sqe_tail, __ATOMIC_RELEASE);
    return count_queued(uring);
}

/* ---- opening ---- */

static int setup(struct coir__uring *uring, uint32_t flags)
{
    int r = -ENOMEM;
    for (unsigned entries = ENTRIES; r == -ENOMEM && entries >= FEWEST; entries /= 2) {
        struct io_uring_params parameters = {.flags = flags, .cq_entries = entries * COMPLETIONS};
        r = coir__sys_uring_setup(&uring->ring, entries, &parameters);
    }
    uring->setup = flags;
    return r;
}

static int setup_with_most(struct coir__uring *uring)
{
    uint32_t flags = ALWAYS;
    for (size_t i = 0; i < COIR_COUNT(wanted); i++)
        flags |= wanted[i].flags;
    int r = setup(uring, flags);
    for (size_t i = 0; i < COIR_COUNT(wanted) && r == -EINVAL; i++)
        r = setup(uring, flags &= ~wanted[i].flags);
    return r;
}

/* Whether the kernel has all operations. Returns 0, or why not. */
static int check_operations(struct coir__uring *uring, char *why, size_t size)
{
    union {
        struct io_uring_probe probe;
        char space[sizeof(struct io_uring_probe) + 256 * sizeof(struct io_uring_probe_op)];
    } all;
    memset(&all, 0, sizeof all);
    int r = coir__sys_uring_probe(&uring->ring, &all.probe, 256);
    if (r < 0) {
        (void)snprintf(why, size, "io_uring_register: %s", coir_error_name(r));
        return r;
    }
    uring->known = 0;
    for (int i = 0; i < 64; i++)
        uring->known |= (uint64_t)(io_uring_opcode_supported(&all.probe, i) != 0) << i;
    for (size_t i = 0; i < COIR_COUNT(operations); i++) {
        if (io_uring_opcode_supported(&all.probe, operations[i]))
            continue;
        (void)snprintf(why, size, "this kernel's io_uring lacks operation %d", operations[i]);
        return -ENOTSUP;
    }
    return 0;
}

/* Hands over what is queued and waits. Returns 0 also where another try may do better. */
static int enter_once(struct coir__uring *uring, coir_time timeout)
{
    unsigned wait = timeout > 0 ? 1 : 0;
    int r = coir__sys_uring_enter(&uring->ring, offer(uring), wait, timeout);
    if (coir__likely(r >= 0))
        return 0;
    switch (-r) {
    case ETIME:
    case EINTR:
    case EAGAIN: /* no memory now, or completions first: what is queued stays queued */
    case EBUSY:
    case ENOMEM: return 0;
    default: return r;
    }
}

/* Sends a NOP through the ring. */
static int try_ring(struct coir__uring *uring)
{
    struct io_uring_sqe *entry = coir__uring_entry(uring);
    io_uring_prep_nop(entry);
    entry->user_data = COIR__URING_NOBODY;
    int r = 0;
    for (int tries = 0; tries < TRIES && r == 0 && !coir__uring_has_next(uring); tries++)
        r = enter_once(uring, COIR_MS(100));
    struct io_uring_cqe completion;
    if (r < 0)
        return r;
    return coir__uring_next(uring, &completion) ? completion.res : -ETIME;
}

static int check_ring(struct coir__uring *uring, char *why, size_t size)
{
    if ((uring->ring.features & NEEDED) != NEEDED) {
        (void)snprintf(why, size, "this kernel's io_uring is too old");
        return -ENOTSUP;
    }
    int r = check_operations(uring, why, size);
    if (r < 0)
        return r;
    r = try_ring(uring);
    if (r < 0)
        (void)snprintf(why, size, "io_uring_enter: %s", coir_error_name(r));
    return r;
}

static void describe(const struct coir__uring *uring, char *why, size_t size)
{
    size_t at = (size_t)snprintf(why, size, "%u entries", *uring->ring.sq.kring_entries);
    for (size_t i = 0; i < COIR_COUNT(wanted); i++)
        if ((uring->setup & wanted[i].flags) && at < size)
            at += (size_t)snprintf(why + at, size - at, "%s%s", ", ", wanted[i].name);
}

int coir__uring_ring_open(struct coir__uring *uring, char *why, size_t size)
{
    int r = setup_with_most(uring);
    if (r < 0) {
        (void)snprintf(why, size, "io_uring_setup: %s", coir_error_name(r));
        return r;
    }
    uring->wake_armed = false;
    struct io_uring_sq *queue = &uring->ring.sq;
    for (unsigned i = 0; queue->array != NULL && i < *queue->kring_entries; i++)
        queue->array[i] = i;
    r = check_ring(uring, why, size);
    if (r < 0) {
        coir__uring_ring_close(uring);
        return r;
    }
    (void)coir__sys_uring_hide_from_children(&uring->ring);
    (void)coir__sys_uring_limit_workers(&uring->ring, WORKERS);
    describe(uring, why, size);
    return 0;
}

void coir__uring_ring_close(struct coir__uring *uring)
{
    io_uring_queue_exit(&uring->ring);
}

/* ---- entries ---- */

struct io_uring_sqe *coir__uring_entry(struct coir__uring *uring)
{
    struct io_uring_sq *queue = &uring->ring.sq;
    if (coir__unlikely(uring->broken))
        return NULL;
    if (coir__unlikely(is_full(uring))) {
        (void)coir__sys_uring_submit(&uring->ring, offer(uring));
        if (is_full(uring))
            return NULL;
    }
    return &queue->sqes[queue->sqe_tail++ & *queue->kring_mask];
}

/* An operation may wait while the counter goes all the way round, so that the position alone does
 * not tell whose entry it is. */
struct io_uring_sqe *coir__uring_queued(const struct coir__uring *uring, uint32_t position,
                                        uint64_t name)
{
    const struct io_uring_sq *queue = &uring->ring.sq;
    if (uring->broken || queue->sqe_tail - 1 - position >= count_queued(uring))
        return NULL;
    struct io_uring_sqe *entry = &queue->sqes[position & *queue->kring_mask];
    return entry->user_data == name ? entry : NULL;
}

/* ---- completions ---- */

bool coir__uring_has_next(const struct coir__uring *uring)
{
    const struct io_uring_cq *queue = &uring->ring.cq;
    return *queue->khead != __atomic_load_n(queue->ktail, __ATOMIC_ACQUIRE);
}

bool coir__uring_next(struct coir__uring *uring, struct io_uring_cqe *ret_completion)
{
    struct io_uring_cq *queue = &uring->ring.cq;
    unsigned head = *queue->khead;
    if (head == __atomic_load_n(queue->ktail, __ATOMIC_ACQUIRE))
        return false;
    *ret_completion = queue->cqes[head & *queue->kring_mask];
    __atomic_store_n(queue->khead, head + 1, __ATOMIC_RELEASE);
    return true;
}

/* ---- entering ---- */

bool coir__uring_has_entries(const struct coir__uring *uring)
{
    return count_queued(uring) > 0;
}

bool coir__uring_wants_enter(const struct coir__uring *uring)
{
    const struct io_uring_sq *queue = &uring->ring.sq;
    if (uring->broken)
        return true;
    unsigned flags = __atomic_load_n(queue->kflags, __ATOMIC_RELAXED);
    return queue->sqe_tail != __atomic_load_n(queue->khead, __ATOMIC_RELAXED) ||
           (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) ||
           !(uring->setup & IORING_SETUP_TASKRUN_FLAG);
}

unsigned coir__uring_look_from(const struct coir__uring *uring)
{
    return *uring->ring.cq.khead;
}

bool coir__uring_look(const struct coir__uring *uring, uint64_t name, unsigned *at,
                      struct io_uring_cqe *ret_completion)
{
    const struct io_uring_cq *queue = &uring->ring.cq;
    unsigned end = __atomic_load_n(queue->ktail, __ATOMIC_ACQUIRE);
    while (*at != end) {
        *ret_completion = queue->cqes[(*at)++ & *queue->kring_mask];
        if (ret_completion->user_data == name)
            return true;
    }
    return false;
}

static bool find_last(const struct coir__uring *uring, uint64_t name,
                      struct io_uring_cqe *ret_completion)
{
    unsigned at = coir__uring_look_from(uring);
    while (coir__uring_look(uring, name, &at, ret_completion))
        if (!(ret_completion->flags & IORING_CQE_F_MORE))
            return true;
    return false;
}

bool coir__uring_fetch(struct coir__uring *uring, uint64_t name,
                       struct io_uring_cqe *ret_completion)
{
    for (int tries = 0; tries < LOOKS && !uring->broken; tries++) {
        int r = coir__sys_uring_enter(&uring->ring, offer(uring), 0, 0);
        bool found = find_last(uring, name, ret_completion);
        if (found || (r < 0 && r != -EINTR))
            return found;
    }
    return false;
}

/* Gives up the ring. What had been completed counts; failure is how the rest ends, or 0: it is
 * entered again. */
static void abandon(struct coir__uring *uring, int failure)
{
    struct io_uring_cqe completion;
    coir__uring_note_unseen(uring);
    while (coir__uring_next(uring, &completion))
        coir__uring_keep(uring, &completion);
    coir__uring_ring_close(uring);
    uring->failure = failure;
    uring->broken = true;
}

/* Opens another ring, on this thread, which takes over what is under way. */
static int replace(struct coir__uring *uring)
{
    struct coir__uring fresh = {.loop = uring->loop};
    char why[96];
    int r = coir__uring_ring_open(&fresh, why, sizeof why);
    uring->next_try = coir__clock() + RECOVERY;
    uring->lack = r < 0 ? r : 0;
    if (r < 0)
        return r;
    uring->ring = fresh.ring;
    uring->setup = fresh.setup;
    uring->known = fresh.known;
    uring->wake_armed = uring->broken = false;
    coir__uring_restart(uring);
    return 0;
}

/* There is no ring. When another one cannot be had either, the next try comes a little later;
 * meanwhile wake-ups still end the wait. */
static int recover(struct coir__uring *uring, coir_time timeout)
{
    if (coir__clock() >= uring->next_try && replace(uring) == 0)
        return 0;
    coir_time left = coir__uring_retry_in(uring);
    coir__sys_wait_eventfd(uring->wakefd, timeout < left ? timeout : left);
    return uring->lack;
}

coir_time coir__uring_retry_in(const struct coir__uring *uring)
{
    coir_time now = coir__clock();
    return uring->next_try > now ? uring->next_try - now : 0;
}

/* What a ring should never say: a filter forbids it since now, or somebody has closed its number.
 * Rings that are lost one after the other are replaced one at a time. */
static int lose(struct coir__uring *uring, int code, coir_time timeout)
{
    if (code == -EBADF || code == -EOPNOTSUPP)
        uring->ring.ring_fd = -1; /* the number is somebody else's */
    abandon(uring, 0);
    uring->lack = -EAGAIN;
    int r = recover(uring, timeout);
    if (!uring->reported)
        coir__report(uring->loop, COIR_REPORT_MISUSE, NULL, NULL, "io_uring_enter: %s; %s",
                     coir_error_name(code),
                     r < 0 ? "without it reading and writing fail" : "another ring has taken over");
    uring->reported = true;
    return r;
}

int coir__uring_enter(struct coir__uring *uring, coir_time timeout)
{
    if (coir__unlikely(uring->broken))
        return recover(uring, timeout);
    int r = enter_once(uring, timeout);
    if (coir__likely(r == 0))
        return 0;
    if (r != -EEXIST && r != -EBADR)
        return lose(uring, r, timeout);
    abandon(uring, r == -EBADR ? -EIO : 0); /* EBADR: completions were lost */
    return replace(uring);
}

/* ---- the wake-up ---- */

/* Nobody reads the counter, since each write to it is a completion of its own; only a poll of one
 * shot, which would find it again, has it read when it ends. */
void coir__uring_arm_wake(struct coir__uring *uring)
{
    struct io_uring_sqe *entry = uring->wake_armed ? NULL : coir__uring_entry(uring);
    if (entry == NULL)
        return;
    if (uring->wake_once)
        io_uring_prep_poll_add(entry, uring->wakefd, POLLIN);
    else
        io_uring_prep_poll_multishot(entry, uring->wakefd, POLLIN);
    entry->user_data = COIR__URING_WAKE;
    uring->wake_armed = true;
}

void coir__uring_wake_ended(struct coir__uring *uring, int result)
{
    uring->wake_armed = false;
    uring->wake_once |= result == -EINVAL;
    if (uring->wake_once)
        coir__sys_wait_eventfd(uring->wakefd, 0);
}
