/* io_signal.c: tests of signals as something to wait for. They are real ones, on every backend. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <coir/select.h>
#include <coir/signal.h>
#include <coir/testing.h>

#include "core/core.h"

static int seen; /* by a handler of the program's own */

static void note(int number)
{
    seen = number;
}

static void set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(number, &action, NULL);
}

/* What is raised again in the end, when a test was cut short, must not end the process. */
static void catch_all(void)
{
    static const int all[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM};
    for (size_t i = 0; i < COIR_COUNT(all); i++)
        set_handler(all[i], note);
}

static void (*handler_of(int number))(int)
{
    struct sigaction action;
    sigaction(number, NULL, &action);
    return action.sa_handler;
}

#define SIGNALS(name, ...)                                                                         \
    COIR_AUTO(coir_signals) *name = NULL;                                                          \
    COIR_REQUIRE_OK(coir_signals_open((const int[]){__VA_ARGS__},                                  \
                                      COIR_COUNT(((const int[]){__VA_ARGS__})), &name))

COIR_TEST(a_signal_arrives)
{
    catch_all();
    SIGNALS(signals, SIGUSR1);
    int number = 0;
    raise(SIGUSR1);
    COIR_EXPECT_OK(coir_signals_wait(signals, &number));
    COIR_EXPECT_EQ(number, SIGUSR1);
}

/* A call that need not wait, of a task whose turn has used up what it may do without waiting: the
 * set is closed while it gives way. */
static int wait_at_the_end_of_a_turn(void *arg)
{
    coir_signals *signals = *(coir_signals **)arg;
    int number = 0;
    coir__self()->loop->charges = coir__self()->loop->hooked_charges = 1;
    COIR_TRY(coir_signals_wait(signals, &number));
    COIR_EXPECT_EQ(number, SIGUSR1);
    COIR_EXPECT_PTR(*(coir_signals **)arg, NULL); /* it did give way */
    return 0;
}

static int close_signals(void *arg)
{
    coir_signals **signals = arg;
    coir_signals_close(COIR_TAKE(*signals));
    return 0;
}

COIR_TEST_TAGGED(closed_while_a_call_gives_way, "fifo")
{
    catch_all();
    SIGNALS(signals, SIGUSR1);
    COIR_GROUP(group);
    raise(SIGUSR1);
    COIR_REQUIRE_OK(coir_yield()); /* until it has been delivered */
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_spawn(&group, wait_at_the_end_of_a_turn, &signals, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, close_signals, &signals, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
}

struct wait {
    coir_signals *signals;
    int number, times;
};

static int wait_for_it(void *arg)
{
    struct wait *wait = arg;
    for (int i = wait->times; i > 0; i--)
        COIR_TRY(coir_signals_wait(wait->signals, &wait->number));
    return 0;
}

COIR_TEST(a_signal_wakes_who_waits)
{
    catch_all();
    SIGNALS(signals, SIGUSR1, SIGUSR2);
    struct wait wait = {.signals = signals, .times = 1};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_it, &wait, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    int number;
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_EXPECT_CODE(coir_signals_wait(signals, &number), -EBUSY);
    }
    raise(SIGUSR2);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(wait.number, SIGUSR2);
}

/* Signals that arrive before they are waited for are one. */
COIR_TEST(signals_coalesce)
{
    catch_all();
    SIGNALS(signals, SIGUSR1);
    int number = 0;
    for (int i = 0; i < 5; i++)
        raise(SIGUSR1);
    COIR_EXPECT_OK(coir_signals_wait(signals, &number));
    COIR_SCOPE(scope, COIR_SEC(1));
    COIR_EXPECT_CODE(coir_signals_wait(signals, &number), -ETIME);
}

/* A flood of one signal does not hide the others. */
COIR_TEST(open_signal_receiver_no_starvation)
{
    catch_all();
    SIGNALS(signals, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM);
    bool got[65] = {false};
    static const int all[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGALRM};
    for (size_t i = 0; i < COIR_COUNT(all); i++)
        raise(all[i]);
    for (size_t i = 0; i < COIR_COUNT(all); i++) {
        int number = 0;
        COIR_REQUIRE_OK(coir_signals_wait(signals, &number));
        got[number] = true;
        raise(SIGHUP);
        COIR_REQUIRE_OK(coir_yield());
        COIR_REQUIRE_OK(coir_sleep(1));
    }
    for (size_t i = 0; i < COIR_COUNT(all); i++)
        COIR_EXPECT(got[all[i]]);
    int number;
    COIR_EXPECT_OK(coir_signals_wait(signals, &number)); /* what was raised last */
}

