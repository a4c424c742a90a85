/* clients.c: who is at the other end: who the client is behind proxies, and how many connections
 * each has.
 *
 * A client is an address of IPv4, or a network of 64 bits of IPv6, which is what one subscriber
 * gets. As long as a server has no more connections than one client may have, nobody is looked at:
 * asking for an address is a system call. From then on each connection is counted, also those that
 * are there already, until the last one has ended. Unix sockets have no address and are never
 * counted, nor are proxies. A proxy says in a header who its client is; it is believed as far as
 * the addresses that it names are proxies too, from the end on, since what stands before them comes
 * from whoever has connected to the first. Called by app.c, connection.c and programs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <coir/memory.h>
#include <coir/socket.h>

#include "app.h"
#include "../ws/ws.h"

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

/* ---- addresses ---- */

enum kind { NOBODY, ADDRESS, UNIX };

static void map(const void *in_addr, struct coir__http_key *ret_key)
{
    *ret_key = (struct coir__http_key){{[10] = 0xff, [11] = 0xff}};
    memcpy(ret_key->bytes + 12, in_addr, 4);
}

coir_stream *coir__http_stream(const struct coir__http_connection *connection)
{
    return connection->ws != NULL ? connection->ws->stream : connection->stream;
}

/* Who stream is connected to. */
static enum kind peer_of(coir_stream *stream, struct coir__http_key *ret_key)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (stream == NULL ||
        coir_stream_address(stream, true, (struct sockaddr *)&storage, &length) < 0)
        return NOBODY;
    if (storage.ss_family == AF_INET)
        map(&((const struct sockaddr_in *)&storage)->sin_addr, ret_key);
    else if (storage.ss_family == AF_INET6)
        memcpy(ret_key->bytes, &((const struct sockaddr_in6 *)&storage)->sin6_addr, 16);
    else
        return storage.ss_family == AF_UNIX ? UNIX : NOBODY;
    return ADDRESS;
}

/* Reads an address of length bytes: "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]",
 * "[2001:db8::1]:80". */
static bool read_address(const char *text, size_t length, struct coir__http_key *ret_key)
{
    char copy[64];
    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *colon = strchr(copy, ':'), *begin = copy, *end = strchr(copy, ']');
    if (copy[0] == '[' && end != NULL) {
        *end = '\0';
        begin++;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    struct in_addr in;
    if (inet_pton(AF_INET, begin, &in) == 1)
        map(&in, ret_key);
    else
        return inet_pton(AF_INET6, begin, ret_key->bytes) == 1;
    return true;
}

static bool is_mapped(const struct coir__http_key *key)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(key->bytes, prefix, sizeof prefix) == 0;
}

/* ---- proxies ---- */

struct coir__http_network {
    struct coir__http_key key;
    unsigned bits; /* of it that count */
};

/* Reads "10.0.0.0/8", or an address alone. */
static bool read_network(const char *text, size_t length, struct coir__http_network *ret_network)
{
    const char *slash = memchr(text, '/', length);
    size_t address = slash != NULL ? (size_t)(slash - text) : length;
    if (!read_address(text, address, &ret_network->key))
        return false;
    unsigned most = is_mapped(&ret_network->key) ? 32 : 128, bits = slash != NULL ? 0 : most;
    for (size_t i = address + 1; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || bits > most)
            return false;
        bits = 10 * bits + (unsigned)(text[i] - '0');
    }
    ret_network->bits = bits + 128 - most;
    return bits <= most && (slash == NULL || address + 1 < length);
}

int coir__http_read_proxies(coir_http_app *app, const char *text)
{
    size_t room = 1;
    for (const char *at = text; *at != '\0'; at++)
        room += strchr(" \t,", *at) != NULL;
    app->proxies = coir_calloc(room, sizeof *app->proxies);
    if (app->proxies == NULL)
        return -ENOMEM;
    while (*text != '\0') {
        text += strspn(text, " \t,");
        size_t length = strcspn(text, " \t,");
        if (length == 4 && memcmp(text, "unix", 4) == 0)
            app->unix_proxy = true;
        else if (length > 0 && (app->proxy_count == room ||
                                !read_network(text, length, &app->proxies[app->proxy_count++])))
            return coir_fail(-EINVAL, "proxies: '%.*s' is no address and no network",
                             (int)(length < 60 ? length : 60), text);
        text += length;
    }
    return 0;
}

static bool is_in(const struct coir__http_key *key, const struct coir__http_network *network)
{
    size_t bytes = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (memcmp(key->bytes, network->key.bytes, bytes) != 0)
        return false;
    unsigned differ = rest > 0 ? key->bytes[bytes] ^ network->key.bytes[bytes] : 0U;
    return differ >> (8 - rest) == 0;
}

static bool is_proxy(const coir_http_app *app, const struct coir__http_key *key)
{
    for (size_t i = 0; i < app->proxy_count; i++)
        if (is_in(key, &app->proxies[i]))
            return true;
    return false;
}

/* Whether the one who is connected is believed, and who it is. */
static bool is_believed(const coir_http_request *request, enum kind *ret_kind,
                        struct coir__http_key *ret_key)
{
    const coir_http_app *app = request->connection->serving->app;
    *ret_kind = peer_of(coir__http_stream(request->connection), ret_key);
    return *ret_kind == UNIX ? app->unix_proxy : *ret_kind == ADDRESS && is_proxy(app, ret_key);
}

