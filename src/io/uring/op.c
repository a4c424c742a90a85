/* op.c: operations: their slots, the entries that they become, and what completions mean.
 *
 * Owns the slots and the backlog of those for which no entry was to be had. Results are those of
 * epoll: EINTR and EAGAIN never leave this file, and what the ring cannot do is done by calls that
 * do not wait and by polling. An operation that is cancelled ends by its own completion, with what
 * had happened before or -ECANCELED; only what the kernel has not taken yet ends at once. Called by
 * uring.c.
 */
#include <string.h>

#include <coir/socket.h>

#include "io/files/system.h"
#include "io/uring/uring.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(data, size) 0
#endif

#define MOST_BYTES (1U << 30) /* of one transfer */
#define SLOTS 64U             /* to begin with */

/* ---- slots ---- */

static int grow(struct coir__uring *uring)
{
    uint32_t before = uring->slot_room, count = before > 0 ? before * 2 : SLOTS;
    struct coir__uring_slot *slots = coir__alloc_own(count * sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    if (before > 0)
        memcpy(slots, uring->slots, before * sizeof *slots);
    coir__free_own(uring->slots);
    uring->slots = slots;
    uring->slot_room = count;
    return 0;
}

/* One that was never used: so long its memory is not touched. NULL: no memory. */
static struct coir__uring_slot *fresh_slot(struct coir__uring *uring)
{
    if (uring->slot_count == uring->slot_room && grow(uring) < 0)
        return NULL;
    struct coir__uring_slot *slot = &uring->slots[uring->slot_count++];
    *slot = (struct coir__uring_slot){.next = COIR__URING_NONE};
    return slot;
}

static uint32_t index_of(const struct coir__uring *uring, const struct coir__uring_slot *slot)
{
    return (uint32_t)(slot - uring->slots);
}

static struct coir__uring_slot *slot_of(struct coir__uring *uring, const struct coir__op *op)
{
    return &uring->slots[op->slot];
}

struct coir__uring_slot *coir__uring_slot_take(struct coir__uring *uring, struct coir__op *op)
{
    bool fresh = uring->slot_free == COIR__URING_NONE;
    struct coir__uring_slot *slot =
        coir__unlikely(fresh) ? fresh_slot(uring) : &uring->slots[uring->slot_free];
    if (coir__unlikely(slot == NULL))
        return NULL;
    uring->slot_free = slot->next;
    *slot = (struct coir__uring_slot){.op = op, .generation = slot->generation};
    op->slot = index_of(uring, slot);
    return slot;
}

static void free_slot(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    slot->op = NULL;
    slot->generation++;
    slot->stage = COIR__URING_FREE;
    uring->cancels -= slot->cancels;
    slot->cancels = false;
    slot->next = uring->slot_free;
    uring->slot_free = index_of(uring, slot);
}

/* ---- entries ---- */

/* Whether op waits for a descriptor of somebody else. */
static bool is_watch(const struct coir__op *op)
{
    return op->file == NULL && op->kind != COIR__OP_SYSTEM;
}

static int fd_of(const struct coir__op *op)
{
    return op->file != NULL ? op->file->fd : op->fd;
}

static unsigned events_of(const struct coir__op *op)
{
    switch (op->kind) {
    case COIR__OP_POLL: return (unsigned short)op->events;
    case COIR__OP_WRITE:
    case COIR__OP_SEND:
    case COIR__OP_CONNECT: return POLLOUT;
    default: return POLLIN | POLLRDHUP;
    }
}

static unsigned at_most(const struct coir__uring_slot *slot, size_t length)
{
    size_t most = slot->length > 0 ? slot->length : MOST_BYTES;
    return (unsigned)(length < most ? length : most);
}

static void prepare_write(struct io_uring_sqe *entry, const struct coir__uring_slot *slot)
{
    struct coir__op *op = slot->op;
    const struct iovec *first = op->vectors;
    if (op->count == 1 || slot->length > 0) {
        io_uring_prep_send(entry, op->file->fd, first->iov_base, at_most(slot, first->iov_len),
                           MSG_NOSIGNAL);
        return;
    }
    struct coir__writing *writing = coir__container(op, struct coir__writing, op);
    writing->message =
        (struct msghdr){.msg_iov = (struct iovec *)first, .msg_iovlen = (size_t)op->count};
    io_uring_prep_sendmsg(entry, op->file->fd, &writing->message, MSG_NOSIGNAL);
}

static void prepare_call(struct io_uring_sqe *entry, const struct coir__uring_slot *slot)
{
    struct coir__op *op = slot->op;
    switch (op->kind) {
    case COIR__OP_READ:
        io_uring_prep_recv(entry, fd_of(op), op->data, at_most(slot, op->length), 0);
        break;
    case COIR__OP_WRITE: prepare_write(entry, slot); break;
    case COIR__URING_RECEIVE:
        io_uring_prep_recv_multishot(entry, fd_of(op), NULL, 0, 0);
        entry->flags |= IOSQE_BUFFER_SELECT; /* of group 0 */
        break;
    case COIR__OP_SYSTEM:
        coir__uring_system_prepare(entry, op->system, at_most(slot, op->system->length));
        break;
    case COIR__OP_ACCEPT:
        io_uring_prep_accept(entry, fd_of(op), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        break;
    case COIR__OP_RECEIVE:
        io_uring_prep_recvmsg(entry, fd_of(op), &op->messages->header,
                              (unsigned)op->flags | MSG_CMSG_CLOEXEC);
        break;
    default: io_uring_prep_connect(entry, fd_of(op), op->address, op->address_length); break;
    }
}

/* Fills in the entry of a slot. */
static void prepare(struct coir__uring *uring, struct coir__uring_slot *slot,
                    struct io_uring_sqe *entry)
{
    if (slot->known)
        io_uring_prep_nop(entry);
    else if (slot->polls || slot->op->kind == COIR__OP_POLL)
        io_uring_prep_poll_add(entry, fd_of(slot->op), events_of(slot->op));
    else
        prepare_call(entry, slot);
    entry->user_data = coir__uring_name(uring, slot);
    slot->position = uring->ring.sq.sqe_tail - 1;
    slot->stage = COIR__URING_ENTERED;
}

void coir__uring_backlog_link(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct coir__uring_slot *slots = uring->slots;
    uint32_t last = uring->backlog_last, index = index_of(uring, slot);
    slot->next = COIR__URING_NONE;
    slot->previous = last;
    *(last != COIR__URING_NONE ? &slots[last].next : &uring->backlog_first) = index;
    uring->backlog_last = index;
    slot->stage = COIR__URING_BACKLOG;
}

void coir__uring_backlog_unlink(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct coir__uring_slot *slots = uring->slots;
    uint32_t next = slot->next, previous = slot->previous;
    *(next != COIR__URING_NONE ? &slots[next].previous : &uring->backlog_last) = previous;
    *(previous != COIR__URING_NONE ? &slots[previous].next : &uring->backlog_first) = next;
}

void coir__uring_slot_enter(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct io_uring_sqe *entry = NULL;
    if (coir__likely(uring->backlog_first == COIR__URING_NONE))
        entry = coir__uring_entry(uring);
    if (coir__likely(entry != NULL))
        prepare(uring, slot, entry);
    else
        coir__uring_backlog_link(uring, slot);
}

/* Asks the kernel to end what it has. */
static void ask(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct io_uring_sqe *entry = coir__uring_entry(uring);
    uring->cancels += (entry == NULL) - (uint32_t)slot->cancels;
    slot->cancels = entry == NULL;
    if (entry == NULL)
        return;
    io_uring_prep_cancel64(entry, coir__uring_name(uring, slot), 0);
    entry->user_data = COIR__URING_NOBODY;
}

void coir__uring_push(struct coir__uring *uring)
{
    for (uint32_t i = 0; i < uring->slot_count && uring->cancels > 0; i++)
        if (uring->slots[i].cancels)
            ask(uring, &uring->slots[i]);
    while (uring->backlog_first != COIR__URING_NONE) {
        struct coir__uring_slot *slot = &uring->slots[uring->backlog_first];
        struct io_uring_sqe *entry = coir__uring_entry(uring);
        if (entry == NULL)
            return;
        coir__uring_backlog_unlink(uring, slot);
        prepare(uring, slot, entry);
    }
}

/* ---- starting ---- */

/* Lets a test fail what the entry stands for, or shorten it. */
static void meet_fault(struct coir__uring_slot *slot, enum coir__sys_call call, size_t length)
{
    if (coir__likely(coir__sys_fault == NULL))
        return;
    size_t shorter = length;
    slot->result = coir__sys_fault(call, length > 0 ? &shorter : NULL);
    slot->known = slot->result < 0;
    if (shorter < length)
        slot->length = (uint32_t)shorter;
}

/* The record of a connection is there before the connection is taken. */
static long begin_accept(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    if (uring->spare_count <= uring->accepts) {
        struct coir__file *file = coir__uring_file_make(uring->loop);
        if (file == NULL)
            return -ENOMEM;
        struct coir__uring_file *record = coir__uring_file_of(file);
        record->next = uring->spares;
        uring->spares = record;
        uring->spare_count++;
    }
    uring->accepts++;
    meet_fault(slot, COIR__SYS_ACCEPT, 0);
    return COIR__STARTED;
}

static long accepted(struct coir__op *op, int fd)
{
    struct coir__uring *uring = coir__uring_of(op->file->stream.loop);
    struct coir__uring_file *record = uring->spares;
    uring->spares = record->next;
    uring->spare_count--;
    record->receive = NULL;
    op->accepted = &record->file;
    coir__uring_file_begin(op->accepted, fd, op->file->flags & COIR__URING_KIND);
    return 0;
}

static long read_now(struct coir__uring_file *file, struct coir__op *op)
{
    struct coir_loop *loop = file->file.stream.loop;
    if (coir__op_lend(loop, op) < 0)
        return -ENOMEM;
    long n = coir__native_read(file->file.fd, file->file.flags, op);
    if (n <= 0)
        coir__op_take_back(loop, op);
    return n;
}

/* Whether the ring has no entry for op, or none that is better than a call once a poll has ended.
 * Messages are tried before they wait, since those that are there come cheaper by a call; sending
 * hardly ever waits. */
static bool is_called(const struct coir__op *op)
{
    if (op->file->flags & COIR__URING_DIRECT || op->kind == COIR__OP_SEND)
        return true;
    return op->kind == COIR__OP_RECEIVE && op->message_count > 1;
}

/* Makes the call itself, which does not wait. */
static long attempt(struct coir__uring_slot *slot)
{
    struct coir__op *op = slot->op;
    struct coir__uring_file *file = coir__uring_file_of(op->file);
    long result;
    switch (op->kind) {
    case COIR__OP_READ:
        if (coir__unlikely(coir__uring_receives(file)))
            return COIR__STARTED; /* in its turn */
        result = read_now(file, op);
        break;
    case COIR__OP_WRITE: result = coir__native_write(file->file.fd, file->file.flags, op); break;
    case COIR__OP_ACCEPT:
        result = coir__native_accept(file->file.fd);
        if (result >= 0)
            return accepted(op, (int)result);
        break;
    case COIR__OP_RECEIVE: result = coir__native_receive(file->file.fd, op); break;
    case COIR__OP_SEND: result = coir__native_send(file->file.fd, op); break;
    default: return coir__native_connected(file->file.fd);
    }
    if (result != -EAGAIN)
        return result;
    if ((op->kind == COIR__OP_RECEIVE || op->kind == COIR__OP_SEND) && op->at_once)
        return -EAGAIN;
    slot->polls = op->kind != COIR__OP_RECEIVE || is_called(op);
    return COIR__STARTED;
}

static long begin_connect(struct coir__uring_file *file, struct coir__uring_slot *slot)
{
    if (file->file.flags & COIR__NATIVE_TCP) {
        meet_fault(slot, COIR__SYS_CONNECT, 0);
        return COIR__STARTED;
    }
    /* A Unix socket never waits; the ring would, for a listener with a full queue. */
    int r = coir__native_connect(file->file.fd, slot->op);
    slot->polls = r == -EINPROGRESS;
    return r == -EINPROGRESS ? COIR__STARTED : r;
}

static long begin_read(struct coir__uring_slot *slot)
{
    struct coir__op *op = slot->op;
    struct coir__uring_file *file = coir__uring_file_of(op->file);
    slot->late = op->data == NULL;
    if (!coir__uring_receives(file)) {
        if (coir__unlikely(file->file.flags & COIR__URING_DIRECT))
            return attempt(slot);
        if (slot->late)
            return COIR__STARTED;
    }
    meet_fault(slot, COIR__SYS_RECV, op->length);
    return COIR__STARTED;
}

/* What the ring is to do for a slot, or the result when there is one at once. */
static long begin(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct coir__op *op = slot->op;
    struct coir__uring_file *file = coir__uring_file_of(op->file);
    switch (op->kind) {
    case COIR__OP_READ: return begin_read(slot);
    case COIR__OP_WRITE:
        if (coir__unlikely(file->file.flags & COIR__URING_DIRECT))
            return attempt(slot);
        meet_fault(slot, COIR__SYS_SEND, op->vectors->iov_len);
        return COIR__STARTED;
    case COIR__OP_ACCEPT: return begin_accept(uring, slot);
    case COIR__OP_CONNECT: return begin_connect(file, slot);
    case COIR__OP_POLL: meet_fault(slot, COIR__SYS_POLL, 0); return COIR__STARTED;
    case COIR__OP_RECEIVE:
    case COIR__OP_SEND: return attempt(slot);
    default: return -EINVAL;
    }
}

/* What poll(2) says now: it also knows numbers that are not open. */
static long ready_now(const struct coir__op *op)
{
    int events;
    do
        events = coir__sys_poll(op->fd, op->events);
    while (events == -EINTR);
    if (events > 0 && (events & POLLNVAL))
        return -EBADF;
    return events == 0 ? COIR__STARTED : events;
}

static long begin_watch(struct coir__uring *uring, struct coir__op *op)
{
    if (op->fd < 0)
        return -EBADF;
    if (coir__uring_watch_busy(uring, op))
        return -EBUSY;
    long result = ready_now(op);
    if (result != COIR__STARTED)
        return result;
    int r = coir__uring_watch_add(uring, op);
    return r < 0 ? r : COIR__STARTED;
}

/* Goes on with an operation that has no result yet. Returns its result, or COIR__STARTED. */
static long go_on(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct coir__op *op = slot->op;
    if (!slot->known && coir__uring_is_received(op)) {
        if (slot->length > 0)
            op->length = at_most(slot, op->length);
        free_slot(uring, slot);
        return coir__uring_receive_take(uring, op);
    }
    slot->polls |= slot->late && !slot->known;
    coir__uring_slot_enter(uring, slot);
    return COIR__STARTED;
}

static long begin_system(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct coir__system *call = slot->op->system;
    if (!coir__uring_system_known(uring, call))
        return -EOPNOTSUPP;
    bool moves;
    enum coir__sys_call fault = coir__system_fault(call, &moves);
    meet_fault(slot, fault, moves ? call->length : 0);
    return COIR__STARTED;
}

/* As begin, for an operation without a file. */
static long begin_without(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    return is_watch(slot->op) ? begin_watch(uring, slot->op) : begin_system(uring, slot);
}

/* Starts op with a slot of its own. */
static long start(struct coir__uring *uring, struct coir__op *op)
{
    struct coir__uring_slot *slot = coir__uring_slot_take(uring, op);
    if (coir__unlikely(slot == NULL))
        return -ENOMEM;
    long result =
        coir__unlikely(op->file == NULL) ? begin_without(uring, slot) : begin(uring, slot);
    if (result == COIR__STARTED)
        return go_on(uring, slot);
    free_slot(uring, slot);
    return result;
}

int coir__uring_resume(struct coir__uring *uring, struct coir__op *op)
{
    struct coir__uring_slot *slot = coir__uring_slot_take(uring, op);
    if (slot == NULL)
        return -ENOMEM;
    slot->late = slot->polls = op->kind == COIR__OP_READ && op->data == NULL;
    coir__uring_slot_enter(uring, slot);
    return 0;
}

long coir__uring_start(struct coir_loop *loop, struct coir__op *op)
{
    struct coir__uring *uring = coir__uring_of(loop);
    assert(!op->active);
    if (coir__uring_is_copy(uring))
        return -COIR_EWRONGLOOP;
    if (op->kind == COIR__OP_READ)
        coir__uring_receive_start(uring, coir__uring_file_of(op->file));
    bool straight = coir__sys_fault == NULL && coir__uring_is_received(op);
    long result = straight ? coir__uring_receive_take(uring, op) : start(uring, op);
    if (result != COIR__STARTED)
        return result;
    coir__op_begins(op);
    loop->operations++;
    if (coir__unlikely(coir__has_ledger()) && loop->current != NULL)
        loop->current->flags |= COIR__TASK_BELONGINGS; /* so that its end is looked at */
    return COIR__STARTED;
}

/* ---- cancelling ---- */

void coir__uring_slot_release(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct coir__op *op = slot->op;
    if (is_watch(op) && !slot->cancelled)
        coir__uring_watch_remove(uring, op);
    free_slot(uring, slot);
    if (op->kind == COIR__URING_RECEIVE) {
        op->active = false;
        uring->receives--;
    } else {
        uring->accepts -= op->kind == COIR__OP_ACCEPT;
        coir__op_ends(op);
        uring->loop->operations--;
    }
}

/* Whether it has happened: a ring that was given up has brought the result. */
static bool has_happened(const struct coir__uring_slot *slot)
{
    return slot->known && slot->again;
}

/* Takes back what the kernel does not have. */
static bool withdraw(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    bool copy = coir__uring_is_copy(uring); /* the parent has it: here it is over */
    if (has_happened(slot) && !copy)
        return false;
    if (slot->stage == COIR__URING_BACKLOG) {
        coir__uring_backlog_unlink(uring, slot);
        return true;
    }
    if (copy)
        return true;
    struct io_uring_sqe *queued =
        coir__uring_queued(uring, slot->position, coir__uring_name(uring, slot));
    if (queued == NULL)
        return false;
    io_uring_prep_nop(queued);
    queued->user_data = COIR__URING_NOBODY;
    return true;
}

/* The socket of a listener that closes is given back at once, so that its address is free: the end
 * of its accept is waited for. A connection that comes with it is nobody's. */
static bool end_accept(struct coir__uring *uring, struct coir__uring_slot *slot)
{
    struct io_uring_cqe completion;
    if (!coir__uring_fetch(uring, coir__uring_name(uring, slot), &completion))
        return false;
    if (completion.res >= 0 && !slot->polls && !slot->known)
        coir__native_close(completion.res, slot->op->file->flags, true);
    coir__uring_slot_release(uring, slot);
    return true;
}

bool coir__uring_cancel(struct coir_loop *loop, struct coir__op *op)
{
    struct coir__uring *uring = coir__uring_of(loop);
    assert(op->active);
    if (op->slot == COIR__URING_NONE) { /* nobody but us knows of it */
        coir__op_ends(op);
        loop->operations--;
        return true;
    }
    struct coir__uring_slot *slot = slot_of(uring, op);
    assert(slot->op == op);
    if (withdraw(uring, slot)) {
        coir__uring_slot_release(uring, slot);
        return true;
    }
    if (!slot->cancelled) {
        slot->cancelled = true;
        if (is_watch(op))
            coir__uring_watch_remove(uring, op);
        if (!has_happened(slot))
            ask(uring, slot);
    }
    return op->kind == COIR__OP_ACCEPT && op->file->stream.closing && end_accept(uring, slot);
}

void coir__uring_cancel_all(struct coir__uring *uring)
{
    for (uint32_t i = 0; i < uring->slot_count; i++) {
        struct coir__op *op = uring->slots[i].op;
        if (op == NULL)
            continue;
        if (op->kind == COIR__URING_RECEIVE && coir__uring_waiting(op) != NULL)
            (void)coir__uring_cancel(uring->loop, coir__uring_waiting(op));
        (void)coir__uring_cancel(uring->loop, op);
    }
}

/* ---- completions ---- */

/* A poll of ours has ended: now the call is worth trying, by the ring or here. */
static long after_poll(struct coir__uring_slot *slot, int result)
{
    struct coir__op *op = slot->op;
    slot->polls = false;
    if (slot->cancelled && (result < 0 || op->kind != COIR__OP_CONNECT))
        return -ECANCELED;
    if (result == -EINTR || result == -ECANCELED) {
        slot->polls = true;
        return COIR__STARTED;
    }
    if (result < 0)
        return result;
    if (slot->late || op->kind == COIR__OP_CONNECT || is_called(op))
        return attempt(slot);
    return COIR__STARTED;
}

static long after_watch(const struct coir__uring_slot *slot, int result)
{
    if (result >= 0)
        result &= slot->op->events | POLLERR | POLLHUP;
    if (result == -EINTR || result == -ECANCELED || result == 0)
        return slot->cancelled ? -ECANCELED : COIR__STARTED;
    return result;
}

/* What the ring cannot do with this file is the caller's to find out: a thread makes the call. */
static long after_system(const struct coir__uring_slot *slot, int result)
{
    const struct coir__system *call = slot->op->system;
    if (result == -EINTR || result == -ECANCELED)
        return slot->cancelled ? -ECANCELED : COIR__STARTED;
    if (result > 0 && call->kind == COIR__SYSTEM_READ)
        (void)VALGRIND_MAKE_MEM_DEFINED(call->data, (size_t)result);
    if (result == 0 && call->kind == COIR__SYSTEM_STAT)
        (void)VALGRIND_MAKE_MEM_DEFINED(call->status, sizeof *call->status);
    return result;
}

/* A connection that was asked for twice, since the first time was interrupted. */
static long after_connect(struct coir__uring_slot *slot, int result)
{
    if (result == -EALREADY || result == -EINPROGRESS) {
        slot->polls = true;
        return slot->cancelled ? -ECANCELED : COIR__STARTED;
    }
    return result == -EISCONN && slot->again ? 0 : result;
}

/* The ring cannot do this with this file, or says what the call itself must say better. */
static long fall_back(struct coir__uring_slot *slot, int result)
{
    if (slot->op->kind == COIR__OP_CONNECT)
        return result;
    if (result == -EOPNOTSUPP)
        slot->op->file->flags |= COIR__URING_DIRECT;
    return attempt(slot);
}

static long after_failure(struct coir__uring_slot *slot, int result)
{
    bool connects = slot->op->kind == COIR__OP_CONNECT;
    switch (-result) {
    case EAGAIN:
        if (connects)
            return result;
        slot->polls = true;
        return slot->cancelled ? -ECANCELED : COIR__STARTED;
    case EINTR:
    case ECANCELED: slot->again = connects; return slot->cancelled ? -ECANCELED : COIR__STARTED;
    case EOPNOTSUPP:
    case EINVAL: return slot->cancelled ? -ECANCELED : fall_back(slot, result);
    default: return connects ? after_connect(slot, result) : result;
    }
}

/* The kernel has written the rest itself. */
static long received(struct coir__op *op, int length)
{
    struct msghdr *header = &op->messages->header;
    op->messages->length = (unsigned)length;
    (void)VALGRIND_MAKE_MEM_DEFINED(header->msg_name, header->msg_namelen);
    (void)VALGRIND_MAKE_MEM_DEFINED(header->msg_control, header->msg_controllen);
    for (size_t i = 0, left = (size_t)length; i < header->msg_iovlen && left > 0; i++) {
        size_t n = header->msg_iov[i].iov_len < left ? header->msg_iov[i].iov_len : left;
        (void)VALGRIND_MAKE_MEM_DEFINED(header->msg_iov[i].iov_base, n);
        left -= n;
    }
    return 1;
}

/* What a completion means for a slot: its result, or COIR__STARTED to enter it once more. */
long coir__uring_slot_after(struct coir__uring_slot *slot, int result)
{
    struct coir__op *op = slot->op;
    if (slot->known)
        result = slot->result;
    slot->known = false;
    if (op->kind == COIR__OP_POLL)
        return after_watch(slot, result);
    if (op->kind == COIR__OP_SYSTEM)
        return after_system(slot, result);
    if (slot->polls)
        return after_poll(slot, result);
    if (result < 0)
        return after_failure(slot, result);
    if (op->kind == COIR__OP_READ)
        (void)VALGRIND_MAKE_MEM_DEFINED(op->data, (size_t)result);
    if (op->kind == COIR__OP_RECEIVE)
        return received(op, result);
    return op->kind == COIR__OP_ACCEPT ? accepted(op, result) : result;
}

/* The slot that a completion is for; NULL: nobody's. */
struct coir__uring_slot *coir__uring_slot_find(struct coir__uring *uring, uint64_t name)
{
    uint32_t index = (uint32_t)name;
    if (index >= uring->slot_count)
        return NULL;
    struct coir__uring_slot *slot = &uring->slots[index];
    bool expected = slot->stage == COIR__URING_ENTERED && coir__uring_name(uring, slot) == name;
    return coir__likely(expected) ? slot : NULL;
}

int coir__uring_slot_end(struct coir__uring *uring, struct coir__uring_slot *slot, long result)
{
    struct coir__op *op = slot->op;
    coir__uring_slot_release(uring, slot);
    op->result = result;
    op->done(op);
    return 1;
}

int coir__uring_finish(struct coir__uring *uring, const struct io_uring_cqe *completion)
{
    struct coir__uring_slot *slot = coir__uring_slot_find(uring, completion->user_data);
    if (coir__unlikely(slot == NULL)) {
        if (completion->user_data == COIR__URING_WAKE && !(completion->flags & IORING_CQE_F_MORE))
            coir__uring_wake_ended(uring, completion->res);
        return 0;
    }
    struct coir__op *op = slot->op;
    if (op->kind == COIR__URING_RECEIVE)
        return coir__uring_receive_finish(uring, slot, completion);
    long result = coir__uring_slot_after(slot, completion->res);
    if (result > 0 && op->kind == COIR__OP_READ)
        coir__uring_receive_note(coir__uring_file_of(op->file), (size_t)result, op->length);
    if (result != COIR__STARTED)
        return coir__uring_slot_end(uring, slot, result);
    result = go_on(uring, slot);
    return result == COIR__STARTED ? 0 : coir__uring_tell(uring, op, result);
}
