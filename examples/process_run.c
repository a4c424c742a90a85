/* process_run.c: other programs, run to their end.
 *
 * coir_process_run feeds a program, reads what it writes, and waits for it. What it exits with is
 * its own affair; that it could not be started is an error. A deadline kills it.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

static int sort_words(void)
{
    static const char words[] = "pear\napple\nfig\n";
    coir_process_opts opts = {.input = {words, strlen(words)}};
    COIR_AUTO(coir_process_result) result = {0};
    COIR_TRY(coir_process_run(COIR_ARGV("sort"), &opts, &result));
    printf("%s", coir_buffer_text(&result.out));
    return 0;
}

static int fail_to_list(void)
{
    COIR_AUTO(coir_process_result) result = {0};
    COIR_TRY(coir_process_run(COIR_ARGV("ls", "/no/such/place"), NULL, &result));
    printf("ls: code %d, and %s\n", result.status.code,
           result.err.length > 0 ? "it says why" : "not a word");
    return 0;
}

static int take_too_long(void)
{
    COIR_AUTO(coir_process_result) result = {0};
    COIR_SCOPE(limit, COIR_MS(10));
    int r = coir_process_run(COIR_ARGV("sleep", "1000"), NULL, &result);
    printf("sleep: %s\n", coir_error_name(r));
    return coir_scope_expired(&limit) ? 0 : r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_TRY(sort_words());
    COIR_TRY(fail_to_list());
    COIR_TRY(take_too_long());
    COIR_AUTO(coir_process_result) result = {0};
    int r = coir_process_run(COIR_ARGV("no-such-program"), NULL, &result);
    printf("%s\n", coir_last_message(r));
    return r == -ENOENT ? 0 : r;
}

int main(void)
{
    return coir_main(app, NULL);
}
