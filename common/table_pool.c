/* Memory for the arrays of a large table, without holes.
 *
 * All segments of a table grow at about the same time, since hashes are even: a general allocator
 * is left with half empty runs of the size that everybody has just outgrown. But nothing points to
 * an array but its directory words, so arrays can be moved. Those of one size lie one after the
 * other in blocks; when one is freed, the last takes its place, and the block that becomes empty
 * goes back (or serves another size). */
#include "common/alloc.h"
#include "common/slab.h"
#include "common/table_inner.h"

#define BLOCK_BYTES ((size_t)SLAB_BYTES)
#define LINE_BYTES  sizeof(struct table_bucket)
#define POOL_LINES  (BUCKETS_FULL + BUCKETS_FULL / 16) /* longest array in the pool */

struct size {
    struct table_bucket **blocks;
    uint32_t *owner; /* upper half of the hash of each array's segment */
    uint32_t n, cap; /* arrays; room in `owner` */
};

struct table_pool {
    bool closed;                /* nothing new comes in */
    struct table_bucket *spare; /* a block */
    struct size sizes[POOL_LINES + 1];
};
STATIC_ASSERT(DEPTH_MAX <= 32, "an owner's 32 bits name its segment");

static uint32_t per_block(uint32_t lines)
{
    return (uint32_t)(BLOCK_BYTES / LINE_BYTES) / lines;
}

static struct table_bucket *array_at(const struct size *z, uint32_t lines, uint32_t place)
{
    return z->blocks[place / per_block(lines)] + (size_t)(place % per_block(lines)) * lines;
}

void pool_new(struct table *t)
{
    t->pool = mem_zalloc(sizeof *t->pool);
}

void pool_free(struct table *t)
{
    struct table_pool *pool = t->pool;
    if (!pool)
        return;
    for (uint32_t lines = 1; lines <= POOL_LINES; lines++) {
        struct size *z = &pool->sizes[lines];
        for (uint32_t i = 0; i < z->n; i += per_block(lines))
            slab_free_whole(z->blocks[i / per_block(lines)]);
        mem_free(z->blocks);
        mem_free(z->owner);
    }
    slab_free_whole(pool->spare);
    mem_free(pool);
    t->pool = NULL;
}

void pool_close(struct table *t)
{
    t->pool->closed = true;
}

static void size_reserve(struct size *z, uint32_t lines)
{
    if (z->n < z->cap)
        return;
    z->cap = z->cap ? z->cap + z->cap / 2 : 2 * per_block(lines);
    z->owner = mem_realloc(z->owner, z->cap * sizeof *z->owner);
    z->blocks = mem_realloc(z->blocks, (z->cap / per_block(lines) + 1) * sizeof *z->blocks);
}

struct table_bucket *array_new(struct table *t, uint32_t lines, uint64_t hash, uint32_t *ret_place)
{
    struct table_pool *pool = t->pool;
    if (!pool || pool->closed || lines > POOL_LINES) {
        *ret_place = PLACE_OWN;
        return mem_zalloc(lines * LINE_BYTES);
    }
    struct size *z = &pool->sizes[lines];
    size_reserve(z, lines);
    uint32_t place = z->n++;
    if (place % per_block(lines) == 0) {
        z->blocks[place / per_block(lines)] = pool->spare ? pool->spare : slab_alloc_whole();
        pool->spare = NULL;
    }
    z->owner[place] = (uint32_t)(hash >> 32);
    *ret_place = place;
    struct table_bucket *array = array_at(z, lines, place);
    memset(array, 0, lines * LINE_BYTES);
    return array;
}

static void block_free(struct table_pool *pool, struct table_bucket *block)
{
    if (pool->spare)
        slab_free_whole(block);
    else
        pool->spare = block;
}

void array_free(struct table *t, struct table_bucket *array, uint32_t lines, uint32_t place)
{
    if (place == PLACE_OWN) {
        mem_free(array);
        return;
    }
    struct size *z = &t->pool->sizes[lines];
    uint32_t last = --z->n;
    if (place != last) {
        memcpy(array, array_at(z, lines, last), lines * LINE_BYTES);
        z->owner[place] = z->owner[last];
        segment_moved(t, (uint64_t)z->owner[last] << 32, array, place);
    }
    if (last % per_block(lines) == 0)
        block_free(t->pool, z->blocks[last / per_block(lines)]);
}

size_t pool_bytes(const struct table *t)
{
    if (!t->pool)
        return 0;
    size_t bytes = sizeof *t->pool + (t->pool->spare ? BLOCK_BYTES : 0);
    for (uint32_t lines = 1; lines <= POOL_LINES; lines++) {
        const struct size *z = &t->pool->sizes[lines];
        bytes += (size_t)((z->n + per_block(lines) - 1) / per_block(lines)) * BLOCK_BYTES;
        bytes += z->cap * sizeof *z->owner;
    }
    return bytes;
}
