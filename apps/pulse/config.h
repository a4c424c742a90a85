/* config.h: the targets file: what is watched, how often, how patiently, and what is expected.
 *
 * config_load reads a file whole and checks all of it before anything is started. Every problem is
 * printed on one line with the file, the line, the key, the value and what was expected.
 */
#ifndef PULSE_CONFIG_H
#define PULSE_CONFIG_H

#include "value.h"

#include <coir/http.h>
#include <coir/tls.h>
#include <stdio.h>

/* What is asked of an HTTP server, and which answers are good. */
struct expectation {
    const char *method;
    const coir_http_header *headers; /* NULL: none */
    const struct status_range *statuses;
    size_t status_count;
    const char *body; /* what must stand in it; NULL: anything */
};

struct target {
    char name[NAME_MOST + 1];
    const char *label; /* the address as it stands in the file */
    struct address address;
    const struct expectation *expectation; /* NULL: it is no HTTP */
    size_t trust;                          /* whose certificates are good: place in contexts */
    int certificate_days;                  /* warn when a certificate is good for less; 0: never */
    coir_time interval;                    /* from the beginning of one check to that of the next */
    coir_time timeout;                     /* of one whole check, all of its attempts and pauses */
    int retries;                           /* attempts after the first one */
    int line; /* where the name stands, for the message about its double */
};

/* Whom to trust: the system's list is the first, then one for each file that targets name. */
enum { CONTEXTS_MOST = 32 };
struct context {
    const char *path; /* NULL: the system's list */
    coir_tls_context *tls;
};

struct config {
    struct target *targets;
    size_t count;
    struct context contexts[CONTEXTS_MOST];
    size_t context_count; /* 0: no target speaks TLS */
    struct text *texts;   /* what targets point to */
};

/* Reads the targets file at path; problems go to report, one line each.
 * Returns how many there were; 0 means that config is usable and has to be freed. */
int config_load(const char *path, FILE *report, struct config *ret_config);

void config_free(struct config *config);

#endif
