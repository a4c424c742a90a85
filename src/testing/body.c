/* body.c: one test in this process: its loop, its main task, and the accounts afterwards.
 *
 * The order matters: the loop's counters are compared while the loop still lives, so that what is
 * left can be named; the library's memory and the process's descriptors when it is closed. A fault
 * is injected into all of it, opening and closing the loop included. A tortured run may refuse to
 * start, and may end early; whatever it does, everything has to be back.
 */
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testing/kit.h"

#define DESCRIPTORS_MOST 1024

struct coir__run coir__run;

static unsigned unmet, problems; /* expectations that failed; everything else that did */
static bool skipped, early;      /* the test ended by COIR_SKIP; by COIR_REQUIRE */
static bool in_use[DESCRIPTORS_MOST];

/* ---- what tests ask and say ---- */

bool coir_test_tortured(void)
{
    return coir__run.point.kind != COIR__KIND_NONE;
}

const char *coir_test_backend(void)
{
    return coir__run.options->backend;
}

uint64_t coir_test_seed(void)
{
    return coir__run.seed;
}

coir_loop_opts coir_test_loop_opts(void)
{
    uint32_t flags = coir__run.test->flags;
    bool sim = strcmp(coir__run.options->backend, "sim") == 0;
    return (coir_loop_opts){
        .backend = coir__run.options->backend,
        .seed = coir__run.seed,
        .virtual_clock = sim || (flags & (COIR__TAG_REAL | COIR__TAG_REAL_CLOCK)) == 0,
        .expects_posts = (flags & COIR__TAG_POSTS) != 0,
        .report = coir__reports_hook,
    };
}

void coir__test_skip(const char *reason, const coir_site *site)
{
    (void)site;
    skipped = true;
    struct coir__outcome *outcome = coir__run.outcome;
    snprintf(outcome->reason, sizeof outcome->reason, "%s", reason);
}

void coir__test_return_early(void)
{
    early = true;
}

const char *coir_test_tmpdir(void)
{
    char *path = coir__run.outcome->tmpdir;
    if (path[0] != '\0')
        return path;
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof coir__run.outcome->tmpdir, "%.90s/coir-test-XXXXXX",
             base != NULL && *base != '\0' ? base : "/tmp");
    if (mkdtemp(path) == NULL)
        path[0] = '\0';
    return path[0] != '\0' ? path : NULL;
}

bool coir__run_unmet(void)
{
    unmet++;
    return !coir_test_tortured() || coir__run.options->verbose;
}

unsigned coir__run_unmet_count(void)
{
    return unmet;
}

void coir__run_problem(const char *format, ...)
{
    problems++;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* ---- the process's descriptors ---- */

/* Calls fn for each open descriptor but the one that the listing itself needs. */
static void each_descriptor(void (*fn)(int fd))
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (entry->d_name[0] != '.' && fd != dirfd(directory) && fd < DESCRIPTORS_MOST)
            fn(fd);
    }
    closedir(directory);
}

static void note_descriptor(int fd)
{
    in_use[fd] = true;
}

static void check_descriptor(int fd)
{
    char link[64], target[128];
    if (in_use[fd]) {
        in_use[fd] = false;
        return;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, target, sizeof target);
    coir__run_problem("left open: descriptor %d (%.*s)", fd, (int)(length > 0 ? length : 0),
                      target);
}

static void check_descriptors(void)
{
    each_descriptor(check_descriptor);
    for (int fd = 0; fd < DESCRIPTORS_MOST; fd++) {
        if (in_use[fd])
            coir__run_problem("descriptor %d was open before the test and is closed now", fd);
    }
}

/* ---- the loop's counters ---- */

static void check_counter(const char *what, uint64_t before, uint64_t after)
{
    if (after != before)
        coir__run_problem("left behind: %s: %" PRIu64 ", and %" PRIu64 " at the beginning", what,
                          after, before);
}

static int print_task(coir_task *task, void *arg)
{
    (void)arg;
    char line[512];
    coir__task_line(task, line, sizeof line);
    fprintf(stderr, "    %s\n", line);
    return 0;
}

/* Lists the tasks of loop, which need not be running: the public way is for running ones only. */
static void print_tasks(struct coir_loop *loop)
{
    struct coir_scope *scope = &loop->root;
    for (; scope != NULL; scope = coir__scope_next(&loop->root, scope)) {
        if (scope->coir__kind == COIR__SCOPE_TASK)
            print_task(scope->coir__owner, NULL);
    }
}

/* Records that the loop itself keeps until it is closed: why it was cancelled, its last failure. */
static uint64_t records_of_loop(const struct coir_loop *loop)
{
    uint64_t count = 0;
    const coir_error *error = loop->root.coir__cause;
    for (; error != NULL; error = coir_error_next(error))
        count++;
    for (error = loop->error; error != NULL; error = coir_error_next(error))
        count++;
    return count;
}

static void check_counters(struct coir_loop *loop, const struct coir_loop_stats *before)
{
    struct coir_loop_stats after;
    coir_loop_stats(loop, &after);
    after.errors -= records_of_loop(loop);
    check_counter("tasks", before->tasks, after.tasks);
    if (after.tasks > before->tasks)
        print_tasks(loop);
    check_counter("handles never joined", before->handles, after.handles);
    check_counter("timers", before->timers, after.timers);
    check_counter("callbacks", before->callbacks, after.callbacks);
    check_counter("operations", before->operations, after.operations);
    check_counter("descriptors of the library", before->descriptors, after.descriptors);
    check_counter("blocks of memory", before->memory, after.memory);
    check_counter("stacks in use", before->stacks, after.stacks);
    check_counter("error records", before->errors, after.errors);
}

