/* pool.c: the pool of connections: who is served first, what is kept, what becomes of failures, of
 * cancelled tasks, and of what is in use when it is closed.
 */
#include <stdio.h>
#include <string.h>

#include <coir/coir.h>
#include <coir/pool.h>
#include <coir/testing.h>

/* A world of connections that are numbers. */
struct world {
    coir_time takes;                            /* to open one */
    coir_time leaves;                           /* to close one politely */
    int fail;                                   /* what opening gives */
    bool bad;                                   /* unused ones are no longer good */
    int opened, open, most, politely, abruptly; /* most: open at once */
    int numbers[512];
};

static int open_number(const char *key, void *arg, void **ret_connection)
{
    struct world *world = arg;
    int *number = &world->numbers[world->opened++ % 512];
    if (world->takes > 0)
        COIR_TRY(coir_sleep(world->takes));
    if (world->fail < 0)
        return coir_fail(world->fail, "connect %s: refused for a test", key);
    *number = world->opened;
    *ret_connection = number;
    world->open++;
    if (world->open > world->most)
        world->most = world->open;
    return 0;
}

static void close_number(void *connection, bool abrupt, void *arg)
{
    struct world *world = arg;
    *(int *)connection = 0;
    if (!abrupt && world->leaves > 0)
        abrupt = coir_sleep(world->leaves) < 0;
    world->open--;
    *(abrupt ? &world->abruptly : &world->politely) += 1;
}

static bool is_usable(void *connection, coir_time unused, void *arg)
{
    const struct world *world = arg;
    return !world->bad && *(int *)connection > 0 && unused >= 0;
}

static int open_pool(struct world *world, coir_pool_opts opts, coir_pool **ret_pool)
{
    opts.open = open_number;
    opts.close = close_number;
    opts.usable = is_usable;
    opts.arg = world;
    return coir_pool_open(&opts, ret_pool);
}

static coir_pool_stats stats_of(const coir_pool *pool)
{
    coir_pool_stats stats;
    coir_pool_stats_get(pool, &stats);
    return stats;
}

COIR_TEST(what_was_released_is_used_again)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){0}, &pool));
    for (int i = 0; i < 3; i++) {
        COIR_AUTO(coir_pooled) *line = NULL;
        COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &line));
        COIR_EXPECT_STR(line->key, "a:1");
        COIR_EXPECT_EQ(line->uses, (uint64_t)i + 1);
        COIR_EXPECT_PTR(line->connection, &world.numbers[0]);
        coir_pool_release(COIR_TAKE(line));
    }
    coir_pool_stats stats = stats_of(pool);
    COIR_EXPECT_EQ(stats.opened, 1);
    COIR_EXPECT_EQ(stats.reused, 2);
    COIR_EXPECT_EQ(stats.idle, 1);
    coir_pool_close(COIR_TAKE(pool));
    COIR_EXPECT_EQ(world.open, 0);
    COIR_EXPECT_EQ(world.politely, 1);
}

COIR_TEST(keys_share_nothing)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_AUTO(coir_pooled) *one = NULL;
    COIR_AUTO(coir_pooled) *other = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){0}, &pool));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &one));
    coir_pool_release(COIR_TAKE(one));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "b:1", &other));
    COIR_EXPECT_PTR(other->connection, &world.numbers[1]);
    coir_pool_release(COIR_TAKE(other));
}

/* An exchange that ends in any other way than by a release is nobody's to go on with. */
COIR_TEST(an_exchange_left_early_ends_the_connection)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){0}, &pool));
    {
        COIR_AUTO(coir_pooled) *line = NULL;
        COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &line));
    }
    COIR_EXPECT_EQ(world.abruptly, 1);
    COIR_EXPECT_EQ(stats_of(pool).discarded, 1);
    COIR_EXPECT_EQ(stats_of(pool).open, 0);
}

