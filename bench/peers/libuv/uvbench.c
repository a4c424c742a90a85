/* Peer: libuv. usage: uvbench NAME. Timers are embedded handles started and stopped on the loop's
 * cached clock, as its users do; startup prints the clock in the first callback. The echo server
 * has a buffer for each connection and tries to write at once, as node and uvloop do. libuv has no
 * tasks and no channels, so those names are absent. Owns one loop. */
#include "../../files.h"

#include <arpa/inet.h>
#include <uv.h>

enum { TIMERS = 1000000, CHURN = 10000000, JOBS = 200000 };

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void bench_million(const char *name, uv_loop_t *loop)
{
    uv_timer_t *timers = malloc(sizeof *timers * TIMERS);
    if (!timers)
        exit(1);
    memset(timers, 0, sizeof *timers * TIMERS);
    for (long i = 0; i < TIMERS; i++)
        uv_timer_init(loop, &timers[i]);

    int64_t start = measure_now_ns();
    for (long i = 0; i < TIMERS; i++)
        uv_timer_start(&timers[i], on_timer, (uint64_t)measure_timer_ms(i), 0);
    for (long i = 0; i < TIMERS; i++)
        uv_timer_stop(&timers[i]);
    measure_per_op(name, measure_now_ns() - start, TIMERS, "ns/op");
}

static void bench_churn(const char *name, uv_loop_t *loop)
{
    static uv_timer_t timer;
    uv_timer_init(loop, &timer);
    int64_t start = measure_now_ns();
    for (long i = 0; i < CHURN; i++) {
        uv_timer_start(&timer, on_timer, 10000, 0);
        uv_timer_stop(&timer);
    }
    measure_per_op(name, measure_now_ns() - start, CHURN, "ns/op");
}

/* job: n functions that do nothing, on threads, at once as many as there are requests. */

static long jobs_left;

static void do_nothing(uv_work_t *work)
{
    (void)work;
}

static void on_done(uv_work_t *work, int status)
{
    (void)status;
    if (--jobs_left >= 0)
        uv_queue_work(uv_default_loop(), work, do_nothing, on_done);
}

static void run_jobs(long jobs, long at_once)
{
    static uv_work_t works[16];
    jobs_left = jobs - at_once;
    for (long i = 0; i < at_once; i++)
        uv_queue_work(uv_default_loop(), &works[i], do_nothing, on_done);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static void bench_job(const char *name, long at_once)
{
    run_jobs(100, at_once);
    int64_t start = measure_now_ns();
    run_jobs(JOBS, at_once);
    measure_per_op(name, measure_now_ns() - start, JOBS, "ns/job");
}

/* files: one piece of work for each small file, 64 at once; the big one is read by requests of 1
 * MiB, one after the other. */

static long file_next;
static int files_failed;

static void read_file(uv_work_t *work)
{
    struct stat status;
    char path[300];
    files_small_path(path, sizeof path, (long)(intptr_t)work->data % FILES_SMALL);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &status) < 0)
        exit(1);
    char *data = malloc((size_t)status.st_size);
    if (read(fd, data, (size_t)status.st_size) != FILES_SIZE)
        exit(1);
    free(data);
    close(fd);
}

static void on_file(uv_work_t *work, int status)
{
    (void)status;
    if (file_next >= (long)FILES_SMALL * FILES_PASSES)
        return;
    work->data = (void *)(intptr_t)file_next++;
    uv_queue_work(uv_default_loop(), work, read_file, on_file);
}

