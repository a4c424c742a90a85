/* Floor of channel/N: a ring between two bare contexts on one thread, with a direct switch when
 * one of them must wait. For capacities 0 and 1 a consumer that waits is handed the value itself,
 * and a producer that waits has put its value into the ring already, beyond the capacity; for
 * larger ones that bookkeeping costs more than it saves, and the ring is all there is. What both
 * contexts touch has external linkage on purpose, see context.h. Needs -mno-red-zone. Checks the
 * sum of what arrived. */
#define _GNU_SOURCE
#include "../measure.h"
#include "context.h"

#include <sys/mman.h>

enum { STACK = 65536, ITEMS = 20000000, RING = 64 };

void *producer_context, *consumer_context;
long ring[RING];
unsigned head, tail, capacity;
long hand;   /* what the waiting consumer is given */
int waiting; /* whether it waits */

/* Out of line, so that the loops around them keep their registers. */
static __attribute__((noinline)) void park_producer(void)
{
    context_switch_inline(&producer_context, consumer_context);
}

static __attribute__((noinline)) void park_consumer(void)
{
    context_switch_inline(&consumer_context, producer_context);
}

static void produce(void)
{
    for (long i = 0;; i++) {
        while (tail - head == capacity)
            park_producer();
        ring[tail++ % RING] = i;
    }
}

static long consume(void)
{
    long sum = 0;
    for (long i = 0; i < ITEMS; i++) {
        while (tail == head)
            park_consumer();
        sum += ring[head++ % RING];
    }
    return sum;
}

static void produce_by_hand(void)
{
    for (long i = 0;; i++) {
        if (waiting) {
            waiting = 0;
            hand = i;
            continue;
        }
        ring[tail++ % RING] = i;
        if (tail - head > capacity)
            context_switch_inline(&producer_context, consumer_context);
    }
}

static long consume_by_hand(void)
{
    long sum = 0;
    for (long i = 0; i < ITEMS; i++) {
        if (head != tail) {
            sum += ring[head++ % RING];
            continue;
        }
        waiting = 1;
        context_switch_inline(&consumer_context, producer_context);
        sum += hand;
    }
    return sum;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "channel/1";
    capacity = (unsigned)strtoul(strrchr(name, '/') + 1, NULL, 10);
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED || capacity > RING)
        return 1;
    uint64_t *sp = (uint64_t *)(stack + STACK);
    *--sp = 0;
    *--sp = (uint64_t)(capacity > 1 ? produce : produce_by_hand);
    producer_context = sp;

    int64_t start = measure_now_ns();
    long sum = capacity > 1 ? consume() : consume_by_hand();
    measure_per_op(name, measure_now_ns() - start, ITEMS, "ns/item");
    return sum == (long)ITEMS * (ITEMS - 1) / 2 ? 0 : 1;
}
