/* sync_closing.c: a channel or a queue is closed and freed by one task while the call of another
 * gives way.
 *
 * A call that need not wait yields when its turn has used up what tasks may do without waiting.
 * Another task then runs inside that call, and may close what it was for; the call must not touch
 * it any more, and what it has done stays done. Under AddressSanitizer a touch ends the test.
 */
#include <coir/channel.h>
#include <coir/queue.h>
#include <coir/select.h>

#include "core/core.h"
#include "sync.h"

/* What is closed, all of it by the second task, or at the end of a test that was cut short. */
struct things {
    coir_sender *out;
    coir_receiver *in;
    coir_queue *queue;
    bool closed;
    int item, result;
};

static void close_things(struct things *things)
{
    coir_sender_close(COIR_TAKE(things->out));
    coir_receiver_close(COIR_TAKE(things->in));
    coir_queue_close(COIR_TAKE(things->queue));
}

typedef struct things auto_things;
COIR_CLOSER_VALUE(auto_things, close_things);

static int close_all(void *arg)
{
    struct things *things = arg;
    close_things(things);
    things->closed = true;
    return 0;
}

/* The next call of this task that does not wait gives way. */
static void end_turn(void)
{
    struct coir_loop *loop = coir__self()->loop;
    loop->charges = loop->hooked_charges = 1;
}

/* Runs call in a task, and closes things as soon as it gives way. */
static void check(struct things *things, coir_fn call, int result)
{
    COIR_GROUP(group);
    things->closed = false;
    COIR_REQUIRE_OK(coir_spawn(&group, call, things, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, close_all, things, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(things->result, result);
}

#define CALL(name, ...)                                                                            \
    static int name(void *arg)                                                                     \
    {                                                                                              \
        struct things *things = arg;                                                               \
        end_turn();                                                                                \
        things->result = (__VA_ARGS__);                                                            \
        COIR_EXPECT(things->closed); /* it did give way */                                         \
        return things->result < 0 ? things->result : 0;                                            \
    }

CALL(send_item, coir_send(things->out, &things->item))
CALL(receive_item, coir_receive(things->in, &things->item))
CALL(put_item, coir_queue_put(things->queue, &things->item))
CALL(get_item, coir_queue_get(things->queue, &things->item))
CALL(join_queue, coir_queue_join(things->queue))

#define CHANNEL(things)                                                                            \
    COIR_AUTO(auto_things) things = {.item = 3};                                                   \
    COIR_REQUIRE_OK(coir_channel_open(int, 1, &(things).out, &(things).in))

#define QUEUE(things)                                                                              \
    COIR_AUTO(auto_things) things = {.item = 3};                                                   \
    COIR_REQUIRE_OK(coir_queue_open(int, NULL, &(things).queue))

COIR_TEST_TAGGED(channel_closed_while_a_send_gives_way, "fifo")
{
    CHANNEL(things);
    check(&things, send_item, 0);
}

COIR_TEST_TAGGED(channel_closed_while_a_receive_gives_way, "fifo")
{
    CHANNEL(things);
    COIR_REQUIRE_OK(coir_try_send(things.out, &(int){7}));
    check(&things, receive_item, 1);
    COIR_EXPECT_EQ(things.item, 7);
}

COIR_TEST_TAGGED(queue_closed_while_a_put_gives_way, "fifo")
{
    QUEUE(things);
    check(&things, put_item, 0);
}

COIR_TEST_TAGGED(queue_closed_while_a_get_gives_way, "fifo")
{
    QUEUE(things);
    COIR_REQUIRE_OK(coir_queue_try_put(things.queue, &(int){7}));
    check(&things, get_item, 0);
    COIR_EXPECT_EQ(things.item, 7);
}

COIR_TEST_TAGGED(queue_closed_while_a_join_gives_way, "fifo")
{
    QUEUE(things);
    check(&things, join_queue, 0);
}

/* The array of cases lives on; what they are for does not. */
static int select_item(void *arg)
{
    struct things *things = arg;
    coir_case cases[] = {
        COIR_ON_TIMER(COIR_SEC(1)),
        COIR_ON_RECEIVE(things->in, &things->item),
    };
    end_turn();
    things->result = coir_select(cases, COIR_COUNT(cases));
    COIR_EXPECT(things->closed);
    COIR_EXPECT_EQ(cases[1].result, 1);
    return things->result < 0 ? things->result : 0;
}

COIR_TEST_TAGGED(channel_closed_while_a_select_gives_way, "fifo")
{
    CHANNEL(things);
    COIR_REQUIRE_OK(coir_try_send(things.out, &(int){7}));
    check(&things, select_item, 1);
    COIR_EXPECT_EQ(things.item, 7);
}
