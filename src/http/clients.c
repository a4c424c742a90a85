/* clients.c: who is at the other end: how many connections each client has.
 *
 * A client is an address of IPv4, or a network of 64 bits of IPv6, which is what one subscriber
 * gets. As long as a server has no more connections than one client may have, nobody is looked at:
 * asking for an address is a system call. From then on each connection is counted, also those that
 * are there already, until the last one has ended. Unix sockets have no address and are never
 * counted. Called by connection.c.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>

#include <coir/memory.h>
#include <coir/socket.h>

#include "app.h"

enum { BUCKETS = 1024 };

/* A client that has connections. */
struct coir__http_client {
    struct coir__http_client *next; /* in its bucket */
    struct coir__http_key key;
    size_t connections;
};

struct coir__http_clients {
    uint64_t secret[2]; /* or somebody could choose addresses that share a bucket */
    struct coir__http_client *buckets[BUCKETS];
};

bool coir__http_peer_key(coir_stream *stream, struct coir__http_key *ret_key)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (coir_stream_address(stream, true, (struct sockaddr *)&storage, &length) < 0)
        return false;
    if (storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&storage;
        *ret_key = (struct coir__http_key){{[10] = 0xff, [11] = 0xff}};
        memcpy(ret_key->bytes + 12, &in->sin_addr, 4);
    } else if (storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&storage;
        memcpy(ret_key->bytes, &in6->sin6_addr, 16);
    }
    return storage.ss_family == AF_INET || storage.ss_family == AF_INET6;
}

static bool is_mapped(const struct coir__http_key *key)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(key->bytes, prefix, sizeof prefix) == 0;
}

static struct coir__http_client **bucket_of(struct coir__http_clients *clients,
                                            const struct coir__http_key *key)
{
    uint64_t halves[2];
    memcpy(halves, key->bytes, sizeof halves);
    unsigned __int128 product =
        (unsigned __int128)(halves[0] ^ clients->secret[0]) * (halves[1] ^ clients->secret[1]);
    uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64);
    return &clients->buckets[mixed % BUCKETS];
}

/* Counts a connection. What cannot be counted, for want of memory, is not. */
static void count(struct coir__http_clients *clients, struct coir__http_connection *connection)
{
    struct coir__http_key key;
    if (connection->client != NULL || connection->stream == NULL ||
        !coir__http_peer_key(connection->stream, &key))
        return;
    if (!is_mapped(&key))
        memset(key.bytes + 8, 0, 8);
    struct coir__http_client **bucket = bucket_of(clients, &key), *client = *bucket;
    while (client != NULL && memcmp(client->key.bytes, key.bytes, sizeof key.bytes) != 0)
        client = client->next;
    if (client == NULL) {
        client = coir_calloc(1, sizeof *client);
        if (client == NULL)
            return;
        client->key = key;
        client->next = *bucket;
        *bucket = client;
    }
    client->connections++;
    connection->client = client;
}

static bool begin_counting(struct coir__http_serving *serving)
{
    struct coir__http_clients *clients = coir_calloc(1, sizeof *clients);
    if (clients == NULL || getrandom(clients->secret, sizeof clients->secret, GRND_NONBLOCK) < 0) {
        coir_free(clients);
        return false;
    }
    serving->clients = clients;
    for (struct coir__http_connection *at = serving->active.first; at != NULL; at = at->next)
        count(clients, at);
    for (struct coir__http_connection *at = serving->idle.first; at != NULL; at = at->next)
        count(clients, at);
    return true;
}

bool coir__http_client_enters(struct coir__http_connection *connection)
{
    struct coir__http_serving *serving = connection->serving;
    size_t most = connection->app->opts.client_connections;
    if (serving->clients == NULL && (serving->connections <= most || !begin_counting(serving)))
        return true;
    count(serving->clients, connection);
    return connection->client == NULL || connection->client->connections <= most;
}

void coir__http_client_leaves(struct coir__http_connection *connection)
{
    struct coir__http_serving *serving = connection->serving;
    struct coir__http_client *client = COIR_TAKE(connection->client);
    if (client != NULL && --client->connections == 0) {
        struct coir__http_client **place = bucket_of(serving->clients, &client->key);
        while (*place != client)
            place = &(*place)->next;
        *place = client->next;
        coir_free(client);
    }
    if (serving->connections == 0)
        coir_free(COIR_TAKE(serving->clients));
}
