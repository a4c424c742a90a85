/* under_valgrind.h: for tests of what valgrind itself changes: it adds variables, descriptors and
 * handlers to a child, knows not every system call, and ends a process with a code of its own.
 */
#ifndef COIR_TESTS_UNDER_VALGRIND_H
#define COIR_TESTS_UNDER_VALGRIND_H

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define SKIP_UNDER_VALGRIND(why)                                                                   \
    if (RUNNING_ON_VALGRIND)                                                                       \
    COIR_SKIP(why)

#endif
