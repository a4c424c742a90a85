/* coir/name.h: host names into addresses.
 *
 * coir_tcp_connect looks names up by itself; here is how to do it without connecting, and how to
 * put another resolver in place of the system's.
 *
 *     coir_address addresses[COIR_NAME_ADDRESSES];
 *     size_t count;
 *     COIR_TRY(coir_name_lookup("example.org:443", AF_UNSPEC, addresses, COIR_NAME_ADDRESSES,
 *                               &count));
 *
 * Without more, the system does it: getaddrinfo(3), on threads of its own. A resolver that does it
 * on the loop, with a cache, is in libcoir-dns (<coir/dns.h>).
 */
#ifndef COIR_NAME_H
#define COIR_NAME_H

#include <coir/address.h>

COIR__BEGIN

/* As many addresses as are ever tried for one name. */
#define COIR_NAME_ADDRESSES 16

/* Bytes that any host name fits in, terminator included. */
#define COIR_NAME_TEXT 256

/* Whether length bytes at name are a host name that may be looked up: 253 bytes at most, labels of
 * 1 to 63 letters, digits, '-' and '_', no '-' at the beginning, a dot at the end or none; and not
 * something that looks like a number, such as "127.1", which some resolvers take for an address.
 * Names of other alphabets are written in their ASCII form, "xn--…".
 * Returns 0. Errors: -COIR_EADDRESS, with a text that says what is wrong; -EINVAL for NULL. Cancel
 * safety: never waits. Thread safety: any thread. */
COIR__CHECKED int coir_name_check(const char *name, size_t length);

/* Looks up the addresses that text, "host:port", stands for, in the order in which they should be
 * tried (RFC 6724), size at most. A host that is an address is that address, "localhost" and what
 * ends in ".localhost" is ::1 and 127.0.0.1; other names go to the resolver of the loop. With
 * family AF_INET or AF_INET6 there are only addresses of that family, with AF_UNSPEC both.
 * Returns 0, and writes *ret_count, at least 1. Errors: -COIR_EADDRESS for a wrong text;
 * -COIR_ENONAME when there is no such name, or none of that family; -COIR_ELOOKUP when nobody could
 * say; -EAFNOSUPPORT when the host is an address of another family; -EINVAL, -ENOMEM, -EAGAIN when
 * no thread can be started, -COIR_ENOTASK, -ECANCELED, -ETIME; what another resolver says. Cancel
 * safety: nothing happened; a thread that is at it is left to itself. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_name_lookup(const char *text, int family, coir_address *ret_addresses,
                                   size_t size, size_t *ret_count);

/* Something that looks up names, in memory of whoever made it, usually the first field of a larger
 * struct. lookup writes up to size addresses of host, a name that coir_name_check accepts, to
 * ret_addresses, ports zero, best first; it may wait, and several tasks may be in it. It returns 0
 * with *ret_count at least 1, or a negative code. */
typedef struct coir_resolver coir_resolver;
struct coir_resolver {
    int (*lookup)(coir_resolver *resolver, const char *host, int family,
                  coir_address *ret_addresses, size_t size, size_t *ret_count);
    void *coir__reserved[2];
};

/* Makes resolver that of the loop on this thread; NULL: the system's again. It must outlive its
 * use, or be taken back before.
 * Returns the one before, or NULL when that was the system's or no loop runs here. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__PUBLIC coir_resolver *coir_resolver_set(coir_resolver *resolver);

/* The resolver of the loop on this thread. Returns it; the system's where nothing else was set.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC coir_resolver *coir_resolver_get(void);

/* The system's resolver: getaddrinfo(3), so /etc/hosts, /etc/nsswitch.conf and what they name. It
 * runs on coir_threads_for_names, at most 8 at once in the process; a caller that is cancelled
 * leaves at once, and its thread follows when the system lets it.
 * Returns it. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC coir_resolver *coir_resolver_system(void);

COIR__END
#endif
