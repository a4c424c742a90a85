/* pool.c: the pool of connections: places, who waits for them, and who is served first.
 *
 * A connection has a place from the moment its opening begins until it is closed. Places are
 * bounded, in all and for a key. A key whose waiting tasks are more than its openings, and that may
 * have another place, is hungry; hungry keys stand in a queue, and whenever there is room, or an
 * unused connection can make some, the first of them begins an opening and goes to the end. What is
 * opened or released serves the task of its key that has waited longest, whoever asked for it;
 * unless a key has been hungry for longer than that: then the connection makes room for it. So no
 * key starves another. Who is served looks whether the connection has died since its last use, and
 * if so goes on waiting, with its old ticket.
 *
 * Invariants: a key with unused connections has nobody waiting; a task that is served is out of all
 * lists before it runs. Openings and closings are tasks of the pool. Keys that nobody uses are
 * swept by the timer that ends idle connections. Called by programs and by http.
 */
#include <coir/pool.h>

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <coir/error.h>
#include <coir/event.h>
#include <coir/group.h>
#include <coir/loop.h>
#include <coir/memory.h>

enum { BUCKETS = 64, MAX = 100 }; /* at first; by default */

#define IDLE COIR_SEC(15)

struct node {
    struct node *next, *previous; /* a ring; its list is one of them */
};

struct key {
    struct key *next;    /* in its bucket */
    struct node of_pool; /* in pool->keys */
    struct node hungry;  /* in pool->hungry; alone: it is not */
    struct node idle;    /* members, the one that was used last first */
    struct node waiters; /* first come first */
    size_t places;       /* taken by connections, openings and closings */
    size_t opening, waiting;
    uint64_t hungry_since; /* as tickets of waiters */
    char text[];
};

struct member {
    coir_pooled pooled; /* first: it is what users have */
    coir_pool *pool;
    struct key *key;
    struct node of_key, of_pool; /* among the idle */
    coir_time since;             /* when it was released */
};

/* A task that waits, on its stack. */
struct waiter {
    struct node node;
    uint64_t ticket; /* later ones have higher */
    coir_event served;
    struct member *member; /* what it was given, or: */
    int code;
    char text[160];
};

struct coir_pool {
    coir_pool_opts opts;
    struct coir_loop *loop;        /* that used it first */
    coir_group openings, closings; /* tasks */
    struct node keys;              /* in the order of their first use */
    struct key **buckets;          /* of keys, by their hash; a power of two of them */
    size_t mask, count;            /* of buckets; of keys */
    uint64_t seed;                 /* of the hash: nobody outside can fill one bucket */
    struct node idle;              /* members, the one that is unused for longest first */
    struct node hungry;            /* keys */
    size_t places, used, opening, closing, waiting, unused;
    uint64_t tickets;
    coir_timer timer;
    coir_event returned; /* the last used connection is */
    bool closed;         /* for the user */
    bool left;           /* and nobody waits for what is in use */
    coir_pool_stats total;
};

#define OF(pointer, type, field) ((type *)(void *)((char *)(pointer)-offsetof(type, field)))

/* ---- lists ---- */

static void make_ring(struct node *node)
{
    node->next = node->previous = node;
}

static bool is_alone(const struct node *node)
{
    return node->next == node;
}

static void insert_before(struct node *at, struct node *node)
{
    node->next = at;
    node->previous = at->previous;
    at->previous->next = node;
    at->previous = node;
}

static void take_out(struct node *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    make_ring(node);
}

/* ---- keys ---- */

static struct key **bucket_of(const coir_pool *pool, const char *text)
{
    uint64_t hash = pool->seed;
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 0x9e3779b97f4a7c15U;
    return &pool->buckets[(hash >> 32) & pool->mask];
}

static void put_in_bucket(coir_pool *pool, struct key *key)
{
    struct key **bucket = bucket_of(pool, key->text);
    key->next = *bucket;
    *bucket = key;
}

