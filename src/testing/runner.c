/* runner.c: runs what the command line asks for, several processes at once.
 *
 * An entry is one test, once (--repeat makes several). Without torture it is one run. With torture
 * it is a run that counts, and then one run for each point; the points are made up one by one as
 * slots become free, so that a complete torture needs no list. Everything happens in one loop:
 * start what fits, wait for SIGCHLD or the next time limit, collect.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "testing/kit.h"

#define SAMPLE_MOST 4  /* points of one kind in one test */
#define FULL_MOST 4096 /* the same, in the complete torture */
#define SLOW_MOST 1024 /* and there of a slow test */
#define FAULTS_MOST 5  /* failed points of one test, then the rest is left */
#define LIMIT_DEFAULT COIR_SEC(10)

enum stage { WAITING, BASE, POINTS, ENDED };

struct entry {
    coir__test *test;
    uint64_t seed;
    enum stage stage;
    unsigned running; /* processes */
    unsigned faults;
    bool skipped;
    struct coir__counts counts; /* of the base run */
    enum coir__kit_kind kind;   /* of the next point */
    uint64_t index;             /* of the next point, in the sample */
    uint64_t points;            /* run so far */
    coir_time started;
    char reason[160];
};

static struct runner {
    const struct coir__kit_options *options;
    struct entry *entries;
    size_t entry_count, next; /* entries before next have been started */
    size_t oldest;            /* entries before it have ended */
    struct coir__job *jobs;
    size_t job_count, running;
    unsigned passed, failed, skipped;
    uint64_t points;
    sigset_t signals;
} runner;

/* ---- which run comes next ---- */

static bool is_tortured(const struct entry *entry)
{
    enum coir__kit_torture torture = runner.options->torture;
    uint32_t flags = entry->test->flags;
    return torture != COIR__TORTURE_NONE && (flags & COIR__TAG_NO_TORTURE) == 0 &&
           (torture == COIR__TORTURE_FULL || (flags & COIR__TAG_SLOW) == 0);
}

/* How many points of one kind are taken. The complete torture takes all of them, up to a bound:
 * each point is a run of the whole test, and a test that polls while others work has any number.
 * What a sample leaves out is another part each time the shift is another one. */
static uint64_t most_points(const struct entry *entry)
{
    if (runner.options->torture != COIR__TORTURE_FULL)
        return SAMPLE_MOST;
    return entry->test->flags & COIR__TAG_SLOW ? SLOW_MOST : FULL_MOST;
}

/* Takes the next point of an entry. Returns false when there is none. */
static bool next_point(struct entry *entry, struct coir__point *ret_point)
{
    uint64_t most = most_points(entry);
    for (; entry->kind < COIR__KIND_COUNT; entry->kind++, entry->index = 0) {
        if ((runner.options->kinds & (1U << entry->kind)) == 0)
            continue;
        uint64_t total = coir__plan_total(&entry->counts, entry->kind);
        uint64_t index = coir__plan_sample(total, most, entry->index++, runner.options->shift);
        if (index != UINT64_MAX) {
            *ret_point = coir__plan_point(&entry->counts, entry->kind, index);
            return true;
        }
    }
    return false;
}

/* The next run of an entry that has started. */
static bool next_of(struct entry *entry, struct coir__run *run)
{
    if (entry->stage != POINTS || entry->faults >= FAULTS_MOST || !next_point(entry, &run->point))
        return false;
    run->counting = false;
    entry->points++;
    return true;
}

/* Finds the next run. Returns its entry, or NULL when nothing can be started now. */
static struct entry *next_run(struct coir__run *run)
{
    *run = (struct coir__run){.options = runner.options};
    for (size_t i = runner.oldest; i < runner.next; i++) {
        if (next_of(&runner.entries[i], run))
            return &runner.entries[i];
    }
    if (runner.next == runner.entry_count)
        return NULL;
    struct entry *entry = &runner.entries[runner.next++];
    entry->stage = BASE;
    entry->started = coir__clock();
    run->point = runner.options->point;
    run->counting = is_tortured(entry);
    return entry;
}

