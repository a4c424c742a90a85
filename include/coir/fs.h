/* coir/fs.h: paths: what is there, making, moving and removing it, directories, watching for
 * changes.
 *
 *     COIR_TRY(coir_fs_mkdirs("cache/images", 0));
 *     COIR_TRY(coir_fs_rename("cache/new.png", "cache/images/1.png", 0));
 *     COIR_TRY(coir_fs_unlink("cache/lock", COIR_FS_MISSING_OK));
 *
 * Each call is one of the system's, or a few, and waits for it without holding up the other tasks:
 * by io_uring, or on a thread. Codes are those of the system call; the text names the path.
 */
#ifndef COIR_FS_H
#define COIR_FS_H

#include <dirent.h>
#include <sys/types.h>

#include <coir/buffer.h>

COIR__BEGIN

/* What the flags of these calls may say. */
enum coir_fs_flag {
    COIR_FS_MISSING_OK = 1 << 0, /* what is not there is no error */
    COIR_FS_NO_FOLLOW = 1 << 1,  /* a link itself, not what it leads to */
    COIR_FS_NO_REPLACE = 1 << 2, /* -EEXIST when the new name is taken */
    COIR_FS_EXCHANGE = 1 << 3,   /* both stay, each with the other's name */
};

/* What a path leads to. */
typedef struct coir_fs_status {
    uint64_t size;
    uint32_t mode; /* type and permissions, for S_ISDIR and the like */
    uint32_t links;
    uid_t owner;
    gid_t group;
    uint64_t inode, device;
    uint64_t allocated;                    /* bytes on the disk */
    coir_time accessed, modified, changed; /* since 1970 */
    coir_time created;                     /* 0: not known */
    uint64_t coir__reserved[4];
} coir_fs_status;

/* Looks what is at path. flags: 0 or COIR_FS_NO_FOLLOW.
 * Returns 0, and writes *ret_status. Errors: -ENOENT, -EACCES, -ENOTDIR and the like, -EINVAL,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_fs_stat(const char *path, int flags, coir_fs_status *ret_status);

/* Makes a directory; mode 0 means 0777, less the umask.
 * Returns 0. Errors: -EEXIST, -ENOENT, -EACCES, -ENOSPC and the like, -COIR_ENOTASK, -ECANCELED,
 * -ETIME. Cancel safety: nothing happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_mkdir(const char *path, unsigned mode);

/* Makes a directory and those above it; one that is there is fine.
 * Returns 0. Errors: as coir_fs_mkdir, -ENOTDIR when a file is in the way. Cancel safety: some of
 * them may be there. Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_mkdirs(const char *path, unsigned mode);

/* Removes a file, link or socket; rmdir: an empty directory. flags: 0 or COIR_FS_MISSING_OK.
 * Returns 0. Errors: -ENOENT, -EISDIR, -ENOTDIR, -ENOTEMPTY, -EACCES, -EBUSY and the like, -EINVAL,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_fs_unlink(const char *path, int flags);
COIR__CHECKED int coir_fs_rmdir(const char *path, int flags);

/* Gives what is at from the name to, in place of what has it. flags: 0, COIR_FS_NO_REPLACE or
 * COIR_FS_EXCHANGE.
 * Returns 0. Errors: -ENOENT, -EXDEV (not on the same file system: coir_fs_copy), -EEXIST,
 * -ENOTEMPTY, -EISDIR and the like, -EINVAL, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety:
 * nothing happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_rename(const char *from, const char *to, int flags);

/* Gives the file at from a second name; makes a symbolic link at path that says target.
 * Returns 0. Errors: -EEXIST, -ENOENT, -EXDEV, -EPERM and the like, -COIR_ENOTASK, -ECANCELED,
 * -ETIME. Cancel safety: nothing happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_link(const char *from, const char *to);
COIR__CHECKED int coir_fs_symlink(const char *target, const char *path);

/* Adds what a symbolic link says to buffer.
 * Returns 0. Errors: -EINVAL when it is none, -ENOENT and the like, -COIR_ETOOLONG, -ENOMEM,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_fs_readlink(const char *path, coir_buffer *buffer);

/* Copies the file at from to the file at to, in place of what that held; a new one gets its
 * permissions, less the umask. The kernel moves the bytes where it can, or only notes that they are
 * shared. flags: 0 or COIR_FS_NO_REPLACE.
 * Returns 0. Errors: those of opening, reading and writing files, -EINVAL. Cancel safety: with any
 * error a part of the new file may be there. Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_copy(const char *from, const char *to, int flags);

/* ---- directories ---- */

