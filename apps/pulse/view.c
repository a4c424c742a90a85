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
    char stamp[STAMP_SIZE], latency[32], warning[48], line[512];
    const char *name = result->target->name;
    int length = snprintf(
        line, sizeof line, "%s  %-4s  %s%*s  %s", text_stamp(result->time, stamp, sizeof stamp),
        result->code ? "down" : "up", name, width - text_width(name), "",
        result->code ? result->reason : text_latency(result->latency, latency, sizeof latency));
    if (result_warns(result))
        length += snprintf(line + length, sizeof line - (size_t)length, "  %s",
                           text_warning(result_certificate_days(result), warning, sizeof warning));
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
    while (COIR_TRY(coir_receive(view->stored, &result)) > 0) {
        status_take(view->status, &result);
        COIR_TRY(show_line(&result, width));
    }
    return 0;
}

/* --- Table ------------------------------------------------------------------------------------ */

/* A frame on its way to the terminal. Results are taken in while a slow terminal takes its time. */
struct screen {
    struct view *view;
    struct table *table;
    char *frame; /* NULL when the terminal has all of it */
    size_t length, written;
    coir_time drawn;
};

static char *draw(const struct screen *screen, bool live, size_t *ret_length)
{
    const struct store *store = screen->view->store;
    struct terminal_size size = terminal_size();
    struct caption caption = {store->path, screen->view->url, store->count,
                              live,        size.columns,      size.rows};
    return table_draw(screen->table, &caption, ret_length);
}

static void drop_frame(struct screen *screen)
{
    free(screen->frame);
    screen->frame = NULL;
}

static int write_frame(struct screen *screen)
{
    int n =
        COIR_TRY(terminal_write(screen->frame + screen->written, screen->length - screen->written));
    screen->written += (size_t)n;
    if (screen->written == screen->length)
        drop_frame(screen);
    return 0;
}

static int begin_frame(struct screen *screen)
{
    screen->drawn = coir_now();
    screen->written = 0;
    screen->frame = draw(screen, true, &screen->length);
    return screen->frame ? write_frame(screen) : -ENOMEM;
}

/* Waits until the terminal has the frame and the next one is due: a second after the last, soon
 * after a result, at once after a resize, a stop or a continuation. Returns 1, or 0 when no
 * results are left to come. */
static int wait_for_next(struct screen *screen)
{
    enum { STOP, RESIZE, CONTINUE, READY, RECEIVE };
    coir_time when = screen->drawn + second;
    for (;;) {
        struct result result;
        coir_case cases[] = {
            [STOP] = COIR_ON_SIGNAL(SIGTSTP),
            [RESIZE] = COIR_ON_SIGNAL(SIGWINCH),
            [CONTINUE] = COIR_ON_SIGNAL(SIGCONT),
            [READY] = COIR_ON_TIME(when),
            [RECEIVE] = COIR_ON_RECEIVE(screen->view->stored, &result),
        };
        if (screen->frame)
            cases[READY] = (coir_case)COIR_ON_DESCRIPTOR(terminal_descriptor(), POLLOUT);
        switch (COIR_TRY(coir_select(cases, COIR_COUNT(cases)))) {
        case STOP: terminal_stop(); return 1;
        case READY:
            if (!screen->frame)
                return 1;
            COIR_TRY(write_frame(screen));
            break;
        case RECEIVE:
            if (cases[RECEIVE].result == 0)
                return 0;
            status_take(screen->view->status, &result);
            when = screen->drawn + frame_time;
            break;
        default: return 1;
        }
    }
}

static int run_table(struct screen *screen)
{
    int r;
    do {
        drop_frame(screen);
        COIR_TRY(begin_frame(screen));
        r = COIR_TRY(wait_for_next(screen));
    } while (r > 0);
    return r;
}

static int show_table(struct view *view)
{
    COIR_AUTO(table) *table = NULL;
    COIR_TRY(table_open(view->status, &table));
    struct screen screen = {.view = view, .table = table};
    terminal_enter();
    int r = run_table(&screen);
    terminal_leave();
    drop_frame(&screen);
    COIR_TRY(r);
    screen.frame = draw(&screen, false, &screen.length);
    r = screen.frame ? output_write(screen.frame, screen.length) : -ENOMEM;
    drop_frame(&screen);
    return r;
}

int view_run(void *arg)
{
    struct view *view = arg;
    return view->table ? show_table(view) : show_lines(view);
}
