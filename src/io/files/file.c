/* file.c: open files: their records, reading and writing at positions.
 *
 * Owns the records of coir_file and their count among the descriptors of the loop. Every descriptor
 * is opened without waiting for a peer (O_NONBLOCK), so that the path of a pipe cannot hang a call
 * which nobody could end. Called by programs; the steps also by the other files of its header.
 */
#include <string.h>

#include "io/files/file.h"
#include "io/files/sys.h"

/* ---- opening and closing ---- */

static struct open_how how_of(int flags, const coir_file_opts *opts)
{
    struct open_how how = {.flags = (uint32_t)flags | O_CLOEXEC};
    if (!(flags & O_PATH))
        how.flags |= O_NONBLOCK | O_NOCTTY;
    if (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))
        how.mode = opts != NULL && opts->mode != 0 ? opts->mode : 0666;
    if (opts != NULL && opts->beneath)
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return how;
}

int coir__file_open(struct coir_file *file, const char *path, int flags, const coir_file_opts *opts)
{
    struct coir__system call = {.kind = COIR__SYSTEM_OPEN, .fd = AT_FDCWD, .path = path};
    if (opts != NULL && opts->directory != NULL)
        call.fd = opts->directory->fd;
    call.how = how_of(flags, opts);
    long fd = coir__system(&call);
    if (fd < 0)
        return (int)fd;
    *file = (struct coir_file){.loop = coir__loop, .path = path, .fd = (int)fd};
    file->loop->descriptors++;
    return 0;
}

void coir__file_shut(struct coir_file *file)
{
    coir__sys_close(file->fd);
    file->loop->descriptors--;
}

static int open_new(const char *path, int flags, const coir_file_opts *opts, coir_file **ret_file)
{
    size_t size = strlen(path) + 1;
    struct coir_file *file = coir__alloc(sizeof *file + size); /* first: a late file needs it */
    if (file == NULL)
        return -ENOMEM;
    int r = coir__file_open(file, path, flags, opts);
    if (r < 0) {
        coir__free(file);
        return coir__system_failed(r, "open", path);
    }
    file->path = memcpy(file + 1, path, size);
    *ret_file = file;
    return 0;
}

/* The directory is held: its number must not become another one's while the call is under way. */
int coir_file_open(const char *path, int flags, const coir_file_opts *opts, coir_file **ret_file)
{
    if (path == NULL || ret_file == NULL)
        return -EINVAL;
    struct coir_file *directory = opts != NULL ? opts->directory : NULL;
    if (directory == NULL)
        return open_new(path, flags, opts, ret_file);
    if (directory->loop != coir__loop)
        return -COIR_EWRONGLOOP;
    if (directory->closed)
        return -COIR_ECLOSED;
    coir__file_hold(directory);
    int r = open_new(path, flags, opts, ret_file);
    (void)coir__file_leave(directory);
    return r;
}

static void release(struct coir_file *file)
{
    coir__file_shut(file);
    coir__free(file);
}

bool coir__file_leave(struct coir_file *file)
{
    bool closed = file->closed;
    if (--file->holds == 0 && closed)
        release(file);
    return closed;
}

void coir_file_close(coir_file *file)
{
    if (file == NULL)
        return;
    assert(!file->closed && "closed twice");
    assert(file->loop == coir__loop && "closed by another loop than its own");
    file->closed = true;
    if (file->holds == 0)
        release(file);
}

const char *coir_file_path(const coir_file *file)
{
    return file->path;
}

int coir_file_descriptor(const coir_file *file)
{
    return file->fd;
}

/* ---- steps ---- */

long coir__file_read_some(struct coir_file *file, void *data, size_t size, uint64_t offset)
{
    struct coir__system call = {.kind = COIR__SYSTEM_READ, .fd = file->fd, .data = data};
    call.length = size < COIR__SYSTEM_MOST ? size : COIR__SYSTEM_MOST;
    call.offset = offset;
    call.tries_in_vain = file->reads_in_vain;
    long n = coir__system(&call);
    file->reads_in_vain = call.tries_in_vain;
    return n;
}

