/* sync_race.c: staggered races: when the next one starts, who wins, what becomes of the others, and
 * of those that succeed too late. The names are those of CPython's test_staggered.py where the
 * behaviour is.
 */
#include <coir/race.h>

#include "core_kit.h"

/* A job that makes something when it succeeds. */
struct runner {
    struct job job;
    coir_time began;
    bool stubborn; /* succeeds although it was cancelled */
    int made, discarded;
};

static int run(void *arg)
{
    struct runner *runner = arg;
    runner->began = coir_now();
    int r = work(&runner->job);
    if (r < 0 && runner->stubborn)
        r = 3;
    if (r >= 0)
        runner->made++;
    return r;
}

static void discard(void *arg, int result)
{
    struct runner *runner = arg;
    runner->discarded += result;
}

enum { RUNNERS = 3 };

struct field {
    struct runner runners[RUNNERS];
    coir_call calls[RUNNERS];
    coir_time delay;
    size_t winner;
    int result, after;
};

static int start(void *arg)
{
    struct field *field = arg;
    const coir_race_opts opts = {.discard = discard};
    for (int i = 0; i < RUNNERS; i++)
        field->calls[i] = (coir_call){run, &field->runners[i], 0};
    field->winner = 99;
    field->result = coir_race_staggered(field->calls, RUNNERS, field->delay, &opts, &field->winner);
    field->after = coir_yield();
    return field->result;
}

/* What was made is either the winner's, or was discarded. */
static void expect_nothing_leaked(const struct field *field)
{
    for (size_t i = 0; i < RUNNERS; i++) {
        const struct runner *runner = &field->runners[i];
        int left = runner->made - (runner->discarded > 0);
        COIR_EXPECT_EQ(left, field->result == 0 && field->winner == i);
    }
}

COIR_TEST(arguments)
{
    coir_call call = {NULL, NULL, 0};
    COIR_EXPECT_CODE(coir_race_staggered(NULL, 0, 0, NULL, NULL), -EINVAL);
    COIR_EXPECT_CODE(coir_race_staggered(&call, 1, 0, NULL, NULL), -EINVAL);
}

COIR_TEST(one_successful)
{
    struct job job = {.result = 7};
    coir_call call = {work, &job, 0};
    COIR_EXPECT_OK(coir_race_staggered(&call, 1, COIR_SEC(1), NULL, NULL));
    COIR_EXPECT_EQ(call.result, 7);
}

