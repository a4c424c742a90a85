/* write.c: the lines of a head that is to be sent.
 *
 * Names and values come from programs, which may have them from anybody: what would begin another
 * line is refused here, the one place through which all of them go. Called by both sides.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "message.h"

#define DIGITS 20 /* of the largest number */

char *coir__http_add_number(char *to, uint64_t number)
{
    char *end = to + 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        end++;
    for (char *at = end; at > to; number /= 10)
        *--at = (char)('0' + number % 10);
    return end;
}

int coir__http_put_number(coir_buffer *out, uint64_t number)
{
    COIR_TRY(coir__http_reserve(out, DIGITS));
    char *end = coir__http_add_number(out->data + out->length, number);
    *end = '\0';
    out->length = (size_t)(end - out->data);
    return 0;
}

int coir__http_put_header(coir_buffer *out, const char *name, const char *value)
{
    return coir__http_is_token(name, strlen(name)) ? coir__http_put_value(out, name, value)
                                                   : -EINVAL;
}

int coir__http_put_value(coir_buffer *out, const char *name, const char *value)
{
    size_t name_length = strlen(name), value_length = strlen(value);
    if (!coir__http_is_value(value, value_length))
        return -EINVAL;
    int r = coir__http_reserve(out, name_length + value_length + 4);
    if (r < 0)
        return r;
    char *to = out->data + out->length;
    to = coir__http_add(to, name, name_length);
    to = coir__http_add(to, ": ", 2);
    to = coir__http_add(to, value, value_length);
    to = coir__http_add(to, "\r\n", 2);
    *to = '\0';
    out->length += name_length + value_length + 4;
    return 0;
}

char *coir__http_add_date(char *to)
{
    enum { BEFORE = 6 };
    static _Thread_local struct {
        int64_t second;
        char line[COIR__HTTP_DATE_LINE + 1];
    } last = {.second = -1};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != last.second) {
        last.second = now.tv_sec;
        memcpy(last.line, "Date: ", BEFORE);
        coir_http_date_format(now.tv_sec, last.line + BEFORE);
        memcpy(last.line + COIR__HTTP_DATE_LINE - 2, "\r\n", 3);
    }
    return coir__http_add(to, last.line, COIR__HTTP_DATE_LINE);
}
