/* io_terminal.c: tests of terminals, on pseudo-terminals, and of descriptors that are shared.
 *
 * Those of the end of a program fork one whose mode is raw, end it in every way there is, and look
 * at the mode from the other side.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <coir/signal.h>
#include <coir/terminal.h>
#include <coir/testing.h>

#include "under_valgrind.h"

/* A pseudo-terminal; both sides stay open, so that its mode lasts. */
typedef struct pty {
    int master, slave;
    char name[64];
} pty;

static void close_pty(pty *one)
{
    if (one->slave > 0)
        close(one->slave);
    if (one->master > 0)
        close(one->master);
}

COIR_CLOSER_VALUE(pty, close_pty);

static bool open_pty(pty *one)
{
    one->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (one->master < 0 || grantpt(one->master) < 0 || unlockpt(one->master) < 0 ||
        ptsname_r(one->master, one->name, sizeof one->name) != 0)
        return false;
    one->slave = open(one->name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return one->slave >= 0;
}

#define PTY(name)                                                                                  \
    COIR_AUTO(pty) name = {0};                                                                     \
    if (!open_pty(&name))                                                                          \
    COIR_SKIP("there are no pseudo-terminals here")

#define TERMINAL(terminal, where)                                                                  \
    COIR_AUTO(coir_terminal) *terminal = NULL;                                                     \
    COIR_REQUIRE_OK(coir_terminal_open(&(coir_terminal_opts){.path = (where).name}, &terminal))

/* Whether it is line by line, and shown: ECHO and ICANON of the terminal. */
static unsigned mode_of(const pty *one)
{
    struct termios mode = {0};
    (void)tcgetattr(one->slave, &mode);
    return mode.c_lflag & (ICANON | ECHO | ISIG);
}

/* ---- modes ---- */

COIR_TEST(a_mode_ends_with_its_terminal)
{
    PTY(one);
    unsigned original = mode_of(&one);
    {
        TERMINAL(terminal, one);
        COIR_EXPECT_OK(coir_terminal_set_mode(terminal, COIR_TERMINAL_ORIGINAL));
        COIR_REQUIRE_OK(coir_terminal_set_mode(terminal, COIR_TERMINAL_KEYS));
        COIR_EXPECT_EQ(mode_of(&one), (unsigned)ISIG);
        COIR_REQUIRE_OK(coir_terminal_set_mode(terminal, COIR_TERMINAL_RAW));
        COIR_EXPECT_EQ(mode_of(&one), 0);
        COIR_REQUIRE_OK(coir_terminal_set_mode(terminal, COIR_TERMINAL_ORIGINAL));
        COIR_EXPECT_EQ(mode_of(&one), original);
        COIR_REQUIRE_OK(coir_terminal_set_mode(terminal, COIR_TERMINAL_RAW));
    }
    COIR_EXPECT_EQ(mode_of(&one), original);
}

COIR_TEST(terminals_of_one_device_share_the_original)
{
    PTY(one);
    unsigned original = mode_of(&one);
    TERMINAL(first, one);
    TERMINAL(second, one);
    COIR_REQUIRE_OK(coir_terminal_set_mode(first, COIR_TERMINAL_RAW));
    COIR_REQUIRE_OK(coir_terminal_set_mode(second, COIR_TERMINAL_KEYS));
    coir_terminal_close(COIR_TAKE(first));
    COIR_EXPECT_EQ(mode_of(&one), (unsigned)ISIG);
    coir_terminal_close(COIR_TAKE(second));
    COIR_EXPECT_EQ(mode_of(&one), original);
}

COIR_TEST(what_is_no_terminal_is_refused)
{
    coir_terminal *terminal = NULL;
    coir_terminal_opts opts = {.path = "/dev/null"};
    COIR_EXPECT_CODE(coir_terminal_open(&opts, &terminal), -ENOTTY);
    COIR_EXPECT_CONTAINS(coir_last_message(-ENOTTY), "open terminal \"/dev/null\"");
    opts.path = "/no/such/terminal";
    COIR_EXPECT_CODE(coir_terminal_open(&opts, &terminal), -ENOENT);
    COIR_EXPECT_CODE(coir_terminal_open(NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_terminal_set_mode(NULL, COIR_TERMINAL_RAW), -EINVAL);
    coir_terminal_close(NULL);
}

COIR_TEST(only_so_many_terminals_have_modes)
{
    enum { MOST = 16 };
    PTY(one);
    coir_terminal *terminals[MOST + 1] = {0};
    unsigned original = mode_of(&one);
    int r = 0;
    for (int i = 0; i <= MOST && r == 0; i++) {
        r = coir_terminal_open(&(coir_terminal_opts){.path = one.name}, &terminals[i]);
        if (r == 0)
            r = coir_terminal_set_mode(terminals[i], COIR_TERMINAL_RAW);
    }
    COIR_EXPECT_CODE(r, -ENOSPC);
    for (int i = 0; i <= MOST; i++)
        coir_terminal_close(terminals[i]);
    COIR_EXPECT_EQ(mode_of(&one), original);
}

/* ---- reading and writing ---- */

COIR_TEST(keys_come_one_by_one)
{
    PTY(one);
    TERMINAL(terminal, one);
    COIR_REQUIRE_OK(coir_terminal_set_mode(terminal, COIR_TERMINAL_KEYS));
    coir_stream *stream = coir_terminal_stream(terminal);
    COIR_EXPECT_EQ(write(one.master, "k", 1), 1);
    char key = 0;
    size_t n;
    COIR_REQUIRE_EQ(coir_stream_read(stream, &key, 1, &n), 1);
    COIR_EXPECT_EQ(key, 'k');
    COIR_REQUIRE_OK(coir_stream_write(stream, "seen", 4));
    char text[4];
    COIR_EXPECT_EQ(read(one.master, text, 4), 4);
    COIR_EXPECT_BYTES(text, "seen", 4);
    COIR_EXPECT_EQ(fcntl(one.slave, F_GETFL) & O_NONBLOCK, 0);
}

static int read_key(void *arg)
{
    char key;
    size_t n;
    COIR_TRY(coir_stream_read(arg, &key, 1, &n));
    return key;
}

COIR_TEST(waiting_for_a_key_is_cancelled)
{
    PTY(one);
    TERMINAL(terminal, one);
    COIR_REQUIRE_OK(coir_terminal_set_mode(terminal, COIR_TERMINAL_KEYS));
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, read_key, coir_terminal_stream(terminal), &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    coir_cancel(task, "nobody types");
    COIR_EXPECT_CODE(coir_join(task, NULL), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(write(one.master, "k", 1), 1);
    COIR_EXPECT_EQ(read_key(coir_terminal_stream(terminal)), 'k');
}

/* ---- the size ---- */

static void set_size(const pty *one, unsigned short rows, unsigned short columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    (void)ioctl(one->master, TIOCSWINSZ, &size);
}

static int wait_resize(void *arg)
{
    struct coir_terminal_size size;
    COIR_TRY(coir_terminal_wait_resize(arg, &size));
    return (int)size.columns;
}

COIR_TEST(a_change_of_size_is_told)
{
    PTY(one);
    TERMINAL(terminal, one);
    set_size(&one, 25, 80);
    struct coir_terminal_size size = {0};
    COIR_REQUIRE_OK(coir_terminal_size(terminal, &size));
    COIR_EXPECT_EQ(size.rows, 25);
    COIR_EXPECT_EQ(size.columns, 80);
    set_size(&one, 25, 100); /* before anybody waits, and without a signal */
    COIR_EXPECT_EQ(wait_resize(terminal), 100);
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, wait_resize, terminal, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    raise(SIGWINCH); /* for nothing */
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    set_size(&one, 30, 120);
    raise(SIGWINCH); /* the kernel tells only those who have it for their terminal */
    COIR_EXPECT_CODE(coir_join(task, NULL), 120);
}

/* ---- descriptors that are shared ---- */

/* Closes both when the test ends. */
typedef struct ends {
    int fds[2];
} ends;

static void close_ends(ends *both)
{
    for (int i = 0; i < 2; i++)
        if (both->fds[i] > 0)
            close(both->fds[i]);
}

COIR_CLOSER_VALUE(ends, close_ends);

static void share_both(const int fds[2])
{
    enum { SIZE = 1000 };
    char data[SIZE], got[SIZE] = {0};
    memset(data, 'x', SIZE);
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_REQUIRE_OK(coir_stream_share(fds[0], &reader));
    COIR_REQUIRE_OK(coir_stream_share(fds[1], &writer));
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, read_key, reader, &task));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_stream_write(writer, "k", 1));
    COIR_EXPECT_CODE(coir_join(task, NULL), 'k');
    COIR_REQUIRE_OK(coir_stream_write(writer, data, SIZE));
    COIR_REQUIRE_OK(coir_stream_read_exactly(reader, got, SIZE));
    COIR_EXPECT_BYTES(got, data, SIZE);
}