/* One that has come to its end is nobody's either, but the peer hears of it in peace. */
COIR_TEST(a_connection_is_retired_in_peace)
{
    struct world world = {.leaves = COIR_MS(100)};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_AUTO(coir_pooled) *line = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1}, &pool));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &line));
    coir_pool_retire(COIR_TAKE(line));
    coir_pool_retire(NULL);
    COIR_EXPECT_EQ(stats_of(pool).open, 0);
    COIR_EXPECT_EQ(stats_of(pool).retired, 1);
    COIR_EXPECT_EQ(stats_of(pool).discarded, 0);
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &line)); /* its place is free then */
    COIR_EXPECT_EQ(world.politely, 1);
    COIR_EXPECT_EQ(line->uses, 1);
    coir_pool_retire(COIR_TAKE(line));
    coir_pool_close(COIR_TAKE(pool));
    COIR_EXPECT_EQ(world.politely, 2);
    COIR_EXPECT_EQ(world.abruptly, 0);
}

struct user {
    coir_pool *pool;
    const char *key;
    coir_time holds;
    int *log, *place;
    int number, result;
};

static int use(void *arg)
{
    struct user *user = arg;
    COIR_AUTO(coir_pooled) *line = NULL;
    user->result = coir_pool_acquire(user->pool, user->key, &line);
    if (user->result < 0)
        return user->result;
    if (user->log != NULL)
        user->log[(*user->place)++] = user->number;
    COIR_TRY(coir_sleep(user->holds));
    coir_pool_release(COIR_TAKE(line));
    return 0;
}

COIR_TEST_TAGGED(who_comes_first_is_served_first, "fifo")
{
    enum { USERS = 8 };
    struct world world = {.takes = COIR_MS(1)};
    int log[USERS] = {0}, place = 0;
    struct user users[USERS];
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 2}, &pool));
    COIR_GROUP(group);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){pool, "a:1", COIR_MS(10), log, &place, i, 0};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (int i = 0; i < USERS; i++)
        COIR_EXPECT_EQ(log[i], i);
    COIR_EXPECT_EQ(world.opened, 2);
}

/* Four hosts that all have more to do than there are places: each gets its turn. */
COIR_TEST_TAGGED(no_key_starves_another, "fifo")
{
    enum { USERS = 24 };
    static const char *const keys[] = {"a:1", "a:1", "b:1", "c:1"};
    struct world world = {.takes = COIR_MS(1)};
    int log[USERS] = {0}, place = 0;
    struct user users[USERS];
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 2}, &pool));
    COIR_GROUP(group);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){pool, keys[i % 4], COIR_MS(10), log, &place, i, 0};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(place, USERS);
    for (int i = 0; i < USERS; i++)
        COIR_EXPECT(log[i] <= i + 12 && log[i] + 12 >= i);
}

static int use_for_ever(void *arg)
{
    const struct user *user = arg;
    for (;;) {
        COIR_AUTO(coir_pooled) *line = NULL;
        COIR_TRY(coir_pool_acquire(user->pool, user->key, &line));
        COIR_TRY(coir_sleep(user->holds));
        coir_pool_release(COIR_TAKE(line));
    }
}

COIR_TEST(a_busy_key_makes_room_for_another)
{
    struct world world = {.takes = COIR_MS(1)};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1}, &pool));
    struct user busy = {.pool = pool, .key = "a:1", .holds = COIR_MS(10)};
    struct user other = {.pool = pool, .key = "b:1", .holds = COIR_MS(10)};
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, use_for_ever, &busy, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(55)));
    COIR_DEADLINE(COIR_SEC(1));
    COIR_EXPECT_OK(use(&other));
}

COIR_TEST(unused_connections_make_room)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 2}, &pool));
    static const char *const keys[] = {"a:1", "b:1", "c:1", "d:1", "a:1"};
    for (size_t i = 0; i < COIR_COUNT(keys); i++) {
        struct user user = {.pool = pool, .key = keys[i]};
        COIR_EXPECT_OK(use(&user));
        COIR_EXPECT_LE(stats_of(pool).open, 2);
    }
    COIR_EXPECT_EQ(world.opened, 5);
    COIR_EXPECT_EQ(stats_of(pool).retired, 3);
}