static int make_buckets(coir_pool *pool, size_t count)
{
    struct key **buckets = coir_calloc(count, sizeof(struct key *));
    if (buckets == NULL)
        return -ENOMEM;
    coir_free(pool->buckets);
    pool->buckets = buckets;
    pool->mask = count - 1;
    for (struct node *at = pool->keys.next; at != &pool->keys; at = at->next)
        put_in_bucket(pool, OF(at, struct key, of_pool));
    return 0;
}

static struct key *find_key(coir_pool *pool, const char *text)
{
    for (struct key *key = *bucket_of(pool, text); key != NULL; key = key->next)
        if (strcmp(key->text, text) == 0)
            return key;
    size_t length = strlen(text);
    struct key *key = coir_calloc(1, sizeof *key + length + 1);
    if (key == NULL)
        return NULL;
    memcpy(key->text, text, length);
    make_ring(&key->hungry);
    make_ring(&key->idle);
    make_ring(&key->waiters);
    if (pool->count > pool->mask)
        (void)!make_buckets(pool, 2 * (pool->mask + 1)); /* without memory they stay fuller */
    insert_before(&pool->keys, &key->of_pool);
    pool->count++;
    put_in_bucket(pool, key);
    return key;
}

static void drop_key(coir_pool *pool, struct key *key)
{
    struct key **at = bucket_of(pool, key->text);
    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    take_out(&key->of_pool);
    take_out(&key->hungry);
    pool->count--;
    coir_free(key);
}

static void sweep_keys(coir_pool *pool)
{
    for (struct node *at = pool->keys.next, *next; at != &pool->keys; at = next) {
        struct key *key = OF(at, struct key, of_pool);
        next = at->next;
        if (key->places == 0 && key->waiting == 0)
            drop_key(pool, key);
    }
}

/* ---- giving places up ---- */

static void on_timer(void *arg);

/* The timer runs while there is something that it may have to end. */
static void start_timer(coir_pool *pool)
{
    coir_time idle = pool->opts.idle;
    if (!coir_timer_running(&pool->timer) && idle != COIR_FOREVER)
        coir_timer_start(pool->loop, &pool->timer, coir_loop_time(pool->loop) + idle, on_timer,
                         pool);
}

static void look_after(coir_pool *pool, struct key *key);

static void free_place(struct member *member)
{
    member->key->places--;
    member->pool->places--;
    start_timer(member->pool);
    coir_free(member);
}

static int close_politely(void *arg)
{
    struct member *member = arg;
    coir_pool *pool = member->pool;
    struct key *key = member->key;
    pool->opts.close(member->pooled.connection, coir_pending() < 0, pool->opts.arg);
    pool->closing--;
    free_place(member);
    look_after(pool, key);
    return 0;
}

/* Closes a member that is in no list, and gives up its place, when that is done. */
static void give_up(struct member *member, bool abrupt)
{
    coir_pool *pool = member->pool;
    if (member->pooled.connection != NULL && !abrupt &&
        coir_spawn(&pool->closings, close_politely, member, NULL) == 0) {
        pool->closing++;
        return;
    }
    if (member->pooled.connection != NULL)
        pool->opts.close(member->pooled.connection, true, pool->opts.arg);
    free_place(member);
}

static void take_idle_out(struct member *member)
{
    take_out(&member->of_key);
    take_out(&member->of_pool);
    member->pool->unused--;
}

static void retire(struct member *member)
{
    take_idle_out(member);
    member->pool->total.retired++;
    give_up(member, false);
}

/* ---- serving ---- */

static struct waiter *first_waiter(const struct key *key)
{
    return is_alone(&key->waiters) ? NULL : OF(key->waiters.next, struct waiter, node);
}

static void stop_waiting(coir_pool *pool, struct key *key, struct waiter *waiter)
{
    take_out(&waiter->node);
    key->waiting--;
    pool->waiting--;
}

static void lend(struct member *member)
{
    member->pool->used++;
    member->pooled.uses++;
}

