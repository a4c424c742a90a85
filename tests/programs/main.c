/* main.c: a program of coir_main for tests/shell/main.sh: what it does is its first argument. It
 * says "ready" on standard output when it can be sent a signal.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int number;

static int give_number(void *arg)
{
    (void)arg;
    return number;
}

static __attribute__((noinline)) int connect_to_redis(void)
{
    return coir_fail(-ECONNREFUSED, "connect %s: connection refused", "127.0.0.1:6379");
}

static int listen_to_redis(void *arg)
{
    (void)arg;
    COIR_TRY(connect_to_redis());
    return 0;
}

static int fail(void *arg)
{
    (void)arg;
    coir_task *listener;
    COIR_GROUP_COLLECT(tasks);
    COIR_TRY(coir_spawn(&tasks, listen_to_redis, NULL, &listener));
    coir_task_set_name(listener, "redis listener");
    int r = coir_join(listener, NULL);
    return coir_group_finish(&tasks, r);
}

static int be_ready(void)
{
    puts("ready");
    fflush(stdout);
    return coir_sleep(COIR_SEC(3600));
}

static int wait_long(void *arg)
{
    (void)arg;
    COIR_TRY(be_ready());
    return 0;
}

static int tidy_up(void *arg)
{
    (void)arg;
    int r = be_ready();
    COIR_SHIELD(COIR_SEC(5));
    COIR_TRY(coir_sleep(COIR_MS(10)));
    puts("tidied up");
    return r == -ECANCELED ? number : 99;
}

static int stay(void *arg)
{
    (void)arg;
    (void)!be_ready();
    puts("stays");
    fflush(stdout);
    for (struct timespec pause = {.tv_sec = 1}; number >= 0;)
        (void)nanosleep(&pause, NULL);
    return 0;
}

static int wait_in_vain(void *arg)
{
    coir_event event = {0};
    (void)arg;
    return coir_event_wait(&event);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        coir_fn fn;
    } modes[] = {{"give", give_number}, {"fail", fail}, {"wait", wait_long},
                 {"tidy", tidy_up},     {"stay", stay}, {"deadlock", wait_in_vain}};
    if (argc > 2)
        number = (int)strtol(argv[2], NULL, 10);
    for (size_t i = 0; argc > 1 && i < COIR_COUNT(modes); i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return coir_main(modes[i].fn, NULL);
    return 126;
}
