/* expect.c: what becomes of an expectation: nothing when it holds, else a text with both values.
 *
 * Everything goes to standard error, which the runner keeps and shows when the test has failed. In
 * tortured runs expectations may fail, so nothing is said there unless --verbose asks for it.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "testing/kit.h"

/* Starts the text of a failure: where, and in which task when it is not the main one. */
static void begin(const char *file, int line)
{
    fprintf(stderr, "%s:%d: ", file, line);
    const coir_task *task = coir_current();
    if (task != NULL && task->fn != coir__run_body)
        fprintf(stderr, "in '%s': ", coir_task_name(NULL));
}

/* Says what did not hold, and false when nothing more is to be said about it. */
static bool unmet(const coir__test_check *check)
{
    if (!coir__run_unmet())
        return false;
    begin(check->file, check->line);
    if (check->compare[0] == '\0')
        fprintf(stderr, "%s\n", check->left);
    else
        fprintf(stderr, "%s %s %s\n", check->left, check->compare, check->right);
    return true;
}

bool coir__test_fail(const coir_site *site, const char *format, ...)
{
    if (!coir__run_unmet())
        return false;
    begin(site->file, site->line);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

bool coir__test_true(bool holds, const coir__test_check *check)
{
    if (holds)
        return true;
    if (unmet(check))
        fprintf(stderr, "    is false\n");
    return false;
}

/* -1, 0 or 1, as a is less than, equal to or greater than b. */
static int order_of(coir__test_integer a, coir__test_integer b)
{
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    return (a.bits > b.bits) - (a.bits < b.bits);
}

static bool holds(enum coir__test_order wanted, int order)
{
    switch (wanted) {
    case COIR__TEST_EQ: return order == 0;
    case COIR__TEST_NE: return order != 0;
    case COIR__TEST_LT: return order < 0;
    case COIR__TEST_LE: return order <= 0;
    case COIR__TEST_GT: return order > 0;
    case COIR__TEST_GE: return order >= 0;
    }
    return false;
}

static void print_integer(const char *side, coir__test_integer x)
{
    if (x.negative)
        fprintf(stderr, "    %s: %" PRId64 "\n", side, (int64_t)x.bits);
    else if (x.bits < 10)
        fprintf(stderr, "    %s: %" PRIu64 "\n", side, x.bits);
    else
        fprintf(stderr, "    %s: %" PRIu64 " (0x%" PRIx64 ")\n", side, x.bits, x.bits);
}

bool coir__test_integers(enum coir__test_order order, coir__test_integer a, coir__test_integer b,
                         const coir__test_check *check)
{
    if (holds(order, order_of(a, b)))
        return true;
    if (unmet(check)) {
        print_integer("left ", a);
        print_integer("right", b);
    }
    return false;
}

static void print_string(const char *side, const char *text)
{
    if (text == NULL)
        fprintf(stderr, "    %s: NULL\n", side);
    else
        fprintf(stderr, "    %s: \"%s\"\n", side, text);
}

bool coir__test_strings(const char *a, const char *b, const coir__test_check *check)
{
    if (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0))
        return true;
    if (unmet(check)) {
        print_string("left ", a);
        print_string("right", b);
    }
    return false;
}

bool coir__test_contains(const char *text, const char *part, const coir__test_check *check)
{
    if (text != NULL && part != NULL && strstr(text, part) != NULL)
        return true;
    if (unmet(check)) {
        print_string("text", text);
        print_string("part", part);
    }
    return false;
}

/* Up to 16 bytes from offset, as numbers and letters. */
static void print_bytes(const char *side, const unsigned char *data, size_t offset, size_t length)
{
    size_t end = length - offset > 16 ? offset + 16 : length;
    fprintf(stderr, "    %s:", side);
    for (size_t i = offset; i < end; i++)
        fprintf(stderr, " %02x", data[i]);
    fputs("  |", stderr);
    for (size_t i = offset; i < end; i++)
        fputc(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '.', stderr);
    fputs("|\n", stderr);
}

bool coir__test_bytes(const void *a, const void *b, size_t length, const coir__test_check *check)
{
    const unsigned char *left = a, *right = b;
    size_t same = 0;
    while (same < length && left[same] == right[same])
        same++;
    if (same == length)
        return true;
    if (unmet(check)) {
        size_t from = same & ~(size_t)7; /* some of what is equal, for orientation */
        fprintf(stderr, "    differ at byte %zu of %zu; from %zu on:\n", same, length, from);
        print_bytes("left ", left, from, length);
        print_bytes("right", right, from, length);
    }
    return false;
}

bool coir__test_pointers(const void *a, const void *b, const coir__test_check *check)
{
    if (a == b)
        return true;
    if (unmet(check))
        fprintf(stderr, "    left : %p\n    right: %p\n", a, b);
    return false;
}

static void print_code(const char *side, int64_t code)
{
    if (code < 0 && code >= -65535)
        fprintf(stderr, "    %s: -%s (%d: %s)\n", side, coir_error_name((int)code), (int)code,
                coir_error_text((int)code));
    else
        fprintf(stderr, "    %s: %" PRId64 "\n", side, code);
}

bool coir__test_ok(int64_t result, const coir__test_check *check)
{
    if (result >= 0)
        return true;
    if (!unmet(check))
        return false;
    print_code("failed", result);
    const char *said = coir_last_message((int)result);
    if (strcmp(said, coir_error_text((int)result)) != 0)
        fprintf(stderr, "    %s\n", said);
    return false;
}

bool coir__test_code(int64_t result, int64_t code, const coir__test_check *check)
{
    if (result == code)
        return true;
    if (unmet(check)) {
        print_code("left ", result);
        print_code("right", code);
    }
    return false;
}
