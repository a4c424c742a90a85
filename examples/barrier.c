/* barrier.c: three workers that begin each round together.
 *
 * The last to arrive lets all go, and the barrier is ready for the next round. coir_barrier_wait
 * returns each task's place, so that one of them can do what is done once per round.
 */
#include <coir/coir.h>
#include <stdio.h>

static coir_barrier barrier = {.parties = 3};

static int worker(void *arg)
{
    const int *number = arg;
    for (int round = 1; round <= 2; round++) {
        COIR_TRY(coir_sleep(COIR_MS(20 * *number)));
        printf("worker %d has done its part of round %d\n", *number, round);
        int place = COIR_TRY(coir_barrier_wait(&barrier));
        if (place == 0)
            printf("round %d is complete\n", round);
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    int numbers[] = {1, 2, 3};
    return coir_map(worker, numbers, COIR_COUNT(numbers), sizeof numbers[0], NULL);
}

int main(void)
{
    return coir_main(app, NULL);
}
