/* gather.c: running many calls at once: unlike ones (gather) and one function over an array (map).
 *
 * Both are a group whose children are the calls, so failing, cancelling and joining are the
 * group's. A limit is kept by letting each child that ends start the next one: no task waits for
 * its turn.
 */
#include <stdio.h>

#include "core/core.h"

static int gather_child(void *arg)
{
    coir_call *call = arg;
    int r = call->fn(call->arg);
    call->result = coir__translate(r);
    return r;
}

int coir_gather_at(coir_call *calls, size_t count, coir_policy policy, const coir_site *site)
{
    if (coir__self() == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    if (calls == NULL && count > 0)
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (calls[i].fn == NULL)
            return -EINVAL;
        calls[i].result = -COIR_ECANCELEDTASK;
    }
    COIR__GROUP(group, policy);
    for (size_t i = 0; i < count; i++) {
        int r = coir_spawn_at(&group, gather_child, &calls[i], NULL, site);
        if (r < 0)
            return coir_group_finish(&group, r);
    }
    int r = coir_group_wait(&group);
    group.coir__unread = 0; /* each call has its result */
    return r;
}

struct map {
    coir_fn fn;
    char *items;
    size_t count, size, started, taken;
    int failed; /* to start a child */
    const coir_map_opts *opts;
    coir_group *group;
    const coir_site *site;
};

static int map_child(void *arg);

static int start_next(struct map *map)
{
    int r = coir__spawn(map->group->coir__loop, map->group, map_child, map, map->opts->stack_size,
                        map->site, NULL);
    if (r < 0)
        map->failed = r;
    else
        map->started++;
    return r;
}

/* Runs one item, and starts a child for the next one in its place. */
static int map_child(void *arg)
{
    struct map *map = arg;
    if (coir_pending() != 0)
        return coir_pending();
    size_t index = map->taken++;
    int r = map->fn(map->items + index * map->size);
    if (map->opts->results != NULL)
        map->opts->results[index] = coir__translate(r);
    if (coir_pending() != 0 || (r < 0 && map->opts->policy == COIR_FAIL_FAST))
        return r;
    if (map->started < map->count && map->failed == 0) {
        int spawned = start_next(map);
        return r < 0 ? r : spawned;
    }
    return r;
}

int coir_map_at(coir_fn fn, void *items, size_t count, size_t size, const coir_map_opts *opts,
                const coir_site *site)
{
    static const coir_map_opts defaults;
    if (coir__self() == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    if (fn == NULL || (items == NULL && count > 0))
        return -EINVAL;
    struct map map = {.fn = fn, .items = items, .count = count, .size = size, .site = site};
    map.opts = opts != NULL ? opts : &defaults;
    for (size_t i = 0; map.opts->results != NULL && i < count; i++)
        map.opts->results[i] = -COIR_ECANCELEDTASK;
    COIR__GROUP(group, map.opts->policy);
    map.group = &group;
    size_t first = map.opts->limit != 0 && map.opts->limit < count ? map.opts->limit : count;
    for (size_t i = 0; i < first; i++) {
        int r = start_next(&map);
        if (r < 0)
            return coir_group_finish(&group, r);
    }
    int r = coir_group_wait(&group);
    if (map.opts->results != NULL)
        group.coir__unread = 0;
    return r < 0 ? r : map.failed;
}
