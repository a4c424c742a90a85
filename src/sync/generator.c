/* generator.c: generators: two tasks that switch to each other, one value at a time.
 *
 * The producer is parked (idle_wait) until a consumer asks, and the consumer (next_wait) until the
 * producer yields or ends. Each of the two wakes the other and parks, as a direct hand-over: no
 * queue is passed, unless the turn is used up or the order is a test's. Only a consumer that gives
 * up makes it more than that: the producer runs on by itself, and parks with its value kept.
 *
 * The task is the only child of a group inside the generator, below the loop's root: a generator
 * can be handed on, so it must not hang below a scope that may be left before it is closed. What
 * bounds its work is the scope of whoever waits for it, and the closing.
 */
#include <stdio.h>
#include <string.h>

#include <coir/generator.h>

#include "sync/sync.h"

struct coir_generator {
    struct coir_loop *loop;
    struct coir_task *task;        /* the producer; NULL when somebody has its result */
    struct coir__waiter *consumer; /* who waits for a value, in its slot: a task or a case */
    const void *value;             /* of a yield that found no consumer; on the producer's stack */
    size_t size;                   /* of a value */
    bool ended, closing;
    coir_generator_fn fn;
    void *arg;
    const coir_site *site;
    const coir_site *asked_at; /* by the consumer */
    struct coir__waiter end;   /* fired when the task ends */
    coir_group group;
};

/* ---- waiting ---- */

static coir_generator *generator_of(const struct coir_task *task)
{
    return (coir_generator *)(uintptr_t)task->wait_object;
}

static bool abort_idle(struct coir_task *producer)
{
    generator_of(producer)->value = NULL; /* its frame goes away */
    return true;
}

static bool abort_next(struct coir_task *consumer)
{
    generator_of(consumer)->consumer = NULL;
    return true;
}

static size_t describe_generator(const coir_generator *generator, char *text, size_t size)
{
    const coir_site *site = generator->site;
    return (size_t)snprintf(text, size, "'%s' opened at %s:%d", site->what,
                            coir__file_name(site->file), site->line);
}

static size_t describe_next(const struct coir_task *task, char *text, size_t size)
{
    return describe_generator(generator_of(task), text, size);
}

static const struct coir__wait idle_wait = {"waits to be asked for a value", abort_idle, NULL};
static const struct coir__wait next_wait = {"waits for a value of generator", abort_next,
                                            describe_next};

/* Ends the wait of the consumer. */
static void settle(coir_generator *generator, int result)
{
    struct coir__waiter *consumer = generator->consumer;
    generator->consumer = NULL;
    if (consumer->fire != NULL)
        consumer->fire(consumer, result);
    else
        coir__wake(consumer->task, result);
}

/* Parks the running task and makes another, which is parked, run next where that is direct, else in
 * its turn. Tail-call it. */
static inline int hand_over(struct coir_task *self, const struct coir__wait *wait,
                            const void *object, struct coir_task *to, int result, bool direct)
{
    struct coir_loop *loop = self->loop;
    if (coir__unlikely(!direct || loop->slow != 0 || --loop->budget <= 0)) {
        coir__wake(to, result);
        return coir__park(self, wait, object);
    }
    self->wait = wait;
    self->wait_object = object;
    self->wait_since = loop->now;
    to->wait = NULL;
    to->context.result = result;
    loop->current = to;
    return coir__switch(&self->context, &to->context);
}

/* ---- the producer ---- */

/* Begins when a value is wanted, or when there never will be one. */
static int produce(void *arg)
{
    coir_generator *generator = arg;
    struct coir_task *self = coir__self();
    if (generator->consumer == NULL && self->pending == 0)
        (void)coir__park(self, &idle_wait, generator);
    return generator->fn(generator, generator->arg);
}

static inline void copy(void *to, const void *from, size_t size)
{
    if (size == 8)
        memcpy(to, from, 8);
    else if (size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, size);
}

int coir__generator_yield(coir_generator *generator, const void *value, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, generator->loop);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(generator->task != self || generator->size != size))
        return -EINVAL;
    if (coir__unlikely(generator->closing))
        return -COIR_ECLOSED;
    struct coir__waiter *consumer = generator->consumer;
    if (coir__unlikely(consumer == NULL)) {
        generator->value = value;
        return coir__park(self, &idle_wait, generator);
    }
    copy(consumer->slot, value, size);
    if (coir__unlikely(consumer->fire != NULL)) {
        settle(generator, 1);
        return coir__park(self, &idle_wait, generator);
    }
    generator->consumer = NULL;
    return hand_over(self, &idle_wait, generator, consumer->task, 1, true);
}

/* The task has ended. A consumer that waits gets the result as a joiner does, else the next call
 * does; then the handle is gone. */
static void ended(struct coir__waiter *waiter, int result)
{
    coir_generator *generator = coir__container(waiter, coir_generator, end);
    struct coir__waiter *consumer = generator->consumer;
    struct coir_task *task = generator->task;
    generator->ended = true;
    if (consumer == NULL)
        return;
    generator->task = NULL;
    task->flags &= ~(uint32_t)COIR__TASK_HANDLE;
    if (result < 0)
        coir__join_failed(task, consumer->task, generator->asked_at);
    settle(generator, result < 0 ? result : 0);
}

/* ---- the consumer ---- */

/* What a generator that has ended has left to say: its failure, once, then 0. */
static int last_word(coir_generator *generator, struct coir_task *self, const coir_site *site)
{
    struct coir_task *task = generator->task;
    if (task == NULL)
        return 0;
    generator->task = NULL;
    int result = task->result;
    if (result < 0)
        coir__join_failed(task, self, site);
    coir__task_release(task);
    return result < 0 ? result : 0;
}

