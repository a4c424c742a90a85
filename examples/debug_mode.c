/* debug_mode.c: debug mode is an option of a loop, and can be switched while it runs; COIR_DEBUG=1
 * in the environment asks for it without another line of code.
 *
 * Then steps that are too long, locks in dangerous orders, mutexes held across a wait, arguments
 * that have died and calls from the wrong thread are reported. Failures that nobody reads and tasks
 * that are left are reported in any mode.
 */
#include <coir/coir.h>
#include <coir/debug.h>
#include <stdio.h>

static void print_report(const coir_report *report, void *arg)
{
    (void)arg;
    printf("a report: %.20s...\n", report->text);
}

static void say(const char *when)
{
    printf("%s: debug mode is %s\n", when, coir_debug_on(NULL) ? "on" : "off");
}

static int app(void *arg)
{
    (void)arg;
    say("asked for");
    COIR_TRY(coir_debug_set(NULL, false));
    say("later");
    COIR_TRY(coir_debug_set(NULL, true)); /* from here on: what happens next is seen */
    coir_debug_set_slow_step(NULL, COIR_SEC(1));
    say("again");
    return coir_sleep(COIR_MS(10));
}

int main(void)
{
    coir_loop_opts opts = {
        .debug = true,              /* run(main(), debug=True) */
        .slow_step = COIR_SEC(0.5), /* loop.slow_callback_duration; 0.1 s unless it is set */
        .report = print_report,     /* instead of standard error */
    };
    return coir_main_with(app, NULL, &opts);
}
