/* io_files.c: a table of operations on files and paths and what comes of them, the same on every
 * backend: at once, by the ring, by a thread, in the simulation. The expectations are those of
 * Linux.
 */
#include "files.h"

/* ---- what is there to begin with ---- */

/* A file with 26 letters, an empty one, a directory with one file in it, links. */
static void furnish(void)
{
    put(in("letters"), "abcdefghijklmnopqrstuvwxyz");
    put(in("empty"), "");
    (void)!mkdir(in("directory"), 0755);
    put(in("directory/inside"), "inside");
    (void)!mkdir(in("vacant"), 0755);
    (void)!symlink("letters", in("link"));
    (void)!symlink("nowhere", in("dangling"));
    (void)!symlink("loop", in("loop"));
    (void)!mkfifo(in("pipe"), 0644);
}

/* ---- opening ---- */

static int open_with(const char *path, int flags, const coir_file_opts *opts)
{
    COIR_AUTO(coir_file) *file = NULL;
    return coir_file_open(path, flags, opts, &file);
}

static int open_it(void)
{
    return open_with(in("letters"), O_RDONLY, NULL);
}

static int open_missing(void)
{
    return open_with(in("missing"), O_RDONLY, NULL);
}

static int open_below_a_file(void)
{
    return open_with(in("letters/x"), O_RDONLY, NULL);
}

static int open_directory_to_write(void)
{
    return open_with(in("directory"), O_WRONLY, NULL);
}

static int open_file_as_directory(void)
{
    return open_with(in("letters"), O_RDONLY | O_DIRECTORY, NULL);
}

static int open_exclusively(void)
{
    return open_with(in("letters"), O_WRONLY | O_CREAT | O_EXCL, NULL);
}

static int open_dangling(void)
{
    return open_with(in("dangling"), O_RDONLY, NULL);
}

static int open_a_loop(void)
{
    return open_with(in("loop"), O_RDONLY, NULL);
}

static int open_no_link(void)
{
    return open_with(in("link"), O_RDONLY | O_NOFOLLOW, NULL);
}

static int open_empty_path(void)
{
    return open_with("", O_RDONLY, NULL);
}

static int open_long_name(void)
{
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    return open_with(name, O_RDONLY, NULL);
}

static int open_nothing(void)
{
    return open_with(NULL, O_RDONLY, NULL);
}

/* Nobody writes to it: a thread that opened it would wait for ever. */
static int open_pipe(void)
{
    return open_with(in("pipe"), O_RDONLY, NULL);
}

static int open_pipe_to_write(void)
{
    return open_with(in("pipe"), O_WRONLY, NULL);
}

static int open_below(const char *path, bool beneath)
{
    COIR_AUTO(coir_file) *directory = NULL;
    COIR_TRY(coir_file_open(in("directory"), O_RDONLY | O_DIRECTORY, NULL, &directory));
    coir_file_opts opts = {.directory = directory, .beneath = beneath};
    return open_with(path, O_RDONLY, &opts);
}

static int open_relative(void)
{
    return open_below("inside", false);
}

static int open_beneath(void)
{
    return knows_beneath() ? open_below("../directory/inside", true) : -EXDEV;
}

static int open_out_of_it(void)
{
    return open_below("../letters", false);
}

static int open_inside(void)
{
    return knows_beneath() ? open_below("inside", true) : 0;
}

/* ---- reading ---- */

static int read_at(const char *path, int flags, uint64_t offset, size_t size)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_open(path, flags, NULL, &file));
    char data[64];
    size_t n = 0;
    int r = COIR_TRY(coir_file_read(file, data, size, offset, &n));
    return r > 0 ? (int)n : 0;
}

static int read_some(void)
{
    return read_at(in("letters"), O_RDONLY, 3, 5);
}

static int read_over_the_end(void)
{
    return read_at(in("letters"), O_RDONLY, 20, 64);
}

static int read_at_the_end(void)
{
    return read_at(in("letters"), O_RDONLY, 26, 64);
}

static int read_behind_the_end(void)
{
    return read_at(in("letters"), O_RDONLY, 1 << 20, 64);
}

static int read_empty(void)
{
    return read_at(in("empty"), O_RDONLY, 0, 64);
}

static int read_through_a_link(void)
{
    return read_at(in("link"), O_RDONLY, 0, 64);
}

