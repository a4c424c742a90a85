/* uring.h: the inside of the io_uring backend, shared by uring.c (the table, polling), ring.c
 * (the ring: probing, entries, entering, moving), op.c (operations), receive.c (files
 * that receive without being asked each time), file.c (descriptors of the library) and
 * watch.c (who waits for descriptors of others).
 *
 * An operation under way has a slot. The kernel knows it by the slot's number and generation, so
 * that a completion which nobody expects finds nobody. Each entry has exactly one completion, but
 * for a receive and the wake-up, which have one more each time something comes. A slot waits in the
 * backlog (no entry yet), is queued (its entry was not taken by the kernel: it can still be turned
 * into nothing), or belongs to the kernel.
 */
#ifndef COIR_IO_URING_H
#define COIR_IO_URING_H

#include "io/descriptor/native.h"
#include "io/uring/sys.h"

/* Of coir__file.flags, with enum coir__native_kind. */
enum coir__uring_flag {
    COIR__URING_DIRECT = 1 << 0, /* the ring cannot do it: calls that do not wait, and polling */
    COIR__URING_SHOWN = 1 << 1,  /* others may read from it: no receive */
};

#define COIR__URING_KIND (COIR__NATIVE_SOCKET | COIR__NATIVE_TCP | COIR__NATIVE_STREAM)

/* The kind of the operation of a receive, beside enum coir__op_kind. */
#define COIR__URING_RECEIVE 32

/* What a file receives without being asked each time. It is there from the first time on. */
struct coir__uring_receive {
    uint32_t bytes;       /* that have come and were not read */
    uint16_t first, last; /* the buffers that hold them */
    uint16_t held;        /* how many */
    bool over;            /* and what comes after them is result: 0 at the end, or an error */
    int result;
    struct coir__op op; /* active while it is the kernel's, or about to be; file NULL: closed */
};

struct coir__uring_file {
    struct coir__file file;
    union {
        struct coir__uring_receive *receive; /* NULL: there was none yet */
        struct coir__uring_file *next;       /* while it is spare */
    };
};

enum coir__uring_stage {
    COIR__URING_FREE,
    COIR__URING_BACKLOG, /* no entry yet */
    COIR__URING_ENTERED, /* an entry: queued, or the kernel's */
};

struct coir__uring_slot {
    struct coir__op *op;
    uint32_t generation;
    union {
        uint32_t position; /* of its entry, counted from the opening of the ring */
        uint32_t next;     /* in the backlog, or of those that are free */
    };
    uint32_t previous;  /* in the backlog */
    uint32_t length;    /* the most that is written, or read; 0: all */
    int result;         /* when it is known */
    uint8_t stage;      /* enum coir__uring_stage */
    bool known : 1;     /* the entry does nothing: its completion brings the result */
    bool polls : 1;     /* the entry only waits until a call is worth trying */
    bool late : 1;      /* a read that gets its buffer when there are bytes */
    bool again : 1;     /* the call was made before, and interrupted */
    bool cancelled : 1; /* its end was asked for */
    bool cancels : 1;   /* and the entry that asks the kernel was not made yet */
    bool unseen : 1;    /* the kernel had not taken the entry when its ring was given up */
};

/* What completions say that belong to no slot. */
#define COIR__URING_NOBODY UINT64_MAX
#define COIR__URING_WAKE (UINT64_MAX - 1)

/* No slot. An operation under way that has none waits for what its file receives. */
#define COIR__URING_NONE UINT32_MAX

/* The buffers that the kernel fills for whoever receives. */
struct coir__uring_pool {
    struct coir__uring_buffers *buffers; /* NULL: not needed yet */
    uint32_t count;                      /* of buffers in use */
    uint32_t free;                       /* of those, the kernel's */
    uint64_t grown;                      /* the turn in which there were more */
    bool registered;                     /* with the ring */
    bool refused;                        /* the kernel does not know this */
    bool proven;                         /* it does */
};

struct coir__uring {
    struct coir_loop *loop;
    struct io_uring ring;
    uint32_t setup; /* the flags that this kernel took */
    uint64_t known; /* operations that it has, a bit each */
    int wakefd;
    bool wake_armed, wake_once;
    bool broken;              /* there is no ring: opening another one failed */
    bool reported;            /* that a ring failed in a way that it never should */
    int lack;                 /* why there is no ring */
    coir_time next_try;       /* of opening one, when there is none */
    int failure;              /* how all that is under way ends once there is one; 0: it goes on */
    volatile uint32_t *alive; /* 0 in a child of fork(2); NULL: not known */
    struct coir__uring_slot *slots;
    uint32_t slot_room, slot_count, slot_free; /* that there is; used; free, linked by next */
    uint32_t cancels;                          /* slots whose cancels is set */
    uint32_t receives;                         /* slots of receives */
    struct coir__uring_pool pool;
    uint32_t backlog_first, backlog_last; /* slots, or none */
    struct coir__uring_file *spares;      /* one for each accept that is under way */
    uint32_t spare_count, accepts;        /* of them; accepts that are under way */
    struct coir__uring_watch *watches;
    size_t watch_count;
};

