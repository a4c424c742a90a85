/* sys.h: the system calls on files and paths, behind the fault hook of core/sys.h. Internal
 * to io.
 *
 * They may wait for a disk, so only system.c calls them: on a thread, or where the call says itself
 * that it would wait (-EAGAIN). What musl 1.2.3 has no function for is called by its number.
 */
#ifndef COIR_IO_SYSTEM_SYS_H
#define COIR_IO_SYSTEM_SYS_H

#include <dirent.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>

#include "core/sys.h"

static inline int coir__sys_openat2(int directory, const char *path, const struct open_how *how)
{
    COIR__SYS_FAULT(COIR__SYS_OPEN, NULL);
    long fd = syscall(SYS_openat2, directory, path, how, sizeof *how);
    return fd < 0 ? -errno : (int)fd;
}

static inline int coir__sys_openat(int directory, const char *path, int flags, unsigned mode)
{
    COIR__SYS_FAULT(COIR__SYS_OPEN, NULL);
    int fd = openat(directory, path, flags, mode);
    return fd < 0 ? -errno : fd;
}

/* flags: RWF_NOWAIT gives -EAGAIN instead of waiting for the disk. */
static inline long coir__sys_pread(int fd, void *data, size_t length, uint64_t offset, int flags)
{
    COIR__SYS_FAULT(COIR__SYS_READ, &length);
    struct iovec one = {data, length};
    ssize_t n = flags == 0 ? pread(fd, data, length, (off_t)offset)
                           : syscall(SYS_preadv2, fd, &one, 1, offset, 0, flags);
    return n < 0 ? -errno : n;
}

static inline long coir__sys_pwrite(int fd, const void *data, size_t length, uint64_t offset,
                                    int flags)
{
    COIR__SYS_FAULT(COIR__SYS_WRITE, &length);
    struct iovec one = {(void *)(uintptr_t)data, length};
    ssize_t n = flags == 0 ? pwrite(fd, data, length, (off_t)offset)
                           : syscall(SYS_pwritev2, fd, &one, 1, offset, 0, flags);
    return n < 0 ? -errno : n;
}

static inline int coir__sys_fsync(int fd)
{
    COIR__SYS_FAULT(COIR__SYS_FSYNC, NULL);
    return fsync(fd) < 0 ? -errno : 0;
}

static inline int coir__sys_statx(int directory, const char *path, int flags, unsigned mask,
                                  struct statx *ret_status)
{
    COIR__SYS_FAULT(COIR__SYS_STATX, NULL);
    return syscall(SYS_statx, directory, path, flags, mask, ret_status) < 0 ? -errno : 0;
}

static inline int coir__sys_ftruncate(int fd, uint64_t length)
{
    COIR__SYS_FAULT(COIR__SYS_TRUNCATE, NULL);
    return ftruncate(fd, (off_t)length) < 0 ? -errno : 0;
}

static inline int coir__sys_fchmod(int fd, unsigned mode)
{
    COIR__SYS_FAULT(COIR__SYS_CHMOD, NULL);
    return fchmod(fd, mode) < 0 ? -errno : 0;
}

static inline int coir__sys_mkdir(const char *path, unsigned mode)
{
    COIR__SYS_FAULT(COIR__SYS_MKDIR, NULL);
    return mkdir(path, mode) < 0 ? -errno : 0;
}

static inline int coir__sys_rmdir(const char *path)
{
    COIR__SYS_FAULT(COIR__SYS_RMDIR, NULL);
    return rmdir(path) < 0 ? -errno : 0;
}

static inline int coir__sys_rename(const char *from, const char *to, unsigned flags)
{
    COIR__SYS_FAULT(COIR__SYS_RENAME, NULL);
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags) < 0 ? -errno : 0;
}

static inline int coir__sys_link(const char *from, const char *to)
{
    COIR__SYS_FAULT(COIR__SYS_LINK, NULL);
    return link(from, to) < 0 ? -errno : 0;
}

static inline int coir__sys_symlink(const char *target, const char *path)
{
    COIR__SYS_FAULT(COIR__SYS_SYMLINK, NULL);
    return symlink(target, path) < 0 ? -errno : 0;
}

static inline long coir__sys_readlink(const char *path, char *data, size_t size)
{
    COIR__SYS_FAULT(COIR__SYS_READLINK, NULL);
    ssize_t n = readlink(path, data, size);
    return n < 0 ? -errno : n;
}

static inline long coir__sys_getdents(int fd, void *data, size_t size)
{
    COIR__SYS_FAULT(COIR__SYS_GETDENTS, NULL);
    long n = syscall(SYS_getdents64, fd, data, size);
    return n < 0 ? -errno : n;
}

static inline long coir__sys_copy_range(int from, int to, uint64_t offset, size_t length)
{
    COIR__SYS_FAULT(COIR__SYS_COPY_RANGE, &length);
    off_t in = (off_t)offset, out = (off_t)offset;
    ssize_t n = copy_file_range(from, &in, to, &out, length, 0);
    return n < 0 ? -errno : n;
}

static inline long coir__sys_sendfile(int socket, int fd, uint64_t offset, size_t length)
{
    COIR__SYS_FAULT(COIR__SYS_SENDFILE, &length);
    off_t from = (off_t)offset;
    ssize_t n = sendfile(socket, fd, &from, length);
    return n < 0 ? -errno : n;
}

static inline int coir__sys_inotify(void)
{
    COIR__SYS_FAULT(COIR__SYS_INOTIFY, NULL);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static inline int coir__sys_inotify_add(int fd, const char *path, uint32_t mask)
{
    COIR__SYS_FAULT(COIR__SYS_INOTIFY, NULL);
    int id = inotify_add_watch(fd, path, mask);
    return id < 0 ? -errno : id;
}

static inline int coir__sys_inotify_remove(int fd, int id)
{
    return inotify_rm_watch(fd, id) < 0 ? -errno : 0;
}

#endif
