/* signal.h: what backends tell signal.c. Internal to io. */
#ifndef COIR_IO_SIGNAL_H
#define COIR_IO_SIGNAL_H

struct coir_loop;

/* loop is about to be freed: no signal may look at it any more. */
void coir__signal_loop_closes(struct coir_loop *loop);

#endif
