/* watch.c: watching files and directories for changes, by inotify.
 *
 * The kernel's queue is read as a stream, in whole events; the simulation, whose files are the
 * machine's, reads the machine's queue too. The event that was
 * given last stays in the stream's buffer, and is consumed by the next call. A task that waits does
 * not touch the record when the stream was closed under it. One that adds a path holds the record:
 * a thread has the descriptor, which stays open until it is done. Called by programs.
 */
#include <string.h>

#include <coir/fs.h>

#include "io/stream/outside.h"
#include "io/files/system.h"
#include "io/files/sys.h"

struct coir_fs_watch {
    coir_stream *stream;
    struct coir_loop *loop;
    int fd;
    uint32_t holds; /* calls that add */
    bool closed;    /* the last of them closes the stream */
    size_t given;   /* bytes of the last event, which are still in the stream */
};

int coir_fs_watch_open(coir_fs_watch **ret_watch)
{
    if (ret_watch == NULL)
        return -EINVAL;
    struct coir_loop *loop = coir__loop;
    if (loop == NULL)
        return -COIR_ENOTASK;
    struct coir_fs_watch *watch = coir__alloc(sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    *watch = (struct coir_fs_watch){.loop = loop};
    watch->fd = coir__sys_inotify();
    int r = watch->fd < 0 ? watch->fd : coir__outside_own(watch->fd, "watch", &watch->stream);
    if (r < 0) {
        if (watch->fd >= 0)
            coir__sys_close(watch->fd);
        coir__free(watch);
        return r;
    }
    *ret_watch = watch;
    return 0;
}

static int check(const struct coir_fs_watch *watch)
{
    if (watch->loop != coir__loop)
        return -COIR_EWRONGLOOP;
    return watch->closed ? -COIR_ECLOSED : 0;
}

static void release(struct coir_fs_watch *watch)
{
    coir_stream_abort(watch->stream);
    coir__free(watch);
}

int coir_fs_watch_add(coir_fs_watch *watch, const char *path, uint32_t what, int *ret_id)
{
    if (watch == NULL || path == NULL)
        return -EINVAL;
    int r = check(watch);
    if (r < 0)
        return r;
    struct coir__system call = {.kind = COIR__SYSTEM_WATCH, .path = path, .flags = what};
    call.fd = watch->fd;
    watch->holds++;
    long id = coir__system(&call);
    bool closed = watch->closed;
    if (--watch->holds == 0 && closed)
        release(watch);
    if (id >= 0 && closed)
        return -COIR_ECLOSED;
    if (id < 0)
        return coir__system_failed(id, "watch", path);
    if (ret_id != NULL)
        *ret_id = (int)id;
    return 0;
}

int coir_fs_watch_remove(coir_fs_watch *watch, int id)
{
    if (watch == NULL)
        return -EINVAL;
    int r = check(watch);
    return r < 0 ? r : coir__sys_inotify_remove(watch->fd, id);
}

/* Gives the first of some events. Returns 1, or -COIR_ELAGGED for the kernel's word that some were
 * lost. */
static int give_event(struct coir_fs_watch *watch, coir_bytes events, coir_fs_event *ret_event)
{
    const struct inotify_event *event = events.data;
    assert(events.length >= sizeof *event + event->len && "the kernel gives whole events");
    watch->given = sizeof *event + event->len;
    if (event->mask & IN_Q_OVERFLOW)
        return coir_fail(-COIR_ELAGGED, "the kernel had more changes than it keeps");
    *ret_event = (coir_fs_event){
        .id = event->wd,
        .what = event->mask,
        .cookie = event->cookie,
        .name = event->len > 0 ? event->name : "",
    };
    return 1;
}

int coir_fs_watch_next(coir_fs_watch *watch, coir_fs_event *ret_event)
{
    if (watch == NULL || ret_event == NULL)
        return -EINVAL;
    int r = check(watch);
    if (r < 0)
        return r;
    coir_stream_consume(watch->stream, watch->given);
    watch->given = 0;
    coir_bytes events;
    r = coir_stream_peek(watch->stream, 1, &events);
    if (r > 0 && watch->closed)
        return -COIR_ECLOSED;
    return r > 0 ? give_event(watch, events, ret_event) : r;
}

void coir_fs_watch_close(coir_fs_watch *watch)
{
    if (watch == NULL)
        return;
    assert(!watch->closed && "closed twice");
    watch->closed = true;
    if (watch->holds == 0)
        release(watch);
}
