/* table.c: draws what is known of each target, see table.h.
 *
 * A frame is text in which each line starts where the last one stood and erases what was right of
 * it, so nothing flickers and a resize needs no special care. Columns have a width that they would
 * like; where the terminal is narrower, fit() takes columns away from the least important ones
 * first. What can change from second to second has a fixed width, so the table stands still while
 * its numbers move.
 */
#include "table.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ERROR_LEAST = 18, MARK = 2, GAP = 2, MARGIN = 1, LINES_AROUND = 5 };
enum { AGO = sizeof ", 59 min ago" - 1, WIDTH_LEAST = 64 };
enum column { NAME, ADDRESS, STATE, LATENCY, SINCE, CHECKS, ERROR, COLUMNS };

struct table {
    const struct status *status;
    bool coloured;
    int error_width; /* of the widest error drawn so far: the column never shrinks */
};

/* One frame under way. */
struct frame {
    FILE *out;
    struct table *table;
    const struct caption *caption;
    const char *colour; /* the one that the terminal has now */
    int lines, width, widths[COLUMNS];
};

static const struct {
    const char *title;
    enum align align;
} columns[COLUMNS] = {{"NAME", LEFT},      {"ADDRESS", LEFT}, {"STATE", LEFT},
                      {"LATENCY", RIGHT},  {"SINCE", RIGHT},  {"LAST CHECKS", LEFT},
                      {"LAST ERROR", LEFT}};

static const char normal[] = "0", dim[] = "0;2", bold[] = "0;1", green[] = "0;32", red[] = "0;31";
static const char yellow[] = "0;33";
static const char *const state_colours[] = {dim, green, red};

/* --- Opening and closing ---------------------------------------------------------------------- */

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

int table_open(const struct status *status, struct table **ret_table)
{
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        return -ENOMEM;
    const char *plain = getenv("NO_COLOR");
    table->coloured = !plain || !*plain;
    table->error_width = ERROR_LEAST;
    table->status = status;
    *ret_table = table;
    return 0;
}

void table_close(struct table *table)
{
    free(table);
}

/* --- Widths ----------------------------------------------------------------------------------- */

/* What becomes narrower first, and down to what; 0 takes the column away. */
static const struct {
    enum column column;
    int least;
} steps[] = {{ERROR, 18}, {ADDRESS, 18}, {CHECKS, 12}, {NAME, 16},   {ADDRESS, 0}, {CHECKS, 0},
             {ERROR, 10}, {SINCE, 0},    {NAME, 8},    {LATENCY, 0}, {ERROR, 0},   {NAME, 1}};

static int total(const int *widths)
{
    int sum = MARK;
    for (int i = 0; i < COLUMNS; i++)
        sum += widths[i] > 0 ? widths[i] + (i > 0 ? GAP : 0) : 0;
    return sum;
}

/* What the columns would like to have. */
static void wish(struct table *table, int *widths)
{
    static const int least[COLUMNS] = {4, 7, 7, 8, 6, HISTORY, 0};
    memcpy(widths, least, sizeof least);
    for (size_t i = 0; i < table->status->count; i++) {
        const struct row *row = &table->status->rows[i];
        widths[NAME] = larger(widths[NAME], text_width(row->target->name));
        widths[ADDRESS] = larger(widths[ADDRESS], text_width(row->target->label));
        table->error_width = larger(table->error_width, text_width(row->reason));
    }
    widths[ERROR] = table->error_width + AGO;
}

/* Takes away what the screen has no room for, then hands out again what the last step took too
 * much. */
static void fit(struct frame *frame)
{
    static const enum column needy[] = {ERROR, CHECKS, NAME, ADDRESS};
    int *widths = frame->widths, wished[COLUMNS];
    wish(frame->table, wished);
    memcpy(widths, wished, sizeof wished);
    for (size_t i = 0; i < COIR_COUNT(steps) && total(widths) > frame->width; i++) {
        int *width = &widths[steps[i].column], excess = total(widths) - frame->width;
        *width = steps[i].least > 0 ? larger(*width - excess, smaller(*width, steps[i].least)) : 0;
    }
    for (size_t i = 0; i < COIR_COUNT(needy); i++) {
        int *width = &widths[needy[i]], room = frame->width - total(widths);
        if (*width > 0 && room > 0)
            *width = smaller(*width + room, wished[needy[i]]);
    }
    frame->width = smaller(frame->width, larger(total(widths), WIDTH_LEAST));
}

