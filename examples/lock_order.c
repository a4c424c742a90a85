/* lock_order.c: two tasks and two locks, taken in the same order by both: no deadlock.
 *
 * deadlock.c takes them in opposite order, and shows what is said about it. Where the order cannot
 * be known before, order the locks by their addresses, as take_both does.
 */
#include <coir/coir.h>
#include <stdio.h>

static coir_lock locks[2];

static int take_both(const char *name, coir_lock *one, coir_lock *other)
{
    coir_lock *first = one < other ? one : other;
    COIR_LOCK(first);
    COIR_TRY(coir_sleep(COIR_SEC(0.1)));
    COIR_LOCK(first == one ? other : one);
    printf("%s has both\n", name);
    return 0;
}

static int safe_task_a(void *arg)
{
    (void)arg;
    return take_both("A", &locks[0], &locks[1]);
}

static int safe_task_b(void *arg)
{
    (void)arg;
    return take_both("B", &locks[1], &locks[0]);
}

static int app(void *arg)
{
    (void)arg;
    coir_call calls[] = {{.fn = safe_task_a}, {.fn = safe_task_b}};
    return coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST);
}

int main(void)
{
    return coir_main(app, NULL);
}
