/* table.h: a picture of what is known of each target.
 *
 * The table only draws; when to draw and where to is view.c's business.
 */
#ifndef PULSE_TABLE_H
#define PULSE_TABLE_H

#include "status.h"

typedef struct table table;

/* A table of status, which outlives it. */
int table_open(const struct status *status, struct table **ret_table);
void table_close(struct table *table);
COIR_CLOSER(table, table_close);

/* Around the table. */
struct caption {
    const char *path; /* of the file that results go to */
    const char *url;  /* of the web page; "" when there is none */
    uint64_t count;   /* of results in it by us */
    bool live;        /* a frame for the screen; else lines that stay in the scrollback */
    int columns, rows;
};

/* Draws the table. Returns its text, to be freed, or NULL when memory is short. */
char *table_draw(struct table *table, const struct caption *caption, size_t *ret_length);

#endif
