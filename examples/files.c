/* files.c: files written at the same time, read at the same time, counted, removed.
 *
 * Whole files come into a buffer with a limit. Removing one that is not there is fine.
 */
#include <coir/coir.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct file {
    char path[64];
    const char *name;
    size_t lines, words, chars;
};

static int write_file(void *arg)
{
    const struct file *file = arg;
    COIR_AUTO(coir_buffer) text = {0};
    char line[64];
    int length = snprintf(line, sizeof line, "Content of file %s\n", file->name);
    for (int i = 0; i < 10; i++)
        COIR_TRY(coir_buffer_append(&text, line, (size_t)length));
    return coir_file_write_all(file->path, text.data, text.length, NULL);
}

static int process_file(void *arg)
{
    struct file *file = arg;
    COIR_AUTO(coir_buffer) text = {.limit = 1 << 20};
    COIR_TRY(coir_file_read_all(file->path, &text));
    file->lines = 1; /* what is behind the last line break is one too */
    for (size_t i = 0; i < text.length; i++) {
        file->lines += text.data[i] == '\n';
        file->words += !isspace(text.data[i]) && isspace(text.data[i + 1]);
    }
    file->chars = text.length;
    return 0;
}

static int app(void *arg)
{
    struct file files[] = {{.name = "test1.txt"}, {.name = "test2.txt"}, {.name = "test3.txt"}};
    for (size_t i = 0; i < COIR_COUNT(files); i++)
        snprintf(files[i].path, sizeof files[i].path, "%s/%s", (char *)arg, files[i].name);
    COIR_TRY(coir_map(write_file, files, COIR_COUNT(files), sizeof files[0], NULL));
    COIR_TRY(coir_map(process_file, files, COIR_COUNT(files), sizeof files[0], NULL));
    for (struct file *f = files; f < files + COIR_COUNT(files); f++) {
        printf("%s: %zu lines, %zu words, %zu chars\n", f->name, f->lines, f->words, f->chars);
        COIR_TRY(coir_fs_unlink(f->path, COIR_FS_MISSING_OK));
    }
    return coir_fs_rmdir(arg, 0);
}

int main(void)
{
    char directory[] = "/tmp/coir-files-XXXXXX";
    return mkdtemp(directory) == NULL ? 1 : coir_main(app, directory);
}
