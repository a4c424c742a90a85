/* coir/terminal.h: terminals, and the standard descriptors that a program shares with others.
 *
 *     COIR_AUTO(coir_terminal) *terminal = NULL;
 *     COIR_TRY(coir_terminal_open(NULL, &terminal));
 *     COIR_TRY(coir_terminal_set_mode(terminal, COIR_TERMINAL_KEYS));
 *     char key;
 *     size_t n;
 *     while ((r = coir_stream_read(coir_terminal_stream(terminal), &key, 1, &n)) > 0 && key != 'q')
 *         ...
 *
 * A terminal, like a pipe of the shell's, is open in several programs at once, which share its
 * flags. Nothing here makes it non-blocking for them.
 *
 * The mode that the terminal had at first comes back whatever happens: when it is closed, on every
 * path; at exit; when a signal ends the program (SIGHUP, SIGINT, SIGQUIT, SIGTERM where they have
 * their defaults, a second one of them in coir_main, SIGABRT, SIGSEGV and the other faults); while
 * the program is stopped by SIGTSTP, after which its own mode returns. Only SIGKILL, SIGSTOP and
 * _exit go past it.
 */
#ifndef COIR_TERMINAL_H
#define COIR_TERMINAL_H

#include <coir/stream.h>

COIR__BEGIN

/* A terminal; opaque. */
typedef struct coir_terminal coir_terminal;

/* How a terminal gives what is typed. */
enum coir_terminal_mode {
    COIR_TERMINAL_ORIGINAL, /* as it was found: usually line by line, and shown as it is typed */
    COIR_TERMINAL_KEYS,     /* each key at once, not shown; ^C, ^\ and ^Z are signals */
    COIR_TERMINAL_RAW,      /* each byte at once, and nothing is changed in either direction */
};

/* Zero means the default for each field. */
typedef struct coir_terminal_opts {
    const char *path; /* of the terminal; NULL: the one that controls the process, "/dev/tty" */
    void *coir__reserved[4];
} coir_terminal_opts;

/* Opens a terminal, for this program alone. opts may be NULL. On the simulated backend it is a real
 * one, and waiting for it takes real time.
 * Returns 0, and writes *ret_terminal, which is the caller's to close. Errors: -ENXIO when the
 * process has no terminal, -ENOTTY when path is none, -ENOENT, -EACCES, -EMFILE, -ENFILE, -ENOMEM,
 * -COIR_ENOTASK where no loop runs. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_terminal_open(const coir_terminal_opts *opts, coir_terminal **ret_terminal);

/* Gives the terminal the mode that it had at first, closes it and frees it, with its stream; NULL
 * is accepted. Cancel safety: always closes, never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_terminal_close(coir_terminal *terminal);

COIR_CLOSER(coir_terminal, coir_terminal_close);

/* The stream to and from the terminal. It is the terminal's, which closes it. At the end (^D on an
 * empty line) a read gives 0, and may be tried again.
 * Returns it. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC coir_stream *coir_terminal_stream(const coir_terminal *terminal);

/* Changes the mode of the terminal, until another one is set or it is closed.
 * Returns 0. Errors: -ENOSPC when too many terminals (16) have one, -EIO when the terminal is gone,
 * -EINVAL, -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_terminal_set_mode(coir_terminal *terminal, enum coir_terminal_mode mode);

/* Asks for the size of the terminal, in characters; 0 where it does not know.
 * Returns 0, and writes *ret_size. Errors: -EIO when the terminal is gone, -EINVAL,
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
struct coir_terminal_size {
    unsigned rows, columns;
};
COIR__CHECKED int coir_terminal_size(coir_terminal *terminal, struct coir_terminal_size *ret_size);

/* Waits until the size is another one than when this call, or coir_terminal_size, told it last.
 * The kernel tells those programs that are in the terminal's foreground (SIGWINCH, which is taken
 * over until the loop ends).
 * Returns 0, and writes *ret_size. Errors: those of coir_terminal_size and coir_signal_wait.
 * Cancel safety: nothing happened, no change is lost. Whoever closes the
 * terminal ends the wait first. Thread safety: the loop's thread. */
COIR__CHECKED int coir_terminal_wait_resize(coir_terminal *terminal,
                                            struct coir_terminal_size *ret_size);

/* Makes a stream of a descriptor that is shared with other programs, or with code that is not the
 * library's: of standard input, output or errors. It stays open when the stream is closed, and in
 * the mode that it was in. Terminals and pipes are opened once more for this, where the system
 * allows it; the others are only touched when they are ready, and written to in small pieces.
 *
 *     COIR_AUTO(coir_stream) *input = NULL;
 *     COIR_TRY(coir_stream_share(STDIN_FILENO, &input));
 *
 * Files have no readiness, and are read and written as they are. Where another program reads from
 * the same place at the same moment, a read of what cannot be opened once more may stop the loop.
 * Returns 0, and writes *ret_stream, which is the caller's to close, before the descriptor. Errors:
 * -EBADF, -EMFILE, -ENFILE, -ENOMEM, -EINVAL, -COIR_ENOTASK where no loop runs. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_stream_share(int fd, coir_stream **ret_stream);

COIR__END
#endif
