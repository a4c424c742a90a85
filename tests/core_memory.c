/* core_memory.c: where the library's memory comes from, what is counted, and what happens when a
 * loop cannot be opened for want of it.
 */
#include <stdlib.h>

#include <coir/event.h>

#include "core/core.h"
#include "core_loop.h"

/* An allocator that counts, and fails from the n-th call on. */
struct counting {
    uint64_t calls, live, fail_at;
};

static void *take(size_t size, void *arg)
{
    struct counting *counting = arg;
    if (++counting->calls >= counting->fail_at)
        return NULL;
    void *block = malloc(size);
    counting->live += block != NULL;
    return block;
}

static void *resize(void *block, size_t size, void *arg)
{
    struct counting *counting = arg;
    if (++counting->calls >= counting->fail_at)
        return NULL;
    void *moved = realloc(block, size);
    counting->live += moved != NULL && block == NULL;
    return moved;
}

static void give_back(void *block, void *arg)
{
    struct counting *counting = arg;
    counting->live--;
    free(block);
}

#define ALLOCATOR(counting)                                                                        \
    &(coir_allocator)                                                                              \
    {                                                                                              \
        take, resize, give_back, (counting)                                                        \
    }

static int do_little(void *arg)
{
    static const coir_local local;
    COIR_TRY(coir_local_set(&local, arg));
    return coir_sleep(1);
}

COIR_TEST_TAGGED(allocator_is_used_for_everything, "own_loop,no_torture")
{
    struct counting counting = {.fail_at = UINT64_MAX};
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_REQUIRE_EQ(coir_set_allocator(ALLOCATOR(&counting)), 0);
    COIR_EXPECT_OK(coir_run(do_little, &counting, &opts, NULL));
    COIR_EXPECT_GT(counting.calls, 2);
    COIR_EXPECT_EQ(counting.live, 0);
    COIR_EXPECT_EQ(coir_set_allocator(NULL), 0);
    counting.calls = 0;
    COIR_EXPECT_OK(coir_run(do_little, &counting, &opts, NULL));
    COIR_EXPECT_EQ(counting.calls, 0);
}

COIR_TEST_TAGGED(allocator_needs_every_function, "own_loop,no_torture")
{
    struct counting counting = {.fail_at = UINT64_MAX};
    COIR_EXPECT_CODE(coir_set_allocator(&(coir_allocator){NULL, resize, give_back, &counting}),
                     -EINVAL);
    COIR_EXPECT_CODE(coir_set_allocator(&(coir_allocator){take, NULL, give_back, &counting}),
                     -EINVAL);
    COIR_EXPECT_CODE(coir_set_allocator(&(coir_allocator){take, resize, NULL, &counting}), -EINVAL);
    coir_loop_opts opts = coir_test_loop_opts();
    COIR_EXPECT_OK(coir_run(do_little, &counting, &opts, NULL));
    COIR_EXPECT_EQ(counting.calls, 0);
}

static int change_allocator(void *arg)
{
    COIR_EXPECT_CODE(coir_set_allocator(ALLOCATOR(arg)), -EBUSY);
    COIR_EXPECT_CODE(coir_set_allocator(NULL), -EBUSY);
    return 0;
}

COIR_TEST_TAGGED(allocator_is_not_changed_while_memory_is_held, "own_loop,no_torture")
{
    struct counting counting = {.fail_at = UINT64_MAX};
    {
        LOOP(loop);
        COIR_EXPECT_CODE(coir_set_allocator(ALLOCATOR(&counting)), -EBUSY);
        COIR_EXPECT_OK(run_task(loop, change_allocator, &counting));
    }
    COIR_EXPECT_EQ(coir_set_allocator(ALLOCATOR(&counting)), 0);
    COIR_EXPECT_EQ(coir_set_allocator(NULL), 0);
    COIR_EXPECT_EQ(counting.calls, 0);
}

/* Opening a loop fails at each of its allocations, and leaves nothing behind. */
COIR_TEST_TAGGED(opening_a_loop_without_memory, "own_loop,no_torture")
{
    coir_loop *loop = NULL;
    uint64_t failures = 0;
    int r = -ENOMEM;
    for (uint64_t n = 1; r == -ENOMEM && n < 100; n++) {
        struct counting counting = {.fail_at = n};
        COIR_REQUIRE_EQ(coir_set_allocator(ALLOCATOR(&counting)), 0);
        coir_loop_opts opts = coir_test_loop_opts();
        r = coir_loop_open(&opts, &loop);
        failures += r == -ENOMEM;
        if (r >= 0)
            coir_loop_close(loop);
        COIR_EXPECT_EQ(counting.live, 0);
        COIR_REQUIRE_EQ(coir_set_allocator(NULL), 0);
    }
    COIR_EXPECT_EQ(r, 0);
    COIR_EXPECT_GE(failures, 4);
}

/* The same for a whole program: whatever fails, all comes back, and the code says why. */
COIR_TEST_TAGGED(running_a_program_without_memory, "own_loop,no_torture")
{
    int r = -ENOMEM;
    for (uint64_t n = 1; r == -ENOMEM && n < 100; n++) {
        struct counting counting = {.fail_at = n};
        COIR_REQUIRE_EQ(coir_set_allocator(ALLOCATOR(&counting)), 0);
        coir_loop_opts opts = coir_test_loop_opts();
        r = coir_run(do_little, &r, &opts, NULL);
        COIR_EXPECT_EQ(counting.live, 0);
        COIR_REQUIRE_EQ(coir_set_allocator(NULL), 0);
    }
    COIR_EXPECT_OK(r);
}

COIR_TEST(blocks_are_counted)
{
    struct coir_loop_stats before, during, after;
    coir_loop_stats(NULL, &before);
    void *block = coir__alloc(10);
    if (block == NULL)
        return;
    COIR_EXPECT_EQ(coir__memory_live(), before.memory + 1);
    void *moved = coir__realloc(block, 100);
    coir_loop_stats(NULL, &during);
    COIR_EXPECT_EQ(during.memory, before.memory + 1);
    coir__free(moved != NULL ? moved : block);
    coir__free(NULL);
    coir_loop_stats(NULL, &after);
    COIR_EXPECT_EQ(after.memory, before.memory);
    volatile size_t many = SIZE_MAX / 2;
    COIR_EXPECT_PTR(coir__calloc(many, 3), NULL);
    char *zeroed = coir__calloc(3, 3);
    for (int i = 0; zeroed != NULL && i < 9; i++)
        COIR_EXPECT_EQ(zeroed[i], 0);
    coir__free(zeroed);
}

/* Running tasks, sleeping, yielding and joining take no memory once stacks are warm. */
COIR_TEST_TAGGED(steady_state_allocates_nothing, "own_loop,no_torture")
{
    struct counting counting = {.fail_at = UINT64_MAX};
    COIR_REQUIRE_EQ(coir_set_allocator(ALLOCATOR(&counting)), 0);
    {
        LOOP(loop);
        COIR_EXPECT_OK(run_task(loop, do_little, &counting));
        uint64_t before = counting.calls;
        for (int i = 0; i < 100; i++)
            COIR_EXPECT_OK(run_task(loop, do_little, &counting));
        COIR_EXPECT_LE(counting.calls, before + 100); /* the variable of each task */
    }
    COIR_EXPECT_EQ(counting.live, 0);
    COIR_EXPECT_EQ(coir_set_allocator(NULL), 0);
}
