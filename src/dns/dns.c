/* dns.c: a resolver: in which order its sources are asked, and what is kept of what they say.
 *
 * A lookup looks among the answers that are kept, then joins those that ask for the same name at
 * the same time, and of those one reads the hosts file and asks the servers. Answers are counted in
 * the time of the loop. The memory stays until the last call is out, so it may be closed while
 * tasks wait in it. Called by programs, and by the loop's coir_tcp_connect.
 */
#include "dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <coir/buffer.h>
#include <coir/file.h>

#define TTL_OTHERS COIR_SEC(5)       /* of answers that have none of their own */
#define TTL_MOST COIR_SEC(7 * 86400) /* whatever anybody says (RFC 8767) */

enum { HOSTS_MOST = 16 << 20, SERVERS_MOST = 8 };

/* ---- being in use ---- */

static void let_go(struct coir_dns *dns)
{
    if (--dns->users > 0)
        return;
    coir__dns_cache_close(&dns->cache);
    coir_free(dns->servers);
    coir_free(dns->search);
    coir_free(dns->hosts_file);
    coir_free(dns);
}

/* Whether a task may begin a call. */
static int enter(struct coir_dns *dns)
{
    if (coir_current() == NULL)
        return -COIR_ENOTASK;
    if (dns->loop != coir_loop_current())
        return -COIR_EWRONGLOOP;
    int r = coir_pending();
    if (r < 0)
        return r;
    dns->users++;
    return 0;
}

/* ---- the hosts file ---- */

static int read_hosts(struct coir_dns *dns, coir_buffer *text)
{
    text->limit = HOSTS_MOST;
    if (dns->hosts_file[0] == '\0')
        return 0;
    int r = coir_file_read_all(dns->hosts_file, text);
    return r == -ENOENT ? 0 : r;
}

/* ---- asking ---- */

static int no_name(const char *name)
{
    return coir_fail(-COIR_ENONAME, "look up %.100s: %s", name, coir_error_text(-COIR_ENONAME));
}

static coir_time bounded(const struct coir_dns *dns, coir_time ttl)
{
    if (ttl < dns->opts.ttl_least)
        ttl = dns->opts.ttl_least;
    return ttl < dns->opts.ttl_most ? ttl : dns->opts.ttl_most;
}

static void pack(const coir_address *address, struct coir__dns_answer *answer)
{
    struct coir__dns_address *packed = &answer->addresses[answer->count];
    if (address->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
        packed->family = 4;
        memcpy(packed->bytes, &in->sin_addr, 4);
        answer->count++;
    } else if (address->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&address->storage;
        packed->family = 6;
        memcpy(packed->bytes, &in->sin6_addr, 16);
        answer->count++;
    }
}

static void unpack(const struct coir__dns_address *packed, coir_address *ret_address)
{
    *ret_address = (coir_address){0};
    if (packed->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)&ret_address->storage;
        in->sin_family = AF_INET;
        memcpy(&in->sin_addr, packed->bytes, 4);
        ret_address->length = sizeof *in;
    } else {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)&ret_address->storage;
        in->sin6_family = AF_INET6;
        memcpy(&in->sin6_addr, packed->bytes, 16);
        ret_address->length = sizeof *in;
    }
}

static int ask_system(struct coir_dns *dns, const char *name, int family,
                      struct coir__dns_answer *answer)
{
    coir_address addresses[COIR_NAME_ADDRESSES];
    coir_resolver *resolver = coir_resolver_system();
    size_t count;
    dns->asked++;
    COIR_TRY(resolver->lookup(resolver, name, family, addresses, COIR_COUNT(addresses), &count));
    for (size_t i = 0; i < count; i++)
        pack(&addresses[i], answer);
    answer->ttl = TTL_OTHERS;
    return 0;
}

static int ask_servers(struct coir_dns *dns, const char *name, int family,
                       struct coir__dns_answer *answer)
{
    struct coir__dns_question *question = coir_calloc(1, sizeof *question);
    if (question == NULL)
        return -ENOMEM;
    question->dns = dns;
    question->kind = COIR__DNS_ADDRESSES;
    question->family = family;
    (void)snprintf(question->name, sizeof question->name, "%s", name);
    int r = coir__dns_ask(question);
    if (r == -ECANCELED || r == -ETIME)
        return r;
    if (r == 0)
        *answer = question->answer;
    coir_free(question);
    return r;
}

