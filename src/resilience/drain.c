/* drain.c: gates, and the phases of an end.
 *
 * A gate has a list of those inside, each a scope in the frame of its task, so that draining can
 * cancel them one by one and nothing else. A closed gate stays closed; so its event, set when the
 * last one has left, is never cleared.
 */
#include <errno.h>

#include <coir/drain.h>
#include <coir/loop.h>

_Static_assert(sizeof(void *) != 8 || sizeof(coir_gate) == 112, "part of the ABI");
_Static_assert(sizeof(void *) != 8 || sizeof(coir_gate_pass) == 176, "part of the ABI");
_Static_assert(sizeof(void *) != 8 || sizeof(coir_phase) == 56, "part of the ABI");

static int bind_gate(coir_gate *gate)
{
    if (coir_current() == NULL)
        return -COIR_ENOTASK;
    if (gate->coir__loop == NULL)
        gate->coir__loop = coir_loop_current();
    return gate->coir__loop == coir_loop_current() ? 0 : -COIR_EWRONGLOOP;
}

/* ---- going in and out ---- */

int coir_gate_enter_at(coir_gate *gate, coir_gate_pass *pass, const coir_site *site)
{
    *pass = (coir_gate_pass){0};
    int r = bind_gate(gate);
    if (r < 0)
        return r;
    if (gate->coir__closed)
        return -COIR_ECLOSED;
    pass->coir__gate = gate;
    pass->coir__task = coir_current();
    pass->coir__previous = gate->coir__last;
    if (gate->coir__last != NULL)
        gate->coir__last->coir__next = pass;
    else
        gate->coir__first = pass;
    gate->coir__last = pass;
    gate->coir__inside++;
    (void)coir_scope_enter(&pass->coir__scope, COIR_FOREVER, site);
    return 0;
}

void coir_gate_leave(coir_gate_pass *pass)
{
    coir_gate *gate = pass->coir__gate;
    if (gate == NULL)
        return;
    coir_scope_leave(&pass->coir__scope);
    coir_gate_pass *next = pass->coir__next, *previous = pass->coir__previous;
    *(next != NULL ? &next->coir__previous : &gate->coir__last) = previous;
    *(previous != NULL ? &previous->coir__next : &gate->coir__first) = next;
    pass->coir__gate = NULL;
    if (--gate->coir__inside == 0 && gate->coir__closed)
        (void)coir_event_set(&gate->coir__empty);
}

size_t coir_gate_inside(const coir_gate *gate)
{
    return gate->coir__inside;
}

bool coir_gate_closed(const coir_gate *gate)
{
    return gate->coir__closed;
}

/* ---- draining ---- */

void coir_gate_close(coir_gate *gate)
{
    gate->coir__closed = true;
    if (gate->coir__inside == 0)
        (void)coir_event_set(&gate->coir__empty);
}

static bool is_inside(const coir_gate *gate, const coir_task *task)
{
    const coir_gate_pass *pass = gate->coir__first;
    while (pass != NULL && pass->coir__task != task)
        pass = pass->coir__next;
    return pass != NULL;
}

/* Waits until nobody is inside, no longer than grace. -ETIMEDOUT when it is over. */
static int wait_until_empty(coir_gate *gate, coir_time grace)
{
    COIR_SCOPE(bound, grace);
    int r = coir_event_wait(&gate->coir__empty);
    return r == -ETIME && coir_scope_expired(&bound) ? -ETIMEDOUT : r;
}

int coir_gate_drain(coir_gate *gate, coir_time grace)
{
    if (grace < 0)
        return -EINVAL;
    COIR_TRY(bind_gate(gate));
    if (is_inside(gate, coir_current()))
        return coir_fail(-EDEADLK, "a task inside a gate cannot wait until it has left");
    coir_gate_close(gate);
    int r = wait_until_empty(gate, grace);
    if (gate->coir__inside == 0)
        return r == -ETIMEDOUT ? 0 : r;
    size_t late = gate->coir__inside;
    for (coir_gate_pass *pass = gate->coir__first; pass != NULL; pass = pass->coir__next)
        coir_scope_cancel(&pass->coir__scope, "the gate is drained, and the grace is over");
    COIR_SHIELD(COIR_FOREVER); /* they are cancelled, and somebody counts on their end */
    int waited = coir_event_wait(&gate->coir__empty);
    if (waited < 0)
        return waited;
    return r == -ETIMEDOUT ? coir_fail(r, "%zu had to be cancelled after the grace", late) : r;
}

/* ---- phases ---- */

static int go_through(const coir_phase *phase)
{
    coir_time grace = phase->grace != 0 ? phase->grace : COIR_SEC(10);
    if (phase->gate != NULL)
        return coir_gate_drain(phase->gate, grace);
    COIR_SCOPE(bound, grace);
    int r = phase->run(phase->arg);
    if (r == -ETIME && coir_scope_expired(&bound))
        return coir_fail(-ETIMEDOUT, "phase '%s' took longer than its grace",
                         phase->name != NULL ? phase->name : "");
    return r;
}

int coir_drain(const coir_phase *phases, size_t count, const coir_drain_opts *opts)
{
    for (size_t i = 0; i < count; i++)
        if ((phases[i].run != NULL) == (phases[i].gate != NULL) || phases[i].grace < 0)
            return -EINVAL;
    if (coir_current() == NULL)
        return -COIR_ENOTASK;
    /* What is pending already is why it drains; what comes later is somebody in a hurry. */
    COIR_SHIELD(coir_pending() < 0 ? COIR_FOREVER : 0);
    int first = 0;
    for (size_t i = 0; i < count; i++) {
        coir_time start = coir_now();
        int r = go_through(&phases[i]);
        if (opts != NULL && opts->on_phase != NULL)
            opts->on_phase(&phases[i], r, coir_now() - start, opts->arg);
        first = first == 0 && r < 0 ? r : first;
    }
    return first;
}
