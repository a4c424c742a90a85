/* whole.c: whole files: reading and writing one by its path, replacing one atomically,
 * copying, temporary files.
 *
 * Files that live only during a call lie in its frame. A file that is to take the place of another
 * is written beside it, synced, renamed, and its directory synced; whatever fails before the rename
 * leaves the old one, and removes the new one, under a shield. Called by programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <coir/fs.h>
#include <coir/scope.h>

#include "io/files/file.h"
#include "io/files/sys.h"

#define GROWTH ((size_t)4096)        /* of a buffer for a file that does not say how long it is */
#define COPY_MOST ((size_t)16 << 20) /* in one go: a copy can be cancelled between two */
#define PIECE ((size_t)128 << 10)
#define TRIES 100 /* of names */
#define LINKS 40  /* as many as the kernel follows */
#define CLEANUP COIR_SEC(1)

/* ---- reading ---- */

/* The limit is reached: whether the file is too, says one more byte, for which there is room. */
static int expect_end(struct coir_file *file, coir_buffer *buffer, uint64_t offset)
{
    long n = coir__file_read_some(file, buffer->data + buffer->length, 1, offset);
    return n > 0 ? -COIR_ETOOLONG : (int)n;
}

/* Reads on until the end; size is how long it says it is, 0 when it does not. */
static int read_rest(struct coir_file *file, coir_buffer *buffer, uint64_t size)
{
    uint64_t offset = 0;
    int r = size <= SIZE_MAX ? coir_buffer_reserve(buffer, (size_t)size) : -COIR_ETOOLONG;
    while (r == 0) {
        if (buffer->length == buffer->capacity) {
            r = coir_buffer_reserve(buffer, GROWTH);
            if (r == -COIR_ETOOLONG)
                r = coir_buffer_reserve(buffer, 1);
        }
        if (r == -COIR_ETOOLONG)
            return expect_end(file, buffer, offset);
        if (r < 0)
            break;
        long n = coir__file_read_some(file, buffer->data + buffer->length,
                                      buffer->capacity - buffer->length, offset);
        if (n <= 0)
            return (int)n;
        buffer->length += (size_t)n;
        offset += (uint64_t)n;
        if (offset == size)
            break;
    }
    return r;
}

int coir_file_read_all(const char *path, coir_buffer *buffer)
{
    if (path == NULL || buffer == NULL)
        return -EINVAL;
    struct coir_file file;
    int r = coir__file_open(&file, path, O_RDONLY, NULL);
    if (r < 0)
        return coir__system_failed(r, "open", path);
    size_t before = buffer->length;
    struct statx status;
    bool known = coir__file_look(&file, &status) == 0 && S_ISREG(status.stx_mode);
    r = read_rest(&file, buffer, known ? status.stx_size : 0);
    coir__file_shut(&file);
    if (r < 0)
        buffer->length = before;
    if (buffer->data != NULL)
        buffer->data[buffer->length] = '\0';
    return coir__system_failed(r, "read", path);
}

/* ---- new names ---- */

static uint64_t draw_name(void)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = (uint64_t)coir__clock() * 0x9e3779b97f4a7c15U;
    return number;
}

static const char *usual_directory(void)
{
    const char *directory = getenv("TMPDIR");
    return directory != NULL && directory[0] != '\0' ? directory : "/tmp";
}

int coir__file_make_new(struct coir_file *file, const char *directory, const char *prefix,
                        unsigned mode, char **ret_path)
{
    if (directory == NULL)
        directory = usual_directory();
    size_t size = strlen(directory) + strlen(prefix) + 24;
    char *path = coir__alloc(size);
    *ret_path = NULL;
    if (path == NULL)
        return -ENOMEM;
    coir_file_opts opts = {.mode = mode};
    int r = -EEXIST;
    for (int i = 0; i < TRIES && r == -EEXIST; i++) {
        (void)snprintf(path, size, "%s/%s%016llx", directory, prefix,
                       (unsigned long long)draw_name());
        r = coir__file_open(file, path, O_RDWR | O_CREAT | O_EXCL, &opts);
    }
    if (r < 0) {
        coir__free(path);
        return r;
    }
    file->path = path;
    *ret_path = path;
    return 0;
}

