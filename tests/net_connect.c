/* net_connect.c: tests of connecting to one of several addresses: whose turn it is when, who wins,
 * what becomes of the others, what is said when all fail.
 *
 * An address that does not answer is that of a listener whose queue is full. With a kernel waiting
 * for such a one takes real time, so these tests say only how long something takes at least.
 */
#include <coir/name.h>

#include "net_places.h"

/* ---- turns ---- */

COIR_TEST(first_that_answers_is_taken)
{
    PATIENCE;
    COIR_AUTO(place) a = {0};
    COIR_AUTO(place) b = {0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_good(&a, "[::1]:0"));
    COIR_REQUIRE_OK(open_good(&b, "127.0.0.1:0"));
    const coir_address both[] = {a.address, b.address};
    const coir_connect_opts opts = {.stagger = COIR_FOREVER};
    COIR_REQUIRE_OK(coir_tcp_connect_any(both, 2, &opts, &stream));
    expect_at(stream, &a);
    coir_stream_close(COIR_TAKE(stream));
    COIR_REQUIRE_OK(coir_tcp_connect_any(&both[1], 1, NULL, &stream));
    expect_at(stream, &b);
}

COIR_TEST(next_is_tried_when_one_has_failed)
{
    PATIENCE;
    COIR_AUTO(place) a = {0};
    COIR_AUTO(place) b = {0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_refused(&a, "[::1]:0"));
    COIR_REQUIRE_OK(open_good(&b, "127.0.0.1:0"));
    const coir_address both[] = {a.address, b.address};
    const coir_connect_opts opts = {.stagger = COIR_FOREVER};
    COIR_REQUIRE_OK(coir_tcp_connect_any(both, 2, &opts, &stream));
    expect_at(stream, &b);
}

COIR_TEST(next_is_tried_when_one_does_not_answer)
{
    PATIENCE;
    COIR_AUTO(place) a = {0};
    COIR_AUTO(place) b = {0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_stalled(&a, "127.0.0.1:0"));
    COIR_REQUIRE_OK(open_good(&b, "127.0.0.1:0"));
    const coir_address both[] = {a.address, b.address};
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_tcp_connect_any(both, 2, NULL, &stream));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(250));
    expect_at(stream, &b);
}

/* Many that do not answer cost one stagger each, not a time-out each. */
COIR_TEST(each_waits_for_its_turn)
{
    PATIENCE;
    COIR_AUTO(place) stalled = {0};
    COIR_AUTO(place) good = {0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_stalled(&stalled, "127.0.0.1:0"));
    COIR_REQUIRE_OK(open_good(&good, "127.0.0.1:0"));
    coir_address all[6];
    for (size_t i = 0; i < 5; i++)
        all[i] = stalled.address;
    all[5] = good.address;
    const coir_connect_opts opts = {.stagger = COIR_MS(10)};
    coir_time start = coir_now();
    COIR_REQUIRE_OK(coir_tcp_connect_any(all, 6, &opts, &stream));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(50));
    expect_at(stream, &good);
}

/* Both are connected at the same time: one is taken, the other closed. */
COIR_TEST(late_winner_is_closed)
{
    PATIENCE;
    COIR_AUTO(place) a = {0};
    COIR_AUTO(place) b = {0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_good(&a, "127.0.0.1:0"));
    COIR_REQUIRE_OK(open_good(&b, "127.0.0.1:0"));
    const coir_address both[] = {a.address, b.address};
    const coir_connect_opts opts = {.stagger = 1};
    for (int i = 0; i < 20; i++) {
        COIR_AUTO(coir_stream) *server = NULL;
        char peer[COIR_ADDRESS_TEXT];
        COIR_REQUIRE_OK(coir_tcp_connect_any(both, 2, &opts, &stream));
        COIR_REQUIRE_OK(coir_stream_peer(stream, peer, sizeof peer));
        place *winner = strcmp(peer, a.name) == 0 ? &a : &b;
        COIR_REQUIRE_OK(coir_stream_write(stream, "x", 1));
        char byte = 0;
        int r = 0;
        /* earlier losers may stand before it in the queue */
        while (r <= 0) {
            size_t length;
            coir_stream_abort(COIR_TAKE(server));
            COIR_REQUIRE_OK(coir_listener_accept(winner->listener, &server));
            r = coir_stream_read(server, &byte, 1, &length);
            COIR_REQUIRE(r > 0 || r == 0 || r == -ECONNRESET);
        }
        COIR_EXPECT_EQ(byte, 'x');
        coir_stream_close(COIR_TAKE(stream));
    }
}

