/* deferred.c: tasks that are started when something happens, and hold no stack until then.
 *
 * Owns what those of a kind have in common: one record and one timer for all children of a group
 * that wait for the same call, as long at most. So one that waits is its place in the list, which
 * is in the order in which their time will be over, and its argument. It is a running child of its
 * group in every respect that others can see: leaving the group joins it, cancelling the group
 * starts it at once, cancelled, so that it can release its argument. When there is no memory for a
 * task just then, it is tried again a little later, since there is no other way to release the
 * argument. Called by io, which knows what they wait for, and by scope.c when a group's state
 * changes.
 */
#include <string.h>

#include "core/core.h"

#define RETRY COIR_MS(10)
#define LOOKED_AT 8 /* kinds of a group; who uses more of them has some twice */

/* ---- kinds ---- */

static bool is_like(const struct coir__deferrals *kind, const struct coir__deferrals *wanted,
                    const char *name)
{
    return kind->fn == wanted->fn && kind->site == wanted->site && kind->limit == wanted->limit &&
           kind->stack_class == wanted->stack_class && kind->end == wanted->end &&
           strncmp(kind->name, name, COIR__NAME_SIZE - 1) == 0;
}

struct coir__deferrals *coir__deferrals_get(const struct coir__deferrals *wanted, const char *name)
{
    struct coir_group *group = wanted->group;
    struct coir__deferrals *kind = group->coir__deferred;
    name = name != NULL ? name : "";
    for (int i = 0; kind != NULL && i < LOOKED_AT; kind = kind->next, i++)
        if (is_like(kind, wanted, name))
            return kind;
    size_t length = strnlen(name, COIR__NAME_SIZE - 1);
    kind = coir__calloc(1, sizeof *kind + length + 1);
    if (kind == NULL)
        return NULL;
    *kind = *wanted;
    memcpy(kind->name, name, length);
    kind->name[length] = '\0'; /* the name may begin where wanted has padding */
    kind->next = group->coir__deferred;
    if (kind->next != NULL)
        kind->next->previous = kind;
    group->coir__deferred = kind;
    return kind;
}

void coir__deferrals_drop(struct coir__deferrals *kind)
{
    if (kind->first != NULL || kind->ending != NULL || kind->held)
        return;
    coir_timer_stop(kind->group->coir__loop, &kind->timer);
    if (kind->next != NULL)
        kind->next->previous = kind->previous;
    *(kind->previous != NULL ? &kind->previous->next : &kind->group->coir__deferred) = kind->next;
    coir__free(kind);
}

static void time_is_over(void *arg);

/* Lets the timer run for whatever is due next. */
static void set_timer(struct coir__deferrals *kind)
{
    struct coir_loop *loop = kind->group->coir__loop;
    coir_time when = kind->first != NULL ? kind->first->until : COIR_FOREVER;
    if (kind->retry != 0 && kind->retry < when)
        when = kind->retry;
    if (when == COIR_FOREVER)
        coir_timer_stop(loop, &kind->timer);
    else
        coir_timer_start(loop, &kind->timer, when, time_is_over, kind);
}

/* ---- lists ---- */

/* Takes one out of the list of those that wait, or of those whose wait is ending. */
static void take_out(struct coir__deferred *deferred)
{
    struct coir__deferrals *kind = deferred->kind;
    bool waits = deferred->until >= 0, first = kind->first == deferred;
    struct coir__deferred **head = waits ? &kind->first : &kind->ending;
    if (deferred->next != NULL)
        deferred->next->previous = deferred->previous;
    else if (waits)
        kind->last = deferred->previous;
    *(deferred->previous != NULL ? &deferred->previous->next : head) = deferred->next;
    if (first && kind->limit != COIR_FOREVER)
        set_timer(kind);
}

/* Its time does not matter any more. */
static void is_ending(struct coir__deferred *deferred)
{
    struct coir__deferrals *kind = deferred->kind;
    if (deferred->until < 0)
        return;
    take_out(deferred);
    deferred->until = -1;
    deferred->previous = NULL;
    deferred->next = kind->ending;
    if (deferred->next != NULL)
        deferred->next->previous = deferred;
    kind->ending = deferred;
}

void coir__defer(struct coir__deferred *deferred, struct coir__deferrals *kind, void *arg)
{
    struct coir_loop *loop = kind->group->coir__loop;
    coir_time until = COIR_FOREVER;
    if (kind->limit != COIR_FOREVER &&
        __builtin_add_overflow(coir__clock_of(loop), kind->limit, &until))
        until = COIR_FOREVER;
    *deferred = (struct coir__deferred){
        .previous = kind->last, .kind = kind, .arg = arg, .until = until > 0 ? until : 0};
    *(kind->last != NULL ? &kind->last->next : &kind->first) = deferred;
    kind->last = deferred;
    if (kind->first == deferred && until != COIR_FOREVER)
        set_timer(kind);
    kind->group->coir__running++;
    loop->deferred++;
}

/* ---- ends ---- */

struct coir_task *coir__deferred_start(struct coir__deferred *deferred)
{
    struct coir__deferrals *kind = deferred->kind;
    struct coir_group *group = kind->group;
    struct coir_loop *loop = group->coir__loop;
    struct coir_task *task =
        coir__spawn_deferred(group, kind->fn, deferred->arg, kind->stack_class, kind->site);
    if (task == NULL) {
        is_ending(deferred);
        kind->retry = loop->now + RETRY;
        set_timer(kind);
        return NULL;
    }
    if (kind->name[0] != '\0')
        coir_task_set_name(task, "%s", kind->name);
    take_out(deferred);
    group->coir__running--;
    loop->deferred--;
    coir__deferrals_drop(kind);
    return task;
}

/* Calls end for each whose wait is ending already: it may start that one, and no other. */
static void try_again(struct coir__deferrals *kind)
{
    struct coir__deferred *next;
    kind->retry = 0;
    for (struct coir__deferred *deferred = kind->ending; deferred != NULL; deferred = next) {
        next = deferred->next;
        kind->end(deferred, COIR__DEFERRED_AGAIN);
    }
}

static void time_is_over(void *arg)
{
    struct coir__deferrals *kind = arg;
    coir_time now = kind->group->coir__loop->now;
    kind->held = true;
    if (kind->retry != 0 && kind->retry <= now)
        try_again(kind);
    while (kind->first != NULL && kind->first->until <= now) {
        struct coir__deferred *deferred = kind->first;
        is_ending(deferred);
        kind->end(deferred, COIR__DEFERRED_LATE);
    }
    kind->held = false;
    set_timer(kind);
    coir__deferrals_drop(kind);
}

static void hurry(struct coir__deferrals *kind)
{
    kind->held = true;
    while (kind->first != NULL) {
        struct coir__deferred *deferred = kind->first;
        is_ending(deferred);
        kind->end(deferred, COIR__DEFERRED_CANCELLED);
    }
    kind->held = false;
    coir__deferrals_drop(kind);
}

void coir__deferred_hurry(struct coir_group *group)
{
    struct coir__deferrals *next;
    for (struct coir__deferrals *kind = group->coir__deferred; kind != NULL; kind = next) {
        next = kind->next;
        hurry(kind);
    }
}
