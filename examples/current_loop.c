/* current_loop.c: the loop that runs, and the choice of what it waits by.
 *
 * A loop takes the best backend that works: uring, else epoll. A program asks for one in its
 * options, whoever starts it by COIR_BACKEND=epoll; sim needs no kernel, and is there for tests.
 * asyncio's policies choose for the whole process, this is for each loop.
 */
#include <coir/coir.h>
#include <stdio.h>

static int show_loop(void *arg)
{
    (void)arg;
    const coir_loop *loop = coir_loop_current();
    struct coir_loop_stats stats;
    coir_loop_stats(loop, &stats);
    printf("Loop: <%s, %d task, %s>\n", coir_info()->backend, (int)stats.tasks,
           coir_loop_time(loop) <= coir_now() ? "running" : "in the future");
    return 0;
}

int main(void)
{
    printf("Loop: %s\n", coir_loop_current() == NULL ? "none runs yet" : "there is one?");
    int r = coir_run(show_loop, NULL, &(coir_loop_opts){.backend = "epoll"}, NULL);
    if (r == 0)
        r = coir_run(show_loop, NULL, &(coir_loop_opts){.backend = "sim"}, NULL);
    if (r == 0)
        r = coir_run(show_loop, NULL, NULL, NULL);
    return r < 0;
}