static void expect_as_before(const int fds[2])
{
    for (int i = 0; i < 2; i++) {
        int flags = fcntl(fds[i], F_GETFL);
        COIR_EXPECT(flags >= 0 && (flags & O_NONBLOCK) == 0);
    }
}

COIR_TEST(a_pipe_is_shared)
{
    COIR_AUTO(ends) both = {{0, 0}};
    COIR_REQUIRE_EQ(pipe2(both.fds, O_CLOEXEC), 0);
    share_both(both.fds);
    expect_as_before(both.fds);
}

COIR_TEST(what_cannot_be_opened_once_more_is_shared)
{
    COIR_AUTO(ends) both = {{0, 0}};
    COIR_REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both.fds), 0);
    share_both(both.fds);
    expect_as_before(both.fds);
}

COIR_TEST(both_sides_of_a_terminal_are_shared)
{
    PTY(one);
    struct termios mode;
    COIR_REQUIRE_EQ(tcgetattr(one.slave, &mode), 0);
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    COIR_REQUIRE_EQ(tcsetattr(one.slave, TCSANOW, &mode), 0);
    const int fds[2] = {one.slave, one.master};
    share_both(fds);
    expect_as_before(fds);
}

COIR_TEST(a_file_is_shared)
{
    char path[256];
    COIR_REQUIRE(coir_test_tmpdir() != NULL);
    snprintf(path, sizeof path, "%s/file", coir_test_tmpdir());
    COIR_AUTO(ends) both = {{open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), 0}};
    COIR_REQUIRE(both.fds[0] >= 0);
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(coir_stream_share(both.fds[0], &stream));
    COIR_REQUIRE_OK(coir_stream_write(stream, "hello", 5));
    COIR_EXPECT_EQ(lseek(both.fds[0], 0, SEEK_CUR), 5); /* the place is shared */
    COIR_EXPECT_EQ(lseek(both.fds[0], 0, SEEK_SET), 0);
    char text[8];
    size_t n = 0;
    COIR_REQUIRE_EQ(coir_stream_read(stream, text, sizeof text, &n), 1);
    COIR_EXPECT_EQ(n, 5);
    COIR_EXPECT_EQ(coir_stream_read(stream, text, sizeof text, &n), 0);
}