/* ---- what proxies say ---- */

/* The words of all headers of a name, from the last one to the first. */
struct words {
    const coir_http_header *first, *at; /* at: behind the header that text is the value of */
    const char *name, *text, *end;
};

/* Where the word begins that ends at end: behind the last comma that stands in no quotes. What a
 * proxy has added is well formed, so quotes are told from its end; what stands before it is not. */
static const char *beginning_of(const char *text, const char *end)
{
    bool quoted = false;
    for (; end > text; end--) {
        size_t slashes = 0;
        if (end[-1] == ',' && !quoted)
            break;
        if (end[-1] != '"')
            continue;
        while (quoted && (size_t)(end - 1 - text) > slashes && end[-2 - (ptrdiff_t)slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            quoted = !quoted;
    }
    return end;
}

static bool previous_word(struct words *words, const char **ret_word, size_t *ret_length)
{
    while (words->text == words->end) {
        if (words->at == words->first)
            return false;
        words->at--;
        if (!coir__http_alike(words->at->name, words->name))
            continue;
        words->text = words->at->value;
        words->end = words->text + strlen(words->text);
    }
    const char *begin = beginning_of(words->text, words->end), *end = words->end;
    words->end = begin > words->text ? begin - 1 : begin;
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *ret_word = begin;
    *ret_length = (size_t)(end - begin);
    return true;
}

static struct words words_of(const coir_http_request *request, const char *name)
{
    const coir_http_header *first = coir_http_request_headers(request), *at = first;
    while (at->name != NULL)
        at++;
    return (struct words){.first = first, .at = at, .name = name};
}

/* Behind the parameter that begins at at: at the next ';' that stands in no quotes. */
static const char *end_of_parameter(const char *at, const char *end)
{
    bool quoted = false;
    for (; at < end && (quoted || *at != ';'); at++)
        if (*at == '"')
            quoted = !quoted;
        else if (quoted && *at == '\\' && at + 1 < end)
            at++;
    return at;
}

/* Makes of the element of a Forwarded the value of one of its parameters, without quotes; of none
 * if it is not there. */
static void take_parameter(const char *name, const char **word, size_t *length)
{
    size_t wanted = strlen(name);
    const char *at = *word, *end = at + *length;
    *length = 0;
    while (at < end) {
        const char *next = end_of_parameter(at, end);
        while (at < next && (*at == ' ' || *at == '\t'))
            at++;
        if ((size_t)(next - at) > wanted && coir__http_alike_start(at, name, wanted) &&
            at[wanted] == '=') {
            at += wanted + 1;
            bool quoted = next - at >= 2 && at[0] == '"' && next[-1] == '"';
            *word = at + quoted;
            *length = (size_t)(next - at) - (quoted ? 2 : 0);
            return;
        }
        at = next + (next < end);
    }
}

const char *coir_http_request_client(coir_http_request *request)
{
    const coir_http_app *app = request->connection->serving->app;
    bool forwarded = app->opts.forwarded;
    enum kind kind;
    struct coir__http_key key = {0}, next;
    if (is_believed(request, &kind, &key)) {
        struct words words = words_of(request, forwarded ? "Forwarded" : "X-Forwarded-For");
        const char *word;
        size_t length;
        bool believed = true;
        while (believed && previous_word(&words, &word, &length)) {
            if (forwarded)
                take_parameter("for", &word, &length);
            if (!read_address(word, length, &next))
                break;
            key = next;
            kind = ADDRESS;
            believed = is_proxy(app, &key);
        }
    }
    char text[INET6_ADDRSTRLEN] = "";
    if (kind == ADDRESS && is_mapped(&key))
        (void)inet_ntop(AF_INET, key.bytes + 12, text, sizeof text);
    else if (kind == ADDRESS)
        (void)inet_ntop(AF_INET6, key.bytes, text, sizeof text);
    const char *kept = coir__http_request_keep(request, text, strlen(text));
    return kept != NULL ? kept : "";
}

const char *coir_http_request_scheme(coir_http_request *request)
{
    const coir_http_app *app = request->connection->serving->app;
    bool forwarded = app->opts.forwarded, secure = app->opts.tls != NULL;
    enum kind kind;
    struct coir__http_key key;
    if ((app->proxy_count > 0 || app->unix_proxy) && is_believed(request, &kind, &key)) {
        struct words words = words_of(request, forwarded ? "Forwarded" : "X-Forwarded-Proto");
        const char *word;
        size_t length = 0;
        bool said = previous_word(&words, &word, &length);
        if (said && forwarded)
            take_parameter("proto", &word, &length);
        if (said && length > 0)
            secure = length == 5 && coir__http_alike_start(word, "https", length);
    }
    return secure ? "https" : "http";
}

/* ---- connections of a client ---- */

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
    if (connection->client != NULL || peer_of(coir__http_stream(connection), &key) != ADDRESS ||
        is_proxy(connection->serving->app, &key))
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
    size_t most = connection->serving->app->opts.client_connections;
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