/* What is being closed still counts: its place is free when it is gone, and no sooner. */
COIR_TEST_TAGGED(a_place_is_free_when_its_connection_is_closed, "fifo")
{
    struct world world = {.leaves = COIR_MS(100)};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 2}, &pool));
    struct user a = {.pool = pool, .key = "a:1"}, others[2];
    COIR_EXPECT_OK(use(&a));
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, use, &a, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    static const char *const keys[] = {"b:1", "c:1"};
    for (int i = 0; i < 2; i++) {
        others[i] = (struct user){.pool = pool, .key = keys[i], .holds = COIR_SEC(1)};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &others[i], NULL));
    }
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(50))); /* b has the free place, c that of a */
    COIR_EXPECT_EQ(world.opened, 2);
    COIR_EXPECT_EQ(stats_of(pool).waiting, 1);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(1100));
    COIR_EXPECT_EQ(world.most, 2);
}

COIR_TEST(many_keys)
{
    char key[24];
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 400, .idle = COIR_SEC(5)}, &pool));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 300; i++) {
            (void)snprintf(key, sizeof key, "host%d:1", i);
            struct user user = {.pool = pool, .key = key};
            COIR_REQUIRE_OK(use(&user));
        }
    COIR_EXPECT_EQ(world.opened, 300);
    COIR_EXPECT_EQ(stats_of(pool).reused, 300);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(6)));
    COIR_EXPECT_EQ(world.open, 0);
}

COIR_TEST(a_key_has_a_limit_of_its_own)
{
    enum { USERS = 6 };
    struct world world = {.takes = COIR_MS(1)};
    struct user users[USERS], other;
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 10, .max_per_key = 2}, &pool));
    other = (struct user){.pool = pool, .key = "b:1"};
    COIR_GROUP(group);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){.pool = pool, .key = "a:1", .holds = COIR_SEC(1)};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(500)));
    COIR_EXPECT_EQ(stats_of(pool).open, 2);
    COIR_EXPECT_EQ(stats_of(pool).waiting, 4);
    coir_time start = coir_now();
    COIR_EXPECT_OK(use(&other));
    COIR_EXPECT_EQ(coir_now() - start, world.takes);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(world.opened, 3);
}

/* Whichever comes first serves: here a release, while the opening is still under way. */
COIR_TEST(a_release_serves_before_the_opening_is_done)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 2}, &pool));
    struct user first = {.pool = pool, .key = "a:1", .holds = COIR_MS(10)};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, use, &first, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    world.takes = COIR_SEC(5);
    struct user second = {.pool = pool, .key = "a:1"};
    coir_time start = coir_now();
    COIR_EXPECT_OK(use(&second));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(9));
    COIR_EXPECT_EQ(stats_of(pool).opening, 1);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(6)));
    COIR_EXPECT_EQ(stats_of(pool).idle, 2); /* and is for the next when it is done */
}

COIR_TEST(a_cancelled_task_loses_nothing)
{
    struct world world = {.takes = COIR_SEC(1)};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1}, &pool));
    struct user user = {.pool = pool, .key = "a:1"};
    {
        COIR_DEADLINE(COIR_MS(10));
        COIR_EXPECT_CODE(use(&user), -ETIME);
        COIR_EXPECT_CODE(use(&user), -ETIME);
    }
    COIR_EXPECT_EQ(stats_of(pool).waiting, 0);
    COIR_EXPECT_OK(use(&user)); /* by the opening that has gone on */
    COIR_EXPECT_EQ(world.opened, 1);
}

