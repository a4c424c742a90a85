/* shutdown_workers.c: three workers until SIGTERM or SIGINT; here the program sends it to itself.
 *
 * The guide polls a flag ten times a second, and a worker that sees the flag before it is cancelled
 * leaves without cleaning up. Here one task waits for the signal itself, and leaving the block of
 * the group cancels and joins the workers. From then on coir_main has the signals again: another
 * one cuts the cleanup short, and a third ends the process. (Work that may end in peace is in
 * graceful_shutdown.c.)
 */
#include <coir/coir.h>
#include <stdio.h>

static int worker(void *arg)
{
    coir_task_set_name(NULL, "Worker-%d", *(int *)arg);
    int r;
    do
        printf("%s working...\n", coir_task_name(NULL));
    while ((r = coir_sleep(COIR_SEC(1))) == 0);
    printf("%s cancelled, cleaning up...\n", coir_task_name(NULL));
    return r;
}

static int work_until_signal(void)
{
    COIR_GROUP(workers); /* left after the signals are given back */
    COIR_AUTO(coir_signals) *signals = NULL;
    COIR_TRY(coir_signals_open((const int[]){SIGTERM, SIGINT}, 2, &signals));
    for (int i = 0; i < 3; i++)
        COIR_TRY(coir_spawn_copy(&workers, worker, &i, sizeof i, NULL));
    int number;
    COIR_TRY(coir_signals_wait(signals, &number));
    printf("Received signal %d, shutting down...\n", number);
    return 0;
}

static void terminate(void *arg)
{
    (void)arg;
    raise(SIGTERM); /* stands for the kill of a service manager */
}

static int app(void *arg)
{
    (void)arg;
    COIR_TRY(coir_call_later(coir_loop_current(), COIR_SEC(2.5), terminate, NULL, NULL));
    COIR_TRY(work_until_signal());
    printf("Shutdown complete\n");
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
