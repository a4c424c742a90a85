/* kit.h: the inside of the test kit: what a run is, what is injected into it, and what comes out.
 *
 * The runner (runner.c) forks one process per run. In that process body.c opens a loop, runs the
 * test and checks that everything is back; inject.c counts what happens and makes one thing fail;
 * expect.c and report.c collect complaints. The outcome travels back in shared memory. plan.c turns
 * the counts of a clean run into the points that a torture injects.
 */
#ifndef COIR_TESTING_KIT_H
#define COIR_TESTING_KIT_H

#include <coir/testing.h>

#include "core/core.h"
#include "core/sys.h"

/* The tags of a test, as bits of coir__test.flags. */
enum coir__kit_tag {
    COIR__TAG_REAL = 1 << 0,
    COIR__TAG_REAL_CLOCK = 1 << 1,
    COIR__TAG_POSTS = 1 << 2,
    COIR__TAG_FIFO = 1 << 3,
    COIR__TAG_OWN_LOOP = 1 << 4,
    COIR__TAG_EXPECT_REPORTS = 1 << 5,
    COIR__TAG_LIVENESS = 1 << 6,
    COIR__TAG_UNTIDY = 1 << 7,
    COIR__TAG_NO_TORTURE = 1 << 8,
    COIR__TAG_SLOW = 1 << 9,
    COIR__TAG_META = 1 << 10,
};

/* ---- what is injected ---- */

enum coir__kit_kind {
    COIR__KIND_NONE,
    COIR__KIND_CANCEL,        /* the task that enters its suspending call is cancelled */
    COIR__KIND_TIMEOUT,       /* the same with an expiry */
    COIR__KIND_ALLOC,         /* one allocation fails */
    COIR__KIND_ALLOC_FOREVER, /* it and all that follow fail */
    COIR__KIND_SYSCALL,       /* one system call fails */
    COIR__KIND_SHORT,         /* one transfer is shortened to a byte */
    COIR__KIND_COUNT
};

/* One place of a run, and what happens there. */
struct coir__point {
    enum coir__kit_kind kind;
    enum coir__sys_call call; /* of SYSCALL and SHORT */
    int error;                /* of SYSCALL: a positive errno */
    uint64_t n;               /* the n-th park, allocation or call of the run; from 1 */
};

/* How often each thing happened that can be made to fail. */
struct coir__counts {
    uint64_t parks, allocations;
    uint64_t calls[COIR__SYS_COUNT], transfers[COIR__SYS_COUNT];
};

/* ---- what comes out ---- */

enum coir__kit_verdict { COIR__UNFINISHED, COIR__PASSED, COIR__FAILED, COIR__SKIPPED };

/* In memory shared with the runner. */
struct coir__outcome {
    enum coir__kit_verdict verdict;
    bool reached; /* the point was */
    struct coir__counts counts;
    char reason[160]; /* of SKIPPED */
    char tmpdir[128]; /* to be removed; empty: none */
};

/* ---- what was asked for ---- */

enum coir__kit_torture { COIR__TORTURE_NONE, COIR__TORTURE_SAMPLE, COIR__TORTURE_FULL };

struct coir__kit_options {
    const char *program, *backend;
    unsigned jobs, repeat;
    bool list, verbose, no_fork, no_exit_handlers, works;
    bool seeded; /* by the user: torture too uses the seed */
    uint64_t seed;
    enum coir__kit_torture torture;
    unsigned kinds;           /* bits 1 << enum coir__kit_kind */
    struct coir__point point; /* of --torture-point */
    double multiplier;        /* of time limits */
    uint64_t shift;           /* of samples */
    char **filters;
    int filter_count;
};

/* Reads the command line and the environment. Returns 0, 1 for --help, or -1 after a complaint. */
int coir__options_read(struct coir__kit_options *options, int argc, char **argv);

/* ---- the tests of the program (tests.c) ---- */

