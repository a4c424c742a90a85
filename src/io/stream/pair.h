/* pair.h: a pair of streams with one direction: the pipe of a loop that has no kernel.
 * Internal to io.
 */
#ifndef COIR_IO_STREAM_PAIR_H
#define COIR_IO_STREAM_PAIR_H

#include <coir/stream_pair.h>

/* As coir_stream_pair; with one_way only a writes and only b reads, as with a pipe. */
int coir__stream_pair(size_t capacity, bool one_way, coir_stream **ret_a, coir_stream **ret_b);

#endif
