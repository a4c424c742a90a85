/* sim.c: the simulated backend: sockets without a kernel, in an order that a seed decides.
 *
 * Owns the simulated files, their buffers and the schedule of attempts. Every operation is started
 * first and completed later, from a callback in the loop's queue (so a loop with something due is
 * never idle), and with a seed a cancelled one may still complete with what had happened, so that
 * the code above meets everything that io_uring may do. Without a seed there is no latency, no
 * chunking, and everything happens in order. Results and errors are those of Linux. Time is the
 * loop's: this file never reads a clock. Called through the backend's table.
 */
#include <stdio.h>
#include <string.h>

#include "io/process/process.h"
#include "io/process/signal.h"
#include "io/sim/sim.h"
#include "io/files/system.h"

static uint64_t draw(struct coir_loop *loop)
{
    return coir__random(&loop->random);
}

static bool seeded(const struct coir_loop *loop)
{
    return loop->opts.seed != 0;
}

/* ---- the schedule ---- */

static void event_unlink(struct coir__sim_event *event)
{
    event->next->previous = event->previous;
    event->previous->next = event->next;
    event->stage = COIR__SIM_IDLE;
}

static struct coir_loop *loop_of(const struct coir__sim_event *event)
{
    const struct coir__op *op = event->op;
    return op->file != NULL ? op->file->stream.loop : op->task->loop;
}

static void make_due(void *arg)
{
    struct coir__sim_event *event = arg;
    struct coir__sim *sim = coir__sim_of(loop_of(event));
    event->next = &sim->due;
    event->previous = sim->due.previous;
    event->previous->next = event;
    sim->due.previous = event;
    event->stage = COIR__SIM_DUE;
    if (!sim->queued)
        coir__ready_push(sim->loop, &sim->ready);
    sim->queued = true;
}

/* Mostly short, sometimes none, rarely long. */
static coir_time latency(struct coir_loop *loop)
{
    if (!seeded(loop))
        return 0;
    uint64_t random = draw(loop);
    coir_time longest = (random & 7) < 3 ? 1 : (random & 63) == 63 ? COIR_MS(50) : COIR_MS(2);
    return (coir_time)(random >> 16) % longest;
}

static void schedule(struct coir__sim_event *event)
{
    if (event->op == NULL || !event->op->active || event->stage != COIR__SIM_IDLE)
        return;
    struct coir_loop *loop = loop_of(event);
    coir_time delay = latency(loop);
    if (delay == 0) {
        make_due(event);
        return;
    }
    event->stage = COIR__SIM_DELAYED;
    coir_timer_start(loop, &event->timer, loop->now + delay, make_due, event);
}

static void unschedule(struct coir__sim_event *event)
{
    if (event->stage == COIR__SIM_DUE)
        event_unlink(event);
    else if (event->stage == COIR__SIM_DELAYED)
        coir_timer_stop(loop_of(event), &event->timer);
    event->stage = COIR__SIM_IDLE;
}

void coir__sim_kick(struct coir__sim_file *file)
{
    schedule(&file->read);
    schedule(&file->write);
}

/* ---- data ---- */

/* How much of what could be moved is moved at once. */
static size_t portion(struct coir_loop *loop, size_t possible)
{
    if (!seeded(loop) || possible == 0)
        return possible;
    uint64_t random = draw(loop);
    if ((random & 7) == 0)
        return 1;
    return (random & 7) < 3 ? 1 + (size_t)(random >> 16) % possible : possible;
}

int coir__sim_take_error(struct coir__sim_file *file)
{
    int error = file->error;
    file->error = 0;
    return error;
}

static size_t ring_take(struct coir__sim_file *file, char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t run = COIR__SIM_BUFFER - file->first;
        run = run < size - done ? run : size - done;
        memcpy(data + done, file->buffer + file->first, run);
        file->first = (file->first + run) % COIR__SIM_BUFFER;
        file->count -= run;
        done += run;
    }
    return size;
}