static int ask(struct coir_dns *dns, const char *name, int family, struct coir__dns_answer *answer)
{
    if (dns->system)
        return ask_system(dns, name, family, answer);
    COIR_AUTO(coir_buffer) hosts = {0};
    COIR_TRY(read_hosts(dns, &hosts));
    answer->count = coir__dns_hosts_find(hosts.data, hosts.length, name, family, answer->addresses);
    answer->ttl = TTL_OTHERS;
    if (answer->count > 0)
        return 0;
    /* a file that knows the host in the other family knows all of it */
    if (coir__dns_hosts_find(hosts.data, hosts.length, name, AF_UNSPEC, answer->addresses) > 0)
        return no_name(name);
    coir_buffer_close(&hosts);
    return ask_servers(dns, name, family, answer);
}

/* A key is a name in small letters behind the digit of its family. */
static char digit_of(int family)
{
    return family == AF_INET ? '4' : family == AF_INET6 ? '6' : '0';
}

static int family_of(char digit)
{
    return digit == '4' ? AF_INET : digit == '6' ? AF_INET6 : AF_UNSPEC;
}

static void make_key(const char *name, int family, char *ret_key)
{
    *ret_key++ = digit_of(family);
    for (; *name != '\0'; name++)
        *ret_key++ = *name >= 'A' && *name <= 'Z' ? (char)(*name + ('a' - 'A')) : *name;
    *ret_key = '\0';
}

/* Looks up a name, for all who want it at the moment, and keeps what it learns. key has no
 * terminator. */
static int look_up(coir_bytes key, void *arg, void *ret_value)
{
    struct coir_dns *dns = arg;
    struct coir__dns_answer *answer = ret_value;
    char text[1 + COIR_NAME_TEXT];
    (void)snprintf(text, sizeof text, "%.*s", (int)key.length, (const char *)key.data);
    int r = ask(dns, text + 1, family_of(text[0]), answer);
    if (r == 0)
        answer->ttl = bounded(dns, answer->ttl);
    if (r == -COIR_ENONAME)
        *answer = (struct coir__dns_answer){.ttl = dns->opts.ttl_negative};
    if ((r == 0 || r == -COIR_ENONAME) && !dns->closed)
        coir__dns_cache_keep(&dns->cache, text, answer, coir_now());
    return r;
}

/* ---- lookups ---- */

static bool is_literal(const char *name, struct coir__dns_answer *ret_answer)
{
    struct coir__dns_address *first = &ret_answer->addresses[0];
    *ret_answer = (struct coir__dns_answer){.count = 1, .ttl = COIR_FOREVER};
    first->family = 4;
    if (inet_pton(AF_INET, name, first->bytes) == 1)
        return true;
    first->family = 6;
    return inet_pton(AF_INET6, name, first->bytes) == 1;
}

/* localhost and what is below it is this host, whoever else says otherwise (RFC 6761). */
static bool is_localhost(const char *name, struct coir__dns_answer *ret_answer)
{
    size_t length = strlen(name);
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length < 9 || strncasecmp(name + length - 9, "localhost", 9) != 0 ||
        (length > 9 && name[length - 10] != '.'))
        return false;
    *ret_answer = (struct coir__dns_answer){
        .count = 2,
        .ttl = COIR_FOREVER,
        .addresses = {{.family = 6, .bytes = {[15] = 1}}, {.family = 4, .bytes = {127, 0, 0, 1}}},
    };
    return true;
}

/* The answer to a lookup; *ret_cached tells whether it was there already. */
static int find(struct coir_dns *dns, const char *name, int family,
                struct coir__dns_answer *ret_answer, bool *ret_cached)
{
    char key[1 + COIR_NAME_TEXT];
    *ret_cached = true;
    if (is_literal(name, ret_answer))
        return 0;
    COIR_TRY(coir_name_check(name, strlen(name)));
    if (is_localhost(name, ret_answer))
        return 0;
    make_key(name, family, key);
    const struct coir__dns_answer *kept = coir__dns_cache_find(&dns->cache, key, coir_now());
    if (kept != NULL) {
        dns->hits++;
        *ret_answer = *kept;
        return kept->count > 0 ? 0 : no_name(name);
    }
    *ret_cached = false;
    return coir_singleflight_run(&dns->flights, key, strlen(key), look_up, dns, ret_answer);
}

static int lookup(struct coir_dns *dns, const char *name, int family, coir_dns_answer *ret_answer)
{
    struct coir__dns_answer answer;
    bool cached;
    COIR_TRY(find(dns, name, family, &answer, &cached));
    ret_answer->count = 0;
    ret_answer->ttl = answer.ttl;
    ret_answer->cached = cached;
    for (size_t i = 0; i < answer.count; i++)
        if (family == AF_UNSPEC || (family == AF_INET) == (answer.addresses[i].family == 4))
            unpack(&answer.addresses[i], &ret_answer->addresses[ret_answer->count++]);
    return ret_answer->count > 0 ? 0 : no_name(name);
}

