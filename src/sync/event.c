/* event.c: events, and the case of coir_select that waits for one.
 *
 * A set event has no waiters: setting it ends every wait at once, with success, so that clearing it
 * again before they run takes nothing back.
 */
#include <stdio.h>

#include <coir/event.h>
#include <coir/select.h>

#include "sync/sync.h"

_Static_assert(sizeof(void *) != 8 || sizeof(coir_event) == 48, "part of the ABI");

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_event *event = task->wait_object;
    return (size_t)snprintf(text, size, "%p (%zu waiting)", task->wait_object,
                            coir__waitlist_count(&event->coir__waiters));
}

static const struct coir__wait event_wait = {"waits for event", coir__abort_waiter, describe};

static __attribute__((noinline)) int coir_event_set__slowly(coir_event *event)
{
    int r = coir__bind(&event->coir__loop, coir__loop);
    if (r < 0)
        return r;
    event->coir__set = true;
    coir__wake_all(&event->coir__waiters, 0);
    return 0;
}

/* The short ways call nothing and so need no frame. */
int coir_event_set(coir_event *event)
{
    if (coir__unlikely(event->coir__loop != coir__loop || event->coir__waiters.first != NULL))
        return coir_event_set__slowly(event);
    event->coir__set = true;
    return 0;
}

static __attribute__((noinline)) int coir_event_clear__slowly(coir_event *event)
{
    int r = coir__bind(&event->coir__loop, coir__loop);
    if (r < 0)
        return r;
    event->coir__set = false;
    return 0;
}

int coir_event_clear(coir_event *event)
{
    if (coir__unlikely(event->coir__loop != coir__loop))
        return coir_event_clear__slowly(event);
    event->coir__set = false;
    return 0;
}

bool coir_event_is_set(const coir_event *event)
{
    return event->coir__set;
}

static __attribute__((noinline)) int coir_event_wait__slowly(coir_event *event)
{
    struct coir_task *self = coir__self();
    int r = coir__begin(self, &event->coir__loop);
    if (coir__unlikely(r < 0))
        return r;
    if (event->coir__set)
        return 0;
    return coir__wait_in(self, &event->coir__waiters, &event_wait, event, NULL);
}

int coir_event_wait(coir_event *event)
{
    const struct coir_task *self = coir__self();
    if (coir__unlikely(!event->coir__set || self == NULL || self->pending != 0 ||
                       event->coir__loop != self->loop || --self->loop->charges <= 0))
        return coir_event_wait__slowly(event);
    return 0;
}

/* ---- in coir_select ---- */

static int attempt(coir_case *wanted)
{
    coir_event *event = wanted->coir__object;
    int r = coir__bind(&event->coir__loop, coir__loop);
    return r < 0 ? r : event->coir__set;
}

static int begin(coir_case *wanted)
{
    coir_event *event = wanted->coir__object;
    coir__waiter_link(&event->coir__waiters, &wanted->coir__waiter);
    return 0;
}

static void withdraw(coir_case *wanted)
{
    coir__waiter_unlink(&wanted->coir__waiter);
}

const struct coir__waitable coir__on_event = {"event", attempt, begin, withdraw, NULL};
