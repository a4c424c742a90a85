/* driver.c: asking by c-ares, whose sockets and times one task waits for.
 *
 * The driver is a task that lives while there are questions. It alone calls c-ares, so that no
 * socket is closed under a wait, and callbacks come from its own calls only. Each life has a
 * channel of its own: /etc/resolv.conf is read anew, and each burst of questions has other source
 * ports. c-ares cannot give one question up: one that nobody waits for any more runs on, counted in
 * the limit, until its answer is dropped; when no others are left all are given up at once.
 *
 * A question is answered by answer(), exactly once, or given back while it still waits in the
 * queue. Whoever asks frees it, the driver when nobody does. Called by dns.c.
 */
#include "dns.h"

#define CARES_NO_DEPRECATED /* the calls that Debian 12 has */
#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include <coir/descriptor.h>
#include <coir/select.h>

/* What fits into a datagram on any path, and what servers are told (DNS flag day 2020). */
enum { DATAGRAM = 1232 };

static void question_free(struct coir__dns_question *question)
{
    coir_dns_records_close(question->records);
    coir_free(question);
}

/* ---- the queue ---- */

static void enqueue(struct coir_dns *dns, struct coir__dns_question *question)
{
    question->next = NULL;
    *dns->last = question;
    dns->last = &question->next;
    dns->waiting++;
}

static struct coir__dns_question *dequeue(struct coir_dns *dns)
{
    struct coir__dns_question *question = dns->first;
    dns->first = question->next;
    if (dns->first == NULL)
        dns->last = &dns->first;
    dns->waiting--;
    return question;
}

static void withdraw(struct coir_dns *dns, struct coir__dns_question *question)
{
    struct coir__dns_question **link = &dns->first;
    while (*link != question)
        link = &(*link)->next;
    *link = question->next;
    if (*link == NULL)
        dns->last = link;
    dns->waiting--;
}

/* ---- answers ---- */

static void answer(struct coir__dns_question *question, int code)
{
    struct coir_dns *dns = question->dns;
    if (question->given)
        dns->given--;
    if (question->abandoned) {
        dns->abandoned--;
        question_free(question);
        return;
    }
    question->code = code;
    (void)coir_future_set(&question->answered, NULL);
}

static int code_of(const struct coir_dns *dns, int status)
{
    switch (status) {
    case ARES_SUCCESS: return 0;
    case ARES_ENODATA:
    case ARES_ENOTFOUND: return -COIR_ENONAME;
    case ARES_ETIMEOUT: return -ETIMEDOUT;
    case ARES_ENOMEM: return -ENOMEM;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION: return dns->failing != 0 ? dns->failing : -COIR_ECLOSED;
    default: return -COIR_ELOOKUP;
    }
}

static void shorten(coir_time *ttl, int seconds)
{
    coir_time other = seconds > 0 ? COIR_SEC(seconds) : 0;
    if (other < *ttl)
        *ttl = other;
}

static void take_address(struct coir__dns_answer *found, const struct ares_addrinfo_node *node)
{
    struct coir__dns_address *address = &found->addresses[found->count];
    if (node->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)node->ai_addr;
        address->family = 4;
        memcpy(address->bytes, &in->sin_addr, 4);
    } else if (node->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)node->ai_addr;
        address->family = 6;
        memcpy(address->bytes, &in->sin6_addr, 16);
    } else {
        return;
    }
    found->count++;
}

static void got_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    struct coir__dns_question *question = arg;
    struct coir__dns_answer *found = &question->answer;
    (void)timeouts;
    found->ttl = COIR_FOREVER;
    for (struct ares_addrinfo_cname *at = info != NULL ? info->cnames : NULL; at != NULL;
         at = at->next)
        shorten(&found->ttl, at->ttl);
    for (struct ares_addrinfo_node *at = info != NULL ? info->nodes : NULL;
         at != NULL && found->count < COIR_NAME_ADDRESSES; at = at->ai_next) {
        shorten(&found->ttl, at->ai_ttl);
        take_address(found, at);
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
    if (status == ARES_SUCCESS && found->count == 0)
        status = ARES_ENODATA;
    answer(question, code_of(question->dns, status));
}

