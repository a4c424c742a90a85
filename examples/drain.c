/* drain.c: SIGTERM ends a server in three phases: nothing new, what has begun may finish, close.
 *
 * Requests go through a gate. What takes longer than the grace is cancelled.
 */
#include <coir/coir.h>
#include <stdio.h>

static coir_gate gate;
static coir_task *source;

static int request(void *arg)
{
    COIR_GATE(&gate);
    int r = coir_sleep(*(coir_time *)arg);
    printf("a request: %s\n", coir_error_text(r));
    return 0;
}

static int make_requests(void *requests)
{
    static coir_time lengths[] = {COIR_MS(50), COIR_MS(300), COIR_SEC(60)};
    for (size_t i = 0; i < COIR_COUNT(lengths); i++)
        COIR_TRY(coir_spawn(requests, request, &lengths[i], NULL));
    COIR_TRY(coir_sleep(COIR_MS(100)));
    raise(SIGTERM);
    return coir_sleep(COIR_FOREVER); /* as if it waited for the next one */
}

static int stop_accepting(void *arg)
{
    (void)arg;
    coir_cancel(source, "no more requests");
    return coir_wait_all(&source, 1);
}

static void on_phase(const coir_phase *phase, int result, coir_time took, void *arg)
{
    (void)arg;
    printf("%s: %s after %d ms\n", phase->name, coir_error_text(result), (int)(took / COIR_MS(1)));
}

static int app(void *arg)
{
    (void)arg;
    const coir_phase phases[] = {
        {.name = "stop accepting", .run = stop_accepting},
        {.name = "finish requests", .gate = &gate, .grace = COIR_SEC(1)},
    };
    COIR_GROUP(requests);
    COIR_TRY(coir_spawn(&requests, make_requests, &requests, &source));
    COIR_TRY(coir_signal_wait(SIGTERM));
    int r = coir_drain(phases, COIR_COUNT(phases), &(coir_drain_opts){.on_phase = on_phase});
    printf("drained: %s\n", coir_last_message(r));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