long coir__file_write_some(struct coir_file *file, const void *data, size_t size, uint64_t offset)
{
    struct coir__system call = {.kind = COIR__SYSTEM_WRITE, .fd = file->fd};
    call.data = (void *)(uintptr_t)data;
    call.length = size < COIR__SYSTEM_MOST ? size : COIR__SYSTEM_MOST;
    call.offset = offset;
    call.tries_in_vain = file->writes_in_vain;
    long n = coir__system(&call);
    file->writes_in_vain = call.tries_in_vain;
    return n == 0 ? -EIO : n;
}

int coir__file_write_all(struct coir_file *file, const void *data, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        if (file->closed)
            return -COIR_ECLOSED;
        long n = coir__file_write_some(file, (const char *)data + done, size - done, offset + done);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    }
    return 0;
}

int coir__file_sync(struct coir_file *file)
{
    struct coir__system call = {.kind = COIR__SYSTEM_SYNC, .fd = file->fd};
    return (int)coir__system(&call);
}

int coir__file_look(const struct coir_file *file, struct statx *ret_status)
{
    int r;
    do
        r = coir__sys_statx(file->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS,
                            ret_status);
    while (r == -EINTR);
    return r;
}

/* ---- calls ---- */

int coir__file_check(const struct coir_file *file)
{
    if (file == NULL)
        return -EINVAL;
    if (coir__self() == NULL)
        return -COIR_ENOTASK;
    return file->loop == coir__loop ? 0 : -COIR_EWRONGLOOP;
}

/* Ends a call that has held file: its path goes into the text before the file may go. */
static int leave(struct coir_file *file, const char *what, int r)
{
    if (r < 0 && r != -COIR_ECLOSED)
        r = coir__system_failed(r, what, file->path);
    (void)coir__file_leave(file);
    return r;
}

static int read_most(struct coir_file *file, char *data, size_t size, uint64_t offset,
                     size_t *ret_n)
{
    size_t done = 0;
    while (done < size) {
        if (file->closed)
            return -COIR_ECLOSED;
        long n = coir__file_read_some(file, data + done, size - done, offset + done);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_n = done;
    return done > 0;
}

int coir_file_read(coir_file *file, void *data, size_t size, uint64_t offset, size_t *ret_n)
{
    int r = coir__file_check(file);
    if (r < 0)
        return r;
    if (data == NULL || size == 0 || ret_n == NULL)
        return -EINVAL;
    coir__file_hold(file);
    return leave(file, "read", read_most(file, data, size, offset, ret_n));
}

int coir_file_write(coir_file *file, const void *data, size_t size, uint64_t offset)
{
    int r = coir__file_check(file);
    if (r < 0)
        return r;
    if (data == NULL && size > 0)
        return -EINVAL;
    coir__file_hold(file);
    return leave(file, "write", coir__file_write_all(file, data, size, offset));
}

int coir_file_sync(coir_file *file)
{
    int r = coir__file_check(file);
    if (r < 0)
        return r;
    coir__file_hold(file);
    return leave(file, "sync", coir__file_sync(file));
}

int coir_file_truncate(coir_file *file, uint64_t size)
{
    int r = coir__file_check(file);
    if (r < 0)
        return r;
    struct coir__system call = {.kind = COIR__SYSTEM_TRUNCATE, .fd = file->fd, .offset = size};
    coir__file_hold(file);
    return leave(file, "truncate", (int)coir__system(&call));
}

int coir_file_size(coir_file *file, uint64_t *ret_size)
{
    if (file == NULL || ret_size == NULL)
        return -EINVAL;
    if (file->loop != coir__loop)
        return -COIR_EWRONGLOOP;
    struct statx status;
    int r = coir__file_look(file, &status);
    if (r < 0)
        return coir__system_failed(r, "stat", file->path);
    *ret_size = status.stx_size;
    return 0;
}
