/* call_on.c: a task of one loop calls a function on another loop, and waits for its result.
 *
 * What belongs to a loop is used by its thread only; coir_call_on goes there. The counter below
 * belongs to the loop of a second thread, so it needs no lock of threads. When the caller is
 * cancelled, so is what it called.
 */
#include <coir/coir.h>
#include <pthread.h>
#include <stdio.h>

struct server {
    pthread_t thread;
    coir_loop *loop;
    int counter; /* of the loop's thread */
};

static void *serve(void *arg)
{
    struct server *server = arg;
    coir_loop_run_forever(server->loop);
    coir_loop_close(server->loop);
    return NULL;
}

static int count(void *arg)
{
    struct server *server = arg;
    int seen = server->counter;
    COIR_TRY(coir_sleep(COIR_MS(1))); /* a task like others: it may wait */
    return server->counter = seen + 1;
}

static int stop(void *arg)
{
    (void)arg;
    coir_loop_stop(coir_loop_current());
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct server server = {.counter = 0};
    COIR_TRY(coir_loop_open(NULL, &server.loop));
    if (pthread_create(&server.thread, NULL, serve, &server) != 0)
        return -EAGAIN;
    for (int i = 0; i < 3; i++)
        printf("counted to %d\n", coir_call_on(server.loop, count, &server));
    int r = coir_call_on(server.loop, stop, NULL);
    pthread_join(server.thread, NULL);
    return r;
}

int main(void)
{
    return coir_main(app, NULL);
}