static int read_a_directory(void)
{
    return read_at(in("directory"), O_RDONLY | O_DIRECTORY, 0, 64);
}

static int read_what_is_for_writing(void)
{
    return read_at(in("letters"), O_WRONLY, 0, 64);
}

static int read_nothing(void)
{
    return read_at(in("letters"), O_RDONLY, 0, 0);
}

static int read_pipe(void)
{
    return read_at(in("pipe"), O_RDONLY, 0, 64);
}

static int read_negative_offset(void)
{
    return read_at(in("letters"), O_RDONLY, UINT64_MAX - 100, 64);
}

static int read_zeroes(void)
{
    return read_at("/dev/zero", O_RDONLY, 0, 64);
}

static int read_null(void)
{
    return read_at("/dev/null", O_RDONLY, 0, 64);
}

/* ---- writing ---- */

static int write_at(const char *path, int flags, uint64_t offset)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_open(path, flags, NULL, &file));
    return coir_file_write(file, "XYZ", 3, offset);
}

static int write_new(void)
{
    COIR_TRY(write_at(in("new"), O_WRONLY | O_CREAT, 0));
    return strcmp(get(in("new")), "XYZ") == 0;
}

static int write_inside(void)
{
    COIR_TRY(write_at(in("letters"), O_RDWR, 2));
    return strcmp(get(in("letters")), "abXYZfghijklmnopqrstuvwxyz") == 0;
}

static int write_to_the_end(void)
{
    COIR_TRY(write_at(in("letters"), O_WRONLY | O_APPEND, 2));
    return strcmp(get(in("letters")), "abcdefghijklmnopqrstuvwxyzXYZ") == 0;
}

static int write_truncated(void)
{
    COIR_TRY(write_at(in("letters"), O_WRONLY | O_TRUNC, 0));
    return strcmp(get(in("letters")), "XYZ") == 0;
}

static int write_what_is_for_reading(void)
{
    return write_at(in("letters"), O_RDONLY, 0);
}

static int write_to_full(void)
{
    return write_at("/dev/full", O_WRONLY, 0);
}

static int write_to_null(void)
{
    return write_at("/dev/null", O_WRONLY, 0);
}

static int write_too_far(void)
{
    return write_at(in("letters"), O_WRONLY, (uint64_t)INT64_MAX + 1);
}

static int write_nothing(void)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_open(in("letters"), O_WRONLY, NULL, &file));
    return coir_file_write(file, NULL, 0, 0);
}

/* ---- the rest of a file ---- */

static int sync_it(void)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_open(in("letters"), O_WRONLY, NULL, &file));
    return coir_file_sync(file);
}

static int sync_null(void)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_open("/dev/null", O_WRONLY, NULL, &file));
    return coir_file_sync(file);
}

static int truncate_to(int flags, uint64_t size)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_open(in("letters"), flags, NULL, &file));
    COIR_TRY(coir_file_truncate(file, size));
    uint64_t is;
    COIR_TRY(coir_file_size(file, &is));
    return (int)is;
}

static int truncate_shorter(void)
{
    return truncate_to(O_WRONLY, 10);
}

static int truncate_longer(void)
{
    return truncate_to(O_WRONLY, 1000);
}

static int truncate_what_is_for_reading(void)
{
    return truncate_to(O_RDONLY, 10);
}

static int truncate_too_far(void)
{
    return truncate_to(O_WRONLY, (uint64_t)INT64_MAX + 1);
}

/* ---- paths ---- */

static int stat_kind(const char *path, int flags, mode_t kind)
{
    coir_fs_status status;
    COIR_TRY(coir_fs_stat(path, flags, &status));
    return (status.mode & S_IFMT) == kind;
}

static int stat_file(void)
{
    coir_fs_status status;
    COIR_TRY(coir_fs_stat(in("letters"), 0, &status));
    COIR_EXPECT_EQ(status.links, 1);
    COIR_EXPECT_EQ(status.owner, getuid());
    COIR_EXPECT_GT(status.modified, COIR_SEC(1700000000));
    return (int)status.size;
}

static int stat_directory(void)
{
    return stat_kind(in("directory"), 0, S_IFDIR);
}

static int stat_through_a_link(void)
{
    return stat_kind(in("link"), 0, S_IFREG);
}

