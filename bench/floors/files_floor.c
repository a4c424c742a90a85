/* Floor of the benchmarks of files: io_uring by itself. usage: files_floor NAME. A small file is a
 * chain of three entries (open into a slot, read, close), 64 chains at once; it is known
 * beforehand how long it is. The big one is read in pieces of 1 MiB, eight at once. With the word
 * `sync` behind NAME: a loop of open, fstat, read, close, and one of pread. */
#include "../files.h"

#include <liburing.h>

enum { STEPS = 3, READERS = 8 };

static struct io_uring ring;
static char paths[FILES_AT_ONCE][300];
static char *buffers;
static long next_one;

/* After the entry was prepared, which clears it. */
static void mark(struct io_uring_sqe *sqe, unsigned flags, long data)
{
    sqe->flags |= (uint8_t)flags;
    sqe->user_data = (uint64_t)data;
}

static void start_chain(int slot)
{
    const unsigned linked = IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    files_small_path(paths[slot], sizeof paths[slot], next_one++ % FILES_SMALL);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_openat_direct(sqe, AT_FDCWD, paths[slot], O_RDONLY, 0, (unsigned)slot);
    mark(sqe, linked, slot);
    sqe = io_uring_get_sqe(&ring);
    io_uring_prep_read(sqe, slot, buffers + (size_t)slot * FILES_SIZE, FILES_SIZE, 0);
    mark(sqe, linked | IOSQE_FIXED_FILE, slot);
    sqe = io_uring_get_sqe(&ring);
    io_uring_prep_close_direct(sqe, (unsigned)slot);
    mark(sqe, 0, slot + 1000); /* the last one: the chain has ended */
}

static int small_by_ring(void)
{
    int slots[FILES_AT_ONCE];
    memset(slots, -1, sizeof slots);
    if (io_uring_register_files(&ring, slots, FILES_AT_ONCE) < 0)
        return 1;
    long total = (long)FILES_SMALL * FILES_PASSES, done = 0;
    for (int i = 0; i < FILES_AT_ONCE; i++)
        start_chain(i);
    while (done < total) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            count++;
            if (cqe->res < 0)
                return 1;
            done++;
            if (next_one < total)
                start_chain((int)cqe->user_data - 1000);
        }
        io_uring_cq_advance(&ring, count);
    }
    return 0;
}

static void start_piece(int fd, int slot)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_read(sqe, fd, buffers + ((size_t)slot << 20), FILES_PIECE,
                       (uint64_t)next_one++ << 20);
    mark(sqe, 0, slot);
}

static int big_by_ring(int fd)
{
    for (int i = 0; i < READERS; i++)
        start_piece(fd, i);
    for (long done = 0; done < FILES_PIECES;) {
        io_uring_submit_and_wait(&ring, 1);
        struct io_uring_cqe *cqe;
        unsigned head, count = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            count++;
            done++;
            if (cqe->res != FILES_PIECE)
                return 1;
            if (next_one < FILES_PIECES)
                start_piece(fd, (int)cqe->user_data);
        }
        io_uring_cq_advance(&ring, count);
    }
    return 0;
}

static int small_by_calls(void)
{
    char path[300];
    for (long i = 0; i < (long)FILES_SMALL * FILES_PASSES; i++) {
        struct stat status;
        files_small_path(path, sizeof path, i % FILES_SMALL);
        int fd = open(path, O_RDONLY);
        if (fd < 0 || fstat(fd, &status) < 0)
            return 1;
        char *data = malloc((size_t)status.st_size);
        int failed = read(fd, data, (size_t)status.st_size) != FILES_SIZE;
        free(data);
        close(fd);
        if (failed)
            return 1;
    }
    return 0;
}

static int big_by_calls(int fd)
{
    for (long i = 0; i < FILES_PIECES; i++)
        if (pread(fd, buffers, FILES_PIECE, i << 20) != FILES_PIECE)
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    int small = argc > 1 && !strcmp(argv[1], "files/small_us"), by_calls = argc > 2;
    struct io_uring_params parameters = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                                  IORING_SETUP_DEFER_TASKRUN};
    if (argc < 2 || !files_prepare(small))
        return 1;
    if (!by_calls && io_uring_queue_init_params(256, &ring, &parameters) < 0)
        return 1;
    char path[300];
    files_big_path(path, sizeof path);
    int fd = small ? -1 : open(path, O_RDONLY);
    size_t size = (size_t)READERS << 20;
    buffers = aligned_alloc(4096, size);
    memset(buffers, 1, size);
    double cpu = measure_cpu_s();
    int64_t start = measure_now_ns();
    int failed = small      ? by_calls ? small_by_calls() : small_by_ring()
                      : by_calls ? big_by_calls(fd)
                            : big_by_ring(fd);
    files_result(argv[1], measure_now_ns() - start, measure_cpu_s() - cpu);
    return failed;
}
