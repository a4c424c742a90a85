/* coir/file.h: files: opening, reading and writing at positions, whole files, files as streams.
 *
 *     COIR_AUTO(coir_file) *file = NULL;
 *     COIR_TRY(coir_file_open("words.txt", O_RDONLY, NULL, &file));
 *     char data[4096];
 *     size_t n;
 *     int r = COIR_TRY(coir_file_read(file, data, sizeof data, 0, &n));
 *
 * Positions are given with each call, so any number of tasks may use a file at the same time.
 * coir_file_stream makes a stream of one, for lines and whatever else streams can do.
 *
 * A file never makes the other tasks wait for a disk: what the kernel has in its memory is read at
 * once, the rest is done by io_uring or by a thread. On the simulated backend it is a real file,
 * and what happens to it comes in an order that the seed decides. The text of a failure names the
 * path.
 *
 * These are files with a size: regular ones, block devices, /dev/null and the like. A pipe with a
 * name or a terminal is a stream: coir_stream_adopt (<coir/pipe.h>). Paths have <coir/fs.h>.
 */
#ifndef COIR_FILE_H
#define COIR_FILE_H

#include <fcntl.h>

#include <coir/buffer.h>
#include <coir/stream.h>

COIR__BEGIN

/* An open file; opaque. */
typedef struct coir_file coir_file;

/* Zero means the default for each field. */
typedef struct coir_file_opts {
    unsigned mode;        /* of a file that is created, less the umask; 0: 0666 */
    coir_file *directory; /* a relative path begins there, also when another task closes it during
                             the call; NULL: in the working directory */
    bool beneath;         /* the path must not lead out of directory, not even by a link: -EXDEV;
                             -ENOSYS before Linux 5.6 */
    size_t coir__reserved[4];
} coir_file_opts;

/* Opens a file, as open(2): flags are O_RDONLY, O_WRONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC,
 * O_APPEND, O_DIRECTORY and so on. It is closed on exec. opts may be NULL.
 * Returns 0, and writes *ret_file. Errors: those of open(2), -ENOMEM, -EINVAL, -COIR_ECLOSED and
 * -COIR_EWRONGLOOP for the directory, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing
 * happened; but a file that the call had begun to create or to truncate may be so. Thread safety:
 * the loop's thread. */
COIR__CHECKED int coir_file_open(const char *path, int flags, const coir_file_opts *opts,
                                 coir_file **ret_file);

/* Closes file; NULL is accepted. Calls of other tasks that are under way finish first, one that has
 * several steps with -COIR_ECLOSED. What was written is not forced to the disk: coir_file_sync does
 * that. On a network file system it is also what keeps closing from waiting. Cancel safety: always
 * closes, never waits. Thread safety: the loop's thread, also outside a task. */
COIR__PUBLIC void coir_file_close(coir_file *file);

COIR_CLOSER(coir_file, coir_file_close);

/* The path that it was opened with; its descriptor, which stays the file's.
 * Returns a string that lives as long as file; the number. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC const char *coir_file_path(const coir_file *file);
COIR__PUBLIC int coir_file_descriptor(const coir_file *file);

/* ---- reading and writing at positions ---- */

/* Reads size bytes at offset to data, fewer only at the end of the file.
 * Returns 1, and writes their number (at least 1) to *ret_n; 0 when offset is at the end or behind
 * it. Errors: -EIO and the like, -EBADF when it is open for writing only, -EISDIR, -ESPIPE for what
 * has no positions, -EINVAL for size 0, -COIR_ECLOSED, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED,
 * -ETIME. Cancel safety: nothing happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_file_read(coir_file *file, void *data, size_t size, uint64_t offset,
                                 size_t *ret_n);

/* Writes all of size bytes at data to offset; with O_APPEND to the end, whatever offset is.
 * Returns 0. Errors: -ENOSPC, -EDQUOT, -EFBIG, -EIO and the like, -EBADF when it is open for
 * reading only, -COIR_ECLOSED, -COIR_EWRONGLOOP, -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety:
 * with any error some of it may be written, from the beginning. Thread safety: the loop's thread.
 */
COIR__CHECKED int coir_file_write(coir_file *file, const void *data, size_t size, uint64_t offset);

/* Waits until what was written to file is on the disk, as fsync(2). After a failure nobody knows
 * what is: write it again, to another file.
 * Returns 0. Errors: -EIO, -ENOSPC, -EINVAL for what has no disk, -COIR_EWRONGLOOP, -COIR_ENOTASK,
 * -ECANCELED, -ETIME. Cancel safety: it may be there or not. Thread safety: the loop's thread. */
COIR__CHECKED int coir_file_sync(coir_file *file);

