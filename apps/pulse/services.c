/* services.c: what the demo watches: a greeter on TCP, and a service on a Unix socket that goes
 * away and comes back every few seconds.
 *
 * run.sh starts it beside Pulse: pulse-services ADDRESS PATH. It prints "ready" when both listen,
 * then nothing more, since its terminal belongs to Pulse. It ends with its parent, however that
 * ends.
 */
#include <coir/coir.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static const coir_time time_there = COIR_SEC(4), time_away = COIR_SEC(3);

struct services {
    const char *address, *path;
};

/* Greets, then says everything back. */
static int greet(coir_stream *stream, void *arg)
{
    (void)arg;
    static const char greeting[] = "hello, I am the greeter\n";
    COIR_TRY(coir_stream_write(stream, greeting, sizeof greeting - 1));
    char data[1024];
    size_t n;
    int r;
    while ((r = coir_stream_read(stream, data, sizeof data, &n)) > 0)
        COIR_TRY(coir_stream_write(stream, data, n));
    return r;
}

static int greeter(void *listener)
{
    return coir_listener_serve(listener, greet, NULL);
}

/* Serves for a while. Returns 0 when the time is over. */
static int be_there(coir_listener *listener)
{
    COIR_SCOPE(there, time_there);
    int r = coir_listener_serve(listener, greet, NULL);
    return coir_scope_expired(&there) ? 0 : r;
}

/* Says that both services listen; nobody reads on. */
static int report_ready(void)
{
    if (puts("ready") == EOF || fclose(stdout) == EOF)
        return coir_fail(-EIO, "write to standard output");
    return 0;
}

static int flap(const char *path)
{
    for (bool first = true;; first = false) {
        COIR_AUTO(coir_listener) *listener = NULL;
        COIR_TRY(coir_unix_listen(path, NULL, &listener));
        if (first)
            COIR_TRY(report_ready());
        COIR_TRY(be_there(listener));
        coir_listener_close(COIR_TAKE(listener));
        COIR_TRY(coir_sleep(time_away));
    }
}

static int run(void *arg)
{
    const struct services *services = arg;
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen(services->address, NULL, &listener));
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, greeter, listener, NULL));
    return coir_group_finish(&group, flap(services->path));
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: pulse-services ADDRESS PATH\n", stderr);
        return 2;
    }
    pid_t parent = getppid();
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
        return 1;
    return coir_main(run, &(struct services){argv[1], argv[2]});
}
