/* sequential.c: ten fetches one after the other, all at once, and five at a time.
 *
 * The middle way is the one to take: nearly as fast, and it asks no server for more than it allows.
 */
#include <coir/coir.h>
#include <stdio.h>

enum { COUNT = 10 };

static int fetch_data(void *arg)
{
    int *number = arg;
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    *number += 100;
    return 0;
}

static int slow_approach(int *data)
{
    for (int i = 0; i < COUNT; i++)
        COIR_TRY(fetch_data(&data[i]));
    return 0;
}

static int fast_approach(int *data)
{
    return coir_map(fetch_data, data, COUNT, sizeof data[0], NULL);
}

static int controlled_approach(int *data)
{
    return coir_map(fetch_data, data, COUNT, sizeof data[0], &(coir_map_opts){.limit = 5});
}

static int app(void *arg)
{
    (void)arg;
    static const char *const names[] = {"sequential", "concurrent", "controlled"};
    int (*const approaches[])(int *) = {slow_approach, fast_approach, controlled_approach};
    for (size_t i = 0; i < COIR_COUNT(names); i++) {
        int data[COUNT] = {0};
        coir_time start = coir_now();
        COIR_TRY(approaches[i](data));
        printf("%s: %.1f s\n", names[i], (double)(coir_now() - start) / (double)COIR_SEC(1));
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
