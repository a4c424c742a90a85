/* locals.c: a variable with a value for each task, which children inherit: a request's number.
 *
 * log_line finds the number without being given it through every call in between.
 */
#include <coir/coir.h>
#include <stdio.h>

static const coir_local request = {.name = "request"};

static void log_line(const char *text)
{
    const char *name = coir_local_get(&request);
    printf("[%s] %s\n", name != NULL ? name : "-", text);
}

static int look_up(void *arg)
{
    log_line(arg); /* a child of handle: it has its parent's value */
    return 0;
}

static int handle(void *arg)
{
    COIR_TRY(coir_local_set(&request, arg)); /* outlives every task that sees it */
    log_line("begins");
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, look_up, "looks it up", NULL));
    COIR_TRY(coir_group_wait(&group));
    COIR_TRY(coir_sleep(COIR_MS(10))); /* others run meanwhile, with values of their own */
    log_line("ends");
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, handle, "r1", NULL));
    COIR_TRY(coir_spawn(&group, handle, "r2", NULL));
    COIR_TRY(coir_group_wait(&group));
    log_line("all done");
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
