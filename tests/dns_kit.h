/* dns_kit.h: for tests of names: a name server in a task of the test, by UDP and TCP, with a table
 * of records and a number of ways to go wrong. It is asked over real sockets, so there is none on
 * the simulated backend.
 */
#ifndef COIR_TESTS_DNS_KIT_H
#define COIR_TESTS_DNS_KIT_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/dns.h>
#include <coir/event.h>
#include <coir/tcp.h>
#include <coir/udp.h>

#include "net_pair.h"

#define NEEDS_SOCKETS                                                                              \
    if (strcmp(coir_test_backend(), "sim") == 0)                                                   \
    COIR_SKIP("c-ares has sockets of its own")

enum { A = 1, CNAME = 5, PTR = 12, MX = 15, TXT = 16, AAAA = 28, SRV = 33 };
enum { SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5 };

struct record {
    const char *name; /* small letters */
    int type;
    unsigned ttl;
    const char *data; /* as in a zone file; NULL: the name exists, without this type */
};

/* What a server does with a question, but for answering it. */
enum trick {
    HONEST,
    SILENT,
    FAILS,            /* SERVFAIL */
    REFUSES,          /* REFUSED */
    GARBAGE,          /* bytes that are no message */
    CUT_SHORT,        /* the first half of the answer */
    WRONG_ID,         /* an answer to another question, by its number */
    WRONG_QUESTION,   /* the same, by the name in it */
    TOO_LONG,         /* truncated by UDP: ask again by TCP */
    TURNS_IN_CIRCLES, /* a name that is compressed to itself */
    CLAIMS_MORE,      /* more records than there are */
    MUTATED,          /* bytes behind the question are others */
    EMPTY,            /* no bytes at all */
};

struct server {
    coir_udp *udp;
    coir_listener *listener;
    char address[COIR_ADDRESS_TEXT];
    const struct record *records;
    size_t count;
    enum trick trick;
    unsigned tricks; /* how many questions that holds for; 0: all */
    unsigned asked, asked_by_tcp;
    coir_event arrived;        /* a question, since it was cleared */
    char last[COIR_NAME_TEXT]; /* that was asked for */
};

/* ---- messages ---- */

struct message_out {
    unsigned char bytes[4096];
    size_t length;
};

static inline void put(struct message_out *out, const void *data, size_t size)
{
    if (out->length + size > sizeof out->bytes)
        abort();
    memcpy(out->bytes + out->length, data, size);
    out->length += size;
}

static inline void put_number(struct message_out *out, uint32_t number, int size)
{
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) {
        unsigned char byte = (unsigned char)(number >> shift);
        put(out, &byte, 1);
    }
}

static inline void put_name(struct message_out *out, const char *name)
{
    while (*name != '\0') {
        size_t length = strcspn(name, ".");
        if (length > 0) {
            put_number(out, (uint32_t)length, 1);
            put(out, name, length);
        }
        name += length + (name[length] == '.');
    }
    put_number(out, 0, 1);
}

static inline void put_data(struct message_out *out, const struct record *record)
{
    unsigned char bytes[16];
    unsigned a, b, c;
    char host[256] = "";
    switch (record->type) {
    case A:
        (void)inet_pton(AF_INET, record->data, bytes);
        put(out, bytes, 4);
        break;
    case AAAA:
        (void)inet_pton(AF_INET6, record->data, bytes);
        put(out, bytes, 16);
        break;
    case TXT:
        put_number(out, (uint32_t)strlen(record->data), 1);
        put(out, record->data, strlen(record->data));
        break;
    case MX:
        (void)sscanf(record->data, "%u %255s", &a, host);
        put_number(out, a, 2);
        put_name(out, host);
        break;
    case SRV:
        (void)sscanf(record->data, "%u %u %u %255s", &a, &b, &c, host);
        put_number(out, a, 2);
        put_number(out, b, 2);
        put_number(out, c, 2);
        put_name(out, host);
        break;
    default: put_name(out, record->data);
    }
}

static inline void put_record(struct message_out *out, const struct record *record)
{
    put_name(out, record->name);
    put_number(out, (uint32_t)record->type, 2);
    put_number(out, 1, 2);
    put_number(out, record->ttl, 4);
    size_t at = out->length;
    put_number(out, 0, 2);
    put_data(out, record);
    size_t length = out->length - at - 2;
    out->bytes[at] = (unsigned char)(length >> 8);
    out->bytes[at + 1] = (unsigned char)length;
}

/* Reads the question's name. Returns the bytes that it takes with type and class, 0 when it is
 * broken. */
