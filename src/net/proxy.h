/* proxy.h: the parser of the PROXY protocol, for proxy.c, its tests and its fuzzer. */
#ifndef COIR_NET_PROXY_H
#define COIR_NET_PROXY_H

#include <coir/proxy.h>

/* Reads the header that length bytes at data begin with. Returns 1 when it is whole, and writes
 * *ret_proxy and its size to *ret_size; 0 when more bytes are needed, at least *ret_size in all;
 * -EPROTO for what cannot become one, and says to *ret_wrong what is wrong; -COIR_ETOOLONG. */
int coir__proxy_parse(const void *data, size_t length, coir_proxy *ret_proxy, size_t *ret_size,
                      const char **ret_wrong);

#endif
