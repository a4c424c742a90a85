/* error.c: codes and their texts, and the records of failures.
 *
 * Owns coir_error. Each loop has a fixed pool of records, so failing allocates nothing; when it is
 * empty only codes travel. A record belongs to exactly one place at a time: a task (its last
 * failure), a group (its children's), or a scope (why it was cancelled). A chain of records is one
 * failure with those that came with it.
 *
 * The return trace: COIR_TRY adds its line when the code is that of the task's record and its frame
 * lies above the last one noted; otherwise it is a new failure and begins a new record.
 */
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/core.h"

#define RECORDS 128
#define FRAMES 12
#define CROSSINGS 3
#define TEXT 160

struct crossing {
    char task[32], joiner[32];
    const coir_site *spawned, *joined;
    uint8_t before_frame; /* printed before this frame */
};

struct coir_error {
    struct coir_error *next; /* of the chain, or of the free list */
    const void *frame;       /* of the last line noted */
    const void *returns_to;  /* the return address of that frame */
    const coir_site *sites[FRAMES];
    struct crossing crossings[CROSSINGS];
    int code;
    uint8_t frames, crossed, more_frames;
    char text[TEXT];
};

struct coir__errors {
    struct coir_error *free;
    uint64_t live;
    size_t untouched; /* records that were never used: their pages are not there yet */
    struct coir_error records[RECORDS];
};

/* ---- codes ---- */

static int positive(int code)
{
    return code == INT_MIN ? INT_MAX : code < 0 ? -code : code;
}

const char *coir_error_name(int code)
{
    switch (positive(code)) {
    case 0: return "OK";
#define COIR__X(name, value, text)                                                                 \
    case name: return #name;
        COIR_ERRORS(COIR__X)
#undef COIR__X
    }
    const char *name = coir__errno_name(positive(code));
    return name != NULL ? name : "E?";
}

const char *coir_error_text(int code)
{
    int magnitude = positive(code);
    switch (magnitude) {
    case 0: return "success";
    case ETIME: return "the deadline passed";
    case ECANCELED: return "cancelled";
    case EDEADLK: return "nothing could ever end the wait";
    case ETIMEDOUT: return "timed out";
#define COIR__X(name, value, text)                                                                 \
    case name: return text;
        COIR_ERRORS(COIR__X)
#undef COIR__X
    }
    const char *known = coir__errno_text(magnitude);
    return known != NULL ? known : "unknown error";
}

/* ---- the pool ---- */

struct coir__errors *coir__errors_open(void)
{
    struct coir__errors *errors = coir__alloc_own(sizeof *errors);
    if (errors == NULL)
        return NULL;
    errors->free = NULL;
    errors->live = 0;
    errors->untouched = RECORDS;
    return errors;
}

void coir__errors_close(struct coir__errors *errors)
{
    coir__free_own(errors);
}

uint64_t coir__errors_live(const struct coir__errors *errors)
{
    return errors->live;
}

static struct coir_error *take(struct coir_loop *loop)
{
    struct coir__errors *errors = loop->errors;
    struct coir_error *error = errors->free;
    if (error != NULL)
        errors->free = error->next;
    else if (errors->untouched > 0)
        error = &errors->records[--errors->untouched];
    else
        return NULL;
    errors->live++;
    error->next = NULL;
    error->frame = NULL;
    error->frames = error->crossed = error->more_frames = 0;
    return error;
}

void coir__error_free(struct coir_loop *loop, struct coir_error *error)
{
    while (error != NULL) {
        struct coir_error *next = error->next;
        error->next = loop->errors->free;
        loop->errors->free = error;
        loop->errors->live--;
        error = next;
    }
}

static struct coir_error *new_record(struct coir_loop *loop, int code, const char *format,
                                     va_list args) COIR__PRINTF(3, 0);

static struct coir_error *new_record(struct coir_loop *loop, int code, const char *format,
                                     va_list args)
{
    struct coir_error *error = take(loop);
    if (error == NULL)
        return NULL;
    error->code = code;
    if (format != NULL)
        (void)vsnprintf(error->text, sizeof error->text, format, args);
    else
        (void)snprintf(error->text, sizeof error->text, "%s", coir_error_text(code));
    return error;
}

struct coir_error *coir__error_new(struct coir_loop *loop, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct coir_error *error = new_record(loop, code, format, args);
    va_end(args);
    return error;
}

struct coir_error *coir__error_copy(struct coir_loop *loop, const struct coir_error *error)
{
    struct coir_error *copy = take(loop);
    if (copy == NULL)
        return NULL;
    *copy = *error;
    copy->next = NULL;
    return copy;
}

