/* deadline.c: a bound on a block of code, however many calls are in it.
 *
 * When the time is up the call that waits returns -ETIME, and so does every further one until the
 * scope is left. coir_scope_expired tells this deadline from one further out; whoever opened the
 * scope turns it into a result of its own.
 */
#include <coir/coir.h>
#include <stdio.h>

static int query(int rows)
{
    for (int row = 0; row < rows; row++)
        COIR_TRY(coir_sleep(COIR_MS(10)));
    return rows;
}

static int query_in_time(int rows, coir_time limit)
{
    COIR_SCOPE(scope, limit);
    int r = query(rows);
    if (!coir_scope_expired(&scope))
        return r;
    printf("  the query: %s\n", coir_error_name(r));
    printf("  the next call: %s\n", coir_error_name(coir_sleep(COIR_MS(1))));
    return -ETIMEDOUT;
}

static int app(void *arg)
{
    (void)arg;
    printf("2 rows: %d\n", query_in_time(2, COIR_SEC(30)));
    printf("1000 rows:\n");
    int r = query_in_time(1000, COIR_MS(50));
    printf("  result: %s\n", coir_error_name(r));
    COIR_TRY(coir_sleep(COIR_MS(1))); /* the scope is left: all is well again */
    printf("and on\n");
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