int coir_dns_lookup(coir_dns *dns, const char *name, int family, coir_dns_answer *ret_answer)
{
    if (dns == NULL || name == NULL || ret_answer == NULL)
        return -EINVAL;
    if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
        return -EINVAL;
    COIR_TRY(enter(dns));
    int r = dns->closed ? -COIR_ECLOSED : lookup(dns, name, family, ret_answer);
    let_go(dns);
    return r;
}

/* As the resolver of a loop. */
static int resolve(coir_resolver *resolver, const char *host, int family,
                   coir_address *ret_addresses, size_t size, size_t *ret_count)
{
    coir_dns_answer answer;
    COIR_TRY(coir_dns_lookup((struct coir_dns *)resolver, host, family, &answer));
    *ret_count = answer.count < size ? answer.count : size;
    memcpy(ret_addresses, answer.addresses, *ret_count * sizeof *ret_addresses);
    return 0;
}

/* ---- names of addresses, records ---- */

static int reverse(struct coir_dns *dns, const struct coir__dns_answer *packed, char *text,
                   size_t size)
{
    struct coir__dns_question *question = coir_calloc(1, sizeof *question);
    if (question == NULL)
        return -ENOMEM;
    question->dns = dns;
    question->kind = COIR__DNS_NAME;
    question->address = packed->addresses[0];
    question->family = question->address.family == 4 ? AF_INET : AF_INET6;
    int r = coir__dns_ask(question);
    if (r == -ECANCELED || r == -ETIME)
        return r;
    if (r == 0 && (size_t)snprintf(text, size, "%s", question->name) >= size)
        r = -ENOSPC;
    coir_free(question);
    return r;
}

static int reverse_by_hosts(struct coir_dns *dns, const coir_address *address, char *text,
                            size_t size)
{
    struct coir__dns_answer packed = {0};
    char name[COIR_NAME_TEXT];
    pack(address, &packed);
    if (packed.count == 0)
        return -EAFNOSUPPORT;
    COIR_AUTO(coir_buffer) hosts = {0};
    COIR_TRY(read_hosts(dns, &hosts));
    if (!coir__dns_hosts_name(hosts.data, hosts.length, &packed.addresses[0], name, sizeof name)) {
        coir_buffer_close(&hosts);
        return dns->system ? -EOPNOTSUPP : reverse(dns, &packed, text, size);
    }
    return (size_t)snprintf(text, size, "%s", name) < size ? 0 : -ENOSPC;
}

int coir_dns_reverse(coir_dns *dns, const coir_address *address, char *text, size_t size)
{
    if (dns == NULL || address == NULL || (text == NULL && size > 0))
        return -EINVAL;
    COIR_TRY(enter(dns));
    int r = dns->closed ? -COIR_ECLOSED : reverse_by_hosts(dns, address, text, size);
    let_go(dns);
    return r;
}

static int query(struct coir_dns *dns, const char *name, coir_dns_type type,
                 coir_dns_records **ret_records)
{
    COIR_TRY(coir_name_check(name, strlen(name)));
    if (dns->system)
        return coir_fail(-EOPNOTSUPP, "look up %.100s: the system is asked for addresses only",
                         name);
    struct coir__dns_question *question = coir_calloc(1, sizeof *question);
    if (question == NULL)
        return -ENOMEM;
    question->dns = dns;
    question->kind = COIR__DNS_RECORDS;
    question->type = (int)type;
    (void)snprintf(question->name, sizeof question->name, "%s", name);
    int r = coir__dns_ask(question);
    if (r == -ECANCELED || r == -ETIME)
        return r;
    if (r == 0)
        *ret_records = question->records;
    coir_free(question);
    return r;
}

int coir_dns_query(coir_dns *dns, const char *name, coir_dns_type type,
                   coir_dns_records **ret_records)
{
    if (dns == NULL || name == NULL || ret_records == NULL)
        return -EINVAL;
    if (type != COIR_DNS_MX && type != COIR_DNS_TXT && type != COIR_DNS_SRV)
        return -EINVAL;
    COIR_TRY(enter(dns));
    int r = dns->closed ? -COIR_ECLOSED : query(dns, name, type, ret_records);
    let_go(dns);
    return r;
}

/* ---- opening and closing ---- */

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = coir_alloc(size);
    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

/* Whether length bytes at text are an address, with a port or without. */
static bool is_server(const char *text, size_t length)
{
    char one[80];
    coir_address address;
    if (length == 0 || length > 64)
        return false;
    memcpy(one, text, length);
    one[length] = '\0';
    const char *bracket = strchr(one, ']');
    if (strchr(bracket != NULL ? bracket : one, ':') == NULL)
        memcpy(one + length, ":53", sizeof ":53");
    return coir_address_parse(one, &address) == 0;
}

