/* outside.h: descriptors that the library shares with others, or that the simulation does not know.
 * Internal to io.
 */
#ifndef COIR_IO_OUTSIDE_H
#define COIR_IO_OUTSIDE_H

#include <coir/stream.h>

#include "core/backend.h"

/* Prepares op to wait for events at fd; the simulation asks the machine. */
void coir__outside_poll(struct coir__op *op, int fd, short events,
                        void (*done)(struct coir__op *op));

struct coir__outside_opts {
    const char *name; /* of the kind; static */
    bool waits;       /* the descriptor is in blocking mode, and must stay so */
    bool keep;        /* it is not closed with the stream */
};

/* Makes a stream of fd, which is taken over unless it is kept. On failure it is the caller's. */
int coir__outside_stream(int fd, const struct coir__outside_opts *opts, coir_stream **ret_stream);

/* The same of a descriptor that is nobody else's: it becomes non-blocking. */
int coir__outside_own(int fd, const char *name, coir_stream **ret_stream);

/* A pipe for a process: an end of it for the child, in blocking mode, and a stream of the other. */
int coir__outside_pipe(bool child_reads, int *ret_childs, coir_stream **ret_ours);

#endif
