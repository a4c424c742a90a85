/* channel.c: channels, from handle to ring, and the cases of coir_select for both ends.
 *
 * A channel lives as long as one of its handles. Its ring holds items while nobody waits for one; a
 * sender that finds a waiting receiver copies straight into its variable, and a receiver that makes
 * room pulls in the item of the sender that has waited longest. So these hold between calls:
 * receivers wait only when the ring is empty and no sender waits; senders wait only when the ring
 * is full. Who is woken has the item, or has delivered it.
 *
 * This is a hot path: the common cases are one comparison each, and a wait ends in a tail call of
 * the switch.
 */
#include <stdio.h>
#include <string.h>

#include "sync/channel.h"

struct channel {
    struct coir_loop *loop;
    size_t size;  /* of an item */
    size_t count; /* items in the ring */
    size_t limit; /* capacity; 0 when no receiver is left */
    char *head;   /* the oldest item */
    char *tail;   /* where the next one goes */
    char *end;    /* of the ring */
    struct coir__waitlist receiving, sending;
    uint64_t sent;
    size_t capacity, senders, receivers;
    const coir_site *site;
    _Alignas(max_align_t) char items[];
};

static char no_loop; /* its address is that of no loop */
struct channel coir__channel_of_no_loop = {.loop = (struct coir_loop *)(void *)&no_loop};

/* ---- moving items ---- */

static inline bool is_short(size_t size)
{
    return size == 8 || size == 16 || size == 4;
}

/* Tells the compiler what is_usual found, so that copy is without a call. */
static inline void assume_short(size_t size)
{
    if (!is_short(size))
        __builtin_unreachable();
}

/* Copies without a call where size is known to be short, or turns out to be. */
static inline void copy(void *to, const void *from, size_t size)
{
    if (size == 8)
        memcpy(to, from, 8);
    else if (size == 16)
        memcpy(to, from, 16);
    else if (size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, size);
}

static inline char *after(const struct channel *channel, char *item, size_t size)
{
    item += size;
    return item == channel->end ? (char *)(uintptr_t)channel->items : item;
}

static inline void push(struct channel *channel, const void *item, size_t size)
{
    copy(channel->tail, item, size);
    channel->tail = after(channel, channel->tail, size);
    channel->count++;
    channel->sent++;
}

static inline void pop(struct channel *channel, void *ret_item, size_t size)
{
    copy(ret_item, channel->head, size);
    channel->head = after(channel, channel->head, size);
    channel->count--;
}

/* Puts an item into the hands of a receiver, or into the ring. False: it has to wait. */
static inline bool put(struct channel *channel, const void *item)
{
    struct coir__waiter *receiver = channel->receiving.first;
    if (receiver != NULL) {
        channel->sent++;
        copy(receiver->slot, item, channel->size);
        coir__waiter_wake(receiver, 1);
        return true;
    }
    if (channel->count == channel->limit)
        return false;
    push(channel, item, channel->size);
    return true;
}

/* Takes the oldest item, and lets the sender that has waited longest take the place. False: there
 * is none. */
static inline bool take(struct channel *channel, void *ret_item)
{
    struct coir__waiter *sender = channel->sending.first;
    if (channel->count > 0) {
        pop(channel, ret_item, channel->size);
        if (sender != NULL)
            push(channel, sender->slot, channel->size);
    } else if (sender != NULL) {
        channel->sent++;
        copy(ret_item, sender->slot, channel->size);
    } else {
        return false;
    }
    if (sender != NULL)
        coir__waiter_wake(sender, 0);
    return true;
}

/* ---- waiting ---- */

static size_t describe(const struct channel *channel, bool sending, char *text, size_t size)
{
    size_t others = sending ? channel->receivers : channel->senders;
    const coir_site *site = channel->site;
    return (size_t)snprintf(text, size, "of %s opened at %s:%d, %zu %s%s", site->what,
                            coir__file_name(site->file), site->line, others,
                            sending ? "receiver" : "sender", others == 1 ? "" : "s");
}

static size_t describe_send(const struct coir_task *task, char *text, size_t size)
{
    return describe(task->wait_object, true, text, size);
}

static size_t describe_receive(const struct coir_task *task, char *text, size_t size)
{
    return describe(task->wait_object, false, text, size);
}

static const struct coir__wait send_wait = {"waits to send to channel", coir__abort_waiter,
                                            describe_send};