void coir__runner_close_outputs(void)
{
    for (size_t i = 0; i < runner.job_count; i++) {
        if (runner.jobs[i].output >= 0)
            close(runner.jobs[i].output);
    }
}

static coir_time limit_of(const coir__test *test)
{
    coir_time limit = test->limit > 0 ? (coir_time)test->limit * COIR_SEC(1) : LIMIT_DEFAULT;
    return (coir_time)((double)limit * runner.options->multiplier);
}

/* Fills the free slots. Returns 0, or -errno when no process can be made. */
static int start_jobs(void)
{
    for (size_t i = 0; i < runner.job_count; i++) {
        struct coir__job *job = &runner.jobs[i];
        struct coir__run run;
        if (job->pid != 0)
            continue;
        struct entry *entry = next_run(&run);
        if (entry == NULL)
            return 0;
        run.test = entry->test;
        run.seed = entry->seed;
        job->run = run;
        job->entry = (size_t)(entry - runner.entries);
        job->limit = limit_of(entry->test);
        int r = coir__job_start(job);
        if (r < 0)
            return r;
        entry->running++;
        runner.running++;
    }
    return 0;
}

/* ---- the end of runs and entries ---- */

static void say_result(const struct entry *entry, const char *word)
{
    if (!runner.options->verbose)
        return;
    double seconds = (double)(coir__clock() - entry->started) / 1e9;
    printf("%-7s %s (%.3f s", word, entry->test->full_name, seconds);
    if (entry->points > 0)
        printf(", %" PRIu64 " points", entry->points);
    printf(")%s%s\n", entry->reason[0] != '\0' ? ": " : "", entry->reason);
}

static void end_entry(struct entry *entry)
{
    entry->stage = ENDED;
    runner.points += entry->points;
    if (entry->faults > 0)
        runner.failed++;
    else if (entry->skipped)
        runner.skipped++;
    else
        runner.passed++;
    if (entry->faults >= FAULTS_MOST && entry->points > 0)
        printf("FAILED %s: after %d points the others were left\n", entry->test->full_name,
               FAULTS_MOST);
    if (entry->faults == 0)
        say_result(entry, entry->skipped ? "skipped" : "ok");
    while (runner.oldest < runner.entry_count && runner.entries[runner.oldest].stage == ENDED)
        runner.oldest++;
}

/* Whether an entry has points left. Looks ahead without taking one. */
static bool has_more(const struct entry *entry)
{
    struct entry copy = *entry;
    struct coir__run run;
    return next_of(&copy, &run);
}

/* A run has ended well or badly: on to the points, or to the end. */
static void advance(struct entry *entry, const struct coir__job *job)
{
    bool good = coir__job_good(job);
    if (!good) {
        entry->faults++;
        coir__job_explain(job);
    } else if (entry->stage == BASE && runner.options->verbose) {
        coir__job_show(job);
    }
    if (runner.options->point.kind != COIR__KIND_NONE && !job->outcome->reached)
        printf("%s: the run ended before that point\n", entry->test->full_name);
    if (entry->stage == BASE) {
        entry->skipped = good && job->outcome->verdict == COIR__SKIPPED;
        memcpy(entry->reason, job->outcome->reason, sizeof entry->reason);
        entry->counts = job->outcome->counts;
        entry->kind = COIR__KIND_NONE + 1;
        if (good && !entry->skipped && job->run.counting)
            entry->stage = POINTS;
    }
    entry->running--;
    if (entry->running == 0 && !has_more(entry))
        end_entry(entry);
}

static void collect_jobs(void)
{
    for (size_t i = 0; i < runner.job_count; i++) {
        struct coir__job *job = &runner.jobs[i];
        if (job->pid == 0 || waitpid(job->pid, &job->status, WNOHANG) != job->pid)
            continue;
        runner.running--;
        advance(&runner.entries[job->entry], job);
        coir__job_clean(job);
    }
    fflush(stdout);
}

