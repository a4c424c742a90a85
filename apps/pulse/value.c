/* value.c: parsers of the values in a targets file, see value.h.
 *
 * They are strict: what is not understood to its last byte is refused, so that a slip of the pen
 * never becomes a surprising interval or address.
 */
#include "value.h"

#include <coir/name.h>
#include <coir/url.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    double seconds;
} units[] = {{"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};

static const char *wants_duration = "a duration such as 500ms, 2s or 1m";
static const char *wants_address =
    "tcp://host:port, unix:path, http://host/path or https://host/path";

static double unit_seconds(const char *name)
{
    for (size_t i = 0; i < COIR_COUNT(units); i++)
        if (strcmp(name, units[i].name) == 0)
            return units[i].seconds;
    return 0;
}

const char *parse_duration(const char *text, coir_time *ret_value)
{
    /* strtod alone would also take signs, exponents, "inf" and hexadecimal */
    size_t digits = strspn(text, "0123456789.");
    char *end;
    double number = strtod(text, &end);
    double seconds = unit_seconds(text + digits);
    if (!isdigit((unsigned char)text[0]) || end != text + digits || seconds <= 0)
        return wants_duration;
    number *= seconds;
    *ret_value = number < DURATION_MOST ? COIR_SEC(number) : COIR_FOREVER;
    return NULL;
}

bool parse_integer(const char *text, long *ret_value)
{
    char *end;
    errno = 0;
    *ret_value = strtol(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == 0 && errno == 0;
}

/* The bytes of the UTF-8 character at a place that is not the end, 0 when there is none. */
static size_t character_length(const unsigned char *at)
{
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return at[0] < 0xf5 ? length : 0;
}

/* Characters that would move the cursor, break a line or turn its direction: C0, DEL, C1, and
 * the marks of Unicode for lines, paragraphs and directions. */
static bool moves_cursor(const unsigned char *at)
{
    if (at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0))
        return true;
    if (at[0] != 0xe2)
        return false;
    return (at[1] == 0x80 && at[2] >= 0xa8 && at[2] <= 0xae) ||
           (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9);
}

bool is_plain_text(const char *text, size_t length)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    while (at < end) {
        size_t bytes = moves_cursor(at) ? 0 : character_length(at);
        if (bytes == 0)
            return false;
        at += bytes;
    }
    return true;
}

const char *check_name(const char *text, size_t length)
{
    if (length == 0 || length > NAME_MOST || !is_plain_text(text, length))
        return "a name of 1 to 64 bytes without control characters";
    return NULL;
}

/* text is "host:port", place is as large as any that is good. */
static const char *parse_tcp(const char *text, struct address *address)
{
    const char *colon = strrchr(text, ':');
    long port;
    if (!colon)
        return wants_address;
    if (!parse_integer(colon + 1, &port) || port < 1 || port > 65535)
        return "tcp://host:port with a port from 1 to 65535";

    coir_address known;
    size_t length = (size_t)(colon - text);
    if (coir_address_parse(text, &known) < 0 && coir_name_check(text, length) < 0)
        return "tcp://host:port with a host name, an IPv4 address or an IPv6 address in brackets";
    snprintf(address->place, sizeof address->place, "%.*s:%ld", (int)length, text, port);
    return NULL;
}

static const char *parse_unix(const char *path, struct address *address)
{
    size_t length = strlen(path);
    if (length == 0 || length > PATH_MOST)
        return "unix:path with a path of 1 to 107 bytes";
    memcpy(address->place, path, length + 1);
    return NULL;
}

/* Users and passwords would be seen by everybody who looks at the table. */
static const char *parse_url(const char *text)
{
    COIR_AUTO(coir_url) url = {0};
    if (coir_url_parse(text, &url) < 0 || !url.host || !url.host[0])
        return "a URL such as https://host:8443/path, with a port from 1 to 65535, special "
               "characters percent-encoded";
    if (url.user)
        return "a URL without a user; a header can say who asks";
    if (url.fragment)
        return "a URL without a fragment, '#' and what is behind it";
    bool known = url.ipv6 || coir_name_check(url.host, strlen(url.host)) >= 0;
    char place[HOST_MOST + 8];
    coir_address address;
    int length = snprintf(place, sizeof place, "%s:%d", url.host, url.port);
    known = known || (length < (int)sizeof place && coir_address_parse(place, &address) >= 0);
    return known ? NULL : "a URL with a host name, an IPv4 address or an IPv6 address in brackets";
}

const char *parse_address(const char *text, size_t length, struct address *ret_address)
{
    static const struct {
        const char *prefix;
        enum scheme scheme;
    } schemes[] = {{"tcp://", TCP}, {"unix:", UNIX}, {"http://", HTTP}, {"https://", HTTPS}};
    *ret_address = (struct address){0};
    if (length > ADDRESS_MOST || !is_plain_text(text, length))
        return wants_address;
    for (size_t i = 0; i < COIR_COUNT(schemes); i++)
        if (strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
            const char *rest = text + strlen(schemes[i].prefix);
            ret_address->scheme = schemes[i].scheme;
            return schemes[i].scheme == TCP    ? parse_tcp(rest, ret_address)
                   : schemes[i].scheme == UNIX ? parse_unix(rest, ret_address)
                                               : parse_url(text);
        }
    return wants_address;
}

/* --- HTTP ------------------------------------------------------------------------------------- */

const char *parse_statuses(const char *text, struct status_range *ret_range)
{
    static const char *wanted = "a status from 100 to 599, or a range such as 200-299";
    char first[4] = "";
    size_t length = strcspn(text, "-");
    long from, to;
    if (length > 3)
        return wanted;
    memcpy(first, text, length);
    if (!parse_integer(first, &from) || from < 100 || from > 599)
        return wanted;
    to = from;
    if (text[length] == '-' && !parse_integer(text + length + 1, &to))
        return wanted;
    if (to < from || to > 599)
        return wanted;
    *ret_range = (struct status_range){(int)from, (int)to};
    return NULL;
}

const char *check_method(const char *text, size_t length)
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    if (length < 1 || length > 16 || strspn(text, capitals) != length ||
        strcmp(text, "CONNECT") == 0)
        return "a method such as GET, HEAD or POST";
    return NULL;
}

const char *check_header_name(const char *text, size_t length)
{
    static const char *const ours[] = {"Connection", "Content-Length", "Host", "Transfer-Encoding"};
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < COIR_COUNT(ours); i++)
        if (strcasecmp(text, ours[i]) == 0)
            return "a header that is not Connection, Content-Length, Host or Transfer-Encoding";
    bool token = length > 0 && length <= 64;
    for (size_t i = 0; i < length && token; i++)
        token = isalnum((unsigned char)text[i]) || strchr(others, text[i]);
    return token ? NULL : "the name of a header: letters, digits and hyphens, at most 64";
}

const char *check_header_value(const char *text, size_t length)
{
    bool good = length <= 1024 && text[0] != ' ' && (length == 0 || text[length - 1] != ' ');
    for (size_t i = 0; i < length && good; i++)
        good = text[i] >= ' ' && text[i] <= '~';
    return good ? NULL : "at most 1024 printable ASCII characters, no blank around them";
}