COIR_TEST(a_cancelled_task_makes_room_for_the_one_behind)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1}, &pool));
    struct user holder = {.pool = pool, .key = "a:1", .holds = COIR_SEC(1)};
    struct user leaver = holder, last = holder;
    coir_task *leaving;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, use, &holder, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_REQUIRE_OK(coir_spawn(&group, use, &leaver, &leaving));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_REQUIRE_OK(coir_spawn(&group, use, &last, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    coir_cancel(leaving, NULL);
    int result;
    COIR_EXPECT_OK(coir_join(leaving, &result));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(leaver.result, -ECANCELED);
    COIR_EXPECT_OK(last.result);
}

COIR_TEST(failures_reach_those_who_wait)
{
    struct world world = {.takes = COIR_MS(1), .fail = -ECONNREFUSED};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1}, &pool));
    struct user users[3];
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 3; i++) {
        users[i] = (struct user){.pool = pool, .key = "a:1"};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 3);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_CODE(users[i].result, -ECONNREFUSED);
    COIR_EXPECT_CODE(use(&users[0]), -ECONNREFUSED);
    COIR_EXPECT_STR(coir_last_message(-ECONNREFUSED), "connect a:1: refused for a test");
    world.fail = -ETIME; /* of a scope that the waiting task is not in */
    COIR_EXPECT_CODE(use(&users[0]), -ETIMEDOUT);
    world.fail = 0;
    COIR_EXPECT_OK(use(&users[0]));
    COIR_EXPECT_EQ(stats_of(pool).failed, 5);
}

COIR_TEST(too_many_may_not_wait)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1, .waiting = 1}, &pool));
    struct user users[3];
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 3; i++) {
        users[i] = (struct user){.pool = pool, .key = "a:1", .holds = COIR_SEC(1)};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    }
    COIR_EXPECT_CODE(users[2].result, -EAGAIN);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
}

COIR_TEST(unused_ones_are_closed_in_time)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.idle = COIR_SEC(10), .min = 1}, &pool));
    struct user users[3];
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++) {
        users[i] = (struct user){.pool = pool, .key = "a:1", .holds = COIR_SEC(i + 1)};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group)); /* at 3 s; they are unused since 1, 2, 3 s */
    COIR_EXPECT_EQ(world.open, 3);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(7.5)));
    COIR_EXPECT_EQ(world.open, 3);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_EQ(world.open, 2);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(100)));
    COIR_EXPECT_EQ(world.open, 1); /* min */
    COIR_EXPECT_EQ(world.politely, 2);
}

COIR_TEST(what_is_old_or_no_longer_good_is_not_used)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.age = COIR_SEC(5)}, &pool));
    struct user user = {.pool = pool, .key = "a:1"};
    COIR_EXPECT_OK(use(&user));
    world.bad = true;
    COIR_EXPECT_OK(use(&user));
    world.bad = false;
    COIR_EXPECT_OK(use(&user));
    COIR_EXPECT_EQ(world.opened, 2);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(5)));
    COIR_EXPECT_OK(use(&user));
    COIR_EXPECT_EQ(world.opened, 3);
    user.holds = COIR_SEC(6);
    COIR_EXPECT_OK(use(&user)); /* too old when it comes back */
    COIR_EXPECT_EQ(stats_of(pool).open, 0);
}

/* What is handed over may have died since it was released: who waits for it gets another, and stays
 * before those who came later. */
COIR_TEST_TAGGED(who_waits_is_given_no_dead_one, "fifo")
{
    enum { USERS = 4 };
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_AUTO(coir_pooled) *line = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1, .waiting = USERS}, &pool));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &line));
    struct user users[USERS];
    int log[USERS] = {0}, place = 0;
    COIR_GROUP(group);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){pool, "a:1", COIR_MS(10), log, &place, i, 0};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_EQ(stats_of(pool).waiting, USERS);
    *(int *)line->connection = 0;
    coir_pool_release(COIR_TAKE(line));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (int i = 0; i < USERS; i++)
        COIR_EXPECT_EQ(log[i], i);
    coir_pool_stats stats = stats_of(pool);
    COIR_EXPECT_EQ(stats.opened, 2);
    COIR_EXPECT_EQ(stats.acquired, 1 + USERS);
    COIR_EXPECT_EQ(stats.reused, USERS - 1);
    COIR_EXPECT_EQ(stats.retired, 1);
}

static int try_to_use(void *arg)
{
    (void)!use(arg); /* it keeps the code */
    return 0;
}