/* ---- waiting ---- */

/* Signals the processes whose time is up. Returns when the next one's will be. */
static coir_time enforce_limits(void)
{
    coir_time now = coir__clock(), next = COIR_FOREVER;
    for (size_t i = 0; i < runner.job_count; i++) {
        struct coir__job *job = &runner.jobs[i];
        if (job->pid == 0)
            continue;
        /* between asking what it waits for, and killing it; a busy machine is slow to tell */
        coir_time grace = job->limit / 10 > COIR_SEC(2) ? job->limit / 10 : COIR_SEC(2);
        coir_time due = job->started + job->limit + job->signals * grace;
        if (now >= due && job->signals < 2) {
            (void)kill(job->signals == 0 ? job->pid : -job->pid,
                       job->signals == 0 ? SIGQUIT : SIGKILL);
            job->signals++;
            due += grace;
        }
        if (job->signals < 2 && due < next)
            next = due;
    }
    return next;
}

/* Sleeps until a child has ended or a limit is reached. Returns 0, or the signal that ends us. */
static int wait_for_jobs(void)
{
    coir_time next = enforce_limits(), left = COIR_SEC(3600);
    if (next != COIR_FOREVER)
        left = next - coir__clock();
    if (left < 0)
        left = 0;
    struct timespec timeout = {.tv_sec = left / COIR_SEC(1), .tv_nsec = left % COIR_SEC(1)};
    int number = sigtimedwait(&runner.signals, NULL, &timeout);
    return number == SIGINT || number == SIGTERM ? number : 0;
}

static void kill_jobs(void)
{
    for (size_t i = 0; i < runner.job_count; i++) {
        struct coir__job *job = &runner.jobs[i];
        if (job->pid != 0) {
            (void)kill(-job->pid, SIGKILL);
            (void)waitpid(job->pid, &job->status, 0);
            coir__job_clean(job);
        }
    }
}

