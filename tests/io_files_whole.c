/* io_files_whole.c: tests of whole files: reading within a limit, writing, replacing atomically
 * whatever fails on the way, copying, temporary files; and of several tasks at one file.
 */
#include <stdlib.h>

#include "files.h"

/* ---- reading ---- */

COIR_TEST(read_all_adds_to_what_is_there)
{
    put(in("words"), "one two three\n");
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(coir_buffer_append(&text, "> ", 2));
    COIR_REQUIRE_OK(coir_file_read_all(in("words"), &text));
    COIR_EXPECT_STR(coir_buffer_text(&text), "> one two three\n");
    COIR_EXPECT_EQ(text.length, 16);
}

COIR_TEST(read_all_of_nothing)
{
    put(in("empty"), "");
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(coir_file_read_all(in("empty"), &text));
    COIR_EXPECT_EQ(text.length, 0);
    COIR_EXPECT_STR(coir_buffer_text(&text), "");
}

/* What it says of its length is 0, or a page. */
COIR_TEST(read_all_of_what_does_not_say_how_long_it_is)
{
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(coir_file_read_all("/proc/self/stat", &text));
    COIR_EXPECT_GT(text.length, 10);
    COIR_AUTO(coir_buffer) page = {0};
    COIR_REQUIRE_OK(coir_file_read_all("/sys/kernel/mm/transparent_hugepage/enabled", &page));
    COIR_EXPECT_GT(page.length, 3);
}

COIR_TEST(read_all_keeps_to_the_limit)
{
    put(in("ten"), "0123456789");
    COIR_AUTO(coir_buffer) ten = {.limit = 10};
    COIR_REQUIRE_OK(coir_file_read_all(in("ten"), &ten));
    COIR_EXPECT_EQ(ten.length, 10);
    COIR_AUTO(coir_buffer) nine = {.limit = 9};
    COIR_EXPECT_CODE(coir_file_read_all(in("ten"), &nine), -COIR_ETOOLONG);
    COIR_EXPECT_CONTAINS(coir_last_message(-COIR_ETOOLONG), "ten\": longer than the limit");
    COIR_EXPECT_EQ(nine.length, 0);
    COIR_AUTO(coir_buffer) endless = {.limit = 100000};
    COIR_EXPECT_CODE(coir_file_read_all("/dev/zero", &endless), -COIR_ETOOLONG);
    COIR_EXPECT_EQ(endless.length, 0);
}

/* The limit is just what a file holds that does not say so. */
COIR_TEST(read_all_up_to_the_limit)
{
    COIR_AUTO(coir_buffer) text = {0};
    COIR_REQUIRE_OK(coir_file_read_all("/proc/version", &text));
    COIR_AUTO(coir_buffer) exact = {.limit = text.length};
    COIR_REQUIRE_OK(coir_file_read_all("/proc/version", &exact));
    COIR_EXPECT_STR(coir_buffer_text(&exact), coir_buffer_text(&text));
    COIR_AUTO(coir_buffer) shorter = {.limit = text.length - 1};
    COIR_EXPECT_CODE(coir_file_read_all("/proc/version", &shorter), -COIR_ETOOLONG);
}

COIR_TEST_TAGGED(read_all_of_a_large_file, "limit=60")
{
    const size_t size = 3 * 1024 * 1024 + 17;
    COIR_AUTO(coir_buffer) data = {0};
    COIR_REQUIRE_OK(coir_buffer_reserve(&data, size));
    for (size_t i = 0; i < size; i++)
        data.data[i] = (char)(i * 7 + i / 4096);
    data.length = size;
    COIR_REQUIRE_OK(coir_file_write_all(in("large"), data.data, size, NULL));
    COIR_AUTO(coir_buffer) back = {0};
    COIR_REQUIRE_OK(coir_file_read_all(in("large"), &back));
    COIR_REQUIRE_EQ(back.length, size);
    COIR_EXPECT_BYTES(back.data, data.data, size);
}

/* ---- writing ---- */

