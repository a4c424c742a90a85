/* config.h: the targets file: what is watched, how often, how patiently.
 *
 * config_load reads a file whole and checks all of it before anything is started. Every problem is
 * printed on one line with the file, the line, the key, the value and what was expected.
 */
#ifndef PULSE_CONFIG_H
#define PULSE_CONFIG_H

#include "value.h"

#include <stdio.h>

struct target {
    char name[NAME_MOST + 1];
    char label[ADDRESS_MOST + 1]; /* the address as it stands in the file */
    struct address address;
    coir_time interval; /* from the beginning of one check to that of the next */
    coir_time timeout;  /* of one whole check, all of its attempts and pauses */
    int retries;        /* attempts after the first one */
    int line;           /* where the name stands, for the message about its double */
};

struct config {
    struct target *targets;
    size_t count;
};

/* Reads the targets file at path; problems go to report, one line each.
 * Returns how many there were; 0 means that config is usable and has to be freed. */
int config_load(const char *path, FILE *report, struct config *ret_config);

void config_free(struct config *config);

#endif
