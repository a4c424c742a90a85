/* cleanup.c: a resource that is closed on every path, also when its task is cancelled.
 *
 * COIR_CLOSER makes COIR_AUTO(session) work: the end of the block calls session_close. There the
 * task may be cancelled already, so talking to the peer needs a shield, which has a bound.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct session {
    int number;
} session;

static int session_open(int number, session **ret_session)
{
    COIR_TRY(coir_sleep(COIR_MS(10))); /* as if it connected */
    session *opened = malloc(sizeof *opened);
    if (opened == NULL)
        return -ENOMEM;
    opened->number = number;
    printf("session %d is open\n", number);
    *ret_session = opened;
    return 0;
}

static void session_close(session *closed)
{
    if (closed == NULL)
        return;
    COIR_SHIELD(COIR_SEC(1)); /* at most a second of goodbye */
    int r = coir_sleep(COIR_MS(10));
    printf("session %d is closed%s\n", closed->number, r == 0 ? ", goodbye said" : "");
    free(closed);
}

COIR_CLOSER(session, session_close);

static int work(void *arg)
{
    COIR_AUTO(session) *mine = NULL;
    COIR_TRY(session_open(*(int *)arg, &mine));
    COIR_TRY(coir_sleep(COIR_SEC(60)));
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    int number = 1;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, work, &number, NULL));
    COIR_TRY(coir_sleep(COIR_MS(50)));
    return 0; /* leaving the block cancels the task and joins it */
}

int main(void)
{
    return coir_main(app, NULL);
}
