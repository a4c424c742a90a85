/* debug_mode.c: debug mode on and off, steps that are too long, figures, and the dump. A step is
 * made long by a blocking call that the watchdog's signal ends, so no test waits for longer than it
 * takes to notice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <coir/debug.h>
#include <coir/event.h>
#include <coir/scope.h>

#include "core_kit.h"
#include "core_loop.h"
#include "debug/debug.h"

#define NOT_INLINED __attribute__((noinline))
#define SLOW COIR_MS(40)

static volatile int sink;

/* Switches debug mode on, so that only what a test blocks is slow. */
static int debug_on(void)
{
    COIR_TRY(coir_debug_set(NULL, true));
    coir_debug_set_slow_step(NULL, COIR_FOREVER);
    return coir_yield();
}

/* Runs one step that is watched. */
static int block_in(void (*fn)(void))
{
    COIR_TRY(coir_yield());
    coir_debug_set_slow_step(NULL, SLOW);
    fn();
    int r = coir_yield();
    coir_debug_set_slow_step(NULL, COIR_FOREVER);
    return r;
}

/* Whether some report of a kind contains a text. */
static bool reported(coir_report_kind kind, const char *part)
{
    size_t count;
    const coir_test_report *reports = coir_test_reports(&count);
    for (size_t i = 0; i < count; i++)
        if (reports[i].kind == kind && strstr(reports[i].text, part) != NULL)
            return true;
    return false;
}

/* gcc and clang each say in their own way that this is a build for ThreadSanitizer. */
#if defined(__SANITIZE_THREAD__)
#define HOLDS_SIGNALS_BACK
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HOLDS_SIGNALS_BACK
#endif
#endif

/* Whether a slow step was reported with a part of its stack. */
static bool shows_stack(const char *part)
{
#if defined(HOLDS_SIGNALS_BACK)
    return part != NULL; /* it holds signals back until its own functions are entered */
#elif !defined(__GLIBC__)
    return part != NULL; /* musl has no tables by which callers of its functions could be found */
#else
    return reported(COIR_REPORT_SLOW_STEP, part);
#endif
}

static unsigned count_of(coir_report_kind kind)
{
    size_t count;
    unsigned found = 0;
    const coir_test_report *reports = coir_test_reports(&count);
    for (size_t i = 0; i < count; i++)
        found += reports[i].kind == kind;
    return found;
}

struct text {
    char all[8192];
    size_t length;
};

static void keep_line(const char *line, void *arg)
{
    struct text *text = arg;
    text->length += (size_t)snprintf(text->all + text->length, sizeof text->all - text->length,
                                     "%.200s\n", line);
}

/* ---- steps that are too long ---- */

static NOT_INLINED void block_in_sleep(void)
{
    struct timespec two_seconds = {.tv_sec = 2};
    sink += nanosleep(&two_seconds, NULL);
}

static void call_blocking(void *arg)
{
    (void)arg;
    block_in_sleep();
    sink++;
}

static NOT_INLINED void spin(void)
{
    const volatile uint64_t *sampled = &coir__loop->debug->sample.step;
    uint64_t before = *sampled;
    coir_time end = coir__clock() + COIR_SEC(2);
    while (coir__clock() < end && *sampled == before)
        sink++;
}

static int sleep_badly(void *arg)
{
    (void)arg;
    COIR_TRY(block_in(block_in_sleep));
    return 0;
}

COIR_TEST_TAGGED(slow_step_is_reported_with_its_stack, "expect_reports")
{
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, sleep_badly, NULL, &task));
    COIR_REQUIRE_OK(coir_join(task, NULL));
    COIR_EXPECT(reported(COIR_REPORT_SLOW_STEP, "task 'sleep_badly' (0 s old, spawned at "
                                                "debug_mode.c:"));
    COIR_EXPECT(reported(COIR_REPORT_SLOW_STEP, " held up the loop for 0."));
    COIR_EXPECT(reported(COIR_REPORT_SLOW_STEP, " s without a wait; its stack meanwhile:\n"));
    COIR_EXPECT(shows_stack("\n    block_in_sleep\n"));
    COIR_EXPECT(shows_stack("\n    sleep_badly"));
    COIR_EXPECT(shows_stack("\n  hint: use coir_sleep, which lets the other tasks run"));
}

