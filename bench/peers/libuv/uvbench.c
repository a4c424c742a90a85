/* Peer: libuv. usage: uvbench NAME. Timers are embedded handles started and stopped on the loop's
 * cached clock, as its users do; startup prints the clock in the first callback. libuv has no
 * tasks and no channels, so those names are absent. Owns one loop. */
#include "../../measure.h"

#include <uv.h>

enum { TIMERS = 1000000, CHURN = 10000000 };

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void bench_million(const char *name, uv_loop_t *loop)
{
    uv_timer_t *timers = malloc(sizeof *timers * TIMERS);
    if (!timers)
        exit(1);
    memset(timers, 0, sizeof *timers * TIMERS);
    for (long i = 0; i < TIMERS; i++)
        uv_timer_init(loop, &timers[i]);

    int64_t start = measure_now_ns();
    for (long i = 0; i < TIMERS; i++)
        uv_timer_start(&timers[i], on_timer, (uint64_t)measure_timer_ms(i), 0);
    for (long i = 0; i < TIMERS; i++)
        uv_timer_stop(&timers[i]);
    measure_per_op(name, measure_now_ns() - start, TIMERS, "ns/op");
}

static void bench_churn(const char *name, uv_loop_t *loop)
{
    static uv_timer_t timer;
    uv_timer_init(loop, &timer);
    int64_t start = measure_now_ns();
    for (long i = 0; i < CHURN; i++) {
        uv_timer_start(&timer, on_timer, 10000, 0);
        uv_timer_stop(&timer);
    }
    measure_per_op(name, measure_now_ns() - start, CHURN, "ns/op");
}

static void on_first_turn(uv_timer_t *timer)
{
    (void)timer;
    printf("%lld\n", (long long)measure_now_ns());
}

static void start_up(uv_loop_t *loop)
{
    static uv_timer_t timer;
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, on_first_turn, 0, 0);
    uv_run(loop, UV_RUN_DEFAULT);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "timers/1m";
    uv_loop_t *loop = uv_default_loop();
    if (!strcmp(name, "timers/1m"))
        bench_million(name, loop);
    else if (!strcmp(name, "timers/churn"))
        bench_churn(name, loop);
    else if (!strcmp(name, "startup/ms"))
        start_up(loop);
    else
        return 2;
    return 0;
}