/* Whether text is a list of servers; blanks are taken out of it. */
static bool are_servers(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++)
        if (*from != ' ' && *from != '\t')
            *to++ = *from;
    *to = '\0';
    for (int count = 1; count <= SERVERS_MOST; count++) {
        size_t length = strcspn(text, ",");
        if (!is_server(text, length))
            return false;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
    return false;
}

static int set_texts(struct coir_dns *dns, const coir_dns_opts *opts)
{
    dns->hosts_file = copy_of(opts->hosts_file != NULL ? opts->hosts_file : "/etc/hosts");
    if (opts->servers != NULL)
        dns->servers = copy_of(opts->servers);
    if (opts->search != NULL)
        dns->search = copy_of(opts->search);
    if (dns->hosts_file == NULL || (opts->servers != NULL && dns->servers == NULL) ||
        (opts->search != NULL && dns->search == NULL))
        return -ENOMEM;
    if (dns->servers != NULL && !are_servers(dns->servers))
        return coir_fail(-EINVAL, "'%.64s' is no list of 1 to 8 servers", opts->servers);
    return 0;
}

static int set_opts(struct coir_dns *dns, const coir_dns_opts *given)
{
    coir_dns_opts *opts = &dns->opts;
    *opts = *given;
    if (opts->timeout < 0 || opts->timeout > COIR_SEC(1000) || opts->ttl_least < 0 ||
        opts->ttl_most < 0 || opts->ttl_negative < 0 || opts->tries > 100 || opts->dots > 15)
        return coir_fail(-EINVAL, "options of a resolver: out of range");
    opts->timeout = opts->timeout != 0 ? opts->timeout : COIR_SEC(2);
    opts->timeout = opts->timeout < COIR_MS(1) ? COIR_MS(1) : opts->timeout;
    opts->tries = opts->tries != 0 ? opts->tries : 3;
    opts->limit = opts->limit != 0 ? opts->limit : 64;
    opts->ttl_least = opts->ttl_least != 0 ? opts->ttl_least : COIR_SEC(1);
    opts->ttl_most = opts->ttl_most != 0 ? opts->ttl_most : COIR_SEC(3600);
    opts->ttl_negative = opts->ttl_negative != 0 ? opts->ttl_negative : COIR_SEC(5);
    opts->ttl_most = opts->ttl_most < TTL_MOST ? opts->ttl_most : TTL_MOST;
    opts->ttl_negative = opts->ttl_negative < TTL_MOST ? opts->ttl_negative : TTL_MOST;
    dns->system = opts->system || strcmp(coir_info()->backend, "sim") == 0;
    return set_texts(dns, given);
}

int coir_dns_open(const coir_dns_opts *opts, coir_dns **ret_dns)
{
    static const coir_dns_opts defaults;
    if (ret_dns == NULL)
        return -EINVAL;
    if (coir_loop_current() == NULL)
        return -COIR_ENOTASK;
    if (opts == NULL)
        opts = &defaults;
    struct coir_dns *dns = coir_calloc(1, sizeof *dns);
    if (dns == NULL)
        return -ENOMEM;
    dns->users = 1;
    dns->loop = coir_loop_current();
    dns->resolver.lookup = resolve;
    dns->last = &dns->first;
    int r = set_opts(dns, opts);
    size_t kept = opts->cache != 0 ? opts->cache : 1000;
    if (r == 0)
        r = coir__dns_cache_open(&dns->cache, opts->no_cache ? 0 : kept);
    if (r == 0)
        r = coir_group_init(&dns->group, COIR_REPORT);
    if (r < 0) {
        let_go(dns);
        return r;
    }
    *ret_dns = dns;
    return 0;
}

void coir_dns_use(coir_dns *dns)
{
    (void)coir_resolver_set(&dns->resolver);
}

void coir_dns_close(coir_dns *dns)
{
    if (dns == NULL)
        return;
    if (coir_resolver_get() == &dns->resolver)
        (void)coir_resolver_set(NULL);
    dns->closed = true;
    (void)coir_group_close(&dns->group);
    let_go(dns);
}

void coir_dns_stats(const coir_dns *dns, struct coir_dns_stats *ret_stats)
{
    *ret_stats = (struct coir_dns_stats){
        .asked = dns->asked,
        .running = dns->given,
        .abandoned = dns->abandoned,
        .waiting = dns->waiting,
        .cached = dns->cache.count,
        .hits = dns->hits,
    };
}
