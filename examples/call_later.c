/* call_later.c: functions that the loop calls: soon, after a delay, at a time.
 *
 * They run outside any task and must not wait. More of them is in callbacks.c.
 */
#include <coir/coir.h>
#include <stdio.h>

static void callback(void *arg)
{
    printf("Callback called with %s\n", (const char *)arg);
}

static int app(void *arg)
{
    (void)arg;
    coir_loop *loop = coir_loop_current();
    COIR_TRY(coir_call_soon(loop, callback, "immediate", NULL));
    COIR_TRY(coir_call_later(loop, COIR_SEC(2), callback, "delayed", NULL));
    COIR_TRY(coir_call_at(loop, coir_now() + COIR_SEC(3), callback, "scheduled", NULL));
    return coir_sleep(COIR_SEC(4));
}

int main(void)
{
    return coir_main(app, NULL);
}
