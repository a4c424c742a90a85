/* testing_order.c: tests of what the test kit gives to tests: virtual time, a seeded order, waiting
 * until all others are blocked, the sequencer, cancelling at a chosen call, reports, directories.
 */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <coir/testing.h>

static coir_time real_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (coir_time)now.tv_sec * COIR_SEC(1) + now.tv_nsec;
}

COIR_TEST(a_year_passes_at_once)
{
    coir_time start = coir_now(), real = real_now();
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(365.0 * 24 * 3600)));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(365.0 * 24 * 3600));
    COIR_EXPECT_LT(real_now() - real, COIR_SEC(5));
}

COIR_TEST(integers_are_compared_by_value)
{
    size_t big = SIZE_MAX;
    unsigned char small = 200;
    bool yes = true;
    COIR_EXPECT_LT(-1, big);
    COIR_EXPECT_NE(-1, big);
    COIR_EXPECT_GT(small, (signed char)-56);
    COIR_EXPECT_EQ(small, 200U);
    COIR_EXPECT_EQ(yes, 1);
    COIR_EXPECT_LE(INT64_MIN, INT64_MIN);
    COIR_EXPECT_LT(INT64_MIN, INT64_MIN + 1);
    COIR_EXPECT_GE(UINT64_MAX, INT64_MAX);
}

COIR_TEST(arguments_are_evaluated_once)
{
    int n = 0;
    COIR_EXPECT_EQ(++n, 1);
    COIR_EXPECT_LT(++n, 3);
    COIR_EXPECT_OK(++n);
    COIR_EXPECT(++n == 4);
    COIR_EXPECT_CODE(++n, 5);
}

/* ---- the seeded order ---- */

#define TASKS 16

struct order {
    int numbers[TASKS];
    size_t count;
};

struct step {
    struct order *order;
    int number;
};

static int take_step(void *arg)
{
    const struct step *step = arg;
    if (step->order->count < TASKS)
        step->order->numbers[step->order->count++] = step->number;
    return 0;
}

static int take_steps(void *arg)
{
    struct step steps[TASKS];
    COIR_GROUP(group);
    for (int i = 0; i < TASKS; i++) {
        steps[i] = (struct step){arg, i};
        COIR_TRY(coir_spawn(&group, take_step, &steps[i], NULL));
    }
    return coir_group_wait(&group);
}

static struct order order_of_seed(uint64_t seed)
{
    struct order order = {.count = 0};
    coir_loop_opts opts = coir_test_loop_opts();
    opts.seed = seed;
    COIR_EXPECT_OK(coir_run(take_steps, &order, &opts, NULL));
    return order;
}

COIR_TEST_TAGGED(a_seed_fixes_the_order, "own_loop")
{
    struct order first = order_of_seed(7), again = order_of_seed(7), other = order_of_seed(8);
    COIR_EXPECT_EQ(first.count, TASKS);
    COIR_EXPECT_BYTES(first.numbers, again.numbers, sizeof first.numbers);
    COIR_EXPECT(memcmp(first.numbers, other.numbers, sizeof first.numbers) != 0);
}

COIR_TEST_TAGGED(seed_0_is_first_in_first_out, "own_loop")
{
    struct order order = order_of_seed(0);
    for (int i = 0; i < TASKS && i < (int)order.count; i++)
        COIR_EXPECT_EQ(order.numbers[i], i);
}

/* ---- waiting until all others are blocked ---- */

static int walk(void *arg)
{
    int *steps = arg;
    for (int i = 0; i < 50; i++) {
        COIR_TRY(coir_yield());
        ++*steps;
    }
    COIR_TRY(coir_sleep(COIR_SEC(1)));
    ++*steps;
    return 0;
}

COIR_TEST(all_others_are_blocked_afterwards)
{
    int steps[3] = {0};
    coir_time start = coir_now();
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(steps); i++)
        COIR_REQUIRE_OK(coir_spawn(&group, walk, &steps[i], NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    for (size_t i = 0; i < COIR_COUNT(steps); i++)
        COIR_EXPECT_EQ(steps[i], 50);
    COIR_EXPECT_EQ(coir_now(), start);
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(steps[0] + steps[1] + steps[2], 153);
}

static int wait_blocked(void *arg)
{
    int *result = arg;
    *result = coir_test_wait_all_blocked();
    return 0;
}

struct blocked {
    int *steps;
    int *turn;  /* of those that wait until all are blocked */
    int result; /* and this one's */
};

static int wait_blocked_and_walk(void *arg)
{
    struct blocked *blocked = arg;
    COIR_TRY(coir_test_wait_all_blocked());
    COIR_EXPECT_EQ(*blocked->steps, 50);
    int turn = ++*blocked->turn;
    for (int i = 0; i < 20; i++)
        COIR_TRY(coir_yield());
    COIR_EXPECT_EQ(*blocked->turn, turn); /* the next one waits for this one, too */
    blocked->result = turn;
    return 0;
}

COIR_TEST(several_wait_until_all_are_blocked)
{
    int steps = 0, turn = 0;
    struct blocked blocked[3];
    COIR_GROUP(group);
    for (size_t i = 0; i < COIR_COUNT(blocked); i++) {
        blocked[i] = (struct blocked){&steps, &turn, 0};
        COIR_REQUIRE_OK(coir_spawn(&group, wait_blocked_and_walk, &blocked[i], NULL));
    }
    COIR_REQUIRE_OK(coir_spawn(&group, walk, &steps, NULL));
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(turn, 3);
    COIR_EXPECT_EQ(blocked[0].result + blocked[1].result + blocked[2].result, 6);
}

static int yield_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        COIR_TRY(coir_yield());
}

