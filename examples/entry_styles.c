/* entry_styles.c: the two ways into a loop.
 *
 * coir_run opens a loop, runs one function in it, and closes it. The older way of asyncio is there
 * too: a loop that is opened, run until something has ended, and closed, as often as one likes.
 * Programs take a third, coir_main: coir_run and what a process needs around it (see hello.c).
 */
#include <coir/coir.h>
#include <stdio.h>

static int my_function(void *arg)
{
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    printf("run by %s\n", (const char *)arg);
    return 0;
}

static int run_until_complete(coir_loop *loop, const char *how)
{
    coir_task *task;
    COIR_TRY(coir_loop_spawn(loop, my_function, (void *)(uintptr_t)how, &task));
    return coir_loop_run_until(loop, task, NULL);
}

int main(void)
{
    coir_loop *loop;
    if (coir_loop_open(&(coir_loop_opts){.virtual_clock = true}, &loop) < 0)
        return 1;
    int r = run_until_complete(loop, "coir_loop_run_until");
    if (r == 0)
        r = run_until_complete(loop, "coir_loop_run_until, again");
    coir_loop_close(loop);

    if (r == 0)
        r = coir_run(my_function, "coir_run", NULL, NULL);
    return r < 0;
}
