/* hello.c: the smallest program: one task that waits three times.
 *
 * coir_main runs a function as the main task of a loop. coir_sleep makes the task wait, not the
 * thread; COIR_TRY returns from the function when a call fails, so that a Ctrl-C ends it at once.
 */
#include <coir/coir.h>
#include <stdio.h>

static int hello(void *arg)
{
    (void)arg;
    for (int tick = 0; tick < 3; tick++) {
        COIR_TRY(coir_sleep(COIR_SEC(1)));
        printf("tick %d\n", tick);
    }
    return 0;
}

int main(void)
{
    return coir_main(hello, NULL);
}
