/* soak.c: churn in real time, for tests/shell/soak.sh: connections that are echoed, reset,
 * cancelled and timed out, tasks, timers, threads, pools and channels.
 *
 * soak SECONDS [SEED]: the time is cut into rounds. After each one everything that the round made
 * must be gone, and all counters, the open descriptors and the resident memory are read. The rounds
 * of the first minute (of a short run: the first third) may find caches to fill; what is higher
 * after a later one has leaked.
 */
#include <coir/coir.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 16
#define BIGGEST 32768
#define IDLE COIR_MS(20) /* then the server closes a silent connection */

static struct {
    char address[COIR_ADDRESS_TEXT];
    coir_time end; /* of the round */
    uint64_t state, acts;
} soak;

static unsigned below(unsigned n)
{
    soak.state = soak.state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(soak.state >> 33) % n;
}

/* ---- the server ---- */

static int read_some(coir_stream *stream, char *data, size_t size, size_t *ret_n)
{
    COIR_DEADLINE(IDLE);
    return coir_stream_read(stream, data, size, ret_n);
}

static int echo(coir_stream *stream, void *arg)
{
    char data[4096];
    size_t n;
    (void)arg;
    while (read_some(stream, data, sizeof data, &n) > 0)
        if (coir_stream_write(stream, data, n) < 0)
            break;
    return 0;
}

static int serve(void *arg)
{
    return coir_listener_serve(arg, echo, NULL);
}

/* ---- connections ---- */

static int exchange(coir_stream *stream)
{
    static const char sent[BIGGEST];
    char got[1024];
    size_t left = 1 + below(below(4) == 0 ? BIGGEST : 512);
    COIR_TRY(coir_stream_write(stream, sent, left));
    while (left > 0) {
        size_t n = left < sizeof got ? left : sizeof got;
        COIR_TRY(coir_stream_read_exactly(stream, got, n));
        left -= n;
    }
    return 0;
}

static int talk(void *arg)
{
    COIR_AUTO(coir_stream) *stream = NULL;
    size_t n;
    (void)arg;
    COIR_TRY(coir_tcp_connect(soak.address, NULL, &stream));
    for (unsigned i = below(4); i > 0; i--)
        COIR_TRY(exchange(stream));
    switch (below(4)) {
    case 0: coir_stream_abort(COIR_TAKE(stream)); return 0;
    case 1:
        COIR_TRY(coir_stream_shutdown(stream));
        return coir_stream_read(stream, &(char){0}, 1, &n);
    case 2: return coir_stream_read(stream, &(char){0}, 1, &n); /* until the server has enough */
    default: return 0;
    }
}

static int talk_in_time(void)
{
    COIR_DEADLINE(below(2) ? COIR_SEC(5) : COIR_US(below(2000)));
    return talk(NULL);
}

static int talk_and_cancel(void)
{
    coir_task *task;
    COIR_GROUP_COLLECT(group);
    COIR_TRY(coir_spawn(&group, talk, NULL, &task));
    COIR_TRY(coir_sleep(COIR_US(below(1000))));
    coir_cancel(task, "enough");
    int ignored;
    COIR_TRY(coir_join(task, &ignored));
    return coir_group_finish(&group, 0);
}

/* ---- tasks and timers ---- */

static int nap(void *arg)
{
    (void)arg;
    COIR_DEADLINE(COIR_US(below(3000)));
    int r = coir_sleep(COIR_US(below(3000)));
    return r == -ETIME ? 0 : r;
}

static int many_tasks(void)
{
    COIR_GROUP_COLLECT(group);
    for (unsigned i = below(100); i > 0; i--)
        COIR_TRY(coir_spawn(&group, nap, NULL, NULL));
    if (below(2)) {
        COIR_TRY(coir_sleep(COIR_US(below(1000))));
        coir_group_cancel(&group, "enough");
    }
    return coir_group_finish(&group, 0);
}

/* ---- threads ---- */