/* ---- the run ---- */

/* Whether what is left behind counts in this run. */
static bool is_accountable(void)
{
    return !(coir_test_tortured() && early && (coir__run.test->flags & COIR__TAG_UNTIDY) != 0);
}

/* Whether every call is counted: the slow paths are taken then, which ordinary runs should not. */
static bool is_watched(void)
{
    return coir__run.counting || coir_test_tortured();
}

int coir__run_body(void *arg)
{
    (void)arg;
    coir__run.test->body();
    return 0;
}

/* ---- letting the loop do what needs no task any more ---- */

#define SETTLE_TURNS 4

/* In a run with a fault a task may wait in the kernel for a peer that was the one to fail. That is
 * a deadlock which no loop can prove, so a silence of this length counts as one. A verdict that
 * comes too early only ends the run early: nothing that a tortured run must keep depends on it. */
#define PATIENCE COIR_MS(10)

/* Every loop of a watched run, those included that the test opens itself. */
static void watch_loop(struct coir_loop *loop)
{
    coir__inject_watch(loop);
    if (coir_test_tortured() && !(coir__run.test->flags & COIR__TAG_LIVENESS))
        loop->patience = PATIENCE;
}

/* A callback that comes back for some turns, and then stops the loop. */
struct settling {
    struct coir__ready ready;
    struct coir_loop *loop;
    uint64_t end;
};

static void settle_more(struct coir__ready *ready)
{
    struct settling *settling = coir__container(ready, struct settling, ready);
    if (settling->loop->turns >= settling->end)
        coir_loop_stop(settling->loop);
    else
        coir__ready_push(settling->loop, ready);
}

/* Closes under way and callbacks that are due get some turns; time does not pass. */
static void settle(struct coir_loop *loop)
{
    struct settling settling = {{NULL, settle_more}, loop, loop->turns + SETTLE_TURNS};
    coir__ready_push(loop, &settling.ready);
    coir_loop_run_forever(loop);
}

/* Runs main to its end. After a deadlock the loop has cancelled everything, so main has ended then
 * too. Returns whether it has: a task that not even a cancellation wakes stays for ever. */
static bool run_main(struct coir_loop *loop, struct coir_task *main)
{
    int result = INT_MIN; /* no task's result: one is written only when main has ended */
    int r = coir_loop_run_until(loop, main, &result);
    if (result != INT_MIN)
        return true;
    coir__run_problem("the test never ended: -%s", coir_error_name(r));
    print_tasks(loop);
    return false;
}

/* Returns whether the loop can be closed. */
static bool run_in_loop(struct coir_loop *loop)
{
    struct coir_task *main = NULL;
    struct coir_loop_stats before;
    coir_loop_stats(loop, &before);
    static coir_site site; /* the task is named after the test, and comes from where that stands */
    const coir__test *test = coir__run.test;
    site = (coir_site){test->file, test->name, test->name, test->line};
    int r = coir_loop_spawn_at(loop, coir__run_body, NULL, &main, &site);
    if (r < 0) {
        if (!coir_test_tortured())
            coir__run_problem("the main task could not be started: -%s", coir_error_name(r));
        return true;
    }
    if (!run_main(loop, main))
        return false;
    settle(loop);
    if (is_accountable())
        check_counters(loop, &before);
    return true;
}

static void run_with_loop(void)
{
    coir_loop_opts opts = coir_test_loop_opts();
    struct coir_loop *loop = NULL;
    int r = coir_loop_open(&opts, &loop);
    if (r == 0) {
        r = run_in_loop(loop) ? coir_loop_close(loop) : 0;
        if (r < 0)
            coir__run_problem("the loop could not be closed: -%s", coir_error_name(r));
    } else if (!coir_test_tortured()) {
        coir__run_problem("the loop could not be opened on %s: -%s", opts.backend,
                          coir_error_name(r));
    }
}

/* Says what every task waits for when the runner's patience is at its end. The process is stuck and
 * about to be killed, so nothing is lost by calling what is not meant for signal handlers. */
static void on_time_limit(int number)
{
    (void)number;
    fprintf(stderr, "time limit; the tasks are:\n");
    if (coir__loop != NULL)
        print_tasks(coir__loop);
}

static void finish(struct coir__outcome *outcome)
{
    bool failed = problems > 0 || (unmet > 0 && !coir_test_tortured());
    outcome->verdict = failed ? COIR__FAILED : skipped ? COIR__SKIPPED : COIR__PASSED;
}

void coir__run_test(const struct coir__run *run)
{
    coir__run = *run;
    unmet = problems = 0;
    skipped = early = false;
    memset(in_use, 0, sizeof in_use);
    struct sigaction action = {.sa_handler = on_time_limit};
    sigaction(SIGQUIT, &action, NULL);
    each_descriptor(note_descriptor);
    int64_t blocks = coir__inject_blocks();
    coir__reports_begin();
    coir__inject_begin(&run->point, is_watched());
    coir__loop_opened = is_watched() ? watch_loop : NULL;
    if ((run->test->flags & COIR__TAG_OWN_LOOP) != 0)
        run->test->body();
    else
        run_with_loop();
    coir__loop_opened = NULL;
    coir__inject_end(run->outcome);
    if (is_accountable()) {
        if (coir__inject_blocks() != blocks)
            coir__run_problem("left behind: %" PRId64 " blocks of memory after the loop was closed",
                              coir__inject_blocks() - blocks);
        check_descriptors();
    }
    coir__reports_check();
    coir__reports_end();
    finish(run->outcome);
}