COIR_TEST(what_is_not_open_cannot_be_shared)
{
    coir_stream *stream;
    COIR_EXPECT_CODE(coir_stream_share(999, &stream), -EBADF);
    COIR_EXPECT_CODE(coir_stream_share(0, NULL), -EINVAL);
}

/* ---- the end of a program ---- */

/* What the forked program does when its terminal is raw; it says so through a pipe. */
struct program {
    const pty *one;
    int ready;
    int (*then)(void);
    bool by_main; /* it runs in coir_main */
};

static int raw_program(void *arg)
{
    const struct program *program = arg;
    COIR_AUTO(coir_terminal) *terminal = NULL;
    coir_terminal_opts opts = {.path = program->one->name};
    COIR_TRY(coir_terminal_open(&opts, &terminal));
    COIR_TRY(coir_terminal_set_mode(terminal, COIR_TERMINAL_RAW));
    (void)!write(program->ready, "r", 1);
    return program->then();
}

static int wait_for_ever(void)
{
    return coir_sleep(COIR_SEC(3600));
}

static int wait_stubbornly(void)
{
    while (coir_sleep(COIR_SEC(3600)) < 0)
        (void)poll(NULL, 0, 1); /* it does not listen to a cancellation, and takes its time */
    return 0;
}

static int leave(void)
{
    exit(0);
}

