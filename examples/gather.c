/* gather.c: unlike functions at once; each call gets its own result, in the order of the calls.
 *
 * All three run at the same time, so the whole takes as long as the slowest, and they end in
 * another order. By default the first failure cancels the rest; for the other way see
 * gather_collect.c.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int count_letters(void *arg)
{
    COIR_TRY(coir_sleep(COIR_MS(60)));
    printf("the letters are counted\n");
    return (int)strlen(arg);
}

static int square(void *arg)
{
    const int *number = arg;
    COIR_TRY(coir_sleep(COIR_MS(20)));
    printf("%d is squared\n", *number);
    return *number * *number;
}

static int nap(void *arg)
{
    (void)arg;
    return coir_sleep(COIR_MS(40));
}

static int app(void *arg)
{
    (void)arg;
    int seven = 7;
    coir_call calls[] = {
        {.fn = count_letters, .arg = "asynchronous"},
        {.fn = square, .arg = &seven},
        {.fn = nap},
    };
    COIR_TRY(coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST));
    for (size_t i = 0; i < COIR_COUNT(calls); i++)
        printf("result %zu: %d\n", i, calls[i].result);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
