/* file_lines.c: a file of text, written and read line by line as a stream.
 *
 * A stream over a file has a position that reading and writing move. The file closes itself on
 * every path, also when a line is not what was expected.
 */
#include <coir/coir.h>
#include <stdio.h>

static int write_lines(coir_file *file)
{
    COIR_AUTO(coir_stream) *out = NULL;
    COIR_TRY(coir_file_stream(file, 0, &out));
    for (int i = 1; i <= 3; i++) {
        char line[32];
        int length = snprintf(line, sizeof line, "%d squared is %d\n", i, i * i);
        COIR_TRY(coir_stream_write(out, line, (size_t)length));
    }
    return 0;
}

static int read_lines(coir_file *file)
{
    COIR_AUTO(coir_stream) *in = NULL;
    COIR_TRY(coir_file_stream(file, 0, &in));
    coir_bytes line;
    int r;
    while ((r = coir_stream_read_line(in, 0, &line)) > 0)
        printf("%.*s\n", (int)line.length, (const char *)line.data);
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_file) *file = NULL;
    COIR_TRY(coir_file_temporary(NULL, &file)); /* or coir_file_open(path, O_RDWR, NULL, &file) */
    COIR_TRY(write_lines(file));
    COIR_TRY(read_lines(file));

    char word[7];
    size_t n;
    COIR_TRY(coir_file_read(file, word, sizeof word, 2, &n)); /* at any position, at any time */
    printf("[%.*s]\n", (int)n, word);

    int r = coir_file_read_all("/nowhere/words.txt", &(coir_buffer){0});
    printf("%s: %s\n", coir_error_name(r), coir_last_message(r));
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
