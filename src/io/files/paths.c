/* paths.c: calls on paths: looking, making, moving, removing, listing directories.
 *
 * Each is one call of system.c, or a few; here are only their arguments and what their flags mean.
 * Owns the records of coir_directory. Called by programs.
 */
#include <stdio.h>
#include <string.h>

#include <coir/fs.h>

#include "io/files/file.h"
#include "io/files/sys.h"

#define NANOSECONDS ((coir_time)1000000000)

/* ---- looking ---- */

static coir_time time_of(const struct statx_timestamp *stamp)
{
    return stamp->tv_sec * NANOSECONDS + stamp->tv_nsec;
}

static coir_fs_status status_of(const struct statx *status)
{
    return (coir_fs_status){
        .size = status->stx_size,
        .mode = status->stx_mode,
        .links = status->stx_nlink,
        .owner = status->stx_uid,
        .group = status->stx_gid,
        .inode = status->stx_ino,
        .device = (uint64_t)status->stx_dev_major << 32 | status->stx_dev_minor,
        .allocated = status->stx_blocks * 512,
        .accessed = time_of(&status->stx_atime),
        .modified = time_of(&status->stx_mtime),
        .changed = time_of(&status->stx_ctime),
        .created = status->stx_mask & STATX_BTIME ? time_of(&status->stx_btime) : 0,
    };
}

int coir_fs_stat(const char *path, int flags, coir_fs_status *ret_status)
{
    if (path == NULL || ret_status == NULL || (flags & ~COIR_FS_NO_FOLLOW))
        return -EINVAL;
    struct statx status;
    struct coir__system call = {.kind = COIR__SYSTEM_STAT, .path = path, .status = &status};
    call.flags = flags & COIR_FS_NO_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
    long r = coir__system(&call);
    if (r == 0)
        *ret_status = status_of(&status);
    return coir__system_failed(r, "stat", path);
}

int coir_fs_readlink(const char *path, coir_buffer *buffer)
{
    if (path == NULL || buffer == NULL)
        return -EINVAL;
    char target[PATH_MAX];
    struct coir__system call = {.kind = COIR__SYSTEM_READLINK, .path = path, .data = target};
    call.length = sizeof target;
    long n = coir__system(&call);
    int r = n >= 0 ? coir_buffer_append(buffer, target, (size_t)n) : (int)n;
    return coir__system_failed(r, "readlink", path);
}

/* ---- making ---- */

int coir_fs_mkdir(const char *path, unsigned mode)
{
    if (path == NULL)
        return -EINVAL;
    struct coir__system call = {.kind = COIR__SYSTEM_MKDIR, .path = path};
    call.mode = mode != 0 ? mode : 0777;
    return coir__system_failed(coir__system(&call), "mkdir", path);
}

/* Makes one directory of a path; one that is there, by whatever name, is fine. */
static int make_one(const char *path, unsigned mode)
{
    struct statx status;
    struct coir__system make = {.kind = COIR__SYSTEM_MKDIR, .path = path, .mode = mode};
    struct coir__system look = {.kind = COIR__SYSTEM_STAT, .path = path, .status = &status};
    long r = coir__system(&make);
    if (r != -EEXIST)
        return (int)r;
    r = coir__system(&look);
    return r == 0 && !S_ISDIR(status.stx_mode) ? -ENOTDIR : (int)r;
}

/* Makes those above, from the first on. */
static int make_above(char *path, unsigned mode)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int r = make_one(path, mode);
        *slash = '/';
        if (r < 0)
            return r;
    }
    return 0;
}

int coir_fs_mkdirs(const char *path, unsigned mode)
{
    if (path == NULL)
        return -EINVAL;
    if (mode == 0)
        mode = 0777;
    int r = make_one(path, mode);
    if (r == -ENOENT && path[0] != '\0') {
        size_t size = strlen(path) + 1;
        char *copy = coir__alloc(size);
        if (copy == NULL)
            return -ENOMEM;
        r = make_above(memcpy(copy, path, size), mode);
        coir__free(copy);
        if (r == 0)
            r = make_one(path, mode);
    }
    return coir__system_failed(r, "mkdir", path);
}

int coir_fs_link(const char *from, const char *to)
{
    if (from == NULL || to == NULL)
        return -EINVAL;
    struct coir__system call = {.kind = COIR__SYSTEM_LINK, .path = from, .to = to};
    return coir__system_failed(coir__system(&call), "link", to);
}

