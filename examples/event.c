/* event.c: three tasks wait for one event; setting it wakes them all.
 *
 * A set event stays set: who comes later passes at once, until somebody clears it.
 */
#include <coir/coir.h>
#include <stdio.h>

struct waiter {
    coir_event *event;
    int number;
};

static int wait_for_it(void *arg)
{
    struct waiter *waiter = arg;
    printf("Waiter %d waiting for event\n", waiter->number);
    COIR_TRY(coir_event_wait(waiter->event));
    printf("Waiter %d received event\n", waiter->number);
    return 0;
}

static int set_it(void *arg)
{
    COIR_TRY(coir_sleep(COIR_SEC(2)));
    printf("Setting event\n");
    return coir_event_set(arg);
}

static int app(void *arg)
{
    (void)arg;
    coir_event event = {0};
    struct waiter waiters[] = {{&event, 1}, {&event, 2}, {&event, 3}};
    coir_call calls[] = {
        {.fn = wait_for_it, .arg = &waiters[0]},
        {.fn = wait_for_it, .arg = &waiters[1]},
        {.fn = wait_for_it, .arg = &waiters[2]},
        {.fn = set_it, .arg = &event},
    };
    COIR_TRY(coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST));
    printf("still set: %s\n", coir_event_is_set(&event) ? "yes" : "no");
    return coir_event_wait(&event);
}

int main(void)
{
    return coir_main(app, NULL);
}
