/* io_process.c: tests of processes: how they start, what they inherit, how they end. The programs
 * are real ones, on every backend.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <coir/process.h>
#include <coir/testing.h>
#include "under_valgrind.h"

#define SH(script) COIR_ARGV("/bin/sh", "-c", (script))

/* No child is left, not even a zombie. */
static void expect_no_children(void)
{
    if (!coir_test_tortured())
        COIR_EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

#define RUN(result, argv, ...)                                                                     \
    COIR_AUTO(coir_process_result) result = {0};                                                   \
    COIR_REQUIRE_OK(coir_process_run((argv), &(coir_process_opts){__VA_ARGS__}, &result))

#define START(name, script, ...)                                                                   \
    COIR_AUTO(coir_process) *name = NULL;                                                          \
    COIR_REQUIRE_OK(                                                                               \
        coir_process_start(&(coir_process_opts){.argv = SH(script), __VA_ARGS__}, &name))

/* ---- starting ---- */

COIR_TEST(a_program_runs)
{
    RUN(result, COIR_ARGV("echo", "hello", "world"), .limit = 0);
    COIR_EXPECT_EQ(result.status.code, 0);
    COIR_EXPECT_EQ(result.status.signal, 0);
    COIR_EXPECT_STR(coir_buffer_text(&result.out), "hello world\n");
    COIR_EXPECT_EQ(result.err.length, 0);
    expect_no_children();
}

COIR_TEST(a_program_says_how_it_ended)
{
    RUN(left, SH("exit 7"), .limit = 0);
    COIR_EXPECT_EQ(left.status.code, 7);
    RUN(killed, SH("kill -KILL $$"), .limit = 0);
    COIR_EXPECT_EQ(killed.status.code, -1);
    COIR_EXPECT_EQ(killed.status.signal, SIGKILL);
}

COIR_TEST(output_and_errors_come_apart_or_together)
{
    RUN(apart, SH("echo one; echo two >&2"), .limit = 0);
    COIR_EXPECT_STR(coir_buffer_text(&apart.out), "one\n");
    COIR_EXPECT_STR(coir_buffer_text(&apart.err), "two\n");
    RUN(together, SH("echo one; echo two >&2"), .err = COIR_TO_OUT);
    COIR_EXPECT_STR(coir_buffer_text(&together.out), "one\ntwo\n");
    COIR_EXPECT_EQ(together.err.length, 0);
}

COIR_TEST(a_program_that_is_missing_is_an_error)
{
    coir_process *process = NULL;
    const char *const *const missing = COIR_ARGV("no-such-program-here");
    COIR_EXPECT_CODE(coir_process_start(&(coir_process_opts){.argv = missing}, &process), -ENOENT);
    COIR_EXPECT_CONTAINS(coir_last_message(-ENOENT), "start \"no-such-program-here\"");
    const char *const *const directory = COIR_ARGV("/");
    COIR_EXPECT_CODE(coir_process_start(&(coir_process_opts){.argv = directory}, &process),
                     -EACCES);
    const char *const *const empty = COIR_ARGV("");
    COIR_EXPECT_CODE(coir_process_start(&(coir_process_opts){.argv = empty}, &process), -ENOENT);
    coir_process_opts elsewhere = {.argv = COIR_ARGV("true"), .cwd = "/no/such/directory"};
    COIR_EXPECT_CODE(coir_process_start(&elsewhere, &process), -ENOENT);
    COIR_EXPECT_CONTAINS(coir_last_message(-ENOENT), "in \"/no/such/directory\"");
    COIR_EXPECT_PTR(process, NULL);
    expect_no_children();
}

COIR_TEST(a_text_without_its_first_line_is_no_program)
{
    char path[256];
    COIR_REQUIRE(coir_test_tmpdir() != NULL);
    snprintf(path, sizeof path, "%s/text", coir_test_tmpdir());
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    COIR_REQUIRE(fd >= 0);
    COIR_EXPECT_EQ(write(fd, "echo\n", 5), 5);
    close(fd);
    coir_process *process;
    coir_process_opts opts = {.argv = COIR_ARGV(path)};
    COIR_EXPECT_CODE(coir_process_start(&opts, &process), -ENOEXEC);
    COIR_EXPECT_OK(chmod(path, 0644));
    COIR_EXPECT_CODE(coir_process_start(&opts, &process), -EACCES);
}

COIR_TEST(what_makes_no_sense_is_refused)
{
    coir_process *process;
    COIR_EXPECT_CODE(coir_process_start(NULL, &process), -EINVAL);
    COIR_EXPECT_CODE(coir_process_start(&(coir_process_opts){0}, &process), -EINVAL);
    coir_process_opts opts = {.argv = SH("true"), .in = COIR_TO_OUT};
    COIR_EXPECT_CODE(coir_process_start(&opts, &process), -EINVAL);
    opts = (coir_process_opts){.argv = SH("true"), .out = 999};
    COIR_EXPECT_CODE(coir_process_start(&opts, &process), -EBADF);
    COIR_EXPECT_CODE(coir_process_wait(NULL, NULL), -EINVAL);
    coir_process_close(NULL);
    expect_no_children();
}

COIR_TEST(the_environment_and_the_directory_are_chosen)
{
    SKIP_UNDER_VALGRIND("it adds variables");
    const char *env[] = {"ONLY=this", NULL};
    RUN(result, COIR_ARGV("/usr/bin/env"), .env = env);
    COIR_EXPECT_STR(coir_buffer_text(&result.out), "ONLY=this\n");
    RUN(root, SH("pwd"), .cwd = "/");
    COIR_EXPECT_STR(coir_buffer_text(&root.out), "/\n");
}

/* Only absolute directories of the PATH count: a program in the current one is not found. */
COIR_TEST(the_path_is_searched)
{
    COIR_REQUIRE(coir_test_tmpdir() != NULL);
    char path[256];
    snprintf(path, sizeof path, "%s/only-here", coir_test_tmpdir());
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    COIR_REQUIRE(fd >= 0);
    static const char script[] = "#!/bin/sh\necho found\n";
    COIR_EXPECT_EQ(write(fd, script, sizeof script - 1), (int)sizeof script - 1);
    close(fd);
    COIR_REQUIRE_EQ(chdir(coir_test_tmpdir()), 0);
    char dirs[512];
    snprintf(dirs, sizeof dirs, ":.:/no/such:%s", coir_test_tmpdir());
    setenv("PATH", dirs, 1);
    {
        RUN(result, COIR_ARGV("only-here"), .limit = 0);
        COIR_EXPECT_STR(coir_buffer_text(&result.out), "found\n");
    }
    setenv("PATH", ":.:", 1);
    coir_process *process;
    coir_process_opts opts = {.argv = COIR_ARGV("only-here")};
    COIR_EXPECT_CODE(coir_process_start(&opts, &process), -ENOENT);
    COIR_EXPECT_EQ(chdir("/"), 0);
}

/* ---- what is inherited ---- */

COIR_TEST(no_other_descriptor_reaches_the_child)
{
    SKIP_UNDER_VALGRIND("it keeps descriptors of its own");
    int leaky = fcntl(STDERR_FILENO, F_DUPFD, 77); /* without close-on-exec */
    COIR_AUTO(coir_process_result) result = {0};
    int r = coir_process_run(SH("echo /proc/self/fd/*"), NULL, &result);
    close(leaky);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_CONTAINS(coir_buffer_text(&result.out), "/proc/self/fd/2");
    COIR_EXPECT_PTR(strstr(coir_buffer_text(&result.out), "77"), NULL);
    size_t count = 0; /* 0, 1, 2, and the directory */
    for (const char *at = coir_buffer_text(&result.out); (at = strchr(at, 'f')) != NULL; at++)
        count++;
    COIR_EXPECT_LE(count, 2 * 4);
}

static void ignore_signal(int number)
{
    (void)number;
}

COIR_TEST(signals_are_as_at_first)
{
    SKIP_UNDER_VALGRIND("it keeps handlers of its own");
    struct sigaction ignore = {.sa_handler = SIG_IGN}, handler = {.sa_handler = ignore_signal};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGUSR1, &handler, NULL);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    COIR_AUTO(coir_process_result) result = {0};
    int r = coir_process_run(COIR_ARGV("cat", "/proc/self/status"), NULL, &result);
    sigset_t after;
    sigprocmask(SIG_SETMASK, &before, &after);
    COIR_EXPECT(sigismember(&after, SIGTERM));
    COIR_EXPECT(!sigismember(&after, SIGINT));
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_CONTAINS(coir_buffer_text(&result.out), "SigBlk:\t0000000000000000\n"
                                                        "SigIgn:\t0000000000000000\n"
                                                        "SigCgt:\t0000000000000000\n");
}