/* Removes what a call that fails would leave, whether its task is cancelled or not. */
static void remove_left(const char *path)
{
    COIR_SHIELD(CLEANUP);
    struct coir__system call = {.kind = COIR__SYSTEM_UNLINK, .path = path};
    long r = coir__system(&call);
    if (r < 0 && r != -ENOENT)
        (void)coir__system_now(&call);
}

/* ---- temporary files ---- */

/* A record on the heap for what is in a frame. */
static int keep(const struct coir_file *file, coir_file **ret_file)
{
    size_t size = strlen(file->path) + 1;
    struct coir_file *kept = coir__alloc(sizeof *kept + size);
    if (kept == NULL)
        return -ENOMEM;
    *kept = *file;
    kept->path = memcpy(kept + 1, file->path, size);
    *ret_file = kept;
    return 0;
}

static int make_temporary(const char *directory, const char *prefix, bool named,
                          coir_file **ret_file)
{
    struct coir_file file;
    char *path;
    int r = coir__file_make_new(&file, directory, prefix, 0600, &path);
    if (r < 0)
        return coir__system_failed(r, "create a file in",
                                   directory != NULL ? directory : usual_directory());
    r = keep(&file, ret_file);
    if (r < 0 || !named)
        remove_left(path);
    if (r < 0)
        coir__file_shut(&file);
    coir__free(path);
    return r;
}

int coir_file_temporary(const char *directory, coir_file **ret_file)
{
    if (ret_file == NULL)
        return -EINVAL;
    struct coir_file file;
    const char *where = directory != NULL ? directory : usual_directory();
    coir_file_opts opts = {.mode = 0600};
    int r = coir__file_open(&file, where, O_RDWR | O_TMPFILE, &opts);
    if (r == -EOPNOTSUPP || r == -EISDIR) /* not on this file system */
        return make_temporary(directory, ".coir-", false, ret_file);
    if (r < 0)
        return coir__system_failed(r, "create a file in", where);
    r = keep(&file, ret_file);
    if (r < 0)
        coir__file_shut(&file);
    return r;
}

int coir_file_temporary_named(const char *directory, const char *prefix, coir_file **ret_file)
{
    if (prefix == NULL || ret_file == NULL || strchr(prefix, '/') != NULL)
        return -EINVAL;
    return make_temporary(directory, prefix, true, ret_file);
}

/* ---- writing ---- */

static int write_plainly(const char *path, const void *data, size_t size,
                         const coir_write_all_opts *opts)
{
    int flags = O_WRONLY | O_CREAT | (opts->append ? O_APPEND : O_TRUNC);
    coir_file_opts how = {.mode = opts->mode};
    struct coir_file file;
    int r = coir__file_open(&file, path, flags | (opts->exclusive ? O_EXCL : 0), &how);
    if (r < 0)
        return coir__system_failed(r, "open", path);
    r = coir__file_write_all(&file, data, size, 0);
    if (r == 0 && opts->sync)
        r = coir__file_sync(&file);
    coir__file_shut(&file);
    return coir__system_failed(r, "write", path);
}

/* The directory and the name in it of a path, in one block; NULL: no memory. */
static char *split(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    char *directory = coir__alloc(length + 1);
    if (directory == NULL)
        return NULL;
    memcpy(directory, slash == NULL ? "." : path, length);
    directory[length] = '\0';
    *ret_name = slash == NULL ? path : slash + 1;
    return directory;
}

/* That a name was given is on the disk when its directory is. Not every file system can do that. */
static int sync_directory(const char *path)
{
    struct coir_file directory;
    int r = coir__file_open(&directory, path, O_RDONLY | O_DIRECTORY, NULL);
    if (r < 0)
        return r;
    r = coir__file_sync(&directory);
    coir__file_shut(&directory);
    return r == -EINVAL ? 0 : r;
}

/* What an atomic write replaces. */
struct aim {
    const char *path; /* no link */
    char *followed;   /* the same, when links led there */
    unsigned mode;    /* of the file that is there */
    bool there;
};

