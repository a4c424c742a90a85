/* fuzz_records.c: any bytes as the reply of a name server, and what becomes of it as records.
 * Libraries: -lcares Sources: src/dns/records.c
 *
 * The first byte chooses the kind of record. Names are taken as they come: coir_name_check, which
 * leaves out those that are none, has tests of its own. Besides what sanitizers see: there is a
 * bounded number of records, lowest priority first, and all texts can be read.
 */
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <stdlib.h>
#include <string.h>

#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

void *coir_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void coir_free(void *block)
{
    free(block);
}

int coir_name_check(const char *name, size_t length)
{
    return name != NULL && length > 0 ? 0 : -COIR_EADDRESS;
}

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check(const coir_dns_records *records, int type)
{
    require(records->count <= 256);
    for (size_t i = 0; i < records->count; i++) {
        const coir_dns_record *record = &records->records[i];
        size_t length = strlen(record->host);
        unsigned sum = 0; /* reads every byte */
        for (size_t j = 0; j < record->text.length; j++)
            sum += ((const unsigned char *)record->text.data)[j];
        require(sum <= 255 * record->text.length);
        if (type == COIR_DNS_TXT)
            require(length == 0);
        else if (i > 0)
            require(record->priority >= records->records[i - 1].priority);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
    static const int types[] = {COIR_DNS_MX, COIR_DNS_TXT, COIR_DNS_SRV};
    if (length == 0)
        return 0;
    int type = types[data[0] % 3];
    unsigned char *reply = malloc(length); /* its bounds are seen by ASan */
    coir_dns_records *records = NULL;
    if (reply == NULL)
        return 0;
    memcpy(reply, data + 1, length - 1);
    if (coir__dns_parse(type, reply, (int)length - 1, &records) == ARES_SUCCESS)
        check(records, type);
    coir_dns_records_close(records);
    free(reply);
    return 0;
}
