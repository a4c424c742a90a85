/* address.c: addresses from text and to text.
 *
 * Strict on purpose: an address is a literal and a decimal port, nothing is guessed, and what is
 * wrong is said with the value. Names are looked up by name.c. Called by the other files of net and
 * by programs.
 */
#include <coir/address.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "net.h"

/* Reads a decimal port, digits only. Returns -1 for anything else. */
static int read_port(const char *text)
{
    int port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return -1;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (text[i] - '0');
    return port <= UINT16_MAX ? port : -1;
}

int coir__address_split(const char *text, char *ret_host, size_t size, int *ret_port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL)
        return coir_fail(-COIR_EADDRESS, "'%.64s' is not an address: it has no port", text);
    *ret_port = read_port(colon + 1);
    if (*ret_port < 0)
        return coir_fail(-COIR_EADDRESS, "'%.64s' is not an address: '%.16s' is not a port", text,
                         colon + 1);
    size_t length = (size_t)(colon - text);
    if (length == 0 || length >= size)
        return coir_fail(-COIR_EADDRESS, "'%.64s' is not an address: its host is %s", text,
                         length == 0 ? "empty" : "too long");
    memcpy(ret_host, text, length);
    ret_host[length] = '\0';
    return 0;
}

static int set_ipv4(const char *host, int port, coir_address *ret_address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&ret_address->storage;
    if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
        return -COIR_EADDRESS;
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    ret_address->length = sizeof *in;
    return 0;
}

/* host is in brackets. */
static int set_ipv6(char *host, int port, coir_address *ret_address)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&ret_address->storage;
    size_t length = strlen(host);
    if (host[length - 1] != ']')
        return -COIR_EADDRESS;
    host[length - 1] = '\0';
    if (inet_pton(AF_INET6, host + 1, &in->sin6_addr) != 1)
        return -COIR_EADDRESS;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons((uint16_t)port);
    ret_address->length = sizeof *in;
    return 0;
}

int coir_address_parse(const char *text, coir_address *ret_address)
{
    if (text == NULL || ret_address == NULL)
        return -EINVAL;
    char host[64];
    int port;
    COIR_TRY(coir__address_split(text, host, sizeof host, &port));
    *ret_address = (coir_address){0};
    int r = host[0] == '[' ? set_ipv6(host, port, ret_address) : set_ipv4(host, port, ret_address);
    if (r == 0)
        return 0;
    if (host[0] != '[' && strchr(host, ':') != NULL)
        return coir_fail(r, "'%.64s' is not an address: IPv6 is written [::1]:80", text);
    return coir_fail(r, "'%.64s' is not an address: names are not looked up here", text);
}

int coir_address_unix(const char *path, coir_address *ret_address)
{
    if (path == NULL || ret_address == NULL)
        return -EINVAL;
    struct sockaddr_un *un = (struct sockaddr_un *)&ret_address->storage;
    size_t length = strlen(path);
    bool abstract = path[0] == '@';
    if (length < (abstract ? 2 : 1) || length >= sizeof un->sun_path)
        return coir_fail(-COIR_EADDRESS, "'%.64s' is not the path of a Unix socket: it is too %s",
                         path, length < 2 ? "short" : "long");
    *ret_address = (coir_address){0};
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, length);
    if (abstract)
        un->sun_path[0] = '\0';
    size_t whole = offsetof(struct sockaddr_un, sun_path) + length + (abstract ? 0 : 1);
    ret_address->length = (socklen_t)whole;
    return 0;
}

static size_t format_unix(const coir_address *address, char *text, size_t size)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    size_t before = offsetof(struct sockaddr_un, sun_path);
    if (address->length <= before)
        return (size_t)snprintf(text, size, "unix");
    size_t length = address->length - before;
    if (un->sun_path[0] == '\0')
        return (size_t)snprintf(text, size, "@%.*s", (int)length - 1, un->sun_path + 1);
    return (size_t)snprintf(text, size, "%.*s", (int)length, un->sun_path);
}

size_t coir_address_format(const coir_address *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        return (size_t)snprintf(text, size, "%s:%d", host, ntohs(in->sin_port));
    }
    if (address->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&address->storage;
        (void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        return (size_t)snprintf(text, size, "[%s]:%d", host, ntohs(in->sin6_port));
    }
    return format_unix(address, text, size);
}

bool coir__address_is_localhost(const char *host)
{
    size_t length = strlen(host);
    return length >= 9 && strcasecmp(host + length - 9, "localhost") == 0 &&
           (length == 9 || host[length - 10] == '.');
}

void coir__address_loopback(int port, coir_address *ret_addresses)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    six.sin6_port = four.sin_port = htons((uint16_t)port);
    ret_addresses[0] = (coir_address){.length = sizeof six};
    memcpy(&ret_addresses[0].storage, &six, sizeof six);
    ret_addresses[1] = (coir_address){.length = sizeof four};
    memcpy(&ret_addresses[1].storage, &four, sizeof four);
}

int coir__address_local(const char *text, coir_address *ret_address)
{
    char host[64];
    int port;
    coir_address both[2];
    if (text == NULL)
        return -EINVAL;
    COIR_TRY(coir__address_split(text, host, sizeof host, &port));
    if (strcmp(host, "localhost") != 0)
        return coir_address_parse(text, ret_address);
    coir__address_loopback(port, both);
    *ret_address = both[1];
    return 0;
}

int coir__address_text(const coir_address *address, char *text, size_t size)
{
    return coir_address_format(address, text, size) < size ? 0 : -ENOSPC;
}
