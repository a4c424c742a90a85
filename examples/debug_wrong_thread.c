/* debug_wrong_thread.c: objects belong to the thread of their loop; debug mode says who forgets it.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

/* Prints a report without what differs from run to run: the numbers of threads, and the stack. */
static void print_report(const coir_report *report, void *arg)
{
    (void)arg;
    int length = (int)strcspn(report->text, "0123456789");
    const char *hint = strstr(report->text, "hint: ");
    printf("%.*s...\n  %.35s...\n", length, report->text, hint != NULL ? hint : "no hint");
}

struct work {
    coir_loop *loop;
    coir_event done;
    coir_post_node node;
    int wrong, right;
};

static void set_done(void *arg)
{
    struct work *work = arg;
    coir_event_set(&work->done);
}

static int work_in_thread(void *arg)
{
    struct work *work = arg;
    work->wrong = coir_event_set(&work->done);
    work->right = coir_post(work->loop, &work->node, set_done, work);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct work work = {.loop = coir_loop_current()};
    coir_event_clear(&work.done); /* this loop's, from its first use on */
    COIR_TRY(coir_blocking(work_in_thread, &work));
    COIR_TRY(coir_event_wait(&work.done));
    printf("coir_event_set: %s, coir_post: %s\n", coir_error_name(work.wrong),
           coir_error_name(work.right));
    return 0;
}

int main(void)
{
    coir_loop_opts opts = {.debug = true, .slow_step = COIR_SEC(1), .report = print_report};
    return coir_main_with(app, NULL, &opts);
}