/* Takes the value that is kept, or else the last word. */
static int take(coir_generator *generator, struct coir_task *self, void *ret_value,
                const coir_site *site)
{
    if (generator->value == NULL)
        return last_word(generator, self, site);
    copy(ret_value, generator->value, generator->size);
    generator->value = NULL;
    return 1;
}

/* Why self cannot wait for a value now. */
static int check(const coir_generator *generator, const struct coir_task *self, size_t size)
{
    if (coir__unlikely(generator->loop != coir__loop))
        return coir__refuse(generator->loop, NULL, -COIR_EWRONGLOOP);
    if (generator->size != size)
        return -EINVAL;
    if (generator->closing)
        return -COIR_ECLOSED;
    if (self != NULL && generator->task == self)
        return -EDEADLK;
    return generator->consumer != NULL ? -EBUSY : 0;
}

int coir__generator_next(coir_generator *generator, void *ret_value, size_t size,
                         const coir_site *site)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, generator->loop);
    if (coir__unlikely(r < 0))
        return r;
    r = check(generator, self, size);
    if (coir__unlikely(r < 0))
        return r;
    if (coir__unlikely(generator->value != NULL || generator->ended))
        return coir__charge(self, take(generator, self, ret_value, site));
    self->waiter.task = self;
    self->waiter.slot = ret_value;
    generator->consumer = &self->waiter;
    generator->asked_at = site;
    struct coir_task *task = generator->task;
    if (coir__unlikely(task->wait != &idle_wait))
        return coir__park(self, &next_wait, generator);
    /* Two tasks that only switch to each other must let the rest run now and then. */
    bool direct = self->loop->slow == 0 && --self->loop->charges > 0;
    return hand_over(self, &next_wait, generator, task, 0, direct);
}

/* ---- opening and closing ---- */

int coir_generator_open_at(size_t size, coir_generator_fn fn, void *arg,
                           coir_generator **ret_generator, const coir_site *site)
{
    if (size == 0 || fn == NULL)
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    coir_generator *generator = coir__calloc(1, sizeof *generator);
    if (generator == NULL)
        return -ENOMEM;
    generator->loop = coir__loop;
    generator->size = size;
    generator->fn = fn;
    generator->arg = arg;
    generator->site = site;
    generator->end.fire = ended;
    int r = coir_group_init_at(&generator->group, COIR_REPORT, site);
    if (r >= 0)
        r = coir__spawn(coir__loop, &generator->group, produce, generator, 0, site,
                        &generator->task);
    if (r < 0) {
        (void)coir_group_close_at(&generator->group, site);
        coir__free(generator);
        return r;
    }
    coir__task_watch(generator->task, &generator->end);
    *ret_generator = generator;
    return 0;
}

/* Whether the running task can wait for the end of generator: it is a task, and none of its. */
static bool can_join(const coir_generator *generator, const struct coir_task *self)
{
    const struct coir_scope *scope = self != NULL ? self->scope : NULL;
    while (scope != NULL && scope != &generator->group.coir__scope)
        scope = scope->coir__parent;
    return self != NULL && scope == NULL;
}

/* Ends the waits of both sides. A shield may hold the cancellation off from the producer, but in it
 * too there is nobody left to ask for a value. */
static void dismiss(coir_generator *generator)
{
    generator->closing = true;
    if (generator->consumer != NULL)
        settle(generator, -COIR_ECLOSED);
    coir_group_cancel(&generator->group, "the generator was closed");
    if (generator->task != NULL && generator->task->wait == &idle_wait) {
        generator->value = NULL;
        coir__wake(generator->task, -COIR_ECLOSED);
    }
}

void coir_generator_close(coir_generator *generator)
{
    if (generator == NULL || coir__elsewhere(generator->loop, &generator->group.coir__scope))
        return;
    if (!generator->ended && !can_join(generator, coir__self())) {
        coir__report(generator->loop, COIR_REPORT_MISUSE, coir__self(), NULL,
                     "generator '%s' (%.64s:%d) is closed by itself, or outside a task: it is left "
                     "open",
                     generator->site->what, coir__file_name(generator->site->file),
                     generator->site->line);
        return;
    }
    if (!generator->ended)
        dismiss(generator);
    (void)coir_group_close_at(&generator->group, generator->site);
    coir__free(generator);
}

/* ---- in coir_select: a case that waits has asked; one that is withdrawn leaves the value to the
 * next who asks ---- */

static int attempt(coir_case *wanted)
{
    coir_generator *generator = wanted->coir__object;
    struct coir_task *self = coir__self();
    int r = check(generator, self, (size_t)wanted->coir__number);
    if (r < 0 || (generator->value == NULL && !generator->ended))
        return r;
    if (self == NULL && generator->task != NULL && generator->ended)
        return -COIR_ENOTASK; /* a failure has to be somebody's */
    wanted->result = take(generator, self, wanted->coir__slot, generator->site);
    return 1;
}

static int begin(coir_case *wanted)
{
    coir_generator *generator = wanted->coir__object;
    if (generator->consumer != NULL)
        return -EBUSY; /* another case of the same call */
    wanted->coir__waiter.slot = wanted->coir__slot;
    generator->consumer = &wanted->coir__waiter;
    generator->asked_at = generator->site;
    if (generator->task->wait == &idle_wait)
        coir__wake(generator->task, 0);
    return 0;
}

static void withdraw(coir_case *wanted)
{
    coir_generator *generator = wanted->coir__object;
    generator->consumer = NULL;
}

static size_t describe_case(const coir_case *wanted, char *text, size_t size)
{
    return describe_generator(wanted->coir__object, text, size);
}

const struct coir__waitable coir__on_generator = {"value of generator", attempt, begin, withdraw,
                                                  describe_case};
