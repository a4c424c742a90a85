/* file.h: the inside of coir_file, shared by file.c (opening, positions),
 * stream.c (as a stream, into a stream) and whole.c (whole files, temporary ones).
 *
 * A file is held while a call is inside it; closing it frees it when the last one has left. The
 * calls here are suspending calls, and leave no text.
 */
#ifndef COIR_IO_SYSTEM_FILE_H
#define COIR_IO_SYSTEM_FILE_H

#include <coir/file.h>

#include "io/files/system.h"

struct coir_file {
    struct coir_loop *loop;
    const char *path;
    int fd;
    uint32_t holds;
    bool closed;
    bool reads_in_vain, writes_in_vain; /* at once: this file system does not know that */
};

/* Opens path into a record of the caller's, which may lie on its stack. Returns 0 or a code. */
int coir__file_open(struct coir_file *file, const char *path, int flags,
                    const coir_file_opts *opts);
/* Gives the descriptor of a record back. */
void coir__file_shut(struct coir_file *file);

static inline void coir__file_hold(struct coir_file *file)
{
    file->holds++;
}

/* Returns whether it was closed meanwhile: it may be gone. */
bool coir__file_leave(struct coir_file *file);

/* One step each, which may be short: bytes, 0 at the end, or a code. */
long coir__file_read_some(struct coir_file *file, void *data, size_t size, uint64_t offset);
long coir__file_write_some(struct coir_file *file, const void *data, size_t size, uint64_t offset);
/* All of it. Returns 0 or a code. */
int coir__file_write_all(struct coir_file *file, const void *data, size_t size, uint64_t offset);
int coir__file_sync(struct coir_file *file);
/* What it is, as far as the kernel knows, without asking a disk. Returns 0 or a code. */
int coir__file_look(const struct coir_file *file, struct statx *ret_status);
/* What is wrong with a call on file. */
int coir__file_check(const struct coir_file *file);

/* Makes a new file in directory (NULL: the usual one); its name begins with prefix. The path is
 * the caller's to free; NULL when it failed. */
int coir__file_make_new(struct coir_file *file, const char *directory, const char *prefix,
                        unsigned mode, char **ret_path);

#endif