/* ---- failures ---- */

/* Nobody listens at port 1. */
COIR_TEST(families_take_turns_and_all_failures_are_told)
{
    PATIENCE;
    COIR_AUTO(coir_stream) *stream = NULL;
    static const char *const texts[] = {"127.0.0.1:1", "127.0.0.2:1", "[::1]:1"};
    coir_address all[COIR_COUNT(texts)];
    for (size_t i = 0; i < COIR_COUNT(texts); i++)
        COIR_REQUIRE_OK(coir_address_parse(texts[i], &all[i]));
    COIR_EXPECT_CODE(coir_tcp_connect_any(all, COIR_COUNT(all), NULL, &stream), -ECONNREFUSED);
    COIR_EXPECT_STR(coir_last_message(-ECONNREFUSED),
                    "connect to one of 3: 127.0.0.1:1 connection refused, [::1]:1 connection "
                    "refused, 127.0.0.2:1 connection refused");
    COIR_EXPECT_CODE(coir_tcp_connect("localhost:1", NULL, &stream), -ECONNREFUSED);
    COIR_EXPECT_STR(coir_last_message(-ECONNREFUSED),
                    "connect localhost:1: [::1]:1 connection refused, 127.0.0.1:1 connection "
                    "refused");
}

COIR_TEST(only_the_right_family)
{
    PATIENCE;
    COIR_AUTO(place) six = {0};
    COIR_AUTO(place) four = {0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_good(&six, "[::1]:0"));
    COIR_REQUIRE_OK(open_good(&four, "127.0.0.1:0"));
    const coir_address both[] = {six.address, four.address};
    const coir_connect_opts ipv4 = {.family = AF_INET}, here = {.local = "127.0.0.9:0"};
    const coir_connect_opts neither = {.family = AF_INET6, .local = "127.0.0.9:0"};
    COIR_REQUIRE_OK(coir_tcp_connect_any(both, 2, &ipv4, &stream));
    expect_at(stream, &four);
    coir_stream_close(COIR_TAKE(stream));
    COIR_REQUIRE_OK(coir_tcp_connect_any(both, 2, &here, &stream));
    expect_at(stream, &four);
    coir_stream_close(COIR_TAKE(stream));
    COIR_EXPECT_CODE(coir_tcp_connect_any(both, 2, &neither, &stream), -EAFNOSUPPORT);
    COIR_EXPECT_CODE(coir_tcp_connect_any(both, 1, &ipv4, &stream), -EAFNOSUPPORT);
    COIR_EXPECT_CODE(coir_tcp_connect(six.name, &ipv4, &stream), -EAFNOSUPPORT);
    COIR_EXPECT_CODE(coir_tcp_connect_any(both, 0, NULL, &stream), -EINVAL);
    COIR_EXPECT_CODE(coir_tcp_connect_any(NULL, 1, NULL, &stream), -EINVAL);
}

struct racing {
    const coir_address *addresses;
    int result;
};

static int connect_for_ever(void *arg)
{
    struct racing *racing = arg;
    COIR_AUTO(coir_stream) *stream = NULL;
    const coir_connect_opts opts = {.stagger = 1};
    return racing->result = coir_tcp_connect_any(racing->addresses, 3, &opts, &stream);
}

