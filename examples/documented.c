/* documented.c: how a function that waits is documented: the same five words as in <coir/…h>.
 *
 * "Must be called in a task" needs no sentence of its own: whatever waits gives -COIR_ENOTASK
 * elsewhere, and Thread safety says whose thread. Cancel safety is what a cancelled call has done.
 */
#include <coir/coir.h>
#include <stdio.h>

struct user {
    int id;
    char name[32];
};

/* Fetches a user from the database. user_id is the number of the account; *ret_user is the
 * caller's, and written only on success.
 *
 *     struct user user;
 *     COIR_TRY(fetch_user_data(123, &user));
 *     printf("%s\n", user.name);
 *
 * Returns 0. Errors: -ENOENT when there is no such user, -ECONNREFUSED when the database cannot be
 * reached, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the
 * loop's thread. */
static int fetch_user_data(int user_id, struct user *ret_user)
{
    COIR_TRY(coir_sleep(COIR_MS(50))); /* as if it asked a database */
    if (user_id != 123)
        return coir_fail(-ENOENT, "no user %d", user_id);
    *ret_user = (struct user){.id = user_id, .name = "Ada"};
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    struct user user;
    COIR_TRY(fetch_user_data(123, &user));
    printf("%s\n", user.name);
    int r = fetch_user_data(124, &user);
    printf("%s: %s\n", coir_error_name(r), coir_last_message(r));
    return 0;
}

int main(void)
{
    struct user user;
    printf("outside a task: %s\n", coir_error_name(fetch_user_data(123, &user)));
    return coir_main(app, NULL);
}
