/* texts.c: what stands in RFC 9110 for both sides: texts of statuses, dates, looking headers up.
 * What the program has set as its locale changes none of it.
 */
#include <coir/http.h>

#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "message.h"

static unsigned char small(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool coir__http_alike(const char *a, const char *b)
{
    for (; small(*a) == small(*b); a++, b++)
        if (*a == '\0')
            return true;
    return false;
}

bool coir__http_alike_start(const char *a, const char *b, size_t length)
{
    for (; length > 0 && small(*a) == small(*b); a++, b++, length--)
        if (*a == '\0')
            return true;
    return length == 0;
}

const char *coir_http_header_get(const coir_http_header *headers, const char *name)
{
    if (headers == NULL || name == NULL)
        return NULL;
    for (; headers->name != NULL; headers++)
        if (coir__http_alike(headers->name, name))
            return headers->value;
    return NULL;
}

const char *coir_http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].text;
    return "";
}

/* ---- dates ---- */

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void coir_http_date_format(int64_t seconds, char ret_text[COIR_HTTP_DATE_TEXT])
{
    struct tm tm;
    time_t time = seconds < 0 ? 0 : seconds > 253402300799 ? 253402300799 : (time_t)seconds;
    (void)gmtime_r(&time, &tm);
    (void)snprintf(ret_text, COIR_HTTP_DATE_TEXT, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                   days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
}

/* The three forms: that of today, that of RFC 850, and that of asctime(). */
static const char *const forms[] = {
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
};

static locale_t english;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* It lives as long as the process. */
static void make_english(void)
{
    english = newlocale(LC_TIME_MASK, "C", (locale_t)0);
}

/* A year of two digits is the one that is at most 50 years from now (RFC 9110, section 5.6.7). */
static void choose_century(struct tm *tm)
{
    struct tm now;
    time_t seconds = time(NULL);
    (void)gmtime_r(&seconds, &now);
    tm->tm_year = now.tm_year - now.tm_year % 100 + tm->tm_year % 100;
    if (tm->tm_year > now.tm_year + 50)
        tm->tm_year -= 100;
}

int coir_http_date_parse(const char *text, int64_t *ret_seconds)
{
    if (text == NULL || ret_seconds == NULL)
        return -EINVAL;
    (void)pthread_once(&once, make_english);
    for (size_t i = 0; english != (locale_t)0 && i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm = {0};
        const char *end = strptime_l(text, forms[i], &tm, english);
        if (end == NULL || *end != '\0')
            continue;
        if (i == 1)
            choose_century(&tm);
        time_t seconds = timegm(&tm);
        if (seconds < 0 && tm.tm_year >= 70)
            return -EINVAL;
        *ret_seconds = seconds;
        return 0;
    }
    return -EINVAL;
}
