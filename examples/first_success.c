/* first_success.c: asking several servers, the first good answer counts.
 *
 * In a group with the policy COIR_ANY failures only matter when nobody succeeds; the first success
 * cancels the others. coir_group_wait returns 0 then, and the first failure when all have failed.
 */
#include <coir/coir.h>
#include <stdio.h>

struct server {
    const char *name;
    coir_time time;
    int result;
};

static int ask(void *arg)
{
    struct server *server = arg;
    int r = coir_sleep(server->time);
    if (r < 0) {
        printf("%s is not needed any more\n", server->name);
        return r;
    }
    printf("%s answers: %s\n", server->name, coir_error_text(server->result));
    return server->result;
}

static int app(void *arg)
{
    (void)arg;
    struct server servers[] = {
        {"north", COIR_MS(20), -ECONNREFUSED},
        {"south", COIR_MS(40), 0},
        {"west", COIR_MS(400), 0},
    };
    COIR_GROUP_ANY(group);
    for (size_t i = 0; i < COIR_COUNT(servers); i++)
        COIR_TRY(coir_spawn(&group, ask, &servers[i], NULL));
    int r = coir_group_wait(&group);
    printf("group: %s, %zu failed\n", coir_error_name(r), coir_group_failures(&group));
    return r;
}

int main(void)
{
    return coir_main(app, NULL);
}
