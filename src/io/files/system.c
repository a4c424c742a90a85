/* system.c: calls on files and paths: how each is made by a thread, and who makes it.
 *
 * Three ways, in this order. What the kernel can say at once is asked at once: opening what is in
 * the cache of names, reading and writing what is in the cache of pages; each says -EAGAIN instead
 * of waiting. What has to wait is given to the backend (COIR__OP_SYSTEM): the ring where it has the
 * operation, the simulation, which makes the call when its turn has come. Otherwise a thread of the
 * default pool makes it. Results and errors are those of the system call in each case.
 *
 * Cancelled, a call that nobody has begun is withdrawn. One that is under way is waited for, and
 * its result counts: a file that was opened late is given to the caller. Called by the files of
 * coir_file and coir_fs, and by the backends for the table.
 */
#include <stdio.h>
#include <string.h>

#include <coir/threads.h>

#include "io/files/system.h"
#include "io/files/sys.h"

/* ---- the calls ---- */

/* openat2 is refused by old kernels, and by some filters; for all but `resolve` openat will do. */
static long open_path(const struct coir__system *call, uint64_t resolve)
{
    static atomic_bool lacking;
    struct open_how how = call->how;
    how.resolve |= resolve;
    long fd = -ENOSYS;
    if (!atomic_load_explicit(&lacking, memory_order_relaxed))
        fd = coir__sys_openat2(call->fd, call->path, &how);
    if (fd == -ENOSYS)
        atomic_store_explicit(&lacking, true, memory_order_relaxed);
    if ((fd == -ENOSYS || fd == -EPERM) && how.resolve == 0)
        fd = coir__sys_openat(call->fd, call->path, (int)how.flags, (unsigned)how.mode);
    return fd;
}

static long call_once(const struct coir__system *call)
{
    switch ((enum coir__system_kind)call->kind) {
    case COIR__SYSTEM_OPEN: return open_path(call, 0);
    case COIR__SYSTEM_READ:
        return coir__sys_pread(call->fd, call->data, call->length, call->offset, 0);
    case COIR__SYSTEM_WRITE:
        return coir__sys_pwrite(call->fd, call->data, call->length, call->offset, 0);
    case COIR__SYSTEM_SYNC: return coir__sys_fsync(call->fd);
    case COIR__SYSTEM_STAT:
        return coir__sys_statx(AT_FDCWD, call->path, (int)call->flags, COIR__SYSTEM_STATUS,
                               call->status);
    case COIR__SYSTEM_TRUNCATE: return coir__sys_ftruncate(call->fd, call->offset);
    case COIR__SYSTEM_MKDIR: return coir__sys_mkdir(call->path, call->mode);
    case COIR__SYSTEM_UNLINK: return coir__sys_unlink(call->path);
    case COIR__SYSTEM_RMDIR: return coir__sys_rmdir(call->path);
    case COIR__SYSTEM_RENAME: return coir__sys_rename(call->path, call->to, call->flags);
    case COIR__SYSTEM_LINK: return coir__sys_link(call->path, call->to);
    case COIR__SYSTEM_SYMLINK: return coir__sys_symlink(call->path, call->to);
    case COIR__SYSTEM_READLINK: return coir__sys_readlink(call->path, call->data, call->length);
    case COIR__SYSTEM_ENTRIES: return coir__sys_getdents(call->fd, call->data, call->length);
    case COIR__SYSTEM_COPY:
        return coir__sys_copy_range(call->fd, call->to_fd, call->offset, call->length);
    case COIR__SYSTEM_SEND:
        return coir__sys_sendfile(call->to_fd, call->fd, call->offset, call->length);
    case COIR__SYSTEM_CHMOD: return coir__sys_fchmod(call->fd, call->mode);
    case COIR__SYSTEM_WATCH: return coir__sys_inotify_add(call->fd, call->path, call->flags);
    case COIR__SYSTEM_COUNT: break;
    }
    return -EINVAL;
}

long coir__system_now(const struct coir__system *call)
{
    long result;
    do
        result = call_once(call);
    while (coir__unlikely(result == -EINTR));
    return result;
}

static const struct {
    const char *name;
    enum coir__sys_call fault;
    bool moves;
} table[COIR__SYSTEM_COUNT] = {
    [COIR__SYSTEM_OPEN] = {"open", COIR__SYS_OPEN, false},
    [COIR__SYSTEM_READ] = {"read", COIR__SYS_READ, true},
    [COIR__SYSTEM_WRITE] = {"write", COIR__SYS_WRITE, true},
    [COIR__SYSTEM_SYNC] = {"sync", COIR__SYS_FSYNC, false},
    [COIR__SYSTEM_STAT] = {"stat", COIR__SYS_STATX, false},
    [COIR__SYSTEM_TRUNCATE] = {"truncate", COIR__SYS_TRUNCATE, false},
    [COIR__SYSTEM_MKDIR] = {"mkdir", COIR__SYS_MKDIR, false},
    [COIR__SYSTEM_UNLINK] = {"unlink", COIR__SYS_UNLINK, false},
    [COIR__SYSTEM_RMDIR] = {"rmdir", COIR__SYS_RMDIR, false},
    [COIR__SYSTEM_RENAME] = {"rename", COIR__SYS_RENAME, false},
    [COIR__SYSTEM_LINK] = {"link", COIR__SYS_LINK, false},
    [COIR__SYSTEM_SYMLINK] = {"symlink", COIR__SYS_SYMLINK, false},
    [COIR__SYSTEM_READLINK] = {"readlink", COIR__SYS_READLINK, false},
    [COIR__SYSTEM_ENTRIES] = {"read directory", COIR__SYS_GETDENTS, false},
    [COIR__SYSTEM_COPY] = {"copy", COIR__SYS_COPY_RANGE, true},
    [COIR__SYSTEM_SEND] = {"send", COIR__SYS_SENDFILE, true},
    [COIR__SYSTEM_CHMOD] = {"chmod", COIR__SYS_CHMOD, false},
    [COIR__SYSTEM_WATCH] = {"watch", COIR__SYS_INOTIFY, false},
};

