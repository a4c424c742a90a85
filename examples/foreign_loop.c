/* foreign_loop.c: a loop inside another one's: here poll(2) stands for the loop of a user interface
 * or a game, which owns the thread.
 *
 * coir_loop_step does what there is to do and returns; between two steps the outer loop may wait
 * for coir_loop_descriptor, and no longer than coir_loop_timeout.
 */
#include <coir/coir.h>
#include <poll.h>
#include <stdio.h>

static int tick(void *arg)
{
    const char *name = arg;
    for (int i = 1; i <= 2; i++) {
        COIR_TRY(coir_sleep(COIR_MS(20)));
        printf("%s %d\n", name, i);
    }
    return 0;
}

/* How long poll(2) may wait: whole milliseconds, rounded up; -1 is for ever. */
static int milliseconds(coir_time time)
{
    return time == COIR_FOREVER ? -1 : (int)((time + COIR_MS(1) - 1) / COIR_MS(1));
}

static int drive(coir_loop *loop)
{
    coir_task *first;
    COIR_TRY(coir_loop_spawn(loop, tick, "tick", &first));
    while (!coir_task_done(first)) {
        struct pollfd ready[] = {{.fd = coir_loop_descriptor(loop), .events = POLLIN}};
        poll(ready, COIR_COUNT(ready), milliseconds(coir_loop_timeout(loop)));
        int r; /* here the outer loop would look at its own events */
        while ((r = coir_loop_step(loop, 0)) > 0)
            ;
        COIR_TRY(r);
    }
    return coir_loop_run_until(loop, first, NULL); /* has ended already: joins it */
}

int main(void)
{
    coir_loop *loop;
    if (coir_loop_open(NULL, &loop) < 0)
        return 1;
    int r = drive(loop);
    coir_loop_close(loop);
    return r < 0;
}