static inline size_t read_question(const unsigned char *at, size_t size, char *ret_name,
                                   int *ret_type)
{
    size_t i = 0, to = 0;
    while (i < size && at[i] != 0) {
        size_t label = at[i++];
        if (label > 63 || i + label >= size || to + label + 2 > COIR_NAME_TEXT)
            return 0;
        for (size_t end = i + label; i < end; i++)
            ret_name[to++] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 32 : at[i]);
        ret_name[to++] = '.';
    }
    ret_name[to > 0 ? to - 1 : 0] = '\0';
    if (i + 5 > size)
        return 0;
    *ret_type = at[i + 1] << 8 | at[i + 2];
    return i + 5;
}

/* Adds what is known of name, along its aliases. Returns how many records; *ret_exists says whether
 * there is such a name. */
static inline unsigned put_answers(const struct server *server, struct message_out *out,
                                   const char *name, int type, bool *ret_exists)
{
    unsigned count = 0;
    for (size_t i = 0; i < server->count && count < 40; i++) {
        const struct record *record = &server->records[i];
        if (strcmp(record->name, name) != 0)
            continue;
        *ret_exists = true;
        if (record->data == NULL || (record->type != type && record->type != CNAME))
            continue;
        put_record(out, record);
        count++;
        if (record->type == CNAME && out->length < 2048)
            count += put_answers(server, out, record->data, type, ret_exists);
    }
    return count;
}

static inline void put_header(struct message_out *out, const unsigned char *query, int flags)
{
    put(out, query, 2);
    put_number(out, 0x8180U | (unsigned)flags, 2);
    put_number(out, 1, 2);
    put_number(out, 0, 2);
    put_number(out, 0, 2);
    put_number(out, 0, 2);
}

/* Changes a few bytes, the counters among them, and perhaps the length. */
static inline void mutate(struct message_out *out, size_t question)
{
    static uint64_t state = 88172645463325252U; /* xorshift: the same in each run */
    for (int changes = 3; changes > 0; changes--) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        size_t room = out->length - question;
        size_t at = room > 0 && state % 4 != 0 ? question + (size_t)(state >> 8) % room
                                               : 6 + (size_t)(state >> 8) % 6;
        out->bytes[at] = state & 0x10000000U ? (unsigned char)(state >> 32) : 0xc0;
    }
    if (state % 8 == 0 && out->length > question)
        out->length -= (size_t)(state >> 8) % (out->length - question);
}

static inline void spoil(struct message_out *out, enum trick trick, size_t question)
{
    switch (trick) {
    case GARBAGE: memset(out->bytes, 0xc3, out->length); break;
    case CUT_SHORT: out->length /= 2; break;
    case WRONG_ID: out->bytes[0] ^= 0x55; break;
    case WRONG_QUESTION: out->bytes[13] ^= 1; break;
    case CLAIMS_MORE: out->bytes[6] = 0x7f; break;
    case MUTATED: mutate(out, question); break;
    case EMPTY: out->length = 0; break;
    default: break;
    }
}

/* Makes the answer to a query. Returns false for none. */
static inline bool reply_to(struct server *server, const unsigned char *query, size_t size,
                            bool tcp, struct message_out *out)
{
    int type;
    out->length = 0;
    size_t question = size > 12 ? read_question(query + 12, size - 12, server->last, &type) : 0;
    if (question == 0)
        return false;
    server->asked++;
    (void)coir_event_set(&server->arrived);
    server->asked_by_tcp += tcp;
    enum trick trick =
        server->tricks == 0 || server->asked <= server->tricks ? server->trick : HONEST;
    if (trick == TOO_LONG && tcp)
        trick = HONEST;
    if (trick == SILENT)
        return false;
    int flags = trick == FAILS ? SERVFAIL : trick == REFUSES ? REFUSED : 0;
    put_header(out, query, trick == TOO_LONG ? 0x200 : flags);
    put(out, query + 12, question);
    if (flags != 0 || trick == TOO_LONG)
        return true;
    bool exists = false;
    unsigned count = 0;
    if (trick == TURNS_IN_CIRCLES) {
        put_number(out, 0xc000U + (uint32_t)out->length, 2);
        put_number(out, (uint32_t)type, 2);
        put_number(out, 1, 2);
        put_number(out, 60, 4);
        put_number(out, 4, 2);
        put(out, "\x7f\0\0\1", 4);
        exists = true;
        count = 1;
    } else {
        count = put_answers(server, out, server->last, type, &exists);
    }
    out->bytes[7] = (unsigned char)count;
    if (!exists)
        out->bytes[3] |= NXDOMAIN;
    spoil(out, trick, 12 + question);
    return true;
}

/* ---- serving ---- */