COIR_TEST(write_all_in_all_ways)
{
    const char *path = in("file");
    COIR_REQUIRE_OK(coir_file_write_all(path, "first", 5, NULL));
    COIR_EXPECT_STR(get(path), "first");
    COIR_REQUIRE_OK(coir_file_write_all(path, "2nd", 3, NULL));
    COIR_EXPECT_STR(get(path), "2nd");
    coir_write_all_opts append = {.append = true, .sync = true};
    COIR_REQUIRE_OK(coir_file_write_all(path, ", 3rd", 5, &append));
    COIR_EXPECT_STR(get(path), "2nd, 3rd");
    coir_write_all_opts exclusive = {.exclusive = true};
    COIR_EXPECT_CODE(coir_file_write_all(path, "x", 1, &exclusive), -EEXIST);
    coir_write_all_opts both = {.exclusive = true, .atomic = true};
    COIR_EXPECT_CODE(coir_file_write_all(path, "x", 1, &both), -EEXIST);
    COIR_EXPECT_STR(get(path), "2nd, 3rd");
    COIR_REQUIRE_OK(coir_file_write_all(in("other"), "x", 1, &both));
    COIR_EXPECT_STR(get(in("other")), "x");
    coir_write_all_opts wrong = {.append = true, .atomic = true};
    COIR_EXPECT_CODE(coir_file_write_all(path, "x", 1, &wrong), -EINVAL);
    COIR_EXPECT_CODE(coir_file_write_all("/dev/full", "x", 1, NULL), -ENOSPC);
    COIR_EXPECT_STR(coir_last_message(-ENOSPC), "write \"/dev/full\": no space left on device");
    COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), 2);
}

COIR_TEST(atomic_keeps_the_permissions)
{
    const char *path = in("file");
    coir_write_all_opts atomic = {.atomic = true, .mode = 0640};
    (void)umask(0);
    COIR_REQUIRE_OK(coir_file_write_all(path, "new", 3, &atomic));
    coir_fs_status status;
    COIR_REQUIRE_OK(coir_fs_stat(path, 0, &status));
    COIR_EXPECT_EQ(status.mode & 07777, 0640);
    COIR_REQUIRE(chmod(path, 0604) == 0);
    COIR_REQUIRE_OK(coir_file_write_all(path, "newer", 5, &atomic));
    COIR_REQUIRE_OK(coir_fs_stat(path, 0, &status));
    COIR_EXPECT_EQ(status.mode & 07777, 0604);
    COIR_EXPECT_STR(get(path), "newer");
    COIR_EXPECT_CODE(coir_file_write_all(coir_test_tmpdir(), "x", 1, &atomic), -EISDIR);
}

/* In the working directory, and with the longest name. */
COIR_TEST(atomic_where_the_path_is_only_a_name)
{
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    COIR_REQUIRE(coir_test_tmpdir() != NULL && chdir(coir_test_tmpdir()) == 0);
    coir_write_all_opts atomic = {.atomic = true};
    COIR_REQUIRE_OK(coir_file_write_all(name, "x", 1, &atomic));
    COIR_EXPECT_STR(get(name), "x");
    COIR_EXPECT_EQ(count_names("."), 1);
    COIR_EXPECT_CODE(coir_file_write_all("missing/x", "x", 1, &atomic), -ENOENT);
}

/* Each call on the way fails once, with and without a file that is there: afterwards the old one or
 * the new one is there, whole, and nothing else. */
