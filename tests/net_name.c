/* net_name.c: tests of host names: what one is, which are known without asking, the system's
 * resolver.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include <coir/name.h>

#include "name_threads.h"
#include "net_pair.h"

#define LABEL_63 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

COIR_TEST(names_that_may_be_looked_up)
{
    static const char *const good[] = {
        "a",
        "example.org",
        "example.org.",
        "EXAMPLE.Org",
        "xn--bcher-kva.example",
        "_sip._tcp.example",
        "a-b.c-d",
        "1a",
        "3com.com",
        "1.2.3.example",
        "in-.example",
        LABEL_63 ".org",
        LABEL_63 "." LABEL_63 "." LABEL_63
                 ".abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghija",
    };
    for (size_t i = 0; i < COIR_COUNT(good); i++)
        COIR_EXPECT_OK(coir_name_check(good[i], strlen(good[i])));
}

COIR_TEST(names_that_may_not)
{
    static const struct {
        const char *name;
        size_t length; /* 0: to the end */
        const char *says;
    } bad[] = {
        {"", 0, "it is empty"},
        {".", 0, "it is empty"},
        {"..", 0, "its parts are"},
        {".a", 0, "its parts are"},
        {"a..b", 0, "its parts are"},
        {"a..", 0, "its parts are"},
        {"-a.example", 0, "its parts are"},
        {"a.-b.example", 0, "its parts are"},
        {"a b", 0, "its parts are"},
        {"a/b", 0, "its parts are"},
        {"a:b", 0, "its parts are"},
        {"a%b", 0, "its parts are"},
        {"b\xc3\xbc"
         "cher.example",
         0, "its parts are"},
        {"good.example\0.evil.example", 26, "its parts are"},
        {"example\0", 8, "its parts are"},
        {"\0", 1, "its parts are"},
        {"127.0.0.1", 0, "it looks like a number"},
        {"127.1", 0, "it looks like a number"},
        {"2130706433", 0, "it looks like a number"},
        {"0x7f000001", 0, "it looks like a number"},
        {"0x7f.1", 0, "it looks like a number"},
        {"example.0X", 0, "it looks like a number"},
        {"example.7.", 0, "it looks like a number"},
        {LABEL_63 "d.org", 0, "its parts are"},
        {LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, 0, "it is too long"},
    };
    for (size_t i = 0; i < COIR_COUNT(bad); i++) {
        size_t length = bad[i].length != 0 ? bad[i].length : strlen(bad[i].name);
        /* a copy without a terminator, for the sanitizers */
        char *copy = malloc(length + 1);
        COIR_REQUIRE(copy != NULL);
        char *name = copy + 1;
        memcpy(name, bad[i].name, length);
        COIR_EXPECT_CODE(coir_name_check(name, length), -COIR_EADDRESS);
        free(copy);
        COIR_EXPECT_CONTAINS(coir_last_message(-COIR_EADDRESS), bad[i].says);
    }
    COIR_EXPECT_CODE(coir_name_check(NULL, 1), -EINVAL);
}

/* What text stands for, as one text. */
static const char *looked_up(const char *text, int family)
{
    static char all[2 * COIR_ADDRESS_TEXT + 2];
    coir_address addresses[4];
    size_t count, length = 0;
    int r = coir_name_lookup(text, family, addresses, COIR_COUNT(addresses), &count);
    if (r < 0)
        return coir_error_name(r);
    for (size_t i = 0; i < count && length < sizeof all; i++) {
        if (i > 0)
            all[length++] = ' ';
        length += coir_address_format(&addresses[i], all + length, sizeof all - length);
    }
    return all;
}