static const struct coir__wait receive_wait = {"waits to receive from channel", coir__abort_waiter,
                                               describe_receive};

/* What a call that is not meant for channel returns. */
static int refused(const struct channel *channel, int code)
{
    return code == -COIR_EWRONGLOOP ? coir__refuse(channel->loop, NULL, code) : code;
}

/* Whether a call with an item of size bytes from loop is meant for channel. */
static inline int check(const struct channel *channel, const struct coir_loop *loop, size_t size)
{
    if (coir__likely(channel->loop == loop && channel->size == size))
        return 0;
    return channel->loop == loop ? -EINVAL : -COIR_EWRONGLOOP;
}

/* Whether a call of self may take the short way: it can begin, and the item is a short one of the
 * channel's size. */
static inline bool is_usual(const struct coir_task *self, const struct channel *channel,
                            size_t size)
{
    if (coir__unlikely(self == NULL))
        return false;
    const struct coir_loop *loop = self->loop;
    return self->pending == 0 && loop->charges > 1 && loop->slow == 0 && channel->loop == loop &&
           channel->size == size && is_short(size);
}

static __attribute__((noinline)) int coir__send__slowly(coir_sender *sender, const void *item,
                                                        size_t size)
{
    if (coir__unlikely(sender->shared != NULL))
        return coir__shared_send(sender->shared, item, size);
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, self == NULL ? sender->channel->loop : NULL);
    if (coir__unlikely(r < 0))
        return r;
    struct channel *channel = sender->channel;
    r = check(channel, self->loop, size);
    if (coir__unlikely(r < 0))
        return refused(channel, r);
    if (put(channel, item))
        return coir__charge(self, 0);
    if (coir__unlikely(channel->receivers == 0))
        return -COIR_ECLOSED;
    return coir__wait_in(self, &channel->sending, &send_wait, channel, (void *)(uintptr_t)item);
}

/* The short way, into a ring that has room, calls nothing and so needs no frame. */
int coir__send(coir_sender *sender, const void *item, size_t size)
{
    struct coir_task *self = coir__self();
    struct channel *channel = sender->channel;
    if (coir__unlikely(!is_usual(self, channel, size) || channel->receiving.first != NULL ||
                       channel->count == channel->limit))
        return coir__send__slowly(sender, item, size);
    self->loop->charges--;
    assume_short(size);
    push(channel, item, size);
    return 0;
}

int coir__try_send(coir_sender *sender, const void *item, size_t size)
{
    struct channel *channel = sender->channel;
    int r = check(channel, coir__loop, size);
    if (coir__unlikely(r < 0))
        return sender->shared != NULL ? coir__shared_try_send(sender->shared, item, size)
                                      : coir__stay(refused(channel, r));
    if (put(channel, item))
        return 0;
    return channel->receivers == 0 ? -COIR_ECLOSED : -EAGAIN;
}

static __attribute__((noinline)) int coir__receive__slowly(coir_receiver *receiver, void *ret_item,
                                                           size_t size)
{
    if (coir__unlikely(receiver->shared != NULL))
        return coir__shared_receive(receiver->shared, ret_item, size);
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, self == NULL ? receiver->channel->loop : NULL);
    if (coir__unlikely(r < 0))
        return r;
    struct channel *channel = receiver->channel;
    r = check(channel, self->loop, size);
    if (coir__unlikely(r < 0))
        return refused(channel, r);
    if (take(channel, ret_item))
        return coir__charge(self, 1);
    if (coir__unlikely(channel->senders == 0))
        return 0;
    return coir__wait_in(self, &channel->receiving, &receive_wait, channel, ret_item);
}

/* The short way, out of a ring that nobody waits to fill, calls nothing and so needs no frame. */
int coir__receive(coir_receiver *receiver, void *ret_item, size_t size)
{
    struct coir_task *self = coir__self();
    struct channel *channel = receiver->channel;
    if (coir__unlikely(!is_usual(self, channel, size) || channel->sending.first != NULL ||
                       channel->count == 0))
        return coir__receive__slowly(receiver, ret_item, size);
    self->loop->charges--;
    assume_short(size);
    pop(channel, ret_item, size);
    return 1;
}

