/* text.c: text for people, see text.h.
 *
 * Characters are taken apart under the C.UTF-8 locale whatever the user's is, because the targets
 * file is UTF-8 always; the user's locale decides only what is sent to the terminal.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* wcwidth */
#endif

#include "text.h"

#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

static bool utf8 = true;

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

void text_init(void)
{
    /* Containers set no locale at all, and the terminal around them speaks UTF-8. */
    if (is_set("LC_ALL") || is_set("LC_CTYPE") || is_set("LANG"))
        utf8 = setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    setlocale(LC_CTYPE, "C.UTF-8");
}

bool text_is_utf8(void)
{
    return utf8;
}

/* The bytes of the first character of text, which is not empty, and its columns. */
static size_t first_character(const char *text, int *ret_columns)
{
    wchar_t character;
    mbstate_t state = {0};
    size_t length = mbrtowc(&character, text, MB_LEN_MAX, &state);
    int columns = 1;
    if (length == (size_t)-1 || length == (size_t)-2 || length == 0)
        length = 1;
    else
        columns = wcwidth(character);
    *ret_columns = columns < 0 ? 1 : columns;
    return length;
}

int text_width(const char *text)
{
    int width = 0, columns;
    for (; *text; width += columns)
        text += first_character(text, &columns);
    return width;
}

static void pad(FILE *out, int columns)
{
    while (columns-- > 0)
        fputc(' ', out);
}

/* Writes the characters of text that fit into width columns. Returns how many columns they took. */
static int put_fitting(FILE *out, const char *text, int width)
{
    int used = 0, columns;
    while (*text) {
        size_t length = first_character(text, &columns);
        if (used + columns > width)
            break;
        if (utf8 || length == 1)
            fwrite(text, 1, length, out);
        else
            for (int i = 0; i < columns; i++)
                fputc('?', out);
        text += length;
        used += columns;
    }
    return used;
}

void text_cell(FILE *out, const char *text, int width, enum align align)
{
    if (width <= 0)
        return;
    int wanted = text_width(text);
    if (wanted > width) {
        int used = put_fitting(out, text, width - 1);
        fputs(utf8 ? "…" : "~", out);
        pad(out, width - used - 1);
        return;
    }
    if (align == RIGHT)
        pad(out, width - wanted);
    (void)put_fitting(out, text, wanted);
    if (align == LEFT)
        pad(out, width - wanted);
}

const char *text_latency(coir_time duration, char *text, size_t size)
{
    double ms = (double)duration / 1e6;
    if (ms >= 999.5)
        snprintf(text, size, "%.2f s", ms / 1e3);
    else
        snprintf(text, size, ms < 9.995 ? "%.2f ms" : ms < 99.95 ? "%.1f ms" : "%.0f ms", ms);
    return text;
}

const char *text_age(coir_time duration, char *text, size_t size)
{
    long long seconds = duration / COIR_SEC(1);
    if (seconds < 60)
        snprintf(text, size, "%lld s", seconds);
    else if (seconds < 3600)
        snprintf(text, size, "%lld min", seconds / 60);
    else if (seconds < 86400)
        snprintf(text, size, "%lld h", seconds / 3600);
    else
        snprintf(text, size, "%lld d", seconds / 86400);
    return text;
}

const char *text_stamp(int64_t time, char *text, size_t size)
{
    time_t seconds = time / 1000;
    struct tm parts;
    char date[24];
    gmtime_r(&seconds, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, size, "%s.%03dZ", date, (int)(time % 1000));
    return text;
}

const char *text_warning(int days, char *text, size_t size)
{
    if (days < 1)
        snprintf(text, size, "certificate ends within a day");
    else
        snprintf(text, size, "certificate ends in %d day%s", days, days == 1 ? "" : "s");
    return text;
}
