/* fuzz_hosts.c: any bytes as a hosts file. Sources: src/dns/hosts.c
 *
 * The first line is the name that is asked for, the rest is the file. Besides what sanitizers see:
 * what is found for both families together is what is found for each, and an address that a name
 * has leads back to some name.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static size_t count_family(const struct coir__dns_address *addresses, size_t count, int family)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += addresses[i].family == family;
    return found;
}

static void check(const char *text, size_t length, const char *name)
{
    struct coir__dns_address all[COIR_NAME_ADDRESSES], some[COIR_NAME_ADDRESSES];
    size_t count = coir__dns_hosts_find(text, length, name, AF_UNSPEC, all);
    size_t four = coir__dns_hosts_find(text, length, name, AF_INET, some);
    size_t six = coir__dns_hosts_find(text, length, name, AF_INET6, some);
    require(count <= COIR_NAME_ADDRESSES && four + six >= count);
    if (count < COIR_NAME_ADDRESSES) {
        require(four == count_family(all, count, 4));
        require(six == count_family(all, count, 6));
    }
    for (size_t i = 0; i < count; i++) {
        char back[COIR_NAME_TEXT];
        if (coir__dns_hosts_name(text, length, &all[i], back, sizeof back))
            require(strlen(back) < sizeof back);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    const unsigned char *end = length > 0 ? memchr(data, '\n', length) : NULL;
    size_t name_length = end != NULL ? (size_t)(end - data) : 0;
    size_t rest = end != NULL ? length - name_length - 1 : length;
    char name[COIR_NAME_TEXT] = "";
    char *text = malloc(rest + (rest == 0)); /* its bounds are seen by ASan */
    if (text == NULL || name_length >= sizeof name) {
        free(text);
        return 0;
    }
    if (end != NULL)
        memcpy(name, data, name_length);
    if (rest > 0)
        memcpy(text, data + (length - rest), rest);
    check(text, rest, name);
    free(text);
    return 0;
}
