/* dns.c: looks names up by one server, for tests/shell/dns.sh.
 *
 *     program-dns SERVER [NAME | NAME/mx | NAME/srv | NAME/txt | =ADDRESS]...
 *
 * Prints a line for each: what was found, or the name of the code.
 */
#include <coir/coir.h>
#include <coir/dns.h>
#include <stdio.h>
#include <string.h>

static int show_addresses(coir_dns *dns, const char *name)
{
    coir_dns_answer found;
    COIR_TRY(coir_dns_lookup(dns, name, AF_UNSPEC, &found));
    size_t six = 0;
    for (size_t i = 0; i < found.count; i++)
        six += found.addresses[i].storage.ss_family == AF_INET6;
    char text[COIR_ADDRESS_TEXT];
    coir_address_format(&found.addresses[found.count - 1], text, sizeof text);
    printf("%zu ipv4 %zu ipv6 ttl %lld last %s\n", found.count - six, six,
           (long long)(found.ttl / COIR_SEC(1)), text);
    return 0;
}

static int show_records(coir_dns *dns, const char *name, coir_dns_type type)
{
    COIR_AUTO(coir_dns_records) *found = NULL;
    COIR_TRY(coir_dns_query(dns, name, type, &found));
    for (size_t i = 0; i < found->count; i++) {
        const coir_dns_record *record = &found->records[i];
        printf("%u %u %u %s%.*s%s", record->priority, record->weight, record->port, record->host,
               (int)record->text.length, (const char *)record->text.data,
               i + 1 < found->count ? ", " : "\n");
    }
    return 0;
}

static int show_name(coir_dns *dns, const char *text)
{
    coir_address address;
    char name[COIR_NAME_TEXT];
    COIR_TRY(coir_address_parse(text, &address));
    COIR_TRY(coir_dns_reverse(dns, &address, name, sizeof name));
    printf("%s\n", name);
    return 0;
}

static int show(coir_dns *dns, char *what)
{
    static const struct {
        const char *name;
        coir_dns_type type;
    } types[] = {{"mx", COIR_DNS_MX}, {"srv", COIR_DNS_SRV}, {"txt", COIR_DNS_TXT}};
    if (what[0] == '=')
        return show_name(dns, what + 1);
    char *slash = strchr(what, '/');
    if (slash == NULL)
        return show_addresses(dns, what);
    *slash = '\0';
    for (size_t i = 0; i < COIR_COUNT(types); i++)
        if (strcmp(slash + 1, types[i].name) == 0)
            return show_records(dns, what, types[i].type);
    return -EINVAL;
}

static int app(void *arg)
{
    char **words = arg;
    const coir_dns_opts opts = {.servers = words[1], .search = "", .hosts_file = ""};
    COIR_AUTO(coir_dns) *dns = NULL;
    COIR_TRY(coir_dns_open(&opts, &dns));
    for (size_t i = 2; words[i] != NULL; i++) {
        int r = show(dns, words[i]);
        if (r < 0)
            printf("%s\n", coir_error_name(r));
    }
    return 0;
}

int main(int argc, char **argv)
{
    return argc > 1 ? coir_main(app, argv) : 2;
}
