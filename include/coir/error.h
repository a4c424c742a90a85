/* coir/error.h: codes, their names and texts, and the records that say why and where something
 * failed.
 *
 * A failing call returns a negative code: -errno, or -COIR_E… from the table below. The code alone
 * is enough to act on; the text and the return trace for people live in a record that belongs to
 * the task which failed, and move with the failure from the child to its group and to whoever joins
 * it. Records come from a fixed pool of the loop: nothing is allocated when things fail.
 */
#ifndef COIR_ERROR_H
#define COIR_ERROR_H

#include <errno.h>

#include <coir/base.h>

COIR__BEGIN

/* clang-format off */
/* All codes of the library: X(name, value, text) for each. */
#define COIR_ERRORS(X)                                                                      \
    X(COIR_EWRONGLOOP,     5000, "the object belongs to another loop")                      \
    X(COIR_ENOTASK,        5001, "not inside a task")                                       \
    X(COIR_ECANCELEDTASK,  5002, "the task was cancelled")                                  \
    X(COIR_EEOF,           5003, "end of stream")                                           \
    X(COIR_ECLOSED,        5004, "closed")                                                  \
    X(COIR_EBROKENBARRIER, 5005, "the barrier is broken")                                   \
    X(COIR_EBROKENSTREAM,  5006, "the stream was broken by an interrupted write")           \
    X(COIR_EOPEN,          5007, "the circuit is open")                                     \
    X(COIR_EADDRESS,       5008, "not an address")                                          \
    X(COIR_ENOTHELD,       5009, "not held by this task")                                   \
    X(COIR_ENOTSET,        5010, "not settled yet")                                         \
    X(COIR_ETOOLONG,       5011, "longer than the limit")                                   \
    X(COIR_ELAGGED,        5012, "values were missed")                                      \
    X(COIR_ETLS,           5020, "the TLS connection failed")                               \
    X(COIR_ECERTIFICATE,   5021, "the certificate is not accepted")                         \
    X(COIR_ETRUNCATED,     5022, "the connection was cut, perhaps by somebody else")        \
    X(COIR_ENONAME,        5030, "no such name")                                            \
    X(COIR_ELOOKUP,        5031, "the name could not be looked up")                         \
    X(COIR_EURL,           5040, "not a URL")                                               \
    X(COIR_EHTTP,          5041, "the peer does not keep to HTTP")                          \
    X(COIR_ESTATUS,        5042, "the server has answered with a status that is an error")  \
    X(COIR_EREDIRECTS,     5043, "too many redirects")                                      \
    X(COIR_EWEBSOCKET,     5044, "the peer does not keep to WebSocket")
/* clang-format on */

/* Codes of the library. Positive here, returned negative, above every errno. */
enum coir_code {
#define COIR__X(name, value, text) name = value,
    COIR_ERRORS(COIR__X)
#undef COIR__X
};

/* Why something failed: a code, a text, a return trace across tasks, and what failed while cleaning
 * up. */
typedef struct coir_error coir_error;

/* The symbol of a code of either sign: "ECONNREFUSED", "COIR_ECLOSED"; "E?" when unknown.
 * Returns a static string. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC const char *coir_error_name(int code);

/* What a code of either sign means, in lower case: "connection refused".
 * Returns a static string. Cancel safety: never waits. Thread safety: any thread. */
COIR__PUBLIC const char *coir_error_text(int code);

/* Starts a record for a failure of the current task and gives back code, so that it can be
 * returned: return coir_fail(-ENOENT, "no target named '%s'", name); format makes the text (cut at
 * 159 bytes). Outside a task, or with the pool of records empty, only the code is kept. Returns
 * code. Cancel safety: never waits. Thread safety: the loop's thread. */
#define coir_fail(code, ...)                                                                       \
    COIR__KEEP_FRAME(coir_fail_at((code), __builtin_frame_address(0), COIR_SITE(NULL), __VA_ARGS__))
COIR__PUBLIC int coir_fail_at(int code, const void *frame, const coir_site *site,
                              const char *format, ...) COIR__PRINTF(4, 5);

/* The record of the last failure that this task saw (its own, or one that coir_join, a group,
 * gather or map handed to it), or NULL. Borrowed: it lives until the next failure of this task.
 * Returns the record or NULL. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const coir_error *coir_last_error(void);

/* What a failure of this task says for people: the text of its last record when that has this code,
 * else what the code means: "connect 127.0.0.1:6379: connection refused". Returns a borrowed string
 * that lives until the next failure of this task. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC const char *coir_last_message(int code);

/* Forgets the record of the last failure: the task has dealt with it.
 * Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC void coir_clear_error(void);

/* The code of a record (negative). Returns it. Cancel safety: never waits. Thread safety: the
 * loop's thread. */
COIR__PUBLIC int coir_error_code(const coir_error *error);

/* The text of a record: what failed, with its values. Returns a string that lives as long as the
 * record. Cancel safety: never waits. Thread safety: the loop's thread. */
COIR__PUBLIC const char *coir_error_message(const coir_error *error);

/* What else failed with it: the next failure of the same group, or one met while closing. NULL at
 * the end. Returns a borrowed record or NULL. Cancel safety: never waits. Thread safety: the loop's
 * thread. */
COIR__PUBLIC const coir_error *coir_error_next(const coir_error *error);

/* Writes the record as text, one line for the cause and one per frame and task boundary, without a
 * newline at the end:
 *
 *     error: ECONNREFUSED: connect 127.0.0.1:6379: connection refused
 *       coir_tcp_connect    net/tcp.c:88
 *       task 'listener' spawned at chat.c:60, joined by 'main' at chat.c:74
 *
 * error may be NULL, then only code is described. The text is cut to size, and always terminated.
 * Returns the length that the whole text has, as snprintf does. Cancel safety: never waits. Thread
 * safety: the loop's thread. */
COIR__PUBLIC size_t coir_error_format(const coir_error *error, int code, char *text, size_t size);

COIR__END
#endif
