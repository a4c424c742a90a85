/* dns_servers.c: tests of looking names up with servers that do wrong: nothing but a code comes of
 * it, and another server is asked. What a silent server costs is real time, so it is a few
 * milliseconds here, and nothing depends on how many.
 */
#include "dns_kit.h"

static const struct record zone[] = {
    {"a.example", A, 300, "192.0.2.1"},           {"alias.example", CNAME, 30, "other.example"},
    {"other.example", CNAME, 30, "many.example"}, {"many.example", A, 30, "192.0.2.7"},
    {"many.example", A, 30, "192.0.2.8"},         {"many.example", AAAA, 30, "2001:db8::8"},
    {"mx.example", MX, 60, "20 b.example"},       {"mx.example", MX, 60, "10 a.example"},
    {"x.example", SRV, 60, "2 1 81 b.example"},   {"x.example", SRV, 60, "1 5 80 a.example"},
    {"txt.example", TXT, 60, "v=one two"},        {"1.2.0.192.in-addr.arpa", PTR, 60, "a.example"},
};

COIR_TEST(silence_is_a_time_out)
{
    SERVER(server, zone, dns, .timeout = COIR_MS(5), .tries = 2);
    server.trick = SILENT;
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "ETIMEDOUT");
    COIR_EXPECT_STR(coir_last_message(-ETIMEDOUT),
                    "look up a.example: no name server has answered");
    COIR_EXPECT_EQ(server.asked, 2);
    /* it is not kept */
    server.trick = HONEST;
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
}

COIR_TEST(lost_question_is_asked_again)
{
    SERVER(server, zone, dns, .timeout = COIR_MS(5), .tries = 5);
    server.trick = SILENT;
    server.tricks = 1;
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
    COIR_EXPECT_GE(server.asked, 2);
}

/* Answers that are wrong, and the code when there is no other. An answer to another question is as
 * none at all. */
static const struct {
    enum trick trick;
    const char *code;
} wrongs[] = {
    {FAILS, "COIR_ELOOKUP"},
    {REFUSES, "COIR_ELOOKUP"},
    {GARBAGE, "ETIMEDOUT"},
    {CUT_SHORT, "ETIMEDOUT"},
    {WRONG_ID, "ETIMEDOUT"},
    {WRONG_QUESTION, "ETIMEDOUT"},
    {TURNS_IN_CIRCLES, "COIR_ELOOKUP"},
    {CLAIMS_MORE, "COIR_ELOOKUP"},
};

COIR_TEST(wrong_answers_are_codes)
{
    SERVER(server, zone, dns, .timeout = COIR_MS(5), .tries = 2);
    for (size_t i = 0; i < COIR_COUNT(wrongs); i++) {
        server.trick = wrongs[i].trick;
        COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), wrongs[i].code);
    }
    server.trick = HONEST;
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
}

COIR_TEST(too_long_for_a_datagram_comes_by_tcp)
{
    SERVER(server, zone, dns, 0);
    server.trick = TOO_LONG;
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
    COIR_EXPECT_EQ(server.asked_by_tcp, 1);
}

COIR_TEST(other_server_is_asked)
{
    SERVER(bad, zone, unused, 0);
    COIR_AUTO(server) good = {0};
    COIR_REQUIRE_OK(server_open(&good, zone, COIR_COUNT(zone)));
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(server_start(&good, &group));
    char both[2 * COIR_ADDRESS_TEXT + 2];
    (void)snprintf(both, sizeof both, "%s,%s", bad.address, good.address);
    static const enum trick tricks[] = {SILENT, FAILS, REFUSES, WRONG_ID};
    for (size_t i = 0; i < COIR_COUNT(tricks); i++) {
        COIR_AUTO(coir_dns) *dns = NULL;
        const coir_dns_opts opts = {
            .servers = both, .search = "", .hosts_file = "", .timeout = COIR_MS(20), .tries = 4};
        COIR_REQUIRE_OK(coir_dns_open(&opts, &dns));
        bad.trick = tricks[i];
        unsigned asked = good.asked;
        COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
        COIR_EXPECT_GT(good.asked, asked);
    }
    COIR_EXPECT_GE(bad.asked, 4);
}

/* Whatever comes is a code or an answer, and the sanitizers look on. */
COIR_TEST_TAGGED(mutated_answers, "limit=60,no_torture")
{
    SERVER(server, zone, dns, .timeout = COIR_MS(2), .tries = 1, .no_cache = true);
    server.trick = MUTATED;
    coir_address address;
    COIR_REQUIRE_OK(coir_address_parse("192.0.2.1:0", &address));
    for (int i = 0; i < 200; i++) {
        static const coir_dns_type types[] = {COIR_DNS_MX, COIR_DNS_SRV, COIR_DNS_TXT};
        static const char *const names[] = {"mx.example", "x.example", "txt.example"};
        COIR_AUTO(coir_dns_records) *found = NULL;
        coir_dns_answer answer;
        char name[COIR_NAME_TEXT];
        int r = coir_dns_query(dns, names[i % 3], types[i % 3], &found);
        COIR_EXPECT(r == 0 || r == -COIR_ENONAME || r == -COIR_ELOOKUP || r == -ETIMEDOUT);
        r = coir_dns_lookup(dns, "alias.example", i % 2 ? AF_INET : AF_UNSPEC, &answer);
        COIR_EXPECT(r == 0 || r == -COIR_ENONAME || r == -COIR_ELOOKUP || r == -ETIMEDOUT);
        if (r == 0) {
            COIR_EXPECT_GE(answer.count, 1);
            COIR_EXPECT_LE(answer.count, COIR_NAME_ADDRESSES);
            COIR_EXPECT_GE(answer.ttl, COIR_SEC(1));
        }
        r = coir_dns_reverse(dns, &address, name, sizeof name);
        COIR_EXPECT(r == 0 || r == -COIR_ENONAME || r == -COIR_ELOOKUP || r == -ETIMEDOUT);
        if (r == 0)
            COIR_EXPECT_OK(coir_name_check(name, strlen(name)));
    }
}

/* The system says so at once, and c-ares asks again until it gives up. */
COIR_TEST(nobody_is_there)
{
    NEEDS_SOCKETS;
    server server = {0};
    COIR_AUTO(coir_dns) *dns = NULL;
    int r = server_open(&server, zone, COIR_COUNT(zone));
    server_close(&server);
    COIR_REQUIRE_OK(r);
    COIR_REQUIRE_OK(open_for(&server, (coir_dns_opts){.timeout = COIR_MS(5), .tries = 2}, &dns));
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "COIR_ELOOKUP");
}
