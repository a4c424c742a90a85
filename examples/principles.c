/* principles.c: the four principles of a loop, each shown to hold.
 *
 * One thread runs many tasks. They give way where they wait and nowhere else. One wait watches all
 * descriptors. And while one task waits, the others work.
 */
#include <coir/coir.h>
#include <pthread.h>
#include <stdio.h>

static pthread_t thread;
static int counter, strangers, bytes;

static int work(void *arg)
{
    (void)arg;
    strangers += pthread_equal(thread, pthread_self()) == 0;
    for (int i = 0; i < 1000; i++) {
        int seen = counter; /* no wait in between: nobody else is here */
        counter = seen + 1;
    }
    return coir_sleep(COIR_SEC(1));
}

static int talk(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_TRY(coir_pipe_open(&reader, &writer));
    COIR_TRY(coir_yield()); /* until all the pipes are open */
    COIR_TRY(coir_stream_write(writer, "!", 1));
    size_t n;
    COIR_TRY(coir_stream_read(reader, &(char){0}, 1, &n));
    bytes += (int)n;
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    thread = pthread_self();
    coir_time start = coir_now();
    COIR_GROUP(group);
    for (int i = 0; i < 100; i++) {
        COIR_TRY(coir_spawn(&group, work, NULL, NULL));
        COIR_TRY(coir_spawn(&group, talk, NULL, NULL));
    }
    COIR_TRY(coir_group_wait(&group));
    printf("one thread: %d of 200 tasks ran on another one\n", strangers);
    printf("cooperative: 100 tasks counted to %d without a lock\n", counter);
    printf("multiplexing: %d bytes through 100 pipes\n", bytes);
    printf("not blocking: 100 waits of 1 s took %.0f s\n", (double)(coir_now() - start) / 1e9);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
