/* url.c: URLs in their parts: uriparser takes them apart, here they become strings in one block.
 *
 * What has been resolved is written by uriparser and taken apart again, so there is one way in; but
 * for a path of plain characters, which is what clients ask for again and again: it only has to
 * stand where that of the base stood. Percent-encoding is here too, for queries and forms. Called
 * by both sides and by programs.
 */
#include <coir/url.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <uriparser/Uri.h>

#include <coir/error.h>
#include <coir/memory.h>

#include "message.h"

#include "message.h"

enum { URL_MOST = 64 << 10, PORT_MOST = 65535 };

/* ---- percent-encoding ---- */

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int coir_percent_encode(const char *text, coir_buffer *buffer)
{
    static const char digits[] = "0123456789ABCDEF";
    COIR_TRY(coir_buffer_reserve(buffer, 3 * strlen(text)));
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        const char encoded[] = {'%', digits[c >> 4], digits[c & 15]};
        COIR_TRY(is_unreserved(*text) ? coir_buffer_append(buffer, text, 1)
                                      : coir_buffer_append(buffer, encoded, 3));
    }
    return 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at text, of which length bytes are left, and how many stand for it; 0: it is wrong. */
static size_t decode_one(const char *text, size_t length, bool plus, char *ret_byte)
{
    *ret_byte = plus && *text == '+' ? ' ' : *text;
    if (*text != '%')
        return 1;
    if (length < 3 || digit_of(text[1]) < 0 || digit_of(text[2]) < 0)
        return 0;
    *ret_byte = (char)(digit_of(text[1]) << 4 | digit_of(text[2]));
    return 3;
}

int coir_percent_decode(const char *text, size_t length, bool plus, coir_buffer *buffer)
{
    size_t end = buffer->length;
    COIR_TRY(coir_buffer_reserve(buffer, length));
    for (size_t i = 0, n; i < length; i += n) {
        n = decode_one(text + i, length - i, plus, &buffer->data[end++]);
        if (n == 0) {
            buffer->data[buffer->length] = '\0';
            return coir_fail(-COIR_EURL, "'%%' without two hexadecimal digits, at byte %zu", i);
        }
    }
    if (length > 0)
        buffer->data[end] = '\0';
    buffer->length = end;
    return 0;
}

/* ---- queries ---- */

int coir_query_add(coir_buffer *buffer, const char *name, const char *value)
{
    if (buffer->length > 0)
        COIR_TRY(coir_buffer_append(buffer, "&", 1));
    COIR_TRY(coir_percent_encode(name, buffer));
    COIR_TRY(coir_buffer_append(buffer, "=", 1));
    return coir_percent_encode(value, buffer);
}

static bool is_named(const char *text, size_t length, const char *name)
{
    size_t i = 0, n;
    for (; i < length && *name != '\0'; i += n, name++) {
        char byte;
        n = decode_one(text + i, length - i, true, &byte);
        if (n == 0 || byte != *name)
            return false;
    }
    return i == length && *name == '\0';
}

int coir_query_get(coir_bytes query, const char *name, coir_buffer *buffer)
{
    const char *at = query.data, *end = at + query.length;
    while (at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        size_t length = next != NULL ? (size_t)(next - at) : (size_t)(end - at);
        const char *equals = memchr(at, '=', length);
        size_t named = equals != NULL ? (size_t)(equals - at) : length;
        if (is_named(at, named, name)) {
            size_t skipped = equals != NULL ? named + 1 : named;
            COIR_TRY(coir_percent_decode(at + skipped, length - skipped, true, buffer));
            return 1;
        }
        at += length + 1;
    }
    return 0;
}

/* ---- taking apart ---- */

/* Where the password ends that begins at text, behind the colon of "user:password@host": at the
 * last '@' of the authority. In what is no URL it may be anywhere, unless the colon is a port's. */
