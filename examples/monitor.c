/* monitor.c: a task that says every two seconds how the work goes, for as long as there is work.
 *
 * The monitor is in a group of its own: leaving the block cancels and joins it. (In the guide it is
 * cancelled and never awaited.) coir_sleep_until keeps the beat, however long the printing takes.
 */
#include <coir/coir.h>
#include <stdio.h>

struct processor {
    coir_queue *queue;
    int processed, errors;
};

static int monitor(void *arg)
{
    struct processor *processor = arg;
    for (coir_time next = coir_now() + COIR_SEC(2);; next += COIR_SEC(2)) {
        COIR_TRY(coir_sleep_until(next));
        printf("\n=== Stats: Processed=%d, Errors=%d, Queue=%zu ===\n\n", processor->processed,
               processor->errors, coir_queue_size(processor->queue));
    }
}

static int consume(void *arg)
{
    struct processor *processor = arg;
    int item, r;
    while ((r = coir_queue_get(processor->queue, &item)) == 0) {
        COIR_TRY(coir_sleep(COIR_SEC(0.3)));
        *(item % 10 == 7 ? &processor->errors : &processor->processed) += 1;
    }
    return r == -COIR_ECLOSED ? 0 : r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_TRY(coir_queue_open(int, NULL, &queue));
    struct processor processor = {.queue = queue};
    COIR_GROUP(background);
    COIR_TRY(coir_spawn(&background, monitor, &processor, NULL));

    for (int item = 0; item < 30; item++)
        COIR_TRY(coir_queue_put(queue, &item));
    coir_queue_shutdown(queue, false); /* what is in it is still handed out */
    coir_call calls[] = {{consume, &processor, 0}, {consume, &processor, 0}};
    COIR_TRY(coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST));
    printf("\nFinal Stats: Processed=%d, Errors=%d\n", processor.processed, processor.errors);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
