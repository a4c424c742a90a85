/* deadlock.c: two tasks that take two locks in opposite order, and what the loop says about it.
 *
 * When nothing can ever wake the tasks that wait, the loop reports each of them with what it waits
 * for, then cancels them so that they release what they hold. The run returns -EDEADLK.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static coir_lock red, blue;

static int take(coir_lock *first, coir_lock *second)
{
    COIR_LOCK(first);
    COIR_TRY(coir_yield());
    COIR_LOCK(second);
    return 0;
}

static int red_then_blue(void *arg)
{
    (void)arg;
    return take(&red, &blue);
}

static int blue_then_red(void *arg)
{
    (void)arg;
    return take(&blue, &red);
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(painters);
    COIR_TRY(coir_spawn(&painters, red_then_blue, NULL, NULL));
    COIR_TRY(coir_spawn(&painters, blue_then_red, NULL, NULL));
    return coir_group_wait(&painters);
}

static void on_report(const coir_report *report, void *arg)
{
    (void)arg;
    const char *line = report->text;
    for (; line != NULL; line = strchr(line, '\n')) { /* without ages and lines of the source */
        line += *line == '\n';
        size_t length = strcspn(line, "(\n");
        length -= line[length] == '(';
        printf("%.*s\n", (int)length, line);
    }
}

int main(void)
{
    int result = 0;
    int r = coir_run(app, NULL, &(coir_loop_opts){.report = on_report}, &result);
    printf("the loop: %s, the task: %s\n", coir_error_name(r), coir_error_name(result));
    return 0;
}
