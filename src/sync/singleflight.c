/* singleflight.c: calls with equal keys that share one execution.
 *
 * A flight is one execution: its task, the only child of a group below the loop's root, and the
 * callers that wait for it. It is in the list as long as somebody who comes can still join it: up
 * to the end of its task, or to the last caller's giving up. What the task ended with is in its
 * record by then; each caller takes a copy when it runs, and the last one of all closes the group,
 * which joins the task, and frees the flight.
 *
 * Flights are found by walking the list: there are as many as keys under way at one time.
 */
#include <stdio.h>
#include <string.h>

#include <coir/group.h>
#include <coir/singleflight.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_singleflight) == 40, "part of the ABI");

struct coir__flight {
    struct coir__flight *next, **link; /* link is what points here; NULL: not in the list */
    coir_singleflight *flights;
    coir_singleflight_fn fn;
    void *arg;
    struct coir_task *task;
    struct coir__waiter end; /* fired when the task ends */
    struct coir__waitlist waiting;
    size_t callers; /* that have not returned yet */
    size_t key_size, value_size;
    const coir_site *site;
    char *key; /* behind the value */
    coir_group group;
    _Alignas(max_align_t) char value[];
};

/* ---- the list ---- */

static void link_flight(coir_singleflight *flights, struct coir__flight *flight)
{
    flight->next = flights->coir__flights;
    flight->link = &flights->coir__flights;
    if (flight->next != NULL)
        flight->next->link = &flight->next;
    flights->coir__flights = flight;
    flights->coir__count++;
}

static void unlink_flight(struct coir__flight *flight)
{
    if (flight->link == NULL)
        return;
    *flight->link = flight->next;
    if (flight->next != NULL)
        flight->next->link = flight->link;
    flight->link = NULL;
    flight->flights->coir__count--;
}

static struct coir__flight *find(const coir_singleflight *flights, const void *key, size_t size)
{
    struct coir__flight *flight = flights->coir__flights;
    while (flight != NULL &&
           (flight->key_size != size || (size > 0 && memcmp(flight->key, key, size) != 0)))
        flight = flight->next;
    return flight;
}

/* ---- the work ---- */

static int work(void *arg)
{
    struct coir__flight *flight = arg;
    coir_bytes key = {flight->key, flight->key_size};
    return flight->fn(key, flight->arg, flight->value);
}

static void ended(struct coir__waiter *waiter, int result)
{
    struct coir__flight *flight = coir__container(waiter, struct coir__flight, end);
    unlink_flight(flight);
    coir__wake_all(&flight->waiting, result);
}

/* Starts the work. */
static int take_off(struct coir__flight *flight)
{
    int r = coir_group_init_at(&flight->group, COIR_REPORT, flight->site);
    if (r < 0)
        return r;
    r = coir__spawn(coir__loop, &flight->group, work, flight, 0, flight->site, &flight->task);
    if (r < 0) {
        (void)coir_group_close_at(&flight->group, flight->site);
        return r;
    }
    flight->end.fire = ended;
    coir__task_watch(flight->task, &flight->end);
    return 0;
}

static struct coir__flight *make_flight(const void *key, size_t key_size, size_t value_size)
{
    size_t bytes;
    if (__builtin_add_overflow(key_size, value_size, &bytes) || bytes > PTRDIFF_MAX / 2)
        return NULL;
    struct coir__flight *flight = coir__alloc(sizeof *flight + bytes);
    if (flight == NULL)
        return NULL;
    *flight = (struct coir__flight){.key_size = key_size, .value_size = value_size};
    memset(flight->value, 0, value_size);
    flight->key = flight->value + value_size;
    if (key_size > 0)
        memcpy(flight->key, key, key_size);
    return flight;
}

/* ---- the callers ---- */

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const struct coir__flight *flight = task->wait_object;
    return (size_t)snprintf(text, size, "'%s' (%zu caller%s)", coir_task_name(flight->task),
                            flight->callers, flight->callers == 1 ? "" : "s");
}

static const struct coir__wait flight_wait = {"waits for the shared call", coir__abort_waiter,
                                              describe};

/* Takes the outcome of a flight that has ended. */
static int receive(struct coir__flight *flight, struct coir_task *self, void *ret_value)
{
    struct coir_task *task = flight->task;
    task->flags |= COIR__TASK_READ; /* the failure is told, also when no record is free */
    int result = task->result;
    if (result >= 0) {
        memcpy(ret_value, flight->value, flight->value_size);
        return result;
    }
    struct coir_error *error = coir__error_copy_chain(self->loop, task->error);
    if (error != NULL)
        coir__error_crossed(error, task, self, flight->site);
    coir__error_give(self, error);
    return result;
}

/* The last caller leaves: the work is joined, which ends it first where nobody waits any more. */
static void land(struct coir__flight *flight)
{
    unlink_flight(flight);
    if (!(flight->task->flags & COIR__TASK_DONE))
        coir_group_cancel(&flight->group, "all callers of the shared call have gone");
    (void)coir_group_close_at(&flight->group, flight->site);
    coir__free(flight);
}

/* Whether self is the work of flight, or a task below it: it would wait for itself. */
static bool is_inside(const struct coir_task *self, const struct coir__flight *flight)
{
    const struct coir_scope *scope = self->scope;
    while (scope != NULL && scope != &flight->group.coir__scope)
        scope = scope->coir__parent;
    return scope != NULL;
}

/* Waits for a flight as one of its callers. */
static int board(struct coir__flight *flight, struct coir_task *self, void *ret_value)
{
    flight->callers++;
    int r = coir__wait_in(self, &flight->waiting, &flight_wait, flight, NULL);
    /* A code of a scope is of this task's own: those of the work were translated at its end. */
    if (r != -ECANCELED && r != -ETIME)
        r = receive(flight, self, ret_value);
    if (--flight->callers == 0)
        land(flight);
    return r;
}

int coir_singleflight_run_at(coir_singleflight *flights, const void *key, size_t key_size,
                             coir_singleflight_fn fn, void *arg, void *ret_value, size_t value_size,
                             const coir_site *site)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &flights->coir__loop);
    if (r < 0)
        return r;
    if (fn == NULL || value_size == 0 || (key == NULL && key_size > 0))
        return -EINVAL;
    struct coir__flight *flight = find(flights, key, key_size);
    if (flight != NULL) {
        if (flight->value_size != value_size)
            return -EINVAL;
        if (is_inside(self, flight))
            return coir_fail(-EDEADLK, "a shared call asks for its own key");
        return board(flight, self, ret_value);
    }
    flight = make_flight(key, key_size, value_size);
    if (flight == NULL)
        return -ENOMEM;
    flight->flights = flights;
    flight->fn = fn;
    flight->arg = arg;
    flight->site = site;
    r = take_off(flight);
    if (r < 0) {
        coir__free(flight);
        return r;
    }
    link_flight(flights, flight);
    return board(flight, self, ret_value);
}

size_t coir_singleflight_running(const coir_singleflight *flights)
{
    return flights->coir__count;
}
