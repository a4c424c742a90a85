/* memory.c: where the library's memory comes from, and how much of it is held.
 *
 * One table of functions for the whole process (coir_set_allocator), one counter of live blocks. A
 * loop's own records are taken by coir__alloc_own and left out of the count, so that a test can
 * compare before and after. Among those are the buffers that a loop keeps for its next reads.
 * Stacks are mapped, see stack.c.
 */
#include <malloc.h>
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

coir__ledger_fn coir__ledger;
bool coir__memory_is_malloc = true;

int coir_set_allocator(const coir_allocator *allocator)
{
    if (allocator == NULL)
        allocator = &system_allocator;
    if (allocator->allocate == NULL || allocator->reallocate == NULL || allocator->release == NULL)
        return -EINVAL;
    if (coir__memory_live() != 0 || atomic_load_explicit(&live_own, memory_order_relaxed) != 0)
        return -EBUSY;
    table = *allocator;
    coir__memory_is_malloc = allocator == &system_allocator;
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

/* Of somebody else's memory only the beginning is known. */
static void tell_ledger(const char *what, void *block)
{
    coir__ledger_of()(what, block, coir__memory_is_malloc ? malloc_usable_size(block) : 1);
}

void *coir__realloc(void *block, size_t size)
{
    if (coir__unlikely(coir__has_ledger()) && block != NULL)
        tell_ledger("memory is moved", block);
    void *moved = table.reallocate(block, size, table.arg);
    if (moved != NULL && block == NULL)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return moved;
}

void coir__free(void *block)
{
    if (block == NULL)
        return;
    if (coir__unlikely(coir__has_ledger()))
        tell_ledger("memory is freed", block);
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

/* ---- buffers of a loop ---- */

/* Under sanitizers none is kept, so that they find who looks at one that was given back. */
#ifdef COIR__SANITIZED
#define BUFFERS_KEPT 0
#else
#define BUFFERS_KEPT 64
#endif

void *coir__buffer_take(struct coir_loop *loop)
{
    void *buffer = loop->buffers;
    if (buffer == NULL)
        return coir__alloc_own(COIR__BUFFER_SIZE);
    loop->buffers = *(void **)buffer;
    loop->buffers_kept--;
    return buffer;
}

void coir__buffer_give(struct coir_loop *loop, void *buffer)
{
    if (loop->buffers_kept >= BUFFERS_KEPT) {
        coir__free_own(buffer);
        return;
    }
    *(void **)buffer = loop->buffers;
    loop->buffers = buffer;
    loop->buffers_kept++;
}

void coir__buffers_close(struct coir_loop *loop)
{
    while (loop->buffers != NULL)
        coir__free_own(coir__buffer_take(loop));
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
