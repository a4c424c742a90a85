/* net_address.c: tests of addresses as text: a table of what is one and what is not. */
#include <string.h>
#include <sys/un.h>

#include <coir/address.h>
#include <coir/testing.h>

COIR_TEST(addresses_survive_the_round_trip)
{
    static const char *const good[] = {
        "127.0.0.1:80", "0.0.0.0:0",         "255.255.255.255:65535", "[::1]:80",
        "[::]:1",       "[2001:db8::1]:443", "[fe80::1]:9",           "[::ffff:1.2.3.4]:5",
    };
    for (size_t i = 0; i < COIR_COUNT(good); i++) {
        coir_address address;
        char text[COIR_ADDRESS_TEXT];
        COIR_EXPECT_OK(coir_address_parse(good[i], &address));
        COIR_EXPECT_EQ(coir_address_format(&address, text, sizeof text), strlen(good[i]));
        COIR_EXPECT_STR(text, good[i]);
    }
}

COIR_TEST(what_is_no_address_is_refused_with_its_text)
{
    static const char *const bad[] = {
        "",
        ":",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:99999999999999999999",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1 ",
        "127.0.0.1:0x50",
        "127.0.0.1:http",
        "127.0.0.1:000080",
        "127.1:80",
        "127.0.0.256:80",
        " 127.0.0.1:80",
        "01.2.3.4:80",
        "::1:80",
        "[::1]",
        "[::1:80",
        "[::1]80",
        "[]:80",
        "[:80",
        "[127.0.0.1]:80",
        "[::1%lo]:80",
        "[::g]:80",
        "example.org:80",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:80",
    };
    for (size_t i = 0; i < COIR_COUNT(bad); i++) {
        coir_address address;
        if (!COIR_EXPECT_CODE(coir_address_parse(bad[i], &address), -COIR_EADDRESS))
            COIR_FAIL("'%s' was taken", bad[i]);
        const coir_error *error = coir_last_error();
        if (error != NULL && strlen(bad[i]) < 64)
            COIR_EXPECT_CONTAINS(coir_error_message(error), bad[i]);
    }
    coir_address address;
    COIR_EXPECT_CODE(coir_address_parse(NULL, &address), -EINVAL);
    COIR_EXPECT_CODE(coir_address_parse("127.0.0.1:1", NULL), -EINVAL);
}

COIR_TEST(unix_addresses)
{
    static const char *const good[] = {"/run/x.sock", "relative", "@abstract", "/"};
    char text[COIR_ADDRESS_TEXT], path[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    coir_address address;
    for (size_t i = 0; i < COIR_COUNT(good); i++) {
        COIR_EXPECT_OK(coir_address_unix(good[i], &address));
        (void)coir_address_format(&address, text, sizeof text);
        COIR_EXPECT_STR(text, good[i]);
    }
    memset(path, 'p', sizeof path);
    path[sizeof path - 1] = '\0';
    COIR_EXPECT_CODE(coir_address_unix(path, &address), -COIR_EADDRESS);
    path[sizeof path - 2] = '\0';
    COIR_EXPECT_OK(coir_address_unix(path, &address));
    COIR_EXPECT_EQ(coir_address_format(&address, text, sizeof text), strlen(path));
    COIR_EXPECT_STR(text, path);
    COIR_EXPECT_CODE(coir_address_unix("", &address), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_address_unix("@", &address), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_address_unix(NULL, &address), -EINVAL);
    address.length = sizeof(sa_family_t);
    (void)coir_address_format(&address, text, sizeof text);
    COIR_EXPECT_STR(text, "unix");
}

COIR_TEST(a_short_buffer_cuts_the_text)
{
    coir_address address;
    char text[8];
    COIR_REQUIRE_OK(coir_address_parse("127.0.0.1:80", &address));
    COIR_EXPECT_EQ(coir_address_format(&address, text, sizeof text), 12);
    COIR_EXPECT_STR(text, "127.0.0");
}
