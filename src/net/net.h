/* net.h: what the files of net share beyond public headers. */
#ifndef COIR_NET_NET_H
#define COIR_NET_NET_H

#include <coir/address.h>
#include <coir/socket.h>
#include <coir/tcp.h>

#define COIR__CANDIDATES 2

/* Splits "host:port". Returns 0, or -COIR_EADDRESS with a text. */
int coir__address_split(const char *text, char *ret_host, size_t size, int *ret_port);

/* The addresses that text stands for, in the order in which they are tried, COIR__CANDIDATES at
 * most. Returns how many, or a failure with a text. */
int coir__address_candidates(const char *text, coir_address *ret_addresses);

/* Returns code, with the text "connect 127.0.0.1:80: connection refused"; a cancellation has none.
 */
int coir__net_failed(int code, const char *what, const char *address);

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
