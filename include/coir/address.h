/* coir/address.h: addresses of the network as text: "127.0.0.1:80", "[::1]:80".
 *
 * The calls of <coir/tcp.h> take text; here is how to look into it, for configuration and logs.
 *
 *     coir_address address;
 *     COIR_TRY(coir_address_parse(argv[1], &address));
 *     char text[COIR_ADDRESS_TEXT];
 *     coir_address_format(&address, text, sizeof text);
 */
#ifndef COIR_ADDRESS_H
#define COIR_ADDRESS_H

#include <sys/socket.h>

#include <coir/error.h>

COIR__BEGIN

/* Bytes that any address fits in as text, terminator included. */
#define COIR_ADDRESS_TEXT 112

/* An address of IPv4, IPv6 or a Unix socket, as the system has it. */
typedef struct coir_address {
    socklen_t length;
    struct sockaddr_storage storage;
} coir_address;

/* Reads "127.0.0.1:80" or "[::1]:80". Names are not looked up.
 * Returns 0. Errors: -COIR_EADDRESS, with a text that says what is wrong; -EINVAL for NULL. Cancel
 * safety: never waits. Thread safety: any thread. */
COIR__CHECKED int coir_address_parse(const char *text, coir_address *ret_address);

/* The address of a Unix socket: a path, or an abstract name after '@'.
 * Returns 0. Errors: -COIR_EADDRESS for one that is empty or too long, -EINVAL for NULL. Cancel
 * safety: never waits. Thread safety: any thread. */
COIR__CHECKED int coir_address_unix(const char *path, coir_address *ret_address);

/* Writes an address as text, in the form that coir_address_parse and coir_address_unix read; an
 * unnamed Unix socket is "unix". The text is cut to size, and always terminated.
 * Returns the length of the whole text, as snprintf. Cancel safety: never waits. Thread safety:
 * any thread. */
COIR__PUBLIC size_t coir_address_format(const coir_address *address, char *text, size_t size);

COIR__END
#endif
