/* http_cookies.c: tests of the jar of cookies: who may set what for whom, and how many.
 */
#include <stdio.h>
#include <string.h>

#include <coir/testing.h>

#include "http/client/session.h"

enum { NOW = 1000000000 };

/* What url is shown after `from` has set the cookie text. */
static void expect_shown(const char *from, const char *text, const char *url, const char *shown)
{
    struct coir__cookies jar = {0};
    COIR_AUTO(coir_url) setter = {0};
    COIR_AUTO(coir_url) asked = {0};
    COIR_AUTO(coir_buffer) out = {0};
    COIR_REQUIRE_OK(coir_url_parse(from, &setter));
    COIR_REQUIRE_OK(coir_url_parse(url, &asked));
    COIR_EXPECT_OK(coir__cookies_take(&jar, &setter, text, NOW));
    COIR_EXPECT_OK(coir__cookies_put(&jar, &asked, NOW, &out));
    COIR_EXPECT_STR(coir_buffer_text(&out), shown);
    coir__cookies_free(&jar);
}

COIR_TEST(who_may_set_what_for_whom)
{
    static const char yes[] = "Cookie: a=b\r\n";
    static const struct {
        const char *from, *text, *url, *shown;
    } rows[] = {
        {"http://h.example.org/", "a=b", "http://h.example.org/x", yes},
        {"http://h.example.org/", "a=b", "http://H.EXAMPLE.org:99/x", yes},
        {"http://h.example.org/", "a=b", "http://example.org/", ""},
        {"http://h.example.org/", "a=b", "http://x.h.example.org/", ""},
        {"http://h.example.org/", "a=b; Domain=example.org", "http://other.example.org/", yes},
        {"http://h.example.org/", "a=b; domain=.Example.ORG", "http://example.org/", yes},
        {"http://h.example.org/", "a=b; Domain=example.org", "http://badexample.org/", ""},
        {"http://h.example.org/", "a=b; Domain=org", "http://h.example.org/", ""},
        {"http://h.example.co.uk/", "a=b; Domain=co.uk", "http://x.co.uk/", ""},
        {"http://h.example.org/", "a=b; Domain=x.org", "http://x.org/", ""},
        {"http://h.example.org/", "a=b; Domain=x.h.example.org", "http://x.h.example.org/", ""},
        {"http://127.0.0.1/", "a=b; Domain=127.0.0.1", "http://127.0.0.1/", yes},
        {"http://127.0.0.1/", "a=b; Domain=0.0.1", "http://127.0.0.1/", ""},
        {"http://h.org/x/y", "a=b", "http://h.org/x/z", yes},
        {"http://h.org/x/y", "a=b", "http://h.org/xz", ""},
        {"http://h.org/x/y", "a=b; Path=/", "http://h.org", yes},
        {"http://h.org/", "a=b; Path=/x", "http://h.org/x", yes},
        {"http://h.org/", "a=b; Path=/x", "http://h.org/xy", ""},
        {"http://h.org/", "a=b; Path=x", "http://h.org/y", yes},
        {"https://h.org/", "a=b; Secure", "https://h.org/", yes},
        {"https://h.org/", "a=b; Secure", "http://h.org/", ""},
        {"http://h.org/", "a=b; Secure", "https://h.org/", ""},
        {"https://h.org/", "__Host-a=b; Secure; Path=/", "https://h.org/",
         "Cookie: __Host-a=b\r\n"},
        {"https://h.org/", "__Host-a=b; Secure", "https://h.org/", ""},
        {"https://h.org/", "__Host-a=b; Secure; Path=/; Domain=h.org", "https://h.org/", ""},
        {"https://h.org/", "__secure-a=b", "https://h.org/", ""},
        {"http://h.org/", "a=b; Max-Age=1", "http://h.org/", yes},
        {"http://h.org/", "a=b; Max-Age=0", "http://h.org/", ""},
        {"http://h.org/", "a=b; Max-Age=-1; Expires=Fri, 31 Dec 2100 00:00:00 GMT", "http://h.org/",
         ""},
        {"http://h.org/", "a=b; Max-Age=x", "http://h.org/", yes},
        {"http://h.org/", "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT", "http://h.org/", ""},
        {"http://h.org/", "a=b; Expires=nonsense", "http://h.org/", yes},
        {"http://h.org/", "a=b; Expires=Thu, 01-Jan-1970 00:00:10 GMT", "http://h.org/", ""},
        {"http://h.org/", "a=b; Expires=Thu Jan  1 1970 0:0:10", "http://h.org/", ""},
        {"http://h.org/", "a=b; Expires=1 99 january x 00:00:10junk", "http://h.org/", ""},
        {"http://h.org/", "a=b; Expires=Fri, 31-Dec-69 23:59:59", "http://h.org/", yes},
        {"http://h.org/", "a=b; Expires=Thu, 01-Jan-1970 24:00:00 GMT", "http://h.org/", yes},
        {"http://h.org/", "a=b; Expires=Thu, 01-Jan-19700 00:00:00 GMT", "http://h.org/", yes},
        {"http://h.org/", "a=b; Expires=Thu, 001-Jan-1970 00:00:00 GMT", "http://h.org/", yes},
        {"http://h.org/", "a=b; Expires=Thu, 01-Jan-1600 00:00:00 GMT", "http://h.org/", yes},
        {"http://h.org/", "a=b; Expires=:::", "http://h.org/", yes},
        {"http://h.org/", "a=b; Max-Age=+0", "http://h.org/", yes},
        {"http://h.org/", "a\tc=b", "http://h.org/", ""},
        {"http://h.org/", "a=b; Path=/\tx", "http://h.org/", ""},
        {"http://co.uk/", "a=b; Domain=co.uk", "http://co.uk/", yes},
        {"http://co.uk/", "a=b; Domain=co.uk", "http://x.co.uk/", ""},
        {"http://h.org/", "  a =  b  ; x; =;;", "http://h.org/", yes},
        {"http://h.org/", "a=", "http://h.org/", "Cookie: a=\r\n"},
        {"http://h.org/", "a=b=c", "http://h.org/", "Cookie: a=b=c\r\n"},
        {"http://h.org/", "=b", "http://h.org/", ""},
        {"http://h.org/", "a", "http://h.org/", ""},
        {"http://h.org/", "a=b\r\nX: y", "http://h.org/", ""},
        {"http://h.org/", "", "http://h.org/", ""},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        expect_shown(rows[i].from, rows[i].text, rows[i].url, rows[i].shown);
}

/* What the second URL is shown after both have set a cookie. */
static void expect_second(const char *const first[2], const char *const second[2],
                          const char *shown)
{
    struct coir__cookies jar = {0};
    COIR_AUTO(coir_url) one = {0};
    COIR_AUTO(coir_url) two = {0};
    COIR_AUTO(coir_url) asked = {0};
    COIR_AUTO(coir_buffer) out = {0};
    COIR_REQUIRE_OK(coir_url_parse(first[0], &one));
    COIR_REQUIRE_OK(coir_url_parse(second[0], &two));
    COIR_REQUIRE_OK(coir_url_parse("https://h.org/in/x", &asked));
    COIR_EXPECT_OK(coir__cookies_take(&jar, &one, first[1], NOW));
    COIR_EXPECT_OK(coir__cookies_take(&jar, &two, second[1], NOW));
    COIR_EXPECT_OK(coir__cookies_put(&jar, &asked, NOW, &out));
    COIR_EXPECT_STR(coir_buffer_text(&out), shown);
    coir__cookies_free(&jar);
}

/* Who is on the way of a connection without encryption can say what he likes on it. */
COIR_TEST(secure_cookies_are_not_overlaid)
{
    static const char *const good[] = {"https://h.org/", "a=good; Secure; Path=/"};
    static const char *const bad[][2] = {
        {"http://h.org/", "a=bad; Path=/"},
        {"http://h.org/", "a=bad; Path=/; Max-Age=0"},
        {"http://h.org/", "a=bad; Path=/in"},
        {"http://h.org/", "a=bad; Path=/; Domain=h.org"},
        {"http://x.h.org/", "a=bad; Path=/; Domain=h.org"},
    };
    static const char *const new[] = {"https://h.org/", "a=new; Path=/"};
    static const char *const deep[] = {"https://h.org/", "a=deep; Secure; Path=/in"};
    static const char *const above[] = {"http://h.org/", "a=above; Path=/"};
    static const char *const other[] = {"http://h.org/", "b=other; Path=/"};
    for (size_t i = 0; i < COIR_COUNT(bad); i++)
        expect_second(good, bad[i], "Cookie: a=good\r\n");
    expect_second(good, new, "Cookie: a=new\r\n");
    expect_second(deep, above, "Cookie: a=deep; a=above\r\n");
    expect_second(good, other, "Cookie: a=good; b=other\r\n");
}

/* Nor are they driven out. */
COIR_TEST(secure_cookies_go_last)
{
    struct coir__cookies jar = {0};
    COIR_AUTO(coir_url) good = {0};
    COIR_AUTO(coir_url) bad = {0};
    COIR_AUTO(coir_buffer) out = {0};
    char text[32];
    COIR_REQUIRE_OK(coir_url_parse("https://h.org/", &good));
    COIR_REQUIRE_OK(coir_url_parse("http://h.org/", &bad));
    int r = coir__cookies_take(&jar, &good, "a=good; Secure", NOW);
    for (int i = 0; i < 60 && r == 0; i++) {
        (void)snprintf(text, sizeof text, "n%d=1", i);
        r = coir__cookies_take(&jar, &bad, text, NOW);
    }
    COIR_EXPECT_OK(r);
    COIR_EXPECT_EQ(jar.count, 50);
    COIR_EXPECT_OK(coir__cookies_put(&jar, &good, NOW, &out));
    COIR_EXPECT_CONTAINS(coir_buffer_text(&out), "a=good; ");
    coir__cookies_free(&jar);
}

COIR_TEST(jars_are_bounded)
{
    struct coir__cookies jar = {0};
    char text[64];
    int r = 0;
    for (int host = 0; host < 30 && r == 0; host++)
        for (int i = 0; i < 60 && r == 0; i++) {
            COIR_AUTO(coir_url) url = {0};
            (void)snprintf(text, sizeof text, "http://h%d.org/", host);
            r = coir_url_parse(text, &url);
            (void)snprintf(text, sizeof text, "n%d=1", i);
            r = r == 0 ? coir__cookies_take(&jar, &url, text, NOW) : r;
            if (host == 0 && i == 59)
                COIR_EXPECT_EQ(jar.count, 50);
        }
    COIR_EXPECT_OK(r);
    COIR_EXPECT_EQ(jar.count, 1000);
    coir__cookies_free(&jar);
    COIR_EXPECT_EQ(jar.count, 0);
}
