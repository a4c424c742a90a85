/* coir/dns.h: libcoir-dns: a resolver of host names that works on the loop, by c-ares.
 *
 *     COIR_AUTO(coir_dns) *dns = NULL;
 *     COIR_TRY(coir_dns_open(NULL, &dns));
 *     coir_dns_use(dns);                        (for every coir_tcp_connect of this loop)
 *     COIR_TRY(coir_tcp_connect("example.org:443", NULL, &stream));
 *
 * Against the system's resolver, which libcoir uses by itself, it starts no threads, a lookup that
 * is cancelled is gone, answers are kept as long as their TTL says, and tasks that ask for the same
 * name at the same time ask once. It reads /etc/hosts and /etc/resolv.conf, but no nsswitch.conf:
 * names that only other services know (mDNS, LDAP) it does not find; opts.system asks those.
 *
 * On the simulated backend there is no kernel to send questions by: there it asks the system.
 */
#ifndef COIR_DNS_H
#define COIR_DNS_H

#include <coir/name.h>

COIR__BEGIN

/* A resolver of one loop; opaque. */
typedef struct coir_dns coir_dns;

/* Zero means the default for each field. Texts are copied. */
typedef struct coir_dns_opts {
    const char *servers; /* "192.0.2.1, [2001:db8::1]:5353"; NULL: those of /etc/resolv.conf */
    const char *search;  /* domains that complete a short name, with blanks between; "": none; NULL:
                            those of /etc/resolv.conf */
    const char *hosts_file; /* NULL: "/etc/hosts"; "": none */
    unsigned dots;          /* a name with so many dots is tried as it is before those domains; 0:
                               as /etc/resolv.conf says, else 1 */
    unsigned tries;         /* how often each server is asked; 0: 3 */
    coir_time timeout;      /* of a question, the first time; 0: 2 s */
    size_t limit;           /* questions under way at once, further ones wait; 0: 64 */
    size_t cache;           /* answers that are kept, the latest ones; 0: 1000 */
    bool no_cache;          /* keep none */
    bool system;            /* ask the system (coir_resolver_system) instead of c-ares */
    coir_time ttl_least;    /* an answer is kept for no less; 0: 1 s */
    coir_time ttl_most;     /* and for no more; 0: 1 h; a week at most */
    coir_time ttl_negative; /* that there is no such name, is kept for; 0: 5 s */
    size_t coir__reserved[8];
} coir_dns_opts;

/* Opens a resolver for the loop of this thread; opts may be NULL. Nothing is read or sent before
 * the first lookup. /etc/resolv.conf is read anew whenever questions begin after a pause.
 * Returns 0, and writes *ret_dns, which is the caller's to close. Errors: -ENOMEM, -EINVAL for
 * servers or times that are none, -COIR_ENOTASK where no loop runs. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_dns_open(const coir_dns_opts *opts, coir_dns **ret_dns);

/* Makes dns the resolver of its loop: coir_tcp_connect and coir_name_lookup ask it. Closing it, or
 * coir_resolver_set, takes it back. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC void coir_dns_use(coir_dns *dns);

/* Closes a resolver and frees it; NULL is accepted. Lookups that wait end with -COIR_ECLOSED.
 * Cancel safety: never waits for a server, always closes. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_dns_close(coir_dns *dns);

COIR_CLOSER(coir_dns, coir_dns_close);

/* The addresses of a name. */
typedef struct coir_dns_answer {
    size_t count;
    coir_time ttl;                               /* for how long it will hold */
    bool cached;                                 /* it was known already */
    coir_address addresses[COIR_NAME_ADDRESSES]; /* in the order of RFC 6724, ports zero */
} coir_dns_answer;

/* Looks up the addresses of name: in the hosts file, among the answers that were kept, by asking
 * the servers. family is AF_INET, AF_INET6, or AF_UNSPEC for both. Tasks that ask for one name at
 * the same time share the question.
 * Returns 0. Errors: -COIR_EADDRESS for what is no name (coir_name_check); -COIR_ENONAME when
 * there is no such name, or none of that family; -ETIMEDOUT when no server has answered;
 * -COIR_ELOOKUP when none could say; -COIR_ECLOSED when dns is closed meanwhile; those of reading
 * the hosts file, -COIR_ETOOLONG when it is larger than 16 MiB; -EINVAL, -ENOMEM,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_dns_lookup(coir_dns *dns, const char *name, int family,
                                  coir_dns_answer *ret_answer);

/* Looks up the name of an address, in the hosts file or by asking the servers (PTR), and writes it
 * to text; COIR_NAME_TEXT bytes are enough. Whoever has the address can give it any name: nothing
 * is proved by it. What is no name is -COIR_ELOOKUP. Answers are not kept.
 * Returns 0. Errors: -COIR_ENONAME when it has none, -ENOSPC, -EAFNOSUPPORT for an address of
 * neither IPv4 nor IPv6; else as coir_dns_lookup. Cancel safety: nothing happened. Thread safety:
 * the loop's thread. */
COIR__CHECKED int coir_dns_reverse(coir_dns *dns, const coir_address *address, char *text,
                                   size_t size);

/* Kinds of records, by their numbers. */
typedef enum coir_dns_type {
    COIR_DNS_MX = 15,
    COIR_DNS_TXT = 16,
    COIR_DNS_SRV = 33,
} coir_dns_type;

/* A record. Fields that its kind does not have are zero. */
typedef struct coir_dns_record {
    uint16_t priority, weight, port;
    const char *host; /* MX, SRV: whom to connect to, a name; "" is nobody */
    coir_bytes text;  /* TXT: whatever bytes */
} coir_dns_record;

/* Records, lowest priority first, within one in an order that the weights decide by chance. */
typedef struct coir_dns_records {
    size_t count;
    coir_dns_record records[];
} coir_dns_records;

/* Asks for the records of name, which is taken as it is: no domain completes it. Answers are not
 * kept, and questions not shared.
 * Returns 0, and writes *ret_records, which is the caller's to close. Errors: -COIR_ENONAME when
 * there are none, -EOPNOTSUPP where the system is asked instead of servers; else as
 * coir_dns_lookup. Cancel safety: nothing happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_dns_query(coir_dns *dns, const char *name, coir_dns_type type,
                                 coir_dns_records **ret_records);

/* Frees records; NULL is accepted. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC void coir_dns_records_close(coir_dns_records *records);

COIR_CLOSER(coir_dns_records, coir_dns_records_close);

/* Reads what a resolver does and did. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
struct coir_dns_stats {
    uint64_t asked;     /* questions that were handed to c-ares, or the system */
    uint64_t running;   /* of them under way, those that nobody waits for any more included */
    uint64_t abandoned; /* that nobody waits for any more */
    uint64_t waiting;   /* for the limit */
    uint64_t cached;    /* answers that are kept */
    uint64_t hits;      /* lookups that found one */
    uint64_t coir__reserved[6];
};
COIR__PUBLIC void coir_dns_stats(const coir_dns *dns, struct coir_dns_stats *ret_stats);

COIR__END
#endif
