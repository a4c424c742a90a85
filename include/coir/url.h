/* coir/url.h: URLs: taking them apart, resolving references, percent-encoding, queries. In
 * libcoir-http (`pkg-config --libs coir-http`), over uriparser.
 *
 *     COIR_AUTO(coir_url) url = {0};
 *     COIR_TRY(coir_url_parse("https://example.org/search?q=tea", &url));
 *     printf("%s port %d, %s\n", url.host, url.port, url.path);
 *
 * The syntax is that of RFC 3986, and nothing else is taken: a blank, a backslash or a control
 * character in a URL is an error that names its place, not something to be repaired.
 */
#ifndef COIR_URL_H
#define COIR_URL_H

#include <coir/buffer.h>

COIR__BEGIN

/* A URL in its parts. Zero is none. All texts are owned by it, terminated, and still
 * percent-encoded but for user and password; NULL where a part is not there. The fields may be
 * read. */
typedef struct coir_url {
    const char *scheme;   /* in small letters */
    const char *user;     /* decoded */
    const char *password; /* decoded */
    const char *host;     /* in small letters; an IPv6 address without its brackets */
    const char *path;     /* "" only where nothing stands behind the host */
    const char *query;    /* without "?" */
    const char *fragment; /* without "#" */
    int port;             /* as written, else that of http (80), https (443), ws and wss; 0: none */
    bool ipv6;            /* host is an IPv6 address */
    void *coir__block;
    size_t coir__reserved[3];
} coir_url;

/* Takes an absolute URL apart. Its length is at most 64 KiB.
 * Returns 0, and writes *ret_url, which is the caller's to close. Errors: -COIR_EURL with a text
 * that says what is wrong and where, -EINVAL, -ENOMEM. Cancel safety: never waits. Thread safety:
 * any thread. */
COIR__CHECKED int coir_url_parse(const char *text, coir_url *ret_url);

/* What reference means where base is (RFC 3986, section 5): "../a?b" below "http://h/x/y" is
 * "http://h/a?b".
 * Returns 0, and writes *ret_url, which is the caller's to close. Errors: as coir_url_parse. Cancel
 * safety: never waits. Thread safety: any thread. */
COIR__CHECKED int coir_url_resolve(const coir_url *base, const char *reference, coir_url *ret_url);

/* Adds url as text to buffer, without its password.
 * Returns 0. Errors: -COIR_ETOOLONG, -ENOMEM. Cancel safety: never waits. Thread safety: any
 * thread. */
COIR__CHECKED int coir_url_format(const coir_url *url, coir_buffer *buffer);

/* Gives its memory back; zero is accepted. Cancel safety: never waits. Thread safety: any
 * thread. */
COIR__PUBLIC void coir_url_close(coir_url *url);

COIR_CLOSER_VALUE(coir_url, coir_url_close);

/* Adds text to buffer with all bytes but letters, digits and "-._~" percent-encoded.
 * Returns 0. Errors: -COIR_ETOOLONG, -ENOMEM. Cancel safety: never waits. Thread safety: any
 * thread. */
COIR__CHECKED int coir_percent_encode(const char *text, coir_buffer *buffer);

/* Adds length bytes at text to buffer, decoded; with plus, "+" is a blank (queries and forms).
 * Returns 0. Errors: -COIR_EURL for a "%" without two hexadecimal digits behind it, -COIR_ETOOLONG,
 * -ENOMEM; then buffer is as it was. Cancel safety: never waits. Thread safety: any thread. */
COIR__CHECKED int coir_percent_decode(const char *text, size_t length, bool plus,
                                      coir_buffer *buffer);

/* Adds "name=value" to a query, or to the body of a form, in buffer, with "&" before it unless it
 * is the first.
 * Returns 0. Errors: -COIR_ETOOLONG, -ENOMEM. Cancel safety: never waits. Thread safety: any
 * thread. */
COIR__CHECKED int coir_query_add(coir_buffer *buffer, const char *name, const char *value);

/* Adds the decoded value of the first name in a query, or in the body of a form, to buffer.
 * Returns 1; 0 when the name is not there. Errors: as coir_percent_decode. Cancel safety: never
 * waits. Thread safety: any thread. */
COIR__CHECKED int coir_query_get(coir_bytes query, const char *name, coir_buffer *buffer);

COIR__END
#endif
