/* capacity.c: limiters that know their holders.
 *
 * Holdings stand in an array, in no order; it has room for those that wait too, so that handing on
 * to one of them never needs memory, and it is freed when there are neither. Finding one is a walk
 * over the array: the limit is a number of things that run at once. Between calls, tasks wait only
 * while no token is free. A token that is released is the next waiter's before it runs, and
 * stays so when it is cancelled in between.
 */
#include <stdio.h>

#include <coir/capacity.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_capacity) == 80, "part of the ABI");

typedef struct coir__holding holding;

static holding of_task(const struct coir_task *task)
{
    return (holding){.holder = task, .id = task->id};
}

static bool is_same(const holding *a, const holding *b)
{
    return a->holder == b->holder && a->id == b->id;
}

/* ---- the holdings ---- */

static holding *find(const coir_capacity *capacity, const holding *who)
{
    for (size_t i = 0; i < capacity->coir__held; i++)
        if (is_same(&capacity->coir__holdings[i], who))
            return &capacity->coir__holdings[i];
    return NULL;
}

/* Whether a task waits on behalf of who. A task cannot wait for itself twice. */
static bool is_waited_for(const coir_capacity *capacity, const holding *who)
{
    const struct coir__waiter *waiter = capacity->coir__waiters.first;
    for (; waiter != NULL; waiter = waiter->next)
        if (is_same(waiter->slot, who))
            return true;
    return false;
}

/* Makes sure that there is room for one more, whether it acquires now or waits. */
static int reserve(coir_capacity *capacity)
{
    size_t wanted = capacity->coir__held + capacity->coir__waiting + 1;
    if (wanted <= capacity->coir__room)
        return 0;
    size_t room = capacity->coir__room > 0 ? 2 * capacity->coir__room : 8;
    holding *holdings = coir__realloc(capacity->coir__holdings, room * sizeof *holdings);
    if (holdings == NULL)
        return -ENOMEM;
    capacity->coir__holdings = holdings;
    capacity->coir__room = room;
    return 0;
}

static void free_unused(coir_capacity *capacity)
{
    if (capacity->coir__held > 0 || capacity->coir__waiting > 0)
        return;
    coir__free(capacity->coir__holdings);
    capacity->coir__holdings = NULL;
    capacity->coir__room = 0;
}

static void add(coir_capacity *capacity, const holding *who)
{
    capacity->coir__holdings[capacity->coir__held++] = *who;
}

/* Hands what is free to those that have waited longest. */
static void hand_on(coir_capacity *capacity)
{
    while (capacity->coir__held < capacity->total && capacity->coir__waiters.first != NULL) {
        struct coir__waiter *next = capacity->coir__waiters.first;
        capacity->coir__waiting--;
        add(capacity, next->slot);
        coir__waiter_wake(next, 0);
    }
}

/* ---- waiting ---- */

static bool abort_wait(struct coir_task *task)
{
    coir_capacity *capacity = (coir_capacity *)(uintptr_t)task->wait_object;
    capacity->coir__waiting--;
    (void)coir__abort_waiter(task);
    free_unused(capacity);
    return true;
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_capacity *capacity = task->wait_object;
    return (size_t)snprintf(text, size, "%p (%zu of %zu held, %zu waiting)", task->wait_object,
                            capacity->coir__held, capacity->total, capacity->coir__waiting);
}

static const struct coir__wait capacity_wait = {"waits for capacity", abort_wait, describe};

/* Acquires when that needs no wait, else makes sure that there is room for who when its turn
 * comes: -EAGAIN. */
static int try_acquire(coir_capacity *capacity, const holding *who)
{
    if (who->holder == NULL)
        return -EINVAL;
    if (find(capacity, who) != NULL || is_waited_for(capacity, who))
        return -EALREADY;
    int r = reserve(capacity);
    if (r < 0)
        return r;
    if (capacity->coir__held >= capacity->total)
        return -EAGAIN;
    add(capacity, who);
    return 0;
}

/* The holding lies on the caller's stack, so this is no tail call. */
static int acquire(coir_capacity *capacity, struct coir_task *self, holding who)
{
    int r = try_acquire(capacity, &who);
    if (r == -EALREADY)
        return coir_fail(r, "the holder has a token of this capacity already");
    if (r != -EAGAIN)
        return r;
    capacity->coir__waiting++;
    return coir__wait_in(self, &capacity->coir__waiters, &capacity_wait, capacity, &who);
}

