/* blocking.c: a blocking function on a thread, while the other tasks go on.
 *
 * coir_blocking runs the function on a thread of the default pool, and only the calling task waits.
 * A job that takes long asks now and then whether its caller wants to leave. One that cannot be
 * asked is abandoned: the caller leaves at once, and the thread frees the argument.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int block(void *arg) /* stands for a library call that knows nothing of loops */
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    return arg == NULL ? coir_fail(-EIO, "the disk is on fire") : 42;
}

static int block_until_asked(void *arg)
{
    (void)arg;
    while (!coir_blocking_cancelled())
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return -ECANCELED; /* the caller gets its own code */
}

static int tick(void *arg)
{
    for (int *ticks = arg;; ++*ticks)
        COIR_TRY(coir_sleep(COIR_MS(5)));
}

static int app(void *arg)
{
    (void)arg;
    int ticks = 0;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, tick, &ticks, NULL));
    printf("the result is %d", COIR_TRY(coir_blocking(block, &ticks)));
    printf(", and the loop was %s\n", ticks > 0 ? "free" : "blocked");

    int r = coir_blocking(block, NULL);
    printf("%s: %s\n", coir_error_name(r), coir_last_message(r));
    {
        COIR_DEADLINE(COIR_MS(20));
        printf("asked to end: %s\n", coir_error_name(coir_blocking(block_until_asked, NULL)));
    }
    {
        COIR_DEADLINE(COIR_MS(1));
        void *on_the_heap = malloc(16);
        coir_blocking_opts opts = {.abandon = true, .release = free};
        printf("abandoned: %s\n", coir_error_name(coir_blocking_with(block, on_the_heap, &opts)));
    }
    return coir_group_finish(&group, 0);
}

int main(void)
{
    return coir_main(app, NULL);
}