static void ring_put(struct coir__sim_file *file, const char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t end = (file->first + file->count) % COIR__SIM_BUFFER;
        size_t run = COIR__SIM_BUFFER - end;
        run = run < size - done ? run : size - done;
        memcpy(file->buffer + end, data + done, run);
        file->count += run;
        done += run;
    }
}

/* Descriptors that come with one of the next n bytes, which then end with the message that brought
 * them, as in Linux. Returns how many bytes are taken. */
static size_t up_to_luggage(struct coir__sim_file *file, size_t n,
                            struct coir__sim_luggage **ret_luggage)
{
    struct coir__sim_luggage *luggage = file->luggage;
    if (luggage == NULL || luggage->at >= n)
        return n;
    size_t end = luggage->at + luggage->length;
    file->luggage = luggage->next;
    luggage->next = NULL;
    *ret_luggage = luggage;
    return n < end ? n : end;
}

static size_t take_bytes(struct coir__sim_file *file, char *data, size_t size,
                         struct coir__sim_luggage **ret_luggage)
{
    struct coir__sim_luggage *luggage = NULL;
    size_t n = portion(file->file.stream.loop, size < file->count ? size : file->count);
    n = up_to_luggage(file, n, &luggage);
    if (ret_luggage != NULL)
        *ret_luggage = luggage;
    else
        coir__sim_luggage_drop(luggage);
    for (luggage = file->luggage; luggage != NULL; luggage = luggage->next)
        luggage->at -= n;
    return ring_take(file, data, n);
}

/* The order is Linux's: data, the end of a TCP stream, an error once, the end. */
long coir__sim_read(struct coir__sim_file *file, struct coir__op *op,
                    struct coir__sim_luggage **ret_luggage)
{
    if (file->state != COIR__SIM_CONNECTED)
        return coir__sim_is_tcp(file) ? -ENOTCONN : -EINVAL;
    if (file->count > 0) {
        if (coir__op_lend(file->file.stream.loop, op) < 0)
            return -ENOMEM;
        size_t n = take_bytes(file, op->data, op->length, ret_luggage);
        if (file->peer != NULL)
            coir__sim_kick(file->peer);
        return (long)n;
    }
    if (coir__sim_is_tcp(file) && file->fin)
        return 0;
    if (file->error != 0)
        return coir__sim_take_error(file);
    return file->fin || file->dead || file->shut_read ? 0 : COIR__STARTED;
}

static size_t total_of(const struct coir__op *op)
{
    size_t total = 0;
    for (int i = 0; i < op->count; i++)
        total += op->vectors[i].iov_len;
    return total;
}

static void put_vectors(struct coir__sim_file *file, const struct coir__op *op, size_t size)
{
    for (int i = 0; size > 0; i++) {
        size_t n = op->vectors[i].iov_len < size ? op->vectors[i].iov_len : size;
        ring_put(file, op->vectors[i].iov_base, n);
        size -= n;
    }
}

/* The error of a file that cannot be written to, or 0. */
static int write_error(struct coir__sim_file *file)
{
    if (file->state != COIR__SIM_CONNECTED)
        return coir__sim_is_tcp(file) ? -EPIPE : -ENOTCONN;
    if (coir__sim_is_tcp(file) && file->error != 0)
        return coir__sim_take_error(file);
    if (file->shut_write || file->dead)
        return -EPIPE;
    if (!coir__sim_is_tcp(file) && (file->peer == NULL || file->peer->shut_read))
        return -EPIPE;
    return 0;
}

long coir__sim_write(struct coir__sim_file *file, struct coir__op *op)
{
    int error = write_error(file);
    if (error < 0)
        return error;
    size_t total = total_of(op);
    struct coir__sim_file *peer = file->peer;
    if (peer == NULL) { /* TCP: the data leave, and the answer is a reset */
        file->dead = true;
        file->error = file->fin ? -EPIPE : -ECONNRESET;
        coir__sim_kick(file);
        return (long)total;
    }
    if (peer->buffer == NULL && total > 0 && (peer->buffer = coir__alloc(COIR__SIM_BUFFER)) == NULL)
        return -ENOBUFS;
    size_t room = COIR__SIM_BUFFER - peer->count;
    if (room == 0 && total > 0)
        return COIR__STARTED;
    size_t n = portion(file->file.stream.loop, total < room ? total : room);
    put_vectors(peer, op, n);
    coir__sim_kick(peer);
    return (long)n;
}

