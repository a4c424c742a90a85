/* coir/memory.h: memory from where the library takes its own (coir_set_allocator), counted with it.
 *
 * For libraries on top of coir: what is taken here is part of the memory that coir_loop_stats
 * counts, so that a test which leaves some behind fails, and it is failed once at each call by the
 * test kit's torture.
 *
 *     struct session *session = coir_calloc(1, sizeof *session);
 *     if (session == NULL)
 *         return -ENOMEM;
 */
#ifndef COIR_MEMORY_H
#define COIR_MEMORY_H

#include <coir/base.h>

COIR__BEGIN

/* Takes size bytes.
 * Returns them, to be given back by coir_free, or NULL. Cancel safety: never waits. Thread safety:
 * any thread. */
COIR__CHECKED void *coir_alloc(size_t size);

/* Takes count blocks of size bytes, zeroed.
 * Returns them, or NULL, also when the product is too large. Cancel safety: never waits. Thread
 * safety: any thread. */
COIR__CHECKED void *coir_calloc(size_t count, size_t size);

/* Makes a block larger or smaller; NULL for block takes a new one.
 * Returns it, perhaps elsewhere, or NULL and block is as it was. Cancel safety: never waits.
 * Thread safety: any thread. */
COIR__CHECKED void *coir_realloc(void *block, size_t size);

/* Gives a block back; NULL is accepted. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC void coir_free(void *block);

COIR__END
#endif
