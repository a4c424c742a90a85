/* terminal_keys.c: each key at once, without the line being shown; q ends it.
 *
 * The terminal has its usual mode again afterwards, also after ^C, a failure or a crash. Stop the
 * program with ^Z: the shell has a terminal that works, and fg brings this mode back.
 */
#include <coir/coir.h>
#include <stdio.h>

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_terminal) *terminal = NULL;
    COIR_TRY(coir_terminal_open(NULL, &terminal));
    COIR_TRY(coir_terminal_set_mode(terminal, COIR_TERMINAL_KEYS));
    coir_stream *keys = coir_terminal_stream(terminal);

    struct coir_terminal_size size;
    COIR_TRY(coir_terminal_size(terminal, &size));
    unsigned char key = 0;
    size_t n;
    while (key != 'q' && COIR_TRY(coir_stream_read(keys, &key, 1, &n)) > 0) {
        char text[64];
        int length = snprintf(text, sizeof text, "key %d of a screen of %u rows\n", key, size.rows);
        COIR_TRY(coir_stream_write(keys, text, (size_t)length));
    }
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
