/* Floor of workers/: one thread or two, each on a processor of its own, write 64 bytes to one end
 * of a socket pair, read them from the other, and back, for half a second. Prints what two do by
 * what one does. It takes all processors, whatever it was started on. */
#define _GNU_SOURCE
#include "../measure.h"

#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

static long trips[2];

static void take_processors(size_t first, size_t end)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t cpu = first; cpu < end; cpu++)
        CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void *work(void *arg)
{
    size_t index = (size_t)arg;
    char data[64] = "";
    int ends[2];
    take_processors(index, index + 1);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        exit(1);
    long count = 0;
    for (int64_t end = measure_now_ns() + 500000000; measure_now_ns() < end; count++)
        for (int i = 0; i < 2; i++)
            if (write(ends[i], data, sizeof data) < 0 || read(ends[1 - i], data, sizeof data) < 0)
                exit(1);
    trips[index] = count;
    close(ends[0]);
    close(ends[1]);
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    take_processors(0, CPU_SETSIZE);
    pthread_create(&threads[0], NULL, work, NULL);
    pthread_join(threads[0], NULL);
    long one = trips[0];
    for (size_t i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, (void *)i);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    measure_result("workers/2/speedup", (double)(trips[0] + trips[1]) / (double)one, "x");
    return 0;
}
