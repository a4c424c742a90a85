/* run.c: talking to a process as a whole: all of its input, all that it writes, its end.
 *
 * Input, output and errors go on at the same time, each in a task, or none would: a program that
 * writes while nobody reads stands still, and so does who writes to it. Made of public calls.
 */
#include <coir/group.h>
#include <coir/process.h>

enum { PIECE = 4096 };

struct feed {
    coir_process *process;
    coir_bytes input;
};

/* A program may end, or close its input, before it has read everything. */
static int feed(void *arg)
{
    const struct feed *feed = arg;
    coir_stream *stream = coir_process_in(feed->process);
    int r = feed->input.length > 0 ? coir_stream_write(stream, feed->input.data, feed->input.length)
                                   : 0;
    if (r == -EPIPE || r == -ECONNRESET)
        r = 0;
    if (r == 0)
        coir_process_end_input(feed->process);
    return r;
}

struct drain {
    coir_stream *stream;
    coir_buffer *buffer;
    size_t limit;
};

/* Reads some more. Returns 0 at the end. */
static int drain_piece(const struct drain *drain)
{
    char extra; /* to tell a full buffer from one that is exceeded */
    size_t n, length = drain->buffer->length;
    size_t left = drain->limit > length ? drain->limit - length : 0;
    if (left == 0) {
        int r = coir_stream_read(drain->stream, &extra, 1, &n);
        return r > 0 ? -COIR_ETOOLONG : r;
    }
    size_t room = drain->buffer->capacity - drain->buffer->length;
    if (room == 0) {
        COIR_TRY(coir_buffer_reserve(drain->buffer, left < PIECE ? left : PIECE));
        room = drain->buffer->capacity - drain->buffer->length;
    }
    int r = coir_stream_read(drain->stream, drain->buffer->data + drain->buffer->length,
                             room < left ? room : left, &n);
    if (r > 0) {
        drain->buffer->length += n;
        drain->buffer->data[drain->buffer->length] = '\0';
    }
    return r;
}

static int drain(void *arg)
{
    const struct drain *drain = arg;
    int r;
    while ((r = drain_piece(drain)) > 0)
        ;
    return r;
}

static size_t limit_of(const coir_buffer *buffer, size_t limit)
{
    size_t own = buffer != NULL && buffer->limit > 0 ? buffer->limit : COIR_BUFFER_LIMIT;
    return limit > 0 && limit < own ? limit : own;
}

/* Bytes of an output that nobody wants are an error of the caller, found before anything begins. */
static bool is_missing(coir_stream *stream, const coir_buffer *buffer)
{
    return stream != NULL && buffer == NULL;
}

static int transfer(coir_process *process, coir_bytes input, struct drain *outs, struct drain *errs)
{
    struct feed feeding = {process, input};
    COIR_GROUP(group);
    int r = 0;
    if (coir_process_in(process) != NULL)
        r = coir_spawn(&group, feed, &feeding, NULL);
    if (r == 0 && errs->stream != NULL)
        r = coir_spawn(&group, drain, errs, NULL);
    if (r == 0 && outs->stream != NULL)
        r = drain(outs);
    if (r == 0)
        r = coir_group_wait(&group);
    return coir_group_finish(&group, r);
}

int coir_process_communicate(coir_process *process, coir_bytes input, size_t limit,
                             coir_buffer *out, coir_buffer *err, coir_process_status *ret_status)
{
    if (process == NULL || is_missing(coir_process_out(process), out) ||
        is_missing(coir_process_err(process), err))
        return -EINVAL;
    struct drain outs = {coir_process_out(process), out, limit_of(out, limit)};
    struct drain errs = {coir_process_err(process), err, limit_of(err, limit)};
    int r = transfer(process, input, &outs, &errs);
    return r < 0 ? r : coir_process_wait(process, ret_status);
}

void coir_process_result_close(coir_process_result *result)
{
    coir_buffer_close(&result->out);
    coir_buffer_close(&result->err);
}

static int run(const coir_process_opts *opts, coir_process_result *result)
{
    COIR_AUTO(coir_process) *process = NULL;
    COIR_TRY(coir_process_start(opts, &process));
    return coir_process_communicate(process, opts->input, opts->limit, &result->out, &result->err,
                                    &result->status);
}

int coir_process_run(const char *const *argv, const coir_process_opts *opts,
                     coir_process_result *ret_result)
{
    if (argv == NULL || ret_result == NULL)
        return -EINVAL;
    *ret_result = (coir_process_result){0};
    coir_process_opts chosen = opts != NULL ? *opts : (coir_process_opts){0};
    chosen.argv = argv;
    if (chosen.in == 0)
        chosen.in = chosen.input.length > 0 ? COIR_PIPE : COIR_DEV_NULL;
    if (chosen.out == 0)
        chosen.out = COIR_PIPE;
    if (chosen.err == 0)
        chosen.err = COIR_PIPE;
    return run(&chosen, ret_result);
}
