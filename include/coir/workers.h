/* coir/workers.h: many processors: one loop for each, on a thread of its own.
 *
 * A loop uses one processor. A server that needs more runs the same function on several loops,
 * which share nothing but an address (reuse_port): the kernel hands each connection to one of them.
 *
 *     static int serve(unsigned index, void *arg)
 *     {
 *         COIR_AUTO(coir_listener) *listener = NULL;
 *         COIR_TRY(coir_tcp_listen("0.0.0.0:8080", &(coir_listen_opts){.reuse_port = true},
 *                                  &listener));
 *         return coir_listener_serve(listener, handle, arg);
 *     }
 *
 *     static int app(void *arg) { return coir_workers(0, serve, arg); }
 *
 *     int main(void) { return coir_main(app, NULL); }
 *
 * The workers are children of the call, as tasks are of a group: it ends when all have, the first
 * failure cancels the others, and a cancellation of the caller cancels all. So SIGINT and SIGTERM,
 * which cancel the main task of coir_main, end every worker in the same way; a second one ends the
 * process. What workers share, and is not constant, takes a channel of coir_channel_open_shared,
 * coir_call_on, or the means of threads.
 */
#ifndef COIR_WORKERS_H
#define COIR_WORKERS_H

#include <coir/loop.h>

COIR__BEGIN

/* What each worker runs as the main task of its loop; index counts from 0. */
typedef int (*coir_worker_fn)(unsigned index, void *arg);

/* Starts n threads (0: as many as there are processors that the process may use), each with a loop
 * that runs fn(index, arg), and waits until all have ended. The calling task's loop goes on
 * meanwhile.
 * Returns 0 when all have returned 0 or more. Errors: the first failure of a worker, with its text;
 * -EAGAIN when a thread cannot be started and the failures of coir_loop_open, after those that run
 * were cancelled and have ended; -EINVAL, -ENOMEM, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel
 * safety: all workers are cancelled, and waited for; when none of them heard of it in time, the
 * call gives what they returned. Thread safety: the loop's thread. */
COIR__CHECKED int coir_workers(unsigned n, coir_worker_fn fn, void *arg);

/* Zero means the default for each field. */
typedef struct coir_workers_opts {
    bool pin;         /* each stays on a processor of its own, in turn when there are more */
    const char *name; /* their threads are "coir/NAME/0" and so on, cut to 15 bytes; NULL:
                                   "worker" */
    const coir_loop_opts *loop; /* of each; its report hook is called on their threads; NULL: as for
                                   coir_run */
    size_t coir__reserved[5];
} coir_workers_opts;

/* As coir_workers, with options (NULL: none).
 * Returns 0. Errors, Cancel safety, Thread safety: as coir_workers. */
COIR__CHECKED int coir_workers_with(unsigned n, coir_worker_fn fn, void *arg,
                                    const coir_workers_opts *opts);

/* How many processors the calling thread may use. Returns the number, at least 1. Cancel safety:
 * never waits. Thread safety: any thread. */
COIR__PUBLIC unsigned coir_processors(void);

COIR__END
#endif
