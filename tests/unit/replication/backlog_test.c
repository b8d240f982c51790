/* The chain of blocks: what was appended is found again, whatever it was cut into. */
#include "replication/backlog.h"

#include <criterion/criterion.h>

#include "common/alloc.h"
#include "common/prng.h"

static char byte_at(int64_t position)
{
    return (char)(position * 7 + position / 251);
}

static void fill(char *p, int64_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(from + (int64_t)i);
}

static void append(struct backlog *b, size_t n)
{
    char *p = mem_alloc(n + 1);
    fill(p, b->end, n);
    backlog_append(b, bytes_of(p, n));
    mem_free(p);
}

static void append_blob(struct backlog *b, size_t n)
{
    struct blob *blob = blob_new(n + 5, n + 5);
    fill(blob->data + 5, b->end, n);
    backlog_append_blob(b, blob, 5, n);
    blob_unref(blob);
}

static void holds(const struct backlog *b)
{
    for (int64_t at = b->first; at < b->end;) {
        const struct backlog_block *block = backlog_at(b, at);
        cr_assert(block->from <= at && at < block->from + (int64_t)block->n);
        cr_assert_leq(block->off + block->n, block->blob->n);
        for (size_t i = (size_t)(at - block->from); i < block->n; i++)
            cr_assert_eq(block->blob->data[block->off + i], byte_at(block->from + (int64_t)i));
        at = block->from + (int64_t)block->n;
    }
}

Test(backlog, every_byte_is_found_in_its_block)
{
    size_t before = mem_used();
    struct backlog b;
    backlog_init(&b, 1000, 1024 * 1024);
    struct prng rng;
    prng_init(&rng, 3);
    for (int i = 0; i < 400; i++) {
        if (prng_below(&rng, 5) == 0)
            append_blob(&b, prng_below(&rng, 40000));
        else
            append(&b, prng_below(&rng, 3000));
        b.shown = b.end;
    }
    holds(&b);
    while (b.end - b.first > 100000)
        backlog_drop_oldest(&b);
    holds(&b);
    backlog_done(&b);
    cr_assert_eq(mem_used(), before, "all blocks are given back");
    cr_assert_eq(b.first, b.end);
}

Test(backlog, small_heads_between_large_values_share_a_tail)
{
    struct backlog b;
    backlog_init(&b, 0, 1024 * 1024);
    size_t blobs = 0;
    for (int i = 0; i < 100; i++) {
        append(&b, 40);
        append_blob(&b, 20000);
        blobs += 20000;
    }
    b.shown = b.end;
    holds(&b);
    cr_assert_leq(b.memory, blobs + 70000);
    backlog_done(&b);
    cr_assert_eq(b.memory, 0);
}

Test(backlog, what_was_not_applied_is_taken_back_and_written_over)
{
    for (size_t shown = 0; shown < 60000; shown += 7001) {
        struct backlog b;
        backlog_init(&b, 0, 16 * 1024);
        append(&b, shown);
        b.shown = b.end;
        struct blob *held = shown ? blob_ref(backlog_at(&b, 0)->blob) : NULL; /* a replica sends from it */
        append(&b, 10);
        append_blob(&b, 2000);
        append(&b, 30000);
        backlog_take_back(&b);
        cr_assert_eq(b.end, (int64_t)shown);
        holds(&b);
        append(&b, 20000);
        b.shown = b.end;
        holds(&b);
        blob_unref(held);
        backlog_done(&b);
    }
}

Test(backlog, the_block_under_way_and_what_is_not_shown_stay)
{
    struct backlog b;
    backlog_init(&b, 0, 16 * 1024);
    append(&b, 100);
    cr_assert_null(backlog_oldest(&b), "it is written to");
    append(&b, 40000);
    cr_assert_null(backlog_oldest(&b), "nothing is shown yet");
    b.shown = 20000;
    const struct backlog_block *block = backlog_oldest(&b);
    cr_assert_not_null(block);
    backlog_drop_oldest(&b);
    cr_assert(!backlog_has(&b, 0));
    cr_assert(backlog_has(&b, b.first));
    cr_assert(backlog_has(&b, b.end));
    cr_assert(!backlog_has(&b, b.end + 1));
    backlog_done(&b);
}
