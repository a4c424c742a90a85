/* files.h: what the tests of files and paths share: names in the directory of the test, calls of
 * the system that fail when a test says so, and looking without the library.
 */
#ifndef COIR_TESTS_FILES_H
#define COIR_TESTS_FILES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <coir/file.h>
#include <coir/fs.h>
#include <coir/testing.h>

#include "testing/kit.h"

/* A path in the directory of the test; eight of them live at a time. */
static inline const char *in(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", coir_test_tmpdir(), name);
    return path;
}

/* Makes a file, past the library. */
static inline void put(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return;
    (void)fwrite(text, 1, strlen(text), file);
    (void)fclose(file);
}

/* What a file holds, past the library, at most 255 bytes; "(none)" when it is not there. */
static inline const char *get(const char *path)
{
    static char text[256];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return "(none)";
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static inline bool is_there(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* How many names a directory holds. */
static inline int count_names(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;
    if (directory == NULL)
        return -1;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(directory);
    return count;
}

/* ---- calls that fail ---- */

static struct {
    enum coir__sys_call call;
    int error;       /* 0: the transfer is shortened to a byte */
    atomic_int skip; /* calls that work before */
    atomic_int times;
} file_fault;

static inline int meet_file_fault(enum coir__sys_call call, size_t *length)
{
    if (call != file_fault.call || atomic_fetch_sub(&file_fault.skip, 1) > 0 ||
        atomic_fetch_sub(&file_fault.times, 1) <= 0)
        return 0;
    if (file_fault.error == 0 && length != NULL)
        *length = 1;
    return -file_fault.error;
}

/* From now on the call of that name fails, times times after skip that work. In a tortured run the
 * torture's own faults are enough. */
static inline void fail_calls(enum coir__sys_call call, int error, int skip, int times)
{
    if (coir_test_tortured() || (coir__sys_fault != NULL && coir__sys_fault != meet_file_fault))
        return;
    file_fault.call = call;
    file_fault.error = error;
    atomic_store(&file_fault.skip, skip);
    atomic_store(&file_fault.times, times);
    coir__sys_fault = meet_file_fault;
}

static inline void fail_no_more(void)
{
    if (coir__sys_fault == meet_file_fault)
        coir__sys_fault = NULL;
}

/* Valgrind and qemu do not know openat2. */
static inline bool knows_beneath(void)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
    long fd = syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof how);
    if (fd >= 0)
        close((int)fd);
    return fd >= 0 || errno != ENOSYS;
}

/* First in a test of files that are opened beneath a directory. */
#define NEED_BENEATH()                                                                             \
    do {                                                                                           \
        if (!knows_beneath())                                                                      \
            COIR_SKIP("nobody here knows openat2");                                                \
    } while (0)

#endif
