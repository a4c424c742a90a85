/* check.c: one check of one target: connect, close, and again after a pause while there are retries
 * left.
 *
 * The deadline is of the whole check, with all attempts and pauses. What is remembered of a failed
 * check is its last failure: why the last attempt failed, or that the first one took all of the
 * time.
 */
#include "pulse.h"

#include <errno.h>
#include <time.h>

struct attempt {
    const struct target *target;
    struct result *result;
};

/* One attempt. Its latency is the time until the connection stands. */
static int attempt(void *arg)
{
    struct attempt *attempt = arg;
    const struct address *address = &attempt->target->address;
    attempt->result->attempts++;
    coir_time begin = coir_now();
    COIR_AUTO(coir_stream) *stream = NULL;
    if (address->is_unix)
        COIR_TRY(coir_unix_connect(address->place, NULL, &stream));
    else
        COIR_TRY(coir_tcp_connect(address->place, NULL, &stream));
    attempt->result->latency = coir_now() - begin;
    return 0;
}

static int64_t wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Keeps why the check failed, in the words of the record where there is one. */
static void keep_failure(struct result *result, int code)
{
    const coir_error *error = coir_last_error();
    bool told = error && coir_error_code(error) == code;
    const char *text = told ? coir_error_message(error) : coir_error_text(code);
    result->code = code;
    result->latency = 0;
    snprintf(result->error, sizeof result->error, "%s", text);
    coir_clear_error();
}

int check_run(const struct target *target, struct result *ret_result)
{
    *ret_result = (struct result){.target = target, .time = wall_time()};
    struct attempt args = {target, ret_result};
    coir_retry retry = {
        .attempts = 1 + (unsigned)target->retries,
        .base = COIR_MS(50),
        .cap = COIR_SEC(5),
        .jitter = COIR_JITTER_EQUAL,
        .total = target->timeout,
    };
    int r = coir_retry_run(&retry, attempt, &args);
    if (r == -ECANCELED)
        return r;
    if (r < 0)
        keep_failure(ret_result, r);
    return 0;
}
