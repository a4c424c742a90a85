/* store.c: results.jsonl, one JSON object per line, appended.
 *
 * A result is in the file, written by one write(2), before anybody is shown it: what was seen on
 * the screen can be found again, also after Pulse was killed. The disk itself is never waited for,
 * so a machine that loses its power may lose the last seconds. Lines are whole: a file that ends in
 * a torn one, from a full disk, gets a line break first.
 */
#include "pulse.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const struct store *store, const char *what, int code)
{
    return coir_fail(code, "%s %s: %s", what, store->path, coir_error_text(code));
}

static int write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            length -= (size_t)n;
        }
    }
    return 0;
}

/* Whether the file ends inside a line. Not asked of what cannot be read back, such as a pipe. */
static bool ends_torn(int fd)
{
    char last = '\n';
    off_t size = lseek(fd, 0, SEEK_END);
    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

int store_open(struct store *store)
{
    store->fd = open(store->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (store->fd < 0)
        return fail(store, "open", -errno);
    struct stat status;
    if (fstat(store->fd, &status) < 0)
        return fail(store, "open", -errno);
    if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
        return coir_fail(-EINVAL, "open %s: expected a regular file", store->path);
    if (flock(store->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return coir_fail(-EBUSY, "open %s: another Pulse writes to it", store->path);
    int code = ends_torn(store->fd) ? write_all(store->fd, "\n", 1) : 0;
    return code < 0 ? fail(store, "append to", code) : 0;
}

void store_close(struct store *store)
{
    if (store->fd < 0)
        return;
    close(store->fd);
    store->fd = -1;
}

static json_t *to_json(const struct result *result)
{
    char stamp[STAMP_SIZE];
    const struct target *target = result->target;
    json_t *object =
        json_pack("{ss ss ss ss si}", "time", text_stamp(result->time, stamp, sizeof stamp),
                  "target", target->name, "address", target->label, "state",
                  result->code == 0 ? "up" : "down", "attempts", result->attempts);
    if (!object)
        return NULL;
    int bad = 0;
    if (result->http_status)
        bad |= json_object_set_new(object, "status", json_integer(result->http_status));
    if (result->certificate_until)
        bad |= json_object_set_new(object, "certificate_days",
                                   json_integer(result_certificate_days(result)));
    if (result->code == 0)
        bad |= json_object_set_new(object, "latency_ms", json_real((double)result->latency / 1e6));
    else
        bad |= json_object_set_new(object, "code", json_string(coir_error_name(result->code))) |
               json_object_set_new(object, "error", json_string(result->error));
    if (bad == 0)
        return object;
    json_decref(object);
    return NULL;
}

/* One line with its line break, to be freed. NULL when memory is short. */
static char *to_line(const struct result *result, size_t *ret_length)
{
    json_t *object = to_json(result);
    if (!object)
        return NULL;
    size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(6), size = json_dumpb(object, NULL, 0, flags);
    char *line = malloc(size + 1);
    if (line) {
        (void)json_dumpb(object, line, size, flags);
        line[size] = '\n';
        *ret_length = size + 1;
    }
    json_decref(object);
    return line;
}

/* Appends one result, whole or not at all. */
static int append(struct store *store, const struct result *result)
{
    size_t length;
    char *line = to_line(result, &length);
    if (!line)
        return fail(store, "append to", -ENOMEM);
    off_t before = lseek(store->fd, 0, SEEK_END);
    int code = write_all(store->fd, line, length);
    free(line);
    if (code < 0) {
        int ignored = ftruncate(store->fd, before); /* what cannot be cut is no file */
        (void)ignored;
        return fail(store, "append to", code);
    }
    store->count++;
    store->down += result->code != 0;
    return 0;
}

int store_run(void *arg)
{
    struct store *store = arg;
    struct result result;
    while (COIR_TRY(coir_receive(store->results, &result)) > 0) {
        COIR_TRY(append(store, &result));
        COIR_TRY(coir_send(store->stored, &result));
    }
    return 0;
}
