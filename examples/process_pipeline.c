/* process_pipeline.c: seq 100000 | grep 7 | (this program), without a shell.
 *
 * Between two programs there is a pipe of the system: its ends are given to them, and closed here.
 * The output of the last one is a stream. Both are children of this block: leaving it early, by a
 * failure or a deadline, ends them.
 */
#include <coir/coir.h>
#include <stdio.h>
#include <unistd.h>

static int start_both(coir_process **ret_seq, coir_process **ret_grep)
{
    int fds[2];
    if (pipe(fds) < 0)
        return coir_fail(-errno, "no pipe");
    coir_process_opts seq = {.argv = COIR_ARGV("seq", "100000"), .out = fds[1]};
    coir_process_opts grep = {.argv = COIR_ARGV("grep", "7"), .in = fds[0], .out = COIR_PIPE};
    int r = coir_process_start(&seq, ret_seq);
    if (r == 0)
        r = coir_process_start(&grep, ret_grep);
    close(fds[0]);
    close(fds[1]);
    return r;
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_process) *seq = NULL;
    COIR_AUTO(coir_process) *grep = NULL;
    COIR_TRY(start_both(&seq, &grep));

    coir_bytes line;
    long lines = 0;
    while (COIR_TRY(coir_stream_read_line(coir_process_out(grep), 0, &line)) > 0)
        lines++;
    coir_process_status status[2];
    COIR_TRY(coir_process_wait(seq, &status[0]));
    COIR_TRY(coir_process_wait(grep, &status[1]));
    printf("%ld numbers have a 7 (codes %d and %d)\n", lines, status[0].code, status[1].code);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
