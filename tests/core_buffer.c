/* core_buffer.c: tests of owned bytes: growing, the limit, the byte behind the end.
 */
#include <string.h>

#include <coir/buffer.h>
#include <coir/testing.h>

COIR_TEST(grows_and_stays_a_string)
{
    COIR_AUTO(coir_buffer) buffer = {0};
    COIR_EXPECT_STR(coir_buffer_text(&buffer), "");
    COIR_REQUIRE_OK(coir_buffer_append(&buffer, NULL, 0));
    for (int i = 0; i < 1000; i++)
        COIR_REQUIRE_OK(coir_buffer_append(&buffer, "abc", 3));
    COIR_EXPECT_EQ(buffer.length, 3000);
    COIR_EXPECT_EQ(strlen(coir_buffer_text(&buffer)), 3000);
    coir_buffer_close(&buffer);
    COIR_EXPECT_EQ(buffer.length, 0);
    COIR_EXPECT_PTR(buffer.data, NULL);
}

COIR_TEST(never_grows_beyond_its_limit)
{
    COIR_AUTO(coir_buffer) buffer = {.limit = 5};
    COIR_REQUIRE_OK(coir_buffer_append(&buffer, "abc", 3));
    COIR_EXPECT_CODE(coir_buffer_append(&buffer, "def", 3), -COIR_ETOOLONG);
    COIR_EXPECT_CODE(coir_buffer_reserve(&buffer, SIZE_MAX), -COIR_ETOOLONG);
    COIR_EXPECT_STR(coir_buffer_text(&buffer), "abc");
    COIR_REQUIRE_OK(coir_buffer_append(&buffer, "de", 2));
    COIR_EXPECT_LE(buffer.capacity, 5);
    COIR_EXPECT_CODE(coir_buffer_reserve(&(coir_buffer){0}, COIR_BUFFER_LIMIT + 1), -COIR_ETOOLONG);
    coir_buffer_close(&buffer);
    COIR_EXPECT_EQ(buffer.limit, 5);
}
