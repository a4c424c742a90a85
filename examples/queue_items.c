/* queue_items.c: one producer and three consumers; the end needs no sentinel.
 *
 * In the guide the producer puts None behind the items, each consumer puts it back for the next,
 * and one stays in the queue, which can never be joined. Here the producer shuts the queue down:
 * coir_queue_get hands out what is left, and then returns -COIR_ECLOSED to everyone.
 */
#include <coir/coir.h>
#include <stdio.h>

struct item {
    char name[24];
};

static int producer(void *arg)
{
    coir_queue *queue = arg;
    for (int i = 0; i < 10; i++) {
        COIR_TRY(coir_sleep(COIR_SEC(0.1)));
        struct item item;
        snprintf(item.name, sizeof item.name, "item-%d", i);
        COIR_TRY(coir_queue_put(queue, &item));
        printf("Produced %s\n", item.name);
    }
    return coir_queue_shutdown(queue, false);
}

static int consumer(void *arg)
{
    static int consumers;
    int number = ++consumers, r;
    struct item item;
    while ((r = coir_queue_get((coir_queue *)arg, &item)) == 0) {
        printf("Consumer-%d processing %s\n", number, item.name);
        r = coir_sleep(COIR_SEC(0.2));
        coir_queue_task_done(arg); /* on every path */
        COIR_TRY(r);
    }
    return r == -COIR_ECLOSED ? 0 : r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_TRY(coir_queue_open(struct item, NULL, &queue));
    coir_call calls[] = {
        {producer, queue, 0}, {consumer, queue, 0}, {consumer, queue, 0}, {consumer, queue, 0}};
    COIR_TRY(coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST));
    return coir_queue_join(queue); /* everything is worked off: it does not wait */
}

int main(void)
{
    return coir_main(app, NULL);
}
