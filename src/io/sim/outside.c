/* outside.c: descriptors of the machine in the simulation: processes, their pipes, terminals.
 *
 * Only the library's own calls for these ask for them (coir__op.outside). They are looked at in
 * real time: while one is under way the clock does not jump but moves as fast as the machine's
 * (core/loop.c). The polls are in a list, in the order of starting, and complete in that order.
 */
#include "io/process/sys.h"
#include "io/sim/sim.h"

enum { MOST = 128 };

static void unlink_op(struct coir__sim *sim, struct coir__op *op)
{
    struct coir__op **place = &sim->outside;
    while (*place != op)
        place = &(*place)->next;
    *place = op->next;
    op->active = false;
    sim->loop->operations--;
    sim->loop->outside--;
}

long coir__sim_outside_start(struct coir__sim *sim, struct coir__op *op)
{
    if (sim->loop->outside == MOST)
        return -ENOBUFS;
    struct coir__op **place = &sim->outside;
    while (*place != NULL)
        place = &(*place)->next;
    *place = op;
    op->next = NULL;
    op->active = true;
    op->slot = 0;
    sim->loop->operations++;
    sim->loop->outside++;
    return COIR__STARTED;
}

void coir__sim_outside_cancel(struct coir__sim *sim, struct coir__op *op)
{
    unlink_op(sim, op);
}

/* The first one that was found ready; NULL: none is left. */
static struct coir__op *first_ready(struct coir__sim *sim)
{
    for (struct coir__op *op = sim->outside; op != NULL; op = op->next)
        if (op->slot != 0)
            return op;
    return NULL;
}

int coir__sim_outside_poll(struct coir__sim *sim, coir_time timeout)
{
    struct pollfd polled[1 + MOST] = {{.fd = sim->wakefd, .events = POLLIN}};
    size_t count = 1;
    for (struct coir__op *op = sim->outside; op != NULL; op = op->next)
        polled[count++] = (struct pollfd){.fd = op->fd, .events = op->events};
    if (coir__sys_poll_all(polled, count, timeout) <= 0)
        return 0;
    if (polled[0].revents != 0)
        coir__sys_wait_eventfd(sim->wakefd, 0);
    count = 1;
    for (struct coir__op *op = sim->outside; op != NULL; op = op->next)
        op->slot = (unsigned short)polled[count++].revents;
    int completed = 0;
    for (struct coir__op *op; (op = first_ready(sim)) != NULL; completed++) {
        unlink_op(sim, op);
        op->result = op->slot & POLLNVAL ? -EBADF : (long)op->slot;
        op->done(op); /* may start others, and withdraw any */
    }
    return completed;
}
