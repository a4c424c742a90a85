/* info.c: what this build and machine offer, as one struct and one text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/backend.h"
#include "core/core.h"

#define VERSION "0.1.0"

static _Thread_local struct coir_info information;
static _Thread_local char text[768], why[320];

/* Opens a backend as a loop would, to see which it is. */
static void try_backend(void)
{
    struct coir_loop loop = {.root.coir__kind = COIR__SCOPE_ROOT};
    const char *wanted = getenv("COIR_BACKEND");
    int r = coir__loop_open_backend(&loop);
    information.backend = loop.backend != NULL ? loop.backend->name : wanted;
    (void)snprintf(why, sizeof why, "no loop runs on this thread; %s%s", loop.backend_why,
                   r < 0 ? "; it does not work here" : "");
    information.backend_why = why;
    if (r >= 0)
        loop.backend->close(&loop);
}

const struct coir_info *coir_info(void)
{
    const struct coir_loop *loop = coir__loop;
    information.version = VERSION;
    if (loop == NULL) {
        try_backend();
    } else {
        information.backend = loop->backend->name;
        information.backend_why = loop->backend_why;
    }
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
