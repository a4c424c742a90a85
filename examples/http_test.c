/* http_test.c: tests of an application, served in memory and in virtual time, by a session that is
 * bound to it. This file is a whole program; main comes with <coir/testing.h>.
 */
#include <coir/coir.h>
#include <coir/http_testing.h>
#include <coir/testing.h>

static int home(coir_http_request *request)
{
    COIR_TRY(coir_sleep(COIR_SEC(5))); /* no time in a test */
    return coir_http_reply_text(request, 200, "hello\n");
}

static int create_app(coir_http_app **ret_app)
{
    COIR_TRY(coir_http_app_open(NULL, ret_app));
    coir_http_app_get(*ret_app, "/", home);
    return 0;
}

COIR_TEST(home_is_there)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_REQUIRE_OK(create_app(&app));
    COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test));
    COIR_EXPECT_HTTP(coir_http_test_session(test), "GET", "/", NULL, 200, "hello\n");
}

COIR_TEST(nothing_else_is)
{
    COIR_AUTO(coir_http_app) *app = NULL;
    COIR_AUTO(coir_http_test) *test = NULL;
    COIR_REQUIRE_OK(create_app(&app));
    COIR_REQUIRE_OK(coir_http_test_open(app, NULL, &test));
    COIR_EXPECT_HTTP(coir_http_test_session(test), "GET", "/tea", NULL, 404, NULL);
}
