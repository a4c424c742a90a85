/* signals.c: signals as something to wait for: a set, and one among other cases.
 *
 * While the set is open its signals do nothing else. Each that arrived gets its turn; several of
 * one number that arrive before they are waited for are one. What runs here is a task, so it may do
 * anything.
 */
#include <coir/coir.h>
#include <stdio.h>

static const char *name_of(int number)
{
    return number == SIGHUP ? "SIGHUP" : "SIGUSR1";
}

static int wait_for_both(void)
{
    COIR_AUTO(coir_signals) *signals = NULL;
    COIR_TRY(coir_signals_open((const int[]){SIGHUP, SIGUSR1}, 2, &signals));
    raise(SIGHUP);
    raise(SIGHUP); /* before anybody waits: the same as one */
    for (int i = 0; i < 2; i++) {
        int number;
        COIR_TRY(coir_signals_wait(signals, &number));
        printf("%s\n", name_of(number));
        raise(SIGUSR1);
    }
    int number;
    return coir_signals_wait(signals, &number);
}

static int wait_for_one_of(void)
{
    for (int i = 0; i < 2; i++) {
        coir_case cases[] = {COIR_ON_SIGNAL(SIGUSR2), COIR_ON_TIMER(COIR_MS(50))};
        int first = COIR_TRY(coir_select(cases, COIR_COUNT(cases)));
        printf("%s\n", first == 0 ? "SIGUSR2" : "no signal for 50 ms");
        raise(SIGUSR2); /* the first use of the number has taken it over */
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_TRY(wait_for_both());
    return wait_for_one_of();
}

int main(void)
{
    return coir_main(app, NULL);
}