void coir__sim_hang_up(struct coir__sim_file *file, bool abrupt)
{
    struct coir__sim_file *peer = file->peer;
    if (peer == NULL)
        return;
    file->peer = peer->peer = NULL;
    if (!coir__sim_is_tcp(file)) {
        if (file->count > 0)
            peer->error = -ECONNRESET;
        peer->fin = true;
    } else if (abrupt || file->count > 0) {
        peer->dead = true;
        peer->error = peer->fin ? -EPIPE : -ECONNRESET;
    } else {
        peer->fin = true;
    }
    coir__sim_kick(peer);
}

void coir__sim_reset(struct coir__sim_file *file)
{
    struct coir__sim_file *peer = file->peer;
    coir__sim_hang_up(file, true);
    if (peer != NULL)
        peer->error = -ECONNRESET;
}

/* Whether a read or accept would not wait. */
static long attempt_poll(const struct coir__sim_file *file)
{
    bool ready = file->count > 0 || file->fin || file->dead || file->shut_read ||
                 file->error != 0 || file->queued > 0 || file->inbox_first != NULL;
    return ready ? POLLIN : COIR__STARTED;
}

/* ---- operations ---- */

/* Calls on files and paths are made on those of the machine, when their turn has come. */
static struct coir__sim_event *event_new(struct coir__op *op)
{
    struct coir__sim_event *event = coir__calloc(1, sizeof *event);
    if (event == NULL)
        return NULL;
    event->op = op;
    op->system->backend = event;
    return event;
}

/* The operation of an event is over. */
static void event_end(struct coir__sim_event *event)
{
    struct coir__op *op = event->op;
    coir__op_ends(op);
    loop_of(event)->operations--;
    event->op = NULL;
    if (op->kind == COIR__OP_SYSTEM)
        coir__free(event);
}

static struct coir__sim_event *event_of(struct coir__op *op)
{
    if (op->kind == COIR__OP_SYSTEM)
        return op->system->backend;
    struct coir__sim_file *file = coir__sim_file_of(op->file);
    return op == &file->file.read ? &file->read : &file->write;
}

static long sim_start(struct coir_loop *loop, struct coir__op *op)
{
    if (op->outside)
        return coir__sim_outside_start(coir__sim_of(loop), op);
    if (op->file == NULL && op->kind != COIR__OP_SYSTEM)
        return -EOPNOTSUPP;
    assert(!op->active);
    struct coir__sim_event *event = op->file != NULL ? event_of(op) : event_new(op);
    if (event == NULL)
        return -ENOMEM;
    coir__op_begins(op);
    event->op = op;
    event->cancelled = false;
    loop->operations++;
    schedule(event);
    return COIR__STARTED;
}

static bool sim_cancel(struct coir_loop *loop, struct coir__op *op)
{
    if (op->outside) {
        coir__sim_outside_cancel(coir__sim_of(loop), op);
        return true;
    }
    struct coir__sim_event *event = event_of(op);
    assert(op->active);
    bool at_once =
        op->kind == COIR__OP_ACCEPT && op->file->stream.closing; /* the address is free */
    if (event->cancelled && !at_once)
        return false;
    unschedule(event);
    if (seeded(loop) && (draw(loop) & 1) && !at_once) {
        event->cancelled = true;
        make_due(event);
        return false;
    }
    event_end(event);
    return true;
}

/* With a seed a transfer may be short, as it may on a real one. */
static long attempt_system(struct coir_loop *loop, const struct coir__op *op)
{
    struct coir__system call = *op->system;
    if (call.kind == COIR__SYSTEM_READ || call.kind == COIR__SYSTEM_WRITE)
        call.length = portion(loop, call.length);
    return coir__system_now(&call);
}