/* Makes file size bytes long; what is new is 0.
 * Returns 0. Errors: -EFBIG, -EIO, -EINVAL when it is not open for writing, -COIR_EWRONGLOOP,
 * -COIR_ENOTASK, -ECANCELED, -ETIME. Cancel safety: nothing happened. Thread safety: the loop's
 * thread. */
COIR__CHECKED int coir_file_truncate(coir_file *file, uint64_t size);

/* How long file is now, as far as the kernel knows: it does not ask a network.
 * Returns 0, and writes *ret_size. Errors: -COIR_EWRONGLOOP. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__CHECKED int coir_file_size(coir_file *file, uint64_t *ret_size);

/* ---- files as streams ---- */

/* Opens a stream over file that reads from offset on, and writes there: both move the one
 * position. The file stays the caller's; it may be closed before the stream, which goes on.
 *
 *     COIR_AUTO(coir_stream) *lines = NULL;
 *     COIR_TRY(coir_file_stream(file, 0, &lines));
 *     coir_bytes line;
 *     while ((r = coir_stream_read_line(lines, 0, &line)) > 0)
 *         ...
 *
 * Returns 0, and writes *ret_stream. Errors: -ENOMEM, -EINVAL, -COIR_EWRONGLOOP. Cancel safety:
 * never waits. Thread safety: the loop's thread. */
COIR__CHECKED int coir_file_stream(coir_file *file, uint64_t offset, coir_stream **ret_stream);

/* As the length of coir_stream_send_file: to the end of the file. */
#define COIR_FILE_REST UINT64_MAX

/* Writes length bytes of file from offset on to stream. Where stream is a socket the kernel moves
 * them, without a copy here (sendfile); elsewhere, and through filters, they are read and written.
 * Returns 0. Errors: -COIR_EEOF when file ends before, those of coir_file_read and of
 * coir_stream_write. Cancel safety: nothing was written, or the stream is broken, as by
 * coir_stream_write; a failure to read breaks it too when something was written. Thread safety: the
 * loop's thread. */
COIR__CHECKED int coir_stream_send_file(coir_stream *stream, coir_file *file, uint64_t offset,
                                        uint64_t length);

/* ---- whole files ---- */

/* Adds all that the file at path holds to buffer, which bounds how much that may be.
 *
 *     COIR_AUTO(coir_buffer) text = {.limit = 1 << 20};
 *     COIR_TRY(coir_file_read_all("words.txt", &text));
 *
 * Returns 0. Errors: those of coir_file_open and coir_file_read, -COIR_ETOOLONG when the buffer's
 * limit is too small, -ENOMEM; then the buffer holds what it did before. Cancel safety: nothing
 * happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_file_read_all(const char *path, coir_buffer *buffer);

/* Zero means the default for each field. */
typedef struct coir_write_all_opts {
    unsigned mode;  /* of a file that is created, less the umask; 0: 0666 */
    bool atomic;    /* whatever happens, even to the machine, path is what it was or what it is to
                       be: it is written to a file beside it, which is synced and then takes its
                       name. A file that was there gives it its mode when all is written, which
                       is 0600 till then; owner and group are the writer's. Links are followed, to
                       where they led when the call began, and stay; with exclusive they
                       count as being there */
    bool append;    /* behind what is there */
    bool exclusive; /* -EEXIST when it is there */
    bool sync;      /* on the disk when the call returns; always so with atomic */
    size_t coir__reserved[4];
} coir_write_all_opts;

/* Writes size bytes at data to the file at path, in place of what it held; creates it. opts may be
 * NULL; append goes with neither atomic nor exclusive.
 * Returns 0. Errors: those of coir_file_open, coir_file_write, coir_file_sync and coir_fs_rename,
 * -ELOOP, -EINVAL. Cancel safety: with atomic, the old file or the new one is there, and nothing
 * beside it; otherwise some of it may be written. Thread safety: the loop's thread. */
COIR__CHECKED int coir_file_write_all(const char *path, const void *data, size_t size,
                                      const coir_write_all_opts *opts);

/* ---- temporary files ---- */

/* Opens a new file for reading and writing, which has no name and is gone when it is closed.
 * directory says on which file system; NULL: $TMPDIR, or /tmp.
 * Returns 0, and writes *ret_file. Errors: those of coir_file_open. Cancel safety: nothing
 * happened. Thread safety: the loop's thread. */
COIR__CHECKED int coir_file_temporary(const char *directory, coir_file **ret_file);

/* Creates a file with a new name in directory (NULL: as above) that begins with prefix, for reading
 * and writing by its owner only. coir_file_path says where; it stays when it is closed.
 * Returns 0, and writes *ret_file. Errors: those of coir_file_open. Cancel safety: nothing
 * happened; but a call that had begun may leave an empty file. Thread safety: the loop's thread. */
COIR__CHECKED int coir_file_temporary_named(const char *directory, const char *prefix,
                                            coir_file **ret_file);

COIR__END
#endif
