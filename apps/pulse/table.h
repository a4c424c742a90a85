/* table.h: the table of targets: what is known of each one, and a picture of it.
 *
 * The table only remembers and draws; when to draw and where to is view.c's business.
 */
#ifndef PULSE_TABLE_H
#define PULSE_TABLE_H

#include "pulse.h"

typedef struct table table;

/* A table with a row for each target, in their order, all unknown. */
int table_open(const struct config *config, struct table **ret_table);
void table_close(struct table *table);
COIR_CLOSER(table, table_close);

/* Takes in one result. */
void table_take(struct table *table, const struct result *result);

/* Around the table. */
struct caption {
    const char *path; /* of the file that results go to */
    uint64_t count;   /* of results in it by us */
    bool live;        /* a frame for the screen; else lines that stay in the scrollback */
    int columns, rows;
};

/* Draws the table. Returns its text, to be freed, or NULL when memory is short. */
char *table_draw(const struct table *table, const struct caption *caption, size_t *ret_length);

#endif
