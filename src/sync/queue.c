/* queue.c: queues in the shape of asyncio's, over a ring (first or last in) or a heap (by
 * priority).
 *
 * Items lie in cells, whose number doubles when needed. A get that finds nothing waits, a put that
 * finds max_size items waits; a put hands its item to a waiting get, and a get takes the item of a
 * waiting put in, before they run. So there are never items and waiting gets, nor room and waiting
 * puts. In the heap each cell begins with the number of its put, so that equal items leave in the
 * order in which they came.
 */
#include <stdio.h>
#include <string.h>

#include <coir/queue.h>

#include "sync/sync.h"

#define FIRST_CELLS 16
#define HEAP_ITEM 16 /* where in a cell of the heap the item lies; cells are a multiple of it */

struct coir_queue {
    struct coir_loop *loop;
    size_t size; /* of an item */
    size_t cell; /* bytes from cell to cell */
    char *cells;
    size_t room;  /* how many cells there are */
    size_t head;  /* of the ring */
    size_t count; /* items */
    size_t max_size;
    size_t unfinished;
    uint64_t puts; /* in all, numbers the cells of the heap */
    int (*compare)(const void *a, const void *b);
    struct coir__waitlist getting, putting, joining;
    coir_queue_kind kind;
    bool shut;
    const coir_site *site;
};

/* ---- the ring ---- */

static char *ring_cell(const coir_queue *queue, size_t place)
{
    return queue->cells + (queue->head + place) % queue->room * queue->cell;
}

static void ring_add(coir_queue *queue, const void *item)
{
    memcpy(ring_cell(queue, queue->count), item, queue->size);
}

static void ring_remove(coir_queue *queue, void *ret_item)
{
    bool last = queue->kind == COIR_QUEUE_LIFO;
    memcpy(ret_item, ring_cell(queue, last ? queue->count - 1 : 0), queue->size);
    if (!last)
        queue->head = (queue->head + 1) % queue->room;
}

/* ---- the heap: no cell goes before its parent, cell (n - 1) / 2 ---- */

static char *heap_cell(const coir_queue *queue, size_t place)
{
    return queue->cells + place * queue->cell;
}

static bool goes_before(const coir_queue *queue, const char *a, const char *b)
{
    int order = queue->compare(a + HEAP_ITEM, b + HEAP_ITEM);
    if (order != 0)
        return order < 0;
    uint64_t put_a, put_b;
    memcpy(&put_a, a, sizeof put_a);
    memcpy(&put_b, b, sizeof put_b);
    return put_a < put_b;
}

static void swap_cells(const coir_queue *queue, char *a, char *b)
{
    for (size_t at = 0; at < queue->cell; at += HEAP_ITEM) {
        char kept[HEAP_ITEM];
        memcpy(kept, a + at, HEAP_ITEM);
        memcpy(a + at, b + at, HEAP_ITEM);
        memcpy(b + at, kept, HEAP_ITEM);
    }
}

static void heap_add(coir_queue *queue, const void *item)
{
    size_t place = queue->count;
    memcpy(heap_cell(queue, place), &queue->puts, sizeof queue->puts);
    memcpy(heap_cell(queue, place) + HEAP_ITEM, item, queue->size);
    while (place > 0) {
        size_t parent = (place - 1) / 2;
        if (!goes_before(queue, heap_cell(queue, place), heap_cell(queue, parent)))
            break;
        swap_cells(queue, heap_cell(queue, place), heap_cell(queue, parent));
        place = parent;
    }
}

static void heap_remove(coir_queue *queue, void *ret_item)
{
    size_t left = queue->count - 1, place = 0;
    memcpy(ret_item, heap_cell(queue, 0) + HEAP_ITEM, queue->size);
    if (left > 0)
        memcpy(heap_cell(queue, 0), heap_cell(queue, left), queue->cell);
    for (;;) {
        size_t child = 2 * place + 1;
        if (child + 1 < left &&
            goes_before(queue, heap_cell(queue, child + 1), heap_cell(queue, child)))
            child++;
        if (child >= left || !goes_before(queue, heap_cell(queue, child), heap_cell(queue, place)))
            return;
        swap_cells(queue, heap_cell(queue, child), heap_cell(queue, place));
        place = child;
    }
}

