/* terminal.c: terminals as streams, their size, and streams of descriptors that are shared.
 *
 * What is opened here has an open file of its own, so that it can be non-blocking without being so
 * for others: by its name, or for a descriptor by the name that /proc has for it. What cannot be
 * opened once more keeps its mode (outside.c). Modes are in terminal_mode.c.
 */
#include <stdio.h>

#include <coir/select.h>
#include <coir/signal.h>

#include "io/stream/outside.h"
#include "io/process/sys.h"
#include "io/process/terminal.h"

struct coir_terminal {
    struct coir_loop *loop;
    coir_stream *stream;
    int fd; /* the stream's */
    struct coir__mode *mode;
    struct coir_terminal_size told;
};

/* ---- terminals ---- */

static int open_terminal(const char *path, coir_terminal *terminal)
{
    int fd = coir__sys_open_device(path, O_RDWR | O_NONBLOCK);
    if (fd < 0)
        return fd;
    struct termios mode;
    int r = coir__sys_get_mode(fd, &mode);
    if (r == 0)
        r = coir__outside_own(fd, "terminal", &terminal->stream);
    if (r < 0)
        coir__sys_close(fd);
    terminal->fd = fd;
    return r;
}

int coir_terminal_open(const coir_terminal_opts *opts, coir_terminal **ret_terminal)
{
    if (ret_terminal == NULL)
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    const char *path = opts != NULL && opts->path != NULL ? opts->path : "/dev/tty";
    coir_terminal *terminal = coir__alloc(sizeof *terminal);
    if (terminal == NULL)
        return -ENOMEM;
    *terminal = (coir_terminal){.loop = coir__loop};
    int r = open_terminal(path, terminal);
    if (r < 0) {
        coir__free(terminal);
        return coir_fail(r, "open terminal \"%.100s\": %s", path, coir_error_text(r));
    }
    *ret_terminal = terminal;
    return 0;
}

void coir_terminal_close(coir_terminal *terminal)
{
    if (terminal == NULL || coir__elsewhere(terminal->loop, NULL))
        return;
    (void)coir__mode_set(&terminal->mode, terminal->fd, COIR_TERMINAL_ORIGINAL);
    coir_stream_close(terminal->stream);
    coir__free(terminal);
}

coir_stream *coir_terminal_stream(const coir_terminal *terminal)
{
    return terminal->stream;
}

static int check(const coir_terminal *terminal)
{
    if (terminal == NULL)
        return -EINVAL;
    return terminal->loop != coir__loop ? coir__refuse(terminal->loop, NULL, -COIR_EWRONGLOOP) : 0;
}

int coir_terminal_set_mode(coir_terminal *terminal, enum coir_terminal_mode mode)
{
    int r = check(terminal);
    if (r < 0)
        return r;
    if (mode != COIR_TERMINAL_ORIGINAL && mode != COIR_TERMINAL_KEYS && mode != COIR_TERMINAL_RAW)
        return -EINVAL;
    return coir__mode_set(&terminal->mode, terminal->fd, mode);
}

/* ---- the size ---- */

static int ask_size(coir_terminal *terminal, struct coir_terminal_size *ret_size)
{
    struct winsize size;
    int r = coir__sys_window(terminal->fd, &size);
    if (r == 0)
        *ret_size = (struct coir_terminal_size){size.ws_row, size.ws_col};
    return r;
}

int coir_terminal_size(coir_terminal *terminal, struct coir_terminal_size *ret_size)
{
    int r = check(terminal);
    if (r == 0)
        r = ret_size != NULL ? ask_size(terminal, ret_size) : -EINVAL;
    if (r == 0)
        terminal->told = *ret_size;
    return r;
}

/* The signal is asked for before the size is looked at, so that no change falls between. */
int coir_terminal_wait_resize(coir_terminal *terminal, struct coir_terminal_size *ret_size)
{
    int r = coir__look(coir__self());
    if (r == 0)
        r = check(terminal);
    if (r == 0 && ret_size == NULL)
        r = -EINVAL;
    while (r == 0) {
        coir_case cases[] = {COIR_ON_SIGNAL(SIGWINCH)};
        struct coir_terminal_size size = terminal->told;
        r = coir_try_select(cases, 1);
        if (r == 0 || r == -EAGAIN)
            r = ask_size(terminal, &size);
        if (r == 0 &&
            (size.rows != terminal->told.rows || size.columns != terminal->told.columns)) {
            terminal->told = *ret_size = size;
            return coir__charge(coir__self(), 0);
        }
        if (r == 0)
            r = coir_signal_wait(SIGWINCH);
    }
    return r;
}

/* ---- descriptors that are shared ---- */

/* Opening the hidden side of a pseudo-terminal once more would make another one. */
static bool can_be_reopened(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return false;
    return S_ISFIFO(status.st_mode) ||
           (S_ISCHR(status.st_mode) && isatty(fd) && !coir__sys_is_master(fd));
}

static int reopen(int fd, int flags)
{
    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return coir__sys_open_device(path, (flags & O_ACCMODE) | O_NONBLOCK);
}

int coir_stream_share(int fd, coir_stream **ret_stream)
{
    if (ret_stream == NULL)
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    int flags = coir__sys_get_flags(fd);
    if (flags < 0)
        return flags;
    int own = can_be_reopened(fd) ? reopen(fd, flags) : -EACCES;
    if (own == -EMFILE || own == -ENFILE || own == -ENOMEM)
        return own;
    if (own < 0) {
        struct coir__outside_opts opts = {
            .name = "shared", .waits = (flags & O_NONBLOCK) == 0, .keep = true};
        return coir__outside_stream(fd, &opts, ret_stream);
    }
    int r = coir__outside_own(own, "shared", ret_stream);
    if (r < 0)
        coir__sys_close(own);
    return r;
}
