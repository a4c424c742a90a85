/* connect.c: connecting to a host that has several addresses: happy eyeballs (RFC 8305).
 *
 * The addresses of both families are tried by turns, in a staggered race (race.h): whichever
 * connection is there first wins, the other attempts are cancelled and what they made is closed. A
 * name is looked up for both families at once, and the race begins with the first answer: what the
 * other one says joins it. A host with one address costs nothing of this. What failed is told for
 * each address. Called by programs.
 */
#include <coir/tcp.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <coir/event.h>
#include <coir/name.h>
#include <coir/race.h>

#include "net.h"

#define STAGGER COIR_MS(250)         /* RFC 8305, section 5 */
#define RESOLUTION_DELAY COIR_MS(50) /* section 3: how long IPv4 waits for IPv6 */

struct attempt {
    const coir_address *address;
    const coir_connect_opts *opts;
    coir_stream *stream;
};

/* The addresses of one family, and how far they are known and used. */
struct family {
    int family;
    const coir_connect_opts *opts;
    const char *host; /* to be looked up; NULL: there is nothing to ask */
    int port, code;   /* of the lookup, when it is over */
    bool asking;
    size_t count, used;
    coir_address addresses[COIR_NAME_ADDRESSES];
    char reason[160]; /* why the lookup failed */
    coir_event *over; /* set when the lookup is */
};

