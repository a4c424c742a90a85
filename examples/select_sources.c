/* select_sources.c: one task, several sources: whatever comes first is taken.
 *
 * coir_select settles exactly one case, and leaves the others as if they had never been asked: no
 * item is lost to a case that did not win. With several ready at once the lowest index wins.
 */
#include <coir/coir.h>
#include <stdio.h>

struct sources {
    coir_sender *commands;
    coir_event stop;
};

static int send_commands(void *arg)
{
    struct sources *sources = arg;
    static const char *const commands[] = {"open", "close"};
    for (size_t i = 0; i < COIR_COUNT(commands); i++)
        COIR_TRY(coir_send(sources->commands, &commands[i]));
    COIR_TRY(coir_sleep(COIR_MS(150)));
    return coir_event_set(&sources->stop);
}

static int serve(coir_receiver *commands, coir_event *stop)
{
    for (;;) {
        const char *command;
        coir_case cases[] = {
            COIR_ON_RECEIVE(commands, &command),
            COIR_ON_EVENT(stop),
            COIR_ON_TIMER(COIR_MS(100)),
        };
        switch (COIR_TRY(coir_select(cases, COIR_COUNT(cases)))) {
        case 0: printf("command: %s\n", command); break;
        case 1: printf("stop\n"); return 0;
        case 2: printf("nothing for 100 ms\n"); break;
        }
    }
}

static int app(void *arg)
{
    (void)arg;
    struct sources sources = {0};
    COIR_AUTO(coir_sender) *out = NULL;
    COIR_AUTO(coir_receiver) *in = NULL;
    COIR_TRY(coir_channel_open(const char *, 4, &out, &in));
    sources.commands = out;
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, send_commands, &sources, NULL));
    return coir_group_finish(&group, serve(in, &sources.stop));
}

int main(void)
{
    return coir_main(app, NULL);
}
