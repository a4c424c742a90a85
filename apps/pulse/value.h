/* value.h: the values that stand in a targets file: durations, numbers, names, addresses, statuses,
 * headers.
 *
 * The parsers take the text as it stands in the file; most give back NULL, or the words that say
 * what was expected there. Nothing here knows about YAML, lines, keys or ranges: that is keys.c.
 */
#ifndef PULSE_VALUE_H
#define PULSE_VALUE_H

#include <coir/base.h>

/* Most bytes of a name, of a host name, of the path of a Unix socket (the kernel's limit), of an
 * address as it stands in the file, and of the text that a body must have. */
enum { NAME_MOST = 64, HOST_MOST = 253, PATH_MOST = 107, ADDRESS_MOST = 1024, BODY_MOST = 256 };

/* Seconds from which on a duration counts as endless; every range lies below. */
enum { DURATION_MOST = 1000000000 };

enum scheme { TCP = 1, UNIX, HTTP, HTTPS };

struct address {
    enum scheme scheme;        /* 0: none */
    char place[HOST_MOST + 8]; /* what to connect to, as coir wants it: "127.0.0.1:80", or a path;
                                  "" for a URL */
};

struct status_range {
    int first, last;
};

/* "250ms", "2s", "1.5m", "1h". */
const char *parse_duration(const char *text, coir_time *ret_value);

/* A whole number, zero or more. False when text is something else. */
bool parse_integer(const char *text, long *ret_value);

/* 1 to NAME_MOST bytes of plain text. */
const char *check_name(const char *text, size_t length);

/* "tcp://host:port", "tcp://[::1]:port", "unix:path", "http://host/path" or "https://host/path". */
const char *parse_address(const char *text, size_t length, struct address *ret_address);

/* "200" or "200-299". */
const char *parse_statuses(const char *text, struct status_range *ret_range);

/* "GET", "PROPFIND": capital letters. */
const char *check_method(const char *text, size_t length);

/* A header that a program may send. */
const char *check_header_name(const char *text, size_t length);
const char *check_header_value(const char *text, size_t length);

/* Whether text can be shown: valid UTF-8 without characters that steer a terminal. */
bool is_plain_text(const char *text, size_t length);

#endif
