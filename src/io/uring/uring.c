/* uring.c: the backend on io_uring: the kernel does what is asked for and tells when it is done.
 *
 * Owns the state of a loop's ring and the mark by which a child of fork(2) knows that the ring is
 * not its own. One turn of the loop enters the kernel once: what was started since the last turn is
 * handed over, and what is complete comes back. Called by the loop (open, poll, wake, close) and,
 * through the table, by streams, sockets and descriptors.
 */
#include <stdio.h>
#include <stdlib.h>

#include "io/process/process.h"
#include "io/process/signal.h"
#include "io/stream/pipe.h"
#include "io/uring/uring.h"

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define PAGE 4096                   /* at least: what is mapped is rounded up */
#define LONGEST_CLOSING COIR_SEC(1) /* for the kernel to let go of what is left */

/* ---- opening and closing ---- */

/* A page that a child finds empty. Without it a child that should not touch the loop is not told
 * so. */
static void mark_as_ours(struct coir__uring *uring)
{
    uint32_t *page = coir__sys_mmap(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    if (page == NULL)
        return;
    if (coir__sys_madvise(page, PAGE, MADV_WIPEONFORK) < 0) {
        (void)munmap(page, PAGE);
        return;
    }
    *page = 1;
    uring->alive = page;
}

static void free_state(struct coir__uring *uring)
{
    if (uring->alive != NULL)
        (void)munmap((void *)(uintptr_t)uring->alive, PAGE);
    if (uring->wakefd >= 0)
        coir__sys_close(uring->wakefd);
    coir__uring_pool_close(uring);
    for (struct coir__uring_file *record; (record = uring->spares) != NULL;) {
        uring->spares = record->next;
        coir__free_own(record);
    }
    coir__free_own(uring->slots);
    coir__free_own(uring->watches);
    coir__free_own(uring);
}

/* Under valgrind, which does not see what the kernel writes, it is taken only when asked for. */
static bool is_avoided(const struct coir_loop *loop)
{
    const char *wanted = loop->opts.backend != NULL ? loop->opts.backend : getenv("COIR_BACKEND");
    return RUNNING_ON_VALGRIND && (wanted == NULL || wanted[0] == '\0');
}

/* What does not work here at all, as opposed to now. */
static int refused(int code)
{
    return code == -EPERM || code == -ENOSYS || code == -EACCES || code == -EINVAL ? -ENOTSUP
                                                                                   : code;
}

static int uring_open(struct coir_loop *loop, char *why, size_t size)
{
    if (is_avoided(loop)) {
        (void)snprintf(why, size, "valgrind does not see what the kernel writes");
        return -ENOTSUP;
    }
    struct coir__uring *uring = coir__alloc_own(sizeof *uring);
    if (uring == NULL)
        return -ENOMEM;
    *uring = (struct coir__uring){.loop = loop,
                                  .slot_free = COIR__URING_NONE,
                                  .backlog_first = COIR__URING_NONE,
                                  .backlog_last = COIR__URING_NONE};
    uring->wakefd = coir__sys_eventfd();
    int r = uring->wakefd;
    if (r < 0)
        (void)snprintf(why, size, "eventfd: %s", coir_error_name(r));
    else
        r = coir__uring_ring_open(uring, why, size);
    if (r < 0) {
        free_state(uring);
        return refused(r);
    }
    mark_as_ours(uring);
    coir__uring_ledger_enable();
    loop->backend_state = uring;
    return 0;
}

static int take_completions(struct coir__uring *uring)
{
    struct io_uring_cqe completion;
    int completed = 0;
    while (coir__uring_next(uring, &completion))
        completed += coir__uring_finish(uring, &completion);
    return completed;
}

/* The memory of what is under way is about to go: the kernel must have let go of it. */
static void drain(struct coir__uring *uring)
{
    coir__uring_cancel_all(uring);
    coir_time end = coir__clock() + LONGEST_CLOSING;
    while ((uring->loop->operations > 0 || uring->receives > 0) && coir__clock() < end) {
        coir__uring_push(uring);
        int r = coir__uring_enter(uring, COIR_MS(20));
        (void)(r == 0 ? take_completions(uring) : coir__uring_go_without(uring, r));
    }
}

static void uring_close(struct coir_loop *loop)
{
    struct coir__uring *uring = coir__uring_of(loop);
    coir__process_loop_closes(loop);
    coir__signal_loop_closes(loop);
    coir__pipe_loop_closes(loop);
    if (coir__uring_is_copy(uring)) {
        if (!uring->broken)
            coir__sys_close(uring->ring.ring_fd); /* the rest is not mapped here */
    } else {
        drain(uring);
        if (!uring->broken)
            coir__uring_ring_close(uring);
    }
    loop->backend_state = NULL; /* nobody looks at what is freed */
    free_state(uring);
}

/* ---- polling ---- */

/* Whether the kernel does not have yet what it should. */
static bool is_behind(const struct coir__uring *uring)
{
    return !uring->wake_armed || uring->backlog_first != COIR__URING_NONE || uring->cancels > 0;
}

static int uring_poll(struct coir_loop *loop, coir_time timeout)
{
    struct coir__uring *uring = coir__uring_of(loop);
    if (coir__uring_is_copy(uring))
        return -COIR_EWRONGLOOP;
    coir__uring_arm_wake(uring);
    coir__uring_push(uring);
    if (!uring->broken && (is_behind(uring) || coir__uring_has_next(uring)))
        timeout = 0; /* what the kernel does not have yet cannot wake anybody */
    if (timeout > 0 || coir__uring_wants_enter(uring)) {
        int r = coir__uring_enter(uring, timeout);
        if (coir__unlikely(r < 0)) {
            int ended = coir__uring_go_without(uring, r);
            return ended > 0 ? ended : r;
        }
    }
    return take_completions(uring);
}

static void uring_wake(struct coir_loop *loop)
{
    coir__sys_wake_eventfd(coir__uring_of(loop)->wakefd);
}

static int uring_descriptor(const struct coir_loop *loop)
{
    const struct coir__uring *uring = loop->backend_state;
    return uring->broken ? uring->wakefd : uring->ring.ring_fd;
}

/* What is queued for the kernel is handed over by the next poll only. */
static coir_time uring_due(const struct coir_loop *loop)
{
    const struct coir__uring *uring = loop->backend_state;
    if (coir__uring_is_copy(uring) || loop->turns == 0)
        return COIR_FOREVER; /* before its first turn a loop has started nothing */
    if (uring->broken)
        return coir__uring_retry_in(uring);
    return is_behind(uring) || coir__uring_has_entries(uring) ? 0 : COIR_FOREVER;
}

const struct coir__backend coir__backend_uring = {
    .name = "uring",
    .open = uring_open,
    .close = uring_close,
    .poll = uring_poll,
    .wake = uring_wake,
    .descriptor = uring_descriptor,
    .due = uring_due,
    .start = coir__uring_start,
    .cancel = coir__uring_cancel,
    .file_make = coir__uring_file_make,
    .file_begin = coir__uring_file_begin,
    .file_socket = coir__native_socket,
    .file_adopt = coir__native_adopt,
    .file_pair = coir__native_pair,
    .file_bind = coir__native_bind,
    .file_listen = coir__native_listen,
    .file_shutdown = coir__native_shutdown,
    .file_option = coir__native_option,
    .file_name = coir__native_name,
    .file_unread = coir__uring_unread,
    .file_held = coir__uring_held,
    .file_show = coir__uring_show,
    .file_holds = coir__uring_holds,
    .file_close = coir__uring_close,
    .path_mode = coir__native_path_mode,
    .path_remove = coir__native_path_remove,
};
