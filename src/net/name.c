/* name.c: host names into addresses: what a name may be, and who looks it up.
 *
 * Names are checked before anybody sees them: C functions below end them at a NUL, and some take
 * numbers that are no addresses for one. Each loop has a resolver; where none was set it is the
 * system's, whose blocking call runs on threads of its own. Its job is on the heap, since a task
 * that is cancelled leaves the thread alone with it. Called by connect.c and by programs.
 */
#include <coir/name.h>

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <coir/loop.h>
#include <coir/memory.h>
#include <coir/threads.h>

#include "net.h"

enum { NAME_MOST = 253, LABEL_MOST = 63 };

/* ---- names ---- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

/* The length of the label at text, or 0 when it is none. */
static size_t label_length(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && text[i] != '.' && text[i] != '\0' && strchr(letters, text[i]) != NULL)
        i++;
    bool ends = i == length || text[i] == '.';
    return ends && i > 0 && i <= LABEL_MOST && text[0] != '-' ? i : 0;
}

static bool is_number(const char *label, size_t length)
{
    const char *digits = "0123456789";
    size_t i = 0;
    if (length >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X')) {
        digits = "0123456789abcdefABCDEF";
        i = 2;
    }
    while (i < length && strchr(digits, label[i]) != NULL)
        i++;
    return i == length;
}

static const char *what_is_wrong(const char *name, size_t length)
{
    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length == 0 || length > NAME_MOST)
        return length == 0 ? "it is empty" : "it is too long";
    size_t label;
    for (size_t at = 0;; at += label + 1) {
        label = label_length(name + at, length - at);
        if (label == 0)
            return "its parts are 1 to 63 letters, digits, '-' and '_'";
        if (at + label == length)
            return is_number(name + at, label) ? "it looks like a number" : NULL;
    }
}

int coir_name_check(const char *name, size_t length)
{
    if (name == NULL)
        return -EINVAL;
    const char *wrong = what_is_wrong(name, length);
    if (wrong == NULL)
        return 0;
    int shown = length < 64 ? (int)length : 64;
    return coir_fail(-COIR_EADDRESS, "'%.*s' is not a host name: %s", shown, name, wrong);
}

/* ---- the system's resolver ---- */

struct job {
    int family, code;
    int gai; /* what getaddrinfo said */
    size_t count;
    coir_address addresses[COIR_NAME_ADDRESSES];
    char host[COIR_NAME_TEXT];
};

static int code_of(int gai)
{
    switch (gai) {
    case EAI_MEMORY: return -ENOMEM;
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY: return -COIR_ENONAME;
    case EAI_FAMILY: return -EAFNOSUPPORT;
    default: return -COIR_ELOOKUP;
    }
}

/* On a thread. Its own failures are in the job: what it returns is 0. */
static int look_up(void *arg)
{
    struct job *job = arg;
    struct addrinfo *found = NULL;
    struct addrinfo hints = {.ai_family = job->family, .ai_socktype = SOCK_STREAM};
    job->gai = getaddrinfo(job->host, NULL, &hints, &found);
    if (job->gai != 0)
        return 0;
    for (struct addrinfo *at = found; at != NULL && job->count < COIR_NAME_ADDRESSES;
         at = at->ai_next) {
        coir_address *address = &job->addresses[job->count];
        if (at->ai_addrlen > sizeof address->storage)
            continue;
        address->length = at->ai_addrlen;
        memcpy(&address->storage, at->ai_addr, at->ai_addrlen);
        job->count++;
    }
    freeaddrinfo(found);
    return 0;
}

static int outcome(const struct job *job, coir_address *ret_addresses, size_t size,
                   size_t *ret_count)
{
    if (job->gai != 0)
        return coir_fail(code_of(job->gai), "look up %.100s: %s", job->host,
                         gai_strerror(job->gai));
    if (job->count == 0)
        return coir_fail(-COIR_ENONAME, "look up %.100s: it has no address", job->host);
    *ret_count = job->count < size ? job->count : size;
    memcpy(ret_addresses, job->addresses, *ret_count * sizeof *ret_addresses);
    return 0;
}

