/* coir/process.h: other programs: started, fed, read, waited for, and never left behind.
 *
 *     COIR_AUTO(coir_process_result) result = {0};
 *     COIR_TRY(coir_process_run(COIR_ARGV("git", "rev-parse", "HEAD"), NULL, &result));
 *     if (result.status.code == 0)
 *         printf("%s", coir_buffer_text(&result.out));
 *
 * A program is started from a list of arguments, never from a line for a shell. The child has the
 * three standard descriptors that were asked for and no others, no blocked signals, and default
 * dispositions. It has a handle, and closing the handle ends it: asked to at first (SIGTERM), and
 * killed after a grace; at once where the task is cancelled or its deadline has passed. Then it is
 * reaped: no zombie stays, also when the loop closes while a handle is open.
 *
 * Processes are waited for by their descriptors (pidfd, Linux 5.4), so other children of the
 * program, and handlers of SIGCHLD, are no concern. Where SIGCHLD is ignored, or somebody else
 * reaps every child, a wait gives -ECHILD.
 *
 * On the simulated backend programs are real ones, of this machine. They take real time: while a
 * task waits for one, the virtual clock moves as the machine's does, and does not jump.
 */
#ifndef COIR_PROCESS_H
#define COIR_PROCESS_H

#include <signal.h>
#include <sys/types.h>

#include <coir/buffer.h>
#include <coir/select.h>
#include <coir/stream.h>

COIR__BEGIN

/* A program that was started; opaque. */
typedef struct coir_process coir_process;

/* A list of arguments, the program first, as it is wanted here. */
#define COIR_ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

/* What a standard descriptor of the child is: one of these, or a descriptor above 0, which stays
 * the caller's. Zero stands for COIR_INHERIT; in coir_process_run for COIR_DEV_NULL as input and
 * COIR_PIPE as output. */
enum coir_process_end {
    COIR_INHERIT = -1,  /* the one of this program */
    COIR_DEV_NULL = -2, /* nothing to read; what is written is thrown away */
    COIR_PIPE = -3,     /* a pipe, whose other end is a stream here */
    COIR_TO_OUT = -4,   /* of err: the same as out */
};

/* Zero means the default for each field. All that is pointed to is needed during the call only. */
typedef struct coir_process_opts {
    /* The program and its arguments, with NULL at the end. A name without a slash is looked for in
     * the absolute directories of this program's PATH. */
    const char *const *argv;
    const char *const
        *env;         /* all of the environment, "NAME=value" each, with NULL at the end; NULL:
                               that of this program */
    const char *cwd;  /* where it runs, and where a relative argv[0] with a slash begins;
                               NULL: where this program does */
    int in, out, err; /* enum coir_process_end, or a descriptor */
    /* The child leads a process group of its own: a terminal's ^C does not reach it, and what ends
     * it (not coir_process_signal) goes to all of the group; also when the child has ended before:
     * closing sends SIGTERM, or SIGKILL where it does not ask, to those that it left. They are not
     * waited for: one that does not heed SIGTERM outlives a leader that does. */
    bool group;
    bool session; /* it leads a session of its own, without a terminal; includes group */
    /* How long closing waits between SIGTERM and SIGKILL; 0: one second; negative: not at all */
    coir_time grace;
    /* Of coir_process_run: what the program reads, unless in says something else; and how much it
     * may write to each of out and err (0: COIR_BUFFER_LIMIT). */
    coir_bytes input;
    size_t limit;
    void *coir__reserved[4];
} coir_process_opts;

/* How a process ended. */
typedef struct coir_process_status {
    int code;    /* what it exited with, 0 to 255; -1: a signal has ended it */
    int signal;  /* that has; 0: it exited */
    bool dumped; /* its memory was written to a file */
    int coir__reserved;
} coir_process_status;

/* Starts a program. The loop's thread stands still until the kernel has loaded it.
 *
 *     COIR_AUTO(coir_process) *child = NULL;
 *     COIR_TRY(coir_process_start(&(coir_process_opts){.argv = argv, .out = COIR_PIPE}, &child));
 *     while ((r = coir_stream_read_line(coir_process_out(child), 0, &line)) > 0)
 *         ...
 *
 * Returns 0, and writes *ret_process, which is the caller's to close. Errors: what exec says
 * (-ENOENT, -EACCES, -ENOEXEC for a script without its first line, ...) or the change of directory,
 * with the program's name in the text; -EAGAIN, -ENOMEM, -EMFILE, -ENFILE; -ENOSYS where pidfds are
 * refused; -EINVAL, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened, no program
 * was started. Thread safety: the loop's thread. */
COIR__CHECKED int coir_process_start(const coir_process_opts *opts, coir_process **ret_process);

