/* thread_pool.c: a pool of threads of one's own, for work that must not be too much at once.
 *
 * Four threads hash ten blocks; the tasks wait for their turn, first come, first served. Threads
 * start when there is work, and end when there was none for a while.
 */
#include <coir/coir.h>
#include <stdio.h>

struct block {
    coir_threads *pool;
    uint64_t seed, hash;
};

static int hash(void *arg)
{
    struct block *block = arg;
    block->hash = block->seed;
    for (int i = 0; i < 2000000; i++)
        block->hash = (block->hash ^ (block->hash >> 29)) * 0x9e3779b97f4a7c15u;
    return 0;
}

static int hash_in_pool(void *arg)
{
    struct block *block = arg;
    return coir_threads_run(block->pool, hash, block);
}

static int app(void *arg)
{
    (void)arg;
    COIR_AUTO(coir_threads) *pool = NULL;
    COIR_TRY(coir_threads_open(&(coir_threads_opts){.limit = 4, .name = "hash"}, &pool));
    struct block blocks[10];
    uint64_t all = 0;
    for (size_t i = 0; i < COIR_COUNT(blocks); i++)
        blocks[i] = (struct block){.pool = pool, .seed = i + 1};
    COIR_TRY(coir_map(hash_in_pool, blocks, COIR_COUNT(blocks), sizeof blocks[0], NULL));
    for (size_t i = 0; i < COIR_COUNT(blocks); i++)
        all ^= blocks[i].hash;

    struct coir_threads_stats stats;
    coir_threads_stats(pool, &stats);
    printf("%016llx from %llu jobs on %u threads\n", (unsigned long long)all,
           (unsigned long long)stats.done, stats.threads);
    return 0;
}

int main(void)
{
    return coir_main(app, NULL);
}
