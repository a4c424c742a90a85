/* signal.c: signals as something to wait for.
 *
 * One handler for the process notes the signal in the slot of each loop that asks for it and posts
 * to the loop, all by atomics and static memory; the loop then gives it to its sets. Slots are
 * never freed: a handler may run on any thread at any time, so who gives up a slot first hides the
 * loop and then waits until no handler is inside. Dispositions are counted under a lock that
 * handlers never take. Called by user code, by coir_select through coir__on_signal, and by the
 * backends when a loop closes.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include <coir/select.h>
#include <coir/signal.h>

#include "core/sys.h"
#include "io/process/signal.h"

#define MOST_LOOPS 64
#define MOST_SIGNALS 64 /* numbers 1 to 64, a bit each */

struct coir_signals {
    struct coir_signals *next; /* of the same loop */
    struct slot *slot;         /* NULL: its loop is gone */
    struct coir_loop *loop;
    uint64_t wanted, pending;
    int last; /* given last: those after it come first */
    bool own; /* the loop's, for waits without a set */
    struct coir__waitlist waiters;
};

/* A loop that asks for signals. */
struct slot {
    struct coir_loop *owner;          /* under the lock; NULL: free */
    _Atomic(struct coir_loop *) loop; /* what handlers post to; NULL: nothing */
    _Atomic uint64_t wanted, pending;
    coir_post_node node;
    struct coir_signals *sets; /* of the loop's thread */
};

static struct slot slots[MOST_LOOPS];
static atomic_int inside;          /* handlers that run now */
static _Atomic uint64_t unhandled; /* arrived, and given to nobody yet */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct disposition {
    unsigned users;
    struct sigaction before;
} dispositions[MOST_SIGNALS + 1];

static uint64_t bit_of(int number)
{
    return UINT64_C(1) << (number - 1);
}

static int number_of(uint64_t bits)
{
    return __builtin_ctzll(bits) + 1;
}

/* ---- giving a signal to who waits ---- */

static void wait_ends(struct coir__waiter *waiter)
{
    coir__waiter_unlink(waiter);
    waiter->task->loop->hopes--;
}

/* Gives number to the waiters of a loop's own set that want it. Returns whether there was one. */
static bool give_each(struct coir_signals *set, int number)
{
    bool given = false;
    for (struct coir__waiter *waiter = set->waiters.first, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if ((uintptr_t)waiter->slot != (uintptr_t)number)
            continue;
        given = true;
        wait_ends(waiter);
        if (waiter->fire != NULL)
            waiter->fire(waiter, number);
        else
            coir__wake(waiter->task, 0);
        next = set->waiters.first; /* firing may have withdrawn others */
    }
    return given;
}

static bool give_one(struct coir_signals *set, int number)
{
    struct coir__waiter *waiter = set->waiters.first;
    if (waiter == NULL)
        return false;
    wait_ends(waiter);
    set->last = number;
    *(int *)waiter->slot = number;
    coir__wake(waiter->task, 0);
    return true;
}

static void give(struct coir_signals *set, uint64_t arrived)
{
    for (uint64_t left = arrived & set->wanted; left != 0; left &= left - 1) {
        int number = number_of(left);
        if (set->own ? give_each(set, number) : give_one(set, number))
            atomic_fetch_and(&unhandled, ~bit_of(number));
        else
            set->pending |= bit_of(number);
    }
}

/* Takes one that is pending, in turn. Returns 0 when there is none. */
static int take(struct coir_signals *set, uint64_t of)
{
    uint64_t bits = set->pending & of;
    if (bits == 0)
        return 0;
    uint64_t later = set->last < MOST_SIGNALS ? bits >> set->last << set->last : 0;
    int number = number_of(later != 0 ? later : bits);
    set->pending &= ~bit_of(number);
    set->last = number;
    atomic_fetch_and(&unhandled, ~bit_of(number));
    return number;
}

/* Runs on the loop, after the handler. */
static void deliver(void *arg)
{
    struct slot *slot = arg;
    uint64_t arrived = atomic_exchange(&slot->pending, 0);
    for (struct coir_signals *set = slot->sets; set != NULL; set = set->next)
        give(set, arrived);
}

static void handle(int number)
{
    int saved = errno;
    atomic_fetch_add(&inside, 1);
    atomic_fetch_or(&unhandled, bit_of(number));
    for (struct slot *slot = slots; slot < slots + MOST_LOOPS; slot++) {
        if (!(atomic_load(&slot->wanted) & bit_of(number)))
            continue;
        struct coir_loop *loop = atomic_load(&slot->loop);
        if (loop == NULL)
            continue;
        atomic_fetch_or(&slot->pending, bit_of(number));
        (void)coir_post(loop, &slot->node, deliver, slot);
    }
    atomic_fetch_sub(&inside, 1);
    errno = saved;
}

static void wait_for_handlers(void)
{
    while (atomic_load(&inside) > 0)
        sched_yield();
}

