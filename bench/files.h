/* The files that the benchmarks of files read: 10,000 of 4 KiB and one of 1 GiB, all in the page
 * cache. They lie in $COIR_BENCH_FILES, or in coir-bench-files below $TMPDIR or /tmp, and are made
 * by the first program that looks for them. */
#ifndef COIR_BENCH_FILES_H
#define COIR_BENCH_FILES_H

#include "measure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_SMALL = 10000, FILES_SIZE = 4096, FILES_AT_ONCE = 64, FILES_PIECE = 1 << 20 };
enum { FILES_PIECES = 1024, FILES_PASSES = 5 }; /* pieces of the big one; over the small ones */

static inline const char *files_directory(void)
{
    static char path[256];
    const char *own = getenv("COIR_BENCH_FILES"), *base = getenv("TMPDIR");
    if (own)
        snprintf(path, sizeof path, "%s", own);
    else
        snprintf(path, sizeof path, "%s/coir-bench-files", base ? base : "/tmp");
    return path;
}

static inline void files_small_path(char *path, size_t size, long i)
{
    snprintf(path, size, "%s/f%05ld", files_directory(), i);
}

static inline void files_big_path(char *path, size_t size)
{
    snprintf(path, size, "%s/big", files_directory());
}

/* Has a file of size bytes, and in the cache. */
static inline int files_have(const char *path, long size)
{
    static char data[FILES_PIECE];
    struct stat status;
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    int has = fd >= 0 && fstat(fd, &status) == 0 && status.st_size == size;
    for (long at = 0; fd >= 0 && at < size; at += FILES_PIECE) {
        size_t n = size - at < FILES_PIECE ? (size_t)(size - at) : FILES_PIECE;
        memset(data, (int)(at >> 20), has ? 0 : n);
        long moved = has ? pread(fd, data, n, at) : pwrite(fd, data, n, at);
        if (moved != (long)n)
            size = -1;
    }
    if (fd >= 0)
        close(fd);
    return fd >= 0 && size >= 0;
}

/* Makes what is missing, and reads what is there. Returns 0 when something is wrong. */
static inline int files_prepare(int small)
{
    char path[300];
    (void)mkdir(files_directory(), 0755);
    files_big_path(path, sizeof path);
    if (!small)
        return files_have(path, (long)FILES_PIECES * FILES_PIECE);
    for (long i = 0; i < FILES_SMALL; i++) {
        files_small_path(path, sizeof path, i);
        if (!files_have(path, FILES_SIZE))
            return 0;
    }
    return 1;
}

/* elapsed nanoseconds for all passes over the small ones, or for the big one. */
static inline void files_result(const char *name, int64_t elapsed, double cpu_s)
{
    if (strstr(name, "small")) {
        double files = (double)FILES_SMALL * FILES_PASSES;
        measure_result(name, (double)elapsed / files / 1e3, "us/file");
        measure_result("cpu_us", cpu_s * 1e6 / files, "us/file");
        return;
    }
    double bytes = (double)FILES_PIECES * FILES_PIECE;
    measure_result(name, bytes / (double)elapsed, "GB/s");
    measure_result("cpu_s", cpu_s, "s");
}

#endif