/* Names, sorts and checks all tests. Returns how many there are, or -1 after a complaint. */
int coir__tests_prepare(void);
coir__test *coir__tests_first(void);
/* Whether the filters of the command line ask for test. */
bool coir__tests_wanted(const coir__test *test, const struct coir__kit_options *options);
/* Why test cannot run here; NULL when it can. */
const char *coir__tests_obstacle(const coir__test *test, const struct coir__kit_options *options);

/* ---- running one test in this process (body.c) ---- */

/* One run of one test. */
struct coir__run {
    const coir__test *test;
    const struct coir__kit_options *options;
    struct coir__point point;
    uint64_t seed;
    bool counting; /* the base run of a torture */
    struct coir__outcome *outcome;
};

/* The run of this process; test is NULL in the runner. */
extern struct coir__run coir__run;

/* Runs it; the verdict is in its outcome. */
void coir__run_test(const struct coir__run *run);
/* The main task's function. */
int coir__run_body(void *arg);
/* Writes a complaint that fails the run, also a tortured one. */
void coir__run_problem(const char *format, ...) COIR__PRINTF(1, 2);
/* Counts a failed expectation; false: the run is tortured, say nothing. */
bool coir__run_unmet(void);
/* How many there were so far. */
unsigned coir__run_unmet_count(void);

/* ---- injection (inject.c) ---- */

/* From now on counts, system calls only with watch, and makes point fail. */
void coir__inject_begin(const struct coir__point *point, bool watch);
void coir__inject_end(struct coir__outcome *outcome);
/* Watches the suspending calls of loop. */
void coir__inject_watch(struct coir_loop *loop);
/* Blocks that the library holds, those of loops included. */
int64_t coir__inject_blocks(void);

/* ---- reports (report.c) ---- */

void coir__reports_begin(void);
void coir__reports_hook(const coir_report *report, void *arg);
/* Complains about the reports that nobody expected. */
void coir__reports_check(void);
void coir__reports_end(void);

/* ---- points (plan.c) ---- */

extern const char *const coir__kind_names[COIR__KIND_COUNT];
/* How many points of a kind a run with these counts has. */
uint64_t coir__plan_total(const struct coir__counts *counts, enum coir__kit_kind kind);
/* Of total points the index of the i-th that is taken, most at most; UINT64_MAX after the last. */
uint64_t coir__plan_sample(uint64_t total, uint64_t most, uint64_t i, uint64_t shift);
/* The point with an index below coir__plan_total. */
struct coir__point coir__plan_point(const struct coir__counts *counts, enum coir__kit_kind kind,
                                    uint64_t index);
size_t coir__plan_format(const struct coir__point *point, char *text, size_t size);
/* Reads what coir__plan_format wrote. Returns 0, or -EINVAL. */
int coir__plan_parse(const char *text, struct coir__point *ret_point);

/* ---- the runner (runner.c, job.c) ---- */

/* One process that runs one test. */
struct coir__job {
    struct coir__run run;
    size_t entry; /* whose it is */
    int pid;      /* 0: the slot is free */
    int output;   /* what it prints */
    int status;   /* of waitpid */
    coir_time started, limit;
    int signals; /* sent because of the time limit */
    struct coir__outcome *outcome;
};

/* Gives a slot its memory. Returns 0, or -errno. */
int coir__job_open(struct coir__job *job);
void coir__job_close(struct coir__job *job);
/* Forks a process for job->run. Returns 0, or -errno. */
int coir__job_start(struct coir__job *job);
/* Whether the run has ended as it should: passed, or skipped. */
bool coir__job_good(const struct coir__job *job);
/* Prints what it printed, indented. */
void coir__job_show(const struct coir__job *job);
/* Prints why it failed, what it printed, and how to run it again. */
void coir__job_explain(const struct coir__job *job);
/* What is left after it: its other processes and its directory. */
void coir__job_clean(struct coir__job *job);
/* Removes a directory and all that is in it. */
void coir__remove_tree(const char *path);

/* In a child: closes what belongs to the runner, so that the numbers of the descriptors which a
 * test gets do not depend on what else runs. */
void coir__runner_close_outputs(void);
/* Runs all that was asked for. Returns the exit code. */
int coir__runner_main(const struct coir__kit_options *options);

#endif
