/* cookies.c: the cookies of a session, as RFC 6265 and its revision (draft 6265bis) say.
 *
 * A server sets cookies for its own host, or for a domain above it that is nobody's suffix ("co.uk"
 * is one, libpsl knows). What is set for encrypted connections is neither taken from others nor
 * shown on them. The jar is bounded, and the oldest goes. Called by send.c.
 */
#include "session.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpsl.h>

#include <coir/memory.h>

enum { COOKIES_MOST = 1000, COOKIES_OF_DOMAIN = 50, COOKIE_SIZE = 4096, AGE_MOST = 400 * 86400 };

struct coir__cookie {
    struct coir__cookie *next;
    int64_t expires; /* seconds since 1970; INT64_MAX: with the session */
    uint64_t number; /* the older has the smaller one */
    bool host_only, secure;
    const char *domain, *path, *name, *value;
    char texts[];
};

/* What a Set-Cookie says: parts of its text. */
struct said {
    coir_bytes name, value, domain, path;
    int64_t expires;
    bool secure;
};

/* ---- reading ---- */

static coir_bytes part(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    return (coir_bytes){from, (size_t)(to - from)};
}

static bool is(coir_bytes bytes, const char *text)
{
    return bytes.length == strlen(text) && coir__http_alike_start(bytes.data, text, bytes.length);
}

/* The part of text up to `end`, cut at its first "=". */
static void split(const char *text, const char *end, coir_bytes *ret_name, coir_bytes *ret_value)
{
    const char *equals = memchr(text, '=', (size_t)(end - text));
    *ret_name = part(text, equals != NULL ? equals : end);
    *ret_value = equals != NULL ? part(equals + 1, end) : (coir_bytes){end, 0};
}

static int64_t age_of(coir_bytes value, int64_t now, int64_t otherwise)
{
    char text[24], *end;
    const char *first = value.data;
    if (value.length == 0 || value.length >= sizeof text ||
        (*first != '-' && (*first < '0' || *first > '9')))
        return otherwise;
    memcpy(text, value.data, value.length);
    text[value.length] = '\0';
    long long age = strtoll(text, &end, 10);
    if (*end != '\0')
        return otherwise;
    return age <= 0 ? INT64_MIN : now + (age < AGE_MOST ? age : AGE_MOST);
}

/* ---- dates: RFC 6265, section 5.1.1 ---- */

/* What has been found of a date, whose parts may stand in any order and between anything. */
struct date {
    struct tm tm;
    bool time, day, month, year;
};

/* Takes a number of least to most digits, and no more, off *at. */
static bool take_number(const char **at, const char *end, int least, int most, int *ret_number)
{
    int digits = 0, number = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at, digits++)
        if (digits < most)
            number = 10 * number + (**at - '0');
    *ret_number = number;
    return digits >= least && digits <= most;
}

static bool take_colon(const char **at, const char *end)
{
    return *at < end && *(*at)++ == ':';
}

static bool take_time(const char *at, const char *end, struct tm *tm)
{
    int hour, minute, second;
    if (!take_number(&at, end, 1, 2, &hour) || !take_colon(&at, end) ||
        !take_number(&at, end, 1, 2, &minute) || !take_colon(&at, end) ||
        !take_number(&at, end, 1, 2, &second))
        return false;
    tm->tm_hour = hour;
    tm->tm_min = minute;
    tm->tm_sec = second;
    return true;
}

static bool take_month(const char *at, const char *end, struct tm *tm)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    for (int i = 0; i < 12 && end - at >= 3; i++)
        if (coir__http_alike_start(at, months + (ptrdiff_t)3 * i, 3)) {
            tm->tm_mon = i;
            return true;
        }
    return false;
}

static void take_part(const char *at, const char *end, struct date *date)
{
    const char *rest = at;
    int number;
    if (!date->time && take_time(at, end, &date->tm))
        date->time = true;
    else if (!date->day && take_number(&rest, end, 1, 2, &number)) {
        date->tm.tm_mday = number;
        date->day = true;
    } else if (!date->month && take_month(at, end, &date->tm))
        date->month = true;
    else if (rest = at, !date->year && take_number(&rest, end, 2, 4, &number)) {
        date->tm.tm_year = number >= 100 ? number - 1900 : number < 70 ? number + 100 : number;
        date->year = true;
    }
}

