/* text.h: text for people: how wide it is on a terminal, cut and padded cells, durations and times.
 *
 * Widths are counted in terminal columns of UTF-8 text. Where the terminal does not speak UTF-8,
 * everything is ASCII.
 */
#ifndef PULSE_TEXT_H
#define PULSE_TEXT_H

#include <coir/base.h>
#include <stdio.h>

enum align { LEFT, RIGHT };

/* Finds out from the environment whether UTF-8 can be shown. Call it once, before the others. */
void text_init(void);

/* Whether the terminal speaks UTF-8. */
bool text_is_utf8(void);

/* Columns that text takes. */
int text_width(const char *text);

/* Writes text in exactly width columns, cut with an ellipsis or padded. */
void text_cell(FILE *out, const char *text, int width, enum align align);

/* "0.21 ms", "12.3 ms", "1.24 s". */
const char *text_latency(coir_time duration, char *text, size_t size);

/* "4 s", "3 min", "2 h", "5 d". */
const char *text_age(coir_time duration, char *text, size_t size);

/* UTC as in results.jsonl: "2026-01-31T17:56:35.123Z". time in ms since 1970. */
enum { STAMP_SIZE = 32 };
const char *text_stamp(int64_t time, char *text, size_t size);

/* What is told of a certificate that is good for so many days: "certificate ends in 3 days". */
const char *text_warning(int days, char *text, size_t size);

#endif
