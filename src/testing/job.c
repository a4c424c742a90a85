/* job.c: one process that runs one test, as the runner sees it.
 *
 * The process leads a process group of its own, so that nothing it started survives it, and dies
 * with the runner. What it prints goes to a file in memory, shown when it has failed; its outcome
 * comes back in shared memory. A process that ends without a verdict has crashed.
 */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "testing/kit.h"

#define OUTPUT_SHOWN 65536 /* bytes of what a failed test printed; the end is kept */

int coir__job_open(struct coir__job *job)
{
    *job = (struct coir__job){.output = -1};
    void *memory =
        mmap(NULL, sizeof *job->outcome, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    job->outcome = memory;
    return 0;
}

void coir__job_close(struct coir__job *job)
{
    munmap(job->outcome, sizeof *job->outcome);
}

/* Descriptors 0, 1 and 2 of the child. */
static void redirect(int output)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    setvbuf(stdout, NULL, _IOLBF, 0);
}

/* A test begins alike wherever the runner was started: who starts it in the background, or so that
 * it survives the terminal, has had it ignore what ends programs. */
static void restore_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT};
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (size_t i = 0; i < COIR_COUNT(numbers); i++)
        sigaction(numbers[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Each there only where the program has such a sanitizer. */
extern void __sanitizer_print_stack_trace(void) __attribute__((weak));
extern void __lsan_do_leak_check(void) __attribute__((weak));

/* The exit handlers of all libraries that a program has are most of what a short test takes. Leaks
 * are looked for without them; what other sanitizers have to say they say there. */
static void __attribute__((noreturn)) end_child(const struct coir__run *run, int status)
{
    bool tortured = run->point.kind != COIR__KIND_NONE;
    fflush(NULL);
    if (!tortured && !run->options->no_exit_handlers)
        exit(status);
    if (__lsan_do_leak_check != NULL)
        __lsan_do_leak_check();
    else if (__sanitizer_print_stack_trace != NULL)
        exit(status);
    _exit(status);
}

static void __attribute__((noreturn)) run_child(struct coir__job *job, pid_t runner)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != runner)
        _exit(1);
    redirect(job->output);
    coir__runner_close_outputs();
    restore_signals();
    coir__run_test(&job->run);
    end_child(&job->run, job->outcome->verdict == COIR__FAILED ? 1 : 0);
}

int coir__job_start(struct coir__job *job)
{
    int output = memfd_create("test output", MFD_CLOEXEC);
    if (output < 0)
        return -errno;
    memset(job->outcome, 0, sizeof *job->outcome);
    job->run.outcome = job->outcome;
    job->output = output;
    job->signals = 0;
    job->started = coir__clock();
    fflush(NULL);
    pid_t runner = getpid(), pid = fork();
    if (pid == 0)
        run_child(job, runner);
    if (pid < 0) {
        int error = errno;
        close(output);
        job->output = -1;
        return -error;
    }
    setpgid(pid, pid); /* here too: the first signal to the group may come before the child runs */
    job->pid = pid;
    return 0;
}

bool coir__job_good(const struct coir__job *job)
{
    return WIFEXITED(job->status) && WEXITSTATUS(job->status) == 0 && job->signals == 0 &&
           (job->outcome->verdict == COIR__PASSED || job->outcome->verdict == COIR__SKIPPED);
}

/* ---- explaining a failure ---- */

static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGILL, "SIGILL"},
        {SIGINT, "SIGINT"},   {SIGKILL, "SIGKILL"}, {SIGPIPE, "SIGPIPE"}, {SIGQUIT, "SIGQUIT"},
        {SIGSEGV, "SIGSEGV"}, {SIGSYS, "SIGSYS"},   {SIGTERM, "SIGTERM"}, {SIGTRAP, "SIGTRAP"},
    };
    for (size_t i = 0; i < COIR_COUNT(names); i++) {
        if (names[i].number == number)
            return names[i].name;
    }
    return "a signal";
}

static void explain_end(const struct coir__job *job, char *text, size_t size)
{
    if (job->signals > 0)
        snprintf(text, size, "time limit of %g s", (double)job->limit / 1e9);
    else if (WIFSIGNALED(job->status))
        snprintf(text, size, "crashed by %s (%d)", signal_name(WTERMSIG(job->status)),
                 WTERMSIG(job->status));
    else if (job->outcome->verdict == COIR__UNFINISHED)
        snprintf(text, size, "exit status %d before the test was over", WEXITSTATUS(job->status));
    else if (job->outcome->verdict != COIR__FAILED)
        snprintf(text, size, "exit status %d after the test: a sanitizer's or valgrind's?",
                 WEXITSTATUS(job->status));
    else
        text[0] = '\0';
}

void coir__job_show(const struct coir__job *job)
{
    static char data[OUTPUT_SHOWN];
    int output = job->output;
    off_t end = lseek(output, 0, SEEK_END);
    off_t from = end > OUTPUT_SHOWN ? end - OUTPUT_SHOWN : 0;
    ssize_t length = pread(output, data, sizeof data, from);
    bool new_line = true;
    if (from > 0)
        printf("    (%" PRIdMAX " bytes before this are not shown)\n", (intmax_t)from);
    for (ssize_t i = 0; i < length; i++) {
        if (new_line)
            fputs("    ", stdout);
        putchar(data[i]);
        new_line = data[i] == '\n';
    }
    if (!new_line)
        putchar('\n');
}

void coir__job_explain(const struct coir__job *job)
{
    const struct coir__kit_options *options = job->run.options;
    const char *name = job->run.test->full_name;
    char point[64] = "", end[96];
    if (job->run.point.kind != COIR__KIND_NONE)
        coir__plan_format(&job->run.point, point, sizeof point);
    explain_end(job, end, sizeof end);
    printf("FAILED %s (%s, seed %" PRIu64 "%s%s)%s%s\n", name, options->backend, job->run.seed,
           point[0] != '\0' ? ", torture " : "", point, end[0] != '\0' ? ": " : "", end);
    coir__job_show(job);
    printf("    again: %s --backend %s --seed %" PRIu64 "%s%s %s\n", options->program,
           options->backend, job->run.seed, point[0] != '\0' ? " --torture-point=" : "", point,
           name);
}

/* ---- afterwards ---- */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status, (void)kind, (void)at;
    return remove(path);
}

void coir__remove_tree(const char *path)
{
    if (path[0] != '\0')
        (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void coir__job_clean(struct coir__job *job)
{
    (void)kill(-job->pid, SIGKILL);
    coir__remove_tree(job->outcome->tmpdir);
    close(job->output);
    job->output = -1;
    job->pid = 0;
}