static const char *end_of_password(const char *text)
{
    size_t authority = strcspn(text, "/?#"), port = strspn(text, "0123456789");
    const char *end = memrchr(text, '@', authority);
    return end != NULL || port == authority ? end : memrchr(text, '@', strlen(text));
}

void coir__http_hide_password(const char *text, char *ret_text, size_t size)
{
    const char *authority = strstr(text, "://");
    const char *colon =
        authority != NULL ? memchr(authority + 3, ':', strcspn(authority + 3, "/?#")) : NULL;
    const char *end = colon != NULL ? end_of_password(colon + 1) : NULL;
    if (end == NULL)
        (void)snprintf(ret_text, size, "%s", text);
    else
        (void)snprintf(ret_text, size, "%.*s***%s", (int)(colon + 1 - text), text, end);
}

static int wrong(const char *text, const char *why)
{
    char shown[101];
    coir__http_hide_password(text, shown, sizeof shown);
    return coir_fail(-COIR_EURL, "'%s' is not a URL: %s", shown, why);
}

/* A part of the text as a string at *to, which moves on; NULL for none. */
static const char *keep(const UriTextRangeA *range, bool small, char **to)
{
    if (range->first == NULL)
        return NULL;
    char *kept = *to;
    for (const char *at = range->first; at < range->afterLast; at++)
        *(*to)++ = small && *at >= 'A' && *at <= 'Z' ? (char)(*at + ('a' - 'A')) : *at;
    *(*to)++ = '\0';
    return kept;
}

/* What stands between the authority and the query of a URL that is known to be one: uriparser has
 * it in segments, which need not lie in the text when they are empty. */
static UriTextRangeA path_of(const char *text)
{
    const char *path = strchr(text, ':') + 1;
    if (strncmp(path, "//", 2) == 0)
        path += 2 + strcspn(path + 2, "/?#");
    return (UriTextRangeA){path, path + strcspn(path, "?#")};
}

static int usual_port(const char *scheme)
{
    if (strcmp(scheme, "http") == 0 || strcmp(scheme, "ws") == 0)
        return 80;
    return strcmp(scheme, "https") == 0 || strcmp(scheme, "wss") == 0 ? 443 : 0;
}

/* Returns false for a port that is none. */
static bool read_port(const UriTextRangeA *range, const char *scheme, int *ret_port)
{
    int port = 0;
    *ret_port = usual_port(scheme);
    if (range->first == NULL || range->first == range->afterLast)
        return true;
    for (const char *at = range->first; at < range->afterLast && port <= PORT_MOST; at++)
        port = 10 * port + (*at - '0');
    *ret_port = port;
    return port > 0 && port <= PORT_MOST;
}

/* Decodes text in place; a byte of value 0 would end it early. */
static bool decode_in_place(char *text)
{
    char *to = text;
    for (size_t n, left = strlen(text); left > 0; text += n, left -= n) {
        n = decode_one(text, left, false, to);
        if (n == 0 || *to++ == '\0')
            return false;
    }
    *to = '\0';
    return true;
}

/* "user:password" becomes two strings. */
static bool take_user(coir_url *url, const UriTextRangeA *range, char **to)
{
    char *user = (char *)(uintptr_t)keep(range, false, to);
    if (user == NULL)
        return true;
    char *colon = strchr(user, ':');
    if (colon != NULL)
        *colon = '\0';
    url->user = user;
    url->password = colon != NULL ? colon + 1 : NULL;
    return decode_in_place(user) && (colon == NULL || decode_in_place(colon + 1));
}

static const char *fill(coir_url *url, const char *text, const UriUriA *uri, char *block)
{
    url->scheme = keep(&uri->scheme, true, &block);
    if (url->scheme == NULL)
        return "it has no scheme";
    UriTextRangeA path = path_of(text);
    if (!take_user(url, &uri->userInfo, &block))
        return "its user is not encoded as it should be";
    url->host = keep(&uri->hostText, true, &block);
    url->path = keep(&path, false, &block);
    url->query = keep(&uri->query, false, &block);
    url->fragment = keep(&uri->fragment, false, &block);
    url->ipv6 = uri->hostData.ip6 != NULL;
    if (uri->hostData.ipFuture.first != NULL)
        return "its host is an address of an unknown kind";
    if (!read_port(&uri->portText, url->scheme, &url->port))
        return "its port is not one of 1 to 65535";
    if (usual_port(url->scheme) != 0 && (url->host == NULL || url->host[0] == '\0'))
        return "it has no host";
    return NULL;
}