/* Returns 0, the signal that interrupted it, or -errno. */
static int run_all(void)
{
    sigset_t before;
    sigemptyset(&runner.signals);
    sigaddset(&runner.signals, SIGCHLD);
    sigaddset(&runner.signals, SIGINT);
    sigaddset(&runner.signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &runner.signals, &before);
    int r = start_jobs();
    while (r == 0 && runner.running > 0) {
        r = wait_for_jobs();
        collect_jobs();
        if (r == 0)
            r = start_jobs();
    }
    kill_jobs();
    sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

/* One after the other in this process. */
static void run_here(void)
{
    for (size_t i = 0; i < runner.entry_count; i++) {
        struct entry *entry = &runner.entries[i];
        struct coir__outcome outcome = {.verdict = COIR__UNFINISHED};
        struct coir__run run = {.test = entry->test,
                                .options = runner.options,
                                .point = runner.options->point,
                                .seed = entry->seed,
                                .outcome = &outcome};
        entry->started = coir__clock();
        if (entry->stage == ENDED)
            continue;
        fflush(NULL);
        coir__run_test(&run);
        coir__remove_tree(outcome.tmpdir);
        entry->faults = outcome.verdict == COIR__FAILED;
        entry->skipped = outcome.verdict == COIR__SKIPPED;
        memcpy(entry->reason, outcome.reason, sizeof entry->reason);
        if (entry->faults > 0)
            printf("FAILED %s (%s, seed %" PRIu64 ")\n", entry->test->full_name,
                   runner.options->backend, entry->seed);
        end_entry(entry);
    }
}

/* ---- from beginning to end ---- */

static uint64_t seed_of(const coir__test *test, unsigned repetition)
{
    const struct coir__kit_options *options = runner.options;
    bool tortured =
        options->torture != COIR__TORTURE_NONE || options->point.kind != COIR__KIND_NONE;
    if ((test->flags & COIR__TAG_FIFO) != 0 || (tortured && !options->seeded))
        return 0;
    return options->seed != 0 ? options->seed + repetition : 0;
}

static void add_entry(coir__test *test, unsigned repetition)
{
    struct entry *entry = &runner.entries[runner.entry_count++];
    *entry = (struct entry){.test = test, .seed = seed_of(test, repetition)};
    const char *obstacle = coir__tests_obstacle(test, runner.options);
    if (obstacle != NULL) {
        snprintf(entry->reason, sizeof entry->reason, "%s", obstacle);
        entry->skipped = true;
    }
}

/* Makes the entries, and the slots for their processes. Returns 0, or -errno. */
static int prepare(size_t test_count)
{
    const struct coir__kit_options *options = runner.options;
    runner.entries = calloc(test_count * options->repeat + 1, sizeof *runner.entries);
    runner.jobs = calloc(options->jobs, sizeof *runner.jobs);
    if (runner.entries == NULL || runner.jobs == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < options->repeat; i++) {
        for (coir__test *test = coir__tests_first(); test != NULL; test = test->next) {
            if (coir__tests_wanted(test, options))
                add_entry(test, i);
        }
    }
    for (; runner.job_count < options->jobs; runner.job_count++) {
        int r = coir__job_open(&runner.jobs[runner.job_count]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Skips what cannot run here, and keeps the others. */
static void skip_entries(void)
{
    size_t kept = 0, count = runner.entry_count;
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = &runner.entries[i];
        if (entry->skipped) {
            runner.skipped++;
            say_result(entry, "skipped");
        } else {
            runner.entries[kept++] = *entry;
        }
    }
    runner.entry_count = kept;
}

static void release(void)
{
    for (size_t i = 0; i < runner.job_count; i++)
        coir__job_close(&runner.jobs[i]);
    free(runner.jobs);
    free(runner.entries);
}

static int list_tests(void)
{
    for (size_t i = 0; i < runner.entry_count; i++) {
        const coir__test *test = runner.entries[i].test;
        printf("%s%s%s\n", test->full_name, test->tags[0] != '\0' ? "  " : "", test->tags);
    }
    return 0;
}

static int run_entries(void)
{
    skip_entries();
    int r = 0;
    if (runner.options->no_fork)
        run_here();
    else
        r = run_all();
    if (r != 0) {
        fprintf(stderr, "%s: %s\n", runner.options->program,
                r < 0 ? coir_error_text(r) : "interrupted");
        return r < 0 ? 1 : 128 + r;
    }
    if (runner.points > 0)
        printf("%" PRIu64 " points of torture\n", runner.points);
    printf("%u passed, %u failed", runner.passed, runner.failed);
    if (runner.skipped > 0)
        printf(", %u skipped", runner.skipped);
    printf("\n");
    return runner.failed > 0 ? 1 : 0;
}

int coir__runner_main(const struct coir__kit_options *options)
{
    struct runner outer = runner; /* a test can run the runner */
    runner = (struct runner){.options = options};
    int count = coir__tests_prepare(), code;
    if (count < 0) {
        code = 2;
    } else if (prepare((size_t)count) < 0) {
        fprintf(stderr, "%s: no memory\n", options->program);
        code = 1;
    } else if (options->list) {
        code = list_tests();
    } else if (runner.entry_count == 0) {
        printf("no test has such a name\n0 passed, 0 failed\n");
        code = 1;
    } else {
        code = run_entries();
    }
    release();
    runner = outer;
    fflush(stdout);
    return code;
}

/* Says how it is with the backend that the tests would run on. Returns the exit code. */
static int show_backend(void)
{
    coir_loop *loop = NULL;
    int r = coir_loop_open(NULL, &loop);
    (void)coir_loop_close(loop);
    const struct coir_info *info = coir_info();
    printf("%s: %s\n", info->backend, info->backend_why);
    return r < 0;
}

int coir_test_main(int argc, char **argv)
{
    struct coir__kit_options options;
    int r = coir__options_read(&options, argc, argv);
    if (r != 0)
        return r > 0 ? 0 : 2;
    return options.works ? show_backend() : coir__runner_main(&options);
}
