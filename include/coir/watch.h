/* coir/watch.h: a value that changes, and tasks that want to know its latest state.
 *
 * A watch always has a value. Setting it never waits and keeps no history: a watcher that is slow
 * sees the latest value, and not those in between. Use it for configuration, for the state of a
 * connection, for progress. When every value counts, use coir_broadcast or a channel.
 *
 *     COIR_AUTO(coir_watch) *config = NULL;
 *     COIR_TRY(coir_watch_open(struct config, &initial, &config));
 *     COIR_TRY(coir_watch_set(config, &changed));
 *
 *     COIR_AUTO(coir_watcher) *mine = NULL;            // for each task that wants to know
 *     COIR_TRY(coir_watch_subscribe(config, &mine));
 *     while ((r = coir_watcher_next(mine, &current)) > 0)
 *         apply(&current);                             // the present one first, then each change
 */
#ifndef COIR_WATCH_H
#define COIR_WATCH_H

#include <coir/select.h>

COIR__BEGIN

/* A value that changes. Any task may set it. */
typedef struct coir_watch coir_watch;

/* One that watches: it knows which value it has seen last. */
typedef struct coir_watcher coir_watcher;

/* Opens a watch for values of type (a C type, as in sizeof) with a copy of *initial, a type *.
 * Returns 0, and writes *ret_watch, which is the caller's to close. Errors: -EINVAL for a type
 * without size, -ENOMEM, -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
#define coir_watch_open(type, initial, ret_watch)                                                  \
    coir_watch_open_at(sizeof(type), COIR__OF_TYPE(const type, initial), (ret_watch),              \
                       COIR_SITE(#type))
COIR__CHECKED int coir_watch_open_at(size_t size, const void *initial, coir_watch **ret_watch,
                                     const coir_site *site);

/* Closes a watch; NULL is accepted. Watchers see the last value, if they have not yet, and then the
 * end. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_watch_close(coir_watch *watch);

COIR_CLOSER(coir_watch, coir_watch_close);

/* Changes the value to a copy of *value, and wakes all that wait for a change. Setting an equal
 * value is a change too.
 * Returns 0. Errors: -EINVAL for a value of the wrong size, -COIR_EWRONGLOOP. Cancel safety: never
 * waits. Thread safety: the loop's thread, in a task or not. */
#define coir_watch_set(watch, value) coir__watch_set((watch), (value), sizeof(*(value)))
COIR__PUBLIC int coir__watch_set(coir_watch *watch, const void *value, size_t size);

/* Copies the value as it is now to *ret_value.
 * Returns 0. Errors: -EINVAL for a value of the wrong size, -COIR_EWRONGLOOP. Cancel safety: never
 * waits. Thread safety: the loop's thread, in a task or not. */
#define coir_watch_get(watch, ret_value) coir__watch_get((watch), (ret_value), sizeof(*(ret_value)))
COIR__CHECKED int coir__watch_get(const coir_watch *watch, void *ret_value, size_t size);

/* Makes a watcher, which has seen nothing yet.
 * Returns 0, and writes *ret_watcher, which is the caller's to close, before or after the watch.
 * Errors: -ENOMEM, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_watch_subscribe(coir_watch *watch, coir_watcher **ret_watcher);

/* Closes a watcher; NULL is accepted. Tasks that wait with it return -COIR_ECLOSED. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_watcher_close(coir_watcher *watcher);

COIR_CLOSER(coir_watcher, coir_watcher_close);

/* Waits until the value is one that this watcher has not seen, and copies it to *ret_value. The
 * first call does not wait.
 * Returns 1, or 0 when the watch is closed and its last value was seen. Errors: -COIR_ECLOSED when
 * the watcher is closed by another task meanwhile, -EINVAL for a value of the wrong size,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing counts as seen.
 * Thread safety: the loop's thread. */
#define coir_watcher_next(watcher, ret_value)                                                      \
    coir__watcher_next((watcher), (ret_value), sizeof(*(ret_value)))
COIR__CHECKED int coir__watcher_next(coir_watcher *watcher, void *ret_value, size_t size);

/* As coir_watcher_next, without waiting.
 * Returns 1, or 0 at the end. Errors: -EAGAIN when nothing has changed, -EINVAL, -COIR_EWRONGLOOP.
 * Cancel safety: never waits. Thread safety: the loop's thread, in a task or not. */
#define coir_watcher_try_next(watcher, ret_value)                                                  \
    coir__watcher_try_next((watcher), (ret_value), sizeof(*(ret_value)))
COIR__CHECKED int coir__watcher_try_next(coir_watcher *watcher, void *ret_value, size_t size);

COIR__PUBLIC extern const struct coir__waitable coir__on_watcher;

/* A case of coir_select: the value has changed, as coir_watcher_next into ret_value. Its result is
 * 1, 0 at the end, or -COIR_ECLOSED. */
#define COIR_ON_WATCHER(watcher, ret_value)                                                        \
    {                                                                                              \
        .coir__kind = &coir__on_watcher, .coir__object = COIR__OF_TYPE(coir_watcher, watcher),     \
        .coir__slot = (ret_value), .coir__number = (int64_t)sizeof(*(ret_value)),                  \
    }

COIR__END
#endif