/* Nobody vouches for what stands in a PTR record. */
static void got_name(void *arg, int status, int timeouts, struct hostent *host)
{
    struct coir__dns_question *question = arg;
    int code = code_of(question->dns, status);
    (void)timeouts;
    question->name[0] = '\0';
    if (code == 0 && coir_name_check(host->h_name, strlen(host->h_name)) == 0)
        (void)snprintf(question->name, sizeof question->name, "%s", host->h_name);
    else if (code == 0)
        code = -COIR_ELOOKUP;
    answer(question, code);
}

static void got_reply(void *arg, int status, int timeouts, unsigned char *reply, int length)
{
    struct coir__dns_question *question = arg;
    (void)timeouts;
    int code = code_of(question->dns, status);
    if (code == 0) {
        status = coir__dns_parse(question->type, reply, length, &question->records);
        code = status == -1 ? -ENOMEM : code_of(question->dns, status);
    }
    answer(question, code);
}

/* ---- the channel ---- */

/* Splits text at blanks, in place. Returns how many words there are, most at most. */
static int split(char *text, char **ret_words, int most)
{
    int count = 0;
    char *rest = text;
    while (count < most && (ret_words[count] = strtok_r(rest, " \t", &rest)) != NULL)
        count++;
    return count;
}

/* Only the files that c-ares reads are touched: no packet is sent. */
static int open_channel(struct coir_dns *dns, ares_channel *ret_channel)
{
    const coir_dns_opts *opts = &dns->opts;
    char lookups[] = "b", search[1024] = "", *domains[16];
    struct ares_options options = {
        .flags = ARES_FLAG_EDNS,
        .ednspsz = DATAGRAM,
        .timeout = (int)(opts->timeout / 1000000),
        .tries = (int)opts->tries,
        .ndots = (int)opts->dots,
        .lookups = lookups, /* the hosts file is read by dns.c, which does not block */
        .domains = domains,
    };
    int mask =
        ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS;
    if (opts->dots > 0)
        mask |= ARES_OPT_NDOTS;
    if (dns->search != NULL) {
        (void)snprintf(search, sizeof search, "%s", dns->search);
        options.ndomains = split(search, domains, COIR_COUNT(domains));
        mask |= ARES_OPT_DOMAINS;
    }
    int status = ares_init_options(ret_channel, &options, mask);
    if (status != ARES_SUCCESS)
        return status == ARES_ENOMEM ? -ENOMEM : -COIR_ELOOKUP;
    if (dns->servers == NULL)
        return 0;
    status = ares_set_servers_ports_csv(*ret_channel, dns->servers);
    if (status == ARES_SUCCESS)
        return 0;
    ares_destroy(*ret_channel);
    return status == ARES_ENOMEM ? -ENOMEM : -COIR_ELOOKUP;
}

static void give(ares_channel channel, struct coir__dns_question *question)
{
    struct ares_addrinfo_hints hints = {.ai_family = question->family, .ai_socktype = SOCK_STREAM};
    question->given = true;
    question->dns->given++;
    question->dns->asked++;
    switch (question->kind) {
    case COIR__DNS_ADDRESSES:
        ares_getaddrinfo(channel, question->name, NULL, &hints, got_addresses, question);
        break;
    case COIR__DNS_NAME:
        ares_gethostbyaddr(channel, question->address.bytes, question->address.family == 4 ? 4 : 16,
                           question->family, got_name, question);
        break;
    case COIR__DNS_RECORDS:
        ares_query(channel, question->name, 1, question->type, got_reply, question);
        break;
    }
}

/* ---- waiting ---- */

/* When c-ares wants to look at its times again. */
static coir_time next_time(ares_channel channel)
{
    struct timeval left;
    if (ares_timeout(channel, NULL, &left) == NULL)
        return COIR_FOREVER;
    /* a little later rather than too early, which would only turn in circles */
    return COIR_SEC(left.tv_sec) + COIR_US(left.tv_usec) + COIR_MS(1);
}

static int events_of(int bits, int index)
{
    unsigned reads = 1U << index, writes = reads << ARES_GETSOCK_MAXNUM;
    return ((unsigned)bits & reads ? POLLIN : 0) | ((unsigned)bits & writes ? POLLOUT : 0);
}