/* The first is done before the delay has passed: the others never start. */
COIR_TEST(first_in_time)
{
    struct field field = {.delay = COIR_SEC(1)};
    coir_time begin = coir_now();
    field.runners[0].job = (struct job){.work = COIR_SEC(0.9), .result = 5};
    COIR_EXPECT_OK(start(&field));
    COIR_EXPECT_EQ(field.winner, 0);
    COIR_EXPECT_EQ(field.calls[0].result, 5);
    COIR_EXPECT_CODE(field.calls[1].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT(!field.runners[1].job.started);
    COIR_EXPECT_EQ(coir_now() - begin, COIR_SEC(0.9));
    expect_nothing_leaked(&field);
}

/* Each starts after the delay; the fastest wins, the others are cancelled and joined. */
COIR_TEST(multiple_successful)
{
    struct field field = {.delay = COIR_SEC(1)};
    coir_time begin = coir_now();
    field.runners[0].job = (struct job){.work = COIR_SEC(9), .cleanup = COIR_SEC(0.25)};
    field.runners[1].job = (struct job){.work = COIR_SEC(9)};
    field.runners[2].job = (struct job){.work = COIR_SEC(0.5)};
    COIR_EXPECT_OK(start(&field));
    COIR_EXPECT_EQ(field.winner, 2);
    COIR_EXPECT_EQ(field.runners[1].began - begin, COIR_SEC(1));
    COIR_EXPECT_EQ(field.runners[2].began - begin, COIR_SEC(2));
    COIR_EXPECT_EQ(coir_now() - begin, COIR_SEC(2.75));
    COIR_EXPECT(field.runners[0].job.ended && field.runners[1].job.ended);
    COIR_EXPECT_CODE(field.calls[0].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_OK(field.after);
    expect_nothing_leaked(&field);
}

/* One that fails makes way at once, and the delay counts from the last start. */
COIR_TEST(failure_starts_the_next)
{
    struct field field = {.delay = COIR_SEC(1)};
    coir_time begin = coir_now();
    field.runners[0].job = (struct job){.work = COIR_SEC(0.25), .result = -EIO};
    field.runners[1].job = (struct job){.work = COIR_SEC(2)};
    field.runners[2].job = (struct job){.work = COIR_SEC(9)};
    COIR_EXPECT_OK(start(&field));
    COIR_EXPECT_EQ(field.winner, 1);
    COIR_EXPECT_EQ(field.runners[1].began - begin, COIR_SEC(0.25));
    COIR_EXPECT_EQ(field.runners[2].began - begin, COIR_SEC(1.25));
    COIR_EXPECT_CODE(field.calls[0].result, -EIO);
    expect_nothing_leaked(&field);
}

COIR_TEST(none_successful)
{
    struct field field = {.delay = COIR_SEC(1)};
    field.runners[0].job = (struct job){.work = COIR_SEC(5), .result = -EIO};
    field.runners[1].job = (struct job){.work = COIR_SEC(1), .result = -ENOENT};
    field.runners[2].job = (struct job){.work = COIR_SEC(1), .result = -EACCES};
    COIR_EXPECT_CODE(start(&field), -ENOENT);
    COIR_EXPECT_EQ(field.winner, 99);
    COIR_EXPECT_CODE(field.calls[0].result, -EIO);
    COIR_EXPECT_CODE(field.calls[1].result, -ENOENT);
    COIR_EXPECT_CODE(field.calls[2].result, -EACCES);
    const coir_error *error = coir_last_error();
    const int codes[] = {-ENOENT, -EACCES, -EIO};
    for (size_t i = 0; i < COIR_COUNT(codes); i++) {
        COIR_REQUIRE(error != NULL);
        COIR_EXPECT_CODE(coir_error_code(error), codes[i]);
        error = coir_error_next(error);
    }
    COIR_EXPECT(error == NULL);
    COIR_EXPECT_OK(field.after);
}

/* Without a delay all start at once; with an endless one each waits for a failure. */
COIR_TEST(delays_at_the_ends)
{
    struct field field = {.delay = 0};
    coir_time begin = coir_now();
    for (int i = 0; i < RUNNERS; i++)
        field.runners[i].job = (struct job){.work = COIR_SEC(3 - i)};
    COIR_EXPECT_OK(start(&field));
    COIR_EXPECT_EQ(field.winner, 2);
    COIR_EXPECT_EQ(coir_now() - begin, COIR_SEC(1));
    field = (struct field){.delay = COIR_FOREVER};
    begin = coir_now();
    field.runners[0].job = (struct job){.work = COIR_SEC(100), .result = -EIO};
    COIR_EXPECT_OK(start(&field));
    COIR_EXPECT_EQ(field.winner, 1);
    COIR_EXPECT_EQ(field.runners[1].began - begin, COIR_SEC(100));
    COIR_EXPECT(!field.runners[2].job.started);
    expect_nothing_leaked(&field);
}

/* A loser that succeeds all the same is handed to discard. */
COIR_TEST(late_success_is_discarded)
{
    struct field field = {.delay = COIR_SEC(1)};
    field.runners[0].job = (struct job){.work = COIR_SEC(9)};
    field.runners[0].stubborn = true;
    field.runners[1].job = (struct job){.work = COIR_SEC(0.5)};
    COIR_EXPECT_OK(start(&field));
    COIR_EXPECT_EQ(field.winner, 1);
    COIR_EXPECT_EQ(field.runners[0].discarded, 3);
    COIR_EXPECT_CODE(field.calls[0].result, -COIR_ECANCELEDTASK);
    expect_nothing_leaked(&field);
}

/* Two succeed in the same moment: one wins, the other's is discarded. */
COIR_TEST(success_at_the_same_time)
{
    struct field field = {.delay = COIR_SEC(1)};
    for (int i = 0; i < RUNNERS; i++)
        field.runners[i].job = (struct job){.work = COIR_SEC(3 - i), .result = 1};
    COIR_EXPECT_OK(start(&field));
    expect_nothing_leaked(&field);
    int made = 0;
    for (int i = 0; i < RUNNERS; i++)
        made += field.runners[i].made;
    COIR_EXPECT_GE(made, 2);
}

/* ---- cancelling ---- */

COIR_TEST(outer_cancelled)
{
    struct field field = {.delay = COIR_SEC(1)};
    for (int i = 0; i < RUNNERS; i++)
        field.runners[i].job = (struct job){.work = COIR_SEC(9), .cleanup = COIR_MS(5)};
    COIR_EXPECT_CODE(cancelled_after(COIR_SEC(1.5), start, &field), -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(field.result, -ECANCELED);
    COIR_EXPECT(field.runners[0].job.ended && field.runners[1].job.ended);
    COIR_EXPECT(!field.runners[2].job.started);
    COIR_EXPECT_CODE(field.after, -ECANCELED);
    expect_nothing_leaked(&field);
}

COIR_TEST(deadline_around_it)
{
    struct field field = {.delay = COIR_SEC(1)};
    for (int i = 0; i < RUNNERS; i++)
        field.runners[i].job = (struct job){.work = COIR_SEC(9)};
    {
        COIR_DEADLINE(COIR_SEC(5));
        COIR_EXPECT_CODE(start(&field), -ETIME);
    }
    for (int i = 0; i < RUNNERS; i++)
        COIR_EXPECT_CODE(field.calls[i].result, -ETIMEDOUT);
    expect_nothing_leaked(&field);
}

/* The race is cancelled and one succeeds all the same: it has won, and the next call reports. */
COIR_TEST(success_while_cancelled)
{
    struct field field = {.delay = COIR_SEC(1)};
    for (int i = 0; i < RUNNERS; i++) {
        field.runners[i].job = (struct job){.work = COIR_SEC(9)};
        field.runners[i].stubborn = true;
    }
    COIR_EXPECT_OK(cancelled_after(COIR_SEC(1.5), start, &field));
    COIR_EXPECT_OK(field.result);
    COIR_EXPECT_CODE(field.after, -ECANCELED);
    expect_nothing_leaked(&field);
}

COIR_TEST(pending_cancellation_starts_nothing)
{
    struct field field = {.delay = COIR_SEC(1)};
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    COIR_EXPECT_CODE(start(&field), -ECANCELED);
    COIR_EXPECT(!field.runners[0].job.started);
}

/* A call that is cancelled by itself makes way like one that failed. */
static int cancel_itself(void *arg)
{
    (void)arg;
    coir_cancel(coir_current(), NULL);
    return coir_yield();
}

COIR_TEST(one_cancels_itself)
{
    struct job job = {.result = 4};
    coir_call calls[] = {{cancel_itself, NULL, 0}, {work, &job, 0}};
    size_t winner = 9;
    COIR_EXPECT_OK(coir_race_staggered(calls, 2, COIR_FOREVER, NULL, &winner));
    COIR_EXPECT_EQ(winner, 1);
    COIR_EXPECT_CODE(calls[0].result, -COIR_ECANCELEDTASK);
    COIR_EXPECT_CODE(coir_race_staggered(calls, 1, COIR_FOREVER, NULL, NULL), -COIR_ECANCELEDTASK);
}

/* ---- ways that are found while the race is on ---- */

struct finder {
    struct job jobs[3];
    coir_call calls[3];
    coir_time search; /* what finding one takes */
    size_t known;     /* there are no more than these */
    int failure;      /* of the search for one that is not there */
    coir_time asked[3];
};

static int find_way(size_t index, void *arg)
{
    struct finder *finder = arg;
    finder->asked[index] = coir_now();
    if (index >= finder->known)
        return finder->failure;
    COIR_TRY(coir_sleep(finder->search));
    finder->calls[index] = (coir_call){work, &finder->jobs[index], 0};
    return 1;
}

static int race_of(struct finder *finder, coir_time delay, size_t *ret_winner)
{
    const coir_race_opts opts = {.next = find_way, .next_arg = finder};
    return coir_race_staggered(finder->calls, 3, delay, &opts, ret_winner);
}

COIR_TEST(next_way_is_searched_for_when_it_is_its_turn)
{
    struct finder finder = {.search = COIR_SEC(1), .known = 3};
    finder.jobs[0] = (struct job){.work = COIR_SEC(60)};
    finder.jobs[1] = (struct job){.result = -EIO};
    size_t winner = 9;
    coir_time start = coir_now();
    COIR_EXPECT_OK(race_of(&finder, COIR_SEC(10), &winner));
    COIR_EXPECT_EQ(winner, 2);
    COIR_EXPECT_EQ(finder.asked[0] - start, 0);
    COIR_EXPECT_EQ(finder.asked[1] - start, COIR_SEC(11));
    COIR_EXPECT_EQ(finder.asked[2] - start, COIR_SEC(12)); /* at once: the second has failed */
    COIR_EXPECT_CODE(finder.calls[0].result, -COIR_ECANCELEDTASK);
}

COIR_TEST(win_ends_the_search)
{
    struct finder finder = {.search = COIR_SEC(5), .known = 3};
    finder.jobs[0] = (struct job){.work = COIR_SEC(2), .result = 7};
    size_t winner = 9;
    coir_time start = coir_now();
    COIR_EXPECT_OK(race_of(&finder, COIR_SEC(1), &winner));
    COIR_EXPECT_EQ(winner, 0);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(7));
    COIR_EXPECT_EQ(finder.asked[1] - start, COIR_SEC(6));
}

COIR_TEST(no_more_ways)
{
    struct finder finder = {.known = 2};
    finder.jobs[0] = (struct job){.result = -EIO};
    finder.jobs[1] = (struct job){.work = COIR_SEC(1), .result = 5};
    size_t winner = 9;
    COIR_EXPECT_OK(race_of(&finder, 0, &winner)); /* waits for those that run */
    COIR_EXPECT_EQ(winner, 1);
    finder.jobs[1].result = -ENOENT;
    COIR_EXPECT_CODE(race_of(&finder, 0, NULL), -EIO);
    finder.known = 0;
    COIR_EXPECT_CODE(race_of(&finder, 0, NULL), -EINVAL);
}

COIR_TEST(failing_search_ends_the_race)
{
    struct finder finder = {.known = 1, .failure = -EMFILE};
    finder.jobs[0] = (struct job){.work = COIR_SEC(60)};
    coir_time start = coir_now();
    COIR_EXPECT_CODE(race_of(&finder, COIR_SEC(1), NULL), -EMFILE);
    COIR_EXPECT_EQ(coir_now() - start, COIR_SEC(1));
    COIR_EXPECT_CODE(finder.calls[0].result, -COIR_ECANCELEDTASK);
}
