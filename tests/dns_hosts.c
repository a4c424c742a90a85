/* dns_hosts.c: tests of the hosts file: what is read of it, in both directions. */
#include <unistd.h>

#include "dns_kit.h"

static const char text[] = "# comment\n"
                           "127.0.0.1 localhost\n"
                           "192.0.2.1\tone.example one # two.example\n"
                           "2001:db8::1 one.example\r\n"
                           "192.0.2.2   one.example\n"
                           "192.0.2.1 one.example\n"
                           "192.0.2.300 bad.example\n"
                           "bad.example 192.0.2.4\n"
                           "\n"
                           "192.0.2.5\n"
                           "  \t 192.0.2.6 indented.example\n"
                           "# 192.0.2.7 hidden.example\n"
                           "192.0.2.8 last.example";

/* Writes the file. Returns its path, or NULL. */
static const char *make_file(const char *content, size_t length)
{
    static char path[512];
    const char *directory = coir_test_tmpdir();
    (void)snprintf(path, sizeof path, "%s/hosts", directory != NULL ? directory : ".");
    FILE *file = fopen(path, "w");
    bool good = file != NULL && fwrite(content, 1, length, file) == length;
    if (file != NULL)
        good &= fclose(file) == 0;
    return good ? path : NULL;
}

static const struct record zone[] = {
    {"one.example", A, 300, "203.0.113.1"},
    {"two.example", A, 300, "203.0.113.2"},
    {"hidden.example", A, 300, "203.0.113.3"},
    {"bad.example", A, 300, "203.0.113.4"},
    {"5.2.0.192.in-addr.arpa", PTR, 60, "five.example"},
};

COIR_TEST(hosts_file_comes_first)
{
    const char *path = make_file(text, sizeof text - 1);
    COIR_REQUIRE(path != NULL);
    SERVER(server, zone, dns, .hosts_file = path);
    COIR_EXPECT_STR(lookup_text(dns, "one.example", AF_INET), "192.0.2.1 192.0.2.2");
    COIR_EXPECT_STR(lookup_text(dns, "ONE", AF_INET), "192.0.2.1");
    COIR_EXPECT_STR(lookup_text(dns, "One.Example.", AF_INET6), "2001:db8::1");
    COIR_EXPECT_STR(lookup_text(dns, "one.example", AF_UNSPEC), "192.0.2.1 2001:db8::1 192.0.2.2");
    COIR_EXPECT_STR(lookup_text(dns, "indented.example", AF_UNSPEC), "192.0.2.6");
    COIR_EXPECT_STR(lookup_text(dns, "last.example", AF_UNSPEC), "192.0.2.8");
    COIR_EXPECT_EQ(server.asked, 0);
    COIR_EXPECT_STR(lookup_text(dns, "two.example", AF_INET), "203.0.113.2");
    COIR_EXPECT_STR(lookup_text(dns, "hidden.example", AF_INET), "203.0.113.3");
    COIR_EXPECT_STR(lookup_text(dns, "bad.example", AF_INET), "203.0.113.4");
    COIR_EXPECT_EQ(server.asked, 3);
}

/* A name that the file has for one family has no address of the other. */
COIR_TEST(hosts_file_knows_all_of_a_host)
{
    const char *path = make_file(text, sizeof text - 1);
    COIR_REQUIRE(path != NULL);
    SERVER(server, zone, dns, .hosts_file = path);
    COIR_EXPECT_STR(lookup_text(dns, "indented.example", AF_INET6), "COIR_ENONAME");
    COIR_EXPECT_EQ(server.asked, 0);
}

COIR_TEST(hosts_file_names_addresses)
{
    const char *path = make_file(text, sizeof text - 1);
    COIR_REQUIRE(path != NULL);
    SERVER(server, zone, dns, .hosts_file = path);
    coir_address address;
    char name[COIR_NAME_TEXT];
    COIR_REQUIRE_OK(coir_address_parse("192.0.2.1:99", &address));
    COIR_EXPECT_OK(coir_dns_reverse(dns, &address, name, sizeof name));
    COIR_EXPECT_STR(name, "one.example");
    COIR_EXPECT_CODE(coir_dns_reverse(dns, &address, name, 5), -ENOSPC);
    COIR_REQUIRE_OK(coir_address_parse("[2001:db8::1]:99", &address));
    COIR_EXPECT_OK(coir_dns_reverse(dns, &address, name, sizeof name));
    COIR_EXPECT_STR(name, "one.example");
    COIR_EXPECT_EQ(server.asked, 0);
    COIR_REQUIRE_OK(coir_address_parse("192.0.2.5:99", &address));
    COIR_EXPECT_OK(coir_dns_reverse(dns, &address, name, sizeof name));
    COIR_EXPECT_STR(name, "five.example");
}

COIR_TEST(hosts_file_is_read_anew_and_need_not_exist)
{
    const char *path = make_file("192.0.2.1 a.test\n", 17);
    COIR_REQUIRE(path != NULL);
    SERVER(server, zone, dns, .hosts_file = path, .no_cache = true);
    COIR_EXPECT_STR(lookup_text(dns, "a.test", AF_INET), "192.0.2.1");
    COIR_REQUIRE(make_file("192.0.2.9 a.test\n", 17) != NULL);
    COIR_EXPECT_STR(lookup_text(dns, "a.test", AF_INET), "192.0.2.9");
    COIR_REQUIRE_EQ(unlink(path), 0);
    COIR_EXPECT_STR(lookup_text(dns, "a.test", AF_INET), "COIR_ENONAME");
}

/* Whatever bytes: the sanitizers look on. */
COIR_TEST(hosts_file_of_nonsense)
{
    NEEDS_SOCKETS;
    static char bytes[64 * 1024];
    unsigned state = 12345;
    static const char usual[] = "0123456789abcdef:. \t\n#\r\0\xff";
    for (size_t i = 0; i < sizeof bytes; i++) {
        state = state * 1103515245U + 12345U;
        bytes[i] = usual[(state >> 16) % (sizeof usual - 1)];
    }
    const char *path = make_file(bytes, sizeof bytes);
    COIR_REQUIRE(path != NULL);
    SERVER(server, zone, dns, .hosts_file = path);
    COIR_EXPECT_STR(lookup_text(dns, "one.example", AF_INET), "203.0.113.1");
}
