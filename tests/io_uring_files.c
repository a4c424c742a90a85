/* io_uring_files.c: tests of calls on files and paths as entries of the ring: without the
 * operations, with rings that are given up, with more at once than the kernel has threads for.
 */
#include <coir/group.h>
#include <coir/threads.h>

#include "files.h"
#include "io_uring.h"

static int use_files(void *arg)
{
    (void)arg;
    coir_write_all_opts atomic = {.atomic = true};
    COIR_AUTO(coir_buffer) text = {0};
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_fs_mkdirs(in("a/b"), 0));
    COIR_TRY(coir_file_write_all(in("a/b/c"), "text", 4, &atomic));
    COIR_TRY(coir_fs_rename(in("a/b/c"), in("d"), 0));
    COIR_TRY(coir_fs_symlink("d", in("e")));
    COIR_TRY(coir_fs_link(in("d"), in("f")));
    COIR_TRY(coir_file_open(in("e"), O_RDWR, NULL, &file));
    COIR_TRY(coir_file_truncate(file, 2));
    COIR_TRY(coir_file_read_all(in("f"), &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), "te");
    COIR_TRY(coir_fs_unlink(in("f"), 0));
    COIR_TRY(coir_fs_rmdir(in("a/b"), 0));
    return is_there(in("f")) || is_there(in("a/b")) ? -EEXIST : 0;
}

COIR_TEST(what_the_ring_does_not_have_threads_do)
{
    ONLY_HERE;
    ring_of(coir_loop_current())->known = 0;
    struct coir_threads_stats before, after;
    coir_threads_stats(NULL, &before);
    COIR_EXPECT_OK(use_files(NULL));
    coir_threads_stats(NULL, &after);
    COIR_EXPECT_GE(after.done - before.done, 10);
}

COIR_TEST_TAGGED(what_the_ring_has_no_thread_does, "no_torture")
{
    ONLY_HERE;
    uint64_t known = ring_of(coir_loop_current())->known;
    if (!(known >> IORING_OP_LINKAT & 1) || !(known >> 55 & 1))
        COIR_SKIP("needs Linux 6.9");
    struct coir_threads_stats before, after;
    coir_threads_stats(NULL, &before);
    COIR_EXPECT_OK(use_files(NULL));
    coir_threads_stats(NULL, &after);
    COIR_EXPECT_EQ(after.done - before.done, 0);
}

static int make_directory(void *arg)
{
    return coir_fs_mkdir(arg, 0);
}

/* A ring that is given up had not taken the entry: the next one does. */
COIR_TEST_TAGGED(call_that_was_not_taken_is_made_by_the_next_ring, "no_torture,fifo")
{
    ONLY_HERE;
    coir_task *task = NULL;
    COIR_GROUP(group);
    const char *path = in("made");
    COIR_REQUIRE_OK(coir_spawn(&group, make_directory, (void *)(uintptr_t)path, &task));
    COIR_REQUIRE_OK(coir_yield());
    FAULT(URING_ENTER, EEXIST, 1);
    COIR_EXPECT_CODE(coir_join(task, NULL), 0);
    coir__sys_fault = NULL;
    COIR_EXPECT(is_there(path));
}

/* It had: nobody knows whether it was made, and it is not made twice. */
COIR_TEST_TAGGED(call_that_was_taken_is_not_made_twice, "no_torture,fifo")
{
    ONLY_HERE;
    coir_task *task = NULL;
    int result = 1;
    COIR_GROUP(group);
    const char *path = in("made");
    COIR_REQUIRE_OK(coir_spawn(&group, make_directory, (void *)(uintptr_t)path, &task));
    COIR_REQUIRE_OK(coir_yield());
    struct coir__uring *uring = ring_of(coir_loop_current());
    if ((uring->known >> IORING_OP_MKDIRAT & 1) == 0) {
        COIR_EXPECT_OK(coir_join(task, NULL));
        COIR_SKIP("this kernel makes no directories by its ring");
    }
    struct io_uring *ring = &uring->ring;
    __atomic_store_n(ring->sq.ktail, ring->sq.sqe_tail, __ATOMIC_RELEASE);
    COIR_EXPECT_GE(coir__sys_uring_submit(ring, 8), 1);
    FAULT(URING_ENTER, EEXIST, 1);
    COIR_EXPECT_OK(coir_join(task, &result));
    coir__sys_fault = NULL;
    COIR_EXPECT(result == 0 || result == -EIO);
}

/* Many at once are more than the kernel has threads for. */
COIR_TEST(many_calls_on_files_at_once)
{
    ONLY_HERE;
    char paths[40][128];
    void *arguments[40];
    COIR_GROUP(group);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%s/%d", coir_test_tmpdir(), i);
        arguments[i] = paths[i];
        COIR_REQUIRE_OK(coir_spawn(&group, make_directory, arguments[i], NULL));
    }
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), 40);
}
