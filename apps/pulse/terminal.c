/* terminal.c: takes the terminal over and gives it back, see terminal.h.
 *
 * It is given back in three ways: by terminal_leave, which the view calls on each of its paths;
 * before a stop by Ctrl-Z; and in a handler for the signals that end or crash a process, which then
 * lets the signal take its course. (SIGINT and SIGTERM are not among those: they cancel the main
 * task, and the view leaves.) Only a SIGKILL leaves the terminal as it is.
 *
 * Nothing here may block: a terminal that was stopped with Ctrl-S takes no bytes, and SIGTERM has
 * to end Pulse all the same. So terminals and pipes are opened a second time to be written to
 * without blocking; on the descriptor that was inherited that would change them for the shell too.
 */
#include "terminal.h"

#include <coir/coir.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const int fatal[] = {SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGXCPU};
static struct sigaction before[COIR_COUNT(fatal)];

static volatile sig_atomic_t entered, echo_is_off;
static int output = -1;
static struct termios found;

/* Alternate screen, cleared, without cursor and without wrapping of long lines; and back. */
static const char enter_screen[] = "\033[?1049h\033[?25l\033[?7l\033[2J";
static const char leave_screen[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

bool terminal_is_there(void)
{
    const char *kind = getenv("TERM");
    return isatty(STDOUT_FILENO) && kind && *kind && strcmp(kind, "dumb") != 0;
}

/* --- Output ----------------------------------------------------------------------------------- */

int terminal_descriptor(void)
{
    if (output >= 0)
        return output;
    struct stat status;
    bool waits =
        fstat(STDOUT_FILENO, &status) == 0 && (S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode));
    if (waits)
        output = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (output < 0)
        output = STDOUT_FILENO;
    return output;
}

int terminal_write(const char *text, size_t length)
{
    ssize_t n;
    do
        n = write(terminal_descriptor(), text, length < INT_MAX ? length : INT_MAX);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? (int)n : errno == EAGAIN ? 0 : -errno;
}

int output_write(const char *text, size_t length)
{
    while (length > 0) {
        (void)COIR_TRY(coir_fd_wait(terminal_descriptor(), POLLOUT));
        size_t n = (size_t)COIR_TRY(terminal_write(text, length));
        text += n;
        length -= n;
    }
    return 0;
}

/* --- The screen ------------------------------------------------------------------------------- */

/* Safe in a signal handler. */
static void give_back(void)
{
    if (!entered)
        return;
    entered = 0;
    ssize_t n = write(output, leave_screen, sizeof leave_screen - 1);
    (void)n;
    if (echo_is_off)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &found);
    echo_is_off = 0;
}

/* Gives the terminal back and lets the signal do what it would have done without us. Only SIGQUIT
 * ends the program instead of printing its tasks: the table would be drawn over them. */
static void on_fatal(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno;
    give_back();
    static const struct sigaction ends = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < COIR_COUNT(fatal); i++)
        if (fatal[i] == signal_number)
            (void)sigaction(signal_number, signal_number == SIGQUIT ? &ends : &before[i], NULL);
    bool repeats = info->si_code > 0 && (signal_number == SIGSEGV || signal_number == SIGBUS ||
                                         signal_number == SIGFPE || signal_number == SIGILL);
    if (!repeats)
        (void)raise(signal_number); /* a fault comes again when its instruction does */
    errno = saved;
}

static void catch_fatal(void)
{
    struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    for (size_t i = 0; i < COIR_COUNT(fatal); i++) {
        (void)sigaction(fatal[i], NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN)
            (void)sigaction(fatal[i], &action, NULL);
    }
}

static void release_fatal(void)
{
    for (size_t i = 0; i < COIR_COUNT(fatal); i++)
        (void)sigaction(fatal[i], &before[i], NULL);
}

/* Keys would be echoed into the table. In the background the terminal is not ours to change. */
static void stop_echo(void)
{
    if (tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &found) < 0)
        return;
    struct termios quiet = found;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    echo_is_off = tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
}

void terminal_enter(void)
{
    if (entered || terminal_descriptor() < 0)
        return;
    catch_fatal();
    stop_echo();
    entered = 1;
    (void)terminal_write(enter_screen, sizeof enter_screen - 1);
}

void terminal_leave(void)
{
    if (!entered)
        return;
    give_back();
    release_fatal();
}

void terminal_stop(void)
{
    bool again = entered;
    terminal_leave();
    (void)raise(SIGSTOP);
    if (again)
        terminal_enter();
}

struct terminal_size terminal_size(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
        return (struct terminal_size){80, 24};
    return (struct terminal_size){size.ws_col, size.ws_row};
}
