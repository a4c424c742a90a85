/* net.h: what the files of net share beyond public headers. */
#ifndef COIR_NET_NET_H
#define COIR_NET_NET_H

#include <coir/address.h>
#include <coir/socket.h>
#include <coir/tcp.h>

/* Splits "host:port". Returns 0, or -COIR_EADDRESS with a text. */
int coir__address_split(const char *text, char *ret_host, size_t size, int *ret_port);

/* Whether host is localhost, or a name below it: those are this host, and never looked up. */
bool coir__address_is_localhost(const char *host);

/* The two addresses of localhost, ::1 first. */
void coir__address_loopback(int port, coir_address *ret_addresses);

/* The address that text stands for on this host; localhost is 127.0.0.1. Returns 0, or a failure
 * with a text. */
int coir__address_local(const char *text, coir_address *ret_address);

/* Splits "host:port" and says whether host is a name that a resolver has to be asked for: 1, or 0
 * for an address and for localhost. ret_host has COIR_NAME_TEXT bytes. Returns that or a failure.
 */
int coir__name_is_asked_for(const char *text, char *ret_host, int *ret_port);

/* Asks the loop's resolver for addresses of host, and gives them the port. Returns 0 or a failure
 * with a text. */
int coir__name_ask(const char *host, int port, int family, coir_address *ret_addresses, size_t size,
                   size_t *ret_count);

/* Returns code, with the text "connect 127.0.0.1:80: connection refused"; a cancellation has none.
 */
int coir__net_failed(int code, const char *what, const char *address);

/* Tells opts' trace, if there is one, of a step. */
void coir__net_tell(const coir_connect_opts *opts, coir_connect_event event);

/* Connects to address. The text of a failure is the caller's to add, who knows what the user has
 * written. Returns 0 or a failure. */
int coir__net_connect(const coir_address *address, const coir_connect_opts *opts,
                      coir_stream **ret_stream);

/* Binds a Unix socket of that type to path; what a dead owner has left there is replaced. Returns
 * 0, -EADDRINUSE, or another failure. */
int coir__net_bind_unix(coir_socket *socket, int type, const coir_address *address,
                        const char *path);

static inline const struct sockaddr *coir__net_plain(const coir_address *address)
{
    return (const struct sockaddr *)&address->storage;
}

/* Whether the system would take it. */
bool coir__net_may_keep_alive(const coir_keep_alive *keep_alive);
/* Sets the options of a TCP socket that connections and listeners share. */
int coir__net_set_tcp(coir_socket *socket, bool delay, const coir_keep_alive *keep_alive);

/* Writes address as text. Returns 0 or -ENOSPC. */
int coir__address_text(const coir_address *address, char *text, size_t size);

#endif
