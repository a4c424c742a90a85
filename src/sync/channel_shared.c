/* channel_shared.c: channels between threads: tasks of several loops, and threads without one.
 *
 * One lock for each channel. Who waits has a record in a list: a task or thread on its stack, a
 * case of coir_select on the heap, since the call may be over while a post for it is under way. A
 * waiting task or thread is served by whoever can: the item is copied under the lock, then it is
 * woken, by a post when its loop is another one. A task that is cancelled in the meantime is not in
 * the list any more, and so has the item.
 *
 * A case cannot be served from outside, because another case of the same call may win on its own
 * loop. It is promised an item, or room for one, and a post lets its loop look. What is promised is
 * nobody else's, so it is there; a case that is withdrawn gives the promise back.
 *
 * Between calls these hold: somebody waits to receive only when every item is promised; to send
 * only when all room is full or promised.
 */
#include <stdio.h>
#include <string.h>

#include "core/sys.h"
#include "sync/channel.h"

struct party {
    struct party *next, *previous; /* in its list; then in what is to be woken */
    struct coir__shared *shared;
    struct list *list; /* NULL: it was served, woken or withdrawn */
    void *slot;
    int result;
    struct coir_loop *loop;   /* NULL: a thread waits */
    struct coir_task *task;   /* of a single wait */
    struct coir_case *wanted; /* of coir_select; of its loop's thread */
    bool is_case, promised;
    coir_post_node node;
    struct coir__blocked blocked; /* a job's thread waits */
    atomic_uint woken;            /* a thread waits for it */
};

struct list {
    struct party *first, *last;
};

struct coir__shared {
    pthread_mutex_t lock;
    size_t size, count, limit, capacity; /* limit: capacity; 0 when no receiver is left */
    char *head, *tail, *end;
    size_t promised_items, promised_room;
    struct list receiving, sending;
    uint64_t sent;
    size_t senders, receivers;
    size_t uses; /* handles and cases */
    const coir_site *site;
    _Alignas(max_align_t) char items[];
};

/* ---- the ring and the lists, under the lock ---- */

static char *after(const struct coir__shared *shared, char *item)
{
    item += shared->size;
    return item == shared->end ? (char *)(uintptr_t)shared->items : item;
}

static void push(struct coir__shared *shared, const void *item)
{
    memcpy(shared->tail, item, shared->size);
    shared->tail = after(shared, shared->tail);
    shared->count++;
    shared->sent++;
}

static void pop(struct coir__shared *shared, void *ret_item)
{
    memcpy(ret_item, shared->head, shared->size);
    shared->head = after(shared, shared->head);
    shared->count--;
}

static void enlist(struct list *list, struct party *party)
{
    party->list = list;
    party->next = NULL;
    party->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = party;
    list->last = party;
}

static void delist(struct party *party)
{
    struct list *list = party->list;
    *(party->next != NULL ? &party->next->previous : &list->last) = party->previous;
    *(party->previous != NULL ? &party->previous->next : &list->first) = party->next;
    party->list = NULL;
}

static void look_again(void *arg);

/* The loop of a case is told under the lock: a case that is withdrawn later knows that the post is
 * in the inbox, where the loop finds it before it ends. */
static void tell_case(struct party *party)
{
    delist(party);
    int r = coir_post(party->loop, &party->node, look_again, party);
    assert(r == 0 && "a loop closes only when nobody waits");
    (void)r;
}

/* Ends the wait of one that was served, or has nothing to wait for. It is woken later, by wake. */
static void settle(struct party *party, int result, struct party **woken)
{
    delist(party);
    party->result = result;
    party->next = *woken;
    *woken = party;
}

static bool has_item(const struct coir__shared *shared)
{
    return shared->count > shared->promised_items;
}

static bool has_room(const struct coir__shared *shared)
{
    return shared->count + shared->promised_room < shared->limit;
}