static int look_at(const char *path, unsigned flags, struct statx *ret_status)
{
    struct coir__system call = {.kind = COIR__SYSTEM_STAT, .path = path, .status = ret_status};
    call.flags = flags;
    return (int)coir__system(&call);
}

/* Goes on to where the link leads. One that says no whole path begins in its own directory. */
static int follow(struct aim *aim)
{
    const char *slash = strrchr(aim->path, '/');
    size_t before = slash == NULL ? 0 : (size_t)(slash - aim->path) + 1;
    char *target = coir__alloc(before + PATH_MAX);
    if (target == NULL)
        return -ENOMEM;
    struct coir__system call = {.kind = COIR__SYSTEM_READLINK, .path = aim->path};
    call.data = target + before;
    call.length = PATH_MAX - 1;
    long n = coir__system(&call);
    if (n < 0) {
        coir__free(target);
        return (int)n;
    }
    target[before + (size_t)n] = '\0';
    if (target[before] == '/')
        memmove(target, target + before, (size_t)n + 1);
    else
        memcpy(target, aim->path, before);
    coir__free(aim->followed);
    aim->path = aim->followed = target;
    return 0;
}

/* Follows the links at path. The kernel is asked to follow each too: it refuses those that somebody
 * else has put into a directory for all. Returns 0 or a code; aim->followed is to be freed. */
static int take_aim(struct aim *aim, const char *path)
{
    struct statx status;
    *aim = (struct aim){.path = path};
    int r = look_at(path, AT_SYMLINK_NOFOLLOW, &status);
    for (int links = 0; r == 0 && S_ISLNK(status.stx_mode); links++) {
        r = links < LINKS ? look_at(aim->path, 0, &status) : -ELOOP;
        if (r == 0 || r == -ENOENT)
            r = follow(aim);
        if (r == 0)
            r = look_at(aim->path, AT_SYMLINK_NOFOLLOW, &status);
    }
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    aim->there = S_ISREG(status.stx_mode);
    aim->mode = status.stx_mode & 07777;
    return S_ISDIR(status.stx_mode) ? -EISDIR : 0;
}

/* Fills the new file and gives it the name. Nobody who could not read the old one reads it. */
static int fill_and_rename(struct coir_file *file, const struct aim *aim, coir_bytes bytes,
                           const coir_write_all_opts *opts)
{
    struct coir__system set = {.kind = COIR__SYSTEM_CHMOD, .fd = file->fd, .mode = aim->mode};
    struct coir__system call = {.kind = COIR__SYSTEM_RENAME, .path = file->path, .to = aim->path};
    call.flags = opts->exclusive ? RENAME_NOREPLACE : 0;
    int r = coir__file_write_all(file, bytes.data, bytes.length, 0);
    if (r == 0 && aim->there)
        r = (int)coir__system(&set);
    if (r == 0)
        r = coir__file_sync(file);
    if (r == 0)
        r = (int)coir__system(&call);
    coir__file_shut(file);
    return r;
}

static int write_beside(const struct aim *aim, const char *path, coir_bytes bytes,
                        const coir_write_all_opts *opts)
{
    char prefix[128], *beside;
    const char *name;
    char *directory = split(aim->path, &name);
    if (directory == NULL)
        return -ENOMEM;
    (void)snprintf(prefix, sizeof prefix, ".%.100s.", name);
    struct coir_file file;
    unsigned mode = aim->there ? 0600 : opts->mode;
    int r = coir__file_make_new(&file, directory, prefix, mode, &beside);
    if (r < 0) {
        coir__free(directory);
        return coir__system_failed(r, "create a file beside", path);
    }
    r = fill_and_rename(&file, aim, bytes, opts);
    if (r < 0)
        remove_left(beside);
    coir__free(beside);
    if (r == 0)
        r = sync_directory(directory);
    coir__free(directory);
    return coir__system_failed(r, "write", path);
}

static int write_atomically(const char *path, coir_bytes bytes, const coir_write_all_opts *opts)
{
    struct aim aim = {.path = path}; /* with exclusive nothing is there, not even a link */
    int r = opts->exclusive ? 0 : take_aim(&aim, path);
    r = r < 0 ? coir__system_failed(r, "write", path) : write_beside(&aim, path, bytes, opts);
    coir__free(aim.followed);
    return r;
}

