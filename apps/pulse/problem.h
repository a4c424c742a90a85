/* problem.h: what is wrong with a targets file, one line each: FILE:LINE: key 'KEY': value 'VALUE':
 * expected ...
 *
 * All problems are counted; after the first twenty they are no longer printed.
 */
#ifndef PULSE_PROBLEM_H
#define PULSE_PROBLEM_H

#include <stddef.h>
#include <stdio.h>
#include <yaml.h>

struct problems {
    const char *path; /* of the file */
    FILE *report;
    int count;
};

/* One about a key, on a line counted from 1. Without value the key is missing. */
__attribute__((format(printf, 5, 6))) void problem(struct problems *problems, size_t line,
                                                   const char *key, const yaml_node_t *value,
                                                   const char *expected, ...);

/* The one that parser has met in text, which is not YAML. It has no key: the line as it stands
 * takes its place. */
void problem_syntax(struct problems *problems, const yaml_parser_t *parser, const char *text,
                    size_t length);

/* Says how many were not printed. Returns how many there were. */
int problems_end(const struct problems *problems);

#endif
