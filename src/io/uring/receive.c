/* receive.c: files that receive without being asked each time.
 *
 * A file that is read again and again, a few bytes each time, has one operation for all of it: a
 * receive of many shots. What comes lands in a buffer of the ring's pool, is copied to whoever
 * reads, and the buffer goes back at once; only what comes while nobody reads stays in it. Owns the
 * pool and the receives.
 *
 * Nothing is lost, and the order stays: while a file has a receive, or bytes or an end that one has
 * brought, nothing else reads from it. A receive that has ended, for whatever reason, leaves what
 * it has brought, and the next read that finds nothing asks for itself, as with other files.
 *
 * Nobody starves: a file that holds too many buffers, or fills them, is received for no longer, and
 * where the kernel finds no buffer the file is read as others are. Called by op.c, and by
 * file.c when a file is closed.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "io/uring/uring.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(data, size) 0
#endif

#define BUFFER 2048U
#define MOST_BUFFERS 1024U
#define FIRST_BUFFERS 64U
#define SMALL (BUFFER / 2)
#define MOST_HELD 4U /* buffers, of one file */
#define MOST_PATIENCE 1024U
#define GROUP 0
#define NO_BUFFER UINT16_MAX

uint16_t coir__uring_patience = 2;

/* A buffer is a cache line longer than what goes into it, so that the beginnings of all of them,
 * which are used most, do not compete for the same places of the processor's cache. */
struct coir__uring_buffers {
    struct io_uring_buf entries[MOST_BUFFERS];
    struct {
        uint16_t next;         /* of those that a file holds */
        uint16_t from, length; /* what was not read; 0: it is the kernel's */
    } marks[MOST_BUFFERS];
    char data[MOST_BUFFERS][BUFFER + 64];
};

/* ---- the pool ---- */

static struct io_uring_buf_ring *ring_of(const struct coir__uring_pool *pool)
{
    return (struct io_uring_buf_ring *)(void *)pool->buffers->entries;
}

/* Gives a buffer to the kernel. */
static void give(struct coir__uring_pool *pool, uint16_t number)
{
    struct io_uring_buf_ring *ring = ring_of(pool);
    pool->buffers->marks[number].length = 0;
    io_uring_buf_ring_add(ring, pool->buffers->data[number], BUFFER, number, MOST_BUFFERS - 1, 0);
    io_uring_buf_ring_advance(ring, 1);
    pool->free++;
}

/* Makes the pool known to the ring. Those that files hold stay theirs. */
static int register_pool(struct coir__uring *uring)
{
    struct coir__uring_pool *pool = &uring->pool;
    io_uring_buf_ring_init(ring_of(pool));
    int r =
        coir__sys_uring_register_buffers(&uring->ring, pool->buffers->entries, MOST_BUFFERS, GROUP);
    if (r < 0)
        return r;
    pool->registered = true;
    pool->free = 0;
    for (uint16_t i = 0; i < pool->count; i++)
        if (pool->buffers->marks[i].length == 0)
            give(pool, i);
    return 0;
}

/* The kernel has run out of buffers: it gets more, once in a turn. Returns whether it has more now.
 */
static bool grow(struct coir__uring *uring)
{
    struct coir__uring_pool *pool = &uring->pool;
    if (pool->grown == uring->loop->turns && pool->free > 0)
        return true;
    if (!pool->registered || pool->count == MOST_BUFFERS)
        return false;
    uint32_t count = pool->count * 2;
    pool->grown = uring->loop->turns;
    while (pool->count < count)
        give(pool, (uint16_t)pool->count++);
    return true;
}

static int open_pool(struct coir__uring *uring)
{
    struct coir__uring_pool *pool = &uring->pool;
    if (pool->registered)
        return 0;
    if (pool->buffers == NULL) {
        pool->buffers = coir__sys_mmap(sizeof *pool->buffers, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
        pool->count = FIRST_BUFFERS;
    }
    return pool->buffers == NULL ? -ENOMEM : register_pool(uring);
}

void coir__uring_pool_close(struct coir__uring *uring)
{
    if (uring->pool.buffers != NULL)
        (void)munmap(uring->pool.buffers, sizeof *uring->pool.buffers);
}

/* ---- what a file holds ---- */

static void hold(struct coir__uring_pool *pool, struct coir__uring_receive *receive,
                 uint16_t number, uint16_t length)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(pool->buffers->data[number], length);
    pool->buffers->marks[number].next = NO_BUFFER;
    pool->buffers->marks[number].from = 0;
    pool->buffers->marks[number].length = length;
    if (receive->held++ > 0)
        pool->buffers->marks[receive->last].next = number;
    else
        receive->first = number;
    receive->last = number;
    receive->bytes += length;
}

/* Takes up to size bytes out of the first buffer, which goes back when it is empty; data NULL:
 * throws them away. */
