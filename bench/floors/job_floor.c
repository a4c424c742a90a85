/* Floor of the job benchmarks: handing a number to a thread and getting it back, by a lock and two
 * condition variables. usage: job_floor NAME. The thread does nothing with it, as in the
 * benchmark. */
#include "../measure.h"

#include <pthread.h>

enum { JOBS = 200000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER, answered = PTHREAD_COND_INITIALIZER;
static int job;

static void *work(void *arg)
{
    for (long i = 0; i < JOBS; i++) {
        pthread_mutex_lock(&lock);
        while (job == 0)
            pthread_cond_wait(&asked, &lock);
        job = 0;
        pthread_mutex_unlock(&lock);
        pthread_cond_signal(&answered);
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0)
        return 1;
    int64_t start = measure_now_ns();
    for (long i = 0; i < JOBS; i++) {
        pthread_mutex_lock(&lock);
        job = 1;
        pthread_mutex_unlock(&lock);
        pthread_cond_signal(&asked);
        pthread_mutex_lock(&lock);
        while (job != 0)
            pthread_cond_wait(&answered, &lock);
        pthread_mutex_unlock(&lock);
    }
    measure_per_op(argc > 1 ? argv[1] : "job/1", measure_now_ns() - start, JOBS, "ns/job");
    pthread_join(thread, NULL);
    return 0;
}
