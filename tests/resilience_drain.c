/* resilience_drain.c: gates: who is let in, who is waited for, who is cancelled; and phases: their
 * order, graces, results, and what a cancellation does before and during them.
 */
#include <coir/drain.h>

#include "sync.h"

struct job {
    coir_gate *gate;
    coir_time length;
    int result;     /* of the work inside */
    coir_time left; /* when it left */
};

static int work_inside(struct job *job)
{
    COIR_GATE(job->gate);
    return coir_sleep(job->length);
}

/* A piece of a task: it goes on after the gate, whatever happened inside. */
static int work(void *arg)
{
    struct job *job = arg;
    job->result = work_inside(job);
    job->left = coir_now();
    return coir_yield();
}

COIR_TEST(in_and_out)
{
    coir_gate gate = {0};
    coir_gate_pass pass, zero = {0};
    COIR_REQUIRE_OK(coir_gate_enter(&gate, &pass));
    COIR_EXPECT_EQ(coir_gate_inside(&gate), 1);
    coir_gate_leave(&pass);
    coir_gate_leave(&pass);
    coir_gate_leave(&zero);
    COIR_EXPECT_EQ(coir_gate_inside(&gate), 0);
    COIR_EXPECT(!coir_gate_closed(&gate));
    coir_gate_close(&gate);
    coir_gate_close(&gate);
    COIR_EXPECT(coir_gate_closed(&gate));
    COIR_EXPECT_CODE(coir_gate_enter(&gate, &pass), -COIR_ECLOSED);
    coir_gate_leave(&pass);
    COIR_EXPECT_OK(coir_gate_drain(&gate, 0));
    COIR_EXPECT_CODE(coir_gate_drain(&gate, -1), -EINVAL);
}

static void go_in_outside_a_task(void *arg)
{
    coir_gate_pass pass;
    COIR_EXPECT_CODE(coir_gate_enter(arg, &pass), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_gate_drain(arg, 0), -COIR_ENOTASK);
    COIR_EXPECT_CODE(coir_drain(NULL, 0, NULL), -COIR_ENOTASK);
}

COIR_TEST(outside_a_task)
{
    coir_gate gate = {0};
    COIR_REQUIRE_OK(coir_call_soon(coir_loop_current(), go_in_outside_a_task, &gate, NULL));
    COIR_EXPECT_OK(coir_yield());
    COIR_EXPECT_OK(coir_sleep(1));
    COIR_EXPECT_EQ(coir_gate_inside(&gate), 0);
}

COIR_TEST(all_leave_in_time)
{
    coir_gate gate = {0};
    struct job jobs[] = {{&gate, COIR_SEC(1), 1, 0}, {&gate, COIR_SEC(3), 1, 0}};
    struct job late = {&gate, COIR_SEC(1), 1, 0};
    coir_time start = coir_now();
    COIR_GROUP(group);
    for (int i = 0; i < 2; i++)
        START(&group, work, &jobs[i], NULL);
    COIR_EXPECT_EQ(coir_gate_inside(&gate), 2);
    coir_gate_close(&gate);
    START(&group, work, &late, NULL);
    COIR_EXPECT_CODE(late.result, -COIR_ECLOSED);
    COIR_EXPECT_OK(coir_gate_drain(&gate, COIR_SEC(10)));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(3));
    for (int i = 0; i < 2; i++)
        COIR_EXPECT_OK(jobs[i].result);
    COIR_EXPECT_OK(coir_group_wait(&group));
}

/* The rest is cancelled, inside the gate and nowhere else. */
COIR_TEST(rest_is_cancelled)
{
    coir_gate gate = {0};
    struct job jobs[] = {
        {&gate, COIR_SEC(1), 1, 0}, {&gate, COIR_SEC(90), 1, 0}, {&gate, COIR_SEC(90), 1, 0}};
    coir_time start = coir_now();
    COIR_GROUP(group);
    for (int i = 0; i < 3; i++)
        START(&group, work, &jobs[i], NULL);
    COIR_EXPECT_CODE(coir_gate_drain(&gate, COIR_SEC(10)), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(10));
    COIR_EXPECT_EQ(coir_gate_inside(&gate), 0);
    COIR_EXPECT_OK(jobs[0].result);
    COIR_EXPECT_CODE(jobs[1].result, -ECANCELED);
    COIR_EXPECT_CODE(jobs[2].result, -ECANCELED);
    COIR_EXPECT_OK(coir_group_wait(&group)); /* the tasks themselves were not cancelled */
}

