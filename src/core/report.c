/* report.c: reports to the loop's hook, and tasks in words.
 *
 * A report is a mistake or an event that no return value can carry. Everything is formatted on the
 * stack of whoever notices it; the hook gets borrowed text. Without a hook a report is only
 * counted.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"

#define REPORT_SIZE 4096

static void send_report(struct coir_loop *loop, const coir_report *report)
{
    loop->reports++;
    if (loop->opts.report != NULL)
        loop->opts.report(report, loop->opts.report_arg);
}

void coir__report(struct coir_loop *loop, coir_report_kind kind, struct coir_task *task,
                  const struct coir_error *error, const char *format, ...)
{
    char text[REPORT_SIZE];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t length = n > 0 ? (size_t)n : 0;
    if (error != NULL && length + 1 < sizeof text) {
        text[length++] = '\n';
        (void)coir_error_format(error, 0, text + length, sizeof text - length);
    }
    coir_report report = {.kind = kind, .text = text, .task = task, .error = error};
    send_report(loop, &report);
}

void coir_report_make(coir_report_kind kind, const char *format, ...)
{
    char text[REPORT_SIZE];
    struct coir_loop *loop = coir__loop;
    va_list args;
    if (loop == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    coir_report report = {.kind = kind, .text = text, .task = loop->current};
    send_report(loop, &report);
}

void coir_report_to_stderr(const coir_report *report, void *arg)
{
    (void)arg;
    static const char *const kinds[] = {"deadlock",       "unread failure", "unjoined task",
                                        "left open",      "slow leave",     "ignored cancellation",
                                        "stack overflow", "misuse",         "overload",
                                        "slow step",      "lock order",     "thread lock",
                                        "dead argument",  "wrong thread"};
    char line[REPORT_SIZE + 64];
    int n = snprintf(line, sizeof line, "coir: %s: %s\n", kinds[report->kind], report->text);
    size_t length = n < (int)sizeof line ? (size_t)n : sizeof line - 1;
    ssize_t written =
        write(STDERR_FILENO, line, length); /* one write, so that lines of threads do not mix */
    (void)written;
}

size_t coir_task_describe(const coir_task *task, char *text, size_t size)
{
    if (coir__elsewhere(task->loop, &task->own))
        return (size_t)snprintf(text, size, "%s", "");
    if (task->flags & COIR__TASK_DONE)
        return (size_t)snprintf(text, size, "has ended with %s", coir_error_name(task->result));
    if (task->wait == NULL)
        return (size_t)snprintf(text, size, "%s",
                                task == coir__self() ? "runs" : "is ready to run");
    size_t length = (size_t)snprintf(text, size, "%s", task->wait->verb);
    if (task->wait->describe == NULL)
        return length;
    char more[256];
    (void)task->wait->describe(task, more, sizeof more);
    return (size_t)snprintf(text, size, "%s %s", task->wait->verb, more);
}

/* 'name' (2 s old, spawned at file.c:7), with what it does before the bracket. */
static size_t describe_birth(const struct coir_task *task, coir_time now, const char *does,
                             char *text, size_t size)
{
    char born[96] = "";
    if (task->site->line != 0)
        (void)snprintf(born, sizeof born, ", spawned at %.64s:%d",
                       coir__file_name(task->site->file), task->site->line);
    double age = (double)(now - task->born) / 1e9;
    return (size_t)snprintf(text, size,
                            age < 1000 ? "'%.40s'%s (%.3g s old%s)" : "'%.40s'%s (%.0f s old%s)",
                            coir_task_name(task), does, age > 0 ? age : 0, born);
}

size_t coir__task_line(const struct coir_task *task, char *text, size_t size)
{
    char waits[192] = " ";
    (void)coir_task_describe(task, waits + 1, sizeof waits - 1);
    return describe_birth(task, coir__clock_of(task->loop), waits, text, size);
}

size_t coir__task_who(const struct coir_task *task, char *text, size_t size)
{
    return coir__task_who_at(task, coir__clock_of(task->loop), text, size);
}

size_t coir__task_who_at(const struct coir_task *task, coir_time now, char *text, size_t size)
{
    return describe_birth(task, now, "", text, size);
}

int coir_task_each(int (*fn)(coir_task *task, void *arg), void *arg)
{
    struct coir_loop *loop = coir__loop;
    if (loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    struct coir_scope *scope = &loop->root;
    while ((scope = coir__scope_next(&loop->root, scope)) != NULL) {
        if (scope->coir__kind != COIR__SCOPE_TASK || (scope->coir__owner->flags & COIR__TASK_DONE))
            continue;
        int r = fn(scope->coir__owner, arg);
        if (r != 0)
            return r;
    }
    return 0;
}

struct listing {
    char text[REPORT_SIZE];
    size_t length;
    uint64_t omitted;
};

static int list_task(coir_task *task, void *arg)
{
    struct listing *listing = arg;
    char line[320];
    size_t n = coir__task_line(task, line, sizeof line);
    n = n < sizeof line ? n : sizeof line - 1;
    if (listing->length + n + 64 > sizeof listing->text) {
        listing->omitted++;
        return 0;
    }
    listing->length += (size_t)snprintf(listing->text + listing->length,
                                        sizeof listing->text - listing->length, "\n  %s", line);
    return 0;
}

void coir__report_deadlock(struct coir_loop *loop)
{
    struct listing listing = {.length = 0};
    (void)coir_task_each(list_task, &listing);
    if (listing.omitted > 0)
        (void)snprintf(listing.text + listing.length, sizeof listing.text - listing.length,
                       "\n  … and %llu more", (unsigned long long)listing.omitted);
    coir__report(loop, COIR_REPORT_DEADLOCK, NULL, NULL,
                 "nothing can wake these %llu tasks:%.3900s", (unsigned long long)loop->tasks,
                 listing.text);
}
