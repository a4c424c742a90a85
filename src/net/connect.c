/* connect.c: connecting to a host that has several addresses: happy eyeballs (RFC 8305).
 *
 * The addresses of both families are tried by turns, in a staggered race (race.h): whichever
 * connection is there first wins, the other attempts are cancelled and what they made is closed. A
 * host with one address, which most have, costs nothing of this. What failed is told for each
 * address. Called by programs.
 */
#include <coir/tcp.h>

#include <errno.h>
#include <stdio.h>

#include <coir/name.h>
#include <coir/race.h>

#include "net.h"

#define STAGGER COIR_MS(250) /* RFC 8305, section 5 */

struct attempt {
    const coir_address *address;
    const coir_connect_opts *opts;
    coir_stream *stream;
};

/* What is connected to: the addresses in the order in which they are tried. */
struct target {
    const char *name; /* as the user has written it */
    const coir_connect_opts *opts;
    const coir_address *addresses[COIR_NAME_ADDRESSES];
    size_t count;
};

/* ---- the order ---- */

/* The family that all have to be of: what the user says, or that of the local address. */
static int wanted_family(const coir_connect_opts *opts, int *ret_family)
{
    *ret_family = opts->family;
    if (opts->local == NULL)
        return 0;
    coir_address local;
    COIR_TRY(coir_address_parse(opts->local, &local));
    if (*ret_family != AF_UNSPEC && *ret_family != local.storage.ss_family)
        return -EAFNOSUPPORT;
    *ret_family = local.storage.ss_family;
    return 0;
}

/* The next address from *at that is, or is not, of the family; *at is count behind the last. */
static const coir_address *next_of(const coir_address *addresses, size_t count, size_t *at,
                                   int family, bool is)
{
    while (*at < count) {
        const coir_address *address = &addresses[(*at)++];
        if ((address->storage.ss_family == family) == is)
            return address;
    }
    return NULL;
}

/* The family of the first address, the other, and so on; when one has run out, the rest. Those of
 * another family than wanted are left out. */
static void take_turns(struct target *target, const coir_address *addresses, size_t count,
                       int wanted)
{
    int first = addresses[0].storage.ss_family;
    size_t at[2] = {0, 0};
    bool turn = true;
    while (target->count < COIR_NAME_ADDRESSES) {
        const coir_address *address = next_of(addresses, count, &at[turn], first, turn);
        turn = !turn;
        if (address == NULL)
            address = next_of(addresses, count, &at[turn], first, turn);
        if (address == NULL)
            break;
        if (wanted == AF_UNSPEC || address->storage.ss_family == wanted)
            target->addresses[target->count++] = address;
    }
}

/* ---- the race ---- */

static int try(void *arg)
{
    struct attempt *attempt = arg;
    char text[COIR_ADDRESS_TEXT];
    (void)coir_address_format(attempt->address, text, sizeof text);
    coir_task_set_name(NULL, "to %s", text);
    return coir__net_connect(attempt->address, attempt->opts, &attempt->stream);
}

static void discard(void *arg, int result)
{
    struct attempt *attempt = arg;
    (void)result;
    coir_stream_abort(COIR_TAKE(attempt->stream));
}

/* Whether a failure only says that there is no way to the address, as for IPv6 where there is none:
 * what another address says is more to the point. */
static bool says_little(int code)
{
    return code == -ENETUNREACH || code == -EHOSTUNREACH || code == -EAFNOSUPPORT ||
           code == -EADDRNOTAVAIL || code == -COIR_ECANCELEDTASK;
}

/* All have failed: the code to return, with a text that has all of them. */
static int all_failed(const struct target *target, const coir_call *calls, int code)
{
    char reasons[160] = "";
    size_t length = 0;
    for (size_t i = 0; i < target->count; i++) {
        char text[COIR_ADDRESS_TEXT];
        if (calls[i].result == -COIR_ECANCELEDTASK)
            return code; /* the race itself has failed */
        if (says_little(code))
            code = calls[i].result;
        (void)coir_address_format(target->addresses[i], text, sizeof text);
        if (length < sizeof reasons)
            length += (size_t)snprintf(reasons + length, sizeof reasons - length, "%s%s %s",
                                       i > 0 ? ", " : "", text, coir_error_text(calls[i].result));
    }
    return coir_fail(code, "connect %.64s: %s", target->name, reasons);
}

static int race(const struct target *target, coir_stream **ret_stream)
{
    struct attempt attempts[COIR_NAME_ADDRESSES];
    coir_call calls[COIR_NAME_ADDRESSES];
    for (size_t i = 0; i < target->count; i++) {
        attempts[i] = (struct attempt){target->addresses[i], target->opts, NULL};
        calls[i] = (coir_call){try, &attempts[i], 0};
    }
    size_t winner;
    coir_time stagger = target->opts->stagger != 0 ? target->opts->stagger : STAGGER;
    const coir_race_opts opts = {.discard = discard};
    int r = coir_race_staggered(calls, target->count, stagger, &opts, &winner);
    if (r == -ECANCELED || r == -ETIME)
        return r;
    if (r < 0)
        return all_failed(target, calls, r);
    *ret_stream = attempts[winner].stream;
    return 0;
}

static int connect_any(const char *name, const coir_address *addresses, size_t count,
                       const coir_connect_opts *opts, coir_stream **ret_stream)
{
    int family;
    COIR_TRY(wanted_family(opts, &family));
    struct target target = {.name = name, .opts = opts};
    take_turns(&target, addresses, count, family);
    if (target.count == 0)
        return coir_fail(-EAFNOSUPPORT, "connect %.100s: no address of the right family", name);
    if (target.count > 1)
        return race(&target, ret_stream);
    int r = coir__net_connect(target.addresses[0], opts, ret_stream);
    return r < 0 ? coir__net_failed(r, "connect", name) : 0;
}

/* ---- the calls ---- */

static const coir_connect_opts defaults;

int coir_tcp_connect_any(const coir_address *addresses, size_t count, const coir_connect_opts *opts,
                         coir_stream **ret_stream)
{
    if (addresses == NULL || count == 0 || ret_stream == NULL)
        return -EINVAL;
    char name[COIR_ADDRESS_TEXT];
    if (count == 1)
        (void)coir_address_format(&addresses[0], name, sizeof name);
    else
        (void)snprintf(name, sizeof name, "to one of %zu", count);
    return connect_any(name, addresses, count, opts != NULL ? opts : &defaults, ret_stream);
}

int coir_tcp_connect(const char *address, const coir_connect_opts *opts, coir_stream **ret_stream)
{
    if (opts == NULL)
        opts = &defaults;
    if (ret_stream == NULL)
        return -EINVAL;
    coir_address addresses[COIR_NAME_ADDRESSES];
    size_t count;
    COIR_TRY(coir_name_lookup(address, opts->family, addresses, COIR_COUNT(addresses), &count));
    return connect_any(address, addresses, count, opts, ret_stream);
}
