/* Floor of channel/N: a ring between two bare contexts on one thread, with a direct switch when
 * it is full or empty. channel/0 has no ring: a value passes from the producer's hand to the
 * consumer's, and send returns only after it was taken. What both contexts touch has external
 * linkage on purpose, see context.h. Needs -mno-red-zone. Checks the sum of what arrived. */
#define _GNU_SOURCE
#include "../measure.h"
#include "context.h"

#include <sys/mman.h>

enum { STACK = 65536, ITEMS = 20000000, RING = 64 };

void *producer_context, *consumer_context;
long ring[RING];
unsigned head, tail, capacity;
long hand;     /* channel/0: the value on offer */
int hand_full; /* and whether one is */

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

static void offer(void)
{
    for (long i = 0;; i++) {
        hand = i;
        hand_full = 1;
        while (hand_full)
            park_producer();
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

static long take(void)
{
    long sum = 0;
    for (long i = 0; i < ITEMS; i++) {
        while (!hand_full)
            park_consumer();
        sum += hand;
        hand_full = 0;
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
    *--sp = (uint64_t)(capacity ? produce : offer);
    producer_context = sp;

    int64_t start = measure_now_ns();
    long sum = capacity ? consume() : take();
    measure_per_op(name, measure_now_ns() - start, ITEMS, "ns/item");
    return sum == (long)ITEMS * (ITEMS - 1) / 2 ? 0 : 1;
}