int coir_file_write_all(const char *path, const void *data, size_t size,
                        const coir_write_all_opts *opts)
{
    static const coir_write_all_opts defaults;
    if (opts == NULL)
        opts = &defaults;
    if (path == NULL || (data == NULL && size > 0) ||
        (opts->append && (opts->atomic || opts->exclusive)))
        return -EINVAL;
    if (!opts->atomic)
        return write_plainly(path, data, size, opts);
    return write_atomically(path, (coir_bytes){data, size}, opts);
}

/* ---- copying ---- */

/* Reads and writes, from offset on. */
static int copy_by_hand(struct coir_file *from, struct coir_file *to, uint64_t offset)
{
    char *piece = coir__alloc(PIECE);
    if (piece == NULL)
        return -ENOMEM;
    long n;
    int r = 0;
    while (r == 0 && (n = coir__file_read_some(from, piece, PIECE, offset)) != 0) {
        r = n < 0 ? (int)n : coir__file_write_all(to, piece, (size_t)n, offset);
        offset += (uint64_t)n;
    }
    coir__free(piece);
    return r;
}

/* The kernel copies, until it says that this is the end, or that it cannot. A file that says
 * nothing of its length looks empty to it. */
static int copy_bytes(struct coir_file *from, struct coir_file *to)
{
    struct coir__system call = {.kind = COIR__SYSTEM_COPY, .fd = from->fd, .to_fd = to->fd};
    call.length = COPY_MOST;
    long n;
    while ((n = coir__system(&call)) > 0)
        call.offset += (uint64_t)n;
    bool unable = n == -EXDEV || n == -EINVAL || n == -EOPNOTSUPP || n == -ENOSYS || n == -EPERM ||
                  n == -EBADF || (n == 0 && call.offset == 0);
    return unable ? copy_by_hand(from, to, call.offset) : (int)n;
}

static int copy_into(struct coir_file *from, struct coir_file *to)
{
    struct statx a, b;
    int r = coir__file_look(from, &a);
    if (r == 0)
        r = coir__file_look(to, &b);
    if (r < 0)
        return r;
    if (a.stx_ino == b.stx_ino && a.stx_dev_major == b.stx_dev_major &&
        a.stx_dev_minor == b.stx_dev_minor)
        return -EINVAL; /* truncating it would lose it */
    struct coir__system empty = {.kind = COIR__SYSTEM_TRUNCATE, .fd = to->fd};
    r = b.stx_size > 0 && S_ISREG(b.stx_mode) ? (int)coir__system(&empty) : 0;
    return r == 0 ? copy_bytes(from, to) : r;
}

static int copy_from(struct coir_file *from, const char *to, int flags)
{
    struct statx status;
    int r = coir__file_look(from, &status);
    if (r == 0 && S_ISDIR(status.stx_mode))
        r = -EISDIR;
    if (r < 0)
        return coir__system_failed(r, "copy", from->path);
    unsigned mode = status.stx_mode & 0777;
    coir_file_opts opts = {.mode = mode != 0 ? mode : 0200}; /* 0 would be the default */
    struct coir_file target;
    bool exclusive = (flags & COIR_FS_NO_REPLACE) != 0;
    r = coir__file_open(&target, to, O_WRONLY | O_CREAT | (exclusive ? O_EXCL : 0), &opts);
    if (r < 0)
        return coir__system_failed(r, "open", to);
    r = copy_into(from, &target);
    coir__file_shut(&target);
    return coir__system_failed(r, "copy to", to);
}

int coir_fs_copy(const char *from, const char *to, int flags)
{
    if (from == NULL || to == NULL || (flags & ~COIR_FS_NO_REPLACE))
        return -EINVAL;
    struct coir_file source;
    int r = coir__file_open(&source, from, O_RDONLY, NULL);
    if (r < 0)
        return coir__system_failed(r, "open", from);
    r = copy_from(&source, to, flags);
    coir__file_shut(&source);
    return r;
}
