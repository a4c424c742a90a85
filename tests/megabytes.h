/* megabytes.h: megabytes for a test.
 *
 * They are mapped where they are wanted, and are no global arrays: all tests are one program, and
 * at the end of each test's process the leak checker reads all globals that there are.
 */
#pragma once

#include <stdlib.h>
#include <sys/mman.h>

/* Zeros, there until the process ends. */
static inline void *megabytes(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    return memory;
}
