/* breaker.c: circuit breakers.
 *
 * Three states, and two events that change them: a call that comes, and a call that ends. Each
 * change begins a new generation, in which all counts are zero; a call remembers the one that it
 * began in, and its end is heard in that one only. So a straggler from before the circuit opened
 * neither closes nor opens it, and probes are counted exactly.
 */
#include <errno.h>

#include <coir/breaker.h>
#include <coir/loop.h>

_Static_assert(sizeof(void *) != 8 || sizeof(coir_breaker) == 136, "part of the ABI");

static unsigned or_default(unsigned number, unsigned instead)
{
    return number != 0 ? number : instead;
}

static coir_time recovery(const coir_breaker *breaker)
{
    return breaker->recovery != 0 ? breaker->recovery : COIR_SEC(60);
}

const char *coir_circuit_name(coir_circuit circuit)
{
    static const char *const names[] = {"closed", "open", "half open"};
    return (unsigned)circuit < COIR_COUNT(names) ? names[circuit] : "unknown";
}

static void change(coir_breaker *breaker, coir_circuit now)
{
    coir_circuit before = breaker->coir__circuit;
    breaker->coir__circuit = now;
    breaker->coir__generation++;
    breaker->coir__failures = breaker->coir__successes = breaker->coir__probing = 0;
    if (now == COIR_CIRCUIT_OPEN) {
        breaker->coir__opened = coir_now();
        breaker->coir__opens++;
    }
    if (breaker->on_change != NULL)
        breaker->on_change(before, now, breaker->arg);
}

/* ---- a call comes ---- */

static int refuse(coir_breaker *breaker)
{
    breaker->coir__refused++;
    return -COIR_EOPEN;
}

/* Lets a call in, or not. */
static int admit(coir_breaker *breaker)
{
    if (breaker->coir__circuit == COIR_CIRCUIT_OPEN) {
        if (coir_now() - breaker->coir__opened < recovery(breaker))
            return refuse(breaker);
        change(breaker, COIR_CIRCUIT_HALF_OPEN);
    }
    if (breaker->coir__circuit == COIR_CIRCUIT_HALF_OPEN) {
        if (breaker->coir__probing >= or_default(breaker->probes, 1))
            return refuse(breaker);
        breaker->coir__probing++;
    }
    breaker->coir__calls++;
    return 0;
}

/* ---- a call ends ---- */

enum verdict { SAYS_NOTHING, WORKS, FAILS };

static enum verdict judge(const coir_breaker *breaker, int code)
{
    switch (code) {
    case -ECANCELED:
    case -ETIME:
    case -COIR_ECANCELEDTASK:
    case -EINVAL:
    case -COIR_EWRONGLOOP:
    case -COIR_ENOTASK: return SAYS_NOTHING;
    }
    if (code >= 0 || (breaker->counts != NULL && !breaker->counts(code, breaker->arg)))
        return WORKS;
    return FAILS;
}

static void hear_failure(coir_breaker *breaker)
{
    breaker->coir__failures++;
    if (breaker->coir__circuit == COIR_CIRCUIT_HALF_OPEN ||
        breaker->coir__failures >= or_default(breaker->failures, 5))
        change(breaker, COIR_CIRCUIT_OPEN);
}

static void hear_success(coir_breaker *breaker)
{
    breaker->coir__failures = 0;
    if (breaker->coir__circuit == COIR_CIRCUIT_HALF_OPEN &&
        ++breaker->coir__successes >= or_default(breaker->successes, 1))
        change(breaker, COIR_CIRCUIT_CLOSED);
}

static void hear(coir_breaker *breaker, uint64_t generation, int code)
{
    enum verdict verdict = judge(breaker, code);
    breaker->coir__failed += verdict == FAILS;
    if (generation != breaker->coir__generation)
        return;
    if (breaker->coir__circuit == COIR_CIRCUIT_HALF_OPEN)
        breaker->coir__probing--;
    if (verdict == FAILS)
        hear_failure(breaker);
    else if (verdict == WORKS)
        hear_success(breaker);
}

/* ---- the public calls ---- */

int coir_breaker_run(coir_breaker *breaker, coir_fn fn, void *arg)
{
    if (fn == NULL || breaker->recovery < 0)
        return -EINVAL;
    if (coir_current() == NULL)
        return -COIR_ENOTASK;
    if (breaker->coir__loop == NULL)
        breaker->coir__loop = coir_loop_current();
    if (breaker->coir__loop != coir_loop_current())
        return -COIR_EWRONGLOOP;
    COIR_TRY(coir_pending());
    COIR_TRY(admit(breaker));
    uint64_t generation = breaker->coir__generation;
    int r = fn(arg);
    hear(breaker, generation, r);
    return r;
}

coir_circuit coir_breaker_circuit(const coir_breaker *breaker)
{
    return breaker->coir__circuit;
}

void coir_breaker_stats(const coir_breaker *breaker, struct coir_breaker_stats *ret_stats)
{
    *ret_stats = (struct coir_breaker_stats){.calls = breaker->coir__calls,
                                             .failures = breaker->coir__failed,
                                             .refused = breaker->coir__refused,
                                             .opens = breaker->coir__opens};
}
