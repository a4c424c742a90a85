/* race.c: a staggered race: calls that are started one after the other until one succeeds.
 *
 * It is a group that ends at the first success (COIR_ANY), whose body starts a child, and waits for
 * the delay or a failure before it starts the next. Who wins is settled in the child's own task as
 * its function returns, so there is never a success that neither wins nor is discarded, whatever
 * cancels the race meanwhile.
 */
#include <coir/event.h>
#include <coir/race.h>
#include <coir/select.h>

#include "sync/sync.h"

struct race {
    coir_call *calls;
    const coir_race_opts *opts;
    coir_event failed; /* one has failed since the last start */
    bool won;
    size_t winner;
};

struct entrant {
    struct race *race;
    size_t index;
};

static int discard(const struct race *race, coir_call *call, int result)
{
    if (race->opts->discard != NULL)
        race->opts->discard(call->arg, result);
    return -COIR_ECANCELEDTASK;
}

static int run_entrant(void *arg)
{
    struct race *race = ((struct entrant *)arg)->race;
    size_t index = ((struct entrant *)arg)->index;
    coir_call *call = &race->calls[index];
    int r = call->fn(call->arg);
    if (r < 0) {
        call->result = coir__translate(r);
        (void)coir_event_set(&race->failed);
        return r;
    }
    if (race->won) {
        call->result = discard(race, call, r);
        return 0; /* it has not failed */
    }
    race->won = true;
    race->winner = index;
    call->result = r;
    return r;
}

/* Waits until the next one is to be started. */
static int wait_for_turn(struct race *race, coir_time delay)
{
    coir_case cases[] = {COIR_ON_EVENT(&race->failed), COIR_ON_TIMER(delay)};
    int r = coir_select(cases, COIR_COUNT(cases));
    return r < 0 ? r : 0;
}

/* Whether there is a call of that index: 1 or 0, or why that cannot be found out. */
static int find_next(struct race *race, size_t index)
{
    if (race->opts->next == NULL)
        return 1;
    int r = race->opts->next(index, race->opts->next_arg);
    return r > 0 && race->calls[index].fn == NULL ? -EINVAL : r;
}

/* Starts all, one after the other, and waits for them. What it returns stands only when nobody has
 * won: the win cancels this body too. */
static int run_body(struct race *race, coir_group *group, size_t count, coir_time delay,
                    const coir_site *site)
{
    for (size_t i = 0; i < count; i++) {
        int r = i > 0 ? wait_for_turn(race, delay) : 0;
        if (r < 0)
            return r;
        r = find_next(race, i);
        if (r == 0 && i > 0)
            break;
        if (r <= 0)
            return r < 0 ? r : -EINVAL;
        coir_event_clear(&race->failed);
        struct entrant entrant = {race, i};
        r = coir_spawn_copy_at(group, run_entrant, &entrant, sizeof entrant, NULL, site);
        if (r < 0)
            return r;
    }
    return coir_group_wait_at(group, site);
}

int coir_race_staggered_at(coir_call *calls, size_t count, coir_time delay,
                           const coir_race_opts *opts, size_t *ret_winner, const coir_site *site)
{
    static const coir_race_opts defaults;
    if (calls == NULL || count == 0)
        return -EINVAL;
    struct race race = {.calls = calls, .opts = opts != NULL ? opts : &defaults};
    for (size_t i = 0; i < count; i++) {
        if (calls[i].fn == NULL && race.opts->next == NULL)
            return -EINVAL;
        calls[i].result = -COIR_ECANCELEDTASK;
    }
    int r = coir__look(coir__self()); /* nothing is started then */
    if (r < 0)
        return r;
    COIR__GROUP(group, COIR_ANY);
    r = coir_group_finish_at(&group, run_body(&race, &group, count, delay, site), site);
    group.coir__unread = 0; /* each call has its result */
    if (!race.won)
        return r;
    if (ret_winner != NULL)
        *ret_winner = race.winner;
    return 0;
}
