/* singleflight.c: ten tasks miss the same entry; the database is asked once for each key.
 *
 * Every caller gets the same result. One that runs out of patience leaves, and the others still get
 * theirs.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <string.h>

struct user {
    int number;
};

static coir_singleflight users; /* zero is one with nothing under way */

static int load(coir_bytes key, void *arg, void *ret_value)
{
    struct user *user = ret_value;
    (void)arg;
    printf("ask the database for %.*s\n", (int)key.length, (const char *)key.data);
    COIR_TRY(coir_sleep(COIR_MS(10)));
    user->number = (int)key.length;
    return 0;
}

static int look_up(void *arg)
{
    const char *name = arg;
    struct user user;
    COIR_TRY(coir_singleflight_run(&users, name, strlen(name), load, NULL, &user));
    return user.number;
}

static int app(void *arg)
{
    (void)arg;
    coir_call calls[10];
    for (int i = 0; i < 10; i++)
        calls[i] = (coir_call){.fn = look_up, .arg = i % 2 == 0 ? "Ann" : "Robert"};
    COIR_TRY(coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST));
    printf("%d and %d\n", calls[8].result, calls[9].result);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