COIR_TEST_TAGGED(atomic_leaves_the_old_or_the_new, "no_torture,limit=60")
{
    static const struct {
        enum coir__sys_call call;
        int error;
    } faults[] = {
        {COIR__SYS_OPEN, EACCES}, {COIR__SYS_OPEN, EMFILE},  {COIR__SYS_STATX, ENOMEM},
        {COIR__SYS_CHMOD, EPERM}, {COIR__SYS_WRITE, ENOSPC}, {COIR__SYS_WRITE, 0},
        {COIR__SYS_FSYNC, EIO},   {COIR__SYS_RENAME, EIO},   {COIR__SYS_OPEN, EINTR},
        {COIR__SYS_FSYNC, EINTR},
    };
    const char *path = in("file");
    coir_write_all_opts atomic = {.atomic = true};
    for (size_t i = 0; i < COIR_COUNT(faults); i++) {
        for (int round = 0; round < 8; round++) {
            bool was_there = round % 2;
            (void)unlink(path);
            if (was_there)
                put(path, "old");
            fail_calls(faults[i].call, faults[i].error, round / 2, 1);
            int r = coir_file_write_all(path, "new", 3, &atomic);
            fail_no_more();
            const char *text = get(path);
            bool is_new = strcmp(text, "new") == 0;
            COIR_EXPECT(is_new || strcmp(text, was_there ? "old" : "(none)") == 0);
            COIR_EXPECT(r < 0 || is_new);
            COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), is_new || was_there);
        }
    }
}

/* The same with each suspending call of it cancelled. */
COIR_TEST_TAGGED(atomic_is_cancelled_at_each_step, "no_torture,limit=60")
{
    const char *path = in("file");
    coir_write_all_opts atomic = {.atomic = true};
    int r = -1;
    for (unsigned step = 1; r != 0 && step < 40; step++) {
        put(path, "old");
        COIR_SCOPE(scope, COIR_FOREVER);
        coir_test_cancel_at_park(NULL, step);
        r = coir_file_write_all(path, "new", 3, &atomic);
        coir_test_cancel_at_park(NULL, 0);
        const char *text = get(path);
        bool is_new = strcmp(text, "new") == 0;
        COIR_EXPECT(r == 0 || r == -ECANCELED);
        COIR_EXPECT(is_new || strcmp(text, "old") == 0);
        COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), 1);
    }
}

static _Atomic unsigned modes_beside;

/* At each call of the system: who may open the new file now. */
static int look_beside(enum coir__sys_call call, size_t *length)
{
    (void)call;
    (void)length;
    DIR *directory = opendir(".");
    if (directory == NULL)
        return 0;
    struct stat status;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strncmp(entry->d_name, ".file.", 6) == 0 &&
            fstatat(dirfd(directory), entry->d_name, &status, 0) == 0)
            atomic_fetch_or(&modes_beside, status.st_mode & 0777);
    closedir(directory);
    return 0;
}

COIR_TEST_TAGGED(atomic_shows_nobody_what_was_not_theirs, "no_torture")
{
    COIR_REQUIRE(coir_test_tmpdir() != NULL && chdir(coir_test_tmpdir()) == 0);
    (void)umask(022);
    coir_write_all_opts atomic = {.atomic = true};
    static const unsigned modes[] = {0600, 0400, 0640, 0000};
    for (size_t i = 0; i < COIR_COUNT(modes); i++) {
        (void)unlink("file");
        put("file", "old");
        COIR_REQUIRE(chmod("file", modes[i]) == 0);
        atomic_store(&modes_beside, 0);
        coir__sys_fault = look_beside;
        COIR_EXPECT_OK(coir_file_write_all("file", "secret", 6, &atomic));
        coir__sys_fault = NULL;
        COIR_EXPECT_EQ(atomic_load(&modes_beside), 0600 | modes[i]);
        coir_fs_status status;
        COIR_REQUIRE_OK(coir_fs_stat("file", 0, &status));
        COIR_EXPECT_EQ(status.mode & 07777, modes[i]);
    }
}

static unsigned mode_of(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 ? status.st_mode : 0;
}

static struct {
    _Atomic int calls; /* by the task, and by a thread for it */
    int when;
    const char *name; /* that becomes a link to "two" */
} swap;

static int swap_a_link(enum coir__sys_call call, size_t *length)
{
    (void)call;
    (void)length;
    if (swap.calls++ == swap.when && symlink("two", "other") == 0)
        (void)rename("other", swap.name);
    return 0;
}

/* Somebody changes a link, or puts one where the file is, before each call that is made: one file
 * is replaced as a whole, the other stays, nothing is left beside them. */
