/* info.c: what this build and machine offer, as one struct and one text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/backend.h"
#include "core/core.h"

#define VERSION "0.1.0"

static _Thread_local coir_information information;
static _Thread_local char text[512];

const coir_information *coir_info(void)
{
    const struct coir_loop *loop = coir__loop;
    const char *wanted = getenv("COIR_BACKEND");
    information.version = VERSION;
    information.backend = loop != NULL                  ? loop->backend->name
                          : wanted != NULL && wanted[0] ? wanted
                                                        : "epoll";
    information.backend_why = loop != NULL ? loop->backend_why : "no loop runs on this thread";
    information.guards = coir__stack_guards();
    information.stack_size =
        loop != NULL && loop->opts.stack_size != 0 ? loop->opts.stack_size : COIR__STACK_SIZE;
    information.stack_limit = coir__stack_limit();
    struct utsname kernel;
    if (uname(&kernel) < 0)
        (void)snprintf(kernel.release, sizeof kernel.release, "unknown");
    char limit[64] = "as many stacks as there is memory";
    if (information.stack_limit != 0)
        (void)snprintf(limit, sizeof limit, "at most %zu stacks (vm.max_map_count)",
                       information.stack_limit);
    (void)snprintf(
        text, sizeof text,
        "coir %s\nkernel   %s\nbackend  %s (%s)\nstacks   %zu KiB by default, guarded by %s, %s\n",
        information.version, kernel.release, information.backend, information.backend_why,
        information.stack_size / 1024, information.guards, limit);
    information.text = text;
    return &information;
}