/* A directory that is listed; opaque. */
typedef struct coir_directory coir_directory;

/* Something in a directory; the name is borrowed until the next call. */
typedef struct coir_entry {
    const char *name;
    uint64_t inode;
    unsigned char type; /* DT_REG, DT_DIR, DT_LNK… of readdir(3); DT_UNKNOWN: look with stat */
} coir_entry;

/* Opens a directory, to list what is in it.
 *
 *     COIR_AUTO(coir_directory) *directory = NULL;
 *     COIR_TRY(coir_directory_open("cache", &directory));
 *     coir_entry entry;
 *     while ((r = coir_directory_next(directory, &entry)) > 0)
 *         puts(entry.name);
 *
 * Returns 0, and writes *ret_directory. Errors: -ENOENT, -ENOTDIR, -EACCES and the like, -ENOMEM,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_directory_open(const char *path, coir_directory **ret_directory);

/* Gives the next entry, in no order, without "." and "..". One task at a time.
 * Returns 1, and writes *ret_entry; 0 at the end. Errors: -EIO, -ENOENT when it was removed, -EBUSY
 * while another task lists it, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety:
 * no entry is lost. Thread safety: the loop's thread. */
COIR__CHECKED int coir_directory_next(coir_directory *directory, coir_entry *ret_entry);

/* Closes it; NULL is accepted. No task may be in coir_directory_next. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__PUBLIC void coir_directory_close(coir_directory *directory);

COIR_CLOSER(coir_directory, coir_directory_close);

/* ---- watching for changes ---- */

/* A set of files and directories that are watched; opaque. */
typedef struct coir_fs_watch coir_fs_watch;

/* What has happened to something that is watched. */
typedef struct coir_fs_event {
    int id;           /* of the path, as coir_fs_watch_add gave it */
    uint32_t what;    /* IN_CREATE, IN_MODIFY… of <sys/inotify.h>, IN_ISDIR for a directory */
    uint32_t cookie;  /* the same for IN_MOVED_FROM and IN_MOVED_TO of one rename; else 0 */
    const char *name; /* in the directory that is watched; "" for what is watched itself. Borrowed
                         until the next call */
} coir_fs_event;

/* Opens a set that watches nothing yet.
 *
 *     COIR_AUTO(coir_fs_watch) *watch = NULL;
 *     COIR_TRY(coir_fs_watch_open(&watch));
 *     COIR_TRY(coir_fs_watch_add(watch, "config", IN_CLOSE_WRITE | IN_MOVED_TO, NULL));
 *     coir_fs_event event;
 *     while ((r = coir_fs_watch_next(watch, &event)) > 0)
 *         printf("%s has changed\n", event.name);
 *
 * Returns 0, and writes *ret_watch. Errors: -EMFILE, -ENOMEM, -COIR_ENOTASK. Cancel safety: never
 * waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_watch_open(coir_fs_watch **ret_watch);

/* Watches path, a file or what is in a directory (not what is below that) for what, an or of
 * IN_CREATE, IN_DELETE, IN_MODIFY, IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_ATTRIB and others
 * of inotify(7). Adding what is watched already changes what for. ret_id may be NULL.
 * Returns 0, and writes *ret_id. Errors: -ENOENT, -EACCES, -ENOSPC for too many, -ENOMEM, -EINVAL,
 * -COIR_ECLOSED, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing
 * happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_watch_add(coir_fs_watch *watch, const char *path, uint32_t what,
                                    int *ret_id);

/* Stops watching; its last event is IN_IGNORED.
 * Returns 0. Errors: -EINVAL when id is not watched, -COIR_EWRONGLOOP. Cancel safety: never waits.
 * Thread safety: the loop's thread. */
COIR__CHECKED int coir_fs_watch_remove(coir_fs_watch *watch, int id);

/* Waits for the next event.
 * Returns 1, and writes *ret_event. Errors: -COIR_ELAGGED, once, when the kernel had more events
 * than it keeps: look at everything anew; -EBUSY while another task waits, -COIR_ECLOSED,
 * -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: no event is lost. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_fs_watch_next(coir_fs_watch *watch, coir_fs_event *ret_event);

/* Closes the set; NULL is accepted. A task that waits for it or adds to it gets -COIR_ECLOSED, as
 * soon as the kernel is done with what is being added. Cancel safety: never waits. Thread safety:
 * the loop's thread. */
COIR__PUBLIC void coir_fs_watch_close(coir_fs_watch *watch);

COIR_CLOSER(coir_fs_watch, coir_fs_watch_close);

COIR__END
#endif