/* Every set gets what it asks for, and only that. */
COIR_TEST(every_set_gets_it)
{
    catch_all();
    SIGNALS(both, SIGUSR1, SIGUSR2);
    SIGNALS(one, SIGUSR1);
    int number = 0;
    raise(SIGUSR1);
    raise(SIGUSR2);
    COIR_EXPECT_OK(coir_signals_wait(one, &number));
    COIR_EXPECT_EQ(number, SIGUSR1);
    COIR_EXPECT_OK(coir_signals_wait(both, &number));
    COIR_EXPECT_EQ(number, SIGUSR1);
    COIR_EXPECT_OK(coir_signals_wait(both, &number));
    COIR_EXPECT_EQ(number, SIGUSR2);
}

COIR_TEST(dispositions_come_back)
{
    set_handler(SIGUSR1, note);
    set_handler(SIGUSR2, SIG_IGN);
    coir_signals *first = NULL, *second = NULL;
    COIR_REQUIRE_OK(coir_signals_open((const int[]){SIGUSR1, SIGUSR2}, 2, &first));
    if (COIR_EXPECT_OK(coir_signals_open((const int[]){SIGUSR1, SIGUSR1}, 2, &second))) {
        coir_signals_close(first);
        COIR_EXPECT(handler_of(SIGUSR1) != note);
        coir_signals_close(second);
    } else {
        coir_signals_close(first);
    }
    COIR_EXPECT(handler_of(SIGUSR1) == note);
    COIR_EXPECT(handler_of(SIGUSR2) == SIG_IGN);
    coir_signals_close(NULL);
    COIR_EXPECT_EQ(seen, 0);
}

/* A signal that arrived and that nobody has waited for goes to whoever had it before. */
COIR_TEST(catch_signals_race_condition_on_exit)
{
    set_handler(SIGUSR1, note);
    set_handler(SIGUSR2, note);
    coir_signals *signals = NULL;
    COIR_REQUIRE_OK(coir_signals_open((const int[]){SIGUSR1, SIGUSR2}, 2, &signals));
    int number = 0;
    raise(SIGUSR2);
    COIR_EXPECT_OK(coir_signals_wait(signals, &number));
    raise(SIGUSR1);
    COIR_EXPECT_EQ(seen, 0);
    coir_signals_close(signals);
    COIR_EXPECT_EQ(seen, SIGUSR1);
}

COIR_TEST(cancelled_wait_loses_no_signal)
{
    catch_all();
    SIGNALS(signals, SIGUSR1);
    struct wait wait = {.signals = signals, .times = 1};
    COIR_GROUP(group);
    coir_task *task;
    int result = 0, number = 0;
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_it, &wait, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_cancel(task, NULL);
    raise(SIGUSR1);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(coir_signals_wait(signals, &number));
}

COIR_TEST(closing_ends_a_wait)
{
    coir_signals *signals = NULL;
    COIR_REQUIRE_OK(coir_signals_open((const int[]){SIGUSR1}, 1, &signals));
    struct wait wait = {.signals = signals, .times = 1};
    COIR_GROUP_COLLECT(group);
    coir_task *task = NULL;
    int result = 0;
    int r = coir_spawn(&group, wait_for_it, &wait, &task);
    if (r == 0)
        r = coir_test_wait_all_blocked();
    coir_signals_close(signals);
    COIR_REQUIRE_OK(r);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_EQ(result, -COIR_ECLOSED);
    (void)coir_group_errors(&group);
}

/* ---- one signal, without a set ---- */

static int wait_for_one(void *arg)
{
    return coir_signal_wait(*(int *)arg);
}

COIR_TEST(all_who_wait_for_one_signal_are_woken)
{
    int first = SIGUSR1, second = SIGUSR2;
    catch_all();
    COIR_GROUP(group);
    coir_task *other;
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_one, &first, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_one, &first, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, wait_for_one, &second, &other));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    raise(SIGUSR1);
    while (coir_group_running(&group) > 1)
        COIR_REQUIRE_OK(coir_sleep(1));
    COIR_EXPECT(!coir_task_done(other));
    raise(SIGUSR2);
    COIR_EXPECT_OK(coir_join(other, NULL));
}

/* From the first wait on a signal is taken over: one between two waits is kept. */
COIR_TEST(a_signal_between_two_waits_is_kept)
{
    catch_all();
    coir_case cases[] = {COIR_ON_SIGNAL(SIGHUP), COIR_ON_TIMER(COIR_SEC(1))};
    COIR_REQUIRE_CODE(coir_select(cases, 2), 1);
    raise(SIGHUP);
    COIR_REQUIRE_OK(coir_sleep(1));
    COIR_EXPECT_CODE(coir_select(cases, 2), 0);
    COIR_EXPECT_EQ(cases[0].result, SIGHUP);
    raise(SIGHUP);
    COIR_EXPECT_OK(coir_signal_wait(SIGHUP));
    COIR_EXPECT_CODE(coir_try_select(cases, 1), -EAGAIN);
}