static int take_apart(const char *text, const UriUriA *uri, coir_url *ret_url)
{
    coir_url url = {0};
    char *block = coir_alloc(strlen(text) + 8); /* a terminator for each part */
    if (block == NULL)
        return -ENOMEM;
    url.coir__block = block;
    const char *why = fill(&url, text, uri, block);
    if (why != NULL) {
        coir_free(block);
        return wrong(text, why);
    }
    *ret_url = url;
    return 0;
}

int coir_url_parse(const char *text, coir_url *ret_url)
{
    if (text == NULL || ret_url == NULL)
        return -EINVAL;
    if (strlen(text) > URL_MOST)
        return wrong(text, "it is too long");
    UriUriA uri;
    const char *place = NULL;
    int code = uriParseSingleUriA(&uri, text, &place);
    if (code == URI_ERROR_MALLOC)
        return -ENOMEM;
    if (code != URI_SUCCESS) {
        char why[64];
        (void)snprintf(why, sizeof why, "it is wrong at byte %zu",
                       place != NULL ? (size_t)(place - text) : 0);
        return wrong(text, why);
    }
    int r = take_apart(text, &uri, ret_url);
    uriFreeUriMembersA(&uri);
    return r;
}

/* ---- putting together ---- */

static int put(coir_buffer *buffer, const char *before, const char *text)
{
    if (text == NULL)
        return 0;
    COIR_TRY(coir_buffer_append(buffer, before, strlen(before)));
    return coir_buffer_append(buffer, text, strlen(text));
}

static int put_user(const coir_url *url, bool secret, coir_buffer *buffer)
{
    if (url->user == NULL)
        return 0;
    COIR_TRY(coir_percent_encode(url->user, buffer));
    if (secret && url->password != NULL) {
        COIR_TRY(coir_buffer_append(buffer, ":", 1));
        COIR_TRY(coir_percent_encode(url->password, buffer));
    }
    return coir_buffer_append(buffer, "@", 1);
}

static int put_port(coir_buffer *buffer, int port)
{
    char text[8], *at = text + sizeof text;
    for (; port > 0; port /= 10)
        *--at = (char)('0' + port % 10);
    *--at = ':';
    return coir_buffer_append(buffer, at, (size_t)(text + sizeof text - at));
}

static int put_authority(const coir_url *url, bool secret, coir_buffer *buffer)
{
    COIR_TRY(coir_buffer_append(buffer, "//", 2));
    COIR_TRY(put_user(url, secret, buffer));
    COIR_TRY(put(buffer, url->ipv6 ? "[" : "", url->host));
    if (url->ipv6)
        COIR_TRY(coir_buffer_append(buffer, "]", 1));
    if (url->port == 0 || url->port == usual_port(url->scheme))
        return 0;
    return put_port(buffer, url->port);
}

static int format(const coir_url *url, bool secret, coir_buffer *buffer)
{
    COIR_TRY(put(buffer, "", url->scheme));
    COIR_TRY(coir_buffer_append(buffer, ":", 1));
    if (url->host != NULL)
        COIR_TRY(put_authority(url, secret, buffer));
    COIR_TRY(put(buffer, "", url->path));
    COIR_TRY(put(buffer, "?", url->query));
    return put(buffer, "#", url->fragment);
}

int coir_url_format(const coir_url *url, coir_buffer *buffer)
{
    return format(url, false, buffer);
}

/* ---- references ---- */