static int stat_a_link(void)
{
    return stat_kind(in("dangling"), COIR_FS_NO_FOLLOW, S_IFLNK);
}

static int stat_dangling(void)
{
    return stat_kind(in("dangling"), 0, 0);
}

static int stat_missing(void)
{
    return stat_kind(in("missing"), 0, 0);
}

static int stat_oddly(void)
{
    return stat_kind(in("letters"), COIR_FS_EXCHANGE, 0);
}

static int mkdir_new(void)
{
    COIR_TRY(coir_fs_mkdir(in("made"), 0700));
    coir_fs_status status;
    COIR_TRY(coir_fs_stat(in("made"), 0, &status));
    return (int)(status.mode & 0777);
}

static int mkdir_twice(void)
{
    return coir_fs_mkdir(in("directory"), 0);
}

static int mkdir_nowhere(void)
{
    return coir_fs_mkdir(in("missing/made"), 0);
}

static int mkdir_below_a_file(void)
{
    return coir_fs_mkdir(in("letters/made"), 0);
}

static int mkdirs_new(void)
{
    COIR_TRY(coir_fs_mkdirs(in("a/b//c/"), 0));
    return is_there(in("a/b/c"));
}

static int mkdirs_partly_there(void)
{
    COIR_TRY(coir_fs_mkdirs(in("directory/d/e"), 0));
    return is_there(in("directory/d/e"));
}

static int mkdirs_all_there(void)
{
    return coir_fs_mkdirs(in("directory"), 0);
}

static int mkdirs_over_a_file(void)
{
    return coir_fs_mkdirs(in("letters"), 0);
}

static int mkdirs_through_a_file(void)
{
    return coir_fs_mkdirs(in("letters/d/e"), 0);
}

static int unlink_it(void)
{
    COIR_TRY(coir_fs_unlink(in("letters"), 0));
    return is_there(in("letters"));
}

static int unlink_link(void)
{
    COIR_TRY(coir_fs_unlink(in("link"), 0));
    return is_there(in("letters"));
}

static int unlink_missing(void)
{
    return coir_fs_unlink(in("missing"), 0);
}

static int unlink_missing_ok(void)
{
    return coir_fs_unlink(in("missing"), COIR_FS_MISSING_OK);
}

static int unlink_directory(void)
{
    return coir_fs_unlink(in("vacant"), 0);
}

static int rmdir_it(void)
{
    COIR_TRY(coir_fs_rmdir(in("vacant"), 0));
    return is_there(in("vacant"));
}

static int rmdir_full(void)
{
    return coir_fs_rmdir(in("directory"), 0);
}

static int rmdir_file(void)
{
    return coir_fs_rmdir(in("letters"), 0);
}

static int rmdir_missing(void)
{
    return coir_fs_rmdir(in("missing"), 0);
}

static int rmdir_missing_ok(void)
{
    return coir_fs_rmdir(in("missing"), COIR_FS_MISSING_OK);
}

static int rename_it(void)
{
    COIR_TRY(coir_fs_rename(in("letters"), in("renamed"), 0));
    return !is_there(in("letters")) && is_there(in("renamed"));
}

static int rename_over(void)
{
    COIR_TRY(coir_fs_rename(in("letters"), in("empty"), 0));
    return (int)strlen(get(in("empty")));
}

static int rename_no_replace(void)
{
    return coir_fs_rename(in("letters"), in("empty"), COIR_FS_NO_REPLACE);
}

static int rename_exchange(void)
{
    COIR_TRY(coir_fs_rename(in("letters"), in("empty"), COIR_FS_EXCHANGE));
    return (int)strlen(get(in("empty")));
}

static int rename_missing(void)
{
    return coir_fs_rename(in("missing"), in("renamed"), 0);
}

static int rename_over_a_directory(void)
{
    return coir_fs_rename(in("letters"), in("vacant"), 0);
}

static int rename_directory_over_a_full_one(void)
{
    return coir_fs_rename(in("vacant"), in("directory"), 0);
}

static int rename_into_itself(void)
{
    return coir_fs_rename(in("directory"), in("directory/d"), 0);
}

static int link_it(void)
{
    COIR_TRY(coir_fs_link(in("letters"), in("second")));
    coir_fs_status status;
    COIR_TRY(coir_fs_stat(in("second"), 0, &status));
    return (int)status.links;
}

