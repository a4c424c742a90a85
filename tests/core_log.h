/* core_log.h: for tests of callbacks and timers: who was called, in which order and when.
 */
#ifndef COIR_TESTS_CORE_LOG_H
#define COIR_TESTS_CORE_LOG_H

#include "core_loop.h"

/* What was called, in order. */
struct log {
    size_t count;
    int ids[64];
    coir_time times[64];
};

struct entry {
    struct log *log;
    int id;
    coir_timer timer;
};

static inline void note(void *arg)
{
    struct entry *entry = arg;
    struct log *log = entry->log;
    if (log->count < COIR_COUNT(log->ids)) {
        log->ids[log->count] = entry->id;
        log->times[log->count] = coir_now();
    }
    log->count++;
}

static inline void expect_order(const struct log *log, const int *ids, size_t count)
{
    COIR_REQUIRE_EQ(log->count, count);
    for (size_t i = 0; i < count; i++)
        COIR_EXPECT_EQ(log->ids[i], ids[i]);
}

#define EXPECT_ORDER(log, ...)                                                                     \
    expect_order((log), (const int[]){__VA_ARGS__},                                                \
                 sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static inline void make_entries(struct entry *entries, size_t count, struct log *log)
{
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct entry){.log = log, .id = (int)i};
}

#endif
