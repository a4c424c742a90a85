/* core_kit.h: what the tests of src/core/ share: a child that works for a while and may be cut
 * short, starting it, and asking how it ended.
 *
 * The runner shuffles ready tasks, so an order that matters is made by time (which is virtual), or
 * by letting each task run as far as it can before the test goes on.
 */
#ifndef COIR_TESTS_CORE_KIT_H
#define COIR_TESTS_CORE_KIT_H

#include <coir/testing.h>

/* A child's work. Zero is a child that starts, and ends without waiting for anything. */
struct job {
    coir_time work;    /* how long it sleeps; 0: not at all */
    int result;        /* what it returns when nothing cuts it short */
    coir_time cleanup; /* what it does when it is cut short: sleep so long, under a shield, … */
    int instead;       /* … and return this; 0: the code that cut it short */
    int woke;          /* what its sleep returned */
    bool started, ended;
};

static inline int work(void *arg)
{
    struct job *job = arg;
    job->started = true;
    if (job->work != 0)
        job->woke = coir_sleep(job->work);
    if (job->woke < 0 && job->cleanup > 0) {
        COIR_SHIELD(COIR_FOREVER);
        COIR_EXPECT_OK(coir_sleep(job->cleanup));
    }
    job->ended = true;
    if (job->woke == 0)
        return job->result;
    return job->instead != 0 ? job->instead : job->woke;
}

/* Waits until all others can go no further. */
#define SETTLE() COIR_REQUIRE_OK(coir_test_wait_all_blocked())

#define SPAWN(group, fn, arg, ret_task) COIR_REQUIRE_OK(coir_spawn((group), fn, (arg), (ret_task)))

/* Spawns fn(arg), and waits until it and all others can go no further. */
#define START(group, fn, arg, ret_task)                                                            \
    do {                                                                                           \
        SPAWN(group, fn, arg, ret_task);                                                           \
        SETTLE();                                                                                  \
    } while (0)

/* Joins a task; its result, or what ended the waiting. */
static inline int joined(coir_task *task)
{
    int result;
    int r = coir_join(task, &result);
    return r < 0 ? r : result;
}

/* Runs fn(arg) in a task, cancels it after delay, and returns how it ended. */
static inline int cancelled_after(coir_time delay, coir_fn fn, void *arg)
{
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, fn, arg, &task));
    COIR_TRY(coir_sleep(delay));
    COIR_EXPECT(!coir_task_done(task));
    coir_cancel(task, "the test says so");
    return joined(task);
}

/* For the end of an object's group: COIR_AUTO(coir_group) is closed on every path. */
static inline void close_group(coir_group *group)
{
    (void)coir_group_close(group);
}
COIR_CLOSER_VALUE(coir_group, close_group);

#endif