/* ---- either ---- */

/* Makes sure that there is a cell for one more item. */
static int reserve(coir_queue *queue)
{
    if (queue->count < queue->room)
        return 0;
    size_t room = queue->room > 0 ? 2 * queue->room : FIRST_CELLS, bytes;
    if (__builtin_mul_overflow(room, queue->cell, &bytes))
        return -ENOMEM;
    char *cells = coir__alloc(bytes);
    if (cells == NULL)
        return -ENOMEM;
    size_t straight = (queue->room - queue->head) * queue->cell;
    if (queue->room > 0) {
        memcpy(cells, queue->cells + queue->head * queue->cell, straight);
        memcpy(cells + straight, queue->cells, queue->head * queue->cell);
    }
    coir__free(queue->cells);
    queue->cells = cells;
    queue->room = room;
    queue->head = 0;
    return 0;
}

/* Adds an item where there is a cell for it. */
static void add(coir_queue *queue, const void *item)
{
    queue->puts++;
    if (queue->kind == COIR_QUEUE_PRIORITY)
        heap_add(queue, item);
    else
        ring_add(queue, item);
    queue->count++;
}

/* Removes the next item, and lets the put that has waited longest take the room. -EAGAIN when there
 * is none. */
static int take(coir_queue *queue, void *ret_item)
{
    if (queue->count == 0)
        return queue->shut ? -COIR_ECLOSED : -EAGAIN;
    if (queue->kind == COIR_QUEUE_PRIORITY)
        heap_remove(queue, ret_item);
    else
        ring_remove(queue, ret_item);
    queue->count--;
    struct coir__waiter *putter = queue->putting.first;
    if (putter != NULL) {
        queue->unfinished++;
        add(queue, putter->slot);
        coir__waiter_wake(putter, 0);
    }
    return 0;
}

/* Puts an item into the hands of a waiting get, or into a cell. -EAGAIN when it is full. */
static int put(coir_queue *queue, const void *item)
{
    if (queue->shut)
        return -COIR_ECLOSED;
    struct coir__waiter *getter = queue->getting.first;
    if (getter != NULL) {
        queue->unfinished++;
        memcpy(getter->slot, item, queue->size);
        coir__waiter_wake(getter, 0);
        return 0;
    }
    if (queue->max_size > 0 && queue->count >= queue->max_size)
        return -EAGAIN;
    int r = reserve(queue);
    if (r < 0)
        return r;
    queue->unfinished++;
    add(queue, item);
    return 0;
}

static void finish(coir_queue *queue, size_t count)
{
    queue->unfinished -= count;
    if (queue->unfinished == 0)
        coir__wake_all(&queue->joining, 0);
}

/* ---- waiting ---- */

static size_t describe(const struct coir_task *task, char *text, size_t size)
{
    const coir_queue *queue = task->wait_object;
    const coir_site *site = queue->site;
    return (size_t)snprintf(text, size, "of %s opened at %s:%d, %zu in it, %zu unfinished",
                            site->what, coir__file_name(site->file), site->line, queue->count,
                            queue->unfinished);
}

static const struct coir__wait put_wait = {"waits to put into queue", coir__abort_waiter, describe};
static const struct coir__wait get_wait = {"waits to get from queue", coir__abort_waiter, describe};
static const struct coir__wait join_wait = {"waits for all work of queue", coir__abort_waiter,
                                            describe};

/* Whether a call with an item of size bytes from loop is meant for queue. */
static int check(const coir_queue *queue, const struct coir_loop *loop, size_t size)
{
    if (coir__unlikely(queue->loop != loop))
        return coir__refuse(queue->loop, NULL, -COIR_EWRONGLOOP);
    return queue->size == size ? 0 : -EINVAL;
}

int coir__queue_put(coir_queue *queue, const void *item, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, queue->loop);
    if (coir__unlikely(r < 0))
        return r;
    r = coir__queue_try_put(queue, item, size);
    if (r != -EAGAIN)
        return coir__charge(self, r);
    return coir__wait_in(self, &queue->putting, &put_wait, queue, (void *)(uintptr_t)item);
}

