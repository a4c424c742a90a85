/* map_limit.c: one function over an array, at most three at a time.
 *
 * coir_map starts a task for an element when there is room for it, so a million elements cost no
 * million tasks. The results are in the elements, or in opts.results.
 */
#include <coir/coir.h>
#include <stdio.h>

struct page {
    int number;
    int length; /* the result */
};

static int in_flight, most; /* tasks of one loop need no lock for this */

static int fetch(void *arg)
{
    struct page *page = arg;
    in_flight++;
    most = in_flight > most ? in_flight : most;
    int r = coir_sleep(COIR_MS(10));
    in_flight--;
    COIR_TRY(r);
    page->length = page->number * 11;
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct page pages[10];
    for (int i = 0; i < 10; i++)
        pages[i] = (struct page){.number = i};

    coir_map_opts three = {.limit = 3};
    COIR_TRY(coir_map(fetch, pages, COIR_COUNT(pages), sizeof pages[0], &three));

    int sum = 0;
    for (size_t i = 0; i < COIR_COUNT(pages); i++)
        sum += pages[i].length;
    printf("%zu pages, %d bytes, at most %d at once\n", COIR_COUNT(pages), sum, most);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
