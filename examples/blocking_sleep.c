/* blocking_sleep.c: a call that blocks the loop's thread stops all tasks; one that waits stops one.
 *
 * For code that cannot but block, coir_blocking has another thread.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <time.h>

static int block(void *arg)
{
    (void)arg;
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return 0;
}

static int said(const char *how, int code)
{
    printf("%s: it has slept\n", how);
    return code;
}

static int bad_sleep(void *arg)
{
    return said("bad", block(arg)); /* BAD: blocks the loop */
}

static int good_sleep(void *arg)
{
    (void)arg;
    return said("good", coir_sleep(COIR_MS(50))); /* GOOD: only this task waits */
}

static int acceptable_sleep(void *arg)
{
    return said("acceptable", coir_blocking(block, arg)); /* only this task waits, for a thread */
}

static int another_task(void *arg)
{
    (void)arg;
    COIR_TRY(coir_sleep(COIR_MS(10)));
    printf("another task runs\n");
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    coir_fn sleeps[] = {bad_sleep, good_sleep, acceptable_sleep};
    for (size_t i = 0; i < COIR_COUNT(sleeps); i++) {
        coir_call calls[] = {{sleeps[i], NULL, 0}, {another_task, NULL, 0}};
        COIR_TRY(coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST));
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
