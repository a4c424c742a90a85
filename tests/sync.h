/* sync.h: what the tests of src/sync/ share: starting tasks one after the other, and asking how
 * they ended.
 *
 * The runner shuffles ready tasks, so an order that matters is made by letting each task run as far
 * as it can before the next one starts.
 */
#ifndef COIR_TESTS_SYNC_H
#define COIR_TESTS_SYNC_H

#include <coir/lock.h>
#include <coir/testing.h>

/* Spawns fn(arg), and waits until it and all others can go no further. */
#define START(group, fn, arg, ret_task)                                                            \
    do {                                                                                           \
        COIR_REQUIRE_OK(coir_spawn((group), fn, (arg), (ret_task)));                               \
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());                                             \
    } while (0)

/* Waits until all others can go no further. */
#define SETTLE() COIR_REQUIRE_OK(coir_test_wait_all_blocked())

/* Holds a lock to the end of the block, or ends the test. */
#define HOLD(lock)                                                                                 \
    COIR_REQUIRE_OK(coir_lock_acquire(lock));                                                      \
    __attribute__((cleanup(coir__lock_leave), unused)) coir_lock *COIR__UNIQUE(held_) = (lock)

/* Joins a task; its result, or what ended the waiting. */
static inline int joined(coir_task *task)
{
    int result;
    int r = coir_join(task, &result);
    return r < 0 ? r : result;
}

/* A list of small numbers in the order in which tasks wrote them, to be compared as one decimal
 * number. */
struct record {
    int64_t digits;
};

static inline void note(struct record *record, int digit)
{
    record->digits = record->digits * 10 + digit;
}

#endif
