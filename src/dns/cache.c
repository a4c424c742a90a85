/* cache.c: answers that are kept for a while.
 *
 * A table of chains and a list in the order of use. There is a bound, and the answer that was not
 * asked for the longest makes room. The hash has a seed, though a chain is never longer than the
 * bound. Called by dns.c.
 */
#include "dns.h"

#include <string.h>
#include <sys/random.h>

struct coir__dns_entry {
    struct coir__dns_entry *chain;
    struct coir__dns_entry *newer, *older;
    coir_time expires;
    struct coir__dns_answer answer;
    char key[];
};

int coir__dns_cache_open(struct coir__dns_cache *cache, size_t most)
{
    *cache = (struct coir__dns_cache){.most = most};
    if (most == 0)
        return 0;
    size_t size = 16;
    while (size < most && size < SIZE_MAX / 32)
        size *= 2;
    cache->mask = size - 1;
    /* without randomness it still works */
    if (getrandom(&cache->seed, sizeof cache->seed, GRND_NONBLOCK) < 0)
        cache->seed = (uint64_t)(uintptr_t)cache;
    cache->buckets = coir_calloc(size, sizeof(struct coir__dns_entry *));
    return cache->buckets != NULL ? 0 : -ENOMEM;
}

static struct coir__dns_entry **bucket_of(const struct coir__dns_cache *cache, const char *key)
{
    uint64_t hash = cache->seed;
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 0x9e3779b97f4a7c15U;
    return &cache->buckets[(hash >> 32) & cache->mask];
}

static void unlink_entry(struct coir__dns_cache *cache, struct coir__dns_entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct coir__dns_cache *cache, struct coir__dns_entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void drop(struct coir__dns_cache *cache, struct coir__dns_entry *entry)
{
    struct coir__dns_entry **link = bucket_of(cache, entry->key);
    while (*link != entry)
        link = &(*link)->chain;
    *link = entry->chain;
    unlink_entry(cache, entry);
    cache->count--;
    coir_free(entry);
}

static struct coir__dns_entry *find(const struct coir__dns_cache *cache, const char *key)
{
    struct coir__dns_entry *entry = *bucket_of(cache, key);
    while (entry != NULL && strcmp(entry->key, key) != 0)
        entry = entry->chain;
    return entry;
}

const struct coir__dns_answer *coir__dns_cache_find(struct coir__dns_cache *cache, const char *key,
                                                    coir_time now)
{
    struct coir__dns_entry *entry = cache->buckets != NULL ? find(cache, key) : NULL;
    if (entry == NULL)
        return NULL;
    if (entry->expires <= now) {
        drop(cache, entry);
        return NULL;
    }
    unlink_entry(cache, entry);
    link_newest(cache, entry);
    entry->answer.ttl = entry->expires - now;
    return &entry->answer;
}

void coir__dns_cache_keep(struct coir__dns_cache *cache, const char *key,
                          const struct coir__dns_answer *answer, coir_time now)
{
    if (cache->buckets == NULL)
        return;
    struct coir__dns_entry *before = find(cache, key);
    if (before != NULL)
        drop(cache, before);
    size_t size = strlen(key) + 1;
    struct coir__dns_entry *entry = coir_alloc(sizeof *entry + size);
    if (entry == NULL)
        return;
    if (cache->count == cache->most)
        drop(cache, cache->oldest);
    entry->expires = now + answer->ttl;
    entry->answer = *answer;
    memcpy(entry->key, key, size);
    struct coir__dns_entry **bucket = bucket_of(cache, key);
    entry->chain = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->count++;
}

void coir__dns_cache_close(struct coir__dns_cache *cache)
{
    while (cache->oldest != NULL)
        drop(cache, cache->oldest);
    coir_free(cache->buckets);
    cache->buckets = NULL;
}
