/* warm: touches and gives back memory, once, before each run of a benchmark that needs gigabytes
 * of it. usage: warm MIB. In a virtual machine the first touch of a page that the host took back
 * costs ten times a plain page fault; without this, whoever runs first pays for the others. */
#define _GNU_SOURCE
#include "measure.h"

#include <sys/mman.h>

int main(int argc, char **argv)
{
    size_t size = (size_t)strtoul(argc > 1 ? argv[1] : "0", NULL, 10) << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    for (size_t at = 0; at < size; at += 4096)
        memory[at] = 1;
    return 0;
}