const char *coir__system_name(const struct coir__system *call)
{
    return table[call->kind].name;
}

enum coir__sys_call coir__system_fault(const struct coir__system *call, bool *ret_moves)
{
    *ret_moves = table[call->kind].moves;
    return table[call->kind].fault;
}

int coir__system_failed(long code, const char *what, const char *path)
{
    int r = (int)code;
    if (r >= 0 || r == -ECANCELED || r == -ETIME || r == -COIR_ENOTASK || r == -COIR_EWRONGLOOP)
        return r;
    return coir_fail(r, "%s \"%.100s\": %s", what, path, coir_error_text(r));
}

/* ---- at once ---- */

static long try_once(const struct coir__system *call)
{
    switch (call->kind) {
    case COIR__SYSTEM_OPEN:
        if (call->how.flags & (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))
            return -EAGAIN;
        return open_path(call, RESOLVE_CACHED);
    case COIR__SYSTEM_READ:
        return coir__sys_pread(call->fd, call->data, call->length, call->offset, RWF_NOWAIT);
    case COIR__SYSTEM_WRITE:
        return coir__sys_pwrite(call->fd, call->data, call->length, call->offset, RWF_NOWAIT);
    default: return -EAGAIN;
    }
}

/* The result when the kernel has one without waiting, else -EAGAIN. What it says about a way of
 * asking that it does not know is no result either: asked otherwise it says what is wrong. */
static long try_call(struct coir__system *call)
{
    if (call->tries_in_vain)
        return -EAGAIN;
    long result;
    do
        result = try_once(call);
    while (coir__unlikely(result == -EINTR));
    switch (-result) {
    case EOPNOTSUPP: call->tries_in_vain = true; return -EAGAIN;
    case EINVAL:
    case ENOSYS:
    case EPERM: return -EAGAIN;
    default: return result;
    }
}

/* ---- by the backend ---- */

static bool abort_call(struct coir_task *task)
{
    struct coir__system *call = (struct coir__system *)(uintptr_t)task->wait_object;
    return task->loop->backend->cancel(task->loop, &call->op);
}

static size_t describe_call(const struct coir_task *task, char *text, size_t size)
{
    const struct coir__system *call = task->wait_object;
    if (call->path != NULL)
        return (size_t)snprintf(text, size, "%s of \"%s\"", coir__system_name(call), call->path);
    return (size_t)snprintf(text, size, "%s of fd %d", coir__system_name(call), call->fd);
}

static const struct coir__wait system_wait = {"waits for", abort_call, describe_call};

static void call_done(struct coir__op *op)
{
    op->system->result = op->result;
    coir__wake(op->task, 0);
}

/* The result, or -EOPNOTSUPP when the backend cannot make the call. */
static long by_backend(struct coir__system *call, struct coir_task *self)
{
    struct coir__op *op = &call->op;
    *op = (struct coir__op){.kind = COIR__OP_SYSTEM, .system = call, .task = self};
    op->done = call_done;
    long result = self->loop->backend->start(self->loop, op);
    if (result != COIR__STARTED)
        return result;
    /* As work of a thread it ends, if it takes its time: no test counts it as a silence. */
    uint64_t jobs = self->loop->backend->simulated ? 0 : 1;
    self->loop->jobs += jobs;
    int r = coir__park(self, &system_wait, call);
    self->loop->jobs -= jobs;
    if (r < 0)
        return r;
    if (call->result == -ECANCELED && self->pending != 0)
        return self->pending;
    return call->result;
}

/* ---- by a thread ---- */

static int call_in_thread(void *arg)
{
    struct coir__system *call = arg;
    call->result = coir__system_now(call);
    return 0;
}

static long by_thread(struct coir__system *call)
{
    coir_blocking_opts opts = {.name = coir__system_name(call)};
    int r = coir_blocking_with(call_in_thread, call, &opts);
    return r < 0 ? r : call->result;
}

/* ---- all three ---- */

/* What was copied at once counts as more than one call: others want their turn too. */
static void charge_for(struct coir_loop *loop, long bytes)
{
    loop->charges -= (int)(bytes >> 14);
}

long coir__system(struct coir__system *call)
{
    struct coir_task *self = coir__self();
    int r = coir__enter(self);
    if (coir__unlikely(r < 0))
        return r;
    bool simulated = self->loop->backend->simulated;
    long result = simulated ? -EAGAIN : try_call(call);
    if (coir__likely(result != -EAGAIN)) {
        if (result > 0 && call->kind != COIR__SYSTEM_OPEN)
            charge_for(self->loop, result);
        return result;
    }
    if (call->kind != COIR__SYSTEM_SEND || simulated) {
        result = by_backend(call, self);
        /* The ring's word for what it cannot do with this file, or at all. */
        bool unable = result == -EOPNOTSUPP || result == -EINVAL || result == -EAGAIN;
        if (simulated || !unable)
            return result;
    }
    return by_thread(call);
}