/* --- Drawing ---------------------------------------------------------------------------------- */

/* Begins a line, unless the screen is full. */
static bool begin_line(struct frame *frame)
{
    bool live = frame->caption->live;
    if (live && frame->lines >= frame->caption->rows)
        return false;
    if (frame->lines++ > 0)
        fputs(live ? "\r\n" : "\n", frame->out);
    fputs(live ? "\033[K " : " ", frame->out);
    return true;
}

/* What is written from here on has this colour. */
static void paint(struct frame *frame, const char *colour)
{
    if (frame->table->coloured && strcmp(colour, frame->colour) != 0)
        fprintf(frame->out, "\033[%sm", colour);
    frame->colour = colour;
}

/* Text in one colour in exactly width columns. */
static void put(struct frame *frame, const char *colour, const char *text, int width,
                enum align align)
{
    if (width <= 0)
        return;
    paint(frame, colour);
    text_cell(frame->out, text, width, align);
}

static const char *mark_of(const struct row *row)
{
    static const char *const pretty[] = {"○", "●", "✗", "▲"}, *const ascii[] = {"?", "+", "x", "!"};
    int mark = row->warns ? 3 : (int)row->state;
    return text_is_utf8() ? pretty[mark] : ascii[mark];
}

/* One bar for one check; each height is about three times as long as the one before. */
static const char *bar_of(coir_time latency)
{
    static const char *const pretty[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const ascii[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    int height = 0;
    for (coir_time limit = COIR_US(300); height < 7 && latency >= limit; limit = limit * 10 / 3)
        height++;
    return text_is_utf8() ? pretty[height] : ascii[height];
}

/* The last checks, the newest on the right. */
static void put_history(struct frame *frame, const struct row *row, int width)
{
    for (int back = width; back > 0; back--) {
        if ((unsigned)back > row->count) {
            put(frame, dim, text_is_utf8() ? "·" : " ", 1, LEFT);
            continue;
        }
        coir_time latency = row->history[(row->count - (unsigned)back) % HISTORY];
        if (latency < 0)
            put(frame, red, text_is_utf8() ? "×" : "x", 1, LEFT);
        else
            put(frame, green, bar_of(latency), 1, LEFT);
    }
}

/* What stands in a cell, in text of size bytes. */
static void describe(const struct row *row, enum column column, char *text, size_t size)
{
    char age[24];
    bool checked = row->count > 0;
    text[0] = 0;
    switch (column) {
    case NAME: snprintf(text, size, "%s", row->target->name); break;
    case ADDRESS: snprintf(text, size, "%s", row->target->label); break;
    case STATE: snprintf(text, size, "%s", state_name(row->state)); break;
    case LATENCY:
        if (row->state == UP)
            text_latency(row->latency, text, size);
        break;
    case SINCE:
        if (checked)
            text_age(coir_now() - row->since, text, size);
        break;
    case ERROR:
        if (row->state == DOWN)
            snprintf(text, size, "%s", row->reason);
        else if (row->warns)
            text_warning(row->certificate_days, text, size);
        else if (row->failed)
            snprintf(text, size, "%s, %s ago", row->reason,
                     text_age(coir_now() - row->failed, age, sizeof age));
        break;
    default: break;
    }
}

static const char *colour_of(const struct row *row, enum column column)
{
    if (row->warns && (column == STATE || column == ERROR))
        return yellow;
    if (column == STATE)
        return state_colours[row->state];
    if (column == NAME)
        return bold;
    return column == ADDRESS || (column == ERROR && row->state != DOWN) ? dim : normal;
}

static void draw_row(struct frame *frame, const struct row *row)
{
    if (!begin_line(frame))
        return;
    put(frame, colour_of(row, STATE), mark_of(row), MARK, LEFT);
    for (int i = 0; i < COLUMNS; i++) {
        char text[ADDRESS_MOST + 1];
        int width = frame->widths[i];
        fprintf(frame->out, "%*s", i > 0 && width > 0 ? GAP : 0, "");
        describe(row, (enum column)i, text, sizeof text);
        if (i == CHECKS)
            put_history(frame, row, width);
        else
            put(frame, colour_of(row, (enum column)i), text, width, columns[i].align);
    }
}

static void draw_titles(struct frame *frame)
{
    if (!begin_line(frame))
        return;
    paint(frame, dim);
    fprintf(frame->out, "%*s", MARK, "");
    for (int i = 0; i < COLUMNS; i++) {
        fprintf(frame->out, "%*s", i > 0 && frame->widths[i] > 0 ? GAP : 0, "");
        text_cell(frame->out, columns[i].title, frame->widths[i], columns[i].align);
    }
}

static void draw_head(struct frame *frame)
{
    const struct table *table = frame->table;
    char text[4][32], clock[16];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    snprintf(text[0], sizeof text[0], "%zu target%s", table->status->count,
             table->status->count == 1 ? "" : "s");
    size_t up = status_count(table->status, 0, UP), down = status_count(table->status, 0, DOWN);
    snprintf(text[1], sizeof text[1], "%zu up", up);
    snprintf(text[2], sizeof text[2], "%zu down", down);
    size_t warnings = status_warnings(table->status);
    snprintf(text[3], sizeof text[3], "%zu warning%s", warnings, warnings == 1 ? "" : "s");
    const char *const colours[] = {normal, up ? green : dim, down ? red : dim, yellow};

    if (!begin_line(frame))
        return;
    int left = frame->width - 8, wanted = 0;
    put(frame, bold, "Pulse", 5, LEFT);
    left -= 5;
    for (int i = 0; i < (warnings ? 4 : 3); i++) {
        wanted = text_width(text[i]) + 3;
        if (left <= wanted)
            break;
        fputs("   ", frame->out);
        put(frame, colours[i], text[i], wanted - 3, LEFT);
        left -= wanted;
    }
    put(frame, dim, clock, left + 8, RIGHT);
}

static void draw_foot(struct frame *frame)
{
    const struct caption *caption = frame->caption;
    static const char hint[] = "Ctrl-C ends";
    int right = caption->live && frame->width >= 40 ? (int)sizeof hint - 1 : 0;
    char text[512];
    snprintf(text, sizeof text, "%llu result%s in %s%s%s", (unsigned long long)caption->count,
             caption->count == 1 ? "" : "s", caption->path,
             caption->live && *caption->url ? "   " : "", caption->live ? caption->url : "");
    if (!begin_line(frame))
        return;
    put(frame, dim, text, frame->width - right, LEFT);
    put(frame, dim, hint, right, RIGHT);
}

/* The rows, and one line about those for which the screen has no room. */
static void draw_rows(struct frame *frame)
{
    const struct table *table = frame->table;
    size_t room = table->status->count;
    if (frame->caption->live && (int)room > frame->caption->rows - LINES_AROUND)
        room = frame->caption->rows > LINES_AROUND + 2
                   ? (size_t)(frame->caption->rows - LINES_AROUND - 1)
                   : 1;
    for (size_t i = 0; i < room; i++)
        draw_row(frame, &table->status->rows[i]);
    if (room == table->status->count || !begin_line(frame))
        return;
    char text[96];
    snprintf(text, sizeof text, "  and %zu more: %zu up, %zu down", table->status->count - room,
             status_count(table->status, room, UP), status_count(table->status, room, DOWN));
    put(frame, dim, text, frame->width, LEFT);
}

char *table_draw(struct table *table, const struct caption *caption, size_t *ret_length)
{
    char *text = NULL;
    struct frame frame = {.out = open_memstream(&text, ret_length),
                          .table = table,
                          .caption = caption,
                          .colour = normal};
    if (!frame.out)
        return NULL;
    frame.width = caption->columns > 2 * MARGIN ? caption->columns - 2 * MARGIN : 1;
    fit(&frame);
    fputs(caption->live ? "\033[?2026h\033[H" : "", frame.out);
    draw_head(&frame);
    (void)begin_line(&frame);
    draw_titles(&frame);
    draw_rows(&frame);
    (void)begin_line(&frame);
    draw_foot(&frame);
    paint(&frame, normal);
    fputs(caption->live ? "\033[J\033[?2026l" : "\n", frame.out);
    if (fclose(frame.out) == 0)
        return text;
    free(text);
    return NULL;
}