static int select_signals(void *arg)
{
    coir_case cases[] = {COIR_ON_SIGNAL(SIGUSR1), COIR_ON_SIGNAL(SIGUSR2)};
    int index = coir_select(cases, 2);
    *(int *)arg = index >= 0 ? cases[index].result : index;
    return index < 0 ? index : 0;
}

COIR_TEST(select_waits_for_signals)
{
    int first = 0, second = 0;
    catch_all();
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, select_signals, &first, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, select_signals, &second, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    raise(SIGUSR2);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(first, SIGUSR2);
    COIR_EXPECT_EQ(second, SIGUSR2);
}

COIR_TEST(what_cannot_be_waited_for)
{
    static const int bad[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGFPE, SIGILL, SIGBUS, 0, -1, 65};
    coir_signals *signals = NULL;
    for (size_t i = 0; i < COIR_COUNT(bad); i++) {
        COIR_EXPECT_CODE(coir_signals_open(&bad[i], 1, &signals), -EINVAL);
        COIR_EXPECT_CODE(coir_signal_wait(bad[i]), -EINVAL);
        coir_case cases[] = {COIR_ON_SIGNAL(bad[i])};
        COIR_EXPECT_CODE(coir_select(cases, 1), -EINVAL);
    }
    COIR_EXPECT_CODE(coir_signals_open(NULL, 1, &signals), -EINVAL);
    COIR_EXPECT_CODE(coir_signals_open(bad, 0, &signals), -EINVAL);
}

/* ---- other threads and loops ---- */

static void *kill_later(void *arg)
{
    (void)arg;
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    kill(getpid(), SIGUSR1);
    return NULL;
}

/* A loop that only waits for a signal is not deadlocked, also when time is virtual. */
COIR_TEST_TAGGED(waiting_for_a_signal_is_no_deadlock, "no_torture")
{
    catch_all();
    pthread_t thread;
    SIGNALS(signals, SIGUSR1);
    COIR_REQUIRE_EQ(pthread_create(&thread, NULL, kill_later, NULL), 0);
    int number = 0;
    COIR_EXPECT_OK(coir_signals_wait(signals, &number));
    pthread_join(thread, NULL);
}

static pthread_barrier_t ready;

static int wait_in_loop(void *arg)
{
    COIR_AUTO(coir_signals) *signals = NULL;
    int number;
    (void)arg;
    int r = coir_signals_open((const int[]){SIGUSR1}, 1, &signals);
    pthread_barrier_wait(&ready);
    return r < 0 ? r : coir_signals_wait(signals, &number);
}

static void *run_loop(void *arg)
{
    coir_loop_opts opts = coir_test_loop_opts();
    int *result = arg;
    int r = coir_run(wait_in_loop, NULL, &opts, result);
    if (r < 0)
        *result = r;
    return NULL;
}

COIR_TEST_TAGGED(several_loops_get_it, "own_loop,no_torture")
{
    enum { LOOPS = 3 };
    pthread_t threads[LOOPS];
    int results[LOOPS];
    set_handler(SIGUSR1, SIG_DFL);
    pthread_barrier_init(&ready, NULL, LOOPS + 1);
    for (int i = 0; i < LOOPS; i++) {
        results[i] = -1;
        COIR_REQUIRE_EQ(pthread_create(&threads[i], NULL, run_loop, &results[i]), 0);
    }
    pthread_barrier_wait(&ready);
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < LOOPS; i++) {
        pthread_join(threads[i], NULL);
        COIR_EXPECT_EQ(results[i], 0);
    }
    COIR_EXPECT(handler_of(SIGUSR1) == SIG_DFL);
    pthread_barrier_destroy(&ready);
}

static int leave_open(void *arg)
{
    int number = SIGUSR1;
    if (arg != NULL)
        return coir_signals_open(&number, 1, arg);
    coir_case cases[] = {COIR_ON_SIGNAL(SIGUSR2)};
    (void)!coir_try_select(cases, 1);
    return 0;
}

/* What a loop has taken over is given back when it closes, over and over. */
COIR_TEST_TAGGED(the_loop_gives_signals_back, "own_loop")
{
    coir_loop_opts opts = coir_test_loop_opts();
    set_handler(SIGUSR1, SIG_DFL);
    set_handler(SIGUSR2, SIG_DFL);
    for (int i = 0; i < 100; i++) {
        COIR_REQUIRE_OK(coir_run(leave_open, NULL, &opts, NULL));
        COIR_EXPECT(handler_of(SIGUSR2) == SIG_DFL);
    }
    coir_signals *left = NULL;
    COIR_REQUIRE_OK(coir_run(leave_open, &left, &opts, NULL));
    COIR_EXPECT(handler_of(SIGUSR1) == SIG_DFL);
    coir_signals_close(left);
    COIR_EXPECT_CODE(coir_signals_open((const int[]){SIGUSR1}, 1, &left), -COIR_ENOTASK);
}
