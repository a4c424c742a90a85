/* write.c: the lines of a head that is to be sent.
 *
 * Names and values come from programs, which may have them from anybody: what would begin another
 * line is refused here, the one place through which all of them go. Called by both sides.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "message.h"

int coir__http_put_number(coir_buffer *out, uint64_t number)
{
    size_t digits = 1;
    for (uint64_t rest = number; rest >= 10; rest /= 10)
        digits++;
    COIR_TRY(coir_buffer_reserve(out, digits));
    out->length += digits;
    char *to = out->data + out->length;
    *to = '\0';
    do
        *--to = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return 0;
}

/* Adds size bytes at data, for which there is room. */
static char *add(char *to, const void *data, size_t size)
{
    memcpy(to, data, size);
    return to + size;
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
    int r = coir_buffer_reserve(out, name_length + value_length + 4);
    if (r < 0)
        return r;
    char *to = out->data + out->length;
    to = add(to, name, name_length);
    to = add(to, ": ", 2);
    to = add(to, value, value_length);
    to = add(to, "\r\n", 2);
    *to = '\0';
    out->length += name_length + value_length + 4;
    return 0;
}

int coir__http_put_date(coir_buffer *out)
{
    enum { BEFORE = 6, LENGTH = BEFORE + COIR_HTTP_DATE_TEXT - 1 + 2 };
    static _Thread_local struct {
        int64_t second;
        char line[LENGTH + 1];
    } last = {.second = -1};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != last.second) {
        last.second = now.tv_sec;
        memcpy(last.line, "Date: ", BEFORE);
        coir_http_date_format(now.tv_sec, last.line + BEFORE);
        memcpy(last.line + LENGTH - 2, "\r\n", 3);
    }
    return coir__http_put_bytes(out, last.line, LENGTH);
}