COIR_TEST(a_child_may_lead_a_group_or_a_session)
{
    static const char script[] = "cut -d' ' -f5,6 /proc/$$/stat; echo $$";
    for (int session = 0; session < 2; session++) {
        RUN(result, SH(script), .group = !session, .session = session);
        long group = 0, id = 0, pid = 1;
        COIR_EXPECT_EQ(sscanf(coir_buffer_text(&result.out), "%ld %ld %ld", &group, &id, &pid), 3);
        COIR_EXPECT_EQ(group, pid);
        COIR_EXPECT_EQ(id == pid, session);
    }
}

COIR_TEST(descriptors_are_given)
{
    int fds[2];
    COIR_REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
    coir_process *writer = NULL;
    int r = coir_process_start(
        &(coir_process_opts){.argv = COIR_ARGV("echo", "through"), .out = fds[1]}, &writer);
    COIR_AUTO(coir_process_result) result = {0};
    close(fds[1]);
    if (COIR_EXPECT_OK(r))
        r = coir_process_run(COIR_ARGV("cat"), &(coir_process_opts){.in = fds[0]}, &result);
    close(fds[0]);
    coir_process_close(writer);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_STR(coir_buffer_text(&result.out), "through\n");
}

/* ---- talking ---- */

COIR_TEST_TAGGED(much_goes_both_ways, "limit=30")
{
    enum { SIZE = 1 << 20 };
    char *input = malloc(SIZE);
    memset(input, 'x', SIZE);
    COIR_AUTO(coir_process_result) result = {0};
    coir_process_opts opts = {.input = {input, SIZE}};
    int r = coir_process_run(SH("tee /dev/stderr"), &opts, &result);
    free(input);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_EQ(result.out.length, SIZE);
    COIR_EXPECT_EQ(result.err.length, SIZE);
    COIR_EXPECT_EQ(result.status.code, 0);
}

