/* dump.c: all tasks of a loop in words, as a tree, with their stacks.
 *
 * The tree is that of the scopes: a task's children hang below the group that owns them, and the
 * group below the scope that it was opened in. The walk is the loop's thread's, while no task but
 * the caller runs; nothing is allocated.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/backend.h"
#include "debug/debug.h"

#define LINE 512

struct dump {
    struct coir_loop *loop;
    struct coir__symbols symbols;
    void (*fn)(const char *line, void *arg);
    void *arg;
};

COIR__PRINTF(3, 4)
static void say(struct dump *dump, int depth, const char *format, ...)
{
    char line[LINE];
    int indent = depth < 40 ? depth * 2 : 80;
    memset(line, ' ', (size_t)indent);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line + indent, sizeof line - (size_t)indent, format, args);
    va_end(args);
    dump->fn(line, dump->arg);
}

/* The frames of a task, a line each. */
static void say_stack(struct dump *dump, const struct coir_task *task, int depth)
{
    char text[3072];
    struct coir__frames frames;
    if (task == dump->loop->current)
        coir__frames_here(task, &frames);
    else
        coir__frames_parked(task, &frames);
    (void)coir__frames_format(&frames, &dump->symbols, 0, text, sizeof text, NULL);
    char *line = text;
    while (*line == '\n') {
        char *end = line + 1 + strcspn(line + 1, "\n");
        say(dump, depth, "%.*s", (int)(end - line - 1), line + 1);
        line = end;
    }
}

static void say_task(struct dump *dump, const struct coir_task *task, int depth)
{
    char line[400];
    (void)coir__task_line(task, line, sizeof line);
    say(dump, depth, "%s", line);
    say_stack(dump, task, depth + 2);
}

static void say_scope(struct dump *dump, const struct coir_scope *scope, int depth)
{
    const coir_site *site = scope->coir__site;
    char place[96] = "";
    if (site != NULL && site->line != 0)
        (void)snprintf(place, sizeof place, " (%.64s:%d)", coir__file_name(site->file), site->line);
    const char *what = site != NULL && site->what != NULL ? site->what : "";
    char name[64] = "";
    if (what[0] != '\0' && strncmp(what, "COIR__", 6) != 0) /* that is one without a name */
        (void)snprintf(name, sizeof name, " '%.60s'", what);
    const char *state = scope->coir__effective == -ECANCELED ? ", cancelled"
                        : scope->coir__effective == -ETIME   ? ", expired"
                                                             : "";
    if (scope->coir__kind == COIR__SCOPE_GROUP) {
        const struct coir_group *group =
            coir__container((struct coir_scope *)(uintptr_t)scope, struct coir_group, coir__scope);
        say(dump, depth, "group%s%s: %zu running%s", name, place, group->coir__running, state);
    } else {
        say(dump, depth, "scope%s%s%s", name, place, state);
    }
}

static int depth_of(const struct coir_loop *loop, const struct coir_scope *scope)
{
    int depth = -1;
    for (; scope != &loop->root; scope = scope->coir__parent)
        if (scope != &loop->background.coir__scope)
            depth++;
    return depth > 0 ? depth : 0;
}

static void dump_all(struct coir_loop *loop, void (*fn)(const char *line, void *arg), void *arg)
{
    struct dump dump = {.loop = loop, .fn = fn, .arg = arg};
    say(&dump, 0, "loop on %s: %llu tasks, %llu operations, %llu callbacks, turn %llu",
        loop->backend->name, (unsigned long long)loop->tasks, (unsigned long long)loop->operations,
        (unsigned long long)loop->callbacks_live, (unsigned long long)loop->turns);
    struct coir_scope *scope = &loop->root;
    while ((scope = coir__scope_next(&loop->root, scope)) != NULL) {
        int depth = depth_of(loop, scope) + 1;
        if (scope == &loop->background.coir__scope)
            continue;
        if (scope->coir__kind == COIR__SCOPE_TASK)
            say_task(&dump, scope->coir__owner, depth);
        else
            say_scope(&dump, scope, depth);
    }
    coir__symbols_close(&dump.symbols);
}

static void write_line(const char *line, void *arg)
{
    char text[LINE + 1];
    int n = snprintf(text, sizeof text, "%s\n", line);
    (void)!write(*(const int *)arg, text, (size_t)n);
}

void coir__dump(struct coir_loop *loop, int fd)
{
    dump_all(loop, write_line, &fd);
}

int coir_dump(coir_loop *loop, int fd)
{
    loop = loop != NULL ? loop : coir__loop;
    if (loop == NULL)
        return -EINVAL;
    if (coir__elsewhere(loop, NULL))
        return -COIR_EWRONGLOOP;
    coir__dump(loop, fd);
    return 0;
}

int coir_dump_lines(coir_loop *loop, void (*fn)(const char *line, void *arg), void *arg)
{
    loop = loop != NULL ? loop : coir__loop;
    if (loop == NULL || fn == NULL)
        return -EINVAL;
    if (coir__elsewhere(loop, NULL))
        return -COIR_EWRONGLOOP;
    dump_all(loop, fn, arg);
    return 0;
}

/* ---- a loop that is stuck ---- */

/* The process is stuck, and what is called here takes no locks but the dynamic linker's, which this
 * thread may hold already: little is risked, and much is learnt. */
static bool is_stuck(const struct coir_loop *loop)
{
    if (loop->debug == NULL)
        return false;
    uint64_t step = atomic_load_explicit(&loop->debug->since, memory_order_relaxed);
    return step != 0 && coir__ticks() > step && coir__ticks() - step > loop->debug->slow;
}

bool coir__dump_here(struct coir_loop *loop, int fd, const void *ucontext, bool anyway)
{
    if (!anyway && !is_stuck(loop))
        return false;
    static struct coir__sample sample;
    struct coir__symbols symbols = {.count = 0};
    struct coir__frames frames;
    struct coir_task *task = loop->current;
    char text[3072], *low = NULL, *high = NULL;
    if (task != NULL)
        coir__stack_bounds(task, &low, &high);
    coir__sample_take(&sample, 1, ucontext, (uintptr_t)low, (uintptr_t)high);
    coir__frames_sampled(&sample, &symbols, &frames);
    (void)coir__frames_format(&frames, &symbols, 4, text, sizeof text, NULL);
    coir__symbols_close(&symbols);
    char line[3500], who[COIR__WHO] = "";
    if (task != NULL)
        (void)coir__task_who(task, who, sizeof who);
    int n = snprintf(line, sizeof line, "coir: the loop is stuck in a %s%s:%s\n",
                     task != NULL ? "step of task " : "callback", who, text);
    (void)!write(fd, line, (size_t)n);
    return true;
}