static int link_over(void)
{
    return coir_fs_link(in("letters"), in("empty"));
}

static int link_missing(void)
{
    return coir_fs_link(in("missing"), in("second"));
}

static int link_directory(void)
{
    return coir_fs_link(in("directory"), in("second"));
}

static int symlink_it(void)
{
    COIR_AUTO(coir_buffer) target = {0};
    COIR_TRY(coir_fs_symlink("any text", in("third")));
    COIR_TRY(coir_fs_readlink(in("third"), &target));
    return strcmp(coir_buffer_text(&target), "any text") == 0;
}

static int symlink_over(void)
{
    return coir_fs_symlink("any text", in("letters"));
}

static int readlink_file(void)
{
    COIR_AUTO(coir_buffer) target = {0};
    return coir_fs_readlink(in("letters"), &target);
}

static int readlink_missing(void)
{
    COIR_AUTO(coir_buffer) target = {0};
    return coir_fs_readlink(in("missing"), &target);
}

static int readlink_beyond_the_limit(void)
{
    COIR_AUTO(coir_buffer) target = {.limit = 3};
    return coir_fs_readlink(in("link"), &target);
}

static int list(const char *path)
{
    COIR_AUTO(coir_directory) *directory = NULL;
    COIR_TRY(coir_directory_open(path, &directory));
    coir_entry entry;
    int r, count = 0;
    while ((r = coir_directory_next(directory, &entry)) > 0)
        count += entry.name[0] != '.';
    return r < 0 ? r : count;
}

static int list_directory(void)
{
    return list(in("directory"));
}

static int list_vacant(void)
{
    return list(in("vacant"));
}

static int list_file(void)
{
    return list(in("letters"));
}

static int list_missing(void)
{
    return list(in("missing"));
}

/* ---- the table ---- */

struct outcome {
    const char *name;
    int (*run)(void);
    int expected;
};

static void expect_outcomes(const struct outcome *outcomes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        COIR_REQUIRE(coir_test_tmpdir() != NULL);
        coir__remove_tree(coir_test_tmpdir());
        COIR_REQUIRE(mkdir(coir_test_tmpdir(), 0700) == 0);
        furnish();
        int r = outcomes[i].run();
        if (r != outcomes[i].expected)
            COIR_FAIL("%s: %d (%s) instead of %d (%s)", outcomes[i].name, r, coir_error_name(r),
                      outcomes[i].expected, coir_error_name(outcomes[i].expected));
        if (r == -ENOENT || r == -EEXIST || r == -ENOTDIR || r == -EISDIR) {
            COIR_EXPECT_CONTAINS(coir_last_message(r), " \"");
            COIR_EXPECT_CONTAINS(coir_last_message(r), coir_error_text(r));
        }
        coir_clear_error();
    }
}

/* clang-format off */
#define OUTCOME(run, expected) {#run, run, expected}
/* clang-format on */

COIR_TEST(opening)
{
    static const struct outcome outcomes[] = {
        OUTCOME(open_it, 0),
        OUTCOME(open_missing, -ENOENT),
        OUTCOME(open_below_a_file, -ENOTDIR),
        OUTCOME(open_directory_to_write, -EISDIR),
        OUTCOME(open_file_as_directory, -ENOTDIR),
        OUTCOME(open_exclusively, -EEXIST),
        OUTCOME(open_dangling, -ENOENT),
        OUTCOME(open_a_loop, -ELOOP),
        OUTCOME(open_no_link, -ELOOP),
        OUTCOME(open_empty_path, -ENOENT),
        OUTCOME(open_long_name, -ENAMETOOLONG),
        OUTCOME(open_nothing, -EINVAL),
        OUTCOME(open_pipe, 0),
        OUTCOME(open_pipe_to_write, -ENXIO),
        OUTCOME(open_relative, 0),
        OUTCOME(open_beneath, -EXDEV),
        OUTCOME(open_out_of_it, 0),
        OUTCOME(open_inside, 0),
    };
    expect_outcomes(outcomes, COIR_COUNT(outcomes));
}