COIR_TEST(input_that_is_not_read_is_no_failure)
{
    enum { SIZE = 1 << 18 };
    char *input = calloc(1, SIZE);
    COIR_AUTO(coir_process_result) result = {0};
    coir_process_opts opts = {.input = {input, SIZE}};
    int r = coir_process_run(SH("exec <&-; echo done; exit 3"), &opts, &result);
    free(input);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_EQ(result.status.code, 3);
    COIR_EXPECT_STR(coir_buffer_text(&result.out), "done\n");
}

COIR_TEST(output_has_a_limit)
{
    coir_process_result result;
    coir_process_opts opts = {.limit = 10};
    COIR_EXPECT_CODE(coir_process_run(SH("while :; do echo y; done"), &opts, &result),
                     -COIR_ETOOLONG);
    COIR_EXPECT_EQ(result.out.length, 10);
    coir_process_result_close(&result);
    COIR_EXPECT_OK(coir_process_run(COIR_ARGV("echo", "123456789"), &opts, &result));
    COIR_EXPECT_STR(coir_buffer_text(&result.out), "123456789\n");
    coir_process_result_close(&result);
    expect_no_children();
}

/* What a buffer holds already counts, also when it is more than the limit. */
COIR_TEST(a_limit_counts_what_is_there)
{
    COIR_AUTO(coir_buffer) out = {0};
    COIR_REQUIRE_OK(coir_buffer_append(&out, "12345678901234567890", 20));
    START(talker, "echo more", .out = COIR_PIPE);
    COIR_EXPECT_CODE(coir_process_communicate(talker, (coir_bytes){0}, 10, &out, NULL, NULL),
                     -COIR_ETOOLONG);
    COIR_EXPECT_EQ(out.length, 20);
    START(silent, "exit 0", .out = COIR_PIPE);
    COIR_EXPECT_OK(coir_process_communicate(silent, (coir_bytes){0}, 10, &out, NULL, NULL));
    COIR_EXPECT_EQ(out.length, 20);
}

