/* call.c: callbacks that the loop calls: soon, later, at a time.
 *
 * A callback is named by the slot of a table and the slot's generation, so a name that outlived its
 * callback is recognised. Slots are reused; the table only grows. What must not allocate uses
 * coir_timer or coir_post instead.
 */
#include <string.h>

#include "core/core.h"

struct callback {
    struct coir__ready ready;
    coir_timer timer;
    struct coir_loop *loop;
    void (*fn)(void *arg); /* NULL: taken back while in the ready queue, or the slot is free */
    void *arg;
    struct callback *next_free;
    uint32_t slot, generation;
};

struct coir__callbacks {
    struct callback **table; /* records do not move: lists point into them */
    struct callback *free;
    size_t count, room;
};

static struct callback *add_slot(struct coir__callbacks *callbacks)
{
    if (callbacks->count == callbacks->room) {
        size_t room = callbacks->room == 0 ? 16 : callbacks->room * 2;
        struct callback **table = coir__alloc_own(room * sizeof(struct callback *));
        if (table == NULL)
            return NULL;
        if (callbacks->count > 0)
            memcpy(table, callbacks->table, callbacks->count * sizeof(struct callback *));
        coir__free_own(callbacks->table);
        callbacks->table = table;
        callbacks->room = room;
    }
    struct callback *callback = coir__alloc_own(sizeof *callback);
    if (callback == NULL)
        return NULL;
    *callback = (struct callback){.slot = (uint32_t)callbacks->count, .generation = 1};
    callbacks->table[callbacks->count++] = callback;
    return callback;
}

static struct callback *take(struct coir_loop *loop, void (*fn)(void *arg), void *arg,
                             coir_callback *ret_callback)
{
    if (loop->callbacks == NULL) {
        loop->callbacks = coir__alloc_own(sizeof *loop->callbacks);
        if (loop->callbacks == NULL)
            return NULL;
        *loop->callbacks = (struct coir__callbacks){0};
    }
    struct coir__callbacks *callbacks = loop->callbacks;
    struct callback *callback = callbacks->free;
    if (callback != NULL)
        callbacks->free = callback->next_free;
    else
        callback = add_slot(callbacks);
    if (callback == NULL)
        return NULL;
    callback->loop = loop;
    callback->fn = fn;
    callback->arg = arg;
    loop->callbacks_live++;
    if (ret_callback != NULL)
        *ret_callback = (coir_callback){callback->slot, callback->generation};
    return callback;
}

static void give(struct callback *callback)
{
    struct coir__callbacks *callbacks = callback->loop->callbacks;
    callback->next_free = callbacks->free;
    callbacks->free = callback;
}

/* The name dies before the call: a callback that takes itself back finds nothing. */
static void call(struct callback *callback)
{
    void (*fn)(void *arg) = callback->fn;
    void *arg = callback->arg;
    callback->fn = NULL;
    callback->generation++;
    if (fn != NULL)
        callback->loop->callbacks_live--;
    give(callback);
    if (fn != NULL)
        fn(arg);
}

static void run_ready(struct coir__ready *ready)
{
    call(coir__container(ready, struct callback, ready));
}

static void run_timer(void *arg)
{
    call(arg);
}

int coir_call_soon(coir_loop *loop, void (*fn)(void *arg), void *arg, coir_callback *ret_callback)
{
    if (fn == NULL)
        return -EINVAL;
    if (coir__elsewhere(loop, NULL))
        return -COIR_EWRONGLOOP;
    struct callback *callback = take(loop, fn, arg, ret_callback);
    if (callback == NULL)
        return -ENOMEM;
    callback->ready.run = run_ready;
    coir__ready_push(loop, &callback->ready);
    return 0;
}

int coir_call_at(coir_loop *loop, coir_time when, void (*fn)(void *arg), void *arg,
                 coir_callback *ret_callback)
{
    if (fn == NULL)
        return -EINVAL;
    if (coir__elsewhere(loop, NULL))
        return -COIR_EWRONGLOOP;
    struct callback *callback = take(loop, fn, arg, ret_callback);
    if (callback == NULL)
        return -ENOMEM;
    coir_timer_start(loop, &callback->timer, when, run_timer, callback);
    return 0;
}

int coir_call_later(coir_loop *loop, coir_time delay, void (*fn)(void *arg), void *arg,
                    coir_callback *ret_callback)
{
    coir_time when;
    if (coir__elsewhere(loop, NULL))
        return -COIR_EWRONGLOOP;
    if (__builtin_add_overflow(coir__clock_of(loop), delay, &when))
        when = COIR_FOREVER;
    return coir_call_at(loop, when, fn, arg, ret_callback);
}

int coir_callback_cancel(coir_loop *loop, coir_callback name)
{
    if (coir__elsewhere(loop, NULL))
        return -COIR_EWRONGLOOP;
    struct coir__callbacks *callbacks = loop->callbacks;
    if (callbacks == NULL || name.coir__slot >= callbacks->count)
        return -ENOENT;
    struct callback *callback = callbacks->table[name.coir__slot];
    if (callback->generation != name.coir__generation || callback->fn == NULL)
        return -ENOENT;
    loop->callbacks_live--;
    callback->fn = NULL;
    if (coir_timer_running(&callback->timer)) {
        coir_timer_stop(loop, &callback->timer);
        callback->generation++;
        give(callback);
    }
    return 0; /* one in the ready queue is given back when its turn comes */
}

uint64_t coir__callbacks_timers(const struct coir_loop *loop)
{
    uint64_t count = 0;
    for (size_t i = 0; loop->callbacks != NULL && i < loop->callbacks->count; i++)
        count += coir_timer_running(&loop->callbacks->table[i]->timer);
    return count;
}

void coir__callbacks_close(struct coir_loop *loop)
{
    struct coir__callbacks *callbacks = loop->callbacks;
    if (callbacks == NULL)
        return;
    for (size_t i = 0; i < callbacks->count; i++) {
        coir_timer_stop(loop, &callbacks->table[i]->timer);
        coir__free_own(callbacks->table[i]);
    }
    coir__free_own(callbacks->table);
    coir__free_own(callbacks);
    loop->callbacks = NULL;
}
