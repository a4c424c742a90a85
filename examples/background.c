/* background.c: a task in the background, with a name, while its parent does something else.
 *
 * The task takes its first step when the parent first waits; with coir_spawn_opts.eager it would
 * take it inside the call.
 */
#include <coir/coir.h>
#include <stdio.h>

struct background {
    const char *result;
};

static int background_task(void *arg)
{
    struct background *background = arg;
    COIR_TRY(coir_sleep(COIR_SEC(10)));
    background->result = "Done";
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct background background = {0};
    coir_spawn_opts opts = {.name = "my-background-task"};
    COIR_GROUP(group); /* declared after what its tasks use */
    coir_task *task;
    COIR_TRY(coir_spawn_with(&group, background_task, &background, &opts, &task));
    printf("%s\n", coir_task_name(task));

    COIR_TRY(coir_sleep(COIR_SEC(1))); /* other work */
    printf("after 1 s: %s\n", coir_task_done(task) ? "it has ended" : "it runs");
    COIR_TRY(coir_join(task, NULL));
    printf("%s\n", background.result);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
