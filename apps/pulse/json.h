/* json.h: the status as JSON, for web.c.
 */
#ifndef PULSE_JSON_H
#define PULSE_JSON_H

#include "lag.h"
#include "status.h"

#include <jansson.h>

/* The status with those targets that have changed since that many results; 0: with all. NULL when
 * memory is short. */
json_t *status_json(const struct status *status, const struct lag *lag, uint64_t since);

#endif