static int compute(void *arg)
{
    struct timespec time = {.tv_nsec = 200000};
    (void)arg;
    return nanosleep(&time, NULL);
}

static int pool(void)
{
    coir_threads_opts opts = {.limit = 1 + below(3), .name = "soak"};
    coir_threads *threads;
    COIR_TRY(coir_threads_open(&opts, &threads));
    int r = 0;
    for (unsigned i = below(4); i > 0 && r == 0; i--)
        r = coir_threads_run(threads, compute, NULL);
    coir_threads_close(threads);
    return r;
}

/* ---- channels ---- */

static int produce(void *arg)
{
    int r = 0;
    for (int i = 0; i < 200 && r == 0; i++)
        r = coir_send((coir_sender *)arg, &i);
    coir_sender_close(arg);
    return r == -EPIPE || r == -COIR_ECLOSED ? 0 : r;
}

static int channel(void)
{
    coir_sender *out;
    coir_receiver *in;
    int item, r = 0;
    COIR_TRY(coir_channel_open(int, below(16), &out, &in));
    COIR_GROUP_COLLECT(group);
    r = coir_spawn(&group, produce, out, NULL);
    if (r < 0)
        coir_sender_close(out);
    for (unsigned left = below(2) ? 1000 : below(100); r >= 0 && left > 0; left--) {
        coir_case cases[] = {COIR_ON_RECEIVE(in, &item), COIR_ON_TIMER(COIR_SEC(1))};
        r = coir_select(cases, COIR_COUNT(cases));
        if (r == 0 && cases[0].result <= 0)
            break; /* the end */
    }
    coir_receiver_close(in);
    return coir_group_finish(&group, r < 0 ? r : 0);
}

/* ---- rounds ---- */

static int act(void)
{
    soak.acts++;
    switch (below(10)) {
    case 0: return many_tasks();
    case 1: return channel();
    case 2: return below(10) ? coir_blocking(compute, NULL) : pool();
    case 3: return nap(NULL);
    case 4:
    case 5: return talk_and_cancel();
    default: return talk_in_time();
    }
}

/* What the other side or the clock may do to a call. */
static bool is_usual(int result)
{
    static const int usual[] = {0, -ETIME, -ECONNRESET, -EPIPE, -COIR_EEOF, -EADDRNOTAVAIL};
    for (size_t i = 0; i < COIR_COUNT(usual); i++)
        if (result == usual[i])
            return true;
    return false;
}

static int work(void *arg)
{
    (void)arg;
    while (coir_now() < soak.end) {
        int r = act();
        if (!is_usual(r))
            return coir_fail(r, "an act ended with %s", coir_error_name(r));
        COIR_TRY(coir_sleep(COIR_US(below(2000))));
    }
    return 0;
}

struct sample {
    struct coir_loop_stats stats;
    uint64_t fds, resident; /* pages */
};

static void take(struct sample *sample)
{
    coir_loop_stats(NULL, &sample->stats);
    sample->fds = sample->resident = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL)
        sample->fds++;
    if (directory != NULL)
        (void)closedir(directory);
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%*u %" SCNu64, &sample->resident) != 1)
        sample->resident = 0;
    if (file != NULL)
        (void)fclose(file);
}

/* What is judged: the name, where it is, and how much more than the most of the beginning is none:
 * so many, and one in so many. */
static const struct {
    const char *name;
    size_t offset;
    uint64_t more, part;
} judged[] = {
#define STATS(name) #name, offsetof(struct sample, stats.name)
    {STATS(tasks), 0, 0},
    {STATS(handles), 0, 0},
    {STATS(timers), 0, 0},
    {STATS(callbacks), 0, 0},
    {STATS(operations), 0, 0},
    {STATS(descriptors), 0, 0},
    {STATS(stacks), 0, 0},
    {STATS(errors), 0, 0},
    {STATS(reports), 0, 0},
    {STATS(memory), 16, 0},
    {STATS(stacks_cached), 256, 2},
    {"open descriptors", offsetof(struct sample, fds), 0, 0},
    {"resident pages", offsetof(struct sample, resident), 1024, 10},
};

