/* net_eyeballs.c: tests of connecting to a name whose families are looked up side by side: when the
 * race begins, what a late answer adds to it, what is said when nobody could tell (RFC 8305,
 * section 3).
 */
#include <coir/name.h>

#include "net_places.h"

/* What is known of a family, and when. */
struct page {
    coir_time delay;
    int code;
    size_t count;
    coir_address addresses[2];
    int asked, cancelled;
};

struct book {
    coir_resolver resolver;
    struct page six, four;
};

static int look_into(coir_resolver *resolver, const char *host, int family,
                     coir_address *ret_addresses, size_t size, size_t *ret_count)
{
    struct book *book = (struct book *)resolver;
    struct page *page = family == AF_INET6 ? &book->six : &book->four;
    page->asked++;
    int r = page->delay > 0 ? coir_sleep(page->delay) : 0;
    if (r < 0) {
        page->cancelled++;
        return r;
    }
    if (page->code < 0)
        return coir_fail(page->code, "look up %s: %s", host, coir_error_text(page->code));
    *ret_count = page->count < size ? page->count : size;
    memcpy(ret_addresses, page->addresses, *ret_count * sizeof *ret_addresses);
    return 0;
}

static void open_book(struct book *book)
{
    book->resolver.lookup = look_into;
    (void)coir_resolver_set(&book->resolver);
}

static void book_close(struct book *book)
{
    (void)book;
    (void)coir_resolver_set(NULL);
}

typedef struct book book;
COIR_CLOSER_VALUE(book, book_close);

static const char *port_of(const struct place *place)
{
    return strrchr(place->name, ':') + 1;
}

/* A place of IPv6 and one of IPv4 with the same port. */
static int open_both(struct place *six, struct place *four,
                     int (*open)(struct place *, const char *))
{
    for (int i = 0; i < 100; i++) {
        char where[32];
        COIR_TRY(open(four, "127.0.0.1:0"));
        (void)snprintf(where, sizeof where, "[::1]:%s", port_of(four));
        int r = open_good(six, where);
        if (r != -EADDRINUSE)
            return r;
        place_close(four);
        *four = (struct place){0};
    }
    return -EADDRINUSE;
}

static int connect_to(const struct place *place, const coir_connect_opts *opts,
                      coir_stream **ret_stream)
{
    char target[COIR_ADDRESS_TEXT];
    (void)snprintf(target, sizeof target, "my.example:%s", port_of(place));
    return coir_tcp_connect(target, opts, ret_stream);
}

#define BOTH(open)                                                                                 \
    PATIENCE;                                                                                      \
    COIR_AUTO(place) six = {0};                                                                    \
    COIR_AUTO(place) four = {0};                                                                   \
    COIR_REQUIRE_OK(open_both(&six, &four, (open)));                                               \
    COIR_AUTO(book) book = {.six = {.count = 1, .addresses = {six.address}},                       \
                            .four = {.count = 1, .addresses = {four.address}}};                    \
    open_book(&book);                                                                              \
    COIR_AUTO(coir_stream) *stream = NULL;                                                         \
    coir_time start __attribute__((unused)) = coir_now()

COIR_TEST(preferred_family_is_tried_at_once)
{
    BOTH(open_good);
    book.four.delay = COIR_SEC(10);
    COIR_REQUIRE_OK(connect_to(&six, NULL, &stream));
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(1));
    expect_at(stream, &six);
    COIR_EXPECT_EQ(book.four.cancelled, 1);
}

COIR_TEST(other_family_waits_a_moment)
{
    BOTH(open_good);
    book.six.delay = COIR_MS(30);
    COIR_REQUIRE_OK(connect_to(&six, NULL, &stream));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(30));
    expect_at(stream, &six);
}

COIR_TEST(other_family_waits_no_longer)
{
    BOTH(open_good);
    book.six.delay = COIR_SEC(10);
    COIR_REQUIRE_OK(connect_to(&four, NULL, &stream));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(50));
    COIR_EXPECT_LT(coir_now() - start, COIR_SEC(5));
    expect_at(stream, &four);
    COIR_EXPECT_EQ(book.six.cancelled, 1);
}

