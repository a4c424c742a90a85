/* rwlock.c: many tasks read a table at once; one that changes it has it alone.
 *
 * Reading takes a while here, so under a coir_lock the three readers would need three times as
 * long. The writer came second, and goes second: later readers wait behind it.
 */
#include <coir/coir.h>
#include <stdio.h>

static struct {
    coir_rwlock lock; /* zero is a free one */
    int version;
} table = {.version = 1};

static int read_table(void *arg)
{
    COIR_RWLOCK_READ(&table.lock); /* shared, to the end of this block */
    COIR_TRY(coir_sleep(COIR_MS(10)));
    printf("%s reads version %d\n", (const char *)arg, table.version);
    return 0;
}

static int change_table(void *arg)
{
    (void)arg;
    COIR_RWLOCK_WRITE(&table.lock); /* alone */
    COIR_TRY(coir_sleep(COIR_MS(10)));
    table.version++;
    printf("changed\n");
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    coir_call calls[] = {
        {.fn = read_table, .arg = "Ann"},
        {.fn = change_table},
        {.fn = read_table, .arg = "Bob"},
        {.fn = read_table, .arg = "Cid"},
    };
    return coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST);
}

int main(void)
{
    return coir_main(app, NULL);
}