/* Hands a member, or a failure with its text, to the task of key that has waited longest. */
static void serve(coir_pool *pool, struct key *key, struct member *member, int code,
                  const char *text)
{
    struct waiter *waiter = first_waiter(key);
    stop_waiting(pool, key, waiter);
    waiter->member = member;
    waiter->code = code;
    (void)snprintf(waiter->text, sizeof waiter->text, "%s", text);
    if (member != NULL)
        lend(member);
    (void)coir_event_set(&waiter->served);
}

/* ---- places ---- */

static bool is_hungry(const coir_pool *pool, const struct key *key)
{
    return key->waiting > key->opening &&
           (pool->opts.max_per_key == 0 || key->places < pool->opts.max_per_key);
}

static void queue_hungry(coir_pool *pool, struct key *key)
{
    if (!is_alone(&key->hungry) || !is_hungry(pool, key))
        return;
    key->hungry_since = pool->tickets;
    insert_before(&pool->hungry, &key->hungry);
}

/* The key that has been hungry for longest, or NULL. */
static struct key *first_hungry(coir_pool *pool)
{
    while (!is_alone(&pool->hungry)) {
        struct key *key = OF(pool->hungry.next, struct key, hungry);
        if (is_hungry(pool, key))
            return key;
        take_out(&key->hungry);
    }
    return NULL;
}

/* Whether more keys are hungry than closings will make room for. */
static bool is_room_wanted(const coir_pool *pool)
{
    size_t covered = pool->closing;
    const struct node *at = pool->hungry.next;
    for (; at != &pool->hungry && covered > 0; at = at->next)
        covered--;
    return at != &pool->hungry;
}

/* Whether there is room; if not, an unused connection is made to leave. */
static bool make_room(coir_pool *pool)
{
    if (pool->places >= pool->opts.max && is_room_wanted(pool) && !is_alone(&pool->idle))
        retire(OF(pool->idle.next, struct member, of_pool));
    return pool->places < pool->opts.max;
}

static int open_one(void *arg);

static void begin_opening(coir_pool *pool, struct key *key)
{
    struct member *member = coir_calloc(1, sizeof *member);
    int r = member == NULL ? -ENOMEM : 0;
    if (r == 0) {
        *member = (struct member){.pool = pool, .key = key, .pooled.key = key->text};
        make_ring(&member->of_key);
        make_ring(&member->of_pool);
        r = coir_spawn_with(&pool->openings, open_one, member,
                            &(coir_spawn_opts){.name = key->text}, NULL);
    }
    if (r < 0) {
        coir_free(member);
        serve(pool, key, NULL, r, coir_error_text(r));
        return;
    }
    key->opening++;
    key->places++;
    pool->opening++;
    pool->places++;
}

/* Lets hungry keys begin openings while there is room. */
static void feed(coir_pool *pool)
{
    struct key *key;
    while (!pool->closed && (key = first_hungry(pool)) != NULL && make_room(pool)) {
        take_out(&key->hungry);
        begin_opening(pool, key);
        queue_hungry(pool, key);
    }
}

/* A place of key, or in all, has become free, or a task waits for one. */
static void look_after(coir_pool *pool, struct key *key)
{
    queue_hungry(pool, key);
    feed(pool);
}

/* ---- what was opened or released ---- */

static bool is_worn_out(const struct member *member, coir_time now)
{
    const coir_pool_opts *opts = &member->pool->opts;
    return (opts->age > 0 && now - member->pooled.opened >= opts->age) ||
           (opts->uses > 0 && member->pooled.uses >= opts->uses);
}

static void keep_idle(struct member *member)
{
    coir_pool *pool = member->pool;
    insert_before(member->key->idle.next, &member->of_key);
    insert_before(&pool->idle, &member->of_pool);
    pool->unused++;
    start_timer(pool);
}

