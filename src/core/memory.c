/* memory.c: where the library's memory comes from, and how much of it is held.
 *
 * One table of functions for the whole process (coir_set_allocator), one counter of live blocks. A
 * loop's own records are taken by coir__alloc_own and left out of the count, so that a test can
 * compare before and after. Stacks are mapped, see stack.c.
 */
#include <stdlib.h>
#include <string.h>

#include <coir/memory.h>

#include "core/core.h"

static void *system_allocate(size_t size, void *arg)
{
    (void)arg;
    return malloc(size);
}

static void *system_reallocate(void *block, size_t size, void *arg)
{
    (void)arg;
    return realloc(block, size);
}

static void system_release(void *block, void *arg)
{
    (void)arg;
    free(block);
}

static const coir_allocator system_allocator = {system_allocate, system_reallocate, system_release,
                                                NULL};
static coir_allocator table = {system_allocate, system_reallocate, system_release, NULL};
static atomic_uint_fast64_t live, live_own;

int coir_set_allocator(const coir_allocator *allocator)
{
    if (allocator == NULL)
        allocator = &system_allocator;
    if (allocator->allocate == NULL || allocator->reallocate == NULL || allocator->release == NULL)
        return -EINVAL;
    if (coir__memory_live() != 0 || atomic_load_explicit(&live_own, memory_order_relaxed) != 0)
        return -EBUSY;
    table = *allocator;
    return 0;
}

void *coir__alloc(size_t size)
{
    void *block = table.allocate(size, table.arg);
    if (block != NULL)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return block;
}

void *coir__calloc(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *block = coir__alloc(total);
    if (block != NULL)
        memset(block, 0, total);
    return block;
}

void *coir__realloc(void *block, size_t size)
{
    void *moved = table.reallocate(block, size, table.arg);
    if (moved != NULL && block == NULL)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return moved;
}

void coir__free(void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    table.release(block, table.arg);
}

uint64_t coir__memory_live(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

void *coir__alloc_own(size_t size)
{
    void *block = table.allocate(size, table.arg);
    if (block != NULL)
        atomic_fetch_add_explicit(&live_own, 1, memory_order_relaxed);
    return block;
}

void coir__free_own(void *block)
{
    if (block == NULL)
        return;
    atomic_fetch_sub_explicit(&live_own, 1, memory_order_relaxed);
    table.release(block, table.arg);
}

/* ---- for libraries on top ---- */

void *coir_alloc(size_t size)
{
    return coir__alloc(size);
}

void *coir_calloc(size_t count, size_t size)
{
    return coir__calloc(count, size);
}

void *coir_realloc(void *block, size_t size)
{
    return coir__realloc(block, size);
}

void coir_free(void *block)
{
    coir__free(block);
}
