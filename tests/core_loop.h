/* core_loop.h: what the tests of loops share: a loop of the test's own, and running it for a while.
 *
 * Declare a loop after what its tasks and callbacks use: it is closed first, however the test ends.
 */
#ifndef COIR_TESTS_CORE_LOOP_H
#define COIR_TESTS_CORE_LOOP_H

#include <coir/testing.h>

/* How much work a stress test does: less where a sanitizer makes everything slow. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LESS 20
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LESS 20
#endif
#endif
#ifndef LESS
#define LESS 1
#endif

COIR_CLOSER(coir_loop, coir_loop_close);

static inline int open_loop(coir_loop **ret_loop)
{
    coir_loop_opts opts = coir_test_loop_opts();
    return coir_loop_open(&opts, ret_loop);
}

/* A loop to the end of the block. A tortured test that ends early may leave things in it. */
#define LOOP(name)                                                                                 \
    COIR_AUTO(coir_loop) *name = NULL;                                                             \
    coir_test_expect_reports(COIR_REPORT_LEFT, 0);                                                 \
    COIR_REQUIRE_OK(open_loop(&name))

static inline void stop_loop(void *loop)
{
    coir_loop_stop(loop);
}

/* Runs loop for a while of its time. */
static inline int run_for(coir_loop *loop, coir_time duration)
{
    int r = coir_call_later(loop, duration, stop_loop, loop, NULL);
    return r < 0 ? r : coir_loop_run_forever(loop);
}

/* The text of the first report of a kind in this test, or "". */
static inline const char *report_of(coir_report_kind kind)
{
    size_t number;
    const coir_test_report *reports = coir_test_reports(&number);
    for (size_t i = 0; i < number; i++)
        if (reports[i].kind == kind)
            return reports[i].text;
    return "";
}

/* Runs fn(arg) as a task of loop to its end. Returns its result, or why it could not be run. */
static inline int run_task(coir_loop *loop, coir_fn fn, void *arg)
{
    coir_task *task;
    int r = coir_loop_spawn(loop, fn, arg, &task);
    return r < 0 ? r : coir_loop_run_until(loop, task, NULL);
}

#endif
