/* fuzz_proxy.c: any bytes as a header of the PROXY protocol. Sources: src/net/proxy_parse.c
 *
 * Besides what sanitizers see: a header is no longer than its limit or what is there, any part of
 * it only asks for more, never for as much as is there already, and what it says fits into its
 * place.
 */
#include <errno.h>
#include <stdlib.h>

#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static int parse(const unsigned char *data, size_t length, size_t *ret_size)
{
    coir_proxy proxy = {0};
    const char *wrong = NULL;
    unsigned char *copy = malloc(length + (length == 0)); /* its bounds are seen by ASan */
    for (size_t i = 0; copy != NULL && i < length; i++)
        copy[i] = data[i];
    int r = copy != NULL ? coir__proxy_parse(copy, length, &proxy, ret_size, &wrong) : 0;
    free(copy);
    require(r == 0 || r == 1 || r == -EPROTO || r == -COIR_ETOOLONG);
    require((r == -EPROTO) == (wrong != NULL));
    require(proxy.source.length <= sizeof proxy.source.storage);
    require(proxy.destination.length <= sizeof proxy.destination.storage);
    if (r == 0)
        require(*ret_size > length && *ret_size <= COIR_PROXY_MOST);
    if (r == 1)
        require(*ret_size <= length && *ret_size <= COIR_PROXY_MOST);
    return r;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    size_t size, part_size;
    if (parse(data, length, &size) != 1)
        return 0;
    for (size_t part = 0; part < size; part++)
        require(parse(data, part, &part_size) == 0 && part_size <= size);
    require(parse(data, size, &part_size) == 1 && part_size == size);
    return 0;
}