COIR_TEST(reading_and_writing)
{
    static const struct outcome outcomes[] = {
        OUTCOME(read_some, 5),
        OUTCOME(read_over_the_end, 6),
        OUTCOME(read_at_the_end, 0),
        OUTCOME(read_behind_the_end, 0),
        OUTCOME(read_empty, 0),
        OUTCOME(read_through_a_link, 26),
        OUTCOME(read_a_directory, -EISDIR),
        OUTCOME(read_what_is_for_writing, -EBADF),
        OUTCOME(read_nothing, -EINVAL),
        OUTCOME(read_pipe, -ESPIPE),
        OUTCOME(read_negative_offset, -EINVAL),
        OUTCOME(read_zeroes, 64),
        OUTCOME(read_null, 0),
        OUTCOME(write_new, 1),
        OUTCOME(write_inside, 1),
        OUTCOME(write_to_the_end, 1),
        OUTCOME(write_truncated, 1),
        OUTCOME(write_what_is_for_reading, -EBADF),
        OUTCOME(write_to_full, -ENOSPC),
        OUTCOME(write_to_null, 0),
        OUTCOME(write_too_far, -EINVAL),
        OUTCOME(write_nothing, 0),
        OUTCOME(sync_it, 0),
        OUTCOME(sync_null, -EINVAL),
        OUTCOME(truncate_shorter, 10),
        OUTCOME(truncate_longer, 1000),
        OUTCOME(truncate_what_is_for_reading, -EINVAL),
        OUTCOME(truncate_too_far, -EINVAL),
    };
    expect_outcomes(outcomes, COIR_COUNT(outcomes));
}

COIR_TEST(paths)
{
    static const struct outcome outcomes[] = {
        OUTCOME(stat_file, 26),
        OUTCOME(stat_directory, 1),
        OUTCOME(stat_through_a_link, 1),
        OUTCOME(stat_a_link, 1),
        OUTCOME(stat_dangling, -ENOENT),
        OUTCOME(stat_missing, -ENOENT),
        OUTCOME(stat_oddly, -EINVAL),
        OUTCOME(mkdir_new, 0700),
        OUTCOME(mkdir_twice, -EEXIST),
        OUTCOME(mkdir_nowhere, -ENOENT),
        OUTCOME(mkdir_below_a_file, -ENOTDIR),
        OUTCOME(mkdirs_new, 1),
        OUTCOME(mkdirs_partly_there, 1),
        OUTCOME(mkdirs_all_there, 0),
        OUTCOME(mkdirs_over_a_file, -ENOTDIR),
        OUTCOME(mkdirs_through_a_file, -ENOTDIR),
        OUTCOME(unlink_it, 0),
        OUTCOME(unlink_link, 1),
        OUTCOME(unlink_missing, -ENOENT),
        OUTCOME(unlink_missing_ok, 0),
        OUTCOME(unlink_directory, -EISDIR),
        OUTCOME(rmdir_it, 0),
        OUTCOME(rmdir_full, -ENOTEMPTY),
        OUTCOME(rmdir_file, -ENOTDIR),
        OUTCOME(rmdir_missing, -ENOENT),
        OUTCOME(rmdir_missing_ok, 0),
    };
    expect_outcomes(outcomes, COIR_COUNT(outcomes));
}

COIR_TEST(names)
{
    static const struct outcome outcomes[] = {
        OUTCOME(rename_it, 1),
        OUTCOME(rename_over, 26),
        OUTCOME(rename_no_replace, -EEXIST),
        OUTCOME(rename_exchange, 26),
        OUTCOME(rename_missing, -ENOENT),
        OUTCOME(rename_over_a_directory, -EISDIR),
        OUTCOME(rename_directory_over_a_full_one, -ENOTEMPTY),
        OUTCOME(rename_into_itself, -EINVAL),
        OUTCOME(link_it, 2),
        OUTCOME(link_over, -EEXIST),
        OUTCOME(link_missing, -ENOENT),
        OUTCOME(link_directory, -EPERM),
        OUTCOME(symlink_it, 1),
        OUTCOME(symlink_over, -EEXIST),
        OUTCOME(readlink_file, -EINVAL),
        OUTCOME(readlink_missing, -ENOENT),
        OUTCOME(readlink_beyond_the_limit, -COIR_ETOOLONG),
        OUTCOME(list_directory, 1),
        OUTCOME(list_vacant, 0),
        OUTCOME(list_file, -ENOTDIR),
        OUTCOME(list_missing, -ENOENT),
    };
    expect_outcomes(outcomes, COIR_COUNT(outcomes));
}