/* Waits until a socket, the time, or a question is there, and lets c-ares look. */
static int wait_for_more(struct coir_dns *dns, ares_channel channel)
{
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    coir_case cases[2 + ARES_GETSOCK_MAXNUM] = {
        COIR_ON_EVENT(&dns->changed),
        COIR_ON_TIMER(next_time(channel)),
    };
    size_t count = 2;
    int bits = ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM), events;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM && (events = events_of(bits, i)) != 0; i++)
        cases[count++] = (coir_case)COIR_ON_DESCRIPTOR(sockets[i], events);
    int which = coir_select(cases, count);
    if (which < 0)
        return which;
    ares_socket_t reads = ARES_SOCKET_BAD, writes = ARES_SOCKET_BAD;
    if (which >= 2) {
        int found = cases[which].result;
        if (found & ~POLLOUT)
            reads = sockets[which - 2];
        if (found & ~POLLIN)
            writes = sockets[which - 2];
    }
    if (which > 0)
        ares_process_fd(channel, reads, writes);
    return 0;
}

/* ---- the driver ---- */

/* Answers all questions with code. */
static void fail_all(struct coir_dns *dns, ares_channel channel, int code)
{
    dns->failing = code;
    ares_cancel(channel);
    while (dns->first != NULL)
        answer(dequeue(dns), code);
    dns->failing = 0;
}

static void work(struct coir_dns *dns, ares_channel channel)
{
    while (dns->first != NULL || dns->given > 0) {
        coir_event_clear(&dns->changed);
        if (dns->given > 0 && dns->given == dns->abandoned)
            ares_cancel(channel);
        while (dns->first != NULL && dns->given < dns->opts.limit)
            give(channel, dequeue(dns));
        int r = dns->given > 0 ? wait_for_more(dns, channel) : 0;
        if (r < 0)
            fail_all(dns, channel, r == -ECANCELED || r == -ETIME ? -COIR_ECLOSED : r);
    }
}

static int drive(void *arg)
{
    struct coir_dns *dns = arg;
    ares_channel channel;
    coir_task_set_name(NULL, "dns");
    int r = open_channel(dns, &channel);
    if (r == 0) {
        work(dns, channel);
        ares_destroy(channel);
    }
    while (dns->first != NULL)
        answer(dequeue(dns), r);
    dns->driven = false;
    return 0;
}

static int wake_driver(struct coir_dns *dns)
{
    (void)coir_event_set(&dns->changed);
    if (dns->driven)
        return 0;
    COIR_TRY(coir_spawn(&dns->group, drive, dns, NULL));
    dns->driven = true;
    return 0;
}

/* ---- who asks ---- */

/* The text of a failure says whom it was about. */
static int failed(const struct coir__dns_question *question)
{
    int code = question->code;
    if (question->kind == COIR__DNS_NAME)
        return coir_fail(code, "look up a name for an address: %s", coir_error_text(code));
    if (code == -ETIMEDOUT)
        return coir_fail(code, "look up %.100s: no name server has answered", question->name);
    return coir_fail(code, "look up %.100s: %s", question->name, coir_error_text(code));
}

/* The one who asked goes. */
static void leave(struct coir__dns_question *question)
{
    struct coir_dns *dns = question->dns;
    if (coir_future_done(&question->answered)) {
        question_free(question);
    } else if (!question->given) {
        withdraw(dns, question);
        question_free(question);
    } else {
        question->abandoned = true;
        dns->abandoned++;
        (void)coir_event_set(&dns->changed);
    }
}

int coir__dns_ask(struct coir__dns_question *question)
{
    struct coir_dns *dns = question->dns;
    int r = dns->closed ? -COIR_ECLOSED : 0;
    if (r < 0)
        return r;
    enqueue(dns, question);
    r = wake_driver(dns);
    if (r < 0) {
        withdraw(dns, question);
        return r;
    }
    r = coir_future_wait(&question->answered, NULL);
    if (r == -ECANCELED || r == -ETIME) {
        leave(question);
        return r;
    }
    return question->code < 0 ? failed(question) : 0;
}
