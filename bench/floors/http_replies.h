/* What the floors of http/ answer: for each end of a head one reply, the same for all, out of a
 * block that holds many of them. Nothing is parsed, and requests come whole, as those of http_load
 * do. */
#ifndef COIR_BENCH_HTTP_REPLIES_H
#define COIR_BENCH_HTTP_REPLIES_H

#define _GNU_SOURCE
#include <stddef.h>
#include <string.h>

#define HTTP_REPLY                                                                                 \
    "HTTP/1.1 200 OK\r\nDate: Mon, 30 Nov 2026 09:00:00 GMT\r\n"                                   \
    "Content-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"

enum { HTTP_REPLIES = 64, HTTP_REPLY_LENGTH = sizeof HTTP_REPLY - 1 };

/* The replies to what stands in size bytes of data, *ret_length bytes. */
static inline const char *http_replies(const char *data, size_t size, size_t *ret_length)
{
    static char block[HTTP_REPLIES * HTTP_REPLY_LENGTH];
    const char *end = data + size;
    size_t length = 0;
    for (size_t i = 0; block[0] == '\0' && i < HTTP_REPLIES; i++)
        memcpy(block + (HTTP_REPLIES - 1 - i) * HTTP_REPLY_LENGTH, HTTP_REPLY, HTTP_REPLY_LENGTH);
    while (length < sizeof block &&
           (data = memmem(data, (size_t)(end - data), "\r\n\r\n", 4)) != NULL) {
        data += 4;
        length += HTTP_REPLY_LENGTH;
    }
    *ret_length = length;
    return block;
}

#endif
