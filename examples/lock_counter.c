/* lock_counter.c: ten tasks add to one counter, with a wait in the middle of each change.
 *
 * Without the lock, additions would be lost wherever another task runs at the coir_yield. Where a
 * change has no wait in it, no lock is needed.
 */
#include <coir/coir.h>
#include <stdio.h>

struct counter {
    coir_lock lock; /* zero is a free one */
    long value;
};

static int increment(struct counter *counter)
{
    COIR_LOCK(&counter->lock); /* held to the end of this block */
    long current = counter->value;
    COIR_TRY(coir_yield());
    counter->value = current + 1;
    return 0;
}

static int worker(void *arg)
{
    for (int i = 0; i < 100; i++)
        COIR_TRY(increment(arg));
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct counter counter = {0};
    COIR_GROUP(workers);
    for (int i = 0; i < 10; i++)
        COIR_TRY(coir_spawn(&workers, worker, &counter, NULL));
    COIR_TRY(coir_group_wait(&workers));
    printf("Final count: %ld\n", counter.value);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
