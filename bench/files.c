/* coir-bench-files: coir's own side of the benchmarks of files. usage: coir-bench-files NAME. The
 * small ones are read whole by 64 tasks, the big one by one task in pieces of 1 MiB. Public headers
 * only. */
#include "files.h"

#include <coir/file.h>
#include <coir/group.h>
#include <coir/loop.h>

static long next;

static int read_small(void *arg)
{
    (void)arg;
    char path[300];
    while (next < (long)FILES_SMALL * FILES_PASSES) {
        files_small_path(path, sizeof path, next++ % FILES_SMALL);
        COIR_AUTO(coir_buffer) data = {0};
        COIR_TRY(coir_file_read_all(path, &data));
        if (data.length != FILES_SIZE)
            return -EIO;
    }
    return 0;
}

static int bench_small(void)
{
    COIR_GROUP(tasks);
    for (int i = 0; i < FILES_AT_ONCE; i++)
        COIR_TRY(coir_spawn(&tasks, read_small, NULL, NULL));
    return coir_group_wait(&tasks);
}

static int bench_big(void)
{
    static char data[FILES_PIECE];
    char path[300];
    COIR_AUTO(coir_file) *file = NULL;
    files_big_path(path, sizeof path);
    COIR_TRY(coir_file_open(path, O_RDONLY, NULL, &file));
    size_t n;
    int r;
    uint64_t at = 0;
    while ((r = coir_file_read(file, data, sizeof data, at, &n)) > 0)
        at += n;
    return r < 0 ? r : at == (uint64_t)FILES_PIECES * FILES_PIECE ? 0 : -EIO;
}

static int run(void *arg)
{
    const char *name = arg;
    int small = strcmp(name, "files/small_us") == 0;
    if (!files_prepare(small))
        return coir_fail(-EIO, "the files cannot be made in %s", files_directory());
    double cpu = measure_cpu_s();
    int64_t start = measure_now_ns();
    COIR_TRY(small ? bench_small() : bench_big());
    files_result(name, measure_now_ns() - start, measure_cpu_s() - cpu);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && (!strcmp(argv[1], "files/small_us") || !strcmp(argv[1], "files/big_gbs")))
        return coir_run(run, argv[1], NULL, NULL) < 0;
    fprintf(stderr, "usage: coir-bench-files NAME\n");
    return 2;
}