int coir_capacity_acquire(coir_capacity *capacity)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &capacity->coir__loop);
    return r < 0 ? r : acquire(capacity, self, of_task(self));
}

int coir_capacity_acquire_for(coir_capacity *capacity, const void *holder)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &capacity->coir__loop);
    return r < 0 ? r : acquire(capacity, self, (holding){.holder = holder});
}

static int acquire_now(coir_capacity *capacity, holding who)
{
    int r = try_acquire(capacity, &who);
    if (r < 0)
        free_unused(capacity);
    return r;
}

int coir_capacity_try(coir_capacity *capacity)
{
    const struct coir_task *self = coir__self();
    if (self == NULL)
        return coir__refuse(capacity->coir__loop, NULL, -COIR_ENOTASK);
    int r = coir__bind(&capacity->coir__loop, self->loop);
    return r < 0 ? r : acquire_now(capacity, of_task(self));
}

int coir_capacity_try_for(coir_capacity *capacity, const void *holder)
{
    int r = coir__bind(&capacity->coir__loop, coir__loop);
    return r < 0 ? r : acquire_now(capacity, (holding){.holder = holder});
}

/* ---- releasing ---- */

static int release(coir_capacity *capacity, holding who)
{
    holding *found = find(capacity, &who);
    if (found == NULL)
        return -COIR_ENOTHELD;
    *found = capacity->coir__holdings[--capacity->coir__held];
    hand_on(capacity);
    free_unused(capacity);
    return 0;
}

int coir_capacity_release(coir_capacity *capacity)
{
    const struct coir_task *self = coir__self();
    return self == NULL ? -COIR_ENOTHELD : release(capacity, of_task(self));
}

int coir_capacity_release_for(coir_capacity *capacity, const void *holder)
{
    int r = coir__bind(&capacity->coir__loop, coir__loop);
    return r < 0 ? r : release(capacity, (holding){.holder = holder});
}

int coir_capacity_resize(coir_capacity *capacity, size_t total)
{
    int r = coir__bind(&capacity->coir__loop, coir__loop);
    if (r < 0)
        return r;
    capacity->total = total;
    hand_on(capacity);
    return 0;
}

void coir_capacity_close(coir_capacity *capacity)
{
    if (capacity->coir__loop != NULL && coir__elsewhere(capacity->coir__loop, NULL))
        return;
    capacity->coir__held = capacity->coir__waiting = 0;
    coir__wake_all(&capacity->coir__waiters, -COIR_ECLOSED);
    free_unused(capacity);
}

/* ---- looking ---- */

size_t coir_capacity_held(const coir_capacity *capacity)
{
    return capacity->coir__held;
}

size_t coir_capacity_waiting(const coir_capacity *capacity)
{
    return capacity->coir__waiting;
}

size_t coir_capacity_available(const coir_capacity *capacity)
{
    size_t held = capacity->coir__held;
    return held < capacity->total ? capacity->total - held : 0;
}

/* The task whose record lies at an address, which is not looked at: anything may lie there. */
static const struct coir_task *task_at(const void *address)
{
    struct coir_scope *root = &coir__loop->root, *scope = root;
    while ((scope = coir__scope_next(root, scope)) != NULL)
        if (scope->coir__kind == COIR__SCOPE_TASK && scope->coir__owner == address)
            return scope->coir__owner;
    return NULL;
}

/* The record of a task that ended without releasing may be another task's by now. */
static bool is_of(const holding *found, const void *holder)
{
    if (found->holder != holder)
        return false;
    if (found->id == 0 || coir__loop == NULL)
        return true;
    const struct coir_task *task = holder == coir__self() ? holder : task_at(holder);
    return task == NULL || task->id == found->id;
}

bool coir_capacity_holds(const coir_capacity *capacity, const void *holder)
{
    for (size_t i = 0; i < capacity->coir__held; i++)
        if (is_of(&capacity->coir__holdings[i], holder))
            return true;
    return false;
}

void coir__capacity_leave(coir_capacity **held)
{
    (void)coir_capacity_release(*held);
}
