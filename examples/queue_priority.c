/* queue_priority.c: the most urgent job first, whatever the order in which they came.
 *
 * Equal ones come out in the order in which they went in. After a shutdown coir_queue_get hands out
 * what is left, then returns -COIR_ECLOSED.
 */
#include <coir/coir.h>
#include <stdio.h>

struct job {
    int urgency; /* 1 is the most urgent */
    const char *name;
};

static int by_urgency(const void *a, const void *b)
{
    return ((const struct job *)a)->urgency - ((const struct job *)b)->urgency;
}

static int app(void *arg)
{
    (void)arg;
    static const struct job jobs[] = {
        {3, "sweep the floor"}, {1, "put out the fire"}, {2, "feed the cat"}, {2, "feed the dog"}};
    coir_queue_opts opts = {.kind = COIR_QUEUE_PRIORITY, .compare = by_urgency};
    COIR_AUTO(coir_queue) *queue = NULL;
    COIR_TRY(coir_queue_open(struct job, &opts, &queue));
    for (size_t i = 0; i < COIR_COUNT(jobs); i++)
        COIR_TRY(coir_queue_put(queue, &jobs[i]));
    COIR_TRY(coir_queue_shutdown(queue, false));

    struct job job;
    int r;
    while ((r = coir_queue_get(queue, &job)) == 0)
        printf("%d: %s\n", job.urgency, job.name);
    return r == -COIR_ECLOSED ? 0 : r;
}

int main(void)
{
    return coir_main(app, NULL);
}