/* ---- dispositions and slots ---- */

static bool may_wait_for(int number)
{
    switch (number) {
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS: return false;
    default: return number >= 1 && number <= MOST_SIGNALS;
    }
}

/* Under the lock. */
static int take_over(int number)
{
    struct disposition *disposition = &dispositions[number];
    if (disposition->users == 0) {
        struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
        sigfillset(&action.sa_mask);
        int r = coir__sys_sigaction(number, &action, &disposition->before);
        if (r < 0)
            return r;
    }
    disposition->users++;
    return 0;
}

/* Under the lock. Whoever has put another handler in our place meanwhile keeps it. */
static void give_back(int number)
{
    struct disposition *disposition = &dispositions[number];
    struct sigaction now;
    if (--disposition->users > 0)
        return;
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == handle)
        (void)sigaction(number, &disposition->before, NULL);
}

/* The slot of loop, or a free one; NULL when there is none. Under the lock. */
static struct slot *slot_for(struct coir_loop *loop)
{
    struct slot *free_one = NULL;
    for (struct slot *slot = slots; slot < slots + MOST_LOOPS; slot++) {
        if (slot->owner == loop)
            return slot;
        if (slot->owner == NULL && free_one == NULL &&
            __atomic_load_n(&slot->node.coir__queued, __ATOMIC_ACQUIRE) == 0)
            free_one = slot;
    }
    return free_one;
}

/* Publishes what the sets of a slot want. */
static void publish(struct slot *slot)
{
    uint64_t wanted = 0;
    for (struct coir_signals *set = slot->sets; set != NULL; set = set->next)
        wanted |= set->wanted;
    atomic_store(&slot->wanted, wanted);
}

/* Adds number to set, which is in the list of its slot. Under the lock. */
static int want(struct coir_signals *set, int number)
{
    if (set->wanted & bit_of(number))
        return 0;
    set->wanted |= bit_of(number);
    publish(set->slot); /* before the first signal can come */
    int r = take_over(number);
    if (r < 0) {
        set->wanted &= ~bit_of(number);
        publish(set->slot);
    }
    return r;
}

/* Puts set into the slot of its loop. Under the lock. */
static int join_slot(struct coir_signals *set)
{
    struct slot *slot = slot_for(set->loop);
    if (slot == NULL)
        return -ENOSPC;
    if (slot->sets == NULL) {
        slot->owner = set->loop;
        atomic_store(&slot->pending, 0);
        atomic_store(&slot->loop, set->loop);
    }
    set->slot = slot;
    set->next = slot->sets;
    slot->sets = set;
    return 0;
}

/* Takes set out of its slot; the last one leaves it to another loop. Under the lock. Returns the
 * signals that nobody wants any more. */
static uint64_t leave_slot(struct coir_signals *set)
{
    struct slot *slot = set->slot;
    struct coir_signals **link = &slot->sets;
    while (*link != set)
        link = &(*link)->next;
    *link = set->next;
    set->slot = NULL;
    publish(slot);
    uint64_t abandoned = 0;
    for (uint64_t left = set->wanted; left != 0; left &= left - 1) {
        give_back(number_of(left));
        if (dispositions[number_of(left)].users == 0)
            abandoned |= left & -left;
    }
    if (slot->sets == NULL)
        atomic_store(&slot->loop, NULL);
    wait_for_handlers();
    if (slot->sets == NULL && __atomic_load_n(&slot->node.coir__queued, __ATOMIC_ACQUIRE) == 0)
        slot->owner = NULL; /* else when the loop closes: its inbox has the node */
    return abandoned;
}

/* ---- sets ---- */

static struct coir_signals *set_new(struct coir_loop *loop, bool own)
{
    struct coir_signals *set = own ? coir__alloc_own(sizeof *set) : coir__alloc(sizeof *set);
    if (set != NULL)
        *set = (struct coir_signals){.loop = loop, .own = own};
    return set;
}

static void set_free(struct coir_signals *set)
{
    if (set->own)
        coir__free_own(set);
    else
        coir__free(set);
}

int coir_signals_open(const int *numbers, size_t count, coir_signals **ret_signals)
{
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    if (numbers == NULL || count == 0 || ret_signals == NULL)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (!may_wait_for(numbers[i]))
            return -EINVAL;
    struct coir_signals *set = set_new(coir__loop, false);
    if (set == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&lock);
    int r = join_slot(set);
    for (size_t i = 0; i < count && r == 0; i++)
        r = want(set, numbers[i]);
    if (r < 0 && set->slot != NULL)
        (void)leave_slot(set);
    pthread_mutex_unlock(&lock);
    if (r < 0)
        set_free(set);
    else
        *ret_signals = set;
    return r;
}

