/* coir/base.h: the words that every other header is written in.
 *
 * Owns the time type, borrowed bytes, automatic closing (COIR_AUTO, COIR_CLOSER, COIR_TAKE), call
 * sites, and COIR_TRY. Nothing here touches a loop except the failure path of COIR_TRY, which adds
 * a line to the current task's return trace.
 */
#ifndef COIR_BASE_H
#define COIR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
/* A struct and the function that fills it may have one name, as stat has: no shadow to warn of. */
#define COIR__BEGIN                                                                                \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wshadow\"") extern "C"       \
    {
#define COIR__END                                                                                  \
    }                                                                                              \
    _Pragma("GCC diagnostic pop")
#define COIR__ZERO                                                                                 \
    {                                                                                              \
    }
#else
#define COIR__BEGIN
#define COIR__END
#define COIR__ZERO                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }
/* Jumping over the opening of a scope would run its closer on garbage: an error in C as it is in
 * C++. */
#ifdef __clang__
#pragma clang diagnostic error "-Wsometimes-uninitialized"
#else
#pragma GCC diagnostic error "-Wjump-misses-init"
#endif
#endif

#define COIR__PUBLIC __attribute__((visibility("default")))
#define COIR__CHECKED __attribute__((visibility("default"), warn_unused_result))
#define COIR__PRINTF(text, first) __attribute__((format(printf, text, first)))
#define COIR__JOIN2(a, b) a##b
#define COIR__JOIN(a, b) COIR__JOIN2(a, b)
#define COIR__UNIQUE(prefix) COIR__JOIN(prefix, __COUNTER__)

COIR__BEGIN

/* A point in time or a duration, in nanoseconds. Points are on the loop's monotonic clock (virtual
 * in tests). */
typedef int64_t coir_time;

/* Durations of so many nanoseconds, microseconds, milliseconds, seconds. The number may have a
 * fraction (but for COIR_NS): COIR_SEC(0.5) is half a second. */
#define COIR_NS(n) ((coir_time)(n))
#define COIR_US(us) ((coir_time)((double)(us)*1e3))
#define COIR_MS(ms) ((coir_time)((double)(ms)*1e6))
#define COIR_SEC(s) ((coir_time)((double)(s)*1e9))

/* As a duration or a point in time: never. */
#define COIR_FOREVER INT64_MAX

/* Number of elements of an array. */
#define COIR_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Borrowed bytes: whoever lent them says how long they live. Not terminated. */
typedef struct coir_bytes {
    const void *data;
    size_t length;
} coir_bytes;

/* Where in the user's source a call was made. The macros that spawn, open, join and try make one
 * each, in read-only data. */
typedef struct coir_site {
    const char *file;
    const char *function;
    const char *what; /* what was spawned or called, as written there; may be NULL */
    int line;
} coir_site;

/* A pointer to a static coir_site for this line. */
#define COIR_SITE(text)                                                                            \
    (__extension__({                                                                               \
        static const coir_site coir__site = {__FILE__, __func__, text, __LINE__};                  \
        &coir__site;                                                                               \
    }))

/* The function that every task runs. Returns 0 (or a positive result) or a negative code. */
typedef int (*coir_fn)(void *arg);

/* Calls that look at the frame of the function that they stand in: no tail call, or it is gone. */
#define COIR__KEEP_FRAME(call)                                                                     \
    (__extension__({                                                                               \
        int coir__kept = (call);                                                                   \
        __asm__ volatile("" : "+r"(coir__kept));                                                   \
        coir__kept;                                                                                \
    }))

/* Evaluates expr once. When it is negative, adds this line to the return trace and returns the code
 * from the enclosing function; otherwise its value is the value of expr. */
#define COIR_TRY(expr)                                                                             \
    (__extension__({                                                                               \
        int coir__r = (expr);                                                                      \
        if (__builtin_expect(coir__r < 0, 0))                                                      \
            return COIR__KEEP_FRAME(                                                               \
                coir__trace(coir__r, __builtin_frame_address(0), COIR_SITE(NULL)));                \
        coir__r;                                                                                   \
    }))

/* Adds a line to the return trace of the current task and returns code unchanged. Called by
 * COIR_TRY. */
COIR__PUBLIC int coir__trace(int code, const void *frame, const coir_site *site);

/* COIR_AUTO(type) *x closes what x points to when the block ends, on every path; for a plain struct
 * it is COIR_AUTO(type) x. COIR_CLOSER or COIR_CLOSER_VALUE has said how. type is one word, a
 * typedef. */
#define COIR_AUTO(type) __attribute__((cleanup(coir__auto_##type))) type

/* Says that fn closes what a pointer to type points to: it takes type *, and accepts NULL. At file
 * level, with a semicolon behind it. */
#define COIR_CLOSER(type, fn)                                                                      \
    static inline __attribute__((unused)) void coir__auto_##type(type **coir__x)                   \
    {                                                                                              \
        fn(*coir__x);                                                                              \
    }                                                                                              \
    struct coir__closer_##type

/* Says that fn closes plain structs of type: it takes the address, and accepts a zeroed one. */
#define COIR_CLOSER_VALUE(type, fn)                                                                \
    static inline __attribute__((unused)) void coir__auto_##type(type *coir__x)                    \
    {                                                                                              \
        fn(coir__x);                                                                               \
    }                                                                                              \
    struct coir__closer_##type

/* Takes a pointer out of its variable, leaving NULL, so that COIR_AUTO no longer closes it. */
#define COIR_TAKE(variable)                                                                        \
    (__extension__({                                                                               \
        __typeof__(variable) coir__taken = (variable);                                             \
        (variable) = NULL;                                                                         \
        coir__taken;                                                                               \
    }))

COIR__END
#endif