/* The pool is closed between the handing over and the look at what was given. */
COIR_TEST_TAGGED(a_dead_one_is_handed_over_by_a_pool_that_is_closed, "fifo")
{
    struct world world = {0};
    coir_pool *pool = NULL;
    COIR_AUTO(coir_pooled) *line = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1}, &pool));
    int r = coir_pool_acquire(pool, "a:1", &line);
    struct user user = {.pool = pool, .key = "a:1"};
    COIR_GROUP_COLLECT(group);
    if (r == 0)
        r = coir_spawn(&group, try_to_use, &user, NULL);
    if (r == 0)
        r = coir_yield();
    if (r == 0) {
        *(int *)line->connection = 0;
        coir_pool_release(COIR_TAKE(line)); /* handed over, and not looked at yet */
    }
    coir_pool_release(COIR_TAKE(line));
    coir_pool_close(pool);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_CODE(user.result, -COIR_ECLOSED);
    COIR_EXPECT_EQ(world.open, 0);
}

/* All die at once, as when a server starts anew: the order stays. */
COIR_TEST_TAGGED(dead_ones_do_not_turn_the_queue_round, "fifo")
{
    enum { USERS = 4 };
    struct world world = {.takes = COIR_MS(1)};
    int log[USERS] = {0}, place = 0;
    struct user users[USERS];
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_AUTO(coir_pooled) *line = NULL;
    COIR_AUTO(coir_pooled) *other = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 2}, &pool));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &line));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &other));
    COIR_GROUP(group);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){pool, "a:1", COIR_MS(10), log, &place, i, 0};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    *(int *)line->connection = *(int *)other->connection = 0;
    coir_pool_release(COIR_TAKE(line));
    coir_pool_release(COIR_TAKE(other));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (int i = 0; i < USERS; i++)
        COIR_EXPECT_EQ(log[i], i);
}

/* Nor do those of another key go first, who came later. And the dead one says no goodbye, during
 * which it would keep its place; a newcomer is not refused for who waits again. */
COIR_TEST_TAGGED(who_was_given_a_dead_one_keeps_its_turn, "fifo")
{
    enum { USERS = 6 };
    struct world world = {.leaves = COIR_SEC(1)};
    int log[USERS] = {0}, place = 0;
    struct user users[USERS];
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_AUTO(coir_pooled) *line = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1, .waiting = USERS}, &pool));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &line));
    COIR_GROUP(group);
    for (int i = 0; i < USERS; i++) {
        users[i] = (struct user){pool, i == 0 ? "a:1" : "b:1", COIR_MS(10), log, &place, i, 0};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    *(int *)line->connection = 0;
    coir_time start = coir_now();
    coir_pool_release(COIR_TAKE(line));
    uint64_t acquired = stats_of(pool).acquired, reused = stats_of(pool).reused;
    while (place == 0)
        COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    COIR_EXPECT_LT(coir_now() - start, COIR_MS(500));
    COIR_EXPECT_LE(acquired, stats_of(pool).acquired);
    COIR_EXPECT_LE(reused, stats_of(pool).reused);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (int i = 0; i < USERS; i++)
        COIR_EXPECT_EQ(log[i], i);
}

/* Who waits again is cancelled, or the pool closed, as if it waited for the first time. */
COIR_TEST_TAGGED(the_second_wait_ends_as_the_first, "fifo")
{
    for (int i = 0; i < 2; i++) {
        struct world world = {0};
        coir_pool *pool = NULL;
        COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 1}, &pool));
        coir_pooled *line = NULL;
        struct user user = {.pool = pool, .key = "a:1"};
        coir_task *task = NULL;
        COIR_GROUP_COLLECT(group);
        int r = coir_pool_acquire(pool, "a:1", &line);
        if (r == 0)
            r = coir_spawn(&group, try_to_use, &user, &task);
        if (r == 0)
            r = coir_yield();
        if (r == 0) {
            world.takes = COIR_SEC(1);
            *(int *)line->connection = 0;
            coir_pool_release(COIR_TAKE(line));
            r = coir_sleep(COIR_MS(1));
        }
        coir_pool_release(line);
        if (r == 0 && i == 0) {
            coir_cancel(task, NULL);
            r = coir_sleep(COIR_MS(1));
        }
        coir_pool_close(pool);
        COIR_EXPECT_OK(coir_group_wait(&group));
        COIR_REQUIRE_OK(r);
        COIR_EXPECT_CODE(user.result, i == 0 ? -ECANCELED : -COIR_ECLOSED);
        COIR_EXPECT_EQ(world.open, 0);
    }
}

