/* forgotten.c: what can be forgotten, and who notices.
 *
 * A forgotten await is impossible: a call is a call. A forgotten result is a warning of the
 * compiler. What is left is a failure that nobody looks at, of a task that was never joined or of a
 * group: both are reported, in every build. coir_main prints such reports on standard error.
 */
#include <coir/coir.h>
#include <stdio.h>

static int fetch_data(void *arg)
{
    int *data = arg;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    *data = 42;
    return 0;
}

static int fail(void *arg)
{
    return coir_fail(-EIO, "%s", (const char *)arg);
}

static int app(void *arg)
{
    (void)arg;
    int data = 0;
    COIR_TRY(fetch_data(&data)); /* left out, the compiler complains of coir_sleep's result */
    printf("data: %d\n", data);

    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, fail, "for whoever asks the group", NULL));
    coir_task
        *handle; /* of a child of this task, which is joined when this function has returned */
    COIR_TRY(coir_spawn(NULL, fail, "for whoever joins", &handle));
    return coir_group_wait(&group);
}

static void on_report(const coir_report *report, void *arg)
{
    (void)arg;
    const char *kind = report->kind == COIR_REPORT_UNJOINED ? "unjoined" : "unread";
    printf("%s: %s\n", kind, coir_error_message(report->error));
}

int main(void)
{
    return coir_run(app, NULL, &(coir_loop_opts){.report = on_report}, NULL) < 0;
}
