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
