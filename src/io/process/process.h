/* process.h: the inside of processes, shared by process.c (handles, waiting, closing) and
 * launch.c (the new process until its exec). Internal to io.
 */
#ifndef COIR_IO_PROCESS_H
#define COIR_IO_PROCESS_H

#include <sys/types.h>

#include "core/core.h"

enum coir__launch_step { COIR__LAUNCH_CLONE, COIR__LAUNCH_DIRECTORY, COIR__LAUNCH_EXEC };

/* What a new process does before its exec, as plain data: it must not call the C library. */
struct coir__launch {
    const char *const *paths; /* to try, one after the other; NULL at the end */
    const char *const *argv, *const *env;
    const char *cwd; /* or NULL */
    int fds[3];      /* -1: as it is */
    bool err_to_out; /* fds[2] is not looked at */
    bool group, session;
    /* What came of it. In memory that the new process shares. */
    volatile bool ran;
    volatile int error; /* an errno; 0: exec has succeeded */
    volatile int step;  /* enum coir__launch_step: where */
    int report;         /* where error and step are written when memory is not shared; or -1 */
};

/* Starts a process. On failure there is none, and step says where it failed. */
int coir__launch(struct coir__launch *launch, pid_t *ret_pid, int *ret_pidfd);

/* The loop closes: what still runs is killed and reaped. Called by the backends. */
void coir__process_loop_closes(struct coir_loop *loop);

#endif
