/* report.c: the reports of the test's loops, kept for the test and judged at its end.
 *
 * An ordinary run fails by any report that it did not announce, and by announced ones that did not
 * come. A tortured run may strand tasks and leave failures unread; what it must not do is leave
 * things open, ignore cancellations, or misuse the library.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testing/kit.h"

#define REPORTS_KEPT 256
#define REPORT_KINDS (COIR_REPORT_WRONG_THREAD + 1)
#define NOT_EXPECTED SIZE_MAX

static coir_test_report reports[REPORTS_KEPT];
static size_t report_count; /* may exceed what is kept */
static size_t counts[REPORT_KINDS], expected[REPORT_KINDS];

static const char *const kind_names[REPORT_KINDS] = {
    [COIR_REPORT_DEADLOCK] = "DEADLOCK",           [COIR_REPORT_UNREAD] = "UNREAD",
    [COIR_REPORT_UNJOINED] = "UNJOINED",           [COIR_REPORT_LEFT] = "LEFT",
    [COIR_REPORT_SLOW_LEAVE] = "SLOW_LEAVE",       [COIR_REPORT_IGNORED] = "IGNORED",
    [COIR_REPORT_OVERFLOW] = "OVERFLOW",           [COIR_REPORT_MISUSE] = "MISUSE",
    [COIR_REPORT_OVERLOAD] = "OVERLOAD",           [COIR_REPORT_SLOW_STEP] = "SLOW_STEP",
    [COIR_REPORT_LOCK_ORDER] = "LOCK_ORDER",       [COIR_REPORT_THREAD_LOCK] = "THREAD_LOCK",
    [COIR_REPORT_DEAD_ARGUMENT] = "DEAD_ARGUMENT", [COIR_REPORT_WRONG_THREAD] = "WRONG_THREAD",
};

void coir__reports_begin(void)
{
    coir__reports_end();
    for (size_t kind = 0; kind < REPORT_KINDS; kind++)
        expected[kind] = NOT_EXPECTED;
}

void coir__reports_end(void)
{
    for (size_t i = 0; i < report_count && i < REPORTS_KEPT; i++)
        free((char *)(uintptr_t)reports[i].text);
    report_count = 0;
    memset(counts, 0, sizeof counts);
}

void coir__reports_hook(const coir_report *report, void *arg)
{
    (void)arg;
    if (report->kind == COIR_REPORT_OVERFLOW) {
        /* The process ends after this one: nobody could look at it later. */
        fprintf(stderr, "report %s: %s\n", kind_names[report->kind], report->text);
    }
    if (report_count < REPORTS_KEPT) {
        char *text = strdup(report->text);
        reports[report_count] = (coir_test_report){report->kind, text != NULL ? text : "?"};
    }
    report_count++;
    if (report->kind < REPORT_KINDS)
        counts[report->kind]++;
}

const coir_test_report *coir_test_reports(size_t *ret_count)
{
    *ret_count = report_count < REPORTS_KEPT ? report_count : REPORTS_KEPT;
    return reports;
}

size_t coir_test_report_count(coir_report_kind kind)
{
    return kind < REPORT_KINDS ? counts[kind] : 0;
}

void coir_test_expect_reports(coir_report_kind kind, size_t count)
{
    if (kind < REPORT_KINDS)
        expected[kind] = count;
}

/* Whether a run fails by a report of this kind which it did not announce. */
static bool is_fault(coir_report_kind kind)
{
    if ((coir__run.test->flags & COIR__TAG_EXPECT_REPORTS) != 0)
        return false;
    if (!coir_test_tortured())
        return true;
    if (kind == COIR_REPORT_DEADLOCK)
        return (coir__run.test->flags & COIR__TAG_LIVENESS) != 0;
    return kind == COIR_REPORT_LEFT || kind == COIR_REPORT_IGNORED || kind == COIR_REPORT_MISUSE;
}

static void complain(coir_report_kind kind)
{
    coir__run_problem("%zu unexpected report%s of kind %s", counts[kind],
                      counts[kind] == 1 ? "" : "s", kind_names[kind]);
    for (size_t i = 0; i < report_count && i < REPORTS_KEPT; i++) {
        if (reports[i].kind == kind)
            fprintf(stderr, "    %s\n", reports[i].text);
    }
}

void coir__reports_check(void)
{
    for (coir_report_kind kind = 0; kind < REPORT_KINDS; kind++) {
        if (expected[kind] == NOT_EXPECTED) {
            if (counts[kind] > 0 && is_fault(kind))
                complain(kind);
        } else if (counts[kind] != expected[kind] && !coir_test_tortured()) {
            coir__run_problem("%zu reports of kind %s were announced, %zu came", expected[kind],
                              kind_names[kind], counts[kind]);
        }
    }
}
