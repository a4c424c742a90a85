/* main.c: coir_main: a loop, its main task, and the process around them.
 *
 * Owns the dispositions of SIGINT and SIGTERM while the loop runs, where the program has left them
 * at their defaults: the first one cancels the main task, and a second one ends the process by the
 * default action, even when the loop is stuck. A signal that a task has asked for (signal.c) is
 * handled there and comes back here afterwards. This is no hope: a loop whose tasks all wait for
 * ever is deadlocked. SIGQUIT prints all tasks, from the loop; and where the thread is, when the
 * loop is stuck in a step: that is when debug mode says so, or when the SIGQUIT before was not
 * answered yet.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <coir/loop.h>

#include "core/sys.h"
#include "io/process/terminal.h"

#define MOST_EXIT_CODE 125

static const int ends[] = {SIGINT, SIGTERM};

static struct {
    atomic_int number; /* that came first; 0: none */
    atomic_int inside; /* handlers that run now */
    _Atomic(coir_loop *) loop;
    coir_task *task; /* NULL: it has ended */
    coir_post_node node;
    struct sigaction before[COIR_COUNT(ends)];
    bool ours[COIR_COUNT(ends)];
    pthread_t thread; /* of the loop */
    coir_post_node dump_node;
    struct sigaction before_quit;
    bool quit_is_ours;
} state;

static void cancel_main(void *arg)
{
    (void)arg;
    if (state.task != NULL)
        coir_cancel(state.task, atomic_load(&state.number) == SIGINT ? "SIGINT" : "SIGTERM");
}

static void raise_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    coir__terminal_restore();
    (void)sigaction(number, &action, NULL);
    (void)raise(number);
}

static void handle(int number)
{
    int saved = errno, none = 0;
    atomic_fetch_add(&state.inside, 1);
    coir_loop *loop = atomic_load(&state.loop);
    if (!atomic_compare_exchange_strong(&state.number, &none, number))
        raise_default(number); /* takes effect when this returns */
    else if (loop != NULL)
        (void)coir_post(loop, &state.node, cancel_main, NULL);
    atomic_fetch_sub(&state.inside, 1);
    errno = saved;
}

static void dump(void *arg)
{
    coir__debugger.dump(arg, STDERR_FILENO);
}

/* SIGQUIT comes to any thread; what is to be seen is the loop's. */
static void handle_quit(int number, siginfo_t *info, void *context)
{
    (void)info;
    int saved = errno;
    atomic_fetch_add(&state.inside, 1);
    coir_loop *loop = atomic_load(&state.loop);
    if (loop != NULL && coir__loop != loop) {
        (void)pthread_kill(state.thread, number);
    } else if (loop != NULL && !coir__debugger.dump_here(loop, STDERR_FILENO, context, false)) {
        if (coir_post(loop, &state.dump_node, dump, loop) == -EALREADY)
            (void)coir__debugger.dump_here(loop, STDERR_FILENO, context, true);
    }
    atomic_fetch_sub(&state.inside, 1);
    errno = saved;
}

static void take_quit(void)
{
    struct sigaction action = {.sa_sigaction = handle_quit,
                               .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    state.thread = pthread_self();
    if (sigaction(SIGQUIT, NULL, &state.before_quit) == 0 &&
        state.before_quit.sa_handler == SIG_DFL)
        state.quit_is_ours = coir__sys_sigaction(SIGQUIT, &action, NULL) == 0;
}

static void take_signals(void)
{
    take_quit();
    for (size_t i = 0; i < COIR_COUNT(ends); i++) {
        struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
        if (sigaction(ends[i], NULL, &state.before[i]) == 0 &&
            state.before[i].sa_handler == SIG_DFL)
            state.ours[i] = coir__sys_sigaction(ends[i], &action, NULL) == 0;
    }
}

static void give_signals_back(void)
{
    for (size_t i = 0; i < COIR_COUNT(ends); i++)
        if (state.ours[i])
            (void)sigaction(ends[i], &state.before[i], NULL);
    if (state.quit_is_ours)
        (void)sigaction(SIGQUIT, &state.before_quit, NULL);
    atomic_store(&state.loop, NULL);
    while (atomic_load(&state.inside) > 0)
        ;
}

/* Prints the trace of the main task's failure. */
static void complain(const struct coir_loop *loop, int code)
{
    char text[4096];
    const coir_error *error = loop != NULL ? loop->error : NULL;
    if (error != NULL && coir_error_code(error) != code)
        error = NULL;
    size_t length = coir_error_format(error, code, text, sizeof text - 1);
    length = length < sizeof text - 1 ? length : sizeof text - 2;
    text[length] = '\n';
    (void)!write(STDERR_FILENO, text, length + 1);
}

/* There is no loop, so nothing else says which backend it was to have. */
static void complain_of_opening(const coir_loop_opts *opts)
{
    char text[256];
    const char *asked = opts->backend != NULL ? opts->backend : getenv("COIR_BACKEND");
    if (asked == NULL || asked[0] == '\0')
        return;
    int n = snprintf(text, sizeof text,
                     "  while opening a loop with the backend '%.64s', asked for by %s; there are "
                     "uring, epoll and sim\n",
                     asked, opts->backend != NULL ? "the program" : "COIR_BACKEND");
    (void)!write(STDERR_FILENO, text, (size_t)n);
}

static int exit_code(const struct coir_loop *loop, int result)
{
    int number = atomic_load(&state.number);
    bool ended = result == 0 || result == -ECANCELED || result == -COIR_ECANCELEDTASK;
    if (number != 0 && ended)
        return 0;
    if (result >= 0)
        return result <= MOST_EXIT_CODE ? result : 1;
    complain(loop, result);
    return 1;
}

static int run_main(coir_loop *loop, coir_fn fn, void *arg)
{
    static const coir_site site = {__FILE__, "coir_main", "main", 0};
    coir_task *task;
    int r = coir_loop_spawn_at(loop, fn, arg, &task, &site);
    if (r < 0)
        return r;
    state.task = task;
    atomic_store(&state.loop, loop);
    take_signals();
    int result = 0;
    r = coir_loop_run_until(loop, task, &result);
    state.task = NULL;
    return r < 0 ? r : result;
}

int coir_main(coir_fn fn, void *arg)
{
    return coir_main_with(fn, arg, NULL);
}

int coir_main_with(coir_fn fn, void *arg, const coir_loop_opts *opts)
{
    coir_loop_opts program = coir__program_opts(opts);
    coir_loop *loop = NULL;
    int result = coir_loop_open(&program, &loop);
    if (result >= 0)
        result = run_main(loop, fn, arg);
    int code = exit_code(loop, result);
    if (loop == NULL)
        complain_of_opening(&program);
    int interrupted = code == 0 && atomic_load(&state.number) == SIGINT;
    (void)coir_loop_close(loop);
    give_signals_back();
    if (interrupted)
        raise_default(SIGINT);
    return code;
}
