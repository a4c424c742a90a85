/* sync_barrier.c: barriers: filling, passing, leaving by cancellation, reset and abort. The names
 * are those of CPython's test_locks.py where the behaviour is.
 */
#include <coir/barrier.h>

#include "sync.h"

struct party {
    coir_barrier *barrier;
    int place; /* what coir_barrier_wait returned */
};

static int pass(void *arg)
{
    struct party *party = arg;
    party->place = coir_barrier_wait(party->barrier);
    return party->place == -ECANCELED ? -ECANCELED : 0;
}

COIR_TEST(without_parties)
{
    coir_barrier barrier = {0}, too_many = {.parties = SIZE_MAX};
    COIR_EXPECT_CODE(coir_barrier_wait(&barrier), -EINVAL);
    COIR_EXPECT_CODE(coir_barrier_wait(&too_many), -EINVAL);
}

COIR_TEST(barrier_parallel)
{
    coir_barrier barrier = {.parties = 1};
    for (int i = 0; i < 3; i++)
        COIR_EXPECT_EQ(coir_barrier_wait(&barrier), 0);
}

COIR_TEST(filling_tasks)
{
    coir_barrier barrier = {.parties = 3};
    struct party parties[2] = {{&barrier, -1}, {&barrier, -1}};
    COIR_GROUP(group);
    START(&group, pass, &parties[0], NULL);
    START(&group, pass, &parties[1], NULL);
    COIR_EXPECT_EQ(coir_barrier_waiting(&barrier), 2);
    COIR_EXPECT_EQ(coir_barrier_wait(&barrier), 2);
    COIR_EXPECT_EQ(coir_barrier_waiting(&barrier), 0);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(parties[0].place, 0);
    COIR_EXPECT_EQ(parties[1].place, 1);
}

COIR_TEST(filling_tasks_cancel_one)
{
    coir_barrier barrier = {.parties = 3};
    struct party parties[3] = {{&barrier, -1}, {&barrier, -1}, {&barrier, -1}};
    coir_task *first;
    COIR_GROUP(group);
    START(&group, pass, &parties[0], &first);
    START(&group, pass, &parties[1], NULL);
    coir_cancel(first, NULL);
    COIR_EXPECT_EQ(coir_barrier_waiting(&barrier), 1);
    COIR_EXPECT_CODE(joined(first), -COIR_ECANCELEDTASK);
    COIR_EXPECT(!coir_barrier_broken(&barrier));
    START(&group, pass, &parties[2], NULL);
    COIR_EXPECT_EQ(coir_barrier_wait(&barrier), 2);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(parties[1].place, 0);
    COIR_EXPECT_EQ(parties[2].place, 1);
}

/* Cancelled after the last has arrived: it has passed. */
COIR_TEST(cancelled_while_draining)
{
    coir_barrier barrier = {.parties = 2};
    struct party party = {&barrier, -1};
    coir_task *task;
    COIR_GROUP(group);
    START(&group, pass, &party, &task);
    COIR_EXPECT_EQ(coir_barrier_wait(&barrier), 1);
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(party.place, 0);
}

COIR_TEST(reset_barrier)
{
    coir_barrier barrier = {.parties = 3};
    struct party parties[2] = {{&barrier, -1}, {&barrier, -1}};
    COIR_GROUP(group);
    START(&group, pass, &parties[0], NULL);
    START(&group, pass, &parties[1], NULL);
    COIR_EXPECT_OK(coir_barrier_reset(&barrier));
    COIR_EXPECT_EQ(coir_barrier_waiting(&barrier), 0);
    COIR_EXPECT(!coir_barrier_broken(&barrier));
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(parties[0].place, -COIR_EBROKENBARRIER);
    COIR_EXPECT_CODE(parties[1].place, -COIR_EBROKENBARRIER);
}

/* Whoever the last arrival let go has passed, even if a reset comes before it runs; new ones begin
 * a new round. */
COIR_TEST(reset_barrier_while_tasks_draining)
{
    coir_barrier barrier = {.parties = 2};
    struct party parties[2] = {{&barrier, -1}, {&barrier, -1}};
    COIR_GROUP(group);
    START(&group, pass, &parties[0], NULL);
    COIR_EXPECT_EQ(coir_barrier_wait(&barrier), 1);
    COIR_EXPECT_OK(coir_barrier_reset(&barrier));
    START(&group, pass, &parties[1], NULL);
    COIR_EXPECT_EQ(parties[0].place, 0);
    COIR_EXPECT_EQ(coir_barrier_waiting(&barrier), 1);
    COIR_EXPECT_EQ(coir_barrier_wait(&barrier), 1);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(parties[1].place, 0);
}

COIR_TEST(abort_barrier)
{
    coir_barrier barrier = {.parties = 2};
    struct party party = {&barrier, -1};
    COIR_GROUP(group);
    START(&group, pass, &party, NULL);
    COIR_EXPECT_OK(coir_barrier_abort(&barrier));
    COIR_EXPECT(coir_barrier_broken(&barrier));
    COIR_EXPECT_CODE(coir_barrier_wait(&barrier), -COIR_EBROKENBARRIER);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_CODE(party.place, -COIR_EBROKENBARRIER);
    COIR_EXPECT_OK(coir_barrier_reset(&barrier));
    COIR_EXPECT(!coir_barrier_broken(&barrier));
    COIR_EXPECT_EQ(coir_barrier_waiting(&barrier), 0);
}

/* Cancelled and aborted in the same turn: whichever came first is what the task returns. */
COIR_TEST(cancel_and_abort_race)
{
    coir_barrier barrier = {.parties = 3};
    struct party parties[2] = {{&barrier, -1}, {&barrier, -1}};
    coir_task *tasks[2];
    COIR_GROUP(group);
    START(&group, pass, &parties[0], &tasks[0]);
    START(&group, pass, &parties[1], &tasks[1]);
    coir_cancel(tasks[0], NULL);
    COIR_EXPECT_OK(coir_barrier_abort(&barrier));
    coir_cancel(tasks[1], NULL);
    COIR_EXPECT_CODE(joined(tasks[0]), -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(joined(tasks[1]));
    COIR_EXPECT_CODE(parties[1].place, -COIR_EBROKENBARRIER);
}