static int look_up_by_system(coir_resolver *resolver, const char *host, int family,
                             coir_address *ret_addresses, size_t size, size_t *ret_count)
{
    (void)resolver;
    struct job *job = coir_calloc(1, sizeof *job);
    if (job == NULL)
        return -ENOMEM;
    job->family = family;
    (void)snprintf(job->host, sizeof job->host, "%s", host);
    const coir_blocking_opts opts = {
        .pool = coir_threads_for_names(),
        .name = "getaddrinfo",
        .abandon = true,
        .release = coir_free,
    };
    int r = coir_blocking_with(look_up, job, &opts);
    if (r == -ECANCELED || r == -ETIME)
        return r; /* the job is the thread's, or gone */
    if (r == 0)
        r = outcome(job, ret_addresses, size, ret_count);
    coir_free(job);
    return r;
}

coir_resolver *coir_resolver_system(void)
{
    static coir_resolver system_resolver = {.lookup = look_up_by_system};
    return &system_resolver;
}

/* ---- the resolver of a loop ---- */

coir_resolver *coir_resolver_set(coir_resolver *resolver)
{
    coir_loop *loop = coir_loop_current();
    if (loop == NULL)
        return NULL;
    void **slot = coir__loop_resolver(loop);
    coir_resolver *before = *slot;
    *slot = resolver;
    return before;
}

coir_resolver *coir_resolver_get(void)
{
    coir_loop *loop = coir_loop_current();
    coir_resolver *resolver = loop != NULL ? *coir__loop_resolver(loop) : NULL;
    return resolver != NULL ? resolver : coir_resolver_system();
}

/* ---- looking up ---- */

static void set_port(coir_address *address, int port)
{
    uint16_t number = htons((uint16_t)port);
    if (address->storage.ss_family == AF_INET)
        ((struct sockaddr_in *)&address->storage)->sin_port = number;
    else
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = number;
}

/* Of the first count addresses keeps those of the family. Returns how many those are. */
static size_t keep_family(coir_address *addresses, size_t count, int family)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (family == AF_UNSPEC || addresses[i].storage.ss_family == family)
            addresses[kept++] = addresses[i];
    return kept;
}

/* Hosts that nobody has to be asked for. Returns how many addresses there are, 0 for a name. */
static int known(const char *text, const char *host, int port, coir_address *ret_addresses)
{
    if (coir__address_is_localhost(host)) {
        COIR_TRY(coir_name_check(host, strlen(host)));
        coir__address_loopback(port, ret_addresses);
        return 2;
    }
    const char *last = strrchr(host, '.');
    last = last != NULL ? last + 1 : host;
    bool literal = host[0] == '[' || strchr(host, ':') != NULL || is_number(last, strlen(last));
    if (!literal || host[strlen(host) - 1] == '.')
        return 0;
    COIR_TRY(coir_address_parse(text, ret_addresses));
    return 1;
}

int coir__name_ask(const char *host, int port, int family, coir_address *ret_addresses, size_t size,
                   size_t *ret_count)
{
    COIR_TRY(coir_name_check(host, strlen(host)));
    coir_resolver *resolver = coir_resolver_get();
    COIR_TRY(resolver->lookup(resolver, host, family, ret_addresses, size, ret_count));
    for (size_t i = 0; i < *ret_count; i++)
        set_port(&ret_addresses[i], port);
    return 0;
}

int coir__name_is_asked_for(const char *text, char *ret_host, int *ret_port)
{
    coir_address here[2];
    if (text == NULL)
        return -EINVAL;
    COIR_TRY(coir__address_split(text, ret_host, COIR_NAME_TEXT, ret_port));
    int count = COIR_TRY(known(text, ret_host, *ret_port, here));
    return count == 0;
}

int coir_name_lookup(const char *text, int family, coir_address *ret_addresses, size_t size,
                     size_t *ret_count)
{
    char host[COIR_NAME_TEXT];
    int port;
    coir_address here[2];
    if (text == NULL || ret_addresses == NULL || size == 0 || ret_count == NULL)
        return -EINVAL;
    if (family != AF_UNSPEC && family != AF_INET && family != AF_INET6)
        return -EINVAL;
    COIR_TRY(coir__address_split(text, host, sizeof host, &port));
    int count = COIR_TRY(known(text, host, port, here));
    if (count == 0)
        return coir__name_ask(host, port, family, ret_addresses, size, ret_count);
    size_t kept = keep_family(here, (size_t)count, family);
    if (kept == 0)
        return coir_fail(-EAFNOSUPPORT, "'%.64s' is an address of another family", text);
    *ret_count = kept < size ? kept : size;
    memcpy(ret_addresses, here, *ret_count * sizeof *ret_addresses);
    return 0;
}
