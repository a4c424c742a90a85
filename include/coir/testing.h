/* coir/testing.h: the test kit: tests that run in no time, account for everything they used, and
 * can be tortured.
 *
 * COIR_TEST(name) { ... } defines a test; linking some into a program makes it a test program (main
 * is here, weakly). Each test runs in a process of its own, as the main task of a fresh loop with a
 * virtual clock and a seeded order of the ready tasks; when it has ended, every counter of the
 * loop, the library's memory and the process's descriptors must be back where they began.
 *
 *     #include <coir/testing.h>
 *
 *     COIR_TEST(an_hour_passes_at_once)
 *     {
 *         coir_time start = coir_now();
 *         COIR_REQUIRE_OK(coir_sleep(COIR_SEC(3600)));
 *         COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3600));
 *     }
 *
 * `./program --help` lists the options. With --torture each test runs again and again: cancelled at
 * its k-th suspending call, with its n-th allocation or system call failing, and so on. There,
 * expectations may fail; crashes, hangs and leaks may not. Write tests so that they release what
 * they made on every path (COIR_AUTO, COIR_GROUP), also when COIR_REQUIRE returns early.
 *
 * Environment: COIR_BACKEND (default epoll), COIR_SEED (0: first in, first out; default: random),
 * COIR_TEST_TIMEOUT_MULTIPLIER, COIR_TORTURE_SHIFT (any text; which points a sample takes).
 */
#ifndef COIR_TESTING_H
#define COIR_TESTING_H

#include <errno.h>

#include <coir/error.h>
#include <coir/group.h>
#include <coir/loop.h>
#include <coir/scope.h>
#include <coir/task.h>

COIR__BEGIN

/* ---- defining tests ---- */

/* Defines a test and registers it before main. The block that follows is its body, a function
 * without arguments and result; it is the main task of its loop. Its name, for people and filters,
 * is the file's and this one: "sync_lock.is_fair". */
#define COIR_TEST(name) COIR_TEST_TAGGED(name, "")

/* As COIR_TEST, with tags, a string literal of words separated by commas:
 *     real            needs the real clock and kernel; skipped on sim
 *     real_clock      on epoll and uring the clock is the real one (where a deadline races against
 *                     the kernel); on sim it is virtual as ever
 *     posts           other threads post to the loop: waiting for them is no deadlock
 *     fifo            the order of ready tasks matters: never seeded
 *     own_loop        the body runs outside any task, without a loop; for coir_run, coir_main and
 *                     the like. It passes coir_test_loop_opts() to the loops that it opens
 *     expect_reports  reports of any kind are fine; see also coir_test_expect_reports
 *     limit=SECONDS   of real time, instead of 10
 *     liveness        in torture too a deadlock is a failure: whichever task is cancelled or fails,
 *                     the others must get on. Without this tag who waits in vain is then cancelled
 *     untidy          in torture, a run that COIR_REQUIRE ended early may leave things behind
 *     no_torture      is not tortured
 *     slow            tortured only by --torture=full, and there by a sample of 1,024 points a kind
 *     meta            runs only when asked for by its exact name
 * An unknown tag makes the program fail.
 *
 *     COIR_TEST_TAGGED(reads_time_out, "real,limit=20") { ... }
 */
