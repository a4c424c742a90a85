/* dns_lookup.c: tests of looking names up with a server that answers: what is asked, what is kept,
 * who shares a question, what a cancellation and a close leave behind.
 */
#include "dns_kit.h"

static const struct record zone[] = {
    {"a.example", A, 300, "192.0.2.1"},
    {"six.example", AAAA, 300, "2001:db8::6"},
    {"both.example", A, 300, "192.0.2.2"},
    {"both.example", AAAA, 60, "2001:db8::2"},
    {"alias.example", CNAME, 20, "other.example"},
    {"other.example", CNAME, 30, "a.example"},
    {"long.example", A, 1000000000, "192.0.2.3"},
    {"zero.example", A, 0, "192.0.2.4"},
    {"empty.example", TXT, 60, NULL},
    {"host.corp.example", A, 60, "192.0.2.5"},
    {"1.2.0.192.in-addr.arpa", PTR, 60, "a.example"},
    {"2.2.0.192.in-addr.arpa", PTR, 60, "not\001a.name"},
    {"loop.example", CNAME, 60, "pool.example"},
    {"pool.example", CNAME, 60, "loop.example"},
    {"mx.example", MX, 60, "20 b.example"},
    {"mx.example", MX, 60, "10 a.example"},
    {"mx.example", MX, 60, "30 bad/name"},
    {"_x._tcp.example", SRV, 60, "2 1 81 b.example"},
    {"_x._tcp.example", SRV, 60, "1 5 80 a.example"},
    {"_x._tcp.example", SRV, 60, "1 0 82 c.example"},
    {"txt.example", TXT, 60, "v=one two"},
    {"here.example", A, 60, "127.0.0.1"},
};

COIR_TEST(addresses_of_both_families)
{
    SERVER(server, zone, dns, 0);
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_UNSPEC), "192.0.2.1");
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
    COIR_EXPECT_STR(lookup_text(dns, "six.example", AF_UNSPEC), "2001:db8::6");
    COIR_EXPECT_STR(lookup_text(dns, "six.example", AF_INET), "COIR_ENONAME");
    const char *both = lookup_text(dns, "both.example", AF_UNSPEC);
    COIR_EXPECT_CONTAINS(both, "192.0.2.2");
    COIR_EXPECT_CONTAINS(both, "2001:db8::2");
    COIR_EXPECT_STR(lookup_text(dns, "both.example", AF_INET6), "2001:db8::2");
    COIR_EXPECT_STR(lookup_text(dns, "alias.example", AF_INET), "192.0.2.1");
}

COIR_TEST(no_such_name)
{
    SERVER(server, zone, dns, 0);
    COIR_EXPECT_STR(lookup_text(dns, "nobody.example", AF_INET), "COIR_ENONAME");
    COIR_EXPECT_STR(coir_last_message(-COIR_ENONAME), "look up nobody.example: no such name");
    COIR_EXPECT_STR(lookup_text(dns, "empty.example", AF_INET), "COIR_ENONAME");
    COIR_EXPECT_STR(lookup_text(dns, "loop.example", AF_INET), "COIR_ENONAME");
}

COIR_TEST(what_is_no_name_is_not_asked_for)
{
    SERVER(server, zone, dns, 0);
    COIR_EXPECT_STR(lookup_text(dns, "a b", AF_INET), "COIR_EADDRESS");
    COIR_EXPECT_STR(lookup_text(dns, "", AF_INET), "COIR_EADDRESS");
    COIR_EXPECT_STR(lookup_text(dns, "127.1", AF_INET), "COIR_EADDRESS");
    COIR_EXPECT_STR(lookup_text(dns, ".localhost", AF_INET), "COIR_EADDRESS");
    COIR_EXPECT_STR(lookup_text(dns, "127.0.0.1", AF_INET), "127.0.0.1");
    COIR_EXPECT_STR(lookup_text(dns, "2001:db8::1", AF_UNSPEC), "2001:db8::1");
    COIR_EXPECT_STR(lookup_text(dns, "2001:db8::1", AF_INET), "COIR_ENONAME");
    COIR_EXPECT_STR(lookup_text(dns, "x.LOCALHOST.", AF_UNSPEC), "::1 127.0.0.1");
    COIR_EXPECT_STR(lookup_text(dns, "localhost", AF_INET), "127.0.0.1");
    COIR_EXPECT_STR(lookup_text(dns, "localhost", AF_UNIX), "EINVAL");
    COIR_EXPECT_EQ(server.asked, 0);
}

/* ---- what is kept ---- */