COIR_TEST(family_that_does_not_exist_is_not_waited_for)
{
    BOTH(open_good);
    book.six.code = -COIR_ENONAME;
    COIR_REQUIRE_OK(connect_to(&four, NULL, &stream));
    expect_at(stream, &four);
    coir_stream_close(COIR_TAKE(stream));
    book.six.code = 0;
    book.four.code = -COIR_ELOOKUP;
    COIR_REQUIRE_OK(connect_to(&six, NULL, &stream));
    expect_at(stream, &six);
}

COIR_TEST(late_answer_joins_the_race_when_all_have_failed)
{
    BOTH(open_refused);
    book.six.delay = COIR_MS(300);
    COIR_REQUIRE_OK(connect_to(&six, NULL, &stream));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(300));
    expect_at(stream, &six);
}

COIR_TEST(late_answer_joins_the_race_beside_one_that_does_not_answer)
{
    BOTH(open_stalled);
    book.six.delay = COIR_MS(60);
    const coir_connect_opts opts = {.stagger = COIR_MS(20)};
    COIR_REQUIRE_OK(connect_to(&six, &opts, &stream));
    COIR_EXPECT_GE(coir_now() - start, COIR_MS(70));
    expect_at(stream, &six);
}

/* 127.0.0.1 is turned to after the first of IPv6, the second of which is never needed. */
COIR_TEST(families_take_turns)
{
    BOTH(open_good);
    book.six.addresses[1] = book.six.addresses[0];
    COIR_REQUIRE_OK(coir_address_parse("[::ffff:127.0.0.9]:0", &book.six.addresses[0]));
    book.six.count = 2;
    const coir_connect_opts opts = {.stagger = COIR_FOREVER};
    COIR_REQUIRE_OK(connect_to(&four, &opts, &stream));
    expect_at(stream, &four);
}

COIR_TEST(who_could_not_say_is_told_of)
{
    BOTH(open_good);
    static const struct {
        int six, four, expected;
    } rows[] = {
        {-COIR_ENONAME, -COIR_ENONAME, -COIR_ENONAME},
        {-COIR_ELOOKUP, -COIR_ENONAME, -COIR_ELOOKUP},
        {-COIR_ENONAME, -ETIMEDOUT, -ETIMEDOUT},
        {-ETIMEDOUT, -COIR_ELOOKUP, -ETIMEDOUT},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        char text[80];
        book.six.code = rows[i].six;
        book.four.code = rows[i].four;
        book.four.delay = COIR_MS((double)i);
        int r = connect_to(&six, NULL, &stream);
        COIR_EXPECT_CODE(r, rows[i].expected);
        (void)snprintf(text, sizeof text, "look up my.example: %s", coir_error_text(r));
        COIR_EXPECT_STR(coir_last_message(r), text);
    }
    COIR_EXPECT_EQ(book.six.asked, 4);
    COIR_EXPECT_EQ(book.four.asked, 4);
}

COIR_TEST(deadline_ends_both_lookups)
{
    BOTH(open_good);
    book.six.delay = book.four.delay = COIR_SEC(10);
    COIR_DEADLINE(COIR_SEC(1));
    COIR_EXPECT_CODE(connect_to(&six, NULL, &stream), -ETIME);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_EQ(book.six.cancelled, 1);
    COIR_EXPECT_EQ(book.four.cancelled, 1);
}

COIR_TEST(wanted_family_alone_is_asked_for)
{
    BOTH(open_good);
    COIR_REQUIRE_OK(connect_to(&four, &(coir_connect_opts){.family = AF_INET}, &stream));
    expect_at(stream, &four);
    COIR_EXPECT_EQ(book.six.asked, 0);
    COIR_EXPECT_EQ(book.four.asked, 1);
}