static long attempt(struct coir__sim_file *file, struct coir__op *op)
{
    switch (op->kind) {
    case COIR__OP_READ: return file->datagrams ? -EOPNOTSUPP : coir__sim_read(file, op, NULL);
    case COIR__OP_WRITE: return file->datagrams ? -EOPNOTSUPP : coir__sim_write(file, op);
    case COIR__OP_RECEIVE: return coir__sim_receive(file, op);
    case COIR__OP_SEND: return coir__sim_send(file, op);
    case COIR__OP_ACCEPT: return coir__sim_accept(file, op);
    case COIR__OP_CONNECT: return coir__sim_connect(file, op);
    case COIR__OP_POLL: return attempt_poll(file);
    default: return -EINVAL;
    }
}

/* Makes the attempt that is due. Meanwhile the operation is not active, so that what the attempt
 * changes about its own file does not schedule another one. */
static void run_event(struct coir_loop *loop, struct coir__sim_event *event)
{
    struct coir__op *op = event->op;
    event_unlink(event);
    coir__op_ends(op);
    long result = -ECANCELED;
    if (!event->cancelled || (draw(loop) & 1)) /* a late success is as good as a late -ECANCELED */
        result =
            op->file == NULL ? attempt_system(loop, op) : attempt(coir__sim_file_of(op->file), op);
    if (result == COIR__STARTED && event->cancelled)
        result = -ECANCELED;
    bool message = op->kind == COIR__OP_RECEIVE || op->kind == COIR__OP_SEND;
    if (result == COIR__STARTED && message && op->at_once)
        result = -EAGAIN;
    if (result == COIR__STARTED) {
        coir__op_begins(op);
        return;
    }
    event_end(event);
    op->result = result;
    op->done(op);
}

/* Runs what is due now; whatever follows from it gets its turn later. */
static void run_due(struct coir__ready *ready)
{
    struct coir__sim *sim = coir__container(ready, struct coir__sim, ready);
    sim->queued = false;
    if (sim->due.next == &sim->due)
        return;
    struct coir__sim_event batch = sim->due;
    batch.next->previous = batch.previous->next = &batch;
    sim->due.next = sim->due.previous = &sim->due;
    while (batch.next != &batch)
        run_event(sim->loop, batch.next);
}

static int sim_poll(struct coir_loop *loop, coir_time timeout)
{
    struct coir__sim *sim = coir__sim_of(loop);
    if (sim->outside != NULL)
        return coir__sim_outside_poll(sim, timeout);
    if (timeout > 0)
        coir__sys_wait_eventfd(sim->wakefd, timeout);
    return 0;
}

/* ---- files ---- */

struct coir__sim_file *coir__sim_file_new(struct coir_loop *loop, sa_family_t family)
{
    struct coir__sim *sim = coir__sim_of(loop);
    struct coir__sim_file *file = coir__calloc(1, sizeof *file);
    if (file == NULL)
        return NULL;
    file->file.fd = sim->next_fd++;
    file->file.stream.loop = loop;
    file->file.read.file = &file->file;
    file->inbox_limit = COIR__SIM_INBOX;
    file->family = file->local.family = file->remote.family = family;
    file->next = &sim->files;
    file->previous = sim->files.previous;
    file->previous->next = file;
    sim->files.previous = file;
    return file;
}

void coir__sim_file_free(struct coir__sim_file *file)
{
    unschedule(&file->read);
    unschedule(&file->write);
    file->next->previous = file->previous;
    file->previous->next = file->next;
    coir__sim_datagrams_forget(file);
    coir__free(file->buffer);
    coir__free(file);
}

