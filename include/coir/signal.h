/* coir/signal.h: signals of the system as something to wait for.
 *
 * A set of signals is taken over while it is open: they no longer end the process, and a task can
 * wait for them. Several that arrive before they are waited for are one. Any number of sets, on any
 * loop of the process, get every signal that they ask for.
 *
 *     COIR_AUTO(coir_signals) *signals = NULL;
 *     COIR_TRY(coir_signals_open((const int[]){SIGHUP, SIGUSR1}, 2, &signals));
 *     for (;;) {
 *         int number;
 *         COIR_TRY(coir_signals_wait(signals, &number));
 *         COIR_TRY(number == SIGHUP ? reload() : report());
 *     }
 *
 * For a single one, coir_signal_wait(SIGHUP) and COIR_ON_SIGNAL(SIGHUP) of <coir/select.h> need
 * no set: the first use of a number takes that signal over for the rest of the loop's life, so that
 * one which arrives between two waits is kept for the next.
 *
 * Waiting for a signal is hope: a loop in which only such a wait is left is not deadlocked. SIGINT
 * and SIGTERM cancel the main task of coir_main; while a set has one of them, they do not.
 */
#ifndef COIR_SIGNAL_H
#define COIR_SIGNAL_H

#include <signal.h>

#include <coir/task.h>

COIR__BEGIN

/* A set of signals that were taken over; opaque. */
typedef struct coir_signals coir_signals;

/* Takes over count signals.
 * Returns 0, and writes *ret_signals, which is the caller's to close. Errors: -EINVAL for what
 * cannot be waited for (SIGKILL, SIGSTOP, SIGSEGV and other faults) or is no signal, -ENOMEM,
 * -ENOSPC when too many loops wait for signals (64), -COIR_ENOTASK where no loop runs. Cancel
 * safety: never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_signals_open(const int *numbers, size_t count, coir_signals **ret_signals);

/* Waits until one of the signals arrives, or takes one that has arrived since the last wait; when
 * several have, each gets its turn.
 * Returns 0, and writes the signal to *ret_number. Errors: -EBUSY while another task waits,
 * -COIR_ECLOSED when it is closed meanwhile, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME.
 * Cancel safety: no signal is lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_signals_wait(coir_signals *signals, int *ret_number);

/* Gives the signals back and frees the set; NULL is accepted. With the last set that has a signal,
 * what it did before is restored; if it arrived and nobody has waited for it, it is raised again,
 * so that none is lost. A task that waits gets -COIR_ECLOSED. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC void coir_signals_close(coir_signals *signals);

COIR_CLOSER(coir_signals, coir_signals_close);

/* Waits for one signal, which is taken over until the loop ends. All tasks that wait for it are
 * woken.
 * Returns 0. Errors: as coir_signals_open and coir_signals_wait. Cancel safety: the signal is not
 * lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_signal_wait(int number);

COIR__END
#endif
