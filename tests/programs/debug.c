/* debug.c: a program of coir_main for tests/shell/debug.sh: it waits, or is stuck in a step, and
 * says "ready" on standard output when it can be sent SIGQUIT.
 */
#include <coir/coir.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static coir_lock door;

static void say_ready(void)
{
    puts("ready");
    fflush(stdout);
}

static __attribute__((noinline)) int wait_for_the_door(void)
{
    COIR_LOCK(&door);
    return 0;
}

static int visit(void *arg)
{
    (void)arg;
    COIR_TRY(wait_for_the_door());
    return 0;
}

static int keep_waiting(void *arg)
{
    (void)arg;
    COIR_LOCK(&door);
    COIR_GROUP(visitors);
    COIR_TRY(coir_spawn(&visitors, visit, NULL, NULL));
    COIR_TRY(coir_yield());
    say_ready();
    return coir_group_finish(&visitors, coir_sleep(COIR_SEC(20)));
}

static volatile bool forever = true;

static __attribute__((noinline)) void spin(void)
{
    while (forever)
        ;
}

static int get_stuck(void *arg)
{
    (void)arg;
    say_ready();
    spin();
    return 0;
}

static __attribute__((noinline)) int nap_with_it(void)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    (void)pthread_mutex_lock(&mutex);
    int r = coir_sleep(COIR_MS(1));
    (void)pthread_mutex_unlock(&mutex);
    return r;
}

static int keep_mutex(void *arg)
{
    (void)arg;
    COIR_TRY(coir_yield());
    COIR_TRY(nap_with_it());
    return coir_sleep(COIR_MS(1));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "wait") == 0)
        return coir_main(keep_waiting, NULL);
    if (argc == 2 && strcmp(argv[1], "stuck") == 0)
        return coir_main(get_stuck, NULL);
    if (argc == 2 && strcmp(argv[1], "mutex") == 0)
        return coir_main(keep_mutex, NULL);
    return 2;
}