/* What is connected to. */
struct target {
    const char *name; /* as the user has written it */
    const coir_connect_opts *opts;
    struct family families[2]; /* the first is the one to begin with */
    int turn;                  /* whose turn it is */
    coir_event over;           /* a lookup is, since it was cleared */
    struct attempt attempts[COIR_NAME_ADDRESSES];
    coir_call calls[COIR_NAME_ADDRESSES];
    size_t count; /* of attempts that have begun */
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

/* Sorts addresses into those of the family of the first one and the others. Those of another family
 * than wanted are left out. */
static void sort_addresses(struct target *target, const coir_address *addresses, size_t count,
                           int wanted)
{
    target->families[0].family = addresses[0].storage.ss_family;
    for (size_t i = 0, kept = 0; i < count && kept < COIR_NAME_ADDRESSES; i++) {
        int family = addresses[i].storage.ss_family;
        struct family *its = &target->families[family != target->families[0].family];
        if (wanted != AF_UNSPEC && family != wanted)
            continue;
        its->addresses[its->count++] = addresses[i];
        kept++;
    }
}

static bool is_left(const struct family *family)
{
    return family->used < family->count;
}

/* The next address: of the family whose turn it is, or when that has none, of the other. NULL when
 * there is none. */
static const coir_address *take_turn(struct target *target)
{
    struct family *family = &target->families[target->turn];
    if (!is_left(family))
        family = &target->families[!target->turn];
    if (!is_left(family))
        return NULL;
    target->turn = family == &target->families[0];
    return &family->addresses[family->used++];
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
static int all_failed(const struct target *target, int code)
{
    char reasons[160] = "";
    size_t length = 0;
    for (size_t i = 0; i < target->count; i++) {
        char text[COIR_ADDRESS_TEXT];
        int result = target->calls[i].result;
        if (result == -COIR_ECANCELEDTASK)
            return code; /* the race itself has failed */
        if (says_little(code))
            code = result;
        (void)coir_address_format(target->attempts[i].address, text, sizeof text);
        if (length < sizeof reasons)
            length += (size_t)snprintf(reasons + length, sizeof reasons - length, "%s%s %s",
                                       i > 0 ? ", " : "", text, coir_error_text(result));
    }
    return coir_fail(code, "connect %.64s: %s", target->name, reasons);
}

static bool is_asking(const struct target *target)
{
    return target->families[0].asking || target->families[1].asking;
}

/* Waits until a lookup is over. */
static int wait_for_answer(struct target *target)
{
    coir_event_clear(&target->over);
    return coir_event_wait(&target->over);
}

/* Nothing was found for either family: the lookup that says more than that there is no such name is
 * the one to tell of. */
static int nothing_found(const struct target *target)
{
    const struct family *told = &target->families[0];
    if (told->code == -COIR_ENONAME)
        told = &target->families[1];
    return coir_fail(told->code, "%s", told->reason);
}

/* The first answer decides when to begin: the preferred family's at once, the other's after a
 * moment in which the preferred one's may still come. */
static int wait_for_first(struct target *target)
{
    const struct family *first = &target->families[0], *second = &target->families[1];
    while (is_asking(target) && !is_left(first) && !is_left(second))
        COIR_TRY(wait_for_answer(target));
    if (!is_left(first) && !is_left(second))
        return nothing_found(target);
    if (!first->asking || is_left(first))
        return 0;
    COIR_SCOPE(moment, RESOLUTION_DELAY);
    while (first->asking) {
        int r = wait_for_answer(target);
        if (r < 0)
            return coir_scope_expired(&moment) ? 0 : r;
    }
    return 0;
}

/* Finds the next address for the race, which a lookup may still have to tell. */
static int next_attempt(size_t index, void *arg)
{
    struct target *target = arg;
    const coir_address *address;
    if (index == 0)
        COIR_TRY(wait_for_first(target));
    while ((address = take_turn(target)) == NULL && is_asking(target))
        COIR_TRY(wait_for_answer(target));
    if (address == NULL)
        return 0;
    target->attempts[index] = (struct attempt){address, target->opts, NULL};
    target->calls[index] = (coir_call){try, &target->attempts[index], -COIR_ECANCELEDTASK};
    target->count++;
    return 1;
}

static int race(struct target *target, coir_stream **ret_stream)
{
    size_t winner;
    coir_time stagger = target->opts->stagger != 0 ? target->opts->stagger : STAGGER;
    const coir_race_opts opts = {.discard = discard, .next = next_attempt, .next_arg = target};
    int r = coir_race_staggered(target->calls, COIR_COUNT(target->calls), stagger, &opts, &winner);
    if (r == -ECANCELED || r == -ETIME || (r < 0 && target->count == 0))
        return r;
    if (r < 0)
        return all_failed(target, r);
    *ret_stream = target->attempts[winner].stream;
    return 0;
}

static int connect_one(const struct target *target, const coir_address *address,
                       coir_stream **ret_stream)
{
    int r = coir__net_connect(address, target->opts, ret_stream);
    return r < 0 ? coir__net_failed(r, "connect", target->name) : 0;
}

static int connect_any(const char *name, const coir_address *addresses, size_t count,
                       const coir_connect_opts *opts, coir_stream **ret_stream)
{
    int family;
    COIR_TRY(wanted_family(opts, &family));
    struct target target = {.name = name, .opts = opts};
    sort_addresses(&target, addresses, count, family);
    size_t kept = target.families[0].count + target.families[1].count;
    if (kept == 0)
        return coir_fail(-EAFNOSUPPORT, "connect %.100s: no address of the right family", name);
    return kept > 1 ? race(&target, ret_stream)
                    : connect_one(&target, take_turn(&target), ret_stream);
}

/* ---- names ---- */

static int look_up(void *arg)
{
    struct family *family = arg;
    coir_task_set_name(NULL, "%s of %.20s", family->family == AF_INET ? "IPv4" : "IPv6",
                       family->host);
    coir_connect_event event = {
        .what = COIR_CONNECT_LOOKUP, .text = family->host, .family = family->family};
    coir__net_tell(family->opts, event);
    int r = coir__name_ask(family->host, family->port, family->family, family->addresses,
                           COIR_COUNT(family->addresses), &family->count);
    if (r < 0)
        (void)snprintf(family->reason, sizeof family->reason, "%s", coir_last_message(r));
    event.what = COIR_CONNECT_RESOLVED;
    event.code = r;
    event.count = family->count;
    coir__net_tell(family->opts, event);
    family->code = r;
    family->asking = false;
    (void)coir_event_set(family->over);
    return 0;
}

/* Connects to a name: both families are looked up at once. */
static int connect_name(const char *name, const char *host, int port, const coir_connect_opts *opts,
                        coir_stream **ret_stream)
{
    struct target target = {.name = name, .opts = opts};
    const int families[] = {AF_INET6, AF_INET};
    COIR_GROUP(lookups);
    for (size_t i = 0; i < COIR_COUNT(families); i++) {
        struct family *family = &target.families[i];
        *family = (struct family){.family = families[i],
                                  .opts = opts,
                                  .host = host,
                                  .port = port,
                                  .asking = true,
                                  .over = &target.over};
        const coir_spawn_opts eager = {.eager =
                                           true}; /* an answer that is known is there at once */
        COIR_TRY(coir_spawn_with(&lookups, look_up, family, &eager, NULL));
    }
    return coir_group_finish(&lookups, race(&target, ret_stream));
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
    coir_address addresses[COIR_NAME_ADDRESSES];
    char host[COIR_NAME_TEXT];
    int port, family;
    size_t count;
    if (opts == NULL)
        opts = &defaults;
    if (ret_stream == NULL)
        return -EINVAL;
    COIR_TRY(wanted_family(opts, &family));
    if (family == AF_UNSPEC && COIR_TRY(coir__name_is_asked_for(address, host, &port)))
        return connect_name(address, host, port, opts, ret_stream);
    COIR_TRY(coir_name_lookup(address, family, addresses, COIR_COUNT(addresses), &count));
    return connect_any(address, addresses, count, opts, ret_stream);
}
