/* See backlog.h. An append is one memcpy into the last block; a block is closed when it is full or when a large value
 * follows. Blocks are found by bisection over their first positions: their sizes differ. */
#include "replication/backlog.h"

#include "common/alloc.h"
#include "common/assert.h"

#define BLOCK_MIN (16 * 1024)
#define BLOCK_MAX (64 * 1024)

/* The bytes of a block and its head are one allocation that should fill pages well. */
static size_t block_bytes_for(size_t size)
{
    size_t n = size / 16;
    n = n < BLOCK_MIN ? BLOCK_MIN : n > BLOCK_MAX ? BLOCK_MAX : n;
    return n - sizeof(struct blob);
}

void backlog_init(struct backlog *b, int64_t position, size_t size)
{
    ASSERT(position >= 0);
    *b = (struct backlog){ .first = position, .shown = position, .end = position };
    b->block_bytes = block_bytes_for(size);
    ring_init(&b->blocks, sizeof(struct backlog_block), (size_t)1 << 32);
}

static struct backlog_block *block_push(struct backlog *b, struct blob *blob, size_t off, size_t memory)
{
    struct backlog_block *block = ring_push(&b->blocks);
    ASSERT(block);
    *block = (struct backlog_block){ .from = b->end, .blob = blob_ref(blob), .off = off, .memory = memory };
    b->memory += memory;
    return block;
}

static void block_drop(struct backlog *b, const struct backlog_block *block)
{
    b->memory -= block->memory;
    blob_unref(block->blob);
}

void backlog_done(struct backlog *b)
{
    while (ring_count(&b->blocks)) {
        block_drop(b, ring_front(&b->blocks));
        ring_pop(&b->blocks);
    }
    ring_done(&b->blocks);
    blob_unref(b->tail);
    *b = (struct backlog){ .first = b->end, .shown = b->end, .end = b->end };
}

/* A block whose bytes end where the tail may be written. Behind a large value the tail goes on in a block of its own,
 * so that small heads between large values do not take a tail each. */
static struct backlog_block *block_open(struct backlog *b)
{
    struct backlog_block *last = ring_back(&b->blocks);
    if (b->tail && b->tail->n < b->tail->cap) {
        if (last && last->blob == b->tail && last->off + last->n == b->tail->n)
            return last;
        return block_push(b, b->tail, b->tail->n, 0);
    }
    blob_unref(b->tail);
    b->tail = blob_new(0, b->block_bytes);
    return block_push(b, b->tail, 0, sizeof(struct blob) + b->tail->cap);
}

void backlog_append(struct backlog *b, struct bytes in)
{
    while (in.n) {
        struct backlog_block *last = block_open(b);
        size_t room = b->tail->cap - b->tail->n;
        size_t n = in.n < room ? in.n : room;
        memcpy(b->tail->data + b->tail->n, in.p, n);
        b->tail->n += n;
        last->n += n;
        b->end += (int64_t)n;
        in.p += n;
        in.n -= n;
    }
}

void backlog_append_blob(struct backlog *b, struct blob *blob, size_t off, size_t n)
{
    ASSERT(off <= blob->n);
    ASSERT(n <= blob->n - off);
    if (n == 0)
        return;
    struct backlog_block *block = block_push(b, blob, off, n);
    block->n = n;
    b->end += (int64_t)n;
}

/* Nobody was given these bytes, so what is left of the tail may be written over. */
void backlog_take_back(struct backlog *b)
{
    while (ring_count(&b->blocks)) {
        struct backlog_block *last = ring_back(&b->blocks);
        if (last->from < b->shown) {
            last->n = (size_t)(b->shown - last->from);
            if (last->blob == b->tail)
                b->tail->n = last->off + last->n;
            break;
        }
        block_drop(b, last);
        b->blocks.n--;
    }
    b->end = b->shown;
    ASSERT(b->first <= b->end);
}

const struct backlog_block *backlog_at(const struct backlog *b, int64_t position)
{
    ASSERT(position >= b->first);
    ASSERT(position < b->end);
    size_t low = 0, high = ring_count(&b->blocks); /* block[low].from <= position < block[high].from */
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        const struct backlog_block *block = ring_at(&b->blocks, mid);
        if (block->from <= position)
            low = mid;
        else
            high = mid;
    }
    const struct backlog_block *block = ring_at(&b->blocks, low);
    ASSERT(position - block->from < (int64_t)block->n);
    return block;
}

const struct backlog_block *backlog_oldest(const struct backlog *b)
{
    if (ring_count(&b->blocks) < 2)
        return NULL;
    const struct backlog_block *block = ring_front(&b->blocks);
    return block->from + (int64_t)block->n <= b->shown ? block : NULL;
}

void backlog_drop_oldest(struct backlog *b)
{
    const struct backlog_block *block = backlog_oldest(b);
    ASSERT(block);
    b->first = block->from + (int64_t)block->n;
    block_drop(b, block);
    ring_pop(&b->blocks);
}