COIR_TEST(a_conversation)
{
    START(cat, "exec cat", .in = COIR_PIPE, .out = COIR_PIPE);
    for (int i = 0; i < 3; i++) {
        coir_bytes line;
        COIR_REQUIRE_OK(coir_stream_write(coir_process_in(cat), "ping\n", 5));
        COIR_REQUIRE_EQ(coir_stream_read_line(coir_process_out(cat), 0, &line), 1);
        COIR_EXPECT_EQ(line.length, 4);
    }
    coir_process_status status = {0};
    COIR_EXPECT_EQ(coir_process_try(cat, &status), 0);
    coir_process_end_input(cat);
    COIR_EXPECT_PTR(coir_process_in(cat), NULL);
    COIR_REQUIRE_OK(coir_process_wait(cat, &status));
    COIR_EXPECT_EQ(status.code, 0);
    COIR_EXPECT_EQ(coir_process_try(cat, &status), 1);
    COIR_EXPECT_CODE(coir_process_signal(cat, SIGTERM), -ESRCH);
    char byte;
    size_t n;
    COIR_EXPECT_EQ(coir_stream_read(coir_process_out(cat), &byte, 1, &n), 0);
}

COIR_TEST(output_is_read_after_the_end)
{
    START(echo, "echo late", .out = COIR_PIPE);
    COIR_REQUIRE_OK(coir_process_wait(echo, NULL));
    coir_bytes line;
    COIR_REQUIRE_EQ(coir_stream_read_line(coir_process_out(echo), 0, &line), 1);
    COIR_EXPECT_EQ(line.length, 4);
}

/* ---- waiting ---- */

static int wait_for(void *arg)
{
    coir_process_status status = {0};
    COIR_TRY(coir_process_wait(arg, &status));
    return status.code;
}

COIR_TEST(any_number_of_tasks_wait)
{
    START(cat, "read line; exit 5", .in = COIR_PIPE);
    coir_task *tasks[3];
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, wait_for, cat, &tasks[i]));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_cancel(tasks[1], "not this one");
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_process_end_input(cat);
    COIR_EXPECT_CODE(coir_join(tasks[0], NULL), 5);
    COIR_EXPECT_CODE(coir_join(tasks[1], NULL), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(coir_join(tasks[2], NULL), 5);
}

COIR_TEST(a_wait_that_is_cancelled_changes_nothing)
{
    START(cat, "read line; exit 4", .in = COIR_PIPE);
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++) {
        coir_task *task;
        COIR_REQUIRE_OK(coir_spawn(&group, wait_for, cat, &task));
        COIR_REQUIRE_OK(coir_test_wait_all_blocked());
        coir_cancel(task, "once more");
        COIR_EXPECT_CODE(coir_join(task, NULL), -COIR_ECANCELEDTASK);
    }
    coir_process_end_input(cat);
    coir_process_status status = {0};
    COIR_REQUIRE_OK(coir_process_wait(cat, &status));
    COIR_EXPECT_EQ(status.code, 4);
}

static int closed_meanwhile(void *arg)
{
    COIR_EXPECT_CODE(coir_process_wait(arg, NULL), -COIR_ECLOSED);
    return 0;
}