static int sim_socket(struct coir_loop *loop, int domain, int type, struct coir__file **ret_file)
{
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return -EAFNOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return -EPROTONOSUPPORT;
    if (!coir__sim_has_room(loop, 1))
        return -EMFILE;
    struct coir__sim_file *file = coir__sim_file_new(loop, (sa_family_t)domain);
    if (file == NULL)
        return -ENOMEM;
    file->datagrams = type == SOCK_DGRAM;
    loop->descriptors++;
    *ret_file = &file->file;
    return 0;
}

static int sim_adopt(struct coir_loop *loop, int fd, struct coir__file **ret_file)
{
    (void)loop, (void)fd, (void)ret_file;
    return -EOPNOTSUPP;
}

static int sim_shutdown(struct coir_loop *loop, struct coir__file *base, int how)
{
    (void)loop;
    struct coir__sim_file *file = coir__sim_file_of(base);
    if (file->state != COIR__SIM_CONNECTED || file->dead)
        return -ENOTCONN;
    if (how != SHUT_WR)
        file->shut_read = true;
    if (how != SHUT_RD) {
        file->shut_write = true;
        if (file->peer != NULL) {
            file->peer->fin = true;
            coir__sim_kick(file->peer);
        }
    }
    coir__sim_kick(file);
    return 0;
}

static int sim_unread(struct coir_loop *loop, struct coir__file *file)
{
    (void)loop;
    return (int)coir__sim_file_of(file)->count;
}

static void sim_file_close(struct coir_loop *loop, struct coir__file *base, bool abrupt)
{
    struct coir__sim_file *file = coir__sim_file_of(base);
    assert(!base->read.active && base->write == NULL);
    coir__sim_forget(file);
    coir__sim_hang_up(file, abrupt || file->resets);
    coir__sim_file_free(file);
    loop->descriptors--;
}

/* ---- the backend ---- */

static int sim_open(struct coir_loop *loop, char *why, size_t size)
{
    struct coir__sim *sim = coir__alloc_own(sizeof *sim);
    if (sim == NULL)
        return -ENOMEM;
    *sim = (struct coir__sim){.loop = loop, .next_fd = 1000000, .next_port = 40000};
    sim->ready.run = run_due;
    sim->due.next = sim->due.previous = &sim->due;
    sim->files.next = sim->files.previous = &sim->files;
    sim->wakefd = coir__sys_eventfd();
    if (sim->wakefd < 0) {
        int r = sim->wakefd;
        coir__free_own(sim);
        return r;
    }
    loop->backend_state = sim;
    (void)snprintf(why, size, "the simulation was asked for");
    return 0;
}

static void sim_close(struct coir_loop *loop)
{
    struct coir__sim *sim = coir__sim_of(loop);
    coir__process_loop_closes(loop);
    coir__signal_loop_closes(loop);
    while (sim->paths != NULL) {
        struct coir__sim_path *path = sim->paths;
        sim->paths = path->next;
        coir__free_own(path);
    }
    coir__sys_close(sim->wakefd);
    coir__free_own(sim);
    loop->backend_state = NULL;
}

static void sim_wake(struct coir_loop *loop)
{
    coir__sys_wake_eventfd(coir__sim_of(loop)->wakefd);
}

static int sim_descriptor(const struct coir_loop *loop)
{
    const struct coir__sim *sim = loop->backend_state;
    return sim->wakefd;
}

const struct coir__backend coir__backend_sim = {
    .name = "sim",
    .simulated = true,
    .open = sim_open,
    .close = sim_close,
    .poll = sim_poll,
    .wake = sim_wake,
    .descriptor = sim_descriptor,
    .start = sim_start,
    .cancel = sim_cancel,
    .file_socket = sim_socket,
    .file_adopt = sim_adopt,
    .file_pair = coir__sim_pair,
    .file_bind = coir__sim_bind,
    .file_listen = coir__sim_listen,
    .file_shutdown = sim_shutdown,
    .file_option = coir__sim_option,
    .file_name = coir__sim_name,
    .file_unread = sim_unread,
    .file_close = sim_file_close,
    .path_mode = coir__sim_path_mode,
    .path_remove = coir__sim_path_remove,
};