COIR_TEST_TAGGED(busy_step_is_reported_once, "expect_reports")
{
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(block_in(spin));
    COIR_EXPECT(shows_stack("\n    spin\n"));
    COIR_EXPECT_EQ(count_of(COIR_REPORT_SLOW_STEP), 1);
}

COIR_TEST_TAGGED(slow_callback_is_reported, "expect_reports,own_loop")
{
    LOOP(loop);
    COIR_REQUIRE_OK(coir_debug_set(loop, true));
    coir_debug_set_slow_step(loop, SLOW);
    COIR_REQUIRE_OK(coir_call_soon(loop, call_blocking, NULL, NULL));
    COIR_EXPECT_OK(coir_loop_step(loop, 0));
    COIR_EXPECT_OK(coir_loop_step(loop, 0));
    COIR_EXPECT(reported(COIR_REPORT_SLOW_STEP, "the loop itself, or a callback, held up"));
    COIR_EXPECT(shows_stack("\n    block_in_sleep"));
}

/* What lies on a stack may be any number, and so may be what registers hold: in a function that has
 * tables, and where there is none. */
COIR_TEST_TAGGED(samples_of_nonsense_are_walked_with_care, "no_torture")
{
    static struct coir__sample sample;
    struct coir__symbols symbols = {.count = 0};
    struct coir__frames frames;
    for (uintptr_t number = UINTPTR_MAX - 63; number != 0; number++) {
        sample = (struct coir__sample){.length = 64, .registers = {.interrupted = true}};
        for (size_t i = 0; i < COIR__REGISTERS; i++)
            sample.registers.value[i] = number;
        sample.registers.value[COIR__SP] = 4096;
        sample.registers.known = (UINT64_C(1) << COIR__REGISTERS) - 1;
        for (size_t i = 0; i < 64; i += sizeof number)
            memcpy(sample.copy + i, &number, sizeof number);
        sample.registers.pc = 1;
        coir__frames_sampled(&sample, &symbols, &frames);
        COIR_EXPECT_EQ(frames.count, 1);
        sample.registers.pc = (uintptr_t)coir_loop_step + 32;
        coir__frames_sampled(&sample, &symbols, &frames);
        COIR_EXPECT_GE(frames.count, 1);
    }
    coir__symbols_close(&symbols);
}

COIR_TEST_TAGGED(nothing_is_reported_when_it_is_off, "no_torture")
{
    COIR_REQUIRE_OK(debug_on());
    COIR_REQUIRE_OK(coir_debug_set(NULL, false));
    COIR_EXPECT(!coir_debug_on(NULL));
    coir_debug_set_slow_step(NULL, COIR_MS(1));
    struct timespec nap = {.tv_nsec = 5000000};
    sink += nanosleep(&nap, NULL);
    COIR_EXPECT_OK(coir_yield());
}

/* The sample begins in the C library, and goes through functions without frame pointers. */
#if defined(__GNUC__) && !defined(__clang__)
#define WITHOUT_FRAME_POINTER __attribute__((noinline, optimize("omit-frame-pointer")))
#else
#define WITHOUT_FRAME_POINTER __attribute__((noinline))
#endif

static WITHOUT_FRAME_POINTER int sleep_without_frame(const int *order, int count)
{
    int sum = 0;
    for (int i = 0; i < count; i++) {
        struct timespec nap = {.tv_sec = order[i]};
        sum += nanosleep(&nap, NULL) + order[count - 1 - i];
    }
    return sum;
}

static WITHOUT_FRAME_POINTER int call_without_frame(int last)
{
    int order[] = {2, 0, 0, last};
    sink += sleep_without_frame(order, 3);
    return order[sink & 1];
}