static size_t take_some(struct coir__uring_pool *pool, struct coir__uring_receive *receive,
                        char *data, size_t size)
{
    uint16_t number = receive->first;
    uint16_t from = pool->buffers->marks[number].from, length = pool->buffers->marks[number].length;
    uint16_t n = size < length ? (uint16_t)size : length;
    if (data != NULL)
        memcpy(data, pool->buffers->data[number] + from, n);
    receive->bytes -= n;
    if (n == length) {
        receive->first = pool->buffers->marks[number].next;
        receive->held--;
        give(pool, number);
    } else {
        pool->buffers->marks[number].from = (uint16_t)(from + n);
        pool->buffers->marks[number].length = (uint16_t)(length - n);
    }
    return n;
}

static size_t take(struct coir__uring_pool *pool, struct coir__uring_receive *receive, char *data,
                   size_t size)
{
    size_t done = 0;
    while (receive->held > 0 && done < size)
        done += take_some(pool, receive, data != NULL ? data + done : NULL, size - done);
    return done;
}

size_t coir__uring_held(struct coir_loop *loop, struct coir__file *file)
{
    (void)loop;
    const struct coir__uring_receive *receive = coir__uring_file_of(file)->receive;
    return receive != NULL ? receive->bytes : 0;
}

int coir__uring_unread(struct coir_loop *loop, struct coir__file *file)
{
    int held = (int)coir__uring_held(loop, file), r = coir__native_unread(loop, file);
    return r < 0 && held == 0 ? r : held + (r > 0 ? r : 0);
}

/* ---- beginning ---- */

void coir__uring_receive_note(struct coir__uring_file *file, size_t n, size_t length)
{
    if (n > SMALL)
        file->file.small = 0;
    else if (n < length && file->file.small < COIR__URING_PATIENCE - 1)
        file->file.small++;
}

/* It was not worthwhile: the next time takes longer. */
static void discourage(struct coir__uring_file *file)
{
    unsigned patience = file->file.patience * 2U + 1;
    file->file.patience =
        (patience < MOST_PATIENCE ? patience : MOST_PATIENCE) & COIR__URING_PATIENCE;
    file->file.small = 0;
}

static int arm(struct coir__uring *uring, struct coir__uring_file *file)
{
    struct coir__uring_receive *receive = file->receive;
    int r = open_pool(uring);
    if (r < 0)
        return r;
    if (uring->pool.free == 0 && !grow(uring))
        return -ENOBUFS;
    if (receive == NULL) {
        receive = coir__alloc_own(sizeof *receive);
        if (receive == NULL)
            return -ENOMEM;
        *receive = (struct coir__uring_receive){.op.kind = COIR__URING_RECEIVE};
        receive->op.file = &file->file;
        file->receive = receive;
    }
    struct coir__uring_slot *slot = coir__uring_slot_take(uring, &receive->op);
    if (slot == NULL)
        return -ENOMEM;
    receive->op.active = true;
    uring->receives++;
    coir__uring_slot_enter(uring, slot);
    return 0;
}

/* This kernel, or a filter, does not know it: nobody asks again. coir_info() says so. */
static void refuse(struct coir__uring *uring, int code)
{
    char *why = uring->loop->backend_why;
    size_t at = strlen(why);
    uring->pool.refused = true;
    (void)snprintf(why + at, sizeof uring->loop->backend_why - at, ", no multishot receive: %s",
                   coir_error_name(code));
}

void coir__uring_receive_arm(struct coir__uring *uring, struct coir__uring_file *file)
{
    uint32_t prevented = file->file.flags & (COIR__URING_DIRECT | COIR__URING_SHOWN);
    if (uring->pool.refused || uring->broken || prevented ||
        !(file->file.flags & COIR__NATIVE_STREAM))
        return;
    int r = arm(uring, file);
    if (r < 0)
        discourage(file);
    if (r == -EINVAL || r == -EPERM || r == -EOPNOTSUPP || r == -ENOSYS)
        refuse(uring, r);
}

/* ---- reading ---- */

static long take_poll(const struct coir__uring_receive *receive, const struct coir__op *op)
{
    int events = 0;
    if (receive->held > 0)
        events = POLLIN;
    else if (receive->over)
        events = POLLIN | POLLRDHUP | (receive->result < 0 ? POLLERR | POLLHUP : 0);
    events &= op->events | POLLERR | POLLHUP;
    return events != 0 ? events : COIR__STARTED;
}

static long take_read(struct coir__uring *uring, struct coir__uring_receive *receive,
                      struct coir__op *op)
{
    if (receive->held > 0) {
        if (coir__op_lend(uring->loop, op) < 0)
            return -ENOMEM;
        return (long)take(&uring->pool, receive, op->data, op->length);
    }
    if (!receive->over)
        return COIR__STARTED;
    receive->over = false;
    return receive->result;
}

long coir__uring_receive_take(struct coir__uring *uring, struct coir__op *op)
{
    struct coir__uring_receive *receive = coir__uring_file_of(op->file)->receive;
    long result =
        op->kind == COIR__OP_POLL ? take_poll(receive, op) : take_read(uring, receive, op);
    op->slot = COIR__URING_NONE;
    return result;
}

/* Sees to whoever waits for what file receives. Returns how many operations it ended: then file may
 * be gone. */
