/* post_from_thread.c: other threads bring results into a loop.
 *
 * coir_future_post settles a future from any thread; coir_post calls a function on the loop, also
 * from a signal handler. A loop that waits only for such posts is opened with expects_posts, or it
 * would call that a deadlock.
 */
#include <coir/coir.h>
#include <pthread.h>
#include <stdio.h>

struct work {
    coir_loop *loop;
    coir_post_node progress; /* the loop's while it is under way */
    coir_future sum;
    long value;
};

static void on_progress(void *arg)
{
    printf("%s\n", (const char *)arg);
}

static void *add_up(void *arg)
{
    struct work *work = arg;
    coir_post(work->loop, &work->progress, on_progress, "the thread has begun");
    for (long i = 1; i <= 1000000; i++)
        work->value += i;
    coir_future_post(work->loop, &work->sum, &work->value);
    return NULL;
}

static int app(void *arg)
{
    (void)arg;
    struct work work = {.loop = coir_loop_current()};
    pthread_t thread;
    if (pthread_create(&thread, NULL, add_up, &work) != 0)
        return -EAGAIN;
    void *value;
    int r;
    {
        COIR_SHIELD(COIR_FOREVER); /* the thread uses this frame: wait for it whatever happens */
        r = coir_future_wait(&work.sum, &value);
        pthread_join(thread, NULL);
    }
    COIR_TRY(r);
    printf("the sum is %ld\n", *(long *)value);
    return 0;
}

int main(void)
{
    return coir_run(app, NULL, &(coir_loop_opts){.expects_posts = true}, NULL) < 0;
}
