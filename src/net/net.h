/* net.h: what the files of net share beyond public headers. */
#ifndef COIR_NET_NET_H
#define COIR_NET_NET_H

#include <coir/address.h>

#define COIR__CANDIDATES 2

/* Splits "host:port". Returns 0, or -COIR_EADDRESS with a text. */
int coir__address_split(const char *text, char *ret_host, size_t size, int *ret_port);

/* The addresses that text stands for, in the order in which they are tried, COIR__CANDIDATES at
 * most. Returns how many, or a failure with a text. */
int coir__address_candidates(const char *text, coir_address *ret_addresses);

/* Returns code, with the text "connect 127.0.0.1:80: connection refused"; a cancellation has none.
 */
int coir__net_failed(int code, const char *what, const char *address);

/* Writes address as text. Returns 0 or -ENOSPC. */
int coir__address_text(const coir_address *address, char *text, size_t size);

#endif