static void expect_ttl(coir_dns *dns, const char *name, coir_time least, coir_time most)
{
    coir_dns_answer found;
    COIR_REQUIRE_OK(coir_dns_lookup(dns, name, AF_INET, &found));
    COIR_EXPECT_GE(found.ttl, least);
    COIR_EXPECT_LE(found.ttl, most);
}

COIR_TEST(answers_are_kept_as_long_as_they_say)
{
    RESTING_SERVER(server, zone, dns, 0);
    coir_dns_answer found;
    COIR_REQUIRE_OK(lookup_served(&server, dns, "a.example", &found));
    COIR_EXPECT(!found.cached);
    COIR_EXPECT_EQ(found.ttl, COIR_SEC(300));
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(299)));
    COIR_REQUIRE_OK(coir_dns_lookup(dns, "A.Example", AF_INET, &found));
    COIR_EXPECT(found.cached);
    COIR_EXPECT_LE(found.ttl, COIR_SEC(1));
    COIR_EXPECT_EQ(server.asked, 1);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    COIR_REQUIRE_OK(lookup_served(&server, dns, "a.example", &found));
    COIR_EXPECT(!found.cached);
    COIR_EXPECT_EQ(server.asked, 2);
}

COIR_TEST(that_there_is_no_such_name_is_kept_for_a_short_while)
{
    RESTING_SERVER(server, zone, dns, 0);
    coir_dns_answer found;
    COIR_EXPECT_CODE(lookup_served(&server, dns, "nobody.example", &found), -COIR_ENONAME);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(4)));
    COIR_EXPECT_CODE(coir_dns_lookup(dns, "NOBODY.example", AF_INET, &found), -COIR_ENONAME);
    COIR_EXPECT_STR(coir_last_message(-COIR_ENONAME), "look up NOBODY.example: no such name");
    COIR_EXPECT_EQ(server.asked, 1);
    COIR_EXPECT_OK(coir_sleep(COIR_SEC(1)));
    COIR_EXPECT_CODE(lookup_served(&server, dns, "nobody.example", &found), -COIR_ENONAME);
    COIR_EXPECT_EQ(server.asked, 2);
}

COIR_TEST(ttl_has_bounds)
{
    SERVER(server, zone, dns, 0);
    expect_ttl(dns, "alias.example", COIR_SEC(20), COIR_SEC(20));
    expect_ttl(dns, "long.example", COIR_SEC(3600), COIR_SEC(3600));
    expect_ttl(dns, "zero.example", COIR_SEC(1), COIR_SEC(1));
}

COIR_TEST(cache_has_a_bound)
{
    SERVER(server, zone, dns, .cache = 2);
    struct coir_dns_stats stats;
    for (int i = 0; i < 2; i++) {
        COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
        COIR_EXPECT_STR(lookup_text(dns, "both.example", AF_INET), "192.0.2.2");
    }
    COIR_EXPECT_EQ(server.asked, 2);
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1"); /* used last */
    COIR_EXPECT_STR(lookup_text(dns, "long.example", AF_INET), "192.0.2.3");
    coir_dns_stats(dns, &stats);
    COIR_EXPECT_EQ(stats.cached, 2);
    COIR_EXPECT_EQ(stats.hits, 3);
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
    COIR_EXPECT_EQ(server.asked, 3);
    COIR_EXPECT_STR(lookup_text(dns, "both.example", AF_INET), "192.0.2.2");
    COIR_EXPECT_EQ(server.asked, 4);
}

COIR_TEST(nothing_is_kept_without_a_cache)
{
    SERVER(server, zone, dns, .no_cache = true);
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
    COIR_EXPECT_EQ(server.asked, 3);
}

/* ---- search ---- */

COIR_TEST(short_names_are_completed)
{
    SERVER(server, zone, dns, .search = "nowhere.example corp.example");
    COIR_EXPECT_STR(lookup_text(dns, "host", AF_INET), "192.0.2.5");
    COIR_EXPECT_STR(lookup_text(dns, "host.", AF_INET), "COIR_ENONAME");
    COIR_EXPECT_STR(lookup_text(dns, "nobody", AF_INET), "COIR_ENONAME");
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
}

/* ---- several tasks ---- */

struct asker {
    coir_dns *dns;
    const char *name;
    int result;
    coir_dns_answer found;
};

static int ask(void *arg)
{
    struct asker *asker = arg;
    asker->result = coir_dns_lookup(asker->dns, asker->name, AF_INET, &asker->found);
    return 0;
}