COIR_TEST(a_process_is_closed_while_somebody_waits)
{
    COIR_GROUP(group);
    START(cat, "exec cat", .in = COIR_PIPE);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, closed_meanwhile, cat, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_process_close(COIR_TAKE(cat));
    COIR_EXPECT_OK(coir_join(task, NULL));
    expect_no_children();
}

COIR_TEST(a_process_is_a_case_of_select)
{
    START(cat, "read line; exit 6", .in = COIR_PIPE);
    coir_case cases[] = {COIR_ON_TIMER(COIR_MS(1)), COIR_ON_PROCESS(cat)};
    COIR_EXPECT_EQ(coir_select(cases, 2), 0);
    coir_process_end_input(cat);
    COIR_EXPECT_EQ(coir_select(cases + 1, 1), 0);
    COIR_EXPECT_EQ(cases[1].result, 0);
    COIR_EXPECT_EQ(coir_try_select(cases + 1, 1), 0);
    coir_process_status status = {0};
    COIR_EXPECT_EQ(coir_process_try(cat, &status), 1);
    COIR_EXPECT_EQ(status.code, 6);
}

/* ---- the end ---- */

static coir_process *kept; /* by a test whose loop is closed before */

static void expect_gone(pid_t pid)
{
    if (!coir_test_tortured())
        COIR_EXPECT(kill(pid, 0) == -1 && errno == ESRCH);
}

COIR_TEST(closing_asks_first)
{
    COIR_REQUIRE(coir_test_tmpdir() != NULL);
    char script[512], path[256];
    snprintf(path, sizeof path, "%s/asked", coir_test_tmpdir());
    snprintf(script, sizeof script,
             "trap 'echo > %s; exit' TERM; echo; while :; do sleep 0.01; done", path);
    coir_process *process = NULL;
    coir_process_opts opts = {.argv = SH(script), .out = COIR_PIPE, .grace = COIR_SEC(60)};
    COIR_REQUIRE_OK(coir_process_start(&opts, &process));
    pid_t pid = coir_process_pid(process);
    coir_bytes line;
    int r = coir_stream_read_line(coir_process_out(process), 0, &line);
    coir_process_close(process);
    COIR_REQUIRE_EQ(r, 1);
    COIR_EXPECT_EQ(access(path, F_OK), 0);
    expect_gone(pid);
    expect_no_children();
}

COIR_TEST(who_does_not_listen_is_killed)
{
    START(deaf, "trap '' TERM; echo; exec sleep 1000", .out = COIR_PIPE);
    coir_bytes line;
    COIR_REQUIRE_EQ(coir_stream_read_line(coir_process_out(deaf), 0, &line), 1);
    coir_process_status status = {0};
    COIR_REQUIRE_OK(coir_process_terminate(deaf, COIR_MS(1), &status));
    COIR_EXPECT_EQ(status.signal, SIGKILL);
    START(other, "trap '' TERM; echo; exec sleep 1000", .out = COIR_PIPE, .grace = COIR_MS(1));
    COIR_REQUIRE_EQ(coir_stream_read_line(coir_process_out(other), 0, &line), 1);
    pid_t pid = coir_process_pid(other);
    coir_process_close(COIR_TAKE(other));
    expect_gone(pid);
}

COIR_TEST(who_listens_is_not_killed)
{
    START(sleeper, "exec sleep 1000");
    coir_process_status status = {0};
    COIR_REQUIRE_OK(coir_process_terminate(sleeper, COIR_SEC(60), &status));
    COIR_EXPECT_EQ(status.signal, SIGTERM);
}

static int run_deaf(void *arg)
{
    COIR_AUTO(coir_process) *deaf = NULL;
    coir_process_opts opts = {.argv = SH("trap '' TERM; echo; exec sleep 1000"),
                              .out = COIR_PIPE,
                              .grace = COIR_SEC(1000)};
    COIR_TRY(coir_process_start(&opts, &deaf));
    *(pid_t *)arg = coir_process_pid(deaf);
    coir_bytes line;
    COIR_TRY(coir_stream_read_line(coir_process_out(deaf), 0, &line));
    return coir_process_wait(deaf, NULL);
}