void coir_signals_close(coir_signals *signals)
{
    if (signals == NULL || coir__elsewhere(signals->loop, NULL))
        return;
    struct coir__waiter *waiter = signals->waiters.first;
    if (waiter != NULL) {
        wait_ends(waiter);
        coir__wake(waiter->task, -COIR_ECLOSED);
    }
    uint64_t abandoned = 0;
    if (signals->slot != NULL) {
        pthread_mutex_lock(&lock);
        abandoned = leave_slot(signals);
        pthread_mutex_unlock(&lock);
    }
    set_free(signals);
    abandoned &= atomic_fetch_and(&unhandled, ~abandoned);
    for (; abandoned != 0; abandoned &= abandoned - 1)
        (void)raise(number_of(abandoned));
}

/* The set of the running loop for waits without one, which has number from now on. */
static int own_set(int number, struct coir_signals **ret_set)
{
    if (!may_wait_for(number))
        return -EINVAL;
    pthread_mutex_lock(&lock);
    struct slot *slot = slot_for(coir__loop);
    struct coir_signals *set = slot != NULL && slot->owner == coir__loop ? slot->sets : NULL;
    while (set != NULL && !set->own)
        set = set->next;
    int r = 0;
    if (set == NULL) {
        set = set_new(coir__loop, true);
        r = set != NULL ? join_slot(set) : -ENOMEM;
        if (r < 0 && set != NULL)
            set_free(set);
    }
    if (r == 0)
        r = want(set, number);
    pthread_mutex_unlock(&lock);
    *ret_set = set;
    return r;
}

void coir__signal_loop_closes(struct coir_loop *loop)
{
    pthread_mutex_lock(&lock);
    struct slot *slot = slot_for(loop);
    while (slot != NULL && slot->owner == loop && slot->sets != NULL) {
        struct coir_signals *set = slot->sets;
        (void)leave_slot(set);
        if (set->own)
            set_free(set);
    }
    if (slot != NULL && slot->owner == loop) { /* what was posted last is dropped with the loop */
        __atomic_store_n(&slot->node.coir__queued, 0, __ATOMIC_RELEASE);
        slot->owner = NULL;
    }
    pthread_mutex_unlock(&lock);
}

/* ---- waiting ---- */

static bool abort_wait(struct coir_task *task)
{
    wait_ends(&task->waiter);
    return true;
}

static size_t describe_wait(const struct coir_task *task, char *text, size_t size)
{
    const struct coir_signals *set = task->wait_object;
    uint64_t left = set->own ? bit_of((int)(uintptr_t)task->waiter.slot) : set->wanted;
    size_t at = 0;
    for (const char *between = ""; left != 0; left &= left - 1, between = ", ")
        at += (size_t)snprintf(at < size ? text + at : NULL, at < size ? size - at : 0, "%s%d",
                               between, number_of(left));
    return at;
}

static const struct coir__wait signal_wait = {"waits for signal", abort_wait, describe_wait};

static int wait_in(struct coir_signals *set, struct coir_task *self, void *slot)
{
    self->loop->hopes++;
    return coir__wait_in(self, &set->waiters, &signal_wait, set, slot);
}

int coir_signals_wait(coir_signals *signals, int *ret_number)
{
    struct coir_task *self = coir__self();
    int r = coir__look(self);
    if (r < 0)
        return r;
    if (signals == NULL || ret_number == NULL)
        return -EINVAL;
    if (signals->loop != self->loop)
        return coir__refuse(signals->loop, NULL, -COIR_EWRONGLOOP);
    if (signals->waiters.first != NULL)
        return -EBUSY;
    int number = take(signals, UINT64_MAX);
    if (number == 0)
        return wait_in(signals, self, ret_number);
    *ret_number = number;
    return coir__charge(self, 0);
}

int coir_signal_wait(int number)
{
    struct coir_task *self = coir__self();
    int r = coir__look(self);
    if (r < 0)
        return r;
    struct coir_signals *set;
    r = own_set(number, &set);
    if (r < 0)
        return r;
    if (take(set, bit_of(number)) != 0)
        return coir__charge(self, 0);
    return wait_in(set, self, (void *)(uintptr_t)number);
}

/* ---- coir_select ---- */

static int attempt(struct coir_case *wanted)
{
    int number = (int)wanted->coir__number;
    struct coir_signals *set;
    int r = own_set(number, &set);
    if (r < 0)
        return r;
    wanted->coir__object = set;
    wanted->result = take(set, bit_of(number));
    return wanted->result != 0;
}

static int begin(struct coir_case *wanted)
{
    struct coir_signals *set = wanted->coir__object;
    wanted->coir__waiter.slot = (void *)(uintptr_t)wanted->coir__number;
    coir__waiter_link(&set->waiters, &wanted->coir__waiter);
    coir__loop->hopes++;
    return 0;
}

static void withdraw(struct coir_case *wanted)
{
    wait_ends(&wanted->coir__waiter);
}

static size_t describe(const struct coir_case *wanted, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "%d", (int)wanted->coir__number);
}

const struct coir__waitable coir__on_signal = {"signal", attempt, begin, withdraw, describe};