int coir__try_receive(coir_receiver *receiver, void *ret_item, size_t size)
{
    struct channel *channel = receiver->channel;
    int r = check(channel, coir__loop, size);
    if (coir__unlikely(r < 0))
        return receiver->shared != NULL ? coir__shared_try_receive(receiver->shared, ret_item, size)
                                        : coir__stay(refused(channel, r));
    if (take(channel, ret_item))
        return 1;
    return channel->senders == 0 ? 0 : -EAGAIN;
}

/* ---- opening and closing ---- */

static coir_sender *make_sender(struct channel *channel)
{
    coir_sender *sender = coir__alloc(sizeof *sender);
    if (sender == NULL)
        return NULL;
    *sender = (coir_sender){.channel = channel};
    channel->senders++;
    return sender;
}

static coir_receiver *make_receiver(struct channel *channel)
{
    coir_receiver *receiver = coir__alloc(sizeof *receiver);
    if (receiver == NULL)
        return NULL;
    *receiver = (coir_receiver){.channel = channel};
    channel->receivers++;
    return receiver;
}

static void free_unused(struct channel *channel)
{
    if (channel->senders == 0 && channel->receivers == 0)
        coir__free(channel);
}

static struct channel *make_channel(size_t size, size_t capacity, size_t bytes,
                                    const coir_site *site)
{
    struct channel *channel = coir__alloc(sizeof *channel + bytes);
    if (channel == NULL)
        return NULL;
    *channel = (struct channel){
        .loop = coir__loop,
        .size = size,
        .capacity = capacity,
        .limit = capacity,
        .site = site,
    };
    channel->head = channel->tail = channel->items;
    channel->end = channel->items + bytes;
    return channel;
}

int coir_channel_open_at(size_t size, size_t capacity, coir_sender **ret_out,
                         coir_receiver **ret_in, const coir_site *site)
{
    size_t bytes;
    if (size == 0)
        return -EINVAL;
    if (__builtin_mul_overflow(size, capacity, &bytes) ||
        bytes > PTRDIFF_MAX - sizeof(struct channel))
        return -EOVERFLOW;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    struct channel *channel = make_channel(size, capacity, bytes, site);
    if (channel == NULL)
        return -ENOMEM;
    coir_sender *out = make_sender(channel);
    coir_receiver *in = out != NULL ? make_receiver(channel) : NULL;
    if (in == NULL) {
        coir__free(out);
        coir__free(channel);
        return -ENOMEM;
    }
    *ret_out = out;
    *ret_in = in;
    return 0;
}

int coir_sender_clone(coir_sender *sender, coir_sender **ret_clone)
{
    if (sender->shared != NULL)
        return coir__shared_clone_sender(sender->shared, ret_clone);
    if (sender->channel->loop != coir__loop)
        return coir__refuse(sender->channel->loop, NULL, -COIR_EWRONGLOOP);
    coir_sender *clone = make_sender(sender->channel);
    if (clone == NULL)
        return -ENOMEM;
    *ret_clone = clone;
    return 0;
}

int coir_receiver_clone(coir_receiver *receiver, coir_receiver **ret_clone)
{
    if (receiver->shared != NULL)
        return coir__shared_clone_receiver(receiver->shared, ret_clone);
    if (receiver->channel->loop != coir__loop)
        return coir__refuse(receiver->channel->loop, NULL, -COIR_EWRONGLOOP);
    coir_receiver *clone = make_receiver(receiver->channel);
    if (clone == NULL)
        return -ENOMEM;
    *ret_clone = clone;
    return 0;
}

void coir_sender_close(coir_sender *sender)
{
    if (sender == NULL)
        return;
    struct channel *channel = sender->channel;
    struct coir__shared *shared = sender->shared;
    if (shared == NULL && coir__elsewhere(channel->loop, NULL))
        return;
    coir__free(sender);
    if (shared != NULL) {
        coir__shared_close_sender(shared);
        return;
    }
    if (--channel->senders > 0)
        return;
    coir__wake_all(&channel->sending, -COIR_ECLOSED);
    coir__wake_all(&channel->receiving, 0);
    free_unused(channel);
}

void coir_receiver_close(coir_receiver *receiver)
{
    if (receiver == NULL)
        return;
    struct channel *channel = receiver->channel;
    struct coir__shared *shared = receiver->shared;
    if (shared == NULL && coir__elsewhere(channel->loop, NULL))
        return;
    coir__free(receiver);
    if (shared != NULL) {
        coir__shared_close_receiver(shared);
        return;
    }
    if (--channel->receivers > 0)
        return;
    channel->limit = 0;
    channel->count = 0;
    coir__wake_all(&channel->sending, -COIR_ECLOSED);
    coir__wake_all(&channel->receiving, -COIR_ECLOSED);
    free_unused(channel);
}