COIR_TEST(equal_questions_are_asked_once)
{
    SERVER(server, zone, dns, .no_cache = true);
    struct asker askers[20];
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(askers); i++) {
        askers[i] = (struct asker){.dns = dns, .name = i % 2 ? "a.example" : "A.EXAMPLE"};
        COIR_REQUIRE_OK(coir_spawn(&group, ask, &askers[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (size_t i = 0; i < COIR_COUNT(askers); i++)
        COIR_EXPECT_OK(askers[i].result);
    COIR_EXPECT_EQ(server.asked, 1);
}

COIR_TEST(limit_holds_and_nobody_is_forgotten)
{
    SERVER(server, zone, dns, .limit = 2, .no_cache = true);
    struct asker askers[30];
    char names[30][32];
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(askers); i++) {
        (void)snprintf(names[i], sizeof names[i], "n%zu.example", i);
        askers[i] = (struct asker){.dns = dns, .name = names[i]};
        COIR_REQUIRE_OK(coir_spawn(&group, ask, &askers[i], NULL));
    }
    COIR_REQUIRE_OK(coir_group_wait(&group));
    for (size_t i = 0; i < COIR_COUNT(askers); i++)
        COIR_EXPECT_CODE(askers[i].result, -COIR_ENONAME);
    COIR_EXPECT_EQ(server.asked, 30);
}

/* ---- the end ---- */

/* Waits until a question is at the server, which does not answer. */
static int start_stuck(struct server *server, coir_dns *dns, coir_group *group, struct asker *asker,
                       coir_task **ret_task)
{
    (void)coir_event_clear(&server->arrived);
    *asker = (struct asker){.dns = dns, .name = "a.example"};
    COIR_TRY(coir_spawn(group, ask, asker, ret_task));
    return coir_event_wait(&server->arrived);
}

COIR_TEST(cancelled_lookup_is_gone)
{
    SERVER(server, zone, dns, .timeout = COIR_SEC(900), .limit = 1);
    server.trick = SILENT;
    server.tricks = 1;
    struct asker asker;
    struct coir_dns_stats stats;
    COIR_GROUP(group);
    coir_task *task;
    int result;
    COIR_REQUIRE_OK(start_stuck(&server, dns, &group, &asker, &task));
    coir_dns_stats(dns, &stats);
    COIR_EXPECT_EQ(stats.running, 1);
    coir_cancel(task, "enough");
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(asker.result, -ECANCELED);
    /* the limit is one: the next could not be asked if it were still under way */
    COIR_EXPECT_STR(lookup_text(dns, "a.example", AF_INET), "192.0.2.1");
    coir_dns_stats(dns, &stats);
    COIR_EXPECT_EQ(stats.running, 0);
    COIR_EXPECT_EQ(stats.abandoned, 0);
}

COIR_TEST(close_ends_lookups)
{
    SERVER(server, zone, dns, .timeout = COIR_SEC(900), .limit = 1);
    server.trick = SILENT;
    struct asker asker, waiting = {.dns = dns, .name = "both.example"};
    COIR_GROUP(group);
    coir_task *task, *other;
    int result;
    COIR_REQUIRE_OK(start_stuck(&server, dns, &group, &asker, &task));
    COIR_REQUIRE_OK(coir_spawn(&group, ask, &waiting, &other));
    for (int turn = 0; turn < 50; turn++) /* the order is not known: both have asked by then */
        COIR_REQUIRE_OK(coir_yield());
    coir_dns_close(COIR_TAKE(dns));
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_REQUIRE_OK(coir_join(other, &result));
    COIR_EXPECT_CODE(asker.result, -COIR_ECLOSED);
    COIR_EXPECT_CODE(waiting.result, -COIR_ECLOSED);
}

COIR_TEST(deadline_ends_a_lookup)
{
    SERVER(server, zone, dns, .timeout = COIR_SEC(900));
    server.trick = SILENT;
    struct asker asker = {.dns = dns, .name = "a.example"};
    COIR_DEADLINE(COIR_MS(5));
    (void)ask(&asker);
    COIR_EXPECT_CODE(asker.result, -ETIME);
}

/* ---- connecting ---- */

COIR_TEST(connect_by_name)
{
    SERVER(server, zone, dns, 0);
    coir_dns_use(dns);
    char target[COIR_ADDRESS_TEXT];
    COIR_AUTO(coir_stream) *stream = NULL;
    (void)snprintf(target, sizeof target, "here.example%s", strrchr(server.address, ':'));
    COIR_EXPECT_OK(coir_tcp_connect(target, NULL, &stream));
    COIR_EXPECT_EQ(server.asked, 2);
    COIR_EXPECT_CODE(coir_tcp_connect("nobody.example:80", &(coir_connect_opts){0}, &stream),
                     -COIR_ENONAME);
    coir_dns_close(COIR_TAKE(dns));
    COIR_EXPECT_PTR(coir_resolver_get(), coir_resolver_system());
}

/* ---- other questions ---- */

COIR_TEST(names_of_addresses)
{
    SERVER(server, zone, dns, 0);
    coir_address address;
    char name[COIR_NAME_TEXT];
    COIR_REQUIRE_OK(coir_address_parse("192.0.2.1:0", &address));
    COIR_EXPECT_OK(coir_dns_reverse(dns, &address, name, sizeof name));
    COIR_EXPECT_STR(name, "a.example");
    COIR_EXPECT_CODE(coir_dns_reverse(dns, &address, name, 4), -ENOSPC);
    COIR_REQUIRE_OK(coir_address_parse("192.0.2.2:0", &address));
    COIR_EXPECT_CODE(coir_dns_reverse(dns, &address, name, sizeof name), -COIR_ELOOKUP);
    COIR_REQUIRE_OK(coir_address_parse("[2001:db8::1]:0", &address));
    COIR_EXPECT_CODE(coir_dns_reverse(dns, &address, name, sizeof name), -COIR_ENONAME);
    COIR_REQUIRE_OK(coir_address_unix("/tmp/x", &address));
    COIR_EXPECT_CODE(coir_dns_reverse(dns, &address, name, sizeof name), -EAFNOSUPPORT);
}

COIR_TEST(records)
{
    SERVER(server, zone, dns, 0);
    COIR_AUTO(coir_dns_records) *found = NULL;
    COIR_REQUIRE_OK(coir_dns_query(dns, "mx.example", COIR_DNS_MX, &found));
    COIR_REQUIRE_EQ(found->count, 2);
    COIR_EXPECT_STR(found->records[0].host, "a.example");
    COIR_EXPECT_EQ(found->records[0].priority, 10);
    COIR_EXPECT_STR(found->records[1].host, "b.example");
    coir_dns_records_close(COIR_TAKE(found));
    COIR_REQUIRE_OK(coir_dns_query(dns, "_x._tcp.example", COIR_DNS_SRV, &found));
    COIR_REQUIRE_EQ(found->count, 3);
    COIR_EXPECT_EQ(found->records[0].priority, 1);
    COIR_EXPECT_EQ(found->records[1].priority, 1);
    COIR_EXPECT_EQ(found->records[0].port + found->records[1].port, 162);
    COIR_EXPECT_EQ(found->records[2].port, 81);
    coir_dns_records_close(COIR_TAKE(found));
    COIR_REQUIRE_OK(coir_dns_query(dns, "txt.example", COIR_DNS_TXT, &found));
    COIR_REQUIRE_EQ(found->count, 1);
    COIR_REQUIRE_EQ(found->records[0].text.length, 9);
    COIR_EXPECT_BYTES(found->records[0].text.data, "v=one two", 9);
    coir_dns_records_close(COIR_TAKE(found));
    COIR_EXPECT_CODE(coir_dns_query(dns, "a.example", COIR_DNS_MX, &found), -COIR_ENONAME);
    COIR_EXPECT_CODE(coir_dns_query(dns, "no/name", COIR_DNS_MX, &found), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_dns_query(dns, "a.example", (coir_dns_type)1, &found), -EINVAL);
}

/* ---- opening ---- */

COIR_TEST(options_are_checked)
{
    static const char *const bad[] = {"",
                                      "a",
                                      "127.0.0.1,",
                                      "127.0.0.1:x",
                                      "127.0.0.1 127.0.0.2",
                                      "2001:db8::1",
                                      "[2001:db8::1",
                                      "localhost",
                                      "1.1.1.1,,2.2.2.2",
                                      "1.1.1.1:99999"};
    COIR_AUTO(coir_dns) *dns = NULL;
    for (size_t i = 0; i < COIR_COUNT(bad); i++)
        COIR_EXPECT_CODE(coir_dns_open(&(coir_dns_opts){.servers = bad[i]}, &dns), -EINVAL);
    static const char *const good[] = {"127.0.0.1", "127.0.0.1:53", "[::1]", "[::1]:5353",
                                       "192.0.2.1, [2001:db8::1]:53 ,192.0.2.2:54"};
    for (size_t i = 0; i < COIR_COUNT(good); i++) {
        COIR_EXPECT_OK(coir_dns_open(&(coir_dns_opts){.servers = good[i]}, &dns));
        coir_dns_close(COIR_TAKE(dns));
    }
    COIR_EXPECT_CODE(coir_dns_open(&(coir_dns_opts){.timeout = -1}, &dns), -EINVAL);
    COIR_EXPECT_CODE(coir_dns_open(NULL, NULL), -EINVAL);
}

COIR_TEST_TAGGED(no_loop, "own_loop")
{
    coir_dns *dns;
    COIR_EXPECT_CODE(coir_dns_open(NULL, &dns), -COIR_ENOTASK);
}
