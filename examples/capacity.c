/* capacity.c: so many jobs at once, and a limit that changes while they run.
 *
 * A semaphore counts; a capacity also knows who holds a token, so that nobody takes two by mistake,
 * and says how full it is.
 */
#include <coir/coir.h>
#include <stdio.h>

static coir_capacity slots = {.total = 1};

static int job(void *arg)
{
    (void)arg;
    COIR_CAPACITY(&slots); /* one of them, to the end of this block */
    return coir_sleep(COIR_MS(10));
}

static void show(const char *when)
{
    printf("%s: %zu of %zu held, %zu waiting\n", when, coir_capacity_held(&slots), slots.total,
           coir_capacity_waiting(&slots));
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(jobs);
    for (int i = 0; i < 6; i++)
        COIR_TRY(coir_spawn(&jobs, job, NULL, NULL));
    COIR_TRY(coir_sleep(COIR_MS(5)));
    show("one at a time");
    coir_capacity_resize(&slots, 4);
    show("four at once");
    COIR_TRY(coir_group_wait(&jobs));
    show("done");
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