int coir__queue_try_put(coir_queue *queue, const void *item, size_t size)
{
    int r = check(queue, coir__loop, size);
    return r < 0 ? r : put(queue, item);
}

int coir__queue_get(coir_queue *queue, void *ret_item, size_t size)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, queue->loop);
    if (coir__unlikely(r < 0))
        return r;
    r = coir__queue_try_get(queue, ret_item, size);
    if (r != -EAGAIN)
        return coir__charge(self, r);
    return coir__wait_in(self, &queue->getting, &get_wait, queue, ret_item);
}

int coir__queue_try_get(coir_queue *queue, void *ret_item, size_t size)
{
    int r = check(queue, coir__loop, size);
    return r < 0 ? r : take(queue, ret_item);
}

int coir_queue_task_done(coir_queue *queue)
{
    if (queue->loop != coir__loop)
        return coir__refuse(queue->loop, NULL, -COIR_EWRONGLOOP);
    if (queue->unfinished == 0)
        return -EINVAL;
    finish(queue, 1);
    return 0;
}

int coir_queue_join(coir_queue *queue)
{
    struct coir_task *self = coir__self();
    int r = coir__look_at(self, queue->loop);
    if (r < 0)
        return r;
    if (queue->loop != self->loop)
        return coir__refuse(queue->loop, NULL, -COIR_EWRONGLOOP);
    if (queue->unfinished == 0)
        return coir__charge(self, 0);
    return coir__wait_in(self, &queue->joining, &join_wait, queue, NULL);
}

/* ---- opening, shutting down, closing ---- */

int coir_queue_open_at(size_t size, const coir_queue_opts *opts, coir_queue **ret_queue,
                       const coir_site *site)
{
    static const coir_queue_opts defaults;
    if (opts == NULL)
        opts = &defaults;
    bool heap = opts->kind == COIR_QUEUE_PRIORITY;
    bool known = opts->kind == COIR_QUEUE_FIFO || opts->kind == COIR_QUEUE_LIFO || heap;
    if (size == 0 || size > PTRDIFF_MAX / 2 || !known || (heap && opts->compare == NULL))
        return -EINVAL;
    if (coir__loop == NULL)
        return coir__refuse(NULL, NULL, -COIR_ENOTASK);
    coir_queue *queue = coir__calloc(1, sizeof *queue);
    if (queue == NULL)
        return -ENOMEM;
    queue->loop = coir__loop;
    queue->size = size;
    queue->cell = heap ? HEAP_ITEM + (size + HEAP_ITEM - 1) / HEAP_ITEM * HEAP_ITEM : size;
    queue->kind = opts->kind;
    queue->max_size = opts->max_size;
    queue->compare = opts->compare;
    queue->site = site;
    *ret_queue = queue;
    return 0;
}

int coir_queue_shutdown(coir_queue *queue, bool immediate)
{
    if (queue->loop != coir__loop)
        return coir__refuse(queue->loop, NULL, -COIR_EWRONGLOOP);
    queue->shut = true;
    coir__wake_all(&queue->putting, -COIR_ECLOSED);
    coir__wake_all(&queue->getting, -COIR_ECLOSED);
    if (immediate) {
        size_t dropped = queue->count;
        queue->count = 0;
        finish(queue, dropped < queue->unfinished ? dropped : queue->unfinished);
    }
    return 0;
}

void coir_queue_close(coir_queue *queue)
{
    if (queue == NULL || coir__elsewhere(queue->loop, NULL))
        return;
    coir__wake_all(&queue->putting, -COIR_ECLOSED);
    coir__wake_all(&queue->getting, -COIR_ECLOSED);
    coir__wake_all(&queue->joining, -COIR_ECLOSED);
    coir__free(queue->cells);
    coir__free(queue);
}

size_t coir_queue_size(const coir_queue *queue)
{
    return queue->count;
}

size_t coir_queue_unfinished(const coir_queue *queue)
{
    return queue->unfinished;
}