static bool is_delimiter(char c)
{
    return c == '\t' || (c >= ' ' && c <= '/') || (c >= ';' && c <= '@') ||
           (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

static int64_t date_of(coir_bytes value, int64_t now, int64_t otherwise)
{
    const char *at = value.data, *end = at + value.length;
    struct date date = {0};
    while (at < end) {
        const char *part = at;
        while (at < end && !is_delimiter(*at))
            at++;
        take_part(part, at, &date);
        at += at < end;
    }
    const struct tm *tm = &date.tm;
    if (!date.time || !date.day || !date.month || !date.year || tm->tm_mday < 1 ||
        tm->tm_mday > 31 || tm->tm_year < 1601 - 1900 || tm->tm_hour > 23 || tm->tm_min > 59 ||
        tm->tm_sec > 59)
        return otherwise;
    int64_t seconds = timegm(&date.tm);
    return seconds < now + AGE_MOST ? seconds : now + AGE_MOST;
}

/* ---- what a Set-Cookie says ---- */

/* It would be the end of a field where cookies are saved. */
static bool has_tab(coir_bytes bytes)
{
    return bytes.length > 0 && memchr(bytes.data, '\t', bytes.length) != NULL;
}

/* Returns whether text is a cookie at all. */
static bool parse(const char *text, int64_t now, struct said *ret_said)
{
    size_t length = strcspn(text, ";");
    bool aged = false; /* Max-Age goes before Expires */
    *ret_said = (struct said){.expires = INT64_MAX};
    if (memchr(text, '=', length) == NULL || strlen(text) > 2 * COOKIE_SIZE)
        return false;
    split(text, text + length, &ret_said->name, &ret_said->value);
    for (const char *at = text + length; *at == ';'; at += length) {
        coir_bytes name, value;
        length = strcspn(++at, ";");
        split(at, at + length, &name, &value);
        if (is(name, "Secure"))
            ret_said->secure = true;
        else if (is(name, "Domain"))
            ret_said->domain = value;
        else if (is(name, "Path"))
            ret_said->path = value;
        else if (is(name, "Max-Age")) {
            ret_said->expires = age_of(value, now, ret_said->expires);
            aged = true;
        } else if (is(name, "Expires") && !aged)
            ret_said->expires = date_of(value, now, ret_said->expires);
    }
    return ret_said->name.length > 0 && !has_tab(ret_said->name) && !has_tab(ret_said->path) &&
           ret_said->name.length + ret_said->value.length <= COOKIE_SIZE;
}

/* ---- for whom ---- */

static bool is_address(const coir_url *url)
{
    return url->ipv6 || url->host[strspn(url->host, "0123456789.")] == '\0';
}

/* Whether host is domain, or below it. */
static bool is_below(const char *host, const char *domain)
{
    size_t whole = strlen(host), above = strlen(domain);
    return whole >= above && coir__http_alike(host + whole - above, domain) &&
           (whole == above || host[whole - above - 1] == '.');
}

/* The directory of a path: what a cookie without a path is for. */
static coir_bytes directory_of(const char *path)
{
    const char *slash = path[0] == '/' ? strrchr(path, '/') : NULL;
    return slash == NULL || slash == path ? (coir_bytes){"/", 1}
                                          : (coir_bytes){path, (size_t)(slash - path)};
}

static bool is_for_path(const char *path, const char *wanted)
{
    size_t length = strlen(wanted);
    if (path[0] == '\0')
        path = "/";
    return strncmp(path, wanted, length) == 0 &&
           (wanted[length - 1] == '/' || path[length] == '/' || path[length] == '\0');
}

static bool is_for(const struct coir__cookie *cookie, const coir_url *url)
{
    bool host = cookie->host_only ? strcmp(url->host, cookie->domain) == 0
                                  : is_below(url->host, cookie->domain) && !is_address(url);
    return host && is_for_path(url->path, cookie->path) &&
           (!cookie->secure || strcmp(url->scheme, "https") == 0);
}

static bool has_prefix(coir_bytes name, const char *prefix)
{
    size_t length = strlen(prefix);
    return name.length >= length && coir__http_alike_start(name.data, prefix, length);
}

/* Whether url may set what said says: its secrecy, and the promises of its name. */
static bool is_trusted(const struct said *said, const coir_url *url)
{
    bool https = strcmp(url->scheme, "https") == 0;
    if (said->secure && !https)
        return false;
    if (has_prefix(said->name, "__Secure-"))
        return said->secure;
    if (has_prefix(said->name, "__Host-"))
        return said->secure && said->domain.length == 0 && is(said->path, "/");
    return true;
}

/* ---- the jar ---- */

static const char *keep(char **to, coir_bytes bytes, bool small)
{
    char *kept = *to;
    for (size_t i = 0; i < bytes.length; i++) {
        char c = ((const char *)bytes.data)[i];
        *(*to)++ = small && c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    *(*to)++ = '\0';
    return kept;
}

/* A cookie of these texts; NULL without memory. */
static struct coir__cookie *make_of(coir_bytes name, coir_bytes value, coir_bytes domain,
                                    coir_bytes path)
{
    size_t size = name.length + value.length + domain.length + path.length + 4;
    struct coir__cookie *cookie = coir_calloc(1, sizeof *cookie + size);
    if (cookie == NULL)
        return NULL;
    char *to = cookie->texts;
    cookie->domain = keep(&to, domain, true);
    cookie->path = keep(&to, path, false);
    cookie->name = keep(&to, name, false);
    cookie->value = keep(&to, value, false);
    return cookie;
}

static coir_bytes without_dot(coir_bytes domain)
{
    bool dot = domain.length > 0 && *(const char *)domain.data == '.';
    return dot ? (coir_bytes){(const char *)domain.data + 1, domain.length - 1} : domain;
}

static struct coir__cookie *make(const struct said *said, const coir_url *url)
{
    coir_bytes domain = without_dot(said->domain), path = said->path;
    if (path.length == 0 || *(const char *)path.data != '/')
        path = directory_of(url->path);
    bool host_only = domain.length == 0;
    if (host_only)
        domain = (coir_bytes){url->host, strlen(url->host)};
    struct coir__cookie *cookie = make_of(said->name, said->value, domain, path);
    if (cookie == NULL)
        return NULL;
    cookie->host_only = host_only || (is_address(url) && strcmp(cookie->domain, url->host) == 0);
    cookie->secure = said->secure;
    cookie->expires = said->expires;
    return cookie;
}

static void drop(struct coir__cookies *jar, struct coir__cookie **link)
{
    struct coir__cookie *cookie = *link;
    *link = cookie->next;
    jar->count--;
    coir_free(cookie);
}

static bool is_same(const struct coir__cookie *a, const struct coir__cookie *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->domain, b->domain) == 0 &&
           strcmp(a->path, b->path) == 0;
}

/* Whether a cookie that came without encryption would hide, or take the place of, one that is for
 * encrypted connections only (draft 6265bis, section 5.7). */
static bool is_overlaid(const struct coir__cookies *jar, const struct coir__cookie *cookie)
{
    for (const struct coir__cookie *at = jar->first; at != NULL; at = at->next)
        if (at->secure && strcmp(at->name, cookie->name) == 0 &&
            (is_below(at->domain, cookie->domain) || is_below(cookie->domain, at->domain)) &&
            is_for_path(cookie->path, at->path))
            return true;
    return false;
}

/* Whether a has to go before b: what anybody on the way could have set, and then the older. */
static bool goes_before(const struct coir__cookie *a, const struct coir__cookie *b)
{
    return a->secure != b->secure ? b->secure : a->number < b->number;
}

/* Drops what is over, what cookie takes the place of, and one of many where there are too many. */
static void make_room(struct coir__cookies *jar, const struct coir__cookie *cookie, int64_t now)
{
    struct coir__cookie **oldest = NULL, **oldest_of_domain = NULL;
    size_t of_domain = 0;
    for (struct coir__cookie **link = &jar->first; *link != NULL;) {
        struct coir__cookie *at = *link;
        if (at->expires <= now || is_same(at, cookie)) {
            drop(jar, link);
            oldest = oldest_of_domain =
                NULL; /* links may be stale: look again from the beginning */
            of_domain = 0;
            link = &jar->first;
            continue;
        }
        bool here = strcmp(at->domain, cookie->domain) == 0;
        of_domain += here;
        if (oldest == NULL || at->number < (*oldest)->number)
            oldest = link;
        if (here && (oldest_of_domain == NULL || goes_before(at, *oldest_of_domain)))
            oldest_of_domain = link;
        link = &at->next;
    }
    if (of_domain >= COOKIES_OF_DOMAIN)
        drop(jar, oldest_of_domain);
    else if (jar->count >= COOKIES_MOST)
        drop(jar, oldest);
}

static void insert(struct coir__cookies *jar, struct coir__cookie *cookie)
{
    struct coir__cookie **link = &jar->first;
    while (*link != NULL && strlen((*link)->path) >= strlen(cookie->path))
        link = &(*link)->next;
    cookie->next = *link;
    cookie->number = jar->made++;
    *link = cookie;
    jar->count++;
}

int coir__cookies_take(struct coir__cookies *jar, const coir_url *url, const char *text,
                       int64_t now)
{
    struct said said;
    if (!coir__http_is_value(text, strlen(text)) || !parse(text, now, &said) ||
        !is_trusted(&said, url))
        return 0;
    struct coir__cookie *cookie = make(&said, url);
    if (cookie == NULL)
        return -ENOMEM;
    if (strcmp(cookie->domain, url->host) == 0 && psl_is_public_suffix(psl_builtin(), url->host))
        cookie->host_only = true; /* others below it are others' */
    bool allowed = cookie->host_only ||
                   (is_below(url->host, cookie->domain) && !is_address(url) &&
                    psl_is_cookie_domain_acceptable(psl_builtin(), url->host, cookie->domain));
    if (strcmp(url->scheme, "https") != 0)
        allowed &= !is_overlaid(jar, cookie);
    if (allowed)
        make_room(jar, cookie, now);
    if (allowed && cookie->expires > now)
        insert(jar, cookie);
    else
        coir_free(cookie);
    return 0;
}

int coir__cookies_put(struct coir__cookies *jar, const coir_url *url, int64_t now, coir_buffer *out)
{
    bool begun = false;
    for (const struct coir__cookie *at = jar->first; at != NULL; at = at->next) {
        if (at->expires <= now || !is_for(at, url))
            continue;
        COIR_TRY(coir__http_put(out, begun ? "; " : "Cookie: "));
        COIR_TRY(coir__http_put(out, at->name));
        COIR_TRY(coir__http_put(out, "="));
        COIR_TRY(coir__http_put(out, at->value));
        begun = true;
    }
    return begun ? coir__http_put(out, "\r\n") : 0;
}

/* ---- as a text ----
 *
 * A line is domain, whether it is for those below too, path, secure, expires (0: with the session),
 * name, value, with tabs between them. */

int coir__cookies_save(const struct coir__cookies *jar, int64_t now, coir_buffer *out)
{
    COIR_TRY(coir__http_put(out, "# Netscape HTTP Cookie File\n"));
    for (const struct coir__cookie *at = jar->first; at != NULL; at = at->next) {
        if (at->expires <= now)
            continue;
        COIR_TRY(coir__http_put(out, at->host_only ? "" : "."));
        COIR_TRY(coir__http_put(out, at->domain));
        COIR_TRY(coir__http_put(out, at->host_only ? "\tFALSE\t" : "\tTRUE\t"));
        COIR_TRY(coir__http_put(out, at->path));
        COIR_TRY(coir__http_put(out, at->secure ? "\tTRUE\t" : "\tFALSE\t"));
        COIR_TRY(coir__http_put_number(out, at->expires == INT64_MAX ? 0 : (uint64_t)at->expires));
        COIR_TRY(coir__http_put(out, "\t"));
        COIR_TRY(coir__http_put(out, at->name));
        COIR_TRY(coir__http_put(out, "\t"));
        COIR_TRY(coir__http_put(out, at->value));
        COIR_TRY(coir__http_put(out, "\n"));
    }
    return 0;
}

enum field { DOMAIN, BELOW, PATH, SECURE, EXPIRES, NAME, VALUE, FIELDS };

/* Splits a line at its tabs. Returns whether it has so many fields. */
static bool split_line(coir_bytes line, coir_bytes fields[FIELDS])
{
    const char *at = line.data, *end = at + line.length;
    for (int i = 0; i < FIELDS; i++) {
        const char *tab = i < VALUE ? memchr(at, '\t', (size_t)(end - at)) : end;
        if (tab == NULL)
            return false;
        fields[i] = (coir_bytes){at, (size_t)(tab - at)};
        at = tab + 1;
    }
    return true;
}

static bool read_number(coir_bytes field, int64_t *ret_number)
{
    char text[24], *end;
    if (field.length == 0 || field.length >= sizeof text)
        return false;
    memcpy(text, field.data, field.length);
    text[field.length] = '\0';
    *ret_number = strtoll(text, &end, 10);
    return *end == '\0' && *ret_number >= 0;
}

/* What may stand in a Cookie header. */
static bool is_plain(coir_bytes bytes)
{
    return memchr(bytes.data, ';', bytes.length) == NULL &&
           coir__http_is_value(bytes.data, bytes.length);
}

static bool is_sound(const coir_bytes fields[FIELDS])
{
    const coir_bytes *name = &fields[NAME];
    return without_dot(fields[DOMAIN]).length > 0 && fields[PATH].length > 0 &&
           *(const char *)fields[PATH].data == '/' && name->length > 0 &&
           name->length + fields[VALUE].length <= COOKIE_SIZE && is_plain(*name) &&
           memchr(name->data, '=', name->length) == NULL && is_plain(fields[VALUE]);
}

/* Returns 0, -EBADMSG, -ENOMEM. */
static int load_line(struct coir__cookies *jar, coir_bytes line, int64_t now)
{
    static const char hidden[] = "#HttpOnly_"; /* from scripts in pages, which are not here */
    coir_bytes fields[FIELDS];
    int64_t expires;
    const char *text = line.data;
    size_t skip = sizeof hidden - 1;
    if (line.length > skip && memcmp(text, hidden, skip) == 0)
        line = (coir_bytes){text + skip, line.length - skip};
    else if (line.length == 0 || *text == '#')
        return 0;
    if (!split_line(line, fields) || !is_sound(fields) || !read_number(fields[EXPIRES], &expires))
        return -EBADMSG;
    struct coir__cookie *cookie =
        make_of(fields[NAME], fields[VALUE], without_dot(fields[DOMAIN]), fields[PATH]);
    if (cookie == NULL)
        return -ENOMEM;
    cookie->host_only = !is(fields[BELOW], "TRUE");
    cookie->secure = is(fields[SECURE], "TRUE");
    cookie->expires = expires == 0 ? INT64_MAX : expires;
    make_room(jar, cookie, now);
    if (cookie->expires > now)
        insert(jar, cookie);
    else
        coir_free(cookie);
    return 0;
}

int coir__cookies_load(struct coir__cookies *jar, coir_bytes text, int64_t now)
{
    const char *at = text.data, *end = at + text.length;
    for (int number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline != NULL ? newline : end;
        size_t length = (size_t)(stop - at);
        if (length > 0 && stop[-1] == '\r')
            length--;
        int r = load_line(jar, (coir_bytes){at, length}, now);
        if (r == -EBADMSG)
            return coir_fail(r, "cookies: line %d is none: '%.40s'", number, length > 0 ? at : "");
        COIR_TRY(r);
        at = stop + 1;
    }
    return 0;
}

void coir__cookies_free(struct coir__cookies *jar)
{
    while (jar->first != NULL)
        drop(jar, &jar->first);
}