#define COIR_TEST_TAGGED(name, tags)                                                               \
    static void coir__test_body_##name(void);                                                      \
    static coir__test coir__test_record_##name = {                                                 \
        #name, __FILE__, tags, coir__test_body_##name, __LINE__, 0, 0, NULL, COIR__ZERO};          \
    static __attribute__((constructor)) void coir__test_register_##name(void)                      \
    {                                                                                              \
        coir__test_add(&coir__test_record_##name);                                                 \
    }                                                                                              \
    static void coir__test_body_##name(void)

/* Ends the test here, as one that cannot run in this place: COIR_SKIP("no IPv6 here"). */
#define COIR_SKIP(reason)                                                                          \
    do {                                                                                           \
        coir__test_skip((reason), COIR_SITE(NULL));                                                \
        return;                                                                                    \
    } while (0)

/* ---- expectations ----
 *
 * COIR_EXPECT_… records a failure, with both values and the line, and goes on; its value says
 * whether it held. COIR_REQUIRE_… returns from the test (any function without result) when it does
 * not hold. Arguments are evaluated once. They work in every task of the test and in callbacks, on
 * the thread of the test's loop. In functions with a result write
 *     if (!COIR_EXPECT_OK(coir_event_wait(&opened)))
 *         return -1;
 */

/* A condition. */
#define COIR_EXPECT(condition) COIR__EXPECT(condition, #condition)

/* Integers of any type and signedness, compared by value; pointers and floats do not compile. */
#define COIR_EXPECT_EQ(a, b) COIR__EXPECT_EQ(a, b, #a, #b)
#define COIR_EXPECT_NE(a, b) COIR__EXPECT_NE(a, b, #a, #b)
#define COIR_EXPECT_LT(a, b) COIR__EXPECT_LT(a, b, #a, #b)
#define COIR_EXPECT_LE(a, b) COIR__EXPECT_LE(a, b, #a, #b)
#define COIR_EXPECT_GT(a, b) COIR__EXPECT_GT(a, b, #a, #b)
#define COIR_EXPECT_GE(a, b) COIR__EXPECT_GE(a, b, #a, #b)

/* Two strings are equal (NULL equals only NULL); the second is part of the first. */
#define COIR_EXPECT_STR(a, b) COIR__EXPECT_STR(a, b, #a, #b)
#define COIR_EXPECT_CONTAINS(text, part) COIR__EXPECT_CONTAINS(text, part, #text, #part)

/* Two blocks of n bytes are equal; the first difference is shown in hexadecimal. */
#define COIR_EXPECT_BYTES(a, b, n) COIR__EXPECT_BYTES(a, b, n, #a, #b)

/* Two pointers are equal. */
#define COIR_EXPECT_PTR(a, b) COIR__EXPECT_PTR(a, b, #a, #b)

/* A call succeeded: its value is not negative. Says the code's name otherwise. */
#define COIR_EXPECT_OK(call) COIR__EXPECT_OK(call, #call)

/* A call gave exactly this code: COIR_EXPECT_CODE(coir_sleep(1), -ECANCELED). */
#define COIR_EXPECT_CODE(call, code) COIR__EXPECT_CODE(call, code, #call, #code)

/* Fails, with a text as printf makes it. */
#define COIR_FAIL(...) coir__test_fail(COIR_SITE(NULL), __VA_ARGS__)

/* As the COIR_EXPECT_… of the same end, and returns from the test when it does not hold. */
#define COIR_REQUIRE(condition) COIR__TEST_REQUIRE(COIR__EXPECT(condition, #condition))
#define COIR_REQUIRE_EQ(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_EQ(a, b, #a, #b))
#define COIR_REQUIRE_NE(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_NE(a, b, #a, #b))
#define COIR_REQUIRE_LT(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_LT(a, b, #a, #b))
#define COIR_REQUIRE_LE(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_LE(a, b, #a, #b))
#define COIR_REQUIRE_GT(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_GT(a, b, #a, #b))
#define COIR_REQUIRE_GE(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_GE(a, b, #a, #b))
#define COIR_REQUIRE_STR(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_STR(a, b, #a, #b))
#define COIR_REQUIRE_CONTAINS(text, part)                                                          \
    COIR__TEST_REQUIRE(COIR__EXPECT_CONTAINS(text, part, #text, #part))
#define COIR_REQUIRE_BYTES(a, b, n) COIR__TEST_REQUIRE(COIR__EXPECT_BYTES(a, b, n, #a, #b))
#define COIR_REQUIRE_PTR(a, b) COIR__TEST_REQUIRE(COIR__EXPECT_PTR(a, b, #a, #b))
#define COIR_REQUIRE_OK(call) COIR__TEST_REQUIRE(COIR__EXPECT_OK(call, #call))
#define COIR_REQUIRE_CODE(call, code)                                                              \
    COIR__TEST_REQUIRE(COIR__EXPECT_CODE(call, code, #call, #code))

/* ---- order ---- */

/* Waits until every other task of the loop is parked and nothing is ready: what was started has
 * gone as far as it can. No (virtual) time passes. Trio calls this wait_all_tasks_blocked. Tasks
 * that are in this call themselves count as blocked: they go on one after the other.
 *
 *     COIR_REQUIRE_OK(coir_spawn(&group, locks, &lock, NULL));
 *     COIR_REQUIRE_OK(coir_test_wait_all_blocked());        (it now waits for the lock)
 *
 * Returns 0. Errors: -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_test_wait_all_blocked(void);

/* Makes tasks take turns in exactly one order, whatever the seed. Zero is one that stands before
 * turn 0; private fields.
 *
 *     static coir_sequencer order;
 *     COIR_TRY(coir_sequencer_enter(&order, 1));            (waits until turn 0 has been left)
 *     ...
 *     coir_sequencer_leave(&order);                         (turn 2 may go)
 */
typedef struct coir_sequencer {
    size_t coir__turn;
    void *coir__waiters[2];
    bool coir__inside, coir__broken;
    void *coir__reserved[2];
} coir_sequencer;

/* Waits until all turns before turn have been left, and enters it. Each turn is entered once.
 * Returns 0. Errors: -EINVAL for a turn that was entered before, -COIR_EBROKENBARRIER when a waiter
 * was cancelled (its turn will never come), -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: the
 * sequencer breaks, which ends the other waits too. Thread safety: the loop's thread. */
COIR__CHECKED int coir_sequencer_enter(coir_sequencer *sequencer, size_t turn);

/* Leaves the turn that was entered last, and lets the next one go. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__PUBLIC void coir_sequencer_leave(coir_sequencer *sequencer);

/* ---- faults ---- */

/* Cancels task (NULL: the current one) when it enters its call-th suspending call from now; 1 is
 * the next one. One arrangement holds at a time; 0 takes it back.
 *
 *     coir_test_cancel_at_park(NULL, 2);
 *     COIR_EXPECT_OK(coir_yield());
 *     COIR_EXPECT_CODE(coir_yield(), -ECANCELED);
 *
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_test_cancel_at_park(coir_task *task, unsigned call);

/* On the simulated backend: from now on, of each hundred UDP datagrams about so many are lost, come
 * twice, or come after the next one, as the seed of the test decides. At first none are.
 * Returns 0. Errors: -EOPNOTSUPP on other backends, -EINVAL above 100, -COIR_ENOTASK where no loop
 * runs. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_test_datagrams(unsigned lost, unsigned doubled, unsigned late);

/* On the simulated backend: from now on the loop may have no more than most descriptors, as with
 * setrlimit(2): a further one is -EMFILE. 0, as at first: any number.
 * Returns 0. Errors: -EOPNOTSUPP on other backends, -COIR_ENOTASK where no loop runs. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_test_descriptors(uint64_t most);

/* Whether this run is one of --torture: a fault is, was or will be injected, so that what a test
 * expects need not come true. For tests that would otherwise loop until something succeeds. Returns
 * true or false. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC bool coir_test_tortured(void);

/* ---- reports ---- */

/* A report that the loop made during this test. */
typedef struct coir_test_report {
    coir_report_kind kind;
    const char *text;
} coir_test_report;

/* The reports that were made so far in this test, oldest first. A report that was not expected
 * fails the test. Returns an array of *ret_count, borrowed until the next report. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const coir_test_report *coir_test_reports(size_t *ret_count);

/* How many reports of one kind were made so far in this test. Returns the number. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC size_t coir_test_report_count(coir_report_kind kind);

/* Says that by the end of the test, the closing of its loop included, exactly count reports of this
 * kind will have been made: those are no failure, and another number is. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_test_expect_reports(coir_report_kind kind, size_t count);

/* ---- surroundings ---- */

/* Options for a loop that a test of the tag own_loop opens itself: the runner's backend and seed, a
 * virtual clock unless the test is real, and the reports collected for coir_test_reports. Returns
 * them by value. Cancel safety: never waits. Thread safety: the test's thread. */
COIR__CHECKED coir_loop_opts coir_test_loop_opts(void);

/* The backend that the test runs on: "uring", "epoll" or "sim". Returns a static string. Cancel
 * safety: never waits. Thread safety: any thread. */
COIR__PUBLIC const char *coir_test_backend(void);

/* The seed of this test's order; 0: first in, first out. Returns it. Cancel safety: never waits.
 * Thread safety: any thread. */
COIR__PUBLIC uint64_t coir_test_seed(void);

/* A directory of the test's own, empty at first, removed with all that is in it when the test has
 * ended. Returns its path, without a slash at the end; NULL when it cannot be made. Cancel safety:
 * never waits. Thread safety: the test's thread. */
COIR__PUBLIC const char *coir_test_tmpdir(void);

/* Runs the tests of this program as the command line says; --help describes it. The last line of
 * its output is "N passed, N failed", with ", N skipped" when there are any. Returns the exit code:
 * 0; 1 when a test failed or none has the name that was asked for; 2 for a wrong command line.
 * Cancel safety: not called in a task. Thread safety: the main thread. */
COIR__PUBLIC int coir_test_main(int argc, char **argv);

/* ---- what the macros above are made of ---- */

typedef struct coir__test {
    const char *name, *file, *tags;
    void (*body)(void);
    int line;
    uint32_t flags;          /* the tags */
    unsigned limit;          /* seconds; 0: the default */
    struct coir__test *next; /* in the list of all */
    char full_name[96];
} coir__test;

typedef struct coir__test_check {
    const char *file;
    int line;
    const char *compare, *left, *right; /* as written */
} coir__test_check;

enum coir__test_order {
    COIR__TEST_EQ,
    COIR__TEST_NE,
    COIR__TEST_LT,
    COIR__TEST_LE,
    COIR__TEST_GT,
    COIR__TEST_GE,
};

/* An integer of any type: its sign and its bits. */
typedef struct coir__test_integer {
    uint64_t bits;
    bool negative;
} coir__test_integer;

COIR__PUBLIC void coir__test_add(coir__test *test);
COIR__PUBLIC void coir__test_skip(const char *reason, const coir_site *site);
COIR__PUBLIC void coir__test_return_early(void);
COIR__PUBLIC bool coir__test_fail(const coir_site *site, const char *format, ...)
    COIR__PRINTF(2, 3);
COIR__PUBLIC bool coir__test_true(bool holds, const coir__test_check *check);
COIR__PUBLIC bool coir__test_integers(enum coir__test_order order, coir__test_integer a,
                                      coir__test_integer b, const coir__test_check *check);
COIR__PUBLIC bool coir__test_strings(const char *a, const char *b, const coir__test_check *check);
COIR__PUBLIC bool coir__test_contains(const char *text, const char *part,
                                      const coir__test_check *check);
COIR__PUBLIC bool coir__test_bytes(const void *a, const void *b, size_t length,
                                   const coir__test_check *check);
COIR__PUBLIC bool coir__test_pointers(const void *a, const void *b, const coir__test_check *check);
COIR__PUBLIC bool coir__test_ok(int64_t result, const coir__test_check *check);
COIR__PUBLIC bool coir__test_code(int64_t result, int64_t code, const coir__test_check *check);

static inline coir__test_integer coir__test_make_integer(uint64_t bits, bool negative)
{
    coir__test_integer integer;
    integer.bits = bits;
    integer.negative = negative;
    return integer;
}

#define COIR__TEST_CHECK(compare, ...)                                                             \
    (__extension__({                                                                               \
        static const coir__test_check coir__check = {__FILE__, __LINE__, compare, __VA_ARGS__};    \
        &coir__check;                                                                              \
    }))

#ifdef __cplusplus
#define COIR__TEST_AUTO auto
#else
#define COIR__TEST_AUTO __auto_type
#endif

/* Or-ing with 0 promotes small types, and refuses what is no integer. "Less than 1 and not 0" is
 * "negative" without a warning about unsigned types. */
#define COIR__TEST_INTEGERS(order, compare, a, b, ...)                                             \
    (__extension__({                                                                               \
        COIR__TEST_AUTO coir__a = (a) | 0;                                                         \
        COIR__TEST_AUTO coir__b = (b) | 0;                                                         \
        coir__test_integers(                                                                       \
            (order), coir__test_make_integer((uint64_t)coir__a, coir__a < 1 && coir__a != 0),      \
            coir__test_make_integer((uint64_t)coir__b, coir__b < 1 && coir__b != 0),               \
            COIR__TEST_CHECK(compare, __VA_ARGS__));                                               \
    }))

/* The expectations, with the texts of their arguments at the end: made before macros in them were
 * expanded, so that a message shows what stands in the test. */
#define COIR__EXPECT(condition, text) coir__test_true(!!(condition), COIR__TEST_CHECK("", text, ""))
#define COIR__EXPECT_EQ(a, b, ...) COIR__TEST_INTEGERS(COIR__TEST_EQ, "==", a, b, __VA_ARGS__)
#define COIR__EXPECT_NE(a, b, ...) COIR__TEST_INTEGERS(COIR__TEST_NE, "!=", a, b, __VA_ARGS__)
#define COIR__EXPECT_LT(a, b, ...) COIR__TEST_INTEGERS(COIR__TEST_LT, "<", a, b, __VA_ARGS__)
#define COIR__EXPECT_LE(a, b, ...) COIR__TEST_INTEGERS(COIR__TEST_LE, "<=", a, b, __VA_ARGS__)
#define COIR__EXPECT_GT(a, b, ...) COIR__TEST_INTEGERS(COIR__TEST_GT, ">", a, b, __VA_ARGS__)
#define COIR__EXPECT_GE(a, b, ...) COIR__TEST_INTEGERS(COIR__TEST_GE, ">=", a, b, __VA_ARGS__)
#define COIR__EXPECT_STR(a, b, ...)                                                                \
    coir__test_strings((a), (b), COIR__TEST_CHECK("==", __VA_ARGS__))
#define COIR__EXPECT_CONTAINS(text, part, ...)                                                     \
    coir__test_contains((text), (part), COIR__TEST_CHECK("contains", __VA_ARGS__))
#define COIR__EXPECT_BYTES(a, b, n, ...)                                                           \
    coir__test_bytes((a), (b), (n), COIR__TEST_CHECK("==", __VA_ARGS__))
#define COIR__EXPECT_PTR(a, b, ...)                                                                \
    coir__test_pointers((a), (b), COIR__TEST_CHECK("==", __VA_ARGS__))
#define COIR__EXPECT_OK(call, text) coir__test_ok((call), COIR__TEST_CHECK("", text, ""))
#define COIR__EXPECT_CODE(call, code, ...)                                                         \
    coir__test_code((call), (code), COIR__TEST_CHECK("==", __VA_ARGS__))

#define COIR__TEST_REQUIRE(expectation)                                                            \
    do {                                                                                           \
        if (!(expectation)) {                                                                      \
            coir__test_return_early();                                                             \
            return;                                                                                \
        }                                                                                          \
    } while (0)

COIR__END

/* For a test program with a main of its own: define COIR_TEST_NO_MAIN before including this. */
#ifndef COIR_TEST_NO_MAIN
__attribute__((weak)) int main(int argc, char **argv)
{
    return coir_test_main(argc, argv);
}
#endif

#endif