static inline struct coir__uring *coir__uring_of(struct coir_loop *loop)
{
    return loop->backend_state;
}

static inline struct coir__uring_file *coir__uring_file_of(struct coir__file *file)
{
    return coir__container(file, struct coir__uring_file, file);
}

/* Whether this process is a child that has the loop only as a copy. */
static inline bool coir__uring_is_copy(const struct coir__uring *uring)
{
    return coir__unlikely(uring->alive != NULL && *uring->alive == 0);
}

/* ---- ring.c ---- */

/* Opens a ring that was tried. why says what was wrong. */
int coir__uring_ring_open(struct coir__uring *uring, char *why, size_t size);
void coir__uring_ring_close(struct coir__uring *uring);
/* The next entry to fill in, or NULL: none can be had now. */
struct io_uring_sqe *coir__uring_entry(struct coir__uring *uring);
/* Hands over what is queued, and waits up to timeout for a completion. Returns 0, or what a poll
 * fails with. */
int coir__uring_enter(struct coir__uring *uring, coir_time timeout);
/* When there is no ring: how long until the next try to open one. */
coir_time coir__uring_retry_in(const struct coir__uring *uring);
/* Whether there is a reason to enter without waiting. */
bool coir__uring_wants_enter(const struct coir__uring *uring);
/* Whether entries wait to be handed over. */
bool coir__uring_has_entries(const struct coir__uring *uring);
/* Takes the next completion. */
bool coir__uring_next(struct coir__uring *uring, struct io_uring_cqe *ret_completion);
bool coir__uring_has_next(const struct coir__uring *uring);
/* Has the kernel work, without waiting, and copies the last completion of that name if it comes: it
 * stays in the queue, for nobody. */
bool coir__uring_fetch(struct coir__uring *uring, uint64_t name,
                       struct io_uring_cqe *ret_completion);
/* Copies the first completion of that name that is in the queue, or the first one from *at on, and
 * sets *at behind it. */
bool coir__uring_look(const struct coir__uring *uring, uint64_t name, unsigned *at,
                      struct io_uring_cqe *ret_completion);
unsigned coir__uring_look_from(const struct coir__uring *uring);
/* The entry of that name at position when the kernel has not taken it yet, else NULL. */
struct io_uring_sqe *coir__uring_queued(const struct coir__uring *uring, uint32_t position,
                                        uint64_t name);
/* A completion of the wake-up says that there will be no other one. */
void coir__uring_wake_ended(struct coir__uring *uring, int result);
/* Makes sure that a wake-up will be seen. */
void coir__uring_arm_wake(struct coir__uring *uring);

/* ---- op.c ---- */

long coir__uring_start(struct coir_loop *loop, struct coir__op *op);
bool coir__uring_cancel(struct coir_loop *loop, struct coir__op *op);
/* Makes the entries that had to wait. */
void coir__uring_push(struct coir__uring *uring);
/* Works off a completion. Returns how many operations it ended. */
int coir__uring_finish(struct coir__uring *uring, const struct io_uring_cqe *completion);
/* Asks for the end of everything. */
void coir__uring_cancel_all(struct coir__uring *uring);

/* For receive.c and restart.c. The name by which the kernel knows a slot. */
static inline uint64_t coir__uring_name(const struct coir__uring *uring,
                                        const struct coir__uring_slot *slot)
{
    return (uint64_t)slot->generation << 32 | (uint32_t)(slot - uring->slots);
}
struct coir__uring_slot *coir__uring_slot_take(struct coir__uring *uring, struct coir__op *op);
/* Makes the entry of a slot, in its turn. */
void coir__uring_slot_enter(struct coir__uring *uring, struct coir__uring_slot *slot);
/* Ends the operation of a slot, and does not tell its owner. */
void coir__uring_slot_release(struct coir__uring *uring, struct coir__uring_slot *slot);
/* The slot of an operation that the kernel knows by name; NULL: it is over. */
struct coir__uring_slot *coir__uring_slot_find(struct coir__uring *uring, uint64_t name);
/* What an operation has come to by its entry's result: its own result, or COIR__STARTED when it
 * goes on. */
long coir__uring_slot_after(struct coir__uring_slot *slot, int result);
/* Ends an operation and tells its owner. Returns 1. */
int coir__uring_slot_end(struct coir__uring *uring, struct coir__uring_slot *slot, long result);
/* Operations for which there was no entry. */
void coir__uring_backlog_link(struct coir__uring *uring, struct coir__uring_slot *slot);
void coir__uring_backlog_unlink(struct coir__uring *uring, struct coir__uring_slot *slot);
/* Ends an operation that has no slot. Returns 1. */
static inline int coir__uring_tell(struct coir__uring *uring, struct coir__op *op, long result)
{
    uring->loop->operations--;
    coir__op_ends(op);
    op->result = result;
    op->done(op);
    return 1;
}
/* An operation that waited for what its file receives, which it does no longer, asks for itself.
 * Returns 0, or -ENOMEM. */