static int fail(void)
{
    return coir_fail(-EIO, "it failed");
}

/* Not as a sanitizer would have it, which ends the program without a signal. */
__attribute__((no_sanitize("undefined"), no_sanitize("address"))) static int fault(void)
{
    volatile int *volatile nowhere = NULL;
    *nowhere = 1;
    return 0;
}

static int end_by_abort(void)
{
    abort();
}

static _Noreturn void run_program(const struct program *program)
{
    coir_loop_opts opts = coir_test_loop_opts();
    opts.virtual_clock = false;
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(SIGQUIT, &action, NULL);      /* which the kit has taken */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is cut short leaves nobody behind */
    (void)setpgid(0, 0);                    /* so that it can be stopped */
    void *arg = (void *)(uintptr_t)program;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(null, STDERR_FILENO); /* what sanitizers and reports say is expected */
    if (program->by_main)
        _exit(coir_main_with(raw_program, arg, &opts));
    (void)coir_run(raw_program, arg, &opts, NULL);
    _exit(0);
}

/* Forks it, and waits until its terminal is raw. */
static pid_t start(const pty *one, int (*then)(void), bool by_main)
{
    int fds[2];
    char ready;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    struct program program = {one, fds[1], then, by_main};
    pid_t pid = fork();
    if (pid == 0)
        run_program(&program);
    close(fds[1]);
    COIR_EXPECT_EQ(read(fds[0], &ready, 1), 1);
    close(fds[0]);
    return pid;
}

static void end_and_look(int (*then)(void), bool by_main, int number, bool again)
{
    PTY(one);
    unsigned original = mode_of(&one);
    pid_t pid = start(&one, then, by_main);
    COIR_REQUIRE_GT(pid, 0);
    if (number != 0)
        COIR_EXPECT_EQ(mode_of(&one), 0);
    int status = 0;
    do { /* two signals at once would be one */
        (void)kill(pid, number);
        (void)poll(NULL, 0, 1);
    } while (again && waitpid(pid, &status, WNOHANG) == 0);
    if (!again)
        COIR_EXPECT_EQ(waitpid(pid, &status, 0), pid);
    COIR_EXPECT_EQ(mode_of(&one), original);
    if (number == SIGTERM || number == SIGHUP)
        COIR_EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == number);
}

#define ENDS "own_loop,real_clock,no_torture"

COIR_TEST_TAGGED(a_signal_restores, ENDS)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1};
    for (size_t i = 0; i < COIR_COUNT(numbers); i++)
        end_and_look(wait_for_ever, false, numbers[i], false);
}

/* One that comes between two system calls is kept by valgrind until the second one has returned, so
 * there it is sent until the program has ended. */
COIR_TEST_TAGGED(a_fault_from_outside_restores, ENDS)
{
    end_and_look(wait_for_ever, false, SIGSEGV, RUNNING_ON_VALGRIND);
    end_and_look(wait_for_ever, false, SIGABRT, false);
}

