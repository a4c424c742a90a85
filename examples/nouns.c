/* nouns.c: the five things that asyncio is made of, and what they are here: a loop, a function that
 * waits (there: a coroutine), a task, a future, and an object where tasks meet (here: an event).
 */
#include <coir/coir.h>
#include <stdio.h>

struct meeting {
    coir_event begin;   /* where tasks meet */
    coir_future answer; /* a value that comes later, once */
};

static int think(void *arg) /* any function may wait: nothing marks it */
{
    struct meeting *meeting = arg;
    COIR_TRY(coir_event_wait(&meeting->begin));
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    static int answer = 42;
    return coir_future_set(&meeting->answer, &answer);
}

static int app(void *arg)
{
    (void)arg;
    struct meeting meeting = {0};
    COIR_GROUP(group);
    coir_task *task; /* a function that runs beside this one, on a stack of its own */
    COIR_TRY(coir_spawn(&group, think, &meeting, &task));

    struct coir_loop_stats stats;
    coir_loop_stats(coir_loop_current(), &stats);
    printf("loop: runs %d tasks on one thread\n", (int)stats.tasks);
    printf("task: '%s' of a function that is like any other\n", coir_task_name(task));

    printf("event: set\n");
    coir_event_set(&meeting.begin);
    void *value;
    COIR_TRY(coir_future_wait(&meeting.answer, &value));
    printf("future: %d\n", *(int *)value);
    return coir_join(task, NULL);
}

int main(void)
{
    return coir_main(app, NULL);
}
