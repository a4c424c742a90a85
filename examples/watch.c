/* watch.c: a setting that changes while tasks work; each sees its latest state, not its history.
 *
 * The worker is busy for a while after each change. What was set and changed again meanwhile it
 * never sees, and nobody waits for it.
 */
#include <coir/coir.h>
#include <stdio.h>

struct setting {
    int limit;
    bool verbose;
};

static int worker(void *arg)
{
    COIR_AUTO(coir_watcher) *settings = arg; /* mine from here on */
    struct setting now;
    int r;
    while ((r = coir_watcher_next(settings, &now)) > 0) { /* the present one first */
        printf("work with limit %d%s\n", now.limit, now.verbose ? ", verbose" : "");
        COIR_TRY(coir_sleep(COIR_MS(250)));
    }
    printf("no more changes\n");
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_watch) *settings = NULL;
    COIR_AUTO(coir_watcher) *watcher = NULL;
    struct setting setting = {.limit = 10};
    COIR_TRY(coir_watch_open(struct setting, &setting, &settings));
    COIR_TRY(coir_watch_subscribe(settings, &watcher));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, worker, watcher, NULL));
    (void)COIR_TAKE(watcher);
    for (int change = 1; change <= 4; change++) {
        COIR_TRY(coir_sleep(COIR_MS(100)));
        setting = (struct setting){.limit = 10 + change, .verbose = change == 4};
        coir_watch_set(settings, &setting);
    }
    coir_watch_close(COIR_TAKE(settings));
    return coir_group_wait(&group);
}

int main(void)
{
    return coir_main(app, NULL);
}