COIR_TEST_TAGGED(atomic_while_links_change, "no_torture")
{
    COIR_REQUIRE(coir_test_tmpdir() != NULL && chdir(coir_test_tmpdir()) == 0);
    coir_write_all_opts atomic = {.atomic = true};
    static const char *const names[] = {"link", "one"};
    for (size_t i = 0; i < COIR_COUNT(names); i++) {
        swap.name = names[i];
        for (swap.when = 0;; swap.when++) {
            (void)unlink("one");
            (void)unlink("link");
            put("one", "old");
            put("two", "old");
            COIR_REQUIRE(symlink("one", "link") == 0);
            swap.calls = 0;
            coir__sys_fault = swap_a_link;
            COIR_EXPECT_OK(coir_file_write_all("link", "new", 3, &atomic));
            coir__sys_fault = NULL;
            bool two_is_new = strcmp(get("two"), "new") == 0;
            bool one_is_link = S_ISLNK(mode_of("one"));
            COIR_EXPECT(two_is_new || strcmp(get("two"), "old") == 0);
            COIR_EXPECT_STR(get("one"), two_is_new != one_is_link ? "old" : "new");
            COIR_EXPECT_EQ(count_names("."), 3);
            if (swap.calls <= swap.when)
                break;
        }
        COIR_EXPECT_GE(swap.when, 5);
    }
}

/* Links of all kinds stay, and the file that they lead to is replaced in its own directory. */
COIR_TEST(atomic_goes_where_links_lead)
{
    coir_write_all_opts atomic = {.atomic = true};
    COIR_REQUIRE(mkdir(in("below"), 0755) == 0);
    put(in("below/file"), "old");
    COIR_REQUIRE(chmod(in("below/file"), 0640) == 0);
    COIR_REQUIRE(symlink("file", in("below/first")) == 0);
    COIR_REQUIRE(symlink("below/first", in("second")) == 0);
    COIR_REQUIRE(symlink(in("second"), in("third")) == 0);
    COIR_REQUIRE_OK(coir_file_write_all(in("third"), "new", 3, &atomic));
    COIR_EXPECT_STR(get(in("below/file")), "new");
    COIR_EXPECT_EQ(mode_of(in("below/file")), S_IFREG | 0640);
    COIR_EXPECT(S_ISLNK(mode_of(in("third"))) && S_ISLNK(mode_of(in("second"))));
    COIR_EXPECT(S_ISLNK(mode_of(in("below/first"))));
    COIR_EXPECT_EQ(count_names(in("below")), 2);
    COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), 3);
    COIR_REQUIRE(chdir(coir_test_tmpdir()) == 0);
    COIR_REQUIRE_OK(coir_file_write_all("second", "newer", 5, &atomic));
    COIR_EXPECT_STR(get("below/file"), "newer");
    COIR_EXPECT(S_ISLNK(mode_of("second")));
    atomic.exclusive = true;
    COIR_EXPECT_CODE(coir_file_write_all("second", "x", 1, &atomic), -EEXIST);
    COIR_EXPECT_STR(get("below/file"), "newer");
}

COIR_TEST(atomic_where_links_lead_to_no_file)
{
    coir_write_all_opts atomic = {.atomic = true};
    COIR_REQUIRE(mkdir(in("below"), 0755) == 0);
    COIR_REQUIRE(symlink("below/new", in("link")) == 0);
    COIR_REQUIRE(symlink("loop", in("loop")) == 0);
    COIR_REQUIRE(symlink("below", in("directory")) == 0);
    COIR_REQUIRE(symlink("missing/file", in("nowhere")) == 0);
    COIR_REQUIRE_OK(coir_file_write_all(in("link"), "new", 3, &atomic));
    COIR_EXPECT_STR(get(in("below/new")), "new");
    COIR_EXPECT(S_ISLNK(mode_of(in("link"))));
    COIR_EXPECT_CODE(coir_file_write_all(in("loop"), "x", 1, &atomic), -ELOOP);
    COIR_EXPECT_CODE(coir_file_write_all(in("directory"), "x", 1, &atomic), -EISDIR);
    COIR_EXPECT_CODE(coir_file_write_all(in("nowhere"), "x", 1, &atomic), -ENOENT);
    COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), 5);
}

