/* coir/channel.h: channels carry values from task to task.
 *
 * A channel has a sending and a receiving end, each with any number of handles. Items of one type
 * are copied in and out, in order. It holds capacity items; with capacity 0 sender and receiver
 * meet: coir_send returns when a receiver has taken the item. The channel ends when one side has
 * closed its last handle: receivers get what is left and then 0, senders get -COIR_ECLOSED.
 *
 *     COIR_AUTO(coir_sender) *out = NULL;
 *     COIR_AUTO(coir_receiver) *in = NULL;
 *     COIR_TRY(coir_channel_open(struct item, 64, &out, &in));
 *
 *     COIR_TRY(coir_send(out, &item));        // waits while the channel is full
 *     while ((r = coir_receive(in, &item)) > 0)
 *         use(&item);
 */
#ifndef COIR_CHANNEL_H
#define COIR_CHANNEL_H

#include <coir/task.h>

COIR__BEGIN

/* A handle of a channel's sending end. Every task should have its own, and close it. */
typedef struct coir_sender coir_sender;

/* A handle of a channel's receiving end. With several, each item goes to one of them. */
typedef struct coir_receiver coir_receiver;

/* Opens a channel for capacity items of type (a C type, as in sizeof) with a handle of each end.
 * Returns 0, and writes *ret_out and *ret_in, which are the caller's to close. Errors: -EINVAL for
 * a type without size, -EOVERFLOW for too large a capacity, -ENOMEM, -COIR_ENOTASK where no loop
 * runs. Cancel safety: never waits. Thread safety: the loop's thread. */
#define coir_channel_open(type, capacity, ret_out, ret_in)                                         \
    coir_channel_open_at(sizeof(type), (capacity), (ret_out), (ret_in), COIR_SITE(#type))
COIR__CHECKED int coir_channel_open_at(size_t size, size_t capacity, coir_sender **ret_out,
                                       coir_receiver **ret_in, const coir_site *site);

/* As coir_channel_open, with a channel between threads: tasks of any loop, and threads without a
 * loop, which block where a task would wait. Handles may be moved between threads, and cloned and
 * closed on any; one handle is used by one thread at a time. For all other calls and for
 * coir_select it is a channel like others, "the loop's thread" left out; tasks that wait are fed
 * first come, first served. A loop in which all wait for such channels is not deadlocked.
 * capacity is at least 1: nobody meets across threads.
 * Returns 0, and writes *ret_out and *ret_in, which are the caller's to close. Errors: -EINVAL for
 * a type without size or capacity 0, -EOVERFLOW, -ENOMEM. Cancel safety: never waits. Thread
 * safety: any thread, with a loop or without. */
#define coir_channel_open_shared(type, capacity, ret_out, ret_in)                                  \
    coir_channel_open_shared_at(sizeof(type), (capacity), (ret_out), (ret_in), COIR_SITE(#type))
COIR__CHECKED int coir_channel_open_shared_at(size_t size, size_t capacity, coir_sender **ret_out,
                                              coir_receiver **ret_in, const coir_site *site);

/* Sends a copy of *item, waiting while the channel is full, behind those that wait already. item
 * points to the channel's type and stays the caller's.
 * Returns 0 when the item is in the channel (capacity 0: when a receiver has it). Errors:
 * -COIR_ECLOSED when no receiver is left, -EINVAL for an item of the wrong size, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the item was not sent. Thread safety: the
 * loop's thread. */
#define coir_send(sender, item) coir__send((sender), (item), sizeof(*(item)))
COIR__CHECKED int coir__send(coir_sender *sender, const void *item, size_t size);

/* Sends a copy of *item if that needs no wait: there is room, or a receiver waits.
 * Returns 0. Errors: -EAGAIN when it would wait, -COIR_ECLOSED, -EINVAL, -COIR_EWRONGLOOP. Cancel
 * safety: never waits. Thread safety: the loop's thread, in a task or not. */
#define coir_try_send(sender, item) coir__try_send((sender), (item), sizeof(*(item)))
COIR__CHECKED int coir__try_send(coir_sender *sender, const void *item, size_t size);

/* Receives the next item into *ret_item, waiting while the channel is empty, behind those that wait
 * already.
 * Returns 1, or 0 when the channel is empty and no sender is left. Errors: -COIR_ECLOSED when the
 * last receiver was closed by another task meanwhile, -EINVAL for an item of the wrong size,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no item was taken. Thread
 * safety: the loop's thread. */
#define coir_receive(receiver, ret_item) coir__receive((receiver), (ret_item), sizeof(*(ret_item)))
COIR__CHECKED int coir__receive(coir_receiver *receiver, void *ret_item, size_t size);

/* Receives the next item if there is one.
 * Returns 1, or 0 when the channel is empty and no sender is left. Errors: -EAGAIN when it is
 * empty, -EINVAL, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread,
 * in a task or not. */
#define coir_try_receive(receiver, ret_item)                                                       \
    coir__try_receive((receiver), (ret_item), sizeof(*(ret_item)))
COIR__CHECKED int coir__try_receive(coir_receiver *receiver, void *ret_item, size_t size);

/* Makes another handle of the same end.
 * Returns 0, and writes *ret_clone, which is the caller's to close. Errors: -ENOMEM,
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_sender_clone(coir_sender *sender, coir_sender **ret_clone);
COIR__CHECKED int coir_receiver_clone(coir_receiver *receiver, coir_receiver **ret_clone);

/* Closes a handle; NULL is accepted. With the last sender, receivers that wait return 0, and sends
 * that still wait return -COIR_ECLOSED. Other handles, and the waits of other tasks, go on
 * otherwise. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_sender_close(coir_sender *sender);

/* Closes a handle; NULL is accepted. With the last receiver, items that nobody took are dropped
 * (take those that own something with coir_try_receive before), and all that wait, senders and
 * receivers, return -COIR_ECLOSED. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_receiver_close(coir_receiver *receiver);

COIR_CLOSER(coir_sender, coir_sender_close);
COIR_CLOSER(coir_receiver, coir_receiver_close);

/* Reads how the channel of a handle stands. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
struct coir_channel_stats {
    size_t capacity;
    size_t held;               /* items in it */
    size_t senders, receivers; /* open handles */
    size_t sending, receiving; /* tasks that wait */
    uint64_t sent;             /* items in all */
    void *coir__reserved[4];
};
COIR__PUBLIC void coir_sender_stats(const coir_sender *sender,
                                    struct coir_channel_stats *ret_stats);
COIR__PUBLIC void coir_receiver_stats(const coir_receiver *receiver,
                                      struct coir_channel_stats *ret_stats);

COIR__END
#endif
