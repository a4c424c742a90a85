/* throttle.c: how a program fares on a slow line, and what was said on it.
 *
 * Filters take over the stream that they stand on: a throttle one end of a pair in memory, and a
 * capture the throttle. The clock is virtual, so the seconds take no time.
 */
#include <coir/coir.h>
#include <stdio.h>

static void print(const coir_captured *captured, void *arg)
{
    (void)arg;
    char text[64];
    (void)coir_captured_format(captured, text, sizeof text);
    printf("%s\n", text);
}

/* A modem of 300 baud, and somebody who listens in. */
static int slow_down(coir_stream **stream)
{
    coir_throttle_opts modem = {.write_rate = 30, .latency = COIR_MS(200)};
    COIR_TRY(coir_throttle_open(COIR_TAKE(*stream), &modem, stream));
    return coir_capture_open(COIR_TAKE(*stream), print, NULL, stream);
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_stream) *mine = NULL;
    COIR_AUTO(coir_stream) *theirs = NULL;
    COIR_TRY(coir_stream_pair(0, &mine, &theirs));
    COIR_TRY(slow_down(&mine));
    char answer[32];
    size_t n;
    COIR_TRY(coir_stream_write(mine, "ATDT 5551234, please\r\n", 22));
    COIR_TRY(coir_stream_write(theirs, "CONNECT 300\r\n", 13));
    COIR_TRY(coir_stream_read(mine, answer, sizeof answer, &n));
    return 0;
}

int main(void)
{
    return coir_main_with(app, NULL, &(coir_loop_opts){.virtual_clock = true});
}
