/* coir/singleflight.h: many callers that want the same thing at the same time share one execution.
 *
 * Whoever asks first for a key starts the work; who asks for the same key before it has ended waits
 * for that, and gets the same result and a copy of the same value. Nothing is kept afterwards: it
 * is no cache, but what stands in front of one, so that a hundred tasks which miss the same entry
 * ask the database once.
 *
 *     static int load(coir_bytes key, void *arg, void *ret_value);   // writes a struct user
 *
 *     struct user user;
 *     COIR_TRY(coir_singleflight_run(&app->users, name, strlen(name), load, app, &user));
 */
#ifndef COIR_SINGLEFLIGHT_H
#define COIR_SINGLEFLIGHT_H

#include <coir/task.h>

COIR__BEGIN

/* In memory of the caller; zero is one with nothing under way. Private fields. */
typedef struct coir_singleflight {
    struct coir_loop *coir__loop;       /* that used it first */
    struct coir__flight *coir__flights; /* under way, the latest first */
    size_t coir__count;
    void *coir__reserved[2];
} coir_singleflight;

/* The shared work: writes its value to *ret_value, which is zero at first, and returns 0 (or a
 * positive result) or a negative code. key is a copy that lives as long as the work. */
typedef int (*coir_singleflight_fn)(coir_bytes key, void *arg, void *ret_value);

/* Runs fn(key, arg, value) in a task of its own, or waits for the one that runs already for an
 * equal key, and copies the value to *ret_value when it succeeded. Each caller's cancellation or
 * deadline ends its own waiting only. When the last one has gone, the work is cancelled, and that
 * caller joins it; who asks for the key then starts anew. The work may outlive the call that
 * started it, so arg must outlive the work, and no scope of a caller bounds it; callers for one key
 * should agree about fn and arg, since those of the first count.
 * Returns what fn returned, 0 or positive. Errors: what it failed with, and each caller gets a copy
 * of its record; -EINVAL for no function, a value without size or of another size than that of the
 * work under way; -EDEADLK when the work asks for its own key; -ENOMEM, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: others that wait go on; the last caller joins
 * the work, however long that takes. Thread safety: the loop's thread. */
#define coir_singleflight_run(flights, key, key_size, fn, arg, ret_value)                          \
    coir_singleflight_run_at((flights), (key), (key_size), (fn), (arg), (ret_value),               \
                             sizeof(*(ret_value)), COIR_SITE(#fn))
COIR__CHECKED int coir_singleflight_run_at(coir_singleflight *flights, const void *key,
                                           size_t key_size, coir_singleflight_fn fn, void *arg,
                                           void *ret_value, size_t value_size,
                                           const coir_site *site);

/* How many executions are under way.
 * Returns the number. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_singleflight_running(const coir_singleflight *flights);

COIR__END
#endif
