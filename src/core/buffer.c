/* buffer.c: bytes that are owned (coir_buffer).
 *
 * The block has one byte more than its capacity says, for the 0 behind what is in it. It grows to
 * what is asked for when it is empty, and by doubling afterwards. Called by programs, and by
 * whatever reads something whole.
 */
#include <string.h>

#include <coir/buffer.h>

#include "core/core.h"

_Static_assert(sizeof(coir_buffer) == 6 * sizeof(size_t), "programs embed it");

int coir_buffer_reserve(coir_buffer *buffer, size_t more)
{
    size_t limit = buffer->limit > 0 ? buffer->limit : COIR_BUFFER_LIMIT;
    if (more <= buffer->capacity - buffer->length && buffer->data != NULL)
        return 0;
    if (buffer->length > limit || more > limit - buffer->length)
        return -COIR_ETOOLONG;
    size_t capacity = buffer->length + more, doubled = 2 * buffer->capacity;
    if (capacity < doubled)
        capacity = doubled < limit ? doubled : limit;
    char *data = coir__realloc(buffer->data, capacity + 1);
    if (data == NULL)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    data[buffer->length] = '\0';
    return 0;
}

int coir_buffer_append(coir_buffer *buffer, const void *data, size_t size)
{
    int r = coir_buffer_reserve(buffer, size);
    if (r < 0 || size == 0)
        return r;
    memcpy(buffer->data + buffer->length, data, size);
    buffer->length += size;
    buffer->data[buffer->length] = '\0';
    return 0;
}

const char *coir_buffer_text(const coir_buffer *buffer)
{
    return buffer->data != NULL ? buffer->data : "";
}

void coir_buffer_close(coir_buffer *buffer)
{
    coir__free(buffer->data);
    *buffer = (coir_buffer){.limit = buffer->limit};
}
