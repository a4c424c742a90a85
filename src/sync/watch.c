/* watch.c: watches: one value with a number that grows, and watchers that know which they have
 * seen.
 *
 * Tasks wait only with watchers that have seen the value as it is; setting it gives each of them a
 * copy and counts as seen, before they run. The record lives until the watch and every watcher are
 * closed.
 */
#include <stdio.h>
#include <string.h>

#include <coir/watch.h>

#include "sync/sync.h"

struct coir_watcher {
    struct coir_watcher *next, *previous;
    struct coir_watch *watch;
    uint64_t seen; /* number of the value, 0: none */
    struct coir__waitlist waiting;
};

struct coir_watch {
    struct coir_loop *loop;
    size_t size;
    uint64_t number; /* of the value; the first is 1 */
    struct coir_watcher *first;
    bool closed;
    const coir_site *site;
    _Alignas(max_align_t) char value[];
};

/* ---- waiting ---- */

static size_t describe_watch(const coir_watch *watch, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "of %s opened at %s:%d", watch->site->what,
                            coir__file_name(watch->site->file), watch->site->line);
}

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    return describe_watch(((const coir_watcher *)task->wait_object)->watch, text, size);
}

static const struct coir__wait watch_wait = {"waits for a change of watch", coir__abort_waiter,
                                             describe};

/* Whether a call with a value of size bytes from loop is meant for watch. */
static int check(const coir_watch *watch, const struct coir_loop *loop, size_t size)
{
    if (coir__unlikely(watch->loop != loop))
        return coir__refuse(watch->loop, NULL, -COIR_EWRONGLOOP);
    return watch->size == size ? 0 : -EINVAL;
}

int coir__watcher_try_next(coir_watcher *watcher, void *ret_value, size_t size)
{
    const coir_watch *watch = watcher->watch;
    int r = check(watch, coir__loop, size);
    if (r < 0)
        return r;
    if (watcher->seen == watch->number)
        return watch->closed ? 0 : -EAGAIN;
    memcpy(ret_value, watch->value, size);
    watcher->seen = watch->number;
    return 1;
}

int coir__watcher_next(coir_watcher *watcher, void *ret_value, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, watcher->watch->loop);
    if (coir__unlikely(r < 0))
        return r;
    r = coir__watcher_try_next(watcher, ret_value, size);
    if (r != -EAGAIN)
        return coir__charge(self, r);
    return coir__wait_in(self, &watcher->waiting, &watch_wait, watcher, ret_value);
}

/* ---- the value ---- */

int coir__watch_set(coir_watch *watch, const void *value, size_t size)
{
    int r = check(watch, coir__loop, size);
    if (r < 0)
        return r;
    memcpy(watch->value, value, size);
    watch->number++;
    for (struct coir_watcher *each = watch->first; each != NULL; each = each->next)
        while (each->waiting.first != NULL) {
            memcpy(each->waiting.first->slot, value, size);
            each->seen = watch->number;
            coir__waiter_wake(each->waiting.first, 1);
        }
    return 0;
}

int coir__watch_get(const coir_watch *watch, void *ret_value, size_t size)
{
    int r = check(watch, coir__loop, size);
    if (r < 0)
        return r;
    memcpy(ret_value, watch->value, size);
    return 0;
}

/* ---- opening and closing ---- */

int coir_watch_open_at(size_t size, const void *initial, coir_watch **ret_watch,
                       const coir_site *site)
{
    if (size == 0 || size > PTRDIFF_MAX / 2 || initial == NULL)
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    coir_watch *watch = coir__alloc(sizeof *watch + size);
    if (watch == NULL)
        return -ENOMEM;
    *watch = (coir_watch){.loop = coir__loop, .size = size, .number = 1, .site = site};
    memcpy(watch->value, initial, size);
    *ret_watch = watch;
    return 0;
}

static void free_unused(coir_watch *watch)
{
    if (watch->closed && watch->first == NULL)
        coir__free(watch);
}

void coir_watch_close(coir_watch *watch)
{
    if (watch == NULL || coir__elsewhere(watch->loop, NULL))
        return;
    watch->closed = true;
    for (struct coir_watcher *each = watch->first; each != NULL; each = each->next)
        coir__wake_all(&each->waiting, 0);
    free_unused(watch);
}

int coir_watch_subscribe(coir_watch *watch, coir_watcher **ret_watcher)
{
    if (watch->loop != coir__loop)
        return coir__refuse(watch->loop, NULL, -COIR_EWRONGLOOP);
    struct coir_watcher *watcher = coir__alloc(sizeof *watcher);
    if (watcher == NULL)
        return -ENOMEM;
    *watcher = (struct coir_watcher){.watch = watch, .next = watch->first};
    if (watch->first != NULL)
        watch->first->previous = watcher;
    watch->first = watcher;
    *ret_watcher = watcher;
    return 0;
}

void coir_watcher_close(coir_watcher *watcher)
{
    if (watcher == NULL || coir__elsewhere(watcher->watch->loop, NULL))
        return;
    coir_watch *watch = watcher->watch;
    if (watcher->next != NULL)
        watcher->next->previous = watcher->previous;
    *(watcher->previous != NULL ? &watcher->previous->next : &watch->first) = watcher->next;
    coir__wake_all(&watcher->waiting, -COIR_ECLOSED);
    coir__free(watcher);
    free_unused(watch);
}

/* ---- in coir_select ---- */

static int attempt(coir_case *wanted)
{
    int r = coir__watcher_try_next(wanted->coir__object, wanted->coir__slot,
                                   (size_t)wanted->coir__number);
    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    wanted->result = r;
    return 1;
}

static int begin(coir_case *wanted)
{
    coir_watcher *watcher = wanted->coir__object;
    wanted->coir__waiter.slot = wanted->coir__slot;
    coir__waiter_link(&watcher->waiting, &wanted->coir__waiter);
    return 0;
}

static void withdraw(coir_case *wanted)
{
    coir__waiter_unlink(&wanted->coir__waiter);
}

static size_t describe_case(const coir_case *wanted, char *text, size_t size)
{
    return describe_watch(((const coir_watcher *)wanted->coir__object)->watch, text, size);
}

const struct coir__waitable coir__on_watcher = {"change of watch", attempt, begin, withdraw,
                                                describe_case};
