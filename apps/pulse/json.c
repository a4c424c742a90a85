/* json.c: the status as JSON, see json.h and the table in README.md.
 *
 * Ages and not times are sent: a browser's clock may be wrong.
 */
#include "json.h"
#include "text.h"

static json_t *seconds(coir_time duration)
{
    return json_real((double)duration / 1e9);
}

static json_t *milliseconds(coir_time duration)
{
    return json_real((double)duration / 1e6);
}

/* The latencies of the last checks, the newest last; null for one that failed. */
static json_t *history_of(const struct row *row)
{
    json_t *list = json_array();
    unsigned first = row->count > HISTORY ? row->count - HISTORY : 0;
    for (unsigned i = first; list && i < row->count; i++) {
        coir_time latency = row->history[i % HISTORY];
        if (json_array_append_new(list, latency < 0 ? json_null() : milliseconds(latency)) < 0)
            return json_decref(list), NULL;
    }
    return list;
}

/* Members that are NULL are left out. */
static json_t *row_of(const struct row *row, size_t index, coir_time now)
{
    bool up = row->state == UP, certified = row->certificate_days >= 0, failed = row->failed > 0;
    char warning[48];
    return json_pack(
        "{sI ss ss ss so so* so* so* ss* ss* ss* so* so}", "index", (json_int_t)index, "name",
        row->target->name, "address", row->target->label, "state", state_name(row->state),
        "since_s", seconds(now - row->since), "latency_ms", up ? milliseconds(row->latency) : NULL,
        "status", row->http_status ? json_integer(row->http_status) : NULL, "certificate_days",
        certified ? json_integer(row->certificate_days) : NULL, "warning",
        row->warns ? text_warning(row->certificate_days, warning, sizeof warning) : NULL,
        "last_error", failed ? row->reason : NULL, "last_error_detail", failed ? row->error : NULL,
        "failed_s", failed ? seconds(now - row->failed) : NULL, "history", history_of(row));
}

json_t *status_json(const struct status *status, const struct lag *lag, uint64_t since)
{
    coir_time now = coir_now();
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < status->count; i++) {
        const struct row *row = &status->rows[i];
        if ((since == 0 || row->changed > since) &&
            json_array_append_new(rows, row_of(row, i, now)) < 0)
            return json_decref(rows), NULL;
    }
    return json_pack(
        "{sI si si si si s{so so so} so}", "results", (json_int_t)status->results, "up",
        (int)status_count(status, 0, UP), "down", (int)status_count(status, 0, DOWN), "unknown",
        (int)status_count(status, 0, UNKNOWN), "warnings", (int)status_warnings(status), "lag_ms",
        "p50", milliseconds(lag_quantile(lag, 0.5)), "p99", milliseconds(lag_quantile(lag, 0.99)),
        "max", milliseconds(lag->most), "targets", rows);
}
