/* view.c: shows what the store has written: a table that is alive, or one line for each result.
 *
 * The table is drawn when something in it has changed, but at most ten times a second, and once a
 * second for its clock and ages. What is shown last stays: when the task ends, the last table is
 * left in the scrollback.
 */
#include "pulse.h"
#include "table.h"
#include "terminal.h"
#include "text.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

static const coir_time frame_time = COIR_MS(100), second = COIR_SEC(1);

/* --- Lines ------------------------------------------------------------------------------------ */

static int name_width(const struct config *config)
{
    int most = 4;
    for (size_t i = 0; i < config->count; i++) {
        int width = text_width(config->targets[i].name);
        most = width > most ? width : most;
    }
    return most;
}

static int show_line(const struct result *result, int width)
{
    char stamp[STAMP_SIZE], latency[32], line[512];
    const char *name = result->target->name;
    int length = snprintf(line, sizeof line, "%s  %-4s  %s%*s  %s",
                          text_stamp(result->time, stamp, sizeof stamp),
                          result->code ? "down" : "up", name, width - text_width(name), "",
                          result->code ? coir_error_text(result->code)
                                       : text_latency(result->latency, latency, sizeof latency));
    if (result->attempts > 1)
        length += snprintf(line + length, sizeof line - (size_t)length, " (%d attempts)",
                           result->attempts);
    line[length++] = '\n';
    return output_write(line, (size_t)length);
}

static int show_lines(struct view *view)
{
    struct result result;
    int width = name_width(view->config);
    while (COIR_TRY(coir_receive(view->stored, &result)) > 0)
        COIR_TRY(show_line(&result, width));
    return 0;
}

/* --- Table ------------------------------------------------------------------------------------ */

static int draw(const struct view *view, const struct table *table, bool live)
{
    struct terminal_size size = terminal_size();
    struct caption caption = {view->store->path, view->store->count, live, size.columns, size.rows};
    size_t length;
    char *text = table_draw(table, &caption, &length);
    if (!text)
        return -ENOMEM;
    int r = output_write(text, length);
    free(text);
    return r;
}

/* Waits until a frame is due: at when, or at once after a resize, a stop or a continuation;
 * takes in the results that come meanwhile. Returns 1, or 0 when no results are left to come. */
static int wait_for_frame(struct view *view, struct table *table, coir_time drawn)
{
    coir_time when = drawn + second;
    for (;;) {
        struct result result;
        coir_case cases[] = {
            COIR_ON_SIGNAL(SIGTSTP),
            COIR_ON_SIGNAL(SIGWINCH),
            COIR_ON_SIGNAL(SIGCONT),
            COIR_ON_TIME(when),
            COIR_ON_RECEIVE(view->stored, &result),
        };
        int index = COIR_TRY(coir_select(cases, COIR_COUNT(cases)));
        if (index == 0)
            terminal_stop();
        if (index < 4)
            return 1;
        if (cases[4].result == 0)
            return 0;
        table_take(table, &result);
        when = drawn + frame_time;
    }
}

static int run_table(struct view *view, struct table *table)
{
    int r = 1;
    while (r > 0) {
        coir_time drawn = coir_now();
        COIR_TRY(draw(view, table, true));
        r = COIR_TRY(wait_for_frame(view, table, drawn));
    }
    return r;
}

static int show_table(struct view *view)
{
    COIR_AUTO(table) *table = NULL;
    COIR_TRY(table_open(view->config, &table));
    terminal_enter();
    int r = run_table(view, table);
    terminal_leave();
    COIR_TRY(r);
    return draw(view, table, false);
}

int view_run(void *arg)
{
    struct view *view = arg;
    return view->table ? show_table(view) : show_lines(view);
}