static int serve(struct coir__uring *uring, struct coir__uring_file *file)
{
    struct coir__op *op = &file->file.read;
    if (!op->active || op->slot != COIR__URING_NONE)
        return 0;
    long result = COIR__STARTED;
    if (coir__uring_receives(file)) {
        result = coir__uring_receive_take(uring, op);
    } else {
        int r = coir__uring_resume(uring, op);
        result = r < 0 ? r : COIR__STARTED;
    }
    return result == COIR__STARTED ? 0 : coir__uring_tell(uring, op, result);
}

/* ---- the end of a receive ---- */

/* Asks for the end of a receive that was not worthwhile. */
static void stop(struct coir__uring *uring, struct coir__uring_file *file)
{
    discourage(file);
    if (file->receive->op.active && !uring->slots[file->receive->op.slot].cancelled)
        (void)coir__uring_cancel(uring->loop, &file->receive->op);
}

/* What the last completion of a receive says. */
static void note_end(struct coir__uring *uring, struct coir__uring_file *file, int result)
{
    struct coir__uring_receive *receive = file->receive;
    switch (-result) {
    case EAGAIN:
    case EINTR:
    case ECANCELED: break;
    case ENOBUFS:
        if (!grow(uring))
            discourage(file);
        break;
    case EINVAL:
    case EOPNOTSUPP:
        discourage(file);
        if (!uring->pool.proven && !uring->pool.refused)
            refuse(uring, result);
        break;
    default:
        if (result > 0) /* it has brought something, and another one can be had */
            break;
        receive->over = true;
        receive->result = result;
    }
}

/* The kernel is done with a receive whose file was closed meanwhile. */
static void free_receive(struct coir__uring_pool *pool, struct coir__uring_receive *receive)
{
    (void)take(pool, receive, NULL, SIZE_MAX);
    coir__free_own(receive);
}

int coir__uring_receive_finish(struct coir__uring *uring, struct coir__uring_slot *slot,
                               const struct io_uring_cqe *completion)
{
    struct coir__uring_receive *receive = coir__container(slot->op, struct coir__uring_receive, op);
    struct coir__uring_file *file =
        receive->op.file != NULL ? coir__uring_file_of(receive->op.file) : NULL;
    if (completion->flags & IORING_CQE_F_BUFFER) {
        uint16_t number = (uint16_t)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
        uring->pool.free--;
        uring->pool.proven |= completion->res > 0;
        if (completion->res > 0)
            hold(&uring->pool, receive, number, (uint16_t)completion->res);
        else
            give(&uring->pool, number);
    }
    bool last = !(completion->flags & IORING_CQE_F_MORE);
    if (last)
        coir__uring_slot_release(uring, slot);
    if (file == NULL) {
        if (last)
            free_receive(&uring->pool, receive);
        return 0;
    }
    if (last)
        note_end(uring, file, completion->res);
    if (completion->res == BUFFER || receive->held > MOST_HELD)
        stop(uring, file);
    return serve(uring, file);
}

void coir__uring_receive_lose(struct coir__uring *uring, struct coir__uring_slot *slot, int failure)
{
    struct coir__uring_receive *receive = coir__container(slot->op, struct coir__uring_receive, op);
    coir__uring_slot_release(uring, slot);
    if (receive->op.file == NULL) {
        free_receive(&uring->pool, receive);
        return;
    }
    receive->over = failure < 0;
    receive->result = failure;
    (void)serve(uring, coir__uring_file_of(receive->op.file));
}

/* ---- ending it at once ---- */

/* Ends a receive before it returns, if the kernel does its part. */
static void end_now(struct coir__uring *uring, struct coir__uring_receive *receive)
{
    if (!receive->op.active || coir__uring_cancel(uring->loop, &receive->op))
        return;
    struct io_uring_cqe completion;
    uint32_t number = receive->op.slot;
    uint64_t name = coir__uring_name(uring, &uring->slots[number]);
    if (!coir__uring_fetch(uring, name, &completion))
        return;
    unsigned at = coir__uring_look_from(uring);
    while (receive->op.active && coir__uring_look(uring, name, &at, &completion))
        (void)coir__uring_receive_finish(uring, &uring->slots[number], &completion);
}

void coir__uring_show(struct coir_loop *loop, struct coir__file *file)
{
    struct coir__uring_file *record = coir__uring_file_of(file);
    file->flags |= COIR__URING_SHOWN;
    if (record->receive != NULL)
        end_now(coir__uring_of(loop), record->receive);
}

bool coir__uring_holds(struct coir_loop *loop, struct coir__file *file)
{
    (void)loop;
    return coir__uring_receives(coir__uring_file_of(file));
}

bool coir__uring_receive_close(struct coir__uring *uring, struct coir__uring_file *file)
{
    struct coir__uring_receive *receive = file->receive;
    if (receive == NULL)
        return false;
    end_now(uring, receive);
    bool unread = receive->bytes > 0;
    if (receive->op.active)
        receive->op.file = NULL; /* the kernel has yet to let go */
    else
        free_receive(&uring->pool, receive);
    return unread;
}
