/* status.c: what is known of each target, see status.h. */
#include "status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int status_open(const struct config *config, struct status **ret_status)
{
    COIR_AUTO(status) *status = calloc(1, sizeof *status + config->count * sizeof status->rows[0]);
    if (!status)
        return -ENOMEM;
    COIR_TRY(coir_watch_open(uint64_t, &status->results, &status->changed));
    status->count = config->count;
    for (size_t i = 0; i < status->count; i++)
        status->rows[i] = (struct row){
            .target = &config->targets[i], .since = coir_now(), .certificate_days = -1};
    *ret_status = COIR_TAKE(status);
    return 0;
}

void status_close(struct status *status)
{
    if (status)
        coir_watch_close(status->changed);
    free(status);
}

static void take(struct row *row, const struct result *result)
{
    enum state state = result->code == 0 ? UP : DOWN;
    if (state != row->state)
        row->since = coir_now();
    row->state = state;
    row->history[row->count++ % HISTORY] = state == UP ? result->latency : -1;
    row->http_status = result->http_status;
    row->certificate_days = result->certificate_until ? result_certificate_days(result) : -1;
    row->warns = result_warns(result);
    if (state == UP) {
        row->latency = result->latency;
        return;
    }
    row->failed = coir_now();
    memcpy(row->reason, result->reason, sizeof row->reason);
    memcpy(row->error, result->error, sizeof row->error);
}

void status_take(struct status *status, const struct result *result)
{
    struct row *row = &status->rows[result->target - status->rows[0].target];
    take(row, result);
    row->changed = ++status->results;
    coir_watch_set(status->changed, &status->results);
}

size_t status_warnings(const struct status *status)
{
    size_t count = 0;
    for (size_t i = 0; i < status->count; i++)
        count += status->rows[i].warns;
    return count;
}

size_t status_count(const struct status *status, size_t first, enum state state)
{
    size_t count = 0;
    for (size_t i = first; i < status->count; i++)
        count += status->rows[i].state == state;
    return count;
}

const char *state_name(enum state state)
{
    static const char *const names[] = {"unknown", "up", "down"};
    return names[state];
}