static void read_small(void)
{
    static uv_work_t works[FILES_AT_ONCE];
    for (int i = 0; i < FILES_AT_ONCE; i++)
        on_file(&works[i], 0);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

static char piece[FILES_PIECE];
static uv_buf_t piece_of_file = {.base = piece, .len = sizeof piece};

static void on_piece(uv_fs_t *request)
{
    uv_file file = (uv_file)(intptr_t)request->data;
    files_failed |= request->result != FILES_PIECE;
    uv_fs_req_cleanup(request);
    if (++file_next < FILES_PIECES)
        uv_fs_read(uv_default_loop(), request, file, &piece_of_file, 1, file_next << 20, on_piece);
}

static void read_big(void)
{
    static uv_fs_t request;
    char path[300];
    files_big_path(path, sizeof path);
    int fd = open(path, O_RDONLY);
    request.data = (void *)(intptr_t)fd;
    uv_fs_read(uv_default_loop(), &request, fd, &piece_of_file, 1, 0, on_piece);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    close(fd);
}

static int bench_files(const char *name)
{
    int small = strcmp(name, "files/small_us") == 0;
    if (!files_prepare(small))
        return 1;
    double cpu = measure_cpu_s();
    int64_t start = measure_now_ns();
    if (small)
        read_small();
    else
        read_big();
    files_result(name, measure_now_ns() - start, measure_cpu_s() - cpu);
    return files_failed;
}

static void on_first_turn(uv_timer_t *timer)
{
    (void)timer;
    printf("%lld\n", (long long)measure_now_ns());
}

static void start_up(uv_loop_t *loop)
{
    static uv_timer_t timer;
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, on_first_turn, 0, 0);
    uv_run(loop, UV_RUN_DEFAULT);
}

struct connection {
    uv_tcp_t tcp;
    char buffer[16384];
};

struct rest {
    uv_write_t write;
    char data[];
};

static void lend_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_buffer)
{
    struct connection *connection = (struct connection *)handle;
    (void)wanted;
    *ret_buffer = uv_buf_init(connection->buffer, sizeof connection->buffer);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void write_later(uv_stream_t *stream, const char *data, size_t size)
{
    struct rest *rest = malloc(sizeof *rest + size);
    if (!rest)
        exit(1);
    memcpy(rest->data, data, size);
    uv_buf_t all = uv_buf_init(rest->data, (unsigned)size);
    uv_write(&rest->write, stream, &all, 1, on_written);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    uv_buf_t all = uv_buf_init(buffer->base, (unsigned)n);
    int written = n > 0 ? uv_try_write(stream, &all, 1) : 0;
    if (written < 0)
        written = 0;
    if (written < n)
        write_later(stream, buffer->base + written, (size_t)(n - written));
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct connection *connection = malloc(sizeof *connection);
    if (status < 0 || !connection)
        exit(1);
    uv_tcp_init(listener->loop, &connection->tcp);
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp)) {
        uv_close((uv_handle_t *)&connection->tcp, on_closed);
        return;
    }
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_read_start((uv_stream_t *)&connection->tcp, lend_buffer, on_read);
}

static void serve_echo(uv_loop_t *loop)
{
    static uv_tcp_t listener;
    struct sockaddr_in address;
    int length = sizeof address;
    uv_tcp_init(loop, &listener);
    uv_ip4_addr("127.0.0.1", 0, &address);
    if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) ||
        uv_listen((uv_stream_t *)&listener, 4096, on_connection) ||
        uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length))
        exit(1);
    printf("PORT %d\n", ntohs(address.sin_port));
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void on_exit_closed(uv_handle_t *process)
{
    (void)process;
}

static void on_process_exit(uv_process_t *process, int64_t status, int number)
{
    (void)status;
    (void)number;
    uv_close((uv_handle_t *)process, on_exit_closed);
}

static void bench_processes(const char *name, uv_loop_t *loop)
{
    const int n = 1000;
    char *arguments[] = {"/bin/true", NULL};
    uv_process_options_t options = {.exit_cb = on_process_exit, .file = arguments[0]};
    options.args = arguments;
    int64_t start = measure_now_ns();
    for (int i = 0; i < n; i++) {
        uv_process_t process;
        if (uv_spawn(loop, &process, &options))
            exit(1);
        uv_run(loop, UV_RUN_DEFAULT);
    }
    measure_result(name, n * 1e9 / (double)(measure_now_ns() - start), "/s");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "timers/1m";
    uv_loop_t *loop = uv_default_loop();
    if (!strcmp(name, "timers/1m"))
        bench_million(name, loop);
    else if (!strcmp(name, "timers/churn"))
        bench_churn(name, loop);
    else if (!strcmp(name, "echo"))
        serve_echo(loop);
    else if (!strcmp(name, "job/1"))
        bench_job(name, 1);
    else if (!strcmp(name, "job/16"))
        bench_job(name, 16);
    else if (!strncmp(name, "files/", 6))
        return bench_files(name);
    else if (!strcmp(name, "process_spawn/rate"))
        bench_processes(name, loop);
    else if (!strcmp(name, "startup/ms"))
        start_up(loop);
    else
        return 2;
    return 0;
}