int coir_fs_symlink(const char *target, const char *path)
{
    if (target == NULL || path == NULL)
        return -EINVAL;
    struct coir__system call = {.kind = COIR__SYSTEM_SYMLINK, .path = target, .to = path};
    return coir__system_failed(coir__system(&call), "symlink", path);
}

/* ---- moving and removing ---- */

int coir_fs_rename(const char *from, const char *to, int flags)
{
    if (from == NULL || to == NULL || (flags & ~(COIR_FS_NO_REPLACE | COIR_FS_EXCHANGE)))
        return -EINVAL;
    struct coir__system call = {.kind = COIR__SYSTEM_RENAME, .path = from, .to = to};
    call.flags = (flags & COIR_FS_NO_REPLACE ? RENAME_NOREPLACE : 0U) |
                 (flags & COIR_FS_EXCHANGE ? RENAME_EXCHANGE : 0U);
    return coir__system_failed(coir__system(&call), "rename", from);
}

static int remove_path(enum coir__system_kind kind, const char *path, int flags)
{
    if (path == NULL || (flags & ~COIR_FS_MISSING_OK))
        return -EINVAL;
    struct coir__system call = {.kind = (uint8_t)kind, .path = path};
    long r = coir__system(&call);
    if (r == -ENOENT && (flags & COIR_FS_MISSING_OK))
        return 0;
    return coir__system_failed(r, coir__system_name(&call), path);
}

int coir_fs_unlink(const char *path, int flags)
{
    return remove_path(COIR__SYSTEM_UNLINK, path, flags);
}

int coir_fs_rmdir(const char *path, int flags)
{
    return remove_path(COIR__SYSTEM_RMDIR, path, flags);
}

/* ---- directories ---- */

#define ENTRIES_SIZE 16384

struct coir_directory {
    struct coir_file file;
    bool busy;
    size_t first, count; /* bytes of entries that were not given yet */
    _Alignas(struct dirent64) char entries[ENTRIES_SIZE];
};

int coir_directory_open(const char *path, coir_directory **ret_directory)
{
    if (path == NULL || ret_directory == NULL)
        return -EINVAL;
    size_t size = strlen(path) + 1;
    struct coir_directory *directory = coir__alloc(sizeof *directory + size);
    if (directory == NULL)
        return -ENOMEM;
    int r = coir__file_open(&directory->file, path, O_RDONLY | O_DIRECTORY, NULL);
    if (r < 0) {
        coir__free(directory);
        return coir__system_failed(r, "open", path);
    }
    directory->file.path = memcpy(directory + 1, path, size);
    directory->busy = false;
    directory->first = directory->count = 0;
    *ret_directory = directory;
    return 0;
}

/* Reads more entries. Returns 1, 0 at the end, or a code. */
static int read_entries(struct coir_directory *directory)
{
    struct coir__system call = {.kind = COIR__SYSTEM_ENTRIES, .fd = directory->file.fd};
    call.data = directory->entries;
    call.length = sizeof directory->entries;
    directory->busy = true;
    long n = coir__system(&call);
    directory->busy = false;
    if (n < 0)
        return coir__system_failed(n, "read", directory->file.path);
    directory->first = 0;
    directory->count = (size_t)n;
    return n > 0;
}

static bool take_entry(struct coir_directory *directory, coir_entry *ret_entry)
{
    while (directory->first < directory->count) {
        const struct dirent64 *entry =
            (const struct dirent64 *)(const void *)(directory->entries + directory->first);
        directory->first += entry->d_reclen;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *ret_entry = (coir_entry){entry->d_name, entry->d_ino, entry->d_type};
        return true;
    }
    return false;
}

int coir_directory_next(coir_directory *directory, coir_entry *ret_entry)
{
    if (directory == NULL || ret_entry == NULL)
        return -EINVAL;
    int r = coir__file_check(&directory->file);
    if (r < 0)
        return r;
    if (directory->busy)
        return -EBUSY;
    while (!take_entry(directory, ret_entry)) {
        r = read_entries(directory);
        if (r <= 0)
            return r;
    }
    return 1;
}

void coir_directory_close(coir_directory *directory)
{
    if (directory == NULL)
        return;
    assert(!directory->busy && "closed while a task lists it");
    coir__file_shut(&directory->file);
    coir__free(directory);
}
