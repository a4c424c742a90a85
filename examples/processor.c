/* processor.c: three producers, five consumers: all 30 items are processed.
 *
 * In the guide the sentinel of the first producer to end stops all consumers: what the others still
 * produce is lost. Here the queue is shut down when the last one has ended. (See also monitor.c.)
 */
#include <coir/coir.h>
#include <stdio.h>

static coir_queue *queue; /* of int: 100 times the producer, and the item */
static int processed, errors;

static int produce(void *arg)
{
    for (int i = 0; i < 10; i++) {
        int item = *(int *)arg * 100 + i;
        COIR_TRY(coir_sleep(COIR_MS(100 + item * 15 % 400))); /* as if by chance */
        COIR_TRY(coir_queue_put(queue, &item));
        printf("Producer %d generated item %d\n", *(int *)arg, i);
    }
    return 0;
}

static int consume(void *arg)
{
    int item, r;
    while ((r = coir_queue_get(queue, &item)) == 0) {
        r = coir_sleep(COIR_MS(50 + item * 17 % 150));
        coir_queue_task_done(queue); /* on every path */
        (void)(r < 0 ? errors++ : processed++);
        COIR_TRY(r);
        printf("Consumer %d processed: %d -> %d\n", *(int *)arg, item % 100, item * 2);
    }
    return r == -COIR_ECLOSED ? 0 : r;
}

static int app(void *arg)
{
    (void)arg;
    int ids[] = {0, 1, 2, 3, 4};
    COIR_AUTO(coir_queue) *opened = NULL;
    COIR_TRY(coir_queue_open(int, NULL, &opened));
    queue = opened;
    COIR_GROUP(consumers);
    for (int i = 0; i < 5; i++)
        COIR_TRY(coir_spawn(&consumers, consume, &ids[i], NULL));
    COIR_TRY(coir_map(produce, ids, 3, sizeof ids[0], NULL)); /* until the last has ended */
    coir_queue_shutdown(queue, false);
    COIR_TRY(coir_group_wait(&consumers));
    printf("\nFinal Stats: Processed=%d, Errors=%d\n", processed, errors);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
