/* group_failure.c: a child fails: its siblings and the body are cancelled, the cause comes out.
 *
 * The body returns coir_group_finish(&group, r): its own result is only the cancellation that
 * followed, so the child's failure is handed out instead, with the line of every call on its way.
 * coir_main would print the same trace; here it is printed by hand, to go on.
 */
#include <coir/coir.h>
#include <stdio.h>

static int open_file(const char *name)
{
    return coir_fail(-ENOENT, "no such file: %s", name);
}

static int reads(void *arg)
{
    COIR_TRY(coir_sleep(COIR_MS(20)));
    COIR_TRY(open_file(arg));
    return 0;
}

static int waits(void *arg)
{
    (void)arg;
    int r = coir_sleep(COIR_SEC(60));
    printf("sibling: %s\n", coir_error_name(r));
    return r;
}

static int body(void)
{
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, waits, NULL, NULL));
    COIR_TRY(coir_spawn(&group, reads, "colours.txt", NULL));
    int r = coir_sleep(COIR_SEC(60));
    printf("body:    %s\n", coir_error_name(r));
    return coir_group_finish(&group, r);
}

static int app(void *arg)
{
    (void)arg;
    int r = body();
    char text[1024];
    (void)coir_error_format(coir_last_error(), r, text, sizeof text);
    printf("%s\n", text);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