/* No grace for who is cancelled: not even a test of a thousand seconds waits. */
COIR_TEST(a_cancelled_task_kills)
{
    pid_t pid = 0;
    coir_task *task;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, run_deaf, &pid, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_cancel(task, "enough");
    COIR_EXPECT_CODE(coir_join(task, NULL), -COIR_ECANCELEDTASK);
    if (pid != 0)
        expect_gone(pid);
    expect_no_children();
}

COIR_TEST(a_deadline_ends_a_run)
{
    coir_process_result result;
    COIR_SCOPE(limit, COIR_MS(1));
    COIR_EXPECT_CODE(coir_process_run(SH("exec sleep 1000"), NULL, &result), -ETIME);
    coir_process_result_close(&result);
    expect_no_children();
}

COIR_TEST(a_group_ends_as_a_whole)
{
    int fds[2];
    COIR_REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
    coir_process *shell = NULL;
    coir_process_opts opts = {
        .argv = SH("sleep 1000 & sleep 1000 & echo; wait"), .out = fds[1], .group = true};
    int r = coir_process_start(&opts, &shell);
    close(fds[1]);
    char byte = 0;
    if (r == 0)
        COIR_EXPECT_EQ(read(fds[0], &byte, 1), 1); /* both are there */
    coir_process_close(shell);
    if (r == 0) { /* and now neither: the pipe ends */
        struct pollfd polled = {.fd = fds[0], .events = POLLIN};
        COIR_EXPECT_EQ(poll(&polled, 1, 5000), 1);
        COIR_EXPECT_EQ(read(fds[0], &byte, 1), 0);
    }
    close(fds[0]);
    COIR_EXPECT_OK(r);
}

/* Whether all have gone that had the writing end of a pipe. */
static bool ends(int fd)
{
    char byte;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, 5000) == 1 && read(fd, &byte, 1) == 0;
}

enum left { CLOSED, CLOSED_AT_ONCE, TERMINATED, CLOSED_BY_LOOP };

/* A leader that has ended, and was waited for, and somebody whom it left, who has out. */
static int leave_somebody(int out, enum left left, coir_process **ret_leader)
{
    COIR_AUTO(coir_process) *leader = NULL;
    coir_process_opts opts = {.argv = SH("sleep 1000 & exit 3"), .out = out, .group = true};
    opts.grace = left == CLOSED_AT_ONCE ? -1 : 0;
    COIR_TRY(coir_process_start(&opts, &leader));
    close(out);
    coir_process_status status = {0};
    COIR_TRY(coir_process_wait(leader, &status));
    COIR_EXPECT_EQ(status.code, 3);
    COIR_EXPECT_EQ(coir_process_try(leader, &status), 1);
    COIR_EXPECT_CODE(coir_process_signal(leader, SIGTERM), -ESRCH);
    if (left == TERMINATED) {
        status = (coir_process_status){0};
        COIR_TRY(coir_process_terminate(leader, COIR_SEC(60), &status));
        COIR_EXPECT_EQ(status.code, 3);
    }
    if (left == TERMINATED || left == CLOSED_BY_LOOP)
        *ret_leader = COIR_TAKE(leader);
    return 0;
}

static void leave_a_group(enum left left)
{
    int fds[2];
    COIR_REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
    coir_process *leader = NULL;
    int r = leave_somebody(fds[1], left, &leader);
    if (r == 0)
        COIR_EXPECT(ends(fds[0]));
    else
        close(fds[1]);
    close(fds[0]);
    coir_process_close(leader);
    COIR_REQUIRE_OK(r);
    expect_no_children();
}

COIR_TEST_TAGGED(a_group_ends_after_its_leader, "no_torture")
{
    leave_a_group(CLOSED);
    leave_a_group(CLOSED_AT_ONCE);
    leave_a_group(TERMINATED);
}

