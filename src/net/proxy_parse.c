/* proxy_parse.c: the parser of the PROXY protocol: text (version 1) and binary (version 2).
 *
 * It looks at the bytes that are there and keeps nothing between calls. A beginning that cannot
 * become a header is refused at once, however short, so that nobody waits for the rest of something
 * else. Nothing is guessed: whatever the specification does not allow is wrong. Called by proxy.c,
 * and by the fuzzer, which finds it without the rest of the library.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "proxy.h"

#define TEXT_MOST 107 /* "PROXY UNKNOWN" with the longest addresses, its end included */
#define BINARY_HEAD 16
#define UNIX_PATH 108

static const char text_mark[] = "PROXY ";
static const char binary_mark[] = "\r\n\r\n\0\r\nQUIT\n";
#define BINARY_MARK (sizeof binary_mark - 1)

static int wrong(const char **ret_wrong, const char *what)
{
    *ret_wrong = what;
    return -EPROTO;
}

/* ---- version 1 ---- */

/* Copies the word at *at, up to a blank or the end of the line, and goes past one blank. */
static bool take_word(const char **at, const char *end, char *word, size_t size)
{
    size_t length = 0;
    while (*at + length < end && (*at)[length] != ' ')
        length++;
    if (length == 0 || length >= size)
        return false;
    memcpy(word, *at, length);
    word[length] = '\0';
    *at += length;
    if (*at == end)
        return true;
    ++*at;
    return *at < end; /* a blank is followed by something */
}

/* 0 to 65535 without leading zeros; -1 for anything else. */
static int port_of(const char *text)
{
    int port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
        return -1;
    for (size_t i = 0; i < digits; i++)
        port = port * 10 + (text[i] - '0');
    return port <= UINT16_MAX ? port : -1;
}

static void set_ipv4(coir_address *address, const void *bytes, uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;
    *address = (coir_address){.length = sizeof *in};
    in->sin_family = AF_INET;
    memcpy(&in->sin_addr, bytes, sizeof in->sin_addr);
    in->sin_port = htons(port);
}

static void set_ipv6(coir_address *address, const void *bytes, uint16_t port)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&address->storage;
    *address = (coir_address){.length = sizeof *in};
    in->sin6_family = AF_INET6;
    memcpy(&in->sin6_addr, bytes, sizeof in->sin6_addr);
    in->sin6_port = htons(port);
}

static bool set_text(coir_address *address, int family, const char *host, const char *port)
{
    unsigned char bytes[16];
    int number = port_of(port);
    if (number < 0 || inet_pton(family, host, bytes) != 1)
        return false;
    if (family == AF_INET)
        set_ipv4(address, bytes, (uint16_t)number);
    else
        set_ipv6(address, bytes, (uint16_t)number);
    return true;
}

/* The line from after the mark to before its end. */
static int parse_line(const char *at, const char *end, coir_proxy *ret_proxy,
                      const char **ret_wrong)
{
    char family[8], hosts[2][INET6_ADDRSTRLEN], ports[2][8];
    if (memchr(at, '\0', (size_t)(end - at)) != NULL)
        return wrong(ret_wrong, "a zero byte");
    if (end - at >= 7 && memcmp(at, "UNKNOWN", 7) == 0 && (end - at == 7 || at[7] == ' '))
        return 1; /* whatever follows */
    if (!take_word(&at, end, family, sizeof family) ||
        (strcmp(family, "TCP4") != 0 && strcmp(family, "TCP6") != 0))
        return wrong(ret_wrong, "its family is neither TCP4, TCP6 nor UNKNOWN");
    for (int i = 0; i < 2; i++)
        if (!take_word(&at, end, hosts[i], sizeof hosts[i]))
            return wrong(ret_wrong, "an address is missing or too long");
    for (int i = 0; i < 2; i++)
        if (!take_word(&at, end, ports[i], sizeof ports[i]))
            return wrong(ret_wrong, "a port is missing or too long");
    int number = family[3] == '4' ? AF_INET : AF_INET6;
    if (at != end || !set_text(&ret_proxy->source, number, hosts[0], ports[0]) ||
        !set_text(&ret_proxy->destination, number, hosts[1], ports[1]))
        return wrong(ret_wrong, "its addresses are not two addresses and two ports");
    return 1;
}