static inline int serve_datagrams(void *arg)
{
    struct server *server = arg;
    for (;;) {
        unsigned char query[1500];
        struct message_out out;
        size_t length;
        coir_address from;
        COIR_TRY(coir_udp_receive(server->udp, query, sizeof query, &length, &from));
        if (!reply_to(server, query, length, false, &out))
            continue;
        int r = coir_udp_send(server->udp, out.bytes, out.length, &from);
        if (r == -ECANCELED || r == -ETIME)
            return r;
    }
}

static inline int serve_connection(coir_stream *stream, void *arg)
{
    for (;;) {
        unsigned char size[2], query[1500];
        struct message_out out;
        COIR_TRY(coir_stream_read_exactly(stream, size, 2));
        size_t length = (size_t)size[0] << 8 | size[1];
        if (length > sizeof query)
            return -EMSGSIZE;
        COIR_TRY(coir_stream_read_exactly(stream, query, length));
        if (!reply_to(arg, query, length, true, &out))
            continue;
        size[0] = (unsigned char)(out.length >> 8);
        size[1] = (unsigned char)out.length;
        COIR_TRY(coir_stream_write(stream, size, 2));
        COIR_TRY(coir_stream_write(stream, out.bytes, out.length));
    }
}

static inline int serve_connections(void *arg)
{
    struct server *server = arg;
    return coir_listener_serve(server->listener, serve_connection, server);
}

static inline void server_close(struct server *server)
{
    coir_udp_close(server->udp);
    coir_listener_close(server->listener);
}

typedef struct server server;
COIR_CLOSER_VALUE(server, server_close);

/* Opens a server at a free port, the same by UDP and TCP. */
static inline int server_open(struct server *server, const struct record *records, size_t count)
{
    server->records = records;
    server->count = count;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &server->listener));
    COIR_TRY(coir_listener_address(server->listener, server->address, sizeof server->address));
    return coir_udp_open(server->address, NULL, NULL, &server->udp);
}

static inline int server_start(struct server *server, coir_group *group)
{
    COIR_TRY(coir_spawn(group, serve_datagrams, server, NULL));
    return coir_spawn(group, serve_connections, server, NULL);
}

/* A resolver that asks server only, and no files. */
static inline int open_for(const struct server *server, coir_dns_opts opts, coir_dns **ret_dns)
{
    opts.servers = server->address;
    if (opts.search == NULL)
        opts.search = "";
    if (opts.hosts_file == NULL)
        opts.hosts_file = "";
    return coir_dns_open(&opts, ret_dns);
}

/* Declares a server with the records that does not run yet, and a resolver that asks it, for the
 * rest of a test. While it runs, no virtual time passes: the kernel might have something for it. */
#define RESTING_SERVER(name, table, dns, ...)                                                      \
    NEEDS_SOCKETS;                                                                                 \
    PATIENCE;                                                                                      \
    COIR_AUTO(server) name = {0};                                                                  \
    COIR_REQUIRE_OK(server_open(&name, table, COIR_COUNT(table)));                                 \
    COIR_AUTO(coir_dns) *dns = NULL;                                                               \
    COIR_REQUIRE_OK(open_for(&name, (coir_dns_opts){__VA_ARGS__}, &dns))

/* The same with a server that runs. */
#define SERVER(name, table, dns, ...)                                                              \
    RESTING_SERVER(name, table, dns, __VA_ARGS__);                                                 \
    COIR_GROUP_COLLECT(name##_group);                                                              \
    COIR_REQUIRE_OK(server_start(&name, &name##_group))

/* A lookup of IPv4 addresses while the server runs. */
static inline int lookup_served(server *server, coir_dns *dns, const char *name,
                                coir_dns_answer *ret_found)
{
    COIR_GROUP_COLLECT(group);
    COIR_TRY(server_start(server, &group));
    return coir_dns_lookup(dns, name, AF_INET, ret_found);
}

/* What a lookup gives as one text: addresses with blanks between, or the name of the code. */
static inline const char *lookup_text(coir_dns *dns, const char *name, int family)
{
    static char all[1024];
    coir_dns_answer found;
    size_t length = 0;
    int r = coir_dns_lookup(dns, name, family, &found);
    if (r < 0)
        return coir_error_name(r);
    all[0] = '\0';
    for (size_t i = 0; i < found.count && length < sizeof all; i++) {
        char text[INET6_ADDRSTRLEN] = "?";
        const void *address = &found.addresses[i].storage;
        if (found.addresses[i].storage.ss_family == AF_INET)
            (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text,
                            sizeof text);
        else
            (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text,
                            sizeof text);
        length +=
            (size_t)snprintf(all + length, sizeof all - length, "%s%s", i > 0 ? " " : "", text);
    }
    return all;
}

#endif