/* ---- copying ---- */

COIR_TEST(copies_are_alike)
{
    put(in("from"), "some text");
    put(in("to"), "what is there is longer than that");
    COIR_REQUIRE(chmod(in("from"), 0755) == 0);
    (void)umask(022);
    COIR_REQUIRE_OK(coir_fs_copy(in("from"), in("to"), 0));
    COIR_EXPECT_STR(get(in("to")), "some text");
    COIR_REQUIRE_OK(coir_fs_copy(in("from"), in("new"), COIR_FS_NO_REPLACE));
    coir_fs_status status;
    COIR_REQUIRE_OK(coir_fs_stat(in("new"), 0, &status));
    COIR_EXPECT_EQ(status.mode & 0777, 0755);
    COIR_EXPECT_CODE(coir_fs_copy(in("from"), in("to"), COIR_FS_NO_REPLACE), -EEXIST);
    COIR_EXPECT_CODE(coir_fs_copy(in("missing"), in("to"), 0), -ENOENT);
    COIR_EXPECT_CODE(coir_fs_copy(coir_test_tmpdir(), in("to"), 0), -EISDIR);
    COIR_EXPECT_CODE(coir_fs_copy(in("from"), coir_test_tmpdir(), 0), -EISDIR);
    COIR_EXPECT_CODE(coir_fs_copy(in("from"), in("from"), 0), -EINVAL);
    COIR_EXPECT_STR(get(in("from")), "some text");
    COIR_REQUIRE_OK(coir_fs_copy("/proc/version", in("version"), 0));
    COIR_EXPECT_CONTAINS(get(in("version")), "Linux");
    COIR_EXPECT_CODE(coir_fs_copy(in("from"), "/dev/full", 0), -ENOSPC);
}

/* Where the kernel cannot, it is done by hand, from where it stopped. */
COIR_TEST_TAGGED(copies_by_hand, "no_torture")
{
    put(in("from"), "some text");
    static const int errors[] = {EXDEV, EOPNOTSUPP, 0};
    for (size_t i = 0; i < COIR_COUNT(errors); i++) {
        fail_calls(COIR__SYS_COPY_RANGE, errors[i], 0, 1);
        COIR_EXPECT_OK(coir_fs_copy(in("from"), in("to"), 0));
        fail_no_more();
        COIR_EXPECT_STR(get(in("to")), "some text");
    }
}

/* ---- temporary files ---- */

COIR_TEST(temporary_files_are_gone_when_they_are_closed)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_REQUIRE_OK(coir_file_temporary(coir_test_tmpdir(), &file));
    COIR_REQUIRE_OK(coir_file_write(file, "hidden", 6, 0));
    char data[8];
    size_t n = 0;
    COIR_REQUIRE_OK(coir_file_read(file, data, sizeof data, 0, &n));
    COIR_EXPECT_EQ(n, 6);
    COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), 0);
    COIR_AUTO(coir_file) *other = NULL;
    COIR_EXPECT_CODE(coir_file_temporary(in("missing"), &other), -ENOENT);
}

/* Where the file system has no files without names. */
COIR_TEST_TAGGED(temporary_files_without_help, "no_torture")
{
    COIR_AUTO(coir_file) *file = NULL;
    fail_calls(COIR__SYS_OPEN, EOPNOTSUPP, 0, 1);
    COIR_EXPECT_OK(coir_file_temporary(coir_test_tmpdir(), &file));
    fail_no_more();
    COIR_EXPECT_EQ(count_names(coir_test_tmpdir()), 0);
    COIR_REQUIRE(file != NULL);
    COIR_EXPECT_OK(coir_file_write(file, "hidden", 6, 0));
}

