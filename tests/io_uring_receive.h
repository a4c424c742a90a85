/* io_uring_receive.h: what the tests of files share that receive without being asked each time.
 */
#ifndef COIR_TESTS_IO_URING_RECEIVE_H
#define COIR_TESTS_IO_URING_RECEIVE_H

#include <coir/group.h>
#include <coir/pipe.h>
#include <coir/stream.h>

#include "io/stream/stream.h"
#include "io_uring.h"

static inline struct coir__uring_file *file_of(const coir_stream *stream)
{
    return coir__uring_file_of(coir__file_of((coir_stream *)(uintptr_t)stream));
}

static inline bool is_armed(const coir_stream *stream)
{
    const struct coir__uring_receive *receive = file_of(stream)->receive;
    return receive != NULL && receive->op.active;
}

static inline unsigned held_by(const coir_stream *stream)
{
    const struct coir__uring_receive *receive = file_of(stream)->receive;
    return receive != NULL ? receive->held : 0;
}

/* A byte from a to b. */
static inline int pass(coir_stream *a, coir_stream *b)
{
    COIR_TRY(coir_stream_write(a, "x", 1));
    int r = read_some(b);
    return r == 1 ? 0 : r < 0 ? r : -EBADMSG;
}

/* Lets b receive. */
static inline int arm(coir_stream *a, coir_stream *b)
{
    for (unsigned i = 0; i <= coir__uring_patience; i++)
        COIR_TRY(pass(a, b));
    return 0;
}

/* Lets come what is under way. */
static inline int settle(void)
{
    return coir_sleep(COIR_MS(1));
}

/* What arrives while nobody reads is held. */
static inline int send_unread(coir_stream *a, const char *text)
{
    COIR_TRY(coir_stream_write(a, text, strlen(text)));
    return settle();
}

#define ARMED_PAIR(transport, a, b)                                                                \
    PAIR(transport, a, b);                                                                         \
    COIR_REQUIRE_OK(arm(a, b));                                                                    \
    if (ring_of(coir_loop_current())->pool.refused)                                                \
        COIR_SKIP("this kernel cannot do it");                                                     \
    if (!coir_test_tortured())                                                                     \
    COIR_REQUIRE(is_armed(b))

static inline void expect_bytes(coir_stream *stream, const char *text)
{
    char data[64] = "";
    COIR_REQUIRE(strlen(text) < sizeof data);
    COIR_EXPECT_OK(coir_stream_read_exactly(stream, data, strlen(text)));
    COIR_EXPECT_STR(data, text);
}

#endif