COIR_TEST(waiting_until_all_are_blocked_can_be_cancelled)
{
    int result = 0;
    COIR_GROUP(group);
    coir_task *task = NULL;
    COIR_REQUIRE_OK(coir_spawn(&group, yield_for_ever, NULL, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, wait_blocked, &result, &task));
    for (int i = 0; i < 10; i++)
        COIR_REQUIRE_OK(coir_yield());
    coir_cancel(task, NULL);
    COIR_REQUIRE_OK(coir_wait_all(&task, 1));
    COIR_EXPECT_CODE(result, -ECANCELED);
}

/* ---- the sequencer ---- */

struct players {
    coir_sequencer sequencer;
    char text[16];
    size_t length;
};

static int play(struct players *players, size_t turn)
{
    COIR_TRY(coir_sequencer_enter(&players->sequencer, turn));
    players->text[players->length++] = (char)('a' + turn);
    COIR_TRY(coir_yield());
    coir_sequencer_leave(&players->sequencer);
    return 0;
}

static int play_even(void *arg)
{
    for (size_t turn = 0; turn < 8; turn += 2)
        COIR_TRY(play(arg, turn));
    return 0;
}

static int play_odd(void *arg)
{
    for (size_t turn = 1; turn < 8; turn += 2)
        COIR_TRY(play(arg, turn));
    return 0;
}

COIR_TEST(the_sequencer_keeps_turns)
{
    struct players players = {.length = 0};
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, play_odd, &players, NULL));
    COIR_REQUIRE_OK(coir_spawn(&group, play_even, &players, NULL));
    COIR_REQUIRE_OK(coir_group_wait(&group));
    COIR_EXPECT_STR(players.text, "abcdefgh");
    COIR_EXPECT_CODE(coir_sequencer_enter(&players.sequencer, 3), -EINVAL);
}

COIR_TEST(a_cancelled_waiter_breaks_the_sequencer)
{
    coir_sequencer sequencer = {0};
    {
        COIR_DEADLINE(COIR_SEC(1));
        COIR_EXPECT_CODE(coir_sequencer_enter(&sequencer, 1), -ETIME);
    }
    COIR_EXPECT_CODE(coir_sequencer_enter(&sequencer, 0), -COIR_EBROKENBARRIER);
}

/* ---- cancelling at a chosen call ---- */

static int yield_and_count(void *arg)
{
    int *count = arg;
    for (;; ++*count)
        COIR_TRY(coir_yield());
}

COIR_TEST(a_task_is_cancelled_at_the_chosen_call)
{
    int count = 0, result = 0;
    COIR_GROUP(group);
    coir_task *task = NULL;
    COIR_REQUIRE_OK(coir_spawn(&group, yield_and_count, &count, &task));
    coir_test_cancel_at_park(task, 5);
    COIR_REQUIRE_OK(coir_join(task, &result));
    COIR_EXPECT_CODE(result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(count, 4);
}

/* ---- reports, surroundings ---- */

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

COIR_TEST(announced_reports_are_no_failure)
{
    coir_test_expect_reports(COIR_REPORT_UNREAD, 1);
    COIR_REQUIRE_OK(coir_spawn(NULL, fail, NULL, NULL));
    COIR_REQUIRE_OK(coir_yield());
    COIR_REQUIRE_OK(coir_test_wait_all_blocked());
    size_t count = 0;
    const coir_test_report *reports = coir_test_reports(&count);
    COIR_REQUIRE_EQ(count, 1);
    COIR_EXPECT_EQ(reports[0].kind, COIR_REPORT_UNREAD);
    COIR_EXPECT_CONTAINS(reports[0].text, "fail");
    COIR_EXPECT_EQ(coir_test_report_count(COIR_REPORT_UNREAD), 1);
}

COIR_TEST(a_directory_of_its_own)
{
    struct stat status;
    const char *path = coir_test_tmpdir();
    COIR_REQUIRE(path != NULL);
    COIR_REQUIRE_EQ(stat(path, &status), 0);
    COIR_EXPECT(S_ISDIR(status.st_mode));
    COIR_EXPECT_PTR(path, coir_test_tmpdir());
}

COIR_TEST_TAGGED(a_test_can_have_loops_of_its_own, "own_loop")
{
    COIR_EXPECT_PTR(coir_loop_current(), NULL);
    coir_loop_opts opts = coir_test_loop_opts();
    coir_loop *loop = NULL;
    COIR_REQUIRE_OK(coir_loop_open(&opts, &loop));
    COIR_EXPECT_OK(coir_loop_close(loop));
}
