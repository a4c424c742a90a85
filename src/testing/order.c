/* order.c: helpers with which a test says what happens before what: waiting until all others are
 * blocked, and the sequencer.
 */
#include "testing/kit.h"

/* ---- waiting until all others are blocked ---- */

/* How many turns in a row must find nothing ready: one for what the kernel had already, one for
 * what that woke, one more for a thread or a loopback that is a little late. */
#define QUIET_TURNS 3

/* A callback that goes to the end of the ready queue again and again, and looks around. */
struct look {
    struct coir__ready ready;
    struct coir_task *task;
    uint64_t turn; /* of the last look */
    int quiet;
};

static void look_around(struct coir__ready *ready);

/* Whether nothing is ready but others that look around as well: they are blocked like the rest, so
 * the first of them goes on, and the next when that one is blocked again. */
static bool is_quiet(const struct coir_loop *loop)
{
    const struct coir__ready *ready = loop->ready_first;
    while (ready != NULL && ready->run == look_around)
        ready = ready->next;
    return ready == NULL;
}

static void look_around(struct coir__ready *ready)
{
    struct look *look = coir__container(ready, struct look, ready);
    struct coir_task *task = look->task;
    struct coir_loop *loop = task->loop;
    if (!is_quiet(loop))
        look->quiet = 0;
    else if (loop->turns != look->turn)
        look->quiet++;
    look->turn = loop->turns;
    if (task->pending != 0)
        coir__wake(task, task->pending);
    else if (look->quiet >= QUIET_TURNS)
        coir__wake(task, 0);
    else
        coir__ready_push(loop, &look->ready);
}

/* The callback is in the ready queue and sees for itself that the task is cancelled. */
static bool abort_look(struct coir_task *task)
{
    (void)task;
    return false;
}

int coir_test_wait_all_blocked(void)
{
    static const struct coir__wait waits = {"waits until all others are blocked", abort_look, NULL};
    struct coir_task *self = coir__self();
    int r = coir__enter(self);
    if (r < 0)
        return r;
    struct look look = {
        .ready = {NULL, look_around}, .task = self, .turn = self->loop->turns, .quiet = 0};
    coir__ready_push(self->loop, &look.ready);
    return coir__park(self, &waits, &look);
}

/* ---- the sequencer ---- */

_Static_assert(sizeof(struct coir__waitlist) == sizeof((coir_sequencer *)NULL)->coir__waiters,
               "the waiters of a sequencer are a waitlist");

static struct coir__waitlist *waiters_of(coir_sequencer *sequencer)
{
    return (struct coir__waitlist *)(void *)sequencer->coir__waiters;
}

/* The turn of a waiter that was cancelled never comes: everybody else gives up. */
static bool abort_sequencer(struct coir_task *task)
{
    coir_sequencer *sequencer = (coir_sequencer *)(uintptr_t)task->wait_object;
    struct coir__waitlist *waiters = waiters_of(sequencer);
    coir__waiter_unlink(&task->waiter);
    sequencer->coir__broken = true;
    while (waiters->first != NULL)
        coir__waiter_wake(waiters->first, -COIR_EBROKENBARRIER);
    return true;
}

int coir_sequencer_enter(coir_sequencer *sequencer, size_t turn)
{
    static const struct coir__wait waits = {"waits for its turn", abort_sequencer, NULL};
    struct coir_task *self = coir__self();
    int r = coir__enter(self);
    if (r < 0)
        return r;
    if (sequencer->coir__broken)
        return -COIR_EBROKENBARRIER;
    if (turn < sequencer->coir__turn || (turn == sequencer->coir__turn && sequencer->coir__inside))
        return -EINVAL;
    if (turn == sequencer->coir__turn) {
        sequencer->coir__inside = true;
        return 0;
    }
    return coir__wait_in(self, waiters_of(sequencer), &waits, sequencer, (void *)turn);
}

void coir_sequencer_leave(coir_sequencer *sequencer)
{
    if (!sequencer->coir__inside)
        return;
    sequencer->coir__inside = false;
    sequencer->coir__turn++;
    struct coir__waiter *waiter = waiters_of(sequencer)->first;
    while (waiter != NULL && (size_t)waiter->slot != sequencer->coir__turn)
        waiter = waiter->next;
    if (waiter != NULL) {
        sequencer->coir__inside = true;
        coir__waiter_wake(waiter, 0);
    }
}
