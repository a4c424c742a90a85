/* json.c: JSON from the other side of a connection.
 *
 * jansson reads what is nested by recursion, 2048 levels of it, which is more than the stack of a
 * task has room for: whoever may send JSON could end the program. So what is nested too deeply is
 * refused before it is read. Called by both sides.
 */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include <coir/error.h>

#include "message.h"

enum { DEPTH = 128 };

/* Whether brackets outside of strings are nested more deeply than DEPTH. */
static bool is_too_deep(coir_bytes body)
{
    const char *at = body.data, *end = at + body.length;
    size_t depth = 0;
    bool text = false;
    for (; at < end && depth <= DEPTH; at++)
        if (*at == '"')
            text = !text;
        else if (text && *at == '\\')
            at++;
        else if (!text && (*at == '[' || *at == '{'))
            depth++;
        else if (!text && (*at == ']' || *at == '}') && depth > 0)
            depth--;
    return depth > DEPTH;
}

int coir__http_load_json(coir_bytes body, json_t **ret_json)
{
    json_error_t error;
    if (is_too_deep(body))
        return coir_fail(-EBADMSG, "the JSON is nested deeper than %d levels", DEPTH);
    json_t *json = json_loadb(body.data, body.length, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        return coir_fail(-EBADMSG, "line %d, column %d of the JSON: %.100s", error.line,
                         error.column, error.text);
    *ret_json = json;
    return 0;
}
