/* channel_pipeline.c: three stages, joined by channels, each a task of its own.
 *
 * Who sends owns a handle of the sending end. When a stage returns, COIR_AUTO closes its handle,
 * the next stage gets 0 from coir_receive after the last item, and so the end walks down the line.
 * The channels are small, so a slow stage slows down those before it.
 */
#include <coir/coir.h>
#include <stdio.h>

struct stage {
    coir_receiver *in;
    coir_sender *out;
};

static int count(void *arg)
{
    struct stage *stage = arg;
    COIR_AUTO(coir_sender) *out = stage->out;
    for (int i = 1; i <= 5; i++)
        COIR_TRY(coir_send(out, &i));
    return 0;
}

static int square(void *arg)
{
    struct stage *stage = arg;
    COIR_AUTO(coir_receiver) *in = stage->in;
    COIR_AUTO(coir_sender) *out = stage->out;
    int number, r;
    while ((r = coir_receive(in, &number)) > 0) {
        number *= number;
        COIR_TRY(coir_send(out, &number));
    }
    return r;
}

static int show(void *arg)
{
    struct stage *stage = arg;
    COIR_AUTO(coir_receiver) *in = stage->in;
    int number, r;
    while ((r = coir_receive(in, &number)) > 0)
        printf("%d\n", number);
    return r;
}

static int app(void *arg)
{
    (void)arg;
    struct stage stages[3] = {0};
    COIR_TRY(coir_channel_open(int, 1, &stages[0].out, &stages[1].in));
    COIR_TRY(coir_channel_open(int, 1, &stages[1].out, &stages[2].in));
    coir_call calls[] = {{count, &stages[0], 0}, {square, &stages[1], 0}, {show, &stages[2], 0}};
    return coir_gather(calls, COIR_COUNT(calls), COIR_FAIL_FAST);
}

int main(void)
{
    return coir_main(app, NULL);
}