/* Gives a good connection to whoever is to have it. */
static void pass_on(struct member *member)
{
    coir_pool *pool = member->pool;
    struct key *key = member->key;
    coir_time now = coir_loop_time(pool->loop);
    member->since = now;
    const struct key *hungry = first_hungry(pool);
    const struct waiter *waiter = first_waiter(key);
    if (!is_room_wanted(pool))
        hungry = NULL;
    bool needed = waiter != NULL &&
                  (hungry == NULL || hungry == key || waiter->ticket <= hungry->hungry_since);
    if (!pool->closed && !is_worn_out(member, now) && needed) {
        serve(pool, key, member, 0, "");
        take_out(&key->hungry); /* to the end, if it still is */
        queue_hungry(pool, key);
    } else if (!pool->closed && !is_worn_out(member, now) && hungry == NULL) {
        keep_idle(member);
    } else {
        pool->total.retired += !pool->closed;
        give_up(member, pool->left);
        look_after(pool, key);
    }
}

/* Codes that speak of scopes do so of the opening's, not of who waits. */
static int outward(int code)
{
    return code == -ETIME ? -ETIMEDOUT : code == -ECANCELED ? -COIR_ECANCELEDTASK : code;
}

static int open_one(void *arg)
{
    struct member *member = arg;
    coir_pool *pool = member->pool;
    struct key *key = member->key;
    void *connection = NULL;
    int r = pool->opts.open(key->text, pool->opts.arg, &connection);
    key->opening--;
    pool->opening--;
    if (r >= 0) {
        member->pooled.connection = connection;
        member->pooled.opened = coir_loop_time(pool->loop);
        pool->total.opened++;
        pass_on(member);
        return 0;
    }
    pool->total.failed++;
    if (first_waiter(key) != NULL)
        serve(pool, key, NULL, outward(r), coir_last_message(r));
    coir_clear_error();
    give_up(member, true);
    look_after(pool, key);
    return 0;
}

/* Ends what nobody has used for too long, and sweeps the keys. Outside any task. */
static void on_timer(void *arg)
{
    coir_pool *pool = arg;
    coir_time now = coir_loop_time(pool->loop);
    coir_time next = COIR_FOREVER;
    while (!is_alone(&pool->idle) && pool->places - pool->closing > pool->opts.min) {
        struct member *member = OF(pool->idle.next, struct member, of_pool);
        next = member->since + pool->opts.idle;
        if (next > now)
            break;
        next = COIR_FOREVER;
        retire(member);
    }
    sweep_keys(pool);
    coir_timer_stop(pool->loop, &pool->timer);
    if (next != COIR_FOREVER)
        coir_timer_start(pool->loop, &pool->timer, next, on_timer, pool);
}

/* ---- coming back ---- */

static void free_pool(coir_pool *pool)
{
    coir_timer_stop(pool->loop, &pool->timer);
    sweep_keys(pool);
    coir_free(pool->buckets);
    coir_free(pool);
}

static void come_back(coir_pool *pool)
{
    assert(pool->used > 0 && "released twice");
    pool->used--;
}

/* The last one back ends a pool that nobody waits for, or tells who does. */
static void look_after_closed(coir_pool *pool)
{
    if (!pool->closed || pool->used > 0)
        return;
    if (pool->left)
        free_pool(pool);
    else
        (void)coir_event_set(&pool->returned);
}

/* ---- acquiring ---- */

/* The first use says which loop it belongs to. */
static int bind(coir_pool *pool)
{
    struct coir_loop *loop = coir_loop_current();
    if (pool->loop == loop && loop != NULL)
        return 0;
    if (loop == NULL)
        return -COIR_ENOTASK;
    if (pool->loop != NULL)
        return -COIR_EWRONGLOOP;
    COIR_TRY(coir_group_init(&pool->openings, COIR_COLLECT));
    int r = coir_group_init(&pool->closings, COIR_COLLECT);
    if (r < 0)
        (void)coir_group_close(&pool->openings);
    else
        pool->loop = loop;
    return r;
}

