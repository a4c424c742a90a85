/* dns_cache.c: tests of resolvers that ask the system, which need no sockets: sharing, keeping, and
 * what only servers can say. The name is this host's own in /etc/hosts.
 */
#include <unistd.h>

#include "dns_kit.h"
#include "name_threads.h"

COIR_TEST(system_is_asked_for_what_is_no_localhost)
{
    NAME_THREADS;
    COIR_AUTO(coir_dns) *dns = NULL;
    COIR_REQUIRE_OK(coir_dns_open(&(coir_dns_opts){.system = true}, &dns));
    struct coir_dns_stats stats;
    COIR_EXPECT_STR(lookup_text(dns, "localhost", AF_INET), "127.0.0.1");
    coir_dns_stats(dns, &stats);
    COIR_EXPECT_EQ(stats.asked, 0);
    coir_address address;
    COIR_AUTO(coir_dns_records) *records = NULL;
    char text[COIR_NAME_TEXT];
    COIR_REQUIRE_OK(coir_address_parse("203.0.113.77:0", &address));
    COIR_EXPECT_CODE(coir_dns_reverse(dns, &address, text, sizeof text), -EOPNOTSUPP);
    COIR_EXPECT_CODE(coir_dns_query(dns, "a.example", COIR_DNS_MX, &records), -EOPNOTSUPP);
}

COIR_TEST(system_answers_are_kept_for_a_while)
{
    NAME_THREADS;
    COIR_AUTO(coir_dns) *dns = NULL;
    char host[COIR_NAME_TEXT];
    struct coir_dns_stats stats;
    coir_dns_answer found;
    if (gethostname(host, sizeof host) < 0 || coir_name_check(host, strlen(host)) < 0)
        COIR_SKIP("the host has no name");
    COIR_REQUIRE_OK(coir_dns_open(&(coir_dns_opts){.system = true}, &dns));
    int r = coir_dns_lookup(dns, host, AF_INET, &found);
    if (r == -COIR_ENONAME || r == -COIR_ELOOKUP)
        COIR_SKIP("the host does not know its name");
    COIR_REQUIRE_OK(r);
    COIR_EXPECT(!found.cached);
    COIR_REQUIRE_OK(coir_dns_lookup(dns, host, AF_INET, &found));
    COIR_EXPECT(found.cached);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(5)));
    COIR_REQUIRE_OK(coir_dns_lookup(dns, host, AF_INET, &found));
    COIR_EXPECT(!found.cached);
    coir_dns_stats(dns, &stats);
    COIR_EXPECT_EQ(stats.asked, 2);
    COIR_EXPECT_EQ(stats.hits, 1);
}