static void read_stats(const struct channel *channel, struct coir_channel_stats *ret_stats)
{
    *ret_stats = (struct coir_channel_stats){
        .capacity = channel->capacity,
        .held = channel->count,
        .senders = channel->senders,
        .receivers = channel->receivers,
        .sending = coir__waitlist_count(&channel->sending),
        .receiving = coir__waitlist_count(&channel->receiving),
        .sent = channel->sent,
    };
}

void coir_sender_stats(const coir_sender *sender, struct coir_channel_stats *ret_stats)
{
    *ret_stats = (struct coir_channel_stats){0};
    if (sender->shared != NULL)
        coir__shared_stats(sender->shared, ret_stats);
    else if (!coir__elsewhere(sender->channel->loop, NULL))
        read_stats(sender->channel, ret_stats);
}

void coir_receiver_stats(const coir_receiver *receiver, struct coir_channel_stats *ret_stats)
{
    *ret_stats = (struct coir_channel_stats){0};
    if (receiver->shared != NULL)
        coir__shared_stats(receiver->shared, ret_stats);
    else if (!coir__elsewhere(receiver->channel->loop, NULL))
        read_stats(receiver->channel, ret_stats);
}

/* ---- in coir_select ---- */

static int settled(coir_case *wanted, int result, int unless)
{
    if (result == -EAGAIN)
        return 0;
    if (result < 0 && result != unless)
        return result;
    wanted->result = result;
    return 1;
}

static int attempt_send(coir_case *wanted)
{
    int r = coir__try_send(wanted->coir__object, wanted->coir__slot, (size_t)wanted->coir__number);
    return settled(wanted, r, -COIR_ECLOSED);
}

static int attempt_receive(coir_case *wanted)
{
    int r =
        coir__try_receive(wanted->coir__object, wanted->coir__slot, (size_t)wanted->coir__number);
    return settled(wanted, r, 0);
}

static int begin_send(coir_case *wanted)
{
    const coir_sender *sender = wanted->coir__object;
    if (sender->shared != NULL)
        return coir__shared_begin(sender->shared, wanted, true);
    wanted->coir__waiter.slot = wanted->coir__slot;
    coir__waiter_link(&sender->channel->sending, &wanted->coir__waiter);
    return 0;
}

static int begin_receive(coir_case *wanted)
{
    const coir_receiver *receiver = wanted->coir__object;
    if (receiver->shared != NULL)
        return coir__shared_begin(receiver->shared, wanted, false);
    wanted->coir__waiter.slot = wanted->coir__slot;
    coir__waiter_link(&receiver->channel->receiving, &wanted->coir__waiter);
    return 0;
}

/* The case of a shared channel has its waiter in no list of the loop. */
static void withdraw(coir_case *wanted)
{
    if (wanted->coir__waiter.list == NULL)
        coir__shared_withdraw(wanted);
    else
        coir__waiter_unlink(&wanted->coir__waiter);
}

/* From the list that the case waits in, which is part of the channel: the handle may have been
 * closed by another task. */
static size_t describe_send_case(const coir_case *wanted, char *text, size_t size)
{
    const struct coir__waitlist *list = wanted->coir__waiter.list;
    if (list == NULL)
        return coir__shared_describe(((const coir_sender *)wanted->coir__object)->shared, true,
                                     text, size);
    return describe(coir__container(list, const struct channel, sending), true, text, size);
}

static size_t describe_receive_case(const coir_case *wanted, char *text, size_t size)
{
    const struct coir__waitlist *list = wanted->coir__waiter.list;
    if (list == NULL)
        return coir__shared_describe(((const coir_receiver *)wanted->coir__object)->shared, false,
                                     text, size);
    return describe(coir__container(list, const struct channel, receiving), false, text, size);
}

const struct coir__waitable coir__on_send = {"send to channel", attempt_send, begin_send, withdraw,
                                             describe_send_case};
const struct coir__waitable coir__on_receive = {"receive from channel", attempt_receive,
                                                begin_receive, withdraw, describe_receive_case};
