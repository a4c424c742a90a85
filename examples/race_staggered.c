/* race_staggered.c: try one server, and the next beside it when it has not answered in time.
 *
 * This is how "happy eyeballs" connects: the first success wins, the others are cancelled. One that
 * had succeeded by then is given to discard, so that nothing leaks.
 */
#include <coir/coir.h>
#include <stdio.h>

struct server {
    const char *name;
    coir_time answers; /* after so long */
    int result;
};

static int ask(void *arg)
{
    const struct server *server = arg;
    printf("ask %s\n", server->name);
    COIR_TRY(coir_sleep(server->answers));
    return server->result;
}

static void hang_up(void *arg, int result)
{
    const struct server *server = arg;
    printf("%s was too late with %d\n", server->name, result);
}

static int app(void *arg)
{
    (void)arg;
    struct server slow = {"slow", COIR_SEC(9), 1}, broken = {"broken", COIR_MS(20), -EIO};
    struct server good = {"good", COIR_MS(30), 1}, spare = {"spare", COIR_MS(10), 1};
    coir_call calls[] = {
        {.fn = ask, .arg = &slow},
        {.fn = ask, .arg = &broken},
        {.fn = ask, .arg = &good},
        {.fn = ask, .arg = &spare},
    };
    coir_race_opts opts = {.discard = hang_up};
    size_t winner;
    COIR_TRY(coir_race_staggered(calls, COIR_COUNT(calls), COIR_MS(250), &opts, &winner));
    printf("number %zu won\n", winner);
    for (size_t i = 0; i < COIR_COUNT(calls); i++)
        printf("%zu: %s\n", i, coir_error_name(calls[i].result < 0 ? calls[i].result : 0));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
