/* broadcast.c: every listener gets every line; the slow one misses some, and is told how many.
 *
 * With COIR_BROADCAST_BLOCK the sender would wait for it instead, with COIR_BROADCAST_DROP its
 * subscription would be closed.
 */
#include <coir/coir.h>
#include <stdio.h>

struct listener {
    coir_subscription *lines;
    const char *name;
    coir_time pace;
};

static int listen_to(void *arg)
{
    struct listener *listener = arg;
    int line, r;
    while ((r = coir_subscription_receive(listener->lines, &line)) != 0) {
        if (r == -COIR_ELAGGED) {
            printf("%s missed %d\n", listener->name,
                   (int)coir_subscription_missed(listener->lines));
            continue;
        }
        COIR_TRY(r);
        printf("%s got %d\n", listener->name, line);
        COIR_TRY(coir_sleep(listener->pace));
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_broadcast) *news = NULL;
    COIR_AUTO(coir_subscription) *one = NULL, *two = NULL;
    coir_broadcast_opts opts = {.policy = COIR_BROADCAST_LAG};
    COIR_TRY(coir_broadcast_open(int, 2, &opts, &news));
    COIR_TRY(coir_broadcast_subscribe(news, &one));
    COIR_TRY(coir_broadcast_subscribe(news, &two));
    struct listener fast = {one, "fast", 0}, slow = {two, "slow", COIR_MS(35)};
    COIR_GROUP(listeners);
    COIR_TRY(coir_spawn(&listeners, listen_to, &fast, NULL));
    COIR_TRY(coir_spawn(&listeners, listen_to, &slow, NULL));
    for (int line = 1; line <= 6; line++) {
        COIR_TRY(coir_sleep(COIR_MS(10)));
        COIR_TRY(coir_broadcast_send(news, &line));
    }
    coir_broadcast_close(COIR_TAKE(news)); /* they get what is left, and end */
    return coir_group_wait(&listeners);
}

int main(void)
{
    return coir_main(app, NULL);
}
