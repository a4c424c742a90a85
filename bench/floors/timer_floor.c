/* Floor of timers/1m and timers/churn: intrusive nodes in a hierarchical timing wheel of 6 levels
 * of 64 slots, 1 ms wide, with an occupancy mask per level. Only adding and removing, as the
 * benchmarks do; nothing ever fires. Owns one array of nodes. */
#include "../measure.h"

enum { LEVELS = 6, TIMERS = 1000000, CHURN = 10000000 };

struct node {
    struct node *next, *prev;
    uint64_t when;
    uint32_t place; /* level and slot, so that removal can clear the mask */
    void (*fire)(struct node *);
};

static struct node wheel[LEVELS][64];
static uint64_t occupied[LEVELS];
static uint64_t current_ms = 123456789;

static void wheel_init(void)
{
    for (int level = 0; level < LEVELS; level++)
        for (int slot = 0; slot < 64; slot++)
            wheel[level][slot].next = wheel[level][slot].prev = &wheel[level][slot];
}

static inline void wheel_add(struct node *node)
{
    uint64_t differs = node->when ^ current_ms;
    int level = differs ? (63 - __builtin_clzll(differs)) / 6 : 0;
    if (level >= LEVELS)
        level = LEVELS - 1;
    int slot = (int)(node->when >> (6 * level)) & 63;
    struct node *head = &wheel[level][slot];
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
    occupied[level] |= UINT64_C(1) << slot;
    node->place = (uint32_t)(level << 6 | slot);
}

static inline void wheel_remove(struct node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    struct node *head = &wheel[node->place >> 6][node->place & 63];
    if (head->next == head)
        occupied[node->place >> 6] &= ~(UINT64_C(1) << (node->place & 63));
}

static void bench_million(const char *name, struct node *nodes)
{
    int64_t start = measure_now_ns();
    for (long i = 0; i < TIMERS; i++) {
        nodes[i].when = current_ms + (uint64_t)measure_timer_ms(i);
        wheel_add(&nodes[i]);
    }
    for (long i = 0; i < TIMERS; i++)
        wheel_remove(&nodes[i]);
    measure_per_op(name, measure_now_ns() - start, TIMERS, "ns/op");
}

static void bench_churn(const char *name, struct node *node)
{
    int64_t start = measure_now_ns();
    for (long i = 0; i < CHURN; i++) {
        node->when = current_ms + 10000 + (i & 1023);
        wheel_add(node);
        __asm__ volatile("" ::"r"(node) : "memory");
        wheel_remove(node);
    }
    measure_per_op(name, measure_now_ns() - start, CHURN, "ns/op");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "timers/1m";
    struct node *nodes = malloc(sizeof *nodes * TIMERS);
    if (!nodes)
        return 1;
    memset(nodes, 0, sizeof *nodes * TIMERS); /* touched before, as the peers' are */
    wheel_init();
    if (!strcmp(name, "timers/1m"))
        bench_million(name, nodes);
    else
        bench_churn(name, nodes);
    free(nodes);
    return 0;
}
