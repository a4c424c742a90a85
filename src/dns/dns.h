/* dns.h: what the files of dns share: a resolver, its cache, its questions, and who drives c-ares.
 *
 * c-ares is entered by one task alone, the driver, between its waits: so no socket is closed while
 * somebody waits for it, and no callback comes from inside another call of the library. Questions
 * are handed to it through a queue, and answers come back by futures.
 */
#ifndef COIR_DNS_DNS_H
#define COIR_DNS_DNS_H

#include <coir/dns.h>

#include <coir/event.h>
#include <coir/future.h>
#include <coir/group.h>
#include <coir/loop.h>
#include <coir/memory.h>
#include <coir/singleflight.h>

struct ares_channeldata;

/* An address without what it shares with all others. */
struct coir__dns_address {
    uint8_t family; /* 4 or 6 */
    uint8_t bytes[16];
};

/* What is known of a name: it is kept, and copied to all who wait for it. */
struct coir__dns_answer {
    size_t count; /* 0: there is no such name */
    coir_time ttl;
    struct coir__dns_address addresses[COIR_NAME_ADDRESSES];
};

/* ---- the cache (cache.c) ---- */

struct coir__dns_entry;

struct coir__dns_cache {
    struct coir__dns_entry **buckets; /* NULL: nothing is kept */
    struct coir__dns_entry *newest, *oldest;
    size_t mask, count, most;
    uint64_t seed;
};

/* most is how many answers are kept; 0: none. Returns 0 or -ENOMEM. */
int coir__dns_cache_open(struct coir__dns_cache *cache, size_t most);
void coir__dns_cache_close(struct coir__dns_cache *cache);

/* What is kept for key, its ttl what is left of it, or NULL. Borrowed until the next call. */
const struct coir__dns_answer *coir__dns_cache_find(struct coir__dns_cache *cache, const char *key,
                                                    coir_time now);

/* Keeps answer for its ttl, in place of what was kept for key or of the one that was not asked for
 * the longest. Without memory nothing is kept. */
void coir__dns_cache_keep(struct coir__dns_cache *cache, const char *key,
                          const struct coir__dns_answer *answer, coir_time now);

/* ---- the hosts file (hosts.c) ---- */

/* Finds the addresses of a name in the text of a hosts file. Returns how many there are, at most
 * COIR_NAME_ADDRESSES. */
size_t coir__dns_hosts_find(const char *text, size_t length, const char *name, int family,
                            struct coir__dns_address *ret_addresses);

/* Finds the first name of an address. Returns whether there is one that fits. */
bool coir__dns_hosts_name(const char *text, size_t length, const struct coir__dns_address *address,
                          char *ret_name, size_t size);

/* ---- questions (driver.c) ---- */

enum coir__dns_kind { COIR__DNS_ADDRESSES, COIR__DNS_NAME, COIR__DNS_RECORDS };

/* A question, on the heap: it belongs to who asks, and when that one has left, to the driver. */
struct coir__dns_question {
    struct coir__dns_question *next;
    struct coir_dns *dns;
    enum coir__dns_kind kind;
    int family, type;
    struct coir__dns_address address;
    bool given; /* to c-ares, which will call back */
    bool abandoned;
    coir_future answered;
    int code; /* when it is */
    struct coir__dns_answer answer;
    coir_dns_records *records;
    char name[COIR_NAME_TEXT]; /* that is asked for, or, for a NAME, the answer */
};

/* Waits for the answer. Returns 0 or a failure with a text. In any case question is the caller's to
 * free but for -ECANCELED and -ETIME, where it is gone. */
int coir__dns_ask(struct coir__dns_question *question);

/* ---- records (records.c) ---- */

/* Makes records of a reply. Returns 0, a failure of c-ares, or -1 for no memory. */
int coir__dns_parse(int type, const unsigned char *reply, int length,
                    coir_dns_records **ret_records);

/* ---- a resolver (dns.c) ---- */

struct coir_dns {
    coir_resolver resolver; /* first: the loop has its address */
    coir_loop *loop;
    size_t users; /* calls that are inside, and one while it is open */
    bool closed, system;
    struct coir__dns_cache cache;
    coir_singleflight flights;
    coir_dns_opts opts; /* its texts are the copies below */
    char *servers, *search, *hosts_file;
    coir_group group; /* of the driver */
    bool driven;
    coir_event changed;                       /* there is something for the driver to do */
    struct coir__dns_question *first, **last; /* that wait */
    size_t waiting, given, abandoned;
    int failing; /* why the driver ends what is under way */
    uint64_t asked, hits;
};

#endif
