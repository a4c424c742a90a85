/* channel_producers.c: three producers, two consumers, one channel; no item is lost.
 *
 * Each producer owns a clone of the sender. The channel ends when the last of them is closed, so
 * nobody sends sentinels and no consumer stops while a producer still works.
 */
#include <coir/coir.h>
#include <stdio.h>

static int produce(void *arg)
{
    COIR_AUTO(coir_sender) *out = arg;
    for (int i = 1; i <= 10; i++) {
        COIR_TRY(coir_sleep(COIR_MS(1)));
        COIR_TRY(coir_send(out, &i));
    }
    return 0;
}

static int start_producer(coir_group *group, coir_sender *out)
{
    COIR_AUTO(coir_sender) *mine = NULL;
    COIR_TRY(coir_sender_clone(out, &mine));
    COIR_TRY(coir_spawn(group, produce, mine, NULL));
    (void)COIR_TAKE(mine); /* spawned: it is the producer's now */
    return 0;
}

static int items, sum;

static int consume(void *arg)
{
    int item, r; /* both consumers borrow one handle; each item goes to one of them */
    while ((r = coir_receive((coir_receiver *)arg, &item)) > 0) {
        items++;
        sum += item;
    }
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_TRY(coir_channel_open(int, 4, &out, &in));
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        COIR_TRY(start_producer(&group, out));
    coir_sender_close(COIR_TAKE(out)); /* only the producers hold it open now */
    for (int i = 0; i < 2; i++)
        COIR_TRY(coir_spawn(&group, consume, in, NULL));
    COIR_TRY(coir_group_wait(&group));
    printf("%d items, sum %d\n", items, sum);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
