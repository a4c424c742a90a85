/* bytes.c: coir_test_bytes: a session that is cut, stalled or reset after each byte.
 *
 * Every run has a pair in memory. One end is the program's, in a task of its own, as a listener
 * would run a handler. The other end is played here: so many bytes are sent, then the fault; what
 * the program writes is read and thrown away. After each run the counters are compared, so that
 * what a fault leaves behind is found with the byte that it came after.
 */
#include <inttypes.h>

#include <coir/stream_pair.h>
#include <coir/testing_streams.h>

#include "testing/kit.h"

#define LIMIT COIR_SEC(60)

/* One run of a session. */
struct session_run {
    const coir_byte_session *session;
    size_t sent; /* bytes before the fault */
    coir_fault fault;
    bool one_by_one;
    coir_stream *stream; /* the program's end */
    coir_stream *peer;
};

static const char *const fault_names[] = {"", "cut", "stalled", "reset"};

static int run_program(void *arg)
{
    struct session_run *run = arg;
    COIR_AUTO(coir_stream) *stream = COIR_TAKE(run->stream);
    return run->session->program(stream, run->session->arg);
}

static int read_away(void *arg)
{
    char data[1024];
    size_t n;
    int r;
    while ((r = coir_stream_read(arg, data, sizeof data, &n)) > 0)
        ;
    return r;
}

/* Plays the peer: what it can still send when the program has gone is of no interest. */
static int play(struct session_run *run)
{
    size_t step = run->one_by_one ? 1 : run->sent;
    COIR_TRY(coir_test_wait_all_blocked()); /* both tasks have begun */
    for (size_t at = 0; at < run->sent; at += step) {
        int r = coir_stream_write(run->peer, (const char *)run->session->input + at, step);
        if (r == -ECANCELED || r == -ETIME)
            return r;
        COIR_TRY(coir_test_wait_all_blocked());
    }
    if (run->fault == COIR_FAULT_CUT)
        (void)!coir_stream_shutdown(run->peer);
    else if (run->fault == COIR_FAULT_RESET)
        coir_stream_abort(COIR_TAKE(run->peer));
    return 0;
}

/* Runs it. Returns 1 when the program has ended, 0 when it did not, or why this could not be
 * tried. *ret_result is the program's. */
static int play_with(struct session_run *run, int *ret_result)
{
    coir_time limit = run->session->limit > 0 ? run->session->limit : LIMIT;
    coir_task *program;
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, run_program, run, &program));
    COIR_TRY(coir_spawn(&group, read_away, run->peer, NULL));
    COIR_TRY(play(run));
    COIR_SCOPE(scope, limit);
    int r = coir_join(program, ret_result);
    bool late = coir_scope_expired(&scope);
    coir_scope_leave(&scope);
    (void)coir_group_errors(&group);
    return late ? 0 : r < 0 ? r : 1;
}

static int run_once(struct session_run *run, int *ret_result)
{
    COIR_TRY(coir_stream_pair(0, &run->stream, &run->peer));
    int r = play_with(run, ret_result);
    coir_stream_abort(run->stream); /* when its task never came to take it */
    coir_stream_abort(run->peer);
    return r;
}

/* Returns whether the run was as it should be. */
static bool check_run(const coir_byte_session *session, size_t sent, coir_fault fault,
                      bool one_by_one, bool must_succeed)
{
    struct session_run run = {
        .session = session, .sent = sent, .fault = fault, .one_by_one = one_by_one};
    const char *what = must_succeed ? "whole" : fault_names[fault];
    struct coir_loop_stats before, after;
    int result = 0;
    coir_loop_stats(NULL, &before);
    int r = run_once(&run, &result);
    coir_loop_stats(NULL, &after);
    if (!COIR_EXPECT_OK(r))
        return false;
    if (r == 0)
        return COIR_FAIL("the program still runs long after %zu bytes (%s)", sent, what);
    if (must_succeed && result < 0)
        return COIR_FAIL("the program gave -%s for the whole session%s", coir_error_name(result),
                         one_by_one ? ", byte by byte" : "");
    if (after.memory > before.memory || after.descriptors > before.descriptors ||
        after.tasks > before.tasks || after.timers > before.timers)
        return COIR_FAIL("after %zu bytes (%s) the program has left %" PRIu64 " blocks, %" PRIu64
                         " descriptors, %" PRIu64 " tasks",
                         sent, what, after.memory - before.memory,
                         after.descriptors - before.descriptors, after.tasks - before.tasks);
    return true;
}

void coir_test_bytes(const coir_byte_session *session)
{
    if (!check_run(session, session->length, COIR_FAULT_CUT, false, true) ||
        !check_run(session, session->length, COIR_FAULT_CUT, true, true))
        return;
    static const coir_fault faults[] = {COIR_FAULT_CUT, COIR_FAULT_STALL, COIR_FAULT_RESET};
    for (size_t i = 0; i < COIR_COUNT(faults); i++)
        for (size_t sent = 0; sent <= session->length; sent++)
            if (!check_run(session, sent, faults[i], false, false))
                break; /* one example of each fault is enough */
}