static bool is_good(const struct member *member, coir_time now)
{
    const coir_pool_opts *opts = &member->pool->opts;
    return opts->usable == NULL ||
           opts->usable(member->pooled.connection, now - member->since, opts->arg);
}

/* An unused connection of key that is good, or NULL. */
static struct member *take_idle(coir_pool *pool, struct key *key)
{
    coir_time now = coir_loop_time(pool->loop);
    while (!is_alone(&key->idle)) {
        struct member *member = OF(key->idle.next, struct member, of_key);
        if (!is_worn_out(member, now) && is_good(member, now)) {
            take_idle_out(member);
            lend(member);
            return member;
        }
        retire(member);
    }
    return NULL;
}

/* Puts a task in line, behind those of its key that came before it. */
static void begin_waiting(coir_pool *pool, struct key *key, struct waiter *waiter)
{
    struct node *behind = key->waiters.previous;
    while (behind != &key->waiters && OF(behind, struct waiter, node)->ticket > waiter->ticket)
        behind = behind->previous;
    insert_before(behind->next, &waiter->node);
    key->waiting++;
    pool->waiting++;
}

/* The turn of a key whose task was given a dead connection is not over. */
static void queue_first(coir_pool *pool, struct key *key, uint64_t ticket)
{
    take_out(&key->hungry);
    if (!is_hungry(pool, key))
        return;
    key->hungry_since = ticket;
    insert_before(pool->hungry.next, &key->hungry);
}

/* Waits for a connection. A ticket that is not 0 is that of an earlier wait, which came to nothing:
 * it goes on as if it had not ended. */
static int wait_for_one(coir_pool *pool, struct key *key, uint64_t *ticket,
                        struct member **ret_member)
{
    bool again = *ticket != 0;
    if (!again)
        *ticket = ++pool->tickets;
    struct waiter waiter = {.ticket = *ticket};
    begin_waiting(pool, key, &waiter);
    if (again)
        queue_first(pool, key, *ticket);
    look_after(pool, key);
    bool served = coir_event_is_set(&waiter.served);
    if (!served && !again && pool->opts.waiting > 0 &&
        pool->waiting > pool->opening + pool->opts.waiting) {
        stop_waiting(pool, key, &waiter);
        return coir_fail(-EAGAIN, "%s: too many tasks wait for a connection", key->text);
    }
    int r = coir_event_wait(&waiter.served);
    if (!coir_event_is_set(&waiter.served)) {
        stop_waiting(pool, key, &waiter);
        start_timer(pool);
        return r;
    }
    if (waiter.code < 0) /* the pool may be gone */
        return coir_fail(waiter.code, "%s", waiter.text);
    *ret_member = waiter.member;
    if (r < 0)
        coir_pool_release(&waiter.member->pooled);
    return r;
}

/* Ends a connection that was handed over and is no good, as if it had not been. Abruptly: a goodbye
 * would keep its place. Returns whether the pool is still open: else it may be gone. */
static bool reject(struct member *member)
{
    coir_pool *pool = member->pool;
    bool open = !pool->closed;
    come_back(pool);
    pool->total.retired++;
    give_up(member, true);
    look_after_closed(pool);
    return open;
}

static int find_member(coir_pool *pool, struct key *key, struct member **ret_member)
{
    uint64_t ticket = 0;
    while ((*ret_member = take_idle(pool, key)) == NULL) {
        COIR_TRY(wait_for_one(pool, key, &ticket, ret_member));
        if ((*ret_member)->pooled.uses == 1 || is_good(*ret_member, coir_loop_time(pool->loop)))
            return 0; /* it was opened just now, or has not died since its last use */
        if (!reject(*ret_member))
            return coir_fail(-COIR_ECLOSED, "the pool was closed");
    }
    if (ticket != 0)
        feed(pool); /* the dead one's place may be for another key */
    return 0;
}