COIR_TEST(a_deadline_ends_what_a_leader_left)
{
    int fds[2];
    COIR_REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
    coir_process_result result;
    int r;
    {
        COIR_SCOPE(limit, COIR_MS(100));
        coir_process_opts opts = {.err = fds[1], .group = true};
        r = coir_process_run(SH("sleep 1000 & exit 0"), &opts, &result);
    }
    coir_process_result_close(&result);
    close(fds[1]);
    COIR_EXPECT(ends(fds[0]));
    close(fds[0]);
    COIR_EXPECT_CODE(r, -ETIME);
    expect_no_children();
}

static int leave_to_loop(void *arg)
{
    return leave_somebody(*(int *)arg, CLOSED_BY_LOOP, &kept);
}

COIR_TEST_TAGGED(a_loop_ends_what_a_leader_left, "own_loop,expect_reports,no_torture")
{
    int fds[2];
    COIR_REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
    coir_loop_opts opts = coir_test_loop_opts();
    kept = NULL;
    COIR_EXPECT_OK(coir_run(leave_to_loop, &fds[1], &opts, NULL));
    COIR_EXPECT(ends(fds[0]));
    expect_no_children();
    coir_process_close(kept);
    close(fds[0]);
}

/* Who leads a group may go to another one; it is ended all the same. */
COIR_TEST(a_leader_that_has_left_its_group_is_ended)
{
    coir_process *leader = NULL;
    coir_process_opts opts = {
        .argv = COIR_ARGV("perl", "-e",
                          "$| = 1; setpgrp(0, getpgrp(getppid())); print qq(\n); sleep 1000"),
        .out = COIR_PIPE,
        .group = true,
        .grace = COIR_SEC(60)};
    int r = coir_process_start(&opts, &leader);
    if (r == -ENOENT)
        COIR_SKIP("there is no perl here");
    COIR_REQUIRE_OK(r);
    coir_bytes line;
    coir_process_status status = {0};
    r = coir_stream_read_line(coir_process_out(leader), 0, &line);
    if (r == 1)
        r = coir_process_terminate(leader, COIR_SEC(60), &status);
    coir_process_close(leader);
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_EQ(status.signal, SIGTERM);
    expect_no_children();
}

COIR_TEST(who_ignores_its_children_is_told)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGCHLD, &ignore, NULL);
    COIR_AUTO(coir_process_result) result = {0};
    COIR_EXPECT_CODE(coir_process_run(COIR_ARGV("true"), NULL, &result), -ECHILD);
}

COIR_TEST(a_signal_that_comes_too_late_is_refused)
{
    START(sleeper, "exec sleep 1000");
    int r;
    while ((r = coir_process_signal(sleeper, SIGTERM)) == 0)
        COIR_REQUIRE_OK(coir_yield());
    COIR_EXPECT_CODE(r, -ESRCH);
    coir_process_status status = {0};
    COIR_EXPECT_EQ(coir_process_try(sleeper, &status), 1);
    COIR_EXPECT_EQ(status.signal, SIGTERM);
}

static int close_deaf(void *arg)
{
    coir_process_close(arg); /* with a grace of a thousand seconds */
    return coir_yield();
}

COIR_TEST(a_cancellation_ends_the_grace)
{
    START(deaf, "trap '' TERM; echo; exec sleep 1000", .out = COIR_PIPE, .grace = COIR_SEC(1000));
    coir_bytes line;
    COIR_REQUIRE_EQ(coir_stream_read_line(coir_process_out(deaf), 0, &line), 1);
    pid_t pid = coir_process_pid(deaf);
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, close_deaf, deaf, &task));
    (void)COIR_TAKE(deaf);
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_cancel(task, "no patience");
    COIR_EXPECT_CODE(coir_join(task, NULL), -COIR_ECANCELEDTASK);
    expect_gone(pid);
}

static coir_process *late; /* of the callback, which may come when the test is over */

static void close_it(void *arg)
{
    (void)arg;
    coir_process_close(COIR_TAKE(late));
}

