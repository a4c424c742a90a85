/* tests.c: the tests of the program: registered by their constructors, named, sorted, tagged, and
 * chosen by the filters of the command line.
 *
 * A test's full name is its file's name without the ending, a dot, and its own name. A filter that
 * is exactly a name, of either form, means that test only; all others are parts of full names, or
 * globs when they hold a '*', '?' or '['.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testing/kit.h"

static coir__test *tests;
static size_t test_count;

void coir__test_add(coir__test *test)
{
    test->next = tests;
    tests = test;
    test_count++;
}

coir__test *coir__tests_first(void)
{
    return tests;
}

static const struct {
    const char *name;
    uint32_t flag;
} tags[] = {
    {"real", COIR__TAG_REAL},
    {"real_clock", COIR__TAG_REAL_CLOCK},
    {"posts", COIR__TAG_POSTS},
    {"fifo", COIR__TAG_FIFO},
    {"own_loop", COIR__TAG_OWN_LOOP},
    {"expect_reports", COIR__TAG_EXPECT_REPORTS},
    {"liveness", COIR__TAG_LIVENESS},
    {"untidy", COIR__TAG_UNTIDY},
    {"no_torture", COIR__TAG_NO_TORTURE},
    {"slow", COIR__TAG_SLOW},
    {"meta", COIR__TAG_META},
};

/* Reads one tag. Returns 0, or -EINVAL. */
static int read_tag(coir__test *test, const char *word, size_t length)
{
    if (length == 0)
        return 0;
    if (length > 6 && strncmp(word, "limit=", 6) == 0) {
        char *end;
        unsigned long limit = strtoul(word + 6, &end, 10);
        test->limit = (unsigned)limit;
        return end == word + length && limit > 0 && limit < 100000 ? 0 : -EINVAL;
    }
    for (size_t i = 0; i < COIR_COUNT(tags); i++) {
        if (strlen(tags[i].name) == length && strncmp(tags[i].name, word, length) == 0) {
            test->flags |= tags[i].flag;
            return 0;
        }
    }
    return -EINVAL;
}

static int read_tags(coir__test *test)
{
    const char *word = test->tags;
    for (;;) {
        word += strspn(word, " ,");
        size_t length = strcspn(word, " ,");
        if (length == 0)
            return 0;
        if (read_tag(test, word, length) < 0) {
            fprintf(stderr, "%s:%d: unknown tag '%.*s' of test %s\n", test->file, test->line,
                    (int)length, word, test->name);
            return -EINVAL;
        }
        word += length;
    }
}

static void name_test(coir__test *test)
{
    const char *slash = strrchr(test->file, '/');
    const char *stem = slash != NULL ? slash + 1 : test->file;
    snprintf(test->full_name, sizeof test->full_name, "%.*s.%s", (int)strcspn(stem, "."), stem,
             test->name);
}

static int compare_tests(const void *a, const void *b)
{
    const coir__test *left = *(coir__test *const *)a, *right = *(coir__test *const *)b;
    int files = strcmp(left->file, right->file);
    return files != 0 ? files : (left->line > right->line) - (left->line < right->line);
}

/* Constructors run in an order that the linker chose. */
static int sort_tests(void)
{
    coir__test **all = calloc(test_count + 1, sizeof *all);
    if (all == NULL)
        return -ENOMEM;
    size_t count = 0;
    for (coir__test *test = tests; test != NULL; test = test->next)
        all[count++] = test;
    qsort(all, count, sizeof all[0], compare_tests);
    tests = NULL;
    while (count-- > 0) {
        all[count]->next = tests;
        tests = all[count];
    }
    free(all);
    return 0;
}

int coir__tests_prepare(void)
{
    if (sort_tests() < 0)
        return -1;
    for (coir__test *test = tests; test != NULL; test = test->next) {
        name_test(test);
        test->flags = 0;
        if (read_tags(test) < 0)
            return -1;
    }
    return (int)test_count;
}

static bool is_named(const coir__test *test, const char *filter)
{
    return strcmp(test->full_name, filter) == 0 || strcmp(test->name, filter) == 0;
}

static bool names_any(const char *filter)
{
    for (const coir__test *test = tests; test != NULL; test = test->next) {
        if (is_named(test, filter))
            return true;
    }
    return false;
}

static bool matches(const coir__test *test, const char *filter)
{
    if (is_named(test, filter))
        return true;
    if ((test->flags & COIR__TAG_META) != 0 || names_any(filter))
        return false;
    if (strpbrk(filter, "*?[") != NULL)
        return fnmatch(filter, test->full_name, 0) == 0 || fnmatch(filter, test->name, 0) == 0;
    return strstr(test->full_name, filter) != NULL;
}

bool coir__tests_wanted(const coir__test *test, const struct coir__kit_options *options)
{
    for (int i = 0; i < options->filter_count; i++) {
        if (matches(test, options->filters[i]))
            return true;
    }
    return options->filter_count == 0 && (test->flags & COIR__TAG_META) == 0;
}

const char *coir__tests_obstacle(const coir__test *test, const struct coir__kit_options *options)
{
    if ((test->flags & COIR__TAG_REAL) != 0 && strcmp(options->backend, "sim") == 0)
        return "needs the real clock and kernel";
    return NULL;
}