static int parse_text(const char *text, size_t length, coir_proxy *ret_proxy, size_t *ret_size,
                      const char **ret_wrong)
{
    size_t most = length < TEXT_MOST ? length : TEXT_MOST;
    const char *newline = memchr(text, '\n', most);
    if (newline == NULL) {
        *ret_size = length + 1;
        return length < TEXT_MOST ? 0 : wrong(ret_wrong, "its line does not end");
    }
    *ret_size = (size_t)(newline - text) + 1;
    if (newline[-1] != '\r')
        return wrong(ret_wrong, "its line does not end with CR LF");
    const char *end = newline - 1;
    if (memchr(text, '\r', (size_t)(end - text)) != NULL)
        return wrong(ret_wrong, "a CR within the line");
    return parse_line(text + sizeof text_mark - 1, end, ret_proxy, ret_wrong);
}

/* ---- version 2 ---- */

static unsigned number_at(const unsigned char *data)
{
    return (unsigned)data[0] << 8 | data[1];
}

/* A path that fills its place need not be terminated; one that begins with zero is abstract, and
 * ends with its last byte that is not zero. */
static void set_unix(coir_address *address, const unsigned char *bytes)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t length = UNIX_PATH, before = offsetof(struct sockaddr_un, sun_path);
    *address = (coir_address){0};
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, bytes, UNIX_PATH);
    if (bytes[0] != '\0')
        length = strnlen((const char *)bytes, UNIX_PATH);
    while (bytes[0] == '\0' && length > 0 && bytes[length - 1] == '\0')
        length--;
    if (bytes[0] != '\0' && length < UNIX_PATH)
        length++; /* the terminator counts */
    address->length = (socklen_t)(before + length);
}

/* The addresses in length bytes. */
static int parse_addresses(unsigned family, const unsigned char *data, size_t length,
                           coir_proxy *ret_proxy, const char **ret_wrong)
{
    static const size_t sizes[] = {0, 12, 36, 2 * UNIX_PATH};
    if (length < sizes[family])
        return wrong(ret_wrong, "it is too short for its addresses");
    if (family == 1) {
        set_ipv4(&ret_proxy->source, data, (uint16_t)number_at(data + 8));
        set_ipv4(&ret_proxy->destination, data + 4, (uint16_t)number_at(data + 10));
    } else if (family == 2) {
        set_ipv6(&ret_proxy->source, data, (uint16_t)number_at(data + 32));
        set_ipv6(&ret_proxy->destination, data + 16, (uint16_t)number_at(data + 34));
    } else if (family == 3) {
        set_unix(&ret_proxy->source, data);
        set_unix(&ret_proxy->destination, data + UNIX_PATH);
    }
    return 1;
}

static int parse_binary(const unsigned char *data, size_t length, coir_proxy *ret_proxy,
                        size_t *ret_size, const char **ret_wrong)
{
    unsigned command, family, transport;
    *ret_size = BINARY_HEAD;
    if (length > 12 && (data[12] >> 4 != 2 || (data[12] & 15) > 1))
        return wrong(ret_wrong, "its version or command is not known");
    if (length > 13 && (data[13] >> 4 > 3 || (data[13] & 15) > 2))
        return wrong(ret_wrong, "its family or transport is not known");
    if (length < BINARY_HEAD)
        return 0;
    command = data[12] & 15;
    family = data[13] >> 4;
    transport = data[13] & 15;
    *ret_size = BINARY_HEAD + number_at(data + 14);
    if (*ret_size > COIR_PROXY_MOST)
        return -COIR_ETOOLONG;
    if (length < *ret_size)
        return 0;
    ret_proxy->local = command == 0;
    if (command == 0 || family == 0 || transport == 0)
        return 1;
    return parse_addresses(family, data + BINARY_HEAD, *ret_size - BINARY_HEAD, ret_proxy,
                           ret_wrong);
}

/* ---- both ---- */

static bool begins(const void *data, size_t length, const char *mark, size_t size)
{
    return memcmp(data, mark, length < size ? length : size) == 0;
}

int coir__proxy_parse(const void *data, size_t length, coir_proxy *ret_proxy, size_t *ret_size,
                      const char **ret_wrong)
{
    size_t text = sizeof text_mark - 1;
    *ret_proxy = (coir_proxy){0};
    *ret_size = 1;
    if (length == 0)
        return 0;
    if (begins(data, length, text_mark, text)) {
        *ret_size = length + 1;
        return length < text ? 0 : parse_text(data, length, ret_proxy, ret_size, ret_wrong);
    }
    if (begins(data, length, binary_mark, BINARY_MARK)) {
        *ret_size = BINARY_HEAD;
        return length < BINARY_MARK ? 0
                                    : parse_binary(data, length, ret_proxy, ret_size, ret_wrong);
    }
    return wrong(ret_wrong, "the stream does not begin with one");
}