COIR_TEST(a_callback_closes_at_once)
{
    START(deaf, "trap '' TERM; echo; exec sleep 1000", .out = COIR_PIPE, .grace = COIR_SEC(1000));
    coir_bytes line;
    COIR_REQUIRE_EQ(coir_stream_read_line(coir_process_out(deaf), 0, &line), 1);
    pid_t pid = coir_process_pid(deaf);
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), close_it, NULL, NULL));
    late = COIR_TAKE(deaf);
    while (late != NULL)
        COIR_REQUIRE_OK(coir_yield());
    expect_gone(pid);
}

/* An hour of virtual time is not over before a program has ended. */
COIR_TEST(time_does_not_jump_over_a_program)
{
    COIR_SCOPE(limit, COIR_SEC(3600));
    START(talker, "echo; read line; exit 2", .in = COIR_PIPE, .out = COIR_PIPE);
    coir_bytes line;
    COIR_REQUIRE_EQ(coir_stream_read_line(coir_process_out(talker), 0, &line), 1);
    coir_process_end_input(talker);
    coir_process_status status = {0};
    COIR_REQUIRE_OK(coir_process_wait(talker, &status));
    COIR_EXPECT_EQ(status.code, 2);
    COIR_EXPECT(!coir_scope_expired(&limit));
    coir_time before = coir_now();
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(600))); /* and afterwards it jumps again */
    COIR_EXPECT_GE(coir_now() - before, COIR_SEC(600));
}

/* ---- loops ---- */

static int leave_one(void *arg)
{
    COIR_TRY(coir_process_start(&(coir_process_opts){.argv = SH("exec sleep 1000")}, &kept));
    *(pid_t *)arg = coir_process_pid(kept);
    return 0;
}

COIR_TEST_TAGGED(a_loop_that_closes_leaves_nobody_behind, "own_loop,expect_reports")
{
    pid_t pid = 0;
    coir_loop_opts opts = coir_test_loop_opts();
    kept = NULL;
    int r = coir_run(leave_one, &pid, &opts, NULL);
    if (r == 0)
        expect_gone(pid);
    expect_no_children();
    coir_process_close(kept);
    COIR_EXPECT_OK(r);
}

static int start_true(void *arg)
{
    coir_process_result result;
    int r = coir_process_run(COIR_ARGV("true"), NULL, &result);
    coir_process_result_close(&result);
    (void)arg;
    return r < 0 ? r : result.status.code;
}

COIR_TEST_TAGGED(many_at_once, "limit=30")
{
    COIR_GROUP(group);
    for (int i = 0; i < 20; i++)
        COIR_REQUIRE_OK(coir_spawn(&group, start_true, NULL, NULL));
    COIR_EXPECT_OK(coir_group_wait(&group));
    expect_no_children();
}

static int list_descriptors(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        COIR_AUTO(coir_process_result) result = {0};
        COIR_TRY(coir_process_run(SH("cd /proc/self/fd; echo *"), NULL, &result));
        COIR_EXPECT_STR(coir_buffer_text(&result.out), "0 1 2 3\n"); /* 3 lists them */
    }
    return 0;
}

static void *run_loop(void *arg)
{
    coir_loop_opts opts = coir_test_loop_opts();
    int *result = arg;
    *result = coir_run(list_descriptors, NULL, &opts, NULL);
    return NULL;
}

/* What one thread has just made for its child does not reach the child of another. */
COIR_TEST_TAGGED(threads_start_programs_at_once, "own_loop,limit=30,no_torture")
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    int results[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        COIR_EXPECT_EQ(pthread_create(&threads[i], NULL, run_loop, &results[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        COIR_EXPECT_OK(results[i]);
    }
    expect_no_children();
}

COIR_TEST_TAGGED(processes_need_a_task, "own_loop")
{
    coir_process *process;
    COIR_EXPECT_CODE(coir_process_start(&(coir_process_opts){.argv = SH("true")}, &process),
                     -COIR_ENOTASK);
}