static WITHOUT_FRAME_POINTER int wait_without_frame(coir_event *event)
{
    int order[] = {1, 2, 3, 4};
    int r = coir_event_wait(event);
    return r + order[sink & 3] - order[sink & 3];
}

static void block_without_frames(void)
{
    sink += call_without_frame(3);
}

static int wait_in_it(void *arg)
{
    COIR_TRY(wait_without_frame(arg));
    return 0;
}

static int block_in_it(void *arg)
{
    (void)arg;
    COIR_TRY(block_in(block_without_frames));
    return 0;
}

COIR_TEST_TAGGED(stacks_need_no_frame_pointers, "expect_reports")
{
    static coir_event event;
    static struct text text;
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    coir_task *blocker, *waiter;
    START(&group, wait_in_it, &event, &waiter);
    COIR_REQUIRE_OK(coir_spawn(&group, block_in_it, NULL, &blocker));
    COIR_REQUIRE_OK(coir_join(blocker, NULL));
    COIR_EXPECT(shows_stack("nanosleep in libc.so"));
    COIR_EXPECT(shows_stack("\n    sleep_without_frame\n    call_without_frame\n"));
    COIR_EXPECT(shows_stack("\n    block_in_it\n"));
    COIR_EXPECT_OK(coir_dump_lines(NULL, keep_line, &text));
    COIR_EXPECT_CONTAINS(text.all, "\n          wait_without_frame\n          wait_in_it\n");
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT_OK(coir_join(waiter, NULL));
}

/* ---- on and off ---- */

static int toggle(void *arg)
{
    for (int i = 0; i < 10; i++) {
        COIR_TRY(coir_debug_set(NULL, (i + *(int *)arg) % 2 == 0));
        coir_debug_set_slow_step(NULL, COIR_FOREVER);
        COIR_TRY(i % 3 == 0 ? coir_sleep(COIR_MS(1)) : coir_yield());
    }
    return 0;
}

COIR_TEST(it_can_be_switched_at_any_time)
{
    int ways[2] = {0, 1};
    COIR_GROUP(group);
    for (int i = 0; i < 6; i++) {
        coir_task *task;
        COIR_REQUIRE_OK(coir_spawn(&group, toggle, &ways[i % 2], i % 3 == 0 ? &task : NULL));
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_OK(coir_debug_set(NULL, true));
    COIR_EXPECT_OK(coir_debug_set(NULL, true));
    COIR_EXPECT(coir_debug_on(NULL));
}

COIR_TEST_TAGGED(it_is_an_option_of_a_loop, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    opts.debug = true;
    opts.slow_step = COIR_SEC(3600);
    coir_loop *loop;
    COIR_REQUIRE_OK(coir_loop_open(&opts, &loop));
    COIR_EXPECT(coir_debug_on(loop));
    COIR_EXPECT_OK(coir_loop_close(loop));
    COIR_EXPECT_CODE(coir_debug_set(NULL, true), -EINVAL);
    COIR_EXPECT(!coir_debug_on(NULL));
    coir_debug_set_slow_step(NULL, 1);
}

COIR_TEST_TAGGED(environment_asks_for_it, "own_loop")
{
    setenv("COIR_DEBUG", "1", 1);
    coir_loop_opts opts = coir_test_loop_opts();
    opts.slow_step = COIR_FOREVER;
    coir_loop *loop = NULL;
    int r = coir_loop_open(&opts, &loop);
    unsetenv("COIR_DEBUG");
    COIR_REQUIRE_OK(r);
    COIR_EXPECT(coir_debug_on(loop));
    COIR_EXPECT_OK(coir_loop_close(loop));
}

/* ---- figures ---- */

static int work_and_wait(void *arg)
{
    coir_event *event = arg;
    COIR_TRY(coir_yield());
    COIR_TRY(coir_sleep(COIR_SEC(3)));
    COIR_TRY(coir_sleep(COIR_SEC(4)));
    return coir_event_wait(event);
}

COIR_TEST_TAGGED(figures_tell_waiting_by_kind, "fifo")
{
    static coir_event event;
    struct coir_task_figures figures;
    COIR_EXPECT_CODE(coir_task_figures(NULL, &figures), -ENODATA);
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, work_and_wait, &event, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(8)));
    COIR_REQUIRE_OK(coir_event_set(&event));
    COIR_REQUIRE_OK(coir_wait_all(&task, 1));
    COIR_REQUIRE_OK(coir_task_figures(task, &figures));
    COIR_EXPECT_EQ(figures.wall, COIR_SEC(8));
    COIR_EXPECT_EQ(figures.waiting, COIR_SEC(8));
    COIR_EXPECT_EQ(figures.ready, 0);
    COIR_EXPECT_EQ(figures.steps, 5);
    COIR_EXPECT_GT(figures.running, 0);
    COIR_EXPECT_LE(figures.longest, figures.running);
    COIR_REQUIRE_EQ(figures.wait_count, 2);
    COIR_EXPECT_STR(figures.waits[0].what, "sleeps");
    COIR_EXPECT_EQ(figures.waits[0].time, COIR_SEC(7));
    COIR_EXPECT_EQ(figures.waits[0].times, 2);
    COIR_EXPECT_STR(figures.waits[1].what, "waits for event");
    COIR_EXPECT_EQ(figures.waits[1].time, COIR_SEC(1));
    COIR_EXPECT_OK(coir_join(task, NULL));
}

