/* io_process_stuck.c: a test of processes that have been killed and cannot be reaped, since another
 * program traces them: what they do to the end of a loop.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <coir/process.h>
#include <coir/testing.h>

/* A process that nobody can reap for a while: another one traces it. */
static pid_t trace(pid_t traced)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    pid_t tracer = fork();
    if (tracer == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        char seized = ptrace(PTRACE_SEIZE, traced, NULL, NULL) == 0;
        (void)!write(fds[1], &seized, 1);
        for (;;)
            pause();
    }
    char seized = 0;
    if (tracer > 0 && read(fds[0], &seized, 1) == 1 && !seized) {
        kill(tracer, SIGKILL);
        (void)waitpid(tracer, NULL, 0);
        tracer = 0;
    }
    close(fds[0]);
    close(fds[1]);
    return tracer;
}

enum { TRACED = 5 };

struct traced {
    coir_process *processes[TRACED];
    pid_t tracers[TRACED];
    struct timespec left;
};

static int leave_traced(void *arg)
{
    struct traced *traced = arg;
    for (int i = 0; i < TRACED; i++) {
        coir_process_opts opts = {.argv = COIR_ARGV("sleep", "1000"), .grace = -1};
        COIR_TRY(coir_process_start(&opts, &traced->processes[i]));
        traced->tracers[i] = trace(coir_process_pid(traced->processes[i]));
        if (traced->tracers[i] <= 0)
            return -ENOSYS;
    }
    coir_process_close(COIR_TAKE(traced->processes[0])); /* in vain: it is left to the loop */
    clock_gettime(CLOCK_MONOTONIC, &traced->left);
    return 0;
}

/* What cannot be reaped holds up the end of a loop for a second, however many there are. */
COIR_TEST_TAGGED(a_loop_closes_before_its_processes, "own_loop,expect_reports,no_torture,limit=30")
{
    struct traced traced = {0};
    coir_loop_opts opts = coir_test_loop_opts();
    struct timespec now;
    int r = coir_run(leave_traced, &traced, &opts, NULL);
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (int i = 0; i < TRACED; i++) {
        if (traced.tracers[i] > 0) {
            kill(traced.tracers[i], SIGKILL);
            (void)waitpid(traced.tracers[i], NULL, 0);
        }
        coir_process_close(traced.processes[i]);
    }
    while (waitpid(-1, NULL, 0) > 0) /* the loop has given up on them */
        ;
    if (r == -ENOSYS)
        COIR_SKIP("nothing can be traced here");
    COIR_REQUIRE_OK(r);
    COIR_EXPECT_LT(now.tv_sec - traced.left.tv_sec, TRACED - 1);
}