COIR_TEST(temporary_files_with_names)
{
    COIR_AUTO(coir_file) *a = NULL;
    COIR_AUTO(coir_file) *b = NULL;
    COIR_REQUIRE_OK(coir_file_temporary_named(coir_test_tmpdir(), "work-", &a));
    COIR_REQUIRE_OK(coir_file_temporary_named(coir_test_tmpdir(), "work-", &b));
    COIR_EXPECT(strcmp(coir_file_path(a), coir_file_path(b)) != 0);
    COIR_EXPECT_CONTAINS(coir_file_path(a), "/work-");
    coir_fs_status status;
    COIR_REQUIRE_OK(coir_fs_stat(coir_file_path(a), 0, &status));
    COIR_EXPECT_EQ(status.mode & 0777, 0600);
    COIR_EXPECT_CODE(coir_file_temporary_named(NULL, "a/b", &b), -EINVAL);
}

/* ---- several tasks ---- */

struct part {
    coir_file *file;
    uint64_t offset;
    char letter;
};

static int write_part(void *arg)
{
    const struct part *part = arg;
    char data[1000];
    memset(data, part->letter, sizeof data);
    COIR_TRY(coir_file_write(part->file, data, sizeof data, part->offset));
    size_t n = 0;
    COIR_TRY(coir_file_read(part->file, data, sizeof data, part->offset, &n));
    COIR_EXPECT_EQ(n, sizeof data);
    for (size_t i = 0; i < n; i++)
        COIR_EXPECT_EQ(data[i], part->letter);
    return 0;
}

COIR_TEST(tasks_use_a_file_at_the_same_time)
{
    COIR_AUTO(coir_file) *file = NULL;
    COIR_REQUIRE_OK(coir_file_open(in("file"), O_RDWR | O_CREAT, NULL, &file));
    struct part parts[10];
    for (size_t i = 0; i < COIR_COUNT(parts); i++)
        parts[i] = (struct part){file, i * 1000, (char)('a' + i)};
    COIR_REQUIRE_OK(coir_map(write_part, parts, COIR_COUNT(parts), sizeof parts[0], NULL));
    uint64_t size = 0;
    COIR_REQUIRE_OK(coir_file_size(file, &size));
    COIR_EXPECT_EQ(size, 10000);
}

static int write_much(void *arg)
{
    static const char zeroes[100000];
    return coir_file_write(arg, zeroes, sizeof zeroes, 0);
}

/* A call that is under way when the file is closed finishes, on its own file. Only in the
 * simulation every call takes its time. */
COIR_TEST(closing_a_file_that_is_written)
{
    coir_file *file = NULL;
    COIR_GROUP_COLLECT(group);
    COIR_REQUIRE_OK(coir_file_open(in("file"), O_WRONLY | O_CREAT, NULL, &file));
    coir_task *writer = NULL;
    bool spawned = COIR_EXPECT_OK(coir_spawn(&group, write_much, file, &writer));
    bool waits = coir_test_wait_all_blocked() == 0 && strcmp(coir_test_backend(), "sim") == 0;
    int result = 0;
    if (waits && !coir_test_tortured())
        coir_file_close(COIR_TAKE(file));
    if (spawned)
        (void)!coir_group_wait(&group);
    coir_file_close(file);
    if (spawned && !coir_test_tortured()) {
        COIR_EXPECT_OK(coir_join(writer, &result));
        COIR_EXPECT(result == 0 || result == -COIR_ECLOSED);
    }
}

static int open_it(void *arg)
{
    COIR_AUTO(coir_file) *file = NULL;
    return coir_file_open(arg, O_WRONLY | O_CREAT, NULL, &file);
}

/* Whenever the cancellation comes, no descriptor is left. */
COIR_TEST(opening_is_cancelled_while_it_is_under_way)
{
    for (int i = 0; i < 20; i++) {
        coir_task *task = NULL;
        COIR_GROUP(group);
        COIR_REQUIRE_OK(coir_spawn(&group, open_it, (void *)(uintptr_t)in("file"), &task));
        for (int turn = 0; turn < i; turn++)
            COIR_REQUIRE_OK(coir_yield());
        coir_cancel(task, NULL);
        int result = 1;
        COIR_REQUIRE_OK(coir_join(task, &result));
        COIR_EXPECT(result == 0 || result == -COIR_ECANCELEDTASK);
    }
}

