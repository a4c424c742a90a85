/* gather_collect.c: keep going after failures, and look at each result.
 *
 * With COIR_COLLECT coir_gather returns 0 whatever the calls return; with COIR_FAIL_FAST it returns
 * the first failure, and the calls that it cut short have the result -COIR_ECANCELEDTASK.
 */
#include <coir/coir.h>
#include <stdio.h>

static int fetch(void *arg)
{
    const int *page = arg;
    COIR_TRY(coir_sleep(COIR_MS(20 * *page)));
    if (*page == 2)
        return coir_fail(-ENOENT, "page %d is not there", *page);
    return *page * 100;
}

static void show(const coir_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (calls[i].result < 0)
            printf("  page %zu failed: %s\n", i + 1, coir_error_text(calls[i].result));
        else
            printf("  page %zu: %d bytes\n", i + 1, calls[i].result);
    }
}

static int app(void *arg)
{
    (void)arg;
    int pages[] = {1, 2, 6};
    coir_call calls[COIR_COUNT(pages)];
    for (size_t i = 0; i < COIR_COUNT(pages); i++)
        calls[i] = (coir_call){.fn = fetch, .arg = &pages[i]};

    int r = coir_gather(calls, COIR_COUNT(calls), COIR_COLLECT);
    printf("collect: %s\n", coir_error_name(r));
    show(calls, COIR_COUNT(calls));

    r = coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST);
    printf("fail fast: %s (%s)\n", coir_error_name(r), coir_error_message(coir_last_error()));
    show(calls, COIR_COUNT(calls));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