/* Closes process and frees it, with its streams; NULL is accepted. One that still runs is sent
 * SIGTERM, after the grace SIGKILL, and is waited for; where the task is cancelled or has expired,
 * or outside a task, it is killed at once. Tasks that wait for it get -COIR_ECLOSED. Cancel safety:
 * always closes; a cancellation that comes meanwhile ends the grace. What does not even end a
 * second after SIGKILL (a disk that does not answer) is left to the loop, which reaps it later.
 * Thread safety: the loop's thread. */
COIR__PUBLIC void coir_process_close(coir_process *process);

COIR_CLOSER(coir_process, coir_process_close);

/* The stream to the process's input, or from its output or errors. It is the process's, which
 * closes it.
 * Returns it, or NULL where there is no pipe. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC coir_stream *coir_process_in(const coir_process *process);
COIR__PUBLIC coir_stream *coir_process_out(const coir_process *process);
COIR__PUBLIC coir_stream *coir_process_err(const coir_process *process);

/* Closes the stream to the process's input: it reads the end. Nothing happens where there is none.
 * Cancel safety: always closes. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_process_end_input(coir_process *process);

/* The number of the process, for people and for other programs. It is its own until somebody has
 * seen that the process has ended.
 * Returns it. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC pid_t coir_process_pid(const coir_process *process);

/* Waits until the process has ended. Any number of tasks may; afterwards it does not wait.
 * Returns 0, and writes *ret_status (NULL: not wanted). Errors: -ECHILD when somebody else has
 * taken the status, -COIR_ECLOSED when it is closed meanwhile, -ENOMEM, -EINVAL, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened, the process goes on. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_process_wait(coir_process *process, coir_process_status *ret_status);

/* As coir_process_wait, without waiting; also outside a task.
 * Returns 1, and writes *ret_status, or 0 while it runs. Errors: -ECHILD, -EINVAL,
 * -COIR_EWRONGLOOP. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_process_try(coir_process *process, coir_process_status *ret_status);

/* Sends a signal to the process alone.
 * Returns 0. Errors: -ESRCH when it has ended, -EPERM, -EINVAL for no signal, -COIR_EWRONGLOOP.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_process_signal(coir_process *process, int number);

/* Ends the process: SIGTERM, after grace nanoseconds SIGKILL. Then it waits for
 * the end.
 * Returns 0, and writes *ret_status (NULL: not wanted). Errors: -EPERM, else as coir_process_wait.
 * Cancel safety: it may have been asked to end; closing it kills it. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_process_terminate(coir_process *process, coir_time grace,
                                         coir_process_status *ret_status);

/* Writes input to the process and ends its input, reads all that it writes, both at the same time,
 * and waits for it. What has no pipe is left out: out and err may be NULL then. The buffers are
 * grown up to limit bytes each (0: their own limits), what they held before included. A process
 * that does not read all of its input is no failure. When it has children that keep the pipe open,
 * these are waited for too.
 * Returns 0, and writes *ret_status (NULL: not wanted). Errors: -COIR_ETOOLONG when it writes more
 * than limit, those of the streams, else as coir_process_wait. Cancel safety: the process goes on,
 * its input may be cut short; what was read stays in out and err. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_process_communicate(coir_process *process, coir_bytes input, size_t limit,
                                           coir_buffer *out, coir_buffer *err,
                                           coir_process_status *ret_status);

/* What came of a program that was run. Zero-initialised. */
typedef struct coir_process_result {
    coir_process_status status;
    coir_buffer out, err; /* what it wrote */
    void *coir__reserved[2];
} coir_process_result;

/* Frees what was read. Cancel safety: never waits. Thread safety: any thread, one at a time. */
COIR__PUBLIC void coir_process_result_close(coir_process_result *result);

COIR_CLOSER_VALUE(coir_process_result, coir_process_result_close);

/* Runs a program to its end, and reads what it writes. opts may be NULL; its argv is not looked at.
 *
 *     COIR_AUTO(coir_process_result) result = {0};
 *     COIR_DEADLINE(COIR_SEC(10));
 *     COIR_TRY(coir_process_run(COIR_ARGV("df", "-h"), NULL, &result));
 *
 * Returns 0, whatever the program exits with, and writes *ret_result, which is overwritten and the
 * caller's to close, also after a failure. Errors: those of coir_process_start and
 * coir_process_communicate. Cancel safety: the program is killed. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_process_run(const char *const *argv, const coir_process_opts *opts,
                                   coir_process_result *ret_result);

COIR__PUBLIC extern const struct coir__waitable coir__on_process;

/* A case of coir_select: the process ends. coir_process_try says how. */
#define COIR_ON_PROCESS(process)                                                                   \
    {                                                                                              \
        .coir__kind = &coir__on_process, .coir__object = COIR__OF_TYPE(coir_process, process),     \
    }

COIR__END
#endif
