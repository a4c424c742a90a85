/* plan.c: the points at which a torture injects its faults: how many there are, which of them a
 * sample takes, and how they are written on the command line.
 *
 * The points of one kind are numbered. A sample takes the first, the last, and from equal parts of
 * what lies between one each; where in its part, COIR_TORTURE_SHIFT decides, so that in time all of
 * them are reached.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testing/kit.h"

const char *const coir__kind_names[COIR__KIND_COUNT] = {
    "none", "cancel", "timeout", "alloc", "alloc-forever", "syscall", "short",
};

#define ERRNOS_MOST 15

/* What each system call may answer; a list ends with 0. */
static const struct {
    const char *name;
    bool transfers;
    int errnos[ERRNOS_MOST + 1];
} calls[COIR__SYS_COUNT] = {
#define COIR__X(name, transfers, ...) {#name, transfers, {__VA_ARGS__}},
    COIR__SYS_CALLS(COIR__X)
#undef COIR__X
};

static uint64_t count_errnos(int call)
{
    uint64_t count = 0;
    while (calls[call].errnos[count] != 0)
        count++;
    return count;
}

/* The points of one kind that belong to one system call. */
static uint64_t points_of_call(const struct coir__counts *counts, enum coir__kit_kind kind,
                               int call)
{
    if (kind == COIR__KIND_SYSCALL)
        return counts->calls[call] * count_errnos(call);
    return counts->transfers[call];
}

uint64_t coir__plan_total(const struct coir__counts *counts, enum coir__kit_kind kind)
{
    uint64_t total = 0;
    switch (kind) {
    case COIR__KIND_CANCEL:
    case COIR__KIND_TIMEOUT: return counts->parks;
    case COIR__KIND_ALLOC:
    case COIR__KIND_ALLOC_FOREVER: return counts->allocations;
    case COIR__KIND_SYSCALL:
    case COIR__KIND_SHORT:
        for (int call = 0; call < COIR__SYS_COUNT; call++)
            total += points_of_call(counts, kind, call);
        return total;
    default: return 0;
    }
}

uint64_t coir__plan_sample(uint64_t total, uint64_t most, uint64_t i, uint64_t shift)
{
    if (total <= most)
        return i < total ? i : UINT64_MAX;
    if (i == 0)
        return 0;
    if (i >= most - 1)
        return i == most - 1 ? total - 1 : UINT64_MAX;
    uint64_t between = total - 2, parts = most - 2;
    uint64_t low = between * (i - 1) / parts, high = between * i / parts;
    return 1 + low + shift % (high - low);
}

struct coir__point coir__plan_point(const struct coir__counts *counts, enum coir__kit_kind kind,
                                    uint64_t index)
{
    struct coir__point point = {.kind = kind, .n = index + 1};
    if (kind != COIR__KIND_SYSCALL && kind != COIR__KIND_SHORT)
        return point;
    int call = 0;
    while (index >= points_of_call(counts, kind, call))
        index -= points_of_call(counts, kind, call++);
    point.call = (enum coir__sys_call)call;
    point.n = index + 1;
    if (kind == COIR__KIND_SYSCALL) {
        uint64_t errnos = count_errnos(call);
        point.n = index / errnos + 1;
        point.error = calls[call].errnos[index % errnos];
    }
    return point;
}

size_t coir__plan_format(const struct coir__point *point, char *text, size_t size)
{
    const char *kind = coir__kind_names[point->kind], *call = calls[point->call].name;
    int length;
    if (point->kind == COIR__KIND_SYSCALL)
        length = snprintf(text, size, "%s:%s:%" PRIu64 ":%s", kind, call, point->n,
                          coir_error_name(point->error));
    else if (point->kind == COIR__KIND_SHORT)
        length = snprintf(text, size, "%s:%s:%" PRIu64, kind, call, point->n);
    else
        length = snprintf(text, size, "%s:%" PRIu64, kind, point->n);
    return (size_t)length;
}

/* ---- reading it back ---- */

/* Takes the next word of a text that colons separate. Returns false at the end. */
static bool take_word(const char **text, char word[32])
{
    size_t length = strcspn(*text, ":");
    if (length == 0 || length >= 32)
        return false;
    memcpy(word, *text, length);
    word[length] = '\0';
    *text += length + ((*text)[length] == ':');
    return true;
}

static bool take_number(const char **text, uint64_t *ret_number)
{
    char word[32], *end;
    if (!take_word(text, word))
        return false;
    *ret_number = strtoull(word, &end, 10);
    return *end == '\0' && *ret_number > 0;
}

static bool take_kind(const char **text, enum coir__kit_kind *ret_kind)
{
    char word[32];
    if (!take_word(text, word))
        return false;
    for (int kind = 1; kind < COIR__KIND_COUNT; kind++) {
        if (strcmp(word, coir__kind_names[kind]) == 0) {
            *ret_kind = (enum coir__kit_kind)kind;
            return true;
        }
    }
    return false;
}

static bool take_call(const char **text, enum coir__sys_call *ret_call)
{
    char word[32];
    if (!take_word(text, word))
        return false;
    for (int call = 0; call < COIR__SYS_COUNT; call++) {
        if (strcmp(word, calls[call].name) == 0) {
            *ret_call = (enum coir__sys_call)call;
            return true;
        }
    }
    return false;
}

static bool take_errno(const char **text, enum coir__sys_call call, int *ret_error)
{
    char word[32];
    if (!take_word(text, word))
        return false;
    for (const int *error = calls[call].errnos; *error != 0; error++) {
        if (strcmp(word, coir_error_name(*error)) == 0) {
            *ret_error = *error;
            return true;
        }
    }
    return false;
}

int coir__plan_parse(const char *text, struct coir__point *ret_point)
{
    struct coir__point point = {.kind = COIR__KIND_NONE};
    bool good = take_kind(&text, &point.kind);
    bool by_call = point.kind == COIR__KIND_SYSCALL || point.kind == COIR__KIND_SHORT;
    good = good && (!by_call || take_call(&text, &point.call));
    good = good && take_number(&text, &point.n);
    if (point.kind == COIR__KIND_SYSCALL)
        good = good && take_errno(&text, point.call, &point.error);
    if (!good || *text != '\0')
        return -EINVAL;
    *ret_point = point;
    return 0;
}
