/* coir/buffer.h: bytes that are owned: what coir_bytes only borrows.
 *
 * A zeroed one is empty and holds no memory. What is in it is followed by a byte of value 0, which
 * is not counted, so that text in it can be given to functions which take strings.
 *
 *     COIR_AUTO(coir_buffer) text = {0};
 *     COIR_TRY(coir_file_read_all("words.txt", &text));
 *     printf("%zu bytes: %s\n", text.length, coir_buffer_text(&text));
 */
#ifndef COIR_BUFFER_H
#define COIR_BUFFER_H

#include <coir/base.h>

COIR__BEGIN

/* What limit 0 of a buffer means. */
#define COIR_BUFFER_LIMIT ((size_t)1 << 30)

/* Owned bytes. Zero-initialised, with a limit if one is wanted; the fields may be read. */
typedef struct coir_buffer {
    char *data; /* NULL while it holds no memory */
    size_t length;
    size_t capacity;
    size_t limit; /* it never grows beyond so many bytes; 0: COIR_BUFFER_LIMIT */
    size_t coir__reserved[2];
} coir_buffer;

/* Makes room for more bytes behind those that are there; they may move.
 * Returns 0. Errors: -COIR_ETOOLONG beyond its limit, -ENOMEM; then it is as it was. Cancel safety:
 * never waits. Thread safety: any thread, one at a time. */
COIR__CHECKED int coir_buffer_reserve(coir_buffer *buffer, size_t more);

/* Adds size bytes at data.
 * Returns 0. Errors: as coir_buffer_reserve. Cancel safety: never waits. Thread safety: any thread,
 * one at a time. */
COIR__CHECKED int coir_buffer_append(coir_buffer *buffer, const void *data, size_t size);

/* What is in it as a string, which ends at the first byte of value 0; "" when it is empty. Borrowed
 * until it changes.
 * Returns the string. Cancel safety: never waits. Thread safety: any thread, one at a time. */
COIR__PUBLIC const char *coir_buffer_text(const coir_buffer *buffer);

/* Gives its memory back; it is empty then, with the limit that it had. Cancel safety: never waits.
 * Thread safety: any thread, one at a time. */
COIR__PUBLIC void coir_buffer_close(coir_buffer *buffer);

COIR_CLOSER_VALUE(coir_buffer, coir_buffer_close);

COIR__END
#endif
