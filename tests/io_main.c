/* io_main.c: tests of coir_main: each in a process of its own, since it owns signals and the exit
 * code. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <coir/signal.h>
#include <coir/testing.h>

static int pipe_to_test[2]; /* the child says that it runs; and its standard error */

static int say(void)
{
    return write(pipe_to_test[1], "!", 1) == 1 ? 0 : -errno;
}

/* ThreadSanitizer puts signals off, and may lose one that comes while it does. */
#if defined(__SANITIZE_THREAD__)
#define LOSES_SIGNALS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LOSES_SIGNALS 1
#endif
#endif
#ifndef LOSES_SIGNALS
#define LOSES_SIGNALS 0
#endif

/* Runs fn by coir_main in a child; with send, sends that signal once the child says that it is
 * ready (and twice when again). Returns the wait status, and in text what the child wrote. */
static int run_child(coir_fn fn, void *arg, int send, bool again, char *text, size_t size)
{
    if (pipe2(pipe_to_test, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_to_test[1], STDERR_FILENO);
        _exit(coir_main(fn, arg));
    }
    close(pipe_to_test[1]);
    char ready;
    if (send != 0 && read(pipe_to_test[0], &ready, 1) == 1) {
        kill(pid, send);
        if (again && read(pipe_to_test[0], &ready, 1) == 1)
            kill(pid, send);
    }
    struct pollfd end = {.fd = pipe_to_test[0]};
    while (LOSES_SIGNALS && again && poll(&end, 1, 100) == 0)
        kill(pid, send);
    size_t length = 0;
    ssize_t n;
    while (length + 1 < size && (n = read(pipe_to_test[0], text + length, size - length - 1)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    int status = -1;
    waitpid(pid, &status, 0);
    close(pipe_to_test[0]);
    return status;
}

#define CHILD(fn, arg, send, again)                                                                \
    char text[2048];                                                                               \
    int status = run_child((fn), (arg), (send), (again), text, sizeof text)

static int give(void *arg)
{
    return *(int *)arg;
}

COIR_TEST_TAGGED(exit_codes, "own_loop,no_torture")
{
    static const int results[][2] = {{0, 0},   {7, 7},      {125, 125},
                                     {126, 1}, {100000, 1}, {-ENOENT, 1}};
    for (size_t i = 0; i < COIR_COUNT(results); i++) {
        int result = results[i][0];
        CHILD(give, &result, 0, false);
        COIR_REQUIRE(WIFEXITED(status));
        COIR_EXPECT_EQ(WEXITSTATUS(status), results[i][1]);
        if (results[i][0] < 0)
            COIR_EXPECT_CONTAINS(text, "error: ENOENT: no such file or directory\n");
        else
            COIR_EXPECT_STR(text, "");
    }
}

static int fail_deep(void *arg)
{
    (void)arg;
    return coir_fail(-ENOENT, "no target named '%s'", "moon");
}

static int fail(void *arg)
{
    COIR_TRY(fail_deep(arg));
    return 0;
}

COIR_TEST_TAGGED(a_failure_prints_its_trace, "own_loop,no_torture")
{
    CHILD(fail, NULL, 0, false);
    COIR_REQUIRE(WIFEXITED(status));
    COIR_EXPECT_EQ(WEXITSTATUS(status), 1);
    COIR_EXPECT_CONTAINS(text, "error: ENOENT: no target named 'moon'\n");
    COIR_EXPECT_CONTAINS(text, "io_main.c:");
}

static int sleep_long(void *arg)
{
    (void)arg;
    COIR_TRY(say());
    return coir_sleep(COIR_SEC(3600));
}

static int sleep_for(void *arg)
{
    return coir_sleep(*(coir_time *)arg);
}

static int tidy_up(void *arg)
{
    int r = sleep_long(arg);
    return r == -ECANCELED ? 0 : -EBADMSG;
}

static int end_with_three(void *arg)
{
    (void)sleep_long(arg);
    return 3;
}

static int fail_when_cancelled(void *arg)
{
    (void)!sleep_long(arg);
    return coir_fail(-EIO, "could not save");
}

COIR_TEST_TAGGED(sigterm_cancels, "own_loop,no_torture")
{
    static const struct {
        coir_fn fn;
        int code;
    } rows[] = {{sleep_long, 0}, {tidy_up, 0}, {end_with_three, 3}, {fail_when_cancelled, 1}};
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        CHILD(rows[i].fn, NULL, SIGTERM, false);
        COIR_REQUIRE(WIFEXITED(status));
        COIR_EXPECT_EQ(WEXITSTATUS(status), rows[i].code);
        if (rows[i].code == 1)
            COIR_EXPECT_CONTAINS(text, "error: EIO: could not save\n  fail_when_cancelled ");
        else
            COIR_EXPECT_STR(text, "");
    }
}

COIR_TEST_TAGGED(sigint_is_raised_again, "own_loop,no_torture")
{
    CHILD(tidy_up, NULL, SIGINT, false);
    COIR_EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    COIR_EXPECT_STR(text, "");
}

static int will_not_end(void *arg)
{
    (void)!sleep_long(arg);
    COIR_TRY(say());
    for (;;) /* not even a loop that is stuck keeps the second signal off */
        (void)poll(NULL, 0, 1000);
}

COIR_TEST_TAGGED(a_second_signal_ends_at_once, "own_loop,no_torture")
{
    CHILD(will_not_end, NULL, SIGTERM, true);
    COIR_EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static int count_on_own_handler(void *arg)
{
    COIR_TRY(say());
    while (!*(volatile sig_atomic_t *)arg)
        COIR_TRY(coir_sleep(COIR_MS(1)));
    return 9;
}

static volatile sig_atomic_t handled;

static void handle(int number)
{
    handled = number;
}

/* Dispositions that the program has chosen are left alone. */
COIR_TEST_TAGGED(own_handlers_are_left_alone, "own_loop,no_torture")
{
    struct sigaction action = {.sa_handler = handle};
    sigaction(SIGTERM, &action, NULL);
    CHILD(count_on_own_handler, (void *)(uintptr_t)&handled, SIGTERM, false);
    COIR_REQUIRE(WIFEXITED(status));
    COIR_EXPECT_EQ(WEXITSTATUS(status), 9);
    action.sa_handler = SIG_DFL;
    sigaction(SIGTERM, &action, NULL);
}

static int take_signal(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_signals) *signals = NULL;
    COIR_TRY(coir_signals_open((const int[]){SIGTERM}, 1, &signals));
    COIR_TRY(say());
    int number;
    COIR_TRY(coir_signals_wait(signals, &number));
    COIR_TRY(coir_yield()); /* not cancelled */
    return number == SIGTERM ? 5 : 6;
}

COIR_TEST_TAGGED(a_task_can_take_the_signal, "own_loop,no_torture")
{
    CHILD(take_signal, NULL, SIGTERM, false);
    COIR_REQUIRE(WIFEXITED(status));
    COIR_EXPECT_EQ(WEXITSTATUS(status), 5);
}

static int wait_for_ever(void *arg)
{
    (void)arg;
    return coir_sleep_until(COIR_FOREVER);
}

/* The handling of signals is no reason to hope. */
COIR_TEST_TAGGED(a_deadlock_ends_the_program, "own_loop,no_torture")
{
    CHILD(wait_for_ever, NULL, 0, false);
    COIR_REQUIRE(WIFEXITED(status));
    COIR_EXPECT_EQ(WEXITSTATUS(status), 1);
    COIR_EXPECT_CONTAINS(text, "deadlock");
}

/* Whoever starts a program may ask for virtual time; the limit of the test says whether it was. */
COIR_TEST_TAGGED(the_environment_makes_time_virtual, "own_loop,no_torture")
{
    COIR_REQUIRE_EQ(setenv("COIR_VIRTUAL_CLOCK", "1", 1), 0);
    CHILD(sleep_long, NULL, 0, false);
    COIR_REQUIRE(WIFEXITED(status));
    COIR_EXPECT_EQ(WEXITSTATUS(status), 0);
    coir_time hour = COIR_SEC(3600);
    COIR_EXPECT_OK(coir_run(sleep_for, &hour, NULL, NULL));
}

COIR_TEST_TAGGED(nothing_and_zero_leave_time_real, "own_loop,no_torture,real")
{
    static const char *const values[] = {"", "0"};
    for (size_t i = 0; i < COIR_COUNT(values); i++) {
        COIR_REQUIRE_EQ(setenv("COIR_VIRTUAL_CLOCK", values[i], 1), 0);
        coir_time start = coir_now(), moment = COIR_MS(2);
        COIR_EXPECT_OK(coir_run(sleep_for, &moment, NULL, NULL));
        COIR_EXPECT_GE(coir_now() - start, moment);
    }
}