struct opening {
    coir_file *directory;
    bool begun;
};

static int open_beneath(void *arg)
{
    struct opening *opening = arg;
    coir_file_opts opts = {.directory = opening->directory, .beneath = true};
    COIR_AUTO(coir_file) *file = NULL;
    opening->begun = true;
    return coir_file_open("file", O_WRONLY | O_CREAT, &opts, &file);
}

/* The number of a directory that is closed may be another one's at once: nothing is made there. */
COIR_TEST_TAGGED(closing_a_directory_that_is_opened_in, "no_torture")
{
    NEED_BENEATH();
    COIR_REQUIRE(mkdir(in("ours"), 0755) == 0 && mkdir(in("theirs"), 0755) == 0);
    for (int i = 0; i < 20; i++) {
        (void)unlink(in("ours/file"));
        struct opening opening = {0};
        COIR_GROUP(group);
        COIR_REQUIRE_OK(
            coir_file_open(in("ours"), O_RDONLY | O_DIRECTORY, NULL, &opening.directory));
        coir_task *task = NULL;
        bool spawned = COIR_EXPECT_OK(coir_spawn(&group, open_beneath, &opening, &task));
        while (spawned && !opening.begun)
            COIR_EXPECT_OK(coir_yield());
        coir_file_close(opening.directory);
        int theirs = open(in("theirs"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (spawned)
            COIR_EXPECT_OK(coir_join(task, NULL));
        (void)close(theirs);
        COIR_EXPECT(is_there(in("ours/file")));
        COIR_EXPECT(!is_there(in("theirs/file")));
    }
}

COIR_TEST(what_is_pending_is_reported_first)
{
    put(in("file"), "x");
    COIR_AUTO(coir_file) *file = NULL;
    COIR_REQUIRE_OK(coir_file_open(in("file"), O_RDWR, NULL, &file));
    COIR_SCOPE(scope, COIR_FOREVER);
    coir_scope_cancel(&scope, NULL);
    char data[1];
    size_t n;
    COIR_EXPECT_CODE(coir_file_read(file, data, 1, 0, &n), -ECANCELED);
    COIR_EXPECT_CODE(coir_file_write(file, "y", 1, 0), -ECANCELED);
    COIR_EXPECT_CODE(coir_file_sync(file), -ECANCELED);
    COIR_EXPECT_CODE(coir_file_truncate(file, 0), -ECANCELED);
    COIR_EXPECT_CODE(coir_fs_unlink(in("file"), 0), -ECANCELED);
    COIR_EXPECT_CODE(coir_file_write_all(in("new"), "x", 1, NULL), -ECANCELED);
    COIR_EXPECT_STR(get(in("file")), "x");
    COIR_EXPECT(!is_there(in("new")));
}

static int read_it_all(void *arg)
{
    COIR_AUTO(coir_buffer) data = {0};
    COIR_TRY(coir_file_read_all(in("large"), &data));
    *(bool *)arg = true;
    return 0;
}

/* What is in the cache is copied at once, but not all of it in one go. */
COIR_TEST_TAGGED(a_long_read_gives_way, "no_torture,fifo,limit=60")
{
    if (strcmp(coir_test_backend(), "sim") == 0)
        COIR_SKIP("in the simulation every call waits");
    put(in("large"), "");
    COIR_REQUIRE(truncate(in("large"), 8 << 20) == 0);
    bool done = false;
    int turns = 0;
    COIR_GROUP(group);
    COIR_REQUIRE_OK(coir_spawn(&group, read_it_all, &done, NULL));
    for (; !done && turns < 1000; turns++) /* a thread may be asked, which takes its time */
        COIR_REQUIRE_OK(coir_yield());
    COIR_EXPECT_GE(turns, 3);
    COIR_EXPECT_OK(coir_group_wait(&group));
    COIR_EXPECT(done);
}