COIR_TEST(cancelled_race_leaves_nothing)
{
    PATIENCE;
    COIR_AUTO(place) stalled = {0};
    COIR_REQUIRE_OK(open_stalled(&stalled, "127.0.0.1:0"));
    const coir_address all[] = {stalled.address, stalled.address, stalled.address};
    struct racing racing = {.addresses = all};
    COIR_GROUP(group);
    coir_task *task;
    COIR_REQUIRE_OK(coir_spawn(&group, connect_for_ever, &racing, &task));
    COIR_REQUIRE_OK(coir_sleep(COIR_MS(1)));
    coir_cancel(task, "enough");
    int result;
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(racing.result, -ECANCELED);
    {
        COIR_DEADLINE(0);
        COIR_EXPECT_CODE(connect_for_ever(&racing), -ETIME);
    }
}

/* ---- names ---- */

/* A resolver that knows one name. */
struct book {
    coir_resolver resolver;
    const char *name;
    coir_address addresses[2];
    size_t count;
    int asked;
};

static int look_into(coir_resolver *resolver, const char *host, int family,
                     coir_address *ret_addresses, size_t size, size_t *ret_count)
{
    struct book *book = (struct book *)resolver;
    book->asked++;
    COIR_TRY(coir_yield());
    if (strcmp(host, book->name) != 0)
        return coir_fail(-COIR_ENONAME, "look up %s: not in the book", host);
    *ret_count = 0;
    for (size_t i = 0; i < book->count && *ret_count < size; i++)
        if (book->addresses[i].storage.ss_family == family)
            ret_addresses[(*ret_count)++] = book->addresses[i];
    return *ret_count > 0 ? 0 : -COIR_ENONAME;
}

COIR_TEST(names_go_to_the_resolver_of_the_loop)
{
    PATIENCE;
    COIR_AUTO(place) good = {0};
    COIR_AUTO(coir_stream) *stream = NULL;
    COIR_REQUIRE_OK(open_good(&good, "127.0.0.1:0"));
    struct book book = {.resolver = {.lookup = look_into}, .name = "my.example", .count = 2};
    COIR_REQUIRE_OK(coir_address_parse("[::1]:0", &book.addresses[0]));
    COIR_REQUIRE_OK(coir_address_parse("127.0.0.1:0", &book.addresses[1]));
    COIR_EXPECT_PTR(coir_resolver_get(), coir_resolver_system());
    COIR_EXPECT_PTR(coir_resolver_set(&book.resolver), NULL);
    COIR_EXPECT_PTR(coir_resolver_get(), &book.resolver);
    char target[COIR_ADDRESS_TEXT];
    (void)snprintf(target, sizeof target, "my.example%s", strrchr(good.name, ':'));
    int r = coir_tcp_connect(target, &(coir_connect_opts){.stagger = COIR_FOREVER}, &stream);
    COIR_EXPECT_OK(r);
    if (r == 0)
        expect_at(stream, &good);
    COIR_EXPECT_EQ(book.asked, 2); /* for both families */
    coir_stream_close(COIR_TAKE(stream));
    COIR_EXPECT_CODE(coir_tcp_connect("other.example:1", NULL, &stream), -COIR_ENONAME);
    COIR_EXPECT_STR(coir_last_message(-COIR_ENONAME), "look up other.example: not in the book");
    COIR_EXPECT_CODE(coir_tcp_connect("no name:1", NULL, &stream), -COIR_EADDRESS);
    COIR_EXPECT_CODE(coir_tcp_connect("127.1:1", NULL, &stream), -COIR_EADDRESS);
    COIR_EXPECT_EQ(book.asked, 4);
    COIR_EXPECT_PTR(coir_resolver_set(NULL), &book.resolver);
    COIR_EXPECT_PTR(coir_resolver_get(), coir_resolver_system());
}