int coir__uring_resume(struct coir__uring *uring, struct coir__op *op);

/* ---- restart.c ---- */

/* Notes what a completion of a ring that is given up says. */
void coir__uring_keep(struct coir__uring *uring, const struct io_uring_cqe *completion);
/* The ring is about to be given up: notes what the kernel has not taken. */
void coir__uring_note_unseen(struct coir__uring *uring);
/* After another ring was opened: what was the kernel's is entered again, or ends as
 * uring->failure says. */
void coir__uring_restart(struct coir__uring *uring);
/* There is no ring, for the reason code: ends what has ended, what was cancelled, and everything
 * when it is no reason that passes. Returns how many operations it ended. */
int coir__uring_go_without(struct coir__uring *uring, int code);

/* ---- receive.c ---- */

/* How many small reads make a file receive on its own. Tests change it. */
extern uint16_t coir__uring_patience;
#define COIR__URING_PATIENCE 4095U /* is never reached */

/* Whether all that file reads comes by its receive, so that nothing else may read from it. */
static inline bool coir__uring_receives(const struct coir__uring_file *file)
{
    const struct coir__uring_receive *receive = file->receive;
    return receive != NULL && (receive->op.active || receive->held > 0 || receive->over);
}

/* Whether what op waits for comes by the receive of its file. */
static inline bool coir__uring_is_received(const struct coir__op *op)
{
    bool polls = op->kind == COIR__OP_POLL && op->file != NULL && op == &op->file->read;
    bool reads = op->kind == COIR__OP_READ || polls;
    return reads && coir__uring_receives(coir__uring_file_of(op->file));
}
/* The read or poll that waits for what a receive brings, or NULL. */
static inline struct coir__op *coir__uring_waiting(const struct coir__op *receive)
{
    struct coir__op *op = receive->file != NULL ? &receive->file->read : NULL;
    return op != NULL && op->active && op->slot == COIR__URING_NONE ? op : NULL;
}
/* Notes a read of n bytes out of length. */
void coir__uring_receive_note(struct coir__uring_file *file, size_t n, size_t length);
void coir__uring_receive_arm(struct coir__uring *uring, struct coir__uring_file *file);
/* file is about to be read: lets the kernel receive for it from now on, if that is worthwhile. */
static inline void coir__uring_receive_start(struct coir__uring *uring,
                                             struct coir__uring_file *file)
{
    if (file->file.small >= file->file.patience && !coir__uring_receives(file))
        coir__uring_receive_arm(uring, file);
}
/* What a read or a poll of a file that receives gets, or COIR__STARTED: it waits. */
long coir__uring_receive_take(struct coir__uring *uring, struct coir__op *op);
/* Works off a completion of a receive. Returns how many operations it ended. */
int coir__uring_receive_finish(struct coir__uring *uring, struct coir__uring_slot *slot,
                               const struct io_uring_cqe *completion);
/* The ring is gone, and perhaps (failure) what had come. */
void coir__uring_receive_lose(struct coir__uring *uring, struct coir__uring_slot *slot,
                              int failure);
/* Ends it, and throws away what was not read. Returns whether there was any. */
bool coir__uring_receive_close(struct coir__uring *uring, struct coir__uring_file *file);
/* Ends it, and begins none any more. */
void coir__uring_show(struct coir_loop *loop, struct coir__file *file);
bool coir__uring_holds(struct coir_loop *loop, struct coir__file *file);
size_t coir__uring_held(struct coir_loop *loop, struct coir__file *file);
int coir__uring_unread(struct coir_loop *loop, struct coir__file *file);
void coir__uring_pool_close(struct coir__uring *uring);

/* ---- file.c ---- */

struct coir__file *coir__uring_file_make(struct coir_loop *loop);
void coir__uring_file_begin(struct coir__file *file, int fd, uint32_t kind);
void coir__uring_close(struct coir_loop *loop, struct coir__file *file, bool abrupt);

/* ---- system.c ---- */

/* Whether this ring can make a call. */
bool coir__uring_system_known(const struct coir__uring *uring, const struct coir__system *call);
/* Whether making it a second time does no harm. */
bool coir__uring_system_repeats(const struct coir__system *call);
/* Fills in its entry; length is the most that is read or written. */
void coir__uring_system_prepare(struct io_uring_sqe *entry, struct coir__system *call,
                                unsigned length);

/* ---- ledger.c ---- */

/* Watches what is freed, if the environment asks for it. */
void coir__uring_ledger_enable(void);

/* ---- watch.c ---- */

/* Whether another operation waits for the same descriptor and direction. */
bool coir__uring_watch_busy(const struct coir__uring *uring, const struct coir__op *op);
/* Notes that op waits for its descriptor, which is open. Returns 0, or -ENOMEM. */
int coir__uring_watch_add(struct coir__uring *uring, const struct coir__op *op);
void coir__uring_watch_remove(struct coir__uring *uring, const struct coir__op *op);

#endif