static uint64_t value_of(const struct sample *sample, size_t i)
{
    return *(const uint64_t *)(const void *)((const char *)sample + judged[i].offset);
}

/* Whether a sample has more than most of something; with say it is told. */
static bool is_more(const struct sample *sample, const struct sample *most, bool say)
{
    bool more = false;
    for (size_t i = 0; i < COIR_COUNT(judged); i++) {
        uint64_t limit = value_of(most, i), value = value_of(sample, i);
        limit += judged[i].more + (judged[i].part != 0 ? limit / judged[i].part : 0);
        if (value > limit && say)
            printf("%s: %" PRIu64 ", at first %" PRIu64 " at most\n", judged[i].name, value,
                   value_of(most, i));
        more = more || value > limit;
    }
    return more;
}

static void raise_to(struct sample *most, const struct sample *sample)
{
    for (size_t i = 0; i < COIR_COUNT(judged); i++) {
        uint64_t *value = (uint64_t *)(void *)((char *)most + judged[i].offset);
        *value = value_of(sample, i) > *value ? value_of(sample, i) : *value;
    }
}

/* A round, and then the quiet after it: connections of a server end a little later. */
static int run_round(coir_time length, const struct sample *quiet, struct sample *ret_sample)
{
    soak.end = coir_now() + length;
    COIR_GROUP(group);
    for (int i = 0; i < WORKERS; i++)
        COIR_TRY(coir_spawn(&group, work, NULL, NULL));
    COIR_TRY(coir_group_wait(&group));
    for (int i = 0; i < 500; i++) {
        take(ret_sample);
        if (ret_sample->stats.tasks <= quiet->stats.tasks &&
            ret_sample->stats.operations <= quiet->stats.operations)
            break;
        COIR_TRY(coir_sleep(COIR_MS(10)));
    }
    return 0;
}

static int run_rounds(coir_time duration)
{
    coir_time length = duration < COIR_SEC(60) ? duration / 12 : COIR_SEC(5);
    coir_time warm = duration / 3 < COIR_SEC(60) ? duration / 3 : COIR_SEC(60);
    coir_time begun = coir_now();
    struct sample quiet, most, sample;
    COIR_TRY(coir_sleep(COIR_MS(10))); /* the server has begun to accept */
    take(&quiet);
    most = quiet;
    while (coir_now() - begun < duration) {
        COIR_TRY(run_round(length, &quiet, &sample));
        bool early = coir_now() - begun <= warm;
        if (early)
            raise_to(&most, &sample);
        printf("%4.0f s %8" PRIu64 " acts %7" PRIu64 " pages %4" PRIu64 " stacks %4" PRIu64
               " blocks %3" PRIu64 " descriptors%s\n",
               (double)(coir_now() - begun) / 1e9, soak.acts, sample.resident,
               sample.stats.stacks_cached, sample.stats.memory, sample.fds,
               early ? " (early)" : "");
        fflush(stdout);
        if (sample.stats.tasks > quiet.stats.tasks || (!early && is_more(&sample, &most, true)))
            return coir_fail(-EIO, "something was left behind");
    }
    return 0;
}

static int app(void *arg)
{
    COIR_AUTO(coir_listener) *listener = NULL;
    COIR_TRY(coir_tcp_listen("127.0.0.1:0", NULL, &listener));
    COIR_TRY(coir_listener_address(listener, soak.address, sizeof soak.address));
    printf("backend %s, seed %" PRIu64 "\n", coir_info()->backend, soak.state);
    COIR_GROUP(group);
    COIR_TRY(coir_spawn(&group, serve, listener, NULL));
    return run_rounds(*(coir_time *)arg);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
    coir_time duration = COIR_SEC(seconds > 0 ? seconds : 5);
    soak.state = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL);
    return coir_main(app, &duration);
}
