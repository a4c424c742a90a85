/* hosts.c: what a hosts file says: lines of an address and its names, '#' begins a comment.
 *
 * The text need not be terminated, may hold any bytes, and what is not understood is passed over,
 * as everybody does. Called by dns.c.
 */
#include "dns.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* A piece of the text. */
struct word {
    const char *at;
    size_t length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* Takes the next line off, without its comment. Returns false at the end. */
static bool next_line(struct word *text, struct word *ret_line)
{
    if (text->length == 0)
        return false;
    const char *end = memchr(text->at, '\n', text->length);
    size_t length = end != NULL ? (size_t)(end - text->at) : text->length;
    size_t taken = end != NULL ? length + 1 : length;
    const char *comment = memchr(text->at, '#', length);
    *ret_line = (struct word){text->at, comment != NULL ? (size_t)(comment - text->at) : length};
    text->at += taken;
    text->length -= taken;
    return true;
}

/* Takes the next word off a line. Returns false at its end. */
static bool next_word(struct word *line, struct word *ret_word)
{
    while (line->length > 0 && is_blank(*line->at)) {
        line->at++;
        line->length--;
    }
    *ret_word = (struct word){line->at, 0};
    while (line->length > 0 && !is_blank(*line->at)) {
        line->at++;
        line->length--;
        ret_word->length++;
    }
    return ret_word->length > 0;
}

static bool read_address(struct word word, struct coir__dns_address *ret_address)
{
    char text[INET6_ADDRSTRLEN];
    if (word.length >= sizeof text)
        return false;
    memcpy(text, word.at, word.length);
    text[word.length] = '\0';
    if (strlen(text) != word.length)
        return false;
    *ret_address = (struct coir__dns_address){.family = 4};
    if (inet_pton(AF_INET, text, ret_address->bytes) == 1)
        return true;
    ret_address->family = 6;
    return inet_pton(AF_INET6, text, ret_address->bytes) == 1;
}

/* Takes the next line that begins with an address off; what is left of it are names. */
static bool next_entry(struct word *text, struct coir__dns_address *ret_address,
                       struct word *ret_names)
{
    struct word first;
    while (next_line(text, ret_names))
        if (next_word(ret_names, &first) && read_address(first, ret_address))
            return true;
    return false;
}

static bool has_name(struct word names, struct word name)
{
    struct word word;
    while (next_word(&names, &word))
        if (word.length == name.length && strncasecmp(word.at, name.at, name.length) == 0)
            return true;
    return false;
}

static bool is_known(const struct coir__dns_address *addresses, size_t count,
                     const struct coir__dns_address *address)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(&addresses[i], address, sizeof *address) == 0)
            return true;
    return false;
}

size_t coir__dns_hosts_find(const char *text, size_t length, const char *name, int family,
                            struct coir__dns_address *ret_addresses)
{
    struct word rest = {text, length}, names, wanted = {name, strlen(name)};
    struct coir__dns_address address;
    size_t count = 0;
    if (wanted.length > 0 && name[wanted.length - 1] == '.')
        wanted.length--;
    while (count < COIR_NAME_ADDRESSES && next_entry(&rest, &address, &names)) {
        bool fits = family == AF_UNSPEC || (family == AF_INET) == (address.family == 4);
        if (fits && has_name(names, wanted) && !is_known(ret_addresses, count, &address))
            ret_addresses[count++] = address;
    }
    return count;
}

bool coir__dns_hosts_name(const char *text, size_t length, const struct coir__dns_address *address,
                          char *ret_name, size_t size)
{
    struct word rest = {text, length}, names, name;
    struct coir__dns_address found;
    while (next_entry(&rest, &found, &names)) {
        if (!is_known(&found, 1, address) || !next_word(&names, &name) || name.length >= size)
            continue;
        memcpy(ret_name, name.at, name.length);
        ret_name[name.length] = '\0';
        return true;
    }
    return false;
}