static int clean_up_slowly(void *arg)
{
    struct job *job = arg;
    COIR_GATE(job->gate);
    job->result = coir_sleep(COIR_FOREVER);
    COIR_SHIELD(COIR_FOREVER);
    COIR_TRY(coir_sleep(job->length));
    job->left = coir_now();
    return 0;
}

COIR_TEST(cleanup_is_waited_for)
{
    coir_gate gate = {0};
    struct job job = {&gate, COIR_SEC(7), 1, 0};
    coir_time start = coir_now();
    COIR_GROUP(group);
    START(&group, clean_up_slowly, &job, NULL);
    COIR_EXPECT_CODE(coir_gate_drain(&gate, COIR_SEC(1)), -ETIMEDOUT);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(8));
    COIR_EXPECT_EQ(job.left, coir_now());
}

COIR_TEST(inside_it_cannot_be_drained)
{
    coir_gate gate = {0};
    COIR_EXPECT_EQ(coir_gate_inside(&gate), 0);
    coir_gate_pass pass;
    COIR_REQUIRE_OK(coir_gate_enter(&gate, &pass));
    COIR_EXPECT_CODE(coir_gate_drain(&gate, COIR_SEC(1)), -EDEADLK);
    COIR_EXPECT(!coir_gate_closed(&gate));
    coir_gate_leave(&pass);
}

/* A task may be inside twice, and inside two gates. */
COIR_TEST(nested)
{
    coir_gate a = {0}, b = {0};
    coir_gate_pass first, second, third;
    COIR_REQUIRE_OK(coir_gate_enter(&a, &first));
    COIR_REQUIRE_OK(coir_gate_enter(&b, &second));
    COIR_REQUIRE_OK(coir_gate_enter(&a, &third));
    COIR_EXPECT_EQ(coir_gate_inside(&a), 2);
    coir_gate_leave(&third);
    coir_gate_leave(&second);
    COIR_EXPECT_EQ(coir_gate_inside(&a), 1);
    COIR_EXPECT_EQ(coir_gate_inside(&b), 0);
    coir_gate_leave(&first);
    COIR_EXPECT_OK(coir_gate_drain(&a, 0));
}

static int drain(void *arg)
{
    return coir_gate_drain(arg, COIR_SEC(100));
}

COIR_TEST(drained_twice_at_once)
{
    coir_gate gate = {0};
    struct job job = {&gate, COIR_SEC(5), 1, 0};
    coir_task *tasks[2];
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    for (int i = 0; i < 2; i++)
        START(&group, drain, &gate, &tasks[i]);
    for (int i = 0; i < 2; i++)
        COIR_EXPECT_OK(joined(tasks[i]));
}

COIR_TEST(cancelled_drain_is_over_at_once)
{
    coir_gate gate = {0};
    struct job job = {&gate, COIR_SEC(50), 1, 0};
    coir_task *task;
    coir_time start = coir_now();
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    START(&group, drain, &gate, &task);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(5)));
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -COIR_ECANCELEDTASK);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(5));
    COIR_EXPECT_CODE(job.result, -ECANCELED);
}

/* ---- phases ---- */

struct step {
    struct record *record;
    int digit;
    coir_time takes;
    int result;
};

static int take_step(void *arg)
{
    struct step *step = arg;
    note(step->record, step->digit);
    COIR_TRY(coir_sleep(step->takes));
    return step->result;
}

COIR_TEST(phases_in_order)
{
    coir_gate gate = {0};
    struct job job = {&gate, COIR_SEC(4), 1, 0};
    struct record record = {0};
    struct step first = {&record, 1, COIR_SEC(1), 0}, last = {&record, 2, COIR_SEC(2), 0};
    const coir_phase phases[] = {{.run = take_step, .arg = &first},
                                 {.gate = &gate, .grace = COIR_SEC(20)},
                                 {.run = take_step, .arg = &last}};
    coir_time start = coir_now();
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    COIR_EXPECT_OK(coir_drain(phases, 3, NULL));
    COIR_EXPECT_EQ(record.digits, 12);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(4 + 2));
    COIR_EXPECT_OK(job.result);
}

COIR_TEST(nonsense)
{
    coir_gate gate = {0};
    struct record record = {0};
    struct step step = {&record, 1, 0, 0};
    const coir_phase wrong[] = {{.name = "neither"},
                                {.run = take_step, .arg = &step, .gate = &gate},
                                {.gate = &gate, .grace = -1}};
    for (size_t i = 0; i < COIR_COUNT(wrong); i++) {
        coir_phase phases[] = {{.run = take_step, .arg = &step}, wrong[i]};
        COIR_EXPECT_CODE(coir_drain(phases, 2, NULL), -EINVAL);
    }
    COIR_EXPECT_EQ(record.digits, 0);
    COIR_EXPECT_OK(coir_drain(NULL, 0, NULL));
}

