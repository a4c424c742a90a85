/* resource.c: acquire, use, release: released on every path, the last first.
 *
 * What a decorated generator does for asyncio is a function for each side here, and one line that
 * joins them. The second use fails half way; the third is cancelled by its deadline.
 */
#include <coir/coir.h>
#include <stdio.h>

typedef const char *resource;

static int acquire(const char *name, resource *ret_resource)
{
    printf("Acquiring %s\n", name);
    COIR_TRY(coir_sleep(COIR_SEC(0.1)));
    *ret_resource = name;
    return 0;
}

static void release(resource *held)
{
    if (*held == NULL)
        return;
    COIR_SHIELD(COIR_SEC(1));
    printf("Releasing %s\n", *held);
    (void)!coir_sleep(COIR_SEC(0.1));
}

COIR_CLOSER_VALUE(resource, release);

static int use(int code, coir_time takes)
{
    COIR_AUTO(resource) database = NULL, table = NULL;
    COIR_TRY(acquire("database", &database));
    if (code < 0)
        COIR_TRY(acquire("table", &table));
    COIR_TRY(coir_sleep(takes));
    printf("Using %s\n", database);
    return code;
}

static int app(void *arg)
{
    (void)arg;
    COIR_TRY(use(0, 0));
    printf("-- a failure\n");
    printf("%s\n", coir_error_name(use(-EIO, 0)));
    printf("-- a deadline\n");
    COIR_DEADLINE(COIR_SEC(5));
    printf("%s\n", coir_error_name(use(0, COIR_SEC(3600))));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