struct coir_error *coir__error_copy_chain(struct coir_loop *loop, const struct coir_error *error)
{
    struct coir_error *first = NULL, **end = &first;
    for (; error != NULL; error = error->next) {
        *end = coir__error_copy(loop, error);
        if (*end == NULL)
            break;
        end = &(*end)->next;
    }
    return first;
}

void coir__error_append(struct coir_error *chain, struct coir_error *more)
{
    while (chain->next != NULL)
        chain = chain->next;
    chain->next = more;
}

void coir__error_set_code(struct coir_error *error, int code)
{
    error->code = code;
}

/* ---- the last failure of a task ---- */

static struct coir_error **last_of(struct coir_loop *loop)
{
    struct coir_task *self = loop->current;
    if (self == NULL)
        return &loop->error;
    self->flags |= COIR__TASK_BELONGINGS;
    return &self->error;
}

void coir__error_give(struct coir_task *task, struct coir_error *error)
{
    coir__error_free(task->loop, task->error);
    task->error = error;
    task->flags |= COIR__TASK_BELONGINGS;
}

/* Where the function of a frame returns to: it tells what was inlined into a function from the next
 * function that the same caller calls, whose frame lies in the same place. */
static const void *return_address(const void *frame)
{
    return ((const void *const *)frame)[1]; /* above the caller's frame pointer, on both ABIs */
}

/* Outside a loop there is no record; a thread that works for a task keeps the text for it. */
static void say(int code, const char *format, va_list args) COIR__PRINTF(2, 0);

static void say(int code, const char *format, va_list args)
{
    struct coir__errand *job = coir__errand;
    if (job == NULL)
        return;
    job->said = code;
    (void)vsnprintf(job->text, sizeof job->text, format, args);
}

int coir_fail_at(int code, const void *frame, const coir_site *site, const char *format, ...)
{
    struct coir_loop *loop = coir__loop;
    va_list args;
    va_start(args, format);
    if (loop == NULL) {
        say(code, format, args);
        va_end(args);
        return code;
    }
    struct coir_error *error = new_record(loop, code, format, args);
    va_end(args);
    if (error != NULL) {
        error->sites[error->frames++] = site;
        error->frame = frame;
        error->returns_to = return_address(frame);
    }
    struct coir_error **last = last_of(loop);
    coir__error_free(loop, *last);
    *last = error;
    return code;
}

/* Why the current task is being cancelled, in words: of the scopes around it that have the code, up
 * to the first shield that holds, the outermost one says it. */
static struct coir_error *explain_pending(struct coir_loop *loop, int code)
{
    const struct coir_scope *scope = loop->current != NULL ? loop->current->scope : NULL;
    const struct coir_scope *outermost = NULL; /* its reason wins */
    for (; scope != NULL; scope = scope->coir__parent) {
        if (scope->coir__own == code)
            outermost = scope;
        if (scope->coir__shield == COIR__SHIELD_UP)
            break;
    }
    scope = outermost;
    if (scope == NULL || loop->current->pending != code)
        return coir__error_new(loop, code, NULL);
    if (code == -ECANCELED && scope->coir__cause != NULL)
        return coir__error_new(loop, code, "cancelled: %s", scope->coir__cause->text);
    if (code == -ETIME && scope->coir__site != NULL)
        return coir__error_new(loop, code, "the deadline of %s:%d passed",
                               coir__file_name(scope->coir__site->file), scope->coir__site->line);
    return coir__error_new(loop, code, NULL);
}

/* Whether a frame goes on with the trace of error: above the last one, or another function that was
 * inlined into it. */
static bool continues(const struct coir_error *error, int code, const void *frame,
                      const coir_site *site)
{
    if (error == NULL || error->code != code)
        return false;
    if (error->frames == 0 || frame > error->frame)
        return true;
    return frame == error->frame && return_address(frame) == error->returns_to &&
           error->sites[error->frames - 1]->function != site->function;
}

/* Whether the last line noted is this one: COIR_TRY around coir_fail. */
static bool is_noted(const struct coir_error *error, int code, const void *frame,
                     const coir_site *site)
{
    if (error == NULL || error->code != code || error->frames == 0 || error->frame != frame)
        return false;
    const coir_site *noted = error->sites[error->frames - 1];
    return noted->line == site->line && noted->function == site->function;
}

