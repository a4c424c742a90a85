/* semaphore.c: a hundred requests, at most five at a time.
 *
 * A semaphore limits what tasks do at the same time wherever they were started; for one function
 * over one array coir_map with a limit is shorter. It is fair: who waited longest goes next.
 */
#include <coir/coir.h>
#include <stdio.h>

static coir_semaphore slots = {.value = 5};
static int in_flight, most, served;

static int request(void *arg)
{
    (void)arg;
    COIR_SEMAPHORE(&slots); /* one of five, to the end of this block */
    in_flight++;
    most = in_flight > most ? in_flight : most;
    int r = coir_sleep(COIR_MS(100));
    in_flight--;
    served += r == 0;
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_GROUP(requests);
    for (int i = 0; i < 100; i++)
        COIR_TRY(coir_spawn(&requests, request, NULL, NULL));
    COIR_TRY(coir_group_wait(&requests));
    printf("%d served, at most %d at once, %zu permits back\n", served, most, slots.value);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
