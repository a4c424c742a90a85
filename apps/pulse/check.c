/* check.c: one check of one target: an attempt, and again after a pause while there are retries
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
    const struct clients *clients;
    const struct target *target;
    struct result *result;
};

/* Connects, and closes again. */
static int check_address(const struct address *address)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    if (address->scheme == UNIX)
        return coir_unix_connect(address->place, NULL, &stream);
    return coir_tcp_connect(address->place, NULL, &stream);
}

/* One attempt. Its latency is the time until the connection stands, or the answer is there. */
static int attempt(void *arg)
{
    struct attempt *attempt = arg;
    const struct target *target = attempt->target;
    attempt->result->attempts++;
    coir_time begin = coir_now();
    if (target->expectation)
        COIR_TRY(check_http(attempt->clients, target, attempt->result));
    else
        COIR_TRY(check_address(&target->address));
    attempt->result->latency = coir_now() - begin;
    return 0;
}

static int64_t wall_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Keeps why the check failed, in the words of the record where there is one. What was expected of
 * an answer has no words that are shorter. */
static void keep_failure(struct result *result, int code)
{
    const coir_error *error = coir_last_error();
    bool told = error && coir_error_code(error) == code;
    const char *text = told ? coir_error_message(error) : coir_error_text(code);
    bool short_already = code == -COIR_ESTATUS || code == -EBADMSG;
    result->code = code;
    result->latency = 0;
    snprintf(result->error, sizeof result->error, "%s", text);
    snprintf(result->reason, sizeof result->reason, "%.79s",
             short_already ? text : coir_error_text(code));
    coir_clear_error();
}

int check_run(const struct clients *clients, const struct target *target, struct result *ret_result)
{
    *ret_result = (struct result){.target = target, .time = wall_time()};
    struct attempt args = {clients, target, ret_result};
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

int result_certificate_days(const struct result *result)
{
    int64_t left = result->certificate_until - result->time / 1000;
    return left > 0 ? (int)(left / 86400) : 0;
}

bool result_warns(const struct result *result)
{
    return result->code == 0 && result->certificate_until != 0 &&
           result_certificate_days(result) < result->target->certificate_days;
}
