/* http_url.c: tests of URLs: parts, what is none, references, percent-encoding, queries.
 */
#include <stdio.h>
#include <string.h>

#include <coir/testing.h>
#include <coir/url.h>

static const char *or_none(const char *text)
{
    return text != NULL ? text : "-";
}

/* All parts of a URL, or the name of the error. */
static const char *parts_of(const char *text)
{
    static char parts[512];
    COIR_AUTO(coir_url) url = {0};
    int r = coir_url_parse(text, &url);
    if (r < 0)
        return coir_error_name(r);
    (void)snprintf(parts, sizeof parts, "%s %s %s %s %d %s %s %s", url.scheme, or_none(url.user),
                   or_none(url.password), or_none(url.host), url.port, url.path, or_none(url.query),
                   or_none(url.fragment));
    return parts;
}

COIR_TEST(parts)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"http://example.org", "http - - example.org 80  - -"},
        {"http://example.org/", "http - - example.org 80 / - -"},
        {"HTTPS://Example.ORG/A/b", "https - - example.org 443 /A/b - -"},
        {"http://h:8080/a//b/", "http - - h 8080 /a//b/ - -"},
        {"http://h?q", "http - - h 80  q -"},
        {"http://h/?#", "http - - h 80 /  "},
        {"http://h/a?b=c&d#e", "http - - h 80 /a b=c&d e"},
        {"http://u@h/", "http u - h 80 / - -"},
        {"http://u:p%3aw@h/", "http u p:w h 80 / - -"},
        {"http://[::1]/", "http - - ::1 80 / - -"},
        {"http://[2001:DB8::1]:81/", "http - - 2001:db8::1 81 / - -"},
        {"http://192.0.2.1:0080/", "http - - 192.0.2.1 80 / - -"},
        {"http://h:/", "http - - h 80 / - -"},
        {"http://h/%41%2f", "http - - h 80 /%41%2f - -"},
        {"ws://h/", "ws - - h 80 / - -"},
        {"redis://h:6379/0", "redis - - h 6379 /0 - -"},
        {"mailto:a@example.org", "mailto - - - 0 a@example.org - -"},
        {"", "COIR_EURL"},
        {"/a", "COIR_EURL"},
        {"example.org", "COIR_EURL"},
        {"http:", "COIR_EURL"},
        {"http://", "COIR_EURL"},
        {"http:///a", "COIR_EURL"},
        {"http://h:0/", "COIR_EURL"},
        {"http://h:65536/", "COIR_EURL"},
        {"http://h:99999999999999999999/", "COIR_EURL"},
        {"http://h:8o/", "COIR_EURL"},
        {"http://h/a b", "COIR_EURL"},
        {"http://h/\\", "COIR_EURL"},
        {"http://h/\n", "COIR_EURL"},
        {"http://h/\xc3\xa4", "COIR_EURL"},
        {"http://h/%4", "COIR_EURL"},
        {"http://h/%zz", "COIR_EURL"},
        {"http://u%00@h/", "COIR_EURL"},
        {"http://[::1", "COIR_EURL"},
        {"http://[v1.a]/", "COIR_EURL"},
        {"http://h<>/", "COIR_EURL"},
        {" http://h/", "COIR_EURL"},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++)
        COIR_EXPECT_STR(parts_of(rows[i].text), rows[i].expected);
    COIR_EXPECT_CODE(coir_url_parse("http://h/a b", &(coir_url){0}), -COIR_EURL);
    COIR_EXPECT_STR(coir_last_message(-COIR_EURL),
                    "'http://h/a b' is not a URL: it is wrong at byte 10");
}