struct heard {
    int results[8];
    coir_time took[8];
    size_t count;
};

static void hear(const coir_phase *phase, int result, coir_time took, void *arg)
{
    (void)phase;
    struct heard *heard = arg;
    heard->results[heard->count] = result;
    heard->took[heard->count++] = took;
}

/* A phase that fails or takes too long does not keep the others from their turn. */
COIR_TEST(every_phase_is_gone_through)
{
    struct record record = {0};
    struct step steps[] = {{&record, 1, COIR_SEC(60), 0},
                           {&record, 2, COIR_SEC(1), -EIO},
                           {&record, 3, COIR_SEC(60), 0},
                           {&record, 4, COIR_SEC(1), 0}};
    coir_phase phases[4];
    for (int i = 0; i < 4; i++)
        phases[i] = (coir_phase){.run = take_step, .arg = &steps[i]};
    phases[2].grace = COIR_SEC(3);
    struct heard heard = {0};
    coir_drain_opts opts = {.on_phase = hear, .arg = &heard};
    COIR_EXPECT_CODE(coir_drain(phases, 4, &opts), -ETIMEDOUT);
    COIR_EXPECT_EQ(record.digits, 1234);
    static const int results[] = {-ETIMEDOUT, -EIO, -ETIMEDOUT, 0};
    static const int seconds[] = {10, 1, 3, 1};
    for (int i = 0; i < 4; i++) {
        COIR_EXPECT_CODE(heard.results[i], results[i]);
        COIR_EXPECT_EQ(heard.took[i], COIR_SEC(seconds[i]));
    }
}

struct ending {
    coir_gate gate;
    struct record record;
    struct step first, last;
    struct heard heard;
};

/* As a main task: it works until it is cancelled, then it drains. */
static int work_then_drain(void *arg)
{
    struct ending *ending = arg;
    const coir_phase phases[] = {{.run = take_step, .arg = &ending->first},
                                 {.gate = &ending->gate, .grace = COIR_SEC(20)},
                                 {.run = take_step, .arg = &ending->last}};
    coir_drain_opts opts = {.on_phase = hear, .arg = &ending->heard};
    if (coir_sleep(COIR_SEC(10)) == -ECANCELED)
        return coir_drain(phases, 3, &opts);
    return coir_drain(phases, 3, &opts) == -ECANCELED ? -EINTR : 0;
}

/* A task that was cancelled has all its graces. */
COIR_TEST(cancelled_before)
{
    struct ending ending = {.first = {&ending.record, 1, COIR_SEC(1), 0},
                            .last = {&ending.record, 2, COIR_SEC(2), 0}};
    struct job job = {&ending.gate, COIR_SEC(9), 1, 0};
    coir_time start = coir_now();
    coir_task *task;
    COIR_GROUP(group);
    START(&group, work, &job, NULL);
    START(&group, work_then_drain, &ending, &task);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(5)));
    coir_cancel(task, NULL);
    COIR_EXPECT_OK(joined(task));
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(9 + 2));
    COIR_EXPECT_OK(job.result);
    COIR_EXPECT_EQ(ending.record.digits, 12);
}

/* Somebody in a hurry: what is left is cancelled, and every phase has its turn. */
COIR_TEST(cancelled_while_it_drains)
{
    struct ending ending = {.first = {&ending.record, 1, COIR_SEC(1), 0},
                            .last = {&ending.record, 2, COIR_SEC(2), 0}};
    struct job job = {&ending.gate, COIR_SEC(90), 1, 0};
    coir_time start = coir_now();
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    START(&group, work, &job, NULL);
    START(&group, work_then_drain, &ending, &task);
    COIR_REQUIRE_OK(coir_sleep(COIR_SEC(15))); /* 4 s of the gate's grace have passed */
    coir_cancel(task, NULL);
    COIR_EXPECT_CODE(joined(task), -EINTR);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(15));
    COIR_EXPECT_CODE(job.result, -ECANCELED);
    COIR_EXPECT_EQ(ending.record.digits, 12);
    COIR_EXPECT_EQ(ending.heard.count, 3);
    COIR_EXPECT_OK(ending.heard.results[0]);
    COIR_EXPECT_CODE(ending.heard.results[1], -ECANCELED);
    COIR_EXPECT_CODE(ending.heard.results[2], -ECANCELED);
}
