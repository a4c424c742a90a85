#include <stdlib.h>
#include "io_uring.h"

__attribute__((constructor)) static void be_eager(void)
{
    const char *patience = getenv("COIR_TEST_PATIENCE");
    if (patience != NULL)
        coir__uring_patience = (uint16_t)strtol(patience, NULL, 10);
}
