/* generator.c: a function that hands out values one by one, and cleans up when nobody wants more.
 *
 * The second loop stops early: closing the generator cancels it where it waits, and its block ends
 * have run before the program goes on.
 */
#include <coir/coir.h>
#include <stdio.h>

static void say_goodbye(const char **name)
{
    printf("%s is closed\n", *name);
}

/* Pages of a listing, each fetched when it is wanted. */
static int pages(coir_generator *self, void *arg)
{
    __attribute__((cleanup(say_goodbye))) const char *name = arg;
    for (int page = 1; page <= 3; page++) {
        COIR_TRY(coir_sleep(COIR_MS(10))); /* the request */
        printf("%s: page %d is there\n", name, page);
        COIR_TRY(coir_generator_yield(self, &page));
    }
    return 0;
}

static int list(const char *name, int most)
{
    COIR_AUTO(coir_generator) *gen = NULL;
    COIR_TRY(coir_generator_open(int, pages, (void *)name, &gen));
    int page = 0;
    while (page < most && COIR_TRY(coir_generator_next(gen, &page)) > 0)
        printf("use page %d\n", page);
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_TRY(list("all", 9));
    return list("one", 1);
}

int main(void)
{
    return coir_main(app, NULL);
}