int coir__trace(int code, const void *frame, const coir_site *site)
{
    struct coir_loop *loop = coir__loop;
    if (loop == NULL)
        return code;
    struct coir_error **last = last_of(loop);
    if (is_noted(*last, code, frame, site))
        return code;
    if (!continues(*last, code, frame, site)) {
        coir__error_free(loop, *last);
        *last = explain_pending(loop, code);
    }
    struct coir_error *error = *last;
    if (error == NULL)
        return code;
    error->frame = frame;
    error->returns_to = return_address(frame);
    if (error->frames < FRAMES)
        error->sites[error->frames++] = site;
    else if (error->more_frames < UINT8_MAX)
        error->more_frames++;
    return code;
}

void coir__error_crossed(struct coir_error *error, const struct coir_task *task,
                         const struct coir_task *joiner, const coir_site *site)
{
    error->frame = NULL; /* the joiner's frames are on another stack */
    if (error->crossed == CROSSINGS)
        return;
    struct crossing *crossing = &error->crossings[error->crossed++];
    (void)snprintf(crossing->task, sizeof crossing->task, "%s", coir_task_name(task));
    (void)snprintf(crossing->joiner, sizeof crossing->joiner, "%s",
                   joiner != NULL ? coir_task_name(joiner) : "");
    crossing->spawned = task->site;
    crossing->joined = site;
    crossing->before_frame = error->frames;
}

void coir__error_joined_at(struct coir_error *error, const coir_site *site)
{
    if (error->crossed > 0)
        error->crossings[error->crossed - 1].joined = site;
}

struct coir_error *coir__error_next(struct coir_error *error)
{
    return error->next;
}

const coir_error *coir_last_error(void)
{
    return coir__loop != NULL ? *last_of(coir__loop) : NULL;
}

const char *coir_last_message(int code)
{
    const coir_error *error = coir_last_error();
    return error != NULL && error->code == code ? error->text : coir_error_text(code);
}

void coir_clear_error(void)
{
    struct coir_loop *loop = coir__loop;
    if (loop == NULL)
        return;
    coir__error_free(loop, *last_of(loop));
    *last_of(loop) = NULL;
}

int coir_error_code(const coir_error *error)
{
    return error->code;
}

const char *coir_error_message(const coir_error *error)
{
    return error->text;
}

const coir_error *coir_error_next(const coir_error *error)
{
    return error->next;
}

/* ---- as text ---- */

struct text {
    char *start;
    size_t size, length; /* length: of the whole text, also beyond size */
};

static void add(struct text *text, const char *format, ...) COIR__PRINTF(2, 3);

static void add(struct text *text, const char *format, ...)
{
    size_t left = text->length < text->size ? text->size - text->length : 0;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(left > 0 ? text->start + text->length : NULL, left, format, args);
    va_end(args);
    text->length += n > 0 ? (size_t)n : 0;
}

const char *coir__file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static void add_crossings(struct text *text, const struct coir_error *error, unsigned frame)
{
    for (unsigned i = 0; i < error->crossed; i++) {
        const struct crossing *crossing = &error->crossings[i];
        if (crossing->before_frame != frame)
            continue;
        add(text, "\n  task '%s' spawned at %s:%d", crossing->task,
            coir__file_name(crossing->spawned->file), crossing->spawned->line);
        if (crossing->joiner[0] != '\0' && crossing->joined != NULL)
            add(text, ", joined by '%s' at %s:%d", crossing->joiner,
                coir__file_name(crossing->joined->file), crossing->joined->line);
    }
}

static void add_record(struct text *text, const struct coir_error *error, const char *intro)
{
    add(text, "%s: %s: %s", intro, coir_error_name(error->code), error->text);
    for (unsigned i = 0; i <= error->frames; i++) {
        add_crossings(text, error, i);
        if (i == error->frames)
            break;
        const coir_site *site = error->sites[i];
        add(text, "\n  %-21s %s:%d", site->function, coir__file_name(site->file), site->line);
    }
    if (error->more_frames > 0)
        add(text, "\n  … and %d more", error->more_frames);
}

size_t coir_error_format(const coir_error *error, int code, char *out, size_t size)
{
    struct text text = {out, size, 0};
    if (size > 0)
        out[0] = '\0';
    if (error == NULL) {
        add(&text, "error: %s: %s", coir_error_name(code), coir_error_text(code));
        return text.length;
    }
    add_record(&text, error, "error");
    for (error = error->next; error != NULL; error = error->next) {
        add(&text, "\n");
        add_record(&text, error, "also");
    }
    return text.length;
}
