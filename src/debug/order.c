/* order.c: the order in which tasks take locks, and whether it can deadlock.
 *
 * Locks get a number when debug mode first sees them; numbers are never used again, so a lock in
 * memory of another that is gone is a new one. That B was asked for while A was held is an edge
 * from A to B, kept with the stack that asked. An edge that would close a circle is reported with
 * its stack and that of the first edge of the way back, also when it does not deadlock this time.
 */
#include <stdio.h>
#include <string.h>

#include "debug/debug.h"

#define EDGES_MOST 4096
#define KEPT 12 /* frames of an edge */
#define DEEP 16 /* locks in a circle, at most */

struct edge {
    uint64_t from, to;
    uintptr_t stack[KEPT];
    unsigned count;
    char task[COIR__WHO]; /* who asked, as it was then */
};

struct coir__orders {
    struct edge *edges;
    size_t count, room;
};

static _Atomic uint64_t numbers;

struct coir__orders *coir__orders_open(void)
{
    struct coir__orders *orders = coir__alloc_own(sizeof *orders);
    if (orders != NULL)
        *orders = (struct coir__orders){0};
    return orders;
}

void coir__orders_close(struct coir__orders *orders)
{
    if (orders == NULL)
        return;
    coir__free_own(orders->edges);
    coir__free_own(orders);
}

static const struct edge *find(const struct coir__orders *orders, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < orders->count; i++)
        if (orders->edges[i].from == from && orders->edges[i].to == to)
            return &orders->edges[i];
    return NULL;
}

/* The first edge of a way from one lock to another, or NULL. */
static const struct edge *way(const struct coir__orders *orders, uint64_t from, uint64_t to,
                              int depth)
{
    const struct edge *edge = find(orders, from, to);
    for (size_t i = 0; edge == NULL && i < orders->count && depth > 0; i++)
        if (orders->edges[i].from == from && way(orders, orders->edges[i].to, to, depth - 1))
            edge = &orders->edges[i];
    return edge;
}

static bool grow(struct coir__orders *orders)
{
    size_t room = orders->room == 0 ? 16 : orders->room * 2;
    struct edge *edges = orders->count < EDGES_MOST ? coir__alloc_own(room * sizeof *edges) : NULL;
    if (edges == NULL)
        return false;
    if (orders->count > 0)
        memcpy(edges, orders->edges, orders->count * sizeof *edges);
    coir__free_own(orders->edges);
    orders->edges = edges;
    orders->room = room;
    return true;
}

static void format(const uintptr_t *stack, unsigned count, struct coir__symbols *symbols,
                   char *text, size_t size)
{
    struct coir__frames frames = {.count = count, .here = true};
    memcpy(frames.at, stack, count * sizeof *stack);
    (void)coir__frames_format(&frames, symbols, 4, text, size, NULL);
}

static void report(struct coir_task *task, const struct edge *new, const struct edge *back)
{
    char here[1536], there[1536], who[COIR__WHO];
    struct coir__symbols symbols = {.count = 0};
    format(new->stack, new->count, &symbols, here, sizeof here);
    format(back->stack, back->count, &symbols, there, sizeof there);
    coir__symbols_close(&symbols);
    (void)coir__task_who(task, who, sizeof who);
    coir__report(task->loop, COIR_REPORT_LOCK_ORDER, task, NULL,
                 "task %s takes lock %llu while it holds lock %llu:%s\n"
                 "  task %s took them the other way round:%s\n"
                 "  hint: take locks in the same order everywhere, or they can deadlock",
                 who, (unsigned long long)new->to, (unsigned long long)new->from, here, back->task,
                 there);
}

static void note(struct coir_task *task, struct coir__orders *orders, uint64_t from, uint64_t to)
{
    if (find(orders, from, to) != NULL)
        return;
    struct edge edge = {.from = from, .to = to};
    struct coir__frames frames;
    coir__frames_here(task, &frames);
    edge.count = frames.count < KEPT ? (unsigned)frames.count : KEPT;
    memcpy(edge.stack, frames.at, edge.count * sizeof edge.stack[0]);
    (void)coir__task_who(task, edge.task, sizeof edge.task);
    const struct edge *back = way(orders, to, from, DEEP);
    if (back != NULL)
        report(task, &edge, back);
    if (orders->count < orders->room || grow(orders))
        orders->edges[orders->count++] = edge;
}

static uint64_t number(uint64_t *id)
{
    if (*id == 0)
        *id = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
    return *id;
}

void coir__order_wanted(struct coir_task *task, uint64_t *id)
{
    const struct coir__debug_task *data = coir__debug_of(task);
    for (unsigned i = 0; data != NULL && i < coir__debug_held(data); i++)
        if (data->held[i] != number(id))
            note(task, task->loop->debug->orders, data->held[i], *id);
}

void coir__order_taken(struct coir_task *task, uint64_t *id)
{
    struct coir__debug_task *data = coir__debug_of(task);
    unsigned count = data != NULL ? coir__debug_held(data) : COIR__HELD_MOST;
    if (count == COIR__HELD_MOST)
        return;
    data->held[count] = number(id);
    data->counts += COIR__COUNT_HELD;
}

void coir__order_left(struct coir_task *task, uint64_t id)
{
    struct coir__debug_task *data = task != NULL ? coir__debug_of(task) : NULL;
    unsigned count = data != NULL ? coir__debug_held(data) : 0;
    for (unsigned i = count; i-- > 0;) {
        if (data->held[i] != id)
            continue;
        data->counts -= COIR__COUNT_HELD;
        memmove(&data->held[i], &data->held[i + 1], (count - 1 - i) * sizeof data->held[0]);
        return;
    }
}