int coir_pool_acquire(coir_pool *pool, const char *text, coir_pooled **ret_pooled)
{
    if (pool == NULL || text == NULL || ret_pooled == NULL)
        return -EINVAL;
    COIR_TRY(bind(pool));
    COIR_TRY(coir_pending());
    if (pool->closed)
        return -COIR_ECLOSED;
    struct key *key = find_key(pool, text);
    if (key == NULL)
        return -ENOMEM;
    struct member *member = NULL;
    COIR_TRY(find_member(pool, key, &member));
    pool->total.acquired++;
    pool->total.reused += member->pooled.uses > 1;
    *ret_pooled = &member->pooled;
    return 0;
}

/* ---- giving back ---- */

void coir_pool_release(coir_pooled *pooled)
{
    if (pooled == NULL)
        return;
    struct member *member = (struct member *)pooled;
    coir_pool *pool = member->pool;
    come_back(pool);
    pass_on(member);
    look_after_closed(pool);
}

static void end(coir_pooled *pooled, bool abrupt)
{
    struct member *member = (struct member *)pooled;
    coir_pool *pool = member->pool;
    struct key *key = member->key;
    come_back(pool);
    *(abrupt ? &pool->total.discarded : &pool->total.retired) += 1;
    give_up(member, abrupt || pool->left);
    look_after(pool, key);
    look_after_closed(pool);
}

void coir_pool_retire(coir_pooled *pooled)
{
    if (pooled != NULL)
        end(pooled, false);
}

void coir_pool_discard(coir_pooled *pooled)
{
    if (pooled != NULL)
        end(pooled, true);
}

/* ---- opening and closing ---- */

int coir_pool_open(const coir_pool_opts *opts, coir_pool **ret_pool)
{
    if (opts == NULL || ret_pool == NULL || opts->open == NULL || opts->close == NULL ||
        opts->idle < 0 || opts->age < 0)
        return -EINVAL;
    coir_pool *pool = coir_calloc(1, sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    pool->opts = *opts;
    if (pool->opts.max == 0)
        pool->opts.max = MAX;
    if (pool->opts.idle == 0)
        pool->opts.idle = IDLE;
    make_ring(&pool->keys);
    make_ring(&pool->idle);
    make_ring(&pool->hungry);
    /* without randomness it still works */
    if (getrandom(&pool->seed, sizeof pool->seed, GRND_NONBLOCK) < 0)
        pool->seed = (uint64_t)(uintptr_t)pool;
    int r = pool->opts.min > pool->opts.max ? -EINVAL : make_buckets(pool, BUCKETS);
    if (r < 0)
        coir_free(pool);
    else
        *ret_pool = pool;
    return r;
}

static void refuse_waiters(coir_pool *pool)
{
    for (struct node *at = pool->keys.next; at != &pool->keys; at = at->next)
        while (first_waiter(OF(at, struct key, of_pool)) != NULL)
            serve(pool, OF(at, struct key, of_pool), NULL, -COIR_ECLOSED, "the pool was closed");
}

void coir_pool_close(coir_pool *pool)
{
    if (pool == NULL)
        return;
    if (pool->loop == NULL) {
        coir_free(pool->buckets);
        coir_free(pool);
        return;
    }
    pool->closed = true;
    refuse_waiters(pool);
    (void)coir_group_close(&pool->openings);
    while (!is_alone(&pool->idle))
        retire(OF(pool->idle.next, struct member, of_pool));
    int r = pool->used > 0 ? coir_event_wait(&pool->returned) : 0;
    if (r == 0)
        r = coir_group_wait(&pool->closings);
    (void)coir_group_close(&pool->closings);
    pool->left = r < 0 && pool->used > 0;
    if (!pool->left)
        free_pool(pool);
}

void coir_pool_stats_get(const coir_pool *pool, coir_pool_stats *ret_stats)
{
    *ret_stats = pool->total;
    ret_stats->open = pool->places - pool->opening - pool->closing;
    ret_stats->idle = pool->unused;
    ret_stats->used = pool->used;
    ret_stats->opening = pool->opening;
    ret_stats->waiting = pool->waiting;
}
