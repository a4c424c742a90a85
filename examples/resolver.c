/* resolver.c: a resolver of one's own (libcoir-dns) for all connections of a loop.
 *
 * Here the name stands in a hosts file; other names it would ask the servers of /etc/resolv.conf
 * for, from the loop, and keep the answers. Twenty tasks that want one name at once ask once.
 */
#include <coir/coir.h>
#include <coir/dns.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int look_up(void *arg)
{
    coir_dns_answer *answer = arg;
    coir_address address;
    size_t count;
    COIR_TRY(coir_name_lookup("printer.example:631", AF_INET, &address, 1, &count));
    answer->addresses[0] = address;
    return 0;
}

static int app(void *arg)
{
    const coir_dns_opts opts = {.hosts_file = arg};
    COIR_AUTO(coir_dns) *dns = NULL;
    COIR_TRY(coir_dns_open(&opts, &dns));
    coir_dns_use(dns); /* coir_tcp_connect, too, asks it from now on */

    coir_dns_answer answers[20];
    COIR_TRY(coir_map(look_up, answers, COIR_COUNT(answers), sizeof answers[0], NULL));
    char text[COIR_ADDRESS_TEXT];
    coir_address_format(&answers[19].addresses[0], text, sizeof text);
    printf("printer.example:631 is %s\n", text);

    COIR_TRY(coir_dns_lookup(dns, "printer.example", AF_INET, &answers[0]));
    printf("the second time it was %s\n", answers[0].cached ? "known" : "asked for");
    return 0;
}

int main(void)
{
    char path[] = "/tmp/coir-hosts-XXXXXX";
    int fd = mkstemp(path);
    static const char line[] = "192.0.2.9 printer.example printer\n";
    if (fd < 0 || write(fd, line, sizeof line - 1) < 0 || close(fd) < 0)
        return EXIT_FAILURE;
    int code = coir_main(app, path);
    (void)unlink(path);
    return code;
}
