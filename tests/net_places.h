/* net_places.h: for tests of connecting: addresses that answer, that do not, and that refuse.
 *
 * An address that does not answer is that of a listener whose queue is full. With a kernel waiting
 * for such a one takes real time, so tests with it say only how long something takes at least.
 */
#ifndef COIR_TESTS_NET_PLACES_H
#define COIR_TESTS_NET_PLACES_H

#include "net_pair.h"

/* A listener that answers, or one that does not, and what keeps it from that. */
struct place {
    coir_listener *listener;
    coir_stream *held[2];
    char name[COIR_ADDRESS_TEXT];
    coir_address address;
};

static inline void place_close(struct place *place)
{
    for (size_t i = 0; i < COIR_COUNT(place->held); i++)
        coir_stream_abort(place->held[i]);
    coir_listener_close(place->listener);
}

typedef struct place place;
COIR_CLOSER_VALUE(place, place_close);

static inline int listen_at(struct place *place, const char *where, int backlog)
{
    const coir_listen_opts opts = {.backlog = backlog};
    COIR_TRY(coir_tcp_listen(where, &opts, &place->listener));
    COIR_TRY(coir_listener_address(place->listener, place->name, sizeof place->name));
    return coir_address_parse(place->name, &place->address);
}

static inline int open_good(struct place *place, const char *where)
{
    return listen_at(place, where, 8);
}

static inline int open_stalled(struct place *place, const char *where)
{
    COIR_TRY(listen_at(place, where, 1));
    for (size_t i = 0; i < COIR_COUNT(place->held); i++)
        COIR_TRY(coir_tcp_connect(place->name, NULL, &place->held[i]));
    return 0;
}

/* An address that nobody listens at. */
static inline int open_refused(struct place *place, const char *where)
{
    COIR_TRY(listen_at(place, where, 1));
    coir_listener_close(COIR_TAKE(place->listener));
    return 0;
}

/* Expects that stream is connected to place. */
static inline void expect_at(coir_stream *stream, const struct place *place)
{
    char peer[COIR_ADDRESS_TEXT];
    COIR_REQUIRE(stream != NULL);
    COIR_REQUIRE_OK(coir_stream_peer(stream, peer, sizeof peer));
    COIR_EXPECT_STR(peer, place->name);
}

#endif