static void serve_receiver(struct coir__shared *shared, struct party **woken)
{
    struct party *party = shared->receiving.first;
    if (party->is_case) {
        shared->promised_items++;
        party->promised = true;
        tell_case(party);
    } else {
        pop(shared, party->slot);
        settle(party, 1, woken);
    }
}

static void serve_sender(struct coir__shared *shared, struct party **woken)
{
    struct party *party = shared->sending.first;
    if (party->is_case) {
        shared->promised_room++;
        party->promised = true;
        tell_case(party);
    } else {
        push(shared, party->slot);
        settle(party, 0, woken);
    }
}

/* Ends all waits of a list; cases look for themselves. */
static void dismiss(struct list *list, int result, struct party **woken)
{
    while (list->first != NULL) {
        if (list->first->is_case)
            tell_case(list->first);
        else
            settle(list->first, result, woken);
    }
}

/* Whether there is nothing to come for receivers. */
static bool is_over(const struct coir__shared *shared)
{
    return shared->senders == 0 && shared->count == 0;
}

/* After any change: whoever can be served is. */
static void match(struct coir__shared *shared, struct party **woken)
{
    for (;;) {
        if (has_item(shared) && shared->receiving.first != NULL)
            serve_receiver(shared, woken);
        else if (has_room(shared) && shared->sending.first != NULL)
            serve_sender(shared, woken);
        else
            break;
    }
    if (is_over(shared))
        dismiss(&shared->receiving, 0, woken);
}

static int put(struct coir__shared *shared, const void *item, struct party **woken)
{
    if (shared->receivers == 0 || shared->senders == 0)
        return -COIR_ECLOSED;
    if (!has_room(shared))
        return -EAGAIN;
    push(shared, item);
    match(shared, woken);
    return 0;
}

static int take(struct coir__shared *shared, void *ret_item, struct party **woken)
{
    if (shared->receivers == 0)
        return -COIR_ECLOSED;
    if (!has_item(shared))
        return is_over(shared) ? 0 : -EAGAIN;
    pop(shared, ret_item);
    match(shared, woken);
    return 1;
}

/* ---- waking, without the lock ---- */

static void arrive(void *arg)
{
    struct party *party = arg;
    party->loop->vague_hopes--;
    coir__wake(party->task, party->result);
}

static void wake_one(struct party *party)
{
    if (party->loop == NULL) {
        atomic_store_explicit(&party->woken, 1, memory_order_release);
        coir__sys_futex_wake(&party->woken); /* it may be gone already, which does no harm */
    } else if (party->loop == coir__loop) {
        arrive(party);
    } else {
        int r = coir_post(party->loop, &party->node, arrive, party);
        assert(r == 0 && "a loop closes only when nobody waits");
        (void)r;
    }
}

/* In the order in which they were served, which is the reverse of the list. */
static void wake(struct party *party)
{
    struct party *first = NULL;
    while (party != NULL) {
        struct party *next = party->next;
        party->next = first;
        first = party;
        party = next;
    }
    while (first != NULL) {
        party = first;
        first = party->next;
        wake_one(party);
    }
}

static void drop_use(struct coir__shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    bool last = --shared->uses == 0;
    pthread_mutex_unlock(&shared->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&shared->lock);
    coir__free(shared);
}

/* ---- single waits ---- */

/* Takes party out, if nobody has served it. */
static bool withdraw(struct party *party)
{
    pthread_mutex_lock(&party->shared->lock);
    bool waits = party->list != NULL;
    if (waits)
        delist(party);
    pthread_mutex_unlock(&party->shared->lock);
    return waits;
}

static bool abort_wait(struct coir_task *task)
{
    struct party *party = (struct party *)(uintptr_t)task->wait_object;
    if (!withdraw(party))
        return false;
    task->loop->vague_hopes--;
    return true;
}