COIR_TEST(nobody_is_asked_for_addresses_and_localhost)
{
    COIR_EXPECT_STR(looked_up("127.0.0.1:80", AF_UNSPEC), "127.0.0.1:80");
    COIR_EXPECT_STR(looked_up("127.0.0.1:80", AF_INET), "127.0.0.1:80");
    COIR_EXPECT_STR(looked_up("127.0.0.1:80", AF_INET6), "EAFNOSUPPORT");
    COIR_EXPECT_STR(looked_up("[2001:db8::1]:80", AF_UNSPEC), "[2001:db8::1]:80");
    COIR_EXPECT_STR(looked_up("localhost:80", AF_UNSPEC), "[::1]:80 127.0.0.1:80");
    COIR_EXPECT_STR(looked_up("localhost:80", AF_INET), "127.0.0.1:80");
    COIR_EXPECT_STR(looked_up("LocalHost:80", AF_INET6), "[::1]:80");
    COIR_EXPECT_STR(looked_up("my.localhost:80", AF_INET), "127.0.0.1:80");
    COIR_EXPECT_STR(looked_up("127.1:80", AF_UNSPEC), "COIR_EADDRESS");
    COIR_EXPECT_STR(looked_up("127.0.0.256:80", AF_UNSPEC), "COIR_EADDRESS");
    COIR_EXPECT_STR(looked_up("::1:80", AF_UNSPEC), "COIR_EADDRESS");
    COIR_EXPECT_STR(looked_up("[::1:80", AF_UNSPEC), "COIR_EADDRESS");
    COIR_EXPECT_STR(looked_up("example.org", AF_UNSPEC), "COIR_EADDRESS");
    COIR_EXPECT_STR(looked_up("a b:80", AF_UNSPEC), "COIR_EADDRESS");
    COIR_EXPECT_STR(looked_up("localhost:80", AF_UNIX), "EINVAL");
    COIR_EXPECT_STR(looked_up(NULL, AF_UNSPEC), "EINVAL");
    coir_address address;
    size_t count;
    COIR_EXPECT_OK(coir_name_lookup("localhost:1", 0, &address, 1, &count));
    COIR_EXPECT_EQ(count, 1);
    COIR_EXPECT_CODE(coir_name_lookup("localhost:1", 0, &address, 0, &count), -EINVAL);
}

/* ---- the system's resolver: the name is in /etc/hosts, so no server is asked ---- */

static int ask_system(int family, coir_address *ret_address)
{
    coir_resolver *system = coir_resolver_system();
    size_t count;
    return system->lookup(system, "localhost", family, ret_address, 1, &count);
}

COIR_TEST(system_looks_up)
{
    NAME_THREADS;
    coir_address address;
    char text[COIR_ADDRESS_TEXT];
    COIR_REQUIRE_OK(ask_system(AF_INET, &address));
    (void)coir_address_format(&address, text, sizeof text);
    COIR_EXPECT_STR(text, "127.0.0.1:0");
    struct coir_threads_stats stats;
    coir_threads_stats(coir_threads_for_names(), &stats);
    COIR_EXPECT_EQ(stats.limit, 8);
    COIR_EXPECT_EQ(stats.done, 1);
    coir_threads_close(coir_threads_for_names()); /* does nothing */
    COIR_EXPECT_OK(ask_system(AF_INET, &address));
}

static int ask(void *arg)
{
    coir_address address;
    return *(int *)arg = ask_system(AF_INET, &address);
}

COIR_TEST(cancelled_lookup_leaves_its_thread_alone)
{
    int results[20] = {0};
    NAME_THREADS;
    COIR_GROUP_COLLECT(group);
    for (size_t i = 0; i < COIR_COUNT(results); i++)
        COIR_REQUIRE_OK(coir_spawn(&group, ask, &results[i], NULL));
    COIR_REQUIRE_OK(coir_yield());
    coir_group_cancel(&group, "enough");
    COIR_EXPECT_OK(coir_group_finish(&group, 0));
    for (size_t i = 0; i < COIR_COUNT(results); i++)
        COIR_EXPECT(results[i] == 0 || results[i] == -ECANCELED);
}
