/* restart.c: what becomes of operations when their ring is given up, for another one or for
 * none.
 *
 * What the old ring has completed is kept and delivered later; what it has not is made again, but
 * for calls that must not be made twice, and ends where nothing else can be done. Called by
 * ring.c when it moves, and by uring.c when there is no other ring.
 */
#include "io/files/system.h"
#include "io/uring/uring.h"

void coir__uring_keep(struct coir__uring *uring, const struct io_uring_cqe *completion)
{
    struct coir__uring_slot *slot = coir__uring_slot_find(uring, completion->user_data);
    if (slot == NULL || slot->known)
        return;
    if (slot->op->kind == COIR__URING_RECEIVE) {
        (void)coir__uring_receive_finish(uring, slot, completion);
        return;
    }
    slot->known = true;
    slot->result = completion->res;
}

static bool is_receive(const struct coir__uring_slot *slot)
{
    return slot->op != NULL && slot->op->kind == COIR__URING_RECEIVE;
}

/* The kernel receives for nobody any more, without having said so. */
static void lose_receive(struct coir__uring *uring, struct coir__uring_slot *slot, int failure)
{
    if (slot->stage == COIR__URING_BACKLOG)
        coir__uring_backlog_unlink(uring, slot);
    coir__uring_receive_lose(uring, slot, failure);
}

void coir__uring_note_unseen(struct coir__uring *uring)
{
    for (uint32_t i = 0; i < uring->slot_count; i++) {
        struct coir__uring_slot *slot = &uring->slots[i];
        slot->unseen =
            slot->stage == COIR__URING_ENTERED &&
            coir__uring_queued(uring, slot->position, coir__uring_name(uring, slot)) != NULL;
    }
}

/* Whether the kernel may have made a call that must not be made twice. */
static bool may_have_happened(const struct coir__uring_slot *slot)
{
    return slot->op->kind == COIR__OP_SYSTEM && !slot->unseen &&
           !coir__uring_system_repeats(slot->op->system);
}

void coir__uring_restart(struct coir__uring *uring)
{
    int failure = uring->failure;
    uring->pool.registered = false;
    for (uint32_t i = 0; i < uring->slot_count; i++) {
        struct coir__uring_slot *slot = &uring->slots[i];
        if (slot->stage != COIR__URING_ENTERED || is_receive(slot))
            continue;
        uring->cancels -= slot->cancels;
        slot->cancels = false;
        if (!slot->known && may_have_happened(slot)) { /* nobody knows */
            slot->known = true;
            slot->result = -EIO;
        } else if (!slot->known && (slot->cancelled || uring->failure != 0)) {
            slot->known = true;
            slot->result = slot->cancelled ? -ECANCELED : uring->failure;
        }
        slot->again = true;
        coir__uring_backlog_link(uring, slot);
    }
    uring->failure = 0;
    for (uint32_t i = 0; i < uring->slot_count;
         i++) /* only now: readers get entries of their own */
        if (is_receive(&uring->slots[i]))
            lose_receive(uring, &uring->slots[i], failure);
}

static bool passes(int code)
{
    switch (-code) {
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ETIME: return true;
    default: return false;
    }
}

int coir__uring_go_without(struct coir__uring *uring, int code)
{
    int ended = 0;
    uint32_t count = uring->slot_count; /* those that are made by what has ended have time */
    for (uint32_t i = 0; i < count; i++) {
        struct coir__uring_slot *slot = &uring->slots[i];
        if (slot->stage == COIR__URING_FREE)
            continue;
        long result = slot->known ? coir__uring_slot_after(slot, 0) : COIR__STARTED;
        if (result == COIR__STARTED && slot->cancelled)
            result = -ECANCELED;
        if (result == COIR__STARTED && passes(code))
            continue;
        if (is_receive(slot)) {
            lose_receive(uring, slot, 0);
            continue;
        }
        if (slot->stage == COIR__URING_BACKLOG)
            coir__uring_backlog_unlink(uring, slot);
        ended += coir__uring_slot_end(uring, slot, result == COIR__STARTED ? code : result);
    }
    return ended;
}