/* Nor by who waits for it already. */
COIR_TEST(each_is_used_so_often)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.uses = 2, .max = 1}, &pool));
    struct user users[5];
    COIR_GROUP(group);
    for (int i = 0; i < 5; i++) {
        users[i] = (struct user){.pool = pool, .key = "a:1", .holds = COIR_MS(10)};
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(world.opened, 3);
    COIR_EXPECT_EQ(stats_of(pool).retired, 2);
    COIR_EXPECT_EQ(stats_of(pool).open, 1);
}

COIR_TEST(closing_awaits_what_is_in_use)
{
    struct world world = {.leaves = COIR_MS(100)};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){.max = 2}, &pool));
    struct user holder = {.pool = pool, .key = "a:1", .holds = COIR_SEC(2)};
    struct user users[3] = {holder, holder, holder};
    COIR_GROUP_COLLECT(group);
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, use, &users[i], NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(1)));
    coir_time start = coir_now();
    coir_pool_close(COIR_TAKE(pool));
    COIR_EXPECT_EQ(coir_now() - start, COIR_MS(1100));
    COIR_EXPECT_EQ(world.open, 0);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 1); /* the one that waited */
}

COIR_TEST(closing_leaves_what_is_in_use_when_it_is_cancelled)
{
    struct world world = {0};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_AUTO(coir_pooled) *one = NULL;
    COIR_AUTO(coir_pooled) *other = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){0}, &pool));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &one));
    COIR_REQUIRE_OK(coir_pool_acquire(pool, "a:1", &other));
    {
        COIR_DEADLINE(COIR_SEC(1));
        coir_pool_close(COIR_TAKE(pool));
    }
    COIR_EXPECT_EQ(world.open, 2);
    coir_pool_release(COIR_TAKE(one));
    coir_pool_discard(COIR_TAKE(other));
    COIR_EXPECT_EQ(world.open, 0);
}

COIR_TEST(an_opening_is_cancelled_by_closing)
{
    struct world world = {.takes = COIR_SEC(100)};
    COIR_AUTO(coir_pool) *pool = NULL;
    COIR_REQUIRE_OK(open_pool(&world, (coir_pool_opts){0}, &pool));
    struct user user = {.pool = pool, .key = "a:1"};
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_spawn(&group, use, &user, NULL));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    coir_time start = coir_now();
    coir_pool_close(COIR_TAKE(pool));
    COIR_EXPECT_EQ(coir_now(), start);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(coir_group_failures(&group), 1);
    COIR_EXPECT_CODE(user.result, -COIR_ECLOSED);
}

COIR_TEST(arguments_are_checked)
{
    struct world world = {0};
    coir_pool *pool = NULL;
    coir_pooled *line = NULL;
    COIR_EXPECT_CODE(coir_pool_open(NULL, &pool), -EINVAL);
    COIR_EXPECT_CODE(coir_pool_open(&(coir_pool_opts){0}, &pool), -EINVAL);
    COIR_EXPECT_CODE(open_pool(&world, (coir_pool_opts){.idle = -1}, &pool), -EINVAL);
    COIR_EXPECT_CODE(open_pool(&world, (coir_pool_opts){.max = 1, .min = 2}, &pool), -EINVAL);
    COIR_EXPECT_CODE(coir_pool_acquire(NULL, "a", &line), -EINVAL);
    coir_pool_close(NULL);
    coir_pool_release(NULL);
    coir_pool_discard(NULL);
}
