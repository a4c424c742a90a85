/* coir/race.h: several ways to the same end, started one after the other; the first success wins.
 *
 * The shape of "happy eyeballs" (RFC 8305): try the best address, and when it has not answered
 * after a moment, try the next one beside it; when it has failed, at once.
 *
 *     coir_call calls[] = {{.fn = connect_to, .arg = &six}, {.fn = connect_to, .arg = &four}};
 *     coir_race_opts opts = {.discard = close_late};      // of those that succeed too late
 *     size_t winner;
 *     COIR_TRY(coir_race_staggered(calls, 2, COIR_MS(250), &opts, &winner));
 */
#ifndef COIR_RACE_H
#define COIR_RACE_H

#include <coir/group.h>

COIR__BEGIN

/* Zero means the default for each field. */
typedef struct coir_race_opts {
    /* Called for each call that succeeded although another one had won before: arg is the call's,
     * result what it returned. It runs in that call's task, which is cancelled, and releases what
     * the call made. */
    void (*discard)(void *arg, int result);
    /* Called in the caller's task when it is the turn of calls[index], for ways that are found
     * while the race is on: it fills calls[index] in, and may wait until it can. Returns 1 to start
     * it, 0 when there are no more calls than those that were started, or a failure that ends the
     * race. NULL: all calls are there from the beginning. */
    int (*next)(size_t index, void *arg);
    void *next_arg;
    size_t coir__reserved[2];
} coir_race_opts;

/* Starts calls[0], and the next one whenever delay nanoseconds have passed since the last start
 * (COIR_FOREVER: never), or one that runs has failed. The first success (0 or a positive result)
 * cancels and joins the others. calls[i].result belongs to calls[i]: -COIR_ECANCELEDTASK for those
 * that were cancelled, discarded or never started.
 * Returns 0, and writes the index of the winner to *ret_winner, which may be NULL. Errors: when all
 * failed, the failure that came first, with the records of the others after it
 * (coir_error_next); that of opts->next; -EINVAL for no calls, -ENOMEM, -COIR_ENOTASK, -ECANCELED,
 * -ETIME. Cancel safety: the calls are cancelled and joined; when one has succeeded by then it has
 * won, and the next call reports. Thread safety: the loop's thread. */
#define coir_race_staggered(calls, count, delay, opts, ret_winner)                                 \
    coir_race_staggered_at((calls), (count), (delay), (opts), (ret_winner), COIR_SITE("race"))
COIR__CHECKED int coir_race_staggered_at(coir_call *calls, size_t count, coir_time delay,
                                         const coir_race_opts *opts, size_t *ret_winner,
                                         const coir_site *site);

COIR__END
#endif
