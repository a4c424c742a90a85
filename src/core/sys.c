/* sys.c: the fault hook of the system calls (see sys.h). Set by the test kit before a loop is
 * opened; NULL otherwise. */
#include "core/sys.h"

int (*coir__sys_fault)(enum coir__sys_call call, size_t *length);
size_t coir__sys_pretended_page;
