/* process.c: handles of processes: making them, waiting, signals, the end.
 *
 * A process is watched by one poll of its descriptor while somebody waits for it, and no longer: so
 * a handle alone keeps no loop from ending. Whoever finds that it has ended reaps it and keeps the
 * status; all waiters get it. The leader of a group is only looked at then, and reaped when its
 * handle ends: until then nobody else gets its number, and what it left of its group is reached by
 * it. A handle that was closed while its process could not be killed, or
 * while the backend still has its poll, is freed by that poll's completion.
 *
 * All processes of the program are in one list, so that a loop which closes leaves none behind.
 * Called by user code and run.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/process.h>

#include "io/descriptor/file.h"
#include "io/stream/outside.h"
#include "io/process/process.h"
#include "io/process/sys.h"

_Static_assert(sizeof(coir_process_status) == 4 * sizeof(int), "programs embed it");

#define LINGER COIR_SEC(1)
#define SEARCHED "/usr/local/bin:/usr/bin:/bin" /* without a PATH */

struct coir_process {
    struct coir_process *next, *previous; /* of all; under the lock */
    struct coir_loop *loop;               /* NULL: it was closed */
    int pidfd;
    pid_t pid;
    bool leads; /* a group of its own */
    coir_time grace;
    coir_stream *in, *out, *err;
    bool ended, closed;
    bool kept;  /* it has ended, and is not reaped yet: the number is that of its group */
    int result; /* of a wait when it has ended: 0, or why nobody knows the status */
    coir_process_status status;
    struct coir__op watch;
    struct coir__waitlist waiters;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct coir_process *all;

/* ---- starting ---- */

static bool is_program(const char *directory, size_t length)
{
    return length > 0 && directory[0] == '/';
}

/* Where a program may be: one block of pointers and, behind them, texts. NULL: no memory. */
static const char **search(const char *program)
{
    const char *path = strchr(program, '/') != NULL ? NULL : getenv("PATH");
    path = path != NULL ? path : SEARCHED;
    size_t count = 2, room = strlen(path) + 1;
    for (const char *at = path; (at = strchr(at, ':')) != NULL; at++)
        count++;
    room += count * (strlen(program) + 2);
    const char **paths = coir__alloc(count * sizeof *paths + room);
    if (paths == NULL)
        return NULL;
    char *text = (char *)(paths + count);
    size_t found = 0;
    if (strchr(program, '/') != NULL) {
        paths[found++] = program;
        path = "";
    }
    for (const char *at = path; *program != '\0' && *at != '\0';) {
        size_t length = strcspn(at, ":");
        if (is_program(at, length)) {
            paths[found++] = text;
            text +=
                snprintf(text, length + strlen(program) + 2, "%.*s/%s", (int)length, at, program) +
                1;
        }
        at += length + (at[length] == ':');
    }
    paths[found] = NULL;
    return paths;
}

/* Decides on one standard descriptor of the child. *ret_mine is to be closed when it was started.
 */
static int open_end(int wanted, int number, int *ret_childs, int *ret_mine, coir_stream **ret_ours)
{
    int r = 0;
    *ret_childs = *ret_mine = -1;
    if (wanted == COIR_PIPE)
        r = coir__outside_pipe(number == 0, ret_mine, ret_ours);
    else if (wanted == COIR_DEV_NULL)
        r = *ret_mine = coir__sys_open_device("/dev/null", O_RDWR);
    else if (wanted > 0)
        *ret_childs = wanted;
    else if (wanted != 0 && wanted != COIR_INHERIT && !(wanted == COIR_TO_OUT && number == 2))
        return -EINVAL;
    if (*ret_mine >= 0)
        *ret_childs = *ret_mine;
    return r < 0 ? r : 0;
}

static void close_streams(struct coir_process *process)
{
    coir_stream_close(COIR_TAKE(process->in));
    coir_stream_close(COIR_TAKE(process->out));
    coir_stream_close(COIR_TAKE(process->err));
}

static int launch(struct coir_process *process, const coir_process_opts *opts, const char **paths,
                  enum coir__launch_step *ret_step)
{
    struct coir__launch launch = {
        .paths = paths,
        .argv = opts->argv,
        .env = opts->env != NULL ? opts->env : (const char *const *)environ,
        .cwd = opts->cwd,
        .err_to_out = opts->err == COIR_TO_OUT,
        .group = opts->group,
        .session = opts->session,
    };
    const int wanted[3] = {opts->in, opts->out, opts->err};
    coir_stream **ours[3] = {&process->in, &process->out, &process->err};
    int mine[3] = {-1, -1, -1}, r = 0;
    for (int i = 0; i < 3 && r == 0; i++)
        r = open_end(wanted[i], i, &launch.fds[i], &mine[i], ours[i]);
    if (r == 0)
        r = coir__launch(&launch, &process->pid, &process->pidfd);
    *ret_step = (enum coir__launch_step)launch.step;
    for (int i = 0; i < 3; i++)
        if (mine[i] >= 0)
            coir__sys_close(mine[i]);
    return r;
}

static void enlist(struct coir_process *process)
{
    process->loop->descriptors++;
    pthread_mutex_lock(&lock);
    process->next = all;
    if (all != NULL)
        all->previous = process;
    all = process;
    pthread_mutex_unlock(&lock);
}

static int failed(int r, enum coir__launch_step step, const coir_process_opts *opts)
{
    if (step == COIR__LAUNCH_DIRECTORY)
        return coir_fail(r, "start \"%.60s\" in \"%.60s\": %s", opts->argv[0], opts->cwd,
                         coir_error_text(r));
    return coir_fail(r, "start \"%.100s\": %s", opts->argv[0], coir_error_text(r));
}

int coir_process_start(const coir_process_opts *opts, coir_process **ret_process)
{
    int r = coir__enter(coir__self());
    if (r < 0)
        return r;
    if (opts == NULL || opts->argv == NULL || opts->argv[0] == NULL || ret_process == NULL)
        return -EINVAL;
    struct coir_process *process = coir__calloc(1, sizeof *process);
    const char **paths = search(opts->argv[0]);
    enum coir__launch_step step = COIR__LAUNCH_CLONE;
    r = -ENOMEM;
    if (process != NULL && paths != NULL) {
        process->loop = coir__loop;
        process->grace = opts->grace == 0 ? LINGER : opts->grace;
        process->leads = opts->group || opts->session;
        r = launch(process, opts, paths, &step);
    }
    coir__free(paths);
    if (r < 0) {
        if (process != NULL)
            close_streams(process);
        coir__free(process);
        return failed(r, step, opts);
    }
    enlist(process);
    *ret_process = process;
    return 0;
}

/* ---- asking ---- */

coir_stream *coir_process_in(const coir_process *process)
{
    return process->in;
}

coir_stream *coir_process_out(const coir_process *process)
{
    return process->out;
}

coir_stream *coir_process_err(const coir_process *process)
{
    return process->err;
}

void coir_process_end_input(coir_process *process)
{
    coir_stream_close(COIR_TAKE(process->in));
}

pid_t coir_process_pid(const coir_process *process)
{
    return process->pid;
}

/* ---- the end of a process ---- */

static void note_end(struct coir_process *process, int result, const siginfo_t *info)
{
    process->ended = true;
    process->result = result;
    if (result < 0)
        return;
    bool exited = info->si_code == CLD_EXITED;
    process->status = (coir_process_status){
        .code = exited ? info->si_status : -1,
        .signal = exited ? 0 : info->si_status,
        .dumped = info->si_code == CLD_DUMPED,
    };
}

/* Takes the status of a process that has ended. Returns whether it has. */
static bool reap(struct coir_process *process)
{
    if (process->ended)
        return true;
    siginfo_t info;
    int r = coir__sys_reap(process->pidfd, process->leads, &info);
    if (r != 0)
        note_end(process, r < 0 ? r : 0, &info);
    process->kept = r > 0 && process->leads;
    return r != 0;
}

/* Whether the number is still that of a group that the process has led. Somebody else may have
 * reaped it. */
static bool keeps_group(struct coir_process *process)
{
    siginfo_t info;
    process->kept = process->kept && coir__sys_reap(process->pidfd, true, &info) > 0;
    return process->kept;
}

/* Lets go of the number. */
static void bury(struct coir_process *process)
{
    siginfo_t info;
    if (process->kept)
        (void)coir__sys_reap(process->pidfd, false, &info);
    process->kept = false;
}

static void process_free(struct coir_process *process)
{
    bury(process);
    pthread_mutex_lock(&lock);
    *(process->previous != NULL ? &process->previous->next : &all) = process->next;
    if (process->next != NULL)
        process->next->previous = process->previous;
    pthread_mutex_unlock(&lock);
    if (process->loop != NULL)
        process->loop->descriptors--;
    coir__sys_close(process->pidfd);
    coir__free(process);
}

static int watch(struct coir_process *process);

static void give(struct coir__waiter *waiter, const struct coir_process *process, int result)
{
    if (result == 0 && waiter->fire == NULL && waiter->slot != NULL)
        *(coir_process_status *)waiter->slot = process->status;
    coir__waiter_wake(waiter, result);
}

static void give_all(struct coir_process *process, int result)
{
    for (struct coir__waiter *waiter; (waiter = process->waiters.first) != NULL;)
        give(waiter, process, result);
}

/* Completes, also when it was withdrawn late; then others may wait by now. */
static void watch_done(struct coir__op *op)
{
    struct coir_process *process = coir__container(op, struct coir_process, watch);
    int r = op->result < 0 && op->result != -ECANCELED ? (int)op->result : 0;
    if (process->loop == NULL) { /* it is closing, and nothing is begun on it */
        if (process->closed)
            process_free(process);
        return;
    }
    if (reap(process)) {
        give_all(process, process->result);
        if (process->closed)
            process_free(process);
        return;
    }
    if (process->waiters.first == NULL && !process->closed)
        return;
    r = r < 0 ? r : watch(process);
    if (r < 0)
        give_all(process, r);
}

/* Sees to it that somebody learns of the end. Returns 1 when that is there, 0, or an error. */
static int watch(struct coir_process *process)
{
    if (process->watch.active)
        return 0;
    coir__outside_poll(&process->watch, process->pidfd, POLLIN, watch_done);
    long result = process->loop->backend->start(process->loop, &process->watch);
    if (result == COIR__STARTED)
        return 0;
    return result < 0 ? (int)result : reap(process);
}

static void unwatch(struct coir_process *process)
{
    if (process->waiters.first == NULL && process->watch.active && !process->closed)
        (void)process->loop->backend->cancel(process->loop, &process->watch);
}

/* ---- waiting ---- */

static bool abort_wait(struct coir_task *task)
{
    struct coir_process *process = (struct coir_process *)(uintptr_t)task->wait_object;
    coir__waiter_unlink(&task->waiter);
    unwatch(process);
    return true;
}

static size_t describe_wait(const struct coir_task *task, char *text, size_t size)
{
    const struct coir_process *process = task->wait_object;
    return (size_t)snprintf(text, size, "%d", (int)process->pid);
}

static const struct coir__wait process_wait = {"waits for process", abort_wait, describe_wait};

static int check(const struct coir_process *process)
{
    if (process == NULL || process->loop == NULL)
        return -EINVAL;
    return process->loop != coir__loop ? coir__refuse(process->loop, NULL, -COIR_EWRONGLOOP) : 0;
}

int coir_process_try(coir_process *process, coir_process_status *ret_status)
{
    int r = check(process);
    if (r < 0 || !reap(process))
        return r;
    if (process->result == 0 && ret_status != NULL)
        *ret_status = process->status;
    return process->result < 0 ? process->result : 1;
}

int coir_process_wait(coir_process *process, coir_process_status *ret_status)
{
    struct coir_task *self = coir__self();
    int r = coir__look(self);
    if (r < 0)
        return r;
    r = coir_process_try(process, ret_status);
    if (r == 0)
        r = watch(process);
    if (r > 0 && ret_status != NULL)
        *ret_status = process->status;
    if (r != 0)
        return coir__charge(self, r < 0 ? r : process->result);
    return coir__wait_in(self, &process->waiters, &process_wait, process, ret_status);
}

/* ---- as a case of coir_select ---- */

static int attempt(struct coir_case *wanted)
{
    struct coir_process *process = wanted->coir__object;
    int r = check(process);
    return r < 0 ? r : reap(process);
}

static int begin(struct coir_case *wanted)
{
    struct coir_process *process = wanted->coir__object;
    coir__waiter_link(&process->waiters, &wanted->coir__waiter);
    int r = watch(process);
    if (r < 0)
        coir__waiter_unlink(&wanted->coir__waiter);
    else if (r > 0)
        give_all(process, process->result);
    return r < 0 ? r : 0;
}

static void withdraw(struct coir_case *wanted)
{
    coir__waiter_unlink(&wanted->coir__waiter);
    unwatch(wanted->coir__object);
}

static size_t describe(const struct coir_case *wanted, char *text, size_t size)
{
    const struct coir_process *process = wanted->coir__object;
    return (size_t)snprintf(text, size, "%d", (int)process->pid);
}

const struct coir__waitable coir__on_process = {"process", attempt, begin, withdraw, describe};

/* ---- signals and the end ---- */

int coir_process_signal(coir_process *process, int number)
{
    int r = check(process);
    if (r < 0)
        return r;
    return reap(process) ? -ESRCH : coir__sys_pidfd_signal(process->pidfd, process->pid, number);
}

/* To end it, and with it the group that it leads, or what it left of that. */
static int end_by(struct coir_process *process, int number)
{
    if (reap(process)) {
        if (keeps_group(process))
            (void)coir__sys_end_group(process->pid, number);
        return 0;
    }
    return coir__sys_end(process->pidfd, process->pid, process->leads, number);
}

/* Waits at most bound for the end. Returns -ETIMEDOUT when there was none. */
static int wait_for(struct coir_process *process, coir_time bound)
{
    COIR_SCOPE(limit, bound);
    int r = coir_process_wait(process, NULL);
    return r == -ETIME && coir_scope_expired(&limit) && !process->ended ? -ETIMEDOUT : r;
}

int coir_process_terminate(coir_process *process, coir_time grace, coir_process_status *ret_status)
{
    int r = coir__look(coir__self());
    if (r == 0)
        r = check(process);
    if (r == 0 && grace > 0) {
        r = end_by(process, SIGTERM);
        if (r == 0)
            r = wait_for(process, grace);
        if (r != -ETIMEDOUT)
            return r < 0 ? r : coir_process_wait(process, ret_status);
        r = 0;
    }
    if (r == 0)
        r = end_by(process, SIGKILL);
    return r < 0 ? r : coir_process_wait(process, ret_status);
}

/* Blocks the thread for what should be over in no time. */
static void reap_here(struct coir_process *process, coir_time bound)
{
    coir_time until = coir__clock() + bound;
    for (coir_time now; !reap(process) && (now = coir__clock()) < until;) {
        struct pollfd polled = {.fd = process->pidfd, .events = POLLIN};
        (void)coir__sys_poll_all(&polled, 1, until - now);
    }
}

/* Kills it, and waits as long as that should take, in real time: where time is virtual a second may
 * be over at once. */
static void put_down(struct coir_process *process, struct coir_task *self)
{
    coir_time before = coir__clock();
    (void)end_by(process, SIGKILL);
    if (self != NULL) {
        COIR_SHIELD(LINGER);
        (void)wait_for(process, LINGER);
    }
    if (!reap(process))
        reap_here(process, before + LINGER - coir__clock());
}

static void end_process(struct coir_process *process)
{
    struct coir_task *self = coir__self();
    bool asks = self != NULL && self->pending == 0 && process->grace > 0;
    if (reap(process)) {
        (void)end_by(process, asks ? SIGTERM : SIGKILL);
        return;
    }
    if (asks && end_by(process, SIGTERM) == 0)
        (void)wait_for(process, process->grace);
    if (!reap(process))
        put_down(process, self);
}

void coir_process_close(coir_process *process)
{
    if (process == NULL || (process->loop != NULL && coir__elsewhere(process->loop, NULL)))
        return;
    if (process->loop == NULL) { /* killed when its loop was closed */
        process_free(process);
        return;
    }
    give_all(process, -COIR_ECLOSED);
    close_streams(process);
    end_process(process);
    process->closed = true;
    if (!process->ended && watch(process) < 0)
        reap_here(process, LINGER);
    if (!process->watch.active)
        process_free(process);
    else if (process->ended && process->loop->backend->cancel(process->loop, &process->watch))
        process_free(process);
}

/* ---- the end of a loop ---- */

static struct coir_process *first_of(const struct coir_loop *loop)
{
    pthread_mutex_lock(&lock);
    struct coir_process *process = all;
    while (process != NULL && process->loop != loop)
        process = process->next;
    pthread_mutex_unlock(&lock);
    return process;
}

static void kill_all(const struct coir_loop *loop)
{
    pthread_mutex_lock(&lock);
    for (struct coir_process *process = all; process != NULL; process = process->next)
        if (process->loop == loop)
            (void)end_by(process, SIGKILL);
    pthread_mutex_unlock(&lock);
}

/* Those that were closed are freed here, of the others the handle stays. All are killed before the
 * first is waited for, and they share one bound. */
void coir__process_loop_closes(struct coir_loop *loop)
{
    coir_time until = coir__clock() + LINGER;
    kill_all(loop);
    for (struct coir_process *process; (process = first_of(loop)) != NULL;) {
        reap_here(process, until - coir__clock());
        bury(process);
        give_all(process, -COIR_ECLOSED);
        if (process->watch.active)
            (void)loop->backend->cancel(loop, &process->watch);
        loop->descriptors--;
        process->loop = NULL;
        if (process->closed && !process->watch.active)
            process_free(process);
    }
}