size_t coir__shared_describe(struct coir__shared *shared, bool sending, char *text, size_t size)
{
    const coir_site *site = shared->site;
    pthread_mutex_lock(&shared->lock);
    size_t others = sending ? shared->receivers : shared->senders;
    pthread_mutex_unlock(&shared->lock);
    return (size_t)snprintf(text, size, "of %s opened at %s:%d, shared, %zu %s%s", site->what,
                            coir__file_name(site->file), site->line, others,
                            sending ? "receiver" : "sender", others == 1 ? "" : "s");
}

static size_t describe_send(const struct coir_task *task, char *text, size_t size)
{
    return coir__shared_describe(((const struct party *)task->wait_object)->shared, true, text,
                                 size);
}

static size_t describe_receive(const struct coir_task *task, char *text, size_t size)
{
    return coir__shared_describe(((const struct party *)task->wait_object)->shared, false, text,
                                 size);
}

static const struct coir__wait send_wait = {"waits to send to channel", abort_wait, describe_send};
static const struct coir__wait receive_wait = {"waits to receive from channel", abort_wait,
                                               describe_receive};

/* The task that this thread's job works for wants out. */
static void interrupt(struct coir__blocked *blocked)
{
    struct party *party = coir__container(blocked, struct party, blocked);
    if (!withdraw(party))
        return;
    party->result = -ECANCELED;
    wake_one(party);
}

/* Waits in a list of the channel, whose lock is held and given back. */
static int wait_in(struct list *list, struct party *party, const struct coir__wait *wait)
{
    struct coir__shared *shared = party->shared;
    struct coir_task *self = party->task;
    enlist(list, party);
    shared->uses++;
    if (self != NULL)
        self->loop->vague_hopes++;
    pthread_mutex_unlock(&shared->lock);
    int r = self != NULL ? coir__park(self, wait, party) : 0;
    if (self == NULL) {
        if (!coir__errand_block(&party->blocked))
            interrupt(&party->blocked);
        while (atomic_load_explicit(&party->woken, memory_order_acquire) == 0)
            (void)coir__sys_futex_wait(&party->woken, 0, COIR_FOREVER);
        coir__errand_unblock();
        r = party->result;
    }
    drop_use(shared);
    return r;
}

/* Whether the calling task or thread may begin: as coir__look, which a thread has no use for. */
static int begin(const struct coir__shared *shared, struct coir_task *self, size_t size)
{
    int r = coir__loop != NULL ? coir__look(self) : 0;
    if (r < 0)
        return r;
    return shared->size == size ? 0 : -EINVAL;
}

static int end(struct coir_task *self, int result, struct party *woken)
{
    wake(woken);
    return self != NULL && result >= 0 ? coir__charge(self, result) : result;
}

int coir__shared_send(struct coir__shared *shared, const void *item, size_t size)
{
    struct coir_task *self = coir__self();
    struct party *woken = NULL;
    int r = begin(shared, self, size);
    if (r < 0)
        return r;
    pthread_mutex_lock(&shared->lock);
    r = put(shared, item, &woken);
    if (r == -EAGAIN) {
        struct party party = {.shared = shared,
                              .slot = (void *)(uintptr_t)item,
                              .task = self,
                              .loop = coir__loop,
                              .blocked = {interrupt}};
        return wait_in(&shared->sending, &party, &send_wait);
    }
    pthread_mutex_unlock(&shared->lock);
    return end(self, r, woken);
}

int coir__shared_receive(struct coir__shared *shared, void *ret_item, size_t size)
{
    struct coir_task *self = coir__self();
    struct party *woken = NULL;
    int r = begin(shared, self, size);
    if (r < 0)
        return r;
    pthread_mutex_lock(&shared->lock);
    r = take(shared, ret_item, &woken);
    if (r == -EAGAIN) {
        struct party party = {.shared = shared,
                              .slot = ret_item,
                              .task = self,
                              .loop = coir__loop,
                              .blocked = {interrupt}};
        return wait_in(&shared->receiving, &party, &receive_wait);
    }
    pthread_mutex_unlock(&shared->lock);
    return end(self, r, woken);
}

