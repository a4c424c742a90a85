/* coir/http.h: what HTTP clients and servers have in common: headers, statuses, dates, limits. In
 * libcoir-http (`pkg-config --libs coir-http`).
 *
 * Servers are in <coir/http_app.h>, clients in <coir/http_session.h>. Messages are those of RFC
 * 9110 and RFC 9112, and what those say must be refused is refused.
 */
#ifndef COIR_HTTP_H
#define COIR_HTTP_H

#include <coir/buffer.h>

COIR__BEGIN

/* A header field. Lists of them end with one whose name is NULL:
 *
 *     .headers = (coir_http_header[]){{"Accept", "text/plain"}, {"X-Trace", id}, {0}}
 */
typedef struct coir_http_header {
    const char *name;
    const char *value;
} coir_http_header;

/* The value of the first header of that name in a list, whatever its letters' case.
 * Returns it, or NULL. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC const char *coir_http_header_get(const coir_http_header *headers, const char *name);

/* What a status means: "Not Found"; "" for one that is not registered.
 * Returns a static string. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC const char *coir_http_status_text(int status);

/* Bytes that a date takes, terminator included. */
#define COIR_HTTP_DATE_TEXT 30

/* Writes seconds since 1970 as "Sun, 06 Nov 1994 08:49:37 GMT". Cancel safety: never waits. Thread
 * safety: any thread. */
COIR__PUBLIC void coir_http_date_format(int64_t seconds, char ret_text[COIR_HTTP_DATE_TEXT]);

/* Reads a date in any of the three forms of RFC 9110, section 5.6.7.
 * Returns 0, and writes seconds since 1970 to *ret_seconds. Errors: -EINVAL. Cancel safety: never
 * waits. Thread safety: any thread. */
COIR__CHECKED int coir_http_date_parse(const char *text, int64_t *ret_seconds);

COIR__END
#endif
