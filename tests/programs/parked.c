/* parked.c: a program for tests/shell/gdb.sh: a task that waits three functions deep, and another
 * one that runs when the debugger stops in all_parked.
 */
#include <coir/coir.h>

coir_task *parked_task;
volatile int parked_depth;

void all_parked(void);
__attribute__((noinline)) void all_parked(void)
{
    parked_depth++;
}

static __attribute__((noinline)) int parked_inner(void)
{
    int r = coir_sleep(COIR_SEC(3600));
    parked_depth++;
    return r;
}

static __attribute__((noinline)) int parked_middle(void)
{
    int r = parked_inner();
    parked_depth++;
    return r;
}

static int parked_outer(void *arg)
{
    (void)arg;
    int r = parked_middle();
    parked_depth++;
    return r;
}

static int look(void *arg)
{
    (void)arg;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, parked_outer, NULL, &parked_task));
    COIR_TRY(coir_sleep(COIR_MS(1)));
    all_parked();
    parked_depth++;
    return 0;
}

int main(void)
{
    return coir_main(look, NULL);
}
