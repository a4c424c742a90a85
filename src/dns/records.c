/* records.c: replies of a server as records.
 *
 * c-ares takes the replies apart; here they become one block of memory, in the order in which they
 * are to be used. Names that are none are left out. Called by driver.c.
 */
#include "dns.h"

#define CARES_NO_DEPRECATED /* the calls that Debian 12 has */
#include <ares.h>
#include <string.h>
#include <sys/random.h>

/* A reply may have thousands; nobody uses so many. */
enum { RECORDS_MOST = 256 };

/* Whom a record names; what is no name is refused. "." is nobody: "". */
static bool usable(const char *host)
{
    return host[0] == '\0' || coir_name_check(host, strlen(host)) == 0;
}

/* Room for count records with size bytes behind them. */
static coir_dns_records *make(size_t count, size_t size)
{
    return coir_calloc(1, sizeof(coir_dns_records) + count * sizeof(coir_dns_record) + size);
}

static char *bytes_of(coir_dns_records *records, size_t count)
{
    return (char *)&records->records[count];
}

static coir_dns_record *add(coir_dns_records *records, const char *host, char **bytes)
{
    coir_dns_record *record = &records->records[records->count++];
    size_t size = strlen(host) + 1;
    memcpy(*bytes, host, size);
    record->host = *bytes;
    *bytes += size;
    return record;
}

static int parse_mx(const unsigned char *reply, int length, coir_dns_records **ret_records)
{
    struct ares_mx_reply *found = NULL;
    int r = ares_parse_mx_reply(reply, length, &found);
    if (r != ARES_SUCCESS)
        return r;
    size_t count = 0, size = 0;
    for (struct ares_mx_reply *at = found; at != NULL; at = at->next, count++)
        size += strlen(at->host) + 1;
    coir_dns_records *records = make(count, size);
    char *bytes = records != NULL ? bytes_of(records, count) : NULL;
    for (struct ares_mx_reply *at = found; at != NULL && records != NULL; at = at->next)
        if (usable(at->host) && records->count < RECORDS_MOST)
            add(records, at->host, &bytes)->priority = at->priority;
    ares_free_data(found);
    *ret_records = records;
    return records != NULL ? ARES_SUCCESS : -1;
}

static int parse_srv(const unsigned char *reply, int length, coir_dns_records **ret_records)
{
    struct ares_srv_reply *found = NULL;
    int r = ares_parse_srv_reply(reply, length, &found);
    if (r != ARES_SUCCESS)
        return r;
    size_t count = 0, size = 0;
    for (struct ares_srv_reply *at = found; at != NULL; at = at->next, count++)
        size += strlen(at->host) + 1;
    coir_dns_records *records = make(count, size);
    char *bytes = records != NULL ? bytes_of(records, count) : NULL;
    for (struct ares_srv_reply *at = found; at != NULL && records != NULL; at = at->next) {
        if (!usable(at->host) || records->count == RECORDS_MOST)
            continue;
        coir_dns_record *record = add(records, at->host, &bytes);
        record->priority = at->priority;
        record->weight = at->weight;
        record->port = at->port;
    }
    ares_free_data(found);
    *ret_records = records;
    return records != NULL ? ARES_SUCCESS : -1;
}

/* A record may come in several strings, which belong together. */
static int parse_txt(const unsigned char *reply, int length, coir_dns_records **ret_records)
{
    struct ares_txt_ext *found = NULL;
    int r = ares_parse_txt_reply_ext(reply, length, &found);
    if (r != ARES_SUCCESS)
        return r;
    size_t count = 0, size = 0;
    for (struct ares_txt_ext *at = found; at != NULL; at = at->next, count++)
        size += at->length;
    coir_dns_records *records = make(count, size + 1);
    char *bytes = records != NULL ? bytes_of(records, count) : NULL;
    char *none = bytes != NULL ? bytes + size : NULL; /* "", zeroed */
    for (struct ares_txt_ext *at = found; at != NULL && records != NULL; at = at->next) {
        if (at->record_start && records->count == RECORDS_MOST)
            break;
        if (at->record_start || records->count == 0)
            records->records[records->count++] =
                (coir_dns_record){.host = none, .text = {bytes, 0}};
        memcpy(bytes, at->txt, at->length);
        bytes += at->length;
        records->records[records->count - 1].text.length += at->length;
    }
    ares_free_data(found);
    *ret_records = records;
    return records != NULL ? ARES_SUCCESS : -1;
}

/* ---- the order: RFC 2782 ---- */

static void swap(coir_dns_record *a, coir_dns_record *b)
{
    coir_dns_record kept = *a;
    *a = *b;
    *b = kept;
}

static void sort_by_priority(coir_dns_records *records)
{
    for (size_t i = 1; i < records->count; i++)
        for (size_t j = i; j > 0; j--) {
            coir_dns_record *before = &records->records[j - 1];
            if (before->priority <= before[1].priority)
                break;
            swap(before, before + 1);
        }
}

/* Puts one of count records of one priority first, each with a chance of its weight. Those without
 * any come last, more or less: their weight counts as a small part of one. */
static void draw_first(coir_dns_record *records, size_t count)
{
    uint64_t sum = 0, drawn = 0;
    for (size_t i = 0; i < count; i++)
        sum += records[i].weight * 64U + 1;
    if (getrandom(&drawn, sizeof drawn, GRND_NONBLOCK) < 0)
        drawn = 0;
    drawn %= sum;
    for (size_t i = 0; i < count; i++) {
        uint64_t weight = records[i].weight * 64U + 1;
        if (drawn < weight) {
            swap(&records[0], &records[i]);
            return;
        }
        drawn -= weight;
    }
}

static void order(coir_dns_records *records)
{
    sort_by_priority(records);
    for (size_t i = 0, end; i < records->count; i++) {
        for (end = i; end < records->count; end++)
            if (records->records[end].priority != records->records[i].priority)
                break;
        draw_first(&records->records[i], end - i);
    }
}

int coir__dns_parse(int type, const unsigned char *reply, int length,
                    coir_dns_records **ret_records)
{
    int r = type == COIR_DNS_MX    ? parse_mx(reply, length, ret_records)
            : type == COIR_DNS_SRV ? parse_srv(reply, length, ret_records)
                                   : parse_txt(reply, length, ret_records);
    if (r == ARES_SUCCESS && type != COIR_DNS_TXT)
        order(*ret_records);
    return r;
}

void coir_dns_records_close(coir_dns_records *records)
{
    coir_free(records);
}
