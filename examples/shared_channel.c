/* shared_channel.c: a channel between threads: one loop gives out work, threads with and without a
 * loop take it.
 *
 * The same calls wait in a task and block in a thread.
 */
#include <coir/coir.h>
#include <pthread.h>
#include <stdio.h>

struct worker {
    pthread_t thread;
    coir_receiver *in; /* its own handle */
    bool has_loop;
    long sum;
};

static int work(void *arg)
{
    struct worker *worker = arg;
    COIR_AUTO(coir_receiver) *in = worker->in;
    long item;
    int r;
    while ((r = coir_receive(in, &item)) > 0)
        worker->sum += item;
    return r;
}

static void *run(void *arg)
{
    struct worker *worker = arg;
    (void)(worker->has_loop ? coir_run(work, worker, NULL, NULL) : work(worker));
    return NULL;
}

static int app(void *arg)
{
    (void)arg;
    struct worker workers[4];
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_TRY(coir_channel_open_shared(long, 8, &out, &in));
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.has_loop = i % 2 == 0};
        COIR_TRY(coir_receiver_clone(in, &workers[i].in));
        if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
            return -EAGAIN;
    }
    for (long item = 1; item <= 1000; item++)
        COIR_TRY(coir_send(out, &item)); /* waits while all are busy, as ever */
    coir_sender_close(COIR_TAKE(out));
    for (int i = 0; i < 4; i++)
        pthread_join(workers[i].thread, NULL);
    printf("the sum is %ld\n", workers[0].sum + workers[1].sum + workers[2].sum + workers[3].sum);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