int coir__shared_try_send(struct coir__shared *shared, const void *item, size_t size)
{
    struct party *woken = NULL;
    if (shared->size != size)
        return -EINVAL;
    pthread_mutex_lock(&shared->lock);
    int r = put(shared, item, &woken);
    pthread_mutex_unlock(&shared->lock);
    wake(woken);
    return r;
}

int coir__shared_try_receive(struct coir__shared *shared, void *ret_item, size_t size)
{
    struct party *woken = NULL;
    if (shared->size != size)
        return -EINVAL;
    pthread_mutex_lock(&shared->lock);
    int r = take(shared, ret_item, &woken);
    pthread_mutex_unlock(&shared->lock);
    wake(woken);
    return r;
}

/* ---- in coir_select ---- */

static bool sends(const struct party *party)
{
    return party->wanted->coir__kind == &coir__on_send;
}

int coir__shared_begin(struct coir__shared *shared, struct coir_case *wanted, bool sending)
{
    struct party *party = coir__alloc(sizeof *party);
    struct party *woken = NULL;
    if (party == NULL)
        return -ENOMEM;
    *party = (struct party){.shared = shared,
                            .slot = wanted->coir__slot,
                            .loop = coir__loop,
                            .wanted = wanted,
                            .is_case = true};
    wanted->coir__waiter.slot = party;
    party->loop->vague_hopes++;
    pthread_mutex_lock(&shared->lock);
    shared->uses++;
    enlist(sending ? &shared->sending : &shared->receiving, party);
    if (shared->receivers == 0)
        tell_case(party); /* since it was looked at */
    match(shared, &woken);
    pthread_mutex_unlock(&shared->lock);
    wake(woken);
    return 0;
}

static void end_case(struct party *party)
{
    struct coir__shared *shared = party->shared;
    coir__free(party);
    drop_use(shared);
}

/* Under the lock: what was promised is free again. The last receiver took all promises with it. */
static void give_promise_back(struct party *party, bool sending)
{
    struct coir__shared *shared = party->shared;
    if (party->promised && shared->receivers > 0)
        --*(sending ? &shared->promised_room : &shared->promised_items);
    party->promised = false;
}

void coir__shared_withdraw(struct coir_case *wanted)
{
    struct party *party = wanted->coir__waiter.slot, *woken = NULL;
    struct coir__shared *shared = party->shared;
    party->loop->vague_hopes--;
    pthread_mutex_lock(&shared->lock);
    bool waits = party->list != NULL;
    if (waits) {
        delist(party);
    } else {
        give_promise_back(party, sends(party));
        match(shared, &woken);
    }
    party->wanted = NULL;
    pthread_mutex_unlock(&shared->lock);
    wake(woken);
    if (waits)
        end_case(party);
}

/* On the loop of a case that was promised something. */
static void look_again(void *arg)
{
    struct party *party = arg, *woken = NULL;
    struct coir__shared *shared = party->shared;
    struct coir_case *wanted = party->wanted;
    if (wanted == NULL) { /* it was withdrawn meanwhile */
        end_case(party);
        return;
    }
    bool sending = sends(party);
    pthread_mutex_lock(&shared->lock);
    give_promise_back(party, sending);
    int r = sending ? put(shared, party->slot, &woken) : take(shared, party->slot, &woken);
    if (r == -EAGAIN) {
        enlist(sending ? &shared->sending : &shared->receiving, party);
        match(shared, &woken);
    }
    pthread_mutex_unlock(&shared->lock);
    wake(woken);
    if (r == -EAGAIN)
        return;
    party->loop->vague_hopes--;
    end_case(party);
    wanted->coir__waiter.fire(&wanted->coir__waiter, r);
}

/* ---- opening and closing ---- */

