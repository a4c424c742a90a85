/* channel.h: the handles of channels, shared by channel.c (channels of one loop) and
 * channel_shared.c (channels between threads).
 *
 * A handle of a shared channel points to a channel of one loop too, one that belongs to no loop:
 * so the short way of a send or receive needs no other question than the one whose channel it is.
 */
#ifndef COIR_SYNC_CHANNEL_H
#define COIR_SYNC_CHANNEL_H

#include <coir/channel.h>
#include <coir/select.h>

#include "sync/sync.h"

struct channel;
struct coir__shared;

struct coir_sender {
    struct channel *channel;
    struct coir__shared *shared; /* NULL: of one loop */
};

struct coir_receiver {
    struct channel *channel;
    struct coir__shared *shared;
};

/* The channel of no loop (channel.c). */
extern struct channel coir__channel_of_no_loop;

/* channel_shared.c: as the public calls of the same names, once it is known that the channel is
 * shared. */
int coir__shared_send(struct coir__shared *shared, const void *item, size_t size);
int coir__shared_try_send(struct coir__shared *shared, const void *item, size_t size);
int coir__shared_receive(struct coir__shared *shared, void *ret_item, size_t size);
int coir__shared_try_receive(struct coir__shared *shared, void *ret_item, size_t size);
int coir__shared_clone_sender(struct coir__shared *shared, coir_sender **ret_clone);
int coir__shared_clone_receiver(struct coir__shared *shared, coir_receiver **ret_clone);
void coir__shared_close_sender(struct coir__shared *shared);
void coir__shared_close_receiver(struct coir__shared *shared);
void coir__shared_stats(struct coir__shared *shared, struct coir_channel_stats *ret_stats);
int coir__shared_begin(struct coir__shared *shared, struct coir_case *wanted, bool sending);
void coir__shared_withdraw(struct coir_case *wanted);
size_t coir__shared_describe(struct coir__shared *shared, bool sending, char *text, size_t size);

#endif
