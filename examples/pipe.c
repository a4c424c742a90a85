/* pipe.c: a pipe between two tasks; the writer is slowed down to the reader's pace.
 *
 * coir_pipe_open gives both ends as streams. An end that comes from elsewhere, such as a duplicate
 * of standard input, becomes one by coir_stream_adopt.
 */
#include <coir/coir.h>
#include <stdio.h>

static int count_up(void *arg)
{
    COIR_AUTO(coir_stream) *writer = arg; /* closing it is the end for the reader */
    for (int i = 1; i <= 100000; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "%d ", i);
        COIR_TRY(coir_stream_write(writer, text, (size_t)n)); /* waits while the pipe is full */
    }
    return 0;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_stream) *reader = NULL;
    COIR_AUTO(coir_stream) *writer = NULL;
    COIR_TRY(coir_pipe_open(&reader, &writer));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, count_up, writer, NULL));
    (void)COIR_TAKE(writer); /* the task closes it */
    coir_bytes word;
    size_t words = 0, bytes = 0;
    int r;
    while ((r = coir_stream_read_until(reader, " ", 1, 0, &word)) > 0) {
        words++;
        bytes += word.length;
    }
    printf("%zu words, %zu bytes\n", words, bytes);
    return coir_group_finish(&group, r);
}

int main(void)
{
    return coir_main(app, NULL);
}