int coir__shared_clone_sender(struct coir__shared *shared, coir_sender **ret_clone)
{
    coir_sender *sender = coir__alloc(sizeof *sender);
    if (sender == NULL)
        return -ENOMEM;
    *sender = (coir_sender){&coir__channel_of_no_loop, shared};
    pthread_mutex_lock(&shared->lock);
    shared->senders++;
    shared->uses++;
    pthread_mutex_unlock(&shared->lock);
    *ret_clone = sender;
    return 0;
}

int coir__shared_clone_receiver(struct coir__shared *shared, coir_receiver **ret_clone)
{
    coir_receiver *receiver = coir__alloc(sizeof *receiver);
    if (receiver == NULL)
        return -ENOMEM;
    *receiver = (coir_receiver){&coir__channel_of_no_loop, shared};
    pthread_mutex_lock(&shared->lock);
    shared->receivers++;
    shared->uses++;
    pthread_mutex_unlock(&shared->lock);
    *ret_clone = receiver;
    return 0;
}

void coir__shared_close_sender(struct coir__shared *shared)
{
    struct party *woken = NULL;
    pthread_mutex_lock(&shared->lock);
    if (--shared->senders == 0) {
        dismiss(&shared->sending, -COIR_ECLOSED, &woken);
        match(shared, &woken);
    }
    pthread_mutex_unlock(&shared->lock);
    wake(woken);
    drop_use(shared);
}

void coir__shared_close_receiver(struct coir__shared *shared)
{
    struct party *woken = NULL;
    pthread_mutex_lock(&shared->lock);
    if (--shared->receivers == 0) {
        shared->limit = shared->count = 0;
        shared->promised_items = shared->promised_room = 0;
        dismiss(&shared->sending, -COIR_ECLOSED, &woken);
        dismiss(&shared->receiving, -COIR_ECLOSED, &woken);
    }
    pthread_mutex_unlock(&shared->lock);
    wake(woken);
    drop_use(shared);
}

static struct coir__shared *make(size_t size, size_t capacity, size_t bytes, const coir_site *site)
{
    struct coir__shared *shared = coir__alloc(sizeof *shared + bytes);
    if (shared == NULL)
        return NULL;
    *shared = (struct coir__shared){
        .size = size,
        .capacity = capacity,
        .limit = capacity,
        .site = site,
        .uses = 1,
    };
    pthread_mutex_init(&shared->lock, NULL);
    shared->head = shared->tail = shared->items;
    shared->end = shared->items + bytes;
    return shared;
}

int coir_channel_open_shared_at(size_t size, size_t capacity, coir_sender **ret_out,
                                coir_receiver **ret_in, const coir_site *site)
{
    size_t bytes;
    if (size == 0 || capacity == 0)
        return -EINVAL;
    if (__builtin_mul_overflow(size, capacity, &bytes) ||
        bytes > PTRDIFF_MAX - sizeof(struct coir__shared))
        return -EOVERFLOW;
    struct coir__shared *shared = make(size, capacity, bytes, site);
    if (shared == NULL)
        return -ENOMEM;
    coir_sender *out = NULL;
    int r = coir__shared_clone_sender(shared, &out);
    if (r == 0)
        r = coir__shared_clone_receiver(shared, ret_in);
    if (r == 0)
        *ret_out = out;
    else
        coir_sender_close(out);
    drop_use(shared);
    return r;
}

static size_t count(const struct list *list)
{
    size_t number = 0;
    for (const struct party *party = list->first; party != NULL; party = party->next)
        number++;
    return number;
}

void coir__shared_stats(struct coir__shared *shared, struct coir_channel_stats *ret_stats)
{
    pthread_mutex_lock(&shared->lock);
    *ret_stats = (struct coir_channel_stats){
        .capacity = shared->capacity,
        .held = shared->count,
        .senders = shared->senders,
        .receivers = shared->receivers,
        .sending = count(&shared->sending),
        .receiving = count(&shared->receiving),
        .sent = shared->sent,
    };
    pthread_mutex_unlock(&shared->lock);
}
