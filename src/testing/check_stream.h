/* check_stream.h: what the files of coir_check_stream share: a pair under check, tasks that use it,
 * and the lists of checks.
 */
#ifndef COIR_TESTING_CHECK_STREAM_H
#define COIR_TESTING_CHECK_STREAM_H

#include <string.h>

#include <coir/testing_streams.h>

/* Two connected streams; what a check has closed it sets to NULL. Bytes go from a to b. */
struct coir__pair {
    const coir_stream_maker *maker;
    coir_stream *a, *b;
    size_t big;
};

/* One check. Those of traits that the kind has are left out. */
struct coir__check {
    const char *name;
    void (*run)(struct coir__pair *pair);
    unsigned traits;
    bool heavy; /* not in torture */
};

extern const struct coir__check coir__checks_data[], coir__checks_ends[]; /* end with a NULL name */

/* The byte at position of a long message. */
static inline unsigned char coir__pattern(size_t position)
{
    return (unsigned char)(position * 7 + position / 251);
}

/* A task that sends or reads a long message. */
struct coir__message {
    coir_stream *stream;
    size_t size, chunk;
    size_t done;
    bool broken; /* something else than the pattern was read */
};

int coir__send_message(void *arg);
int coir__receive_message(void *arg);
/* Writes size bytes of the pattern by one call. */
int coir__send_at_once(void *arg);

/* Tasks that read once: some bytes, a line, ten bytes. */
int coir__read_some(void *arg);
int coir__read_line(void *arg);
int coir__read_ten(void *arg);

/* Whether pair's kind has a trait. */
static inline bool coir__has(const struct coir__pair *pair, unsigned trait)
{
    return (pair->maker->traits & trait) != 0;
}

#endif