/* What uri says, as text on the heap. Returns NULL without memory. */
static char *text_of(const UriUriA *uri)
{
    int length;
    if (uriToStringCharsRequiredA(uri, &length) != URI_SUCCESS)
        return NULL;
    char *text = coir_alloc((size_t)length + 1);
    if (text != NULL && uriToStringA(text, uri, length + 1, NULL) != URI_SUCCESS) {
        coir_free(text);
        return NULL;
    }
    return text;
}

/* The text of reference resolved against base, both taken apart. */
static int resolve(const UriUriA *base, const UriUriA *reference, coir_url *ret_url)
{
    UriUriA uri;
    if (uriAddBaseUriA(&uri, reference, base) != URI_SUCCESS)
        return -ENOMEM;
    char *text = text_of(&uri);
    uriFreeUriMembersA(&uri);
    int r = text != NULL ? coir_url_parse(text, ret_url) : -ENOMEM;
    coir_free(text);
    return r;
}

/* Whether reference is an absolute path, perhaps with a query, that needs no more than a look:
 * nothing is encoded, and no segment begins with a dot. */
static bool is_plain_path(const char *reference)
{
    static const bool plain[256] = {
        ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true,
        ['.'] = true,         ['_'] = true,         ['~'] = true,         ['!'] = true,
        ['$'] = true,         ['&'] = true,         ['\''] = true,        ['('] = true,
        [')'] = true,         ['*'] = true,         ['+'] = true,         [','] = true,
        [';'] = true,         ['='] = true,         [':'] = true,         ['@'] = true,
        ['/'] = true,         ['?'] = true,
    };
    if (reference[0] != '/' || reference[1] == '/')
        return false;
    for (; *reference != '\0'; reference++)
        if (!plain[(unsigned char)*reference] || (reference[0] == '/' && reference[1] == '.'))
            return false;
    return true;
}

/* What a plain path means where base is. */
static int join(const coir_url *base, const char *path, coir_url *ret_url)
{
    size_t length = strcspn(path, "?");
    size_t size = coir__http_text_size(base->scheme) + coir__http_text_size(base->user) +
                  coir__http_text_size(base->password) + coir__http_text_size(base->host) +
                  coir__http_text_size(path);
    char *to = coir_alloc(size);
    if (to == NULL)
        return -ENOMEM;
    *ret_url = (coir_url){.port = base->port, .ipv6 = base->ipv6, .coir__block = to};
    ret_url->scheme = coir__http_keep(&to, base->scheme);
    ret_url->user = coir__http_keep(&to, base->user);
    ret_url->password = coir__http_keep(&to, base->password);
    ret_url->host = coir__http_keep(&to, base->host);
    ret_url->path = coir__http_keep(&to, path);
    if (path[length] == '?') {
        to = (char *)(uintptr_t)ret_url->path + length;
        *to++ = '\0';
        ret_url->query = to;
    }
    return 0;
}

int coir_url_resolve(const coir_url *base, const char *reference, coir_url *ret_url)
{
    if (base == NULL || base->scheme == NULL || reference == NULL || ret_url == NULL)
        return -EINVAL;
    if (strlen(reference) > URL_MOST)
        return wrong(reference, "it is too long");
    if (base->host != NULL && is_plain_path(reference))
        return join(base, reference, ret_url);
    COIR_AUTO(coir_buffer) text = {0};
    COIR_TRY(format(base, true, &text));
    UriUriA from, to;
    if (uriParseSingleUriA(&from, coir_buffer_text(&text), NULL) != URI_SUCCESS)
        return -ENOMEM;
    int code = uriParseSingleUriA(&to, reference, NULL);
    int r = code == URI_SUCCESS        ? resolve(&from, &to, ret_url)
            : code == URI_ERROR_MALLOC ? -ENOMEM
                                       : wrong(reference, "it is no reference either");
    if (code == URI_SUCCESS)
        uriFreeUriMembersA(&to);
    uriFreeUriMembersA(&from);
    return r;
}

void coir_url_close(coir_url *url)
{
    coir_free(url->coir__block);
    *url = (coir_url){0};
}