static int read_own_figures(void *arg)
{
    struct coir_task_figures *figures = arg;
    COIR_TRY(coir_yield());
    return coir_task_figures(NULL, figures);
}

COIR_TEST_TAGGED(figures_of_the_running_task, "real_clock")
{
    struct coir_task_figures figures = {0};
    COIR_REQUIRE_OK(debug_on());
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_own_figures, &figures, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(figures.steps, 2);
    COIR_EXPECT_GT(figures.running, 0);
    COIR_EXPECT_EQ(figures.waiting, 0);
    if (strcmp(coir_test_backend(), "sim") != 0) /* its clock is virtual */
        COIR_EXPECT_EQ(figures.wall, figures.running + figures.ready);
}

/* ---- the dump ---- */

static NOT_INLINED int wait_inside(coir_event *event)
{
    int r = coir_event_wait(event);
    sink += r;
    return r;
}

static int wait_deep(void *arg)
{
    COIR_TRY(wait_inside(arg));
    return 0;
}

COIR_TEST(dump_shows_the_tree_with_stacks)
{
    static coir_event event;
    static struct text text;
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, wait_deep, &event, &task));
    coir_task_set_name(task, "the deep one");
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_DEADLINE(COIR_SEC(5));
    text.length = 0;
    COIR_EXPECT_OK(coir_dump_lines(NULL, keep_line, &text));
    COIR_EXPECT_CONTAINS(text.all, ": 2 tasks, ");
    COIR_EXPECT_CONTAINS(text.all, "\n  'dump_shows_the_tree_with_stacks' runs (0 s old, spawned");
    COIR_EXPECT_CONTAINS(text.all, "\n    group 'group' (debug_mode.c:");
    COIR_EXPECT_CONTAINS(text.all, "): 1 running\n      'the deep one' waits for event ");
    COIR_EXPECT_CONTAINS(text.all, "\n          wait_inside\n          wait_deep\n");
    COIR_EXPECT_CONTAINS(text.all, "\n      scope (debug_mode.c:");
    COIR_EXPECT_OK(coir_event_set(&event));
    COIR_EXPECT_OK(coir_join(task, NULL));
}

COIR_TEST(dump_goes_to_a_descriptor)
{
    int fds[2];
    char text[4096];
    COIR_REQUIRE(pipe(fds) == 0);
    COIR_EXPECT_OK(coir_dump(NULL, fds[1]));
    ssize_t n = read(fds[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    COIR_EXPECT_CONTAINS(text, "loop on ");
    (void)close(fds[0]);
    (void)close(fds[1]);
    COIR_EXPECT_CODE(coir_dump_lines(NULL, NULL, NULL), -EINVAL);
}