COIR_TEST_TAGGED(a_fault_restores, ENDS)
{
    end_and_look(fault, false, 0, false);
    end_and_look(end_by_abort, false, 0, false);
}

COIR_TEST_TAGGED(an_exit_or_a_failure_restores, ENDS)
{
    end_and_look(leave, false, 0, false);
    end_and_look(fail, false, 0, false);
}

COIR_TEST_TAGGED(coir_main_restores, ENDS)
{
    end_and_look(fail, true, 0, false);
    end_and_look(wait_for_ever, true, SIGINT, false);
}

/* The second signal ends a program that does not listen to the first. */
COIR_TEST_TAGGED(the_second_signal_of_coir_main_restores, ENDS)
{
    end_and_look(wait_stubbornly, true, SIGTERM, true);
}

/* Waits, for other programs, until the mode is that one. */
static bool becomes(const pty *one, unsigned mode)
{
    for (int i = 0; i < 5000 && mode_of(one) != mode; i++)
        (void)poll(NULL, 0, 1);
    return mode_of(one) == mode;
}

COIR_TEST_TAGGED(a_stopped_program_has_no_mode, ENDS)
{
    SKIP_UNDER_VALGRIND("it stops no program");
    PTY(one);
    unsigned original = mode_of(&one);
    pid_t pid = start(&one, wait_for_ever, false);
    COIR_REQUIRE_GT(pid, 0);
    for (int i = 0; i < 2; i++) {
        int status = 0;
        kill(pid, SIGTSTP);
        COIR_EXPECT_EQ(waitpid(pid, &status, WUNTRACED), pid);
        COIR_EXPECT(WIFSTOPPED(status));
        COIR_EXPECT_EQ(mode_of(&one), original);
        kill(pid, SIGCONT);
        COIR_EXPECT(becomes(&one, 0));
    }
    kill(pid, SIGTERM);
    COIR_EXPECT_EQ(waitpid(pid, NULL, 0), pid);
    COIR_EXPECT_EQ(mode_of(&one), original);
}

static int fork_and_exit(void)
{
    pid_t pid = fork();
    if (pid == 0)
        exit(0); /* what is registered for exit runs here too */
    (void)waitpid(pid, NULL, 0);
    return wait_for_ever();
}

COIR_TEST_TAGGED(a_child_of_fork_restores_nothing, ENDS)
{
    PTY(one);
    pid_t pid = start(&one, fork_and_exit, false);
    COIR_REQUIRE_GT(pid, 0);
    (void)poll(NULL, 0, 20);
    COIR_EXPECT_EQ(mode_of(&one), 0);
    kill(pid, SIGTERM);
    COIR_EXPECT_EQ(waitpid(pid, NULL, 0), pid);
}

static void block_output_signal(int how)
{
    sigset_t output;
    sigemptyset(&output);
    sigaddset(&output, SIGTTOU);
    pthread_sigmask(how, &output, NULL);
}

static int close_with_output_signal(void)
{
    block_output_signal(SIG_UNBLOCK);
    return 0;
}

/* A session with that terminal, whose leader is in the foreground, and so the program is not. */
static _Noreturn void lead_session(const pty *one)
{
    unsigned original = mode_of(one);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setsid() < 0 || open(one->name, O_RDWR | O_CLOEXEC) < 0)
        _exit(2);
    block_output_signal(SIG_BLOCK);
    int status = 0;
    pid_t pid = start(one, close_with_output_signal, false);
    bool over = pid > 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFEXITED(status);
    _exit(over && mode_of(one) == original ? 0 : 1);
}

/* The kernel stops who changes a mode from there, unless SIGTTOU is blocked. */
COIR_TEST_TAGGED(closing_restores_from_the_background, ENDS)
{
    PTY(one);
    pid_t pid = fork();
    if (pid == 0)
        lead_session(&one);
    int status = 0;
    COIR_EXPECT_EQ(waitpid(pid, &status, 0), pid);
    COIR_EXPECT_EQ(status, 0);
}