/* RFC 3986, section 5.4. */
COIR_TEST(references)
{
    static const struct {
        const char *reference, *expected;
    } rows[] = {
        {"g:h", "g:h"},
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q#s"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://x:444/", "https://x:444/"},
        {"/", "http://a/"},
        {"/g?y?/../x", "http://a/g?y?/../x"},
        {"/g?", "http://a/g?"},
        {"/%41b", "http://a/%41b"},
        {"/g/.h/..", "http://a/g/"},
        {"/g;x=1,2:@(3)*!$&'+~_-.", "http://a/g;x=1,2:@(3)*!$&'+~_-."},
        {"/g#s", "http://a/g#s"},
    };
    COIR_AUTO(coir_url) base = {0};
    COIR_REQUIRE_OK(coir_url_parse("http://a/b/c/d;p?q", &base));
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_AUTO(coir_url) url = {0};
        COIR_AUTO(coir_buffer) text = {0};
        COIR_EXPECT_OK(coir_url_resolve(&base, rows[i].reference, &url));
        COIR_EXPECT_OK(coir_url_format(&url, &text));
        COIR_EXPECT_STR(coir_buffer_text(&text), rows[i].expected);
    }
    COIR_EXPECT_CODE(coir_url_resolve(&base, "a b", &(coir_url){0}), -COIR_EURL);
    COIR_EXPECT_CODE(coir_url_resolve(&base, "///g", &(coir_url){0}), -COIR_EURL);
    COIR_EXPECT_CODE(coir_url_resolve(&base, "/a b", &(coir_url){0}), -COIR_EURL);
    COIR_EXPECT_CODE(coir_url_resolve(&base, "/%4", &(coir_url){0}), -COIR_EURL);
}

/* Those of the base are good for what lies below it, and for nobody else. */
COIR_TEST(references_have_the_user_of_their_base)
{
    static const struct {
        const char *reference, *user, *password, *host;
    } rows[] = {
        {"/plain?q", "u@", "p:w", "h"},   {"../up", "u@", "p:w", "h"},
        {"/%41", "u@", "p:w", "h"},       {"//other/x", NULL, NULL, "other"},
        {"http://v@h/x", "v", NULL, "h"},
    };
    COIR_AUTO(coir_url) base = {0};
    COIR_REQUIRE_OK(coir_url_parse("http://u%40:p%3aw@h:81/a/b", &base));
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        COIR_AUTO(coir_url) url = {0};
        COIR_REQUIRE_OK(coir_url_resolve(&base, rows[i].reference, &url));
        COIR_EXPECT_STR(url.user, rows[i].user);
        COIR_EXPECT_STR(url.password, rows[i].password);
        COIR_EXPECT_STR(url.host, rows[i].host);
        COIR_EXPECT_EQ(url.port, rows[i].user != NULL && *rows[i].user == 'u' ? 81 : 80);
    }
}

COIR_TEST(passwords_are_not_written)
{
    COIR_AUTO(coir_url) url = {0};
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(coir_url_parse("https://u%40:secret@[::1]:444/a?b#c", &url));
    COIR_REQUIRE_OK(coir_url_format(&url, &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), "https://u%40@[::1]:444/a?b#c");
}

COIR_TEST(percent_encoding)
{
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(coir_percent_encode("a b/\xc3\xa4~+", &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), "a%20b%2F%C3%A4~%2B");
    coir_buffer_close(&text);
    COIR_REQUIRE_OK(coir_percent_decode("a%20b+c%2f", 10, false, &text));
    COIR_REQUIRE_OK(coir_percent_decode("+", 1, true, &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), "a b+c/ ");
    COIR_EXPECT_CODE(coir_percent_decode("xy%2", 4, false, &text), -COIR_EURL);
    COIR_EXPECT_CODE(coir_percent_decode("%", 1, false, &text), -COIR_EURL);
    COIR_EXPECT_CODE(coir_percent_decode("%g0", 3, false, &text), -COIR_EURL);
    COIR_EXPECT_STR(coir_buffer_text(&text), "a b+c/ ");
}

COIR_TEST(queries)
{
    COIR_AUTO(coir_buffer) query = {0};
    COIR_AUTO(coir_buffer) value = {0};
    COIR_REQUIRE_OK(coir_query_add(&query, "q", "tea & milk"));
    COIR_REQUIRE_OK(coir_query_add(&query, "a=b", ""));
    COIR_EXPECT_STR(coir_buffer_text(&query), "q=tea%20%26%20milk&a%3Db=");
    static const char text[] = "a=1&b&c=%zz&d=x+y&a=2&=e&&f==";
    static const struct {
        const char *name, *value;
        int r;
    } rows[] = {
        {"a", "1", 1}, {"b", "", 1},  {"c", "", -COIR_EURL}, {"d", "x y", 1},
        {"", "e", 1},  {"f", "=", 1}, {"g", "", 0},          {"A", "", 0},
    };
    for (size_t i = 0; i < COIR_COUNT(rows); i++) {
        coir_buffer_close(&value);
        int r = coir_query_get((coir_bytes){text, sizeof text - 1}, rows[i].name, &value);
        COIR_EXPECT_EQ(r, rows[i].r);
        COIR_EXPECT_STR(coir_buffer_text(&value), rows[i].value);
    }
}
