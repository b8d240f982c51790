/* Slabs: blocks do not overlap, memory is shared by classes, and it goes back to the system. */
#include "common/slab.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/prng.h"
#include "common/sanitize.h"

struct block {
    unsigned char *p;
    size_t n;
    unsigned char mark;
};

static void fill(struct block *b, size_t n, unsigned char mark)
{
    *b = (struct block){ slab_alloc(n), n, mark };
    cr_assert_eq((uintptr_t)b->p % 8, 0);
    memset(b->p, mark, n);
}

static void check_and_free(struct block *b)
{
    for (size_t i = 0; i < b->n; i++)
        cr_assert_eq(b->p[i], b->mark, "byte %zu of %zu overwritten", i, b->n);
    slab_free(b->p, b->n);
    b->p = NULL;
}

Test(slab, good_sizes_are_steps_of_eight)
{
    static const size_t cases[][2] = { { 0, 8 },   { 1, 8 },   { 8, 8 },     { 9, 16 },
                                       { 16, 16 }, { 17, 24 }, { 511, 512 }, { 512, 512 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_eq(slab_good_size(cases[i][0]), cases[i][1]);
}

Test(slab, blocks_keep_their_content_through_random_traffic)
{
    enum { BLOCKS = 30000 };
    static struct block blocks[BLOCKS];
    struct prng r;
    prng_init(&r, 1);
    size_t used = slab_used_bytes(), expect = 0;
    for (int round = 0; round < 400000; round++) {
        struct block *b = &blocks[prng_below(&r, BLOCKS)];
        if (b->p) {
            expect -= slab_good_size(b->n);
            check_and_free(b);
        } else {
            fill(b, prng_below(&r, SLAB_MAX) + 1, (unsigned char)round);
            expect += slab_good_size(b->n);
        }
    }
    cr_assert_eq(slab_used_bytes() - used, expect);
    for (int i = 0; i < BLOCKS; i++)
        if (blocks[i].p)
            check_and_free(&blocks[i]);
    cr_assert_eq(slab_used_bytes(), used);
}

Test(slab, every_class_fills_whole_slabs_without_overlap)
{
    for (size_t n = 8; n <= SLAB_MAX; n += 8) {
        size_t count = 3 * SLAB_BYTES / n + 5;
        struct block *blocks = calloc(count, sizeof *blocks);
        for (size_t i = 0; i < count; i++)
            fill(&blocks[i], n, (unsigned char)(i * 7));
        for (size_t i = 0; i < count; i++)
            check_and_free(&blocks[i]);
        free(blocks);
    }
}

Test(slab, sizes_over_the_limit_come_from_the_general_allocator)
{
    size_t slabs = slab_used_bytes(), all = mem_used();
    void *p = slab_alloc(SLAB_MAX + 1);
    cr_assert_eq(slab_used_bytes(), slabs);
    cr_assert_gt(mem_used(), all);
    slab_free(p, SLAB_MAX + 1);
    cr_assert_eq(mem_used(), all);
    slab_free(NULL, 10);
}

Test(slab, size_zero_is_a_block_of_its_own)
{
    void *a = slab_alloc(0), *b = slab_alloc(0);
    cr_assert_neq(a, b);
    slab_free(a, 0);
    slab_free(b, 0);
}

#if !WITH_ASAN /* there each block is malloc's: nothing of this applies */

Test(slab, freeing_with_the_size_of_another_class_is_a_panic, .signal = SIGABRT)
{
    slab_free(slab_alloc(100), 200);
}

Test(slab, a_million_small_blocks_cost_about_what_they_hold)
{
    enum { N = 1000000 };
    void **p = malloc(N * sizeof *p);
    for (int i = 0; i < N; i++)
        p[i] = slab_alloc(56);
    struct slab_stats s;
    slab_stats_get(&s);
    cr_assert_eq(s.used_bytes, (size_t)N * 56);
    cr_assert_eq(s.slab_bytes, s.slabs * SLAB_BYTES);
    cr_assert_lt(s.slab_bytes, (size_t)N * 56 * 101 / 100, "%zu bytes of slabs", s.slab_bytes);
    for (int i = 0; i < N; i++)
        slab_free(p[i], 56);
    slab_stats_get(&s);
    cr_assert_eq(s.used_bytes, 0);
    cr_assert_lt(s.slab_bytes, (size_t)4 * 1024 * 1024, "only a few warm slabs stay");
    cr_assert_gt(slab_release_empty(), 0);
    slab_stats_get(&s);
    cr_assert_eq(s.slabs, 0);
    free(p);
}

Test(slab, what_is_empty_is_released_bit_by_bit)
{
    enum { N = 1000000 };
    void **p = malloc(N * sizeof *p);
    for (int i = 0; i < N; i++)
        p[i] = slab_alloc(56);
    void *keep = slab_alloc(64); /* its chunk stays */
    for (int i = N; i-- > 0;)
        slab_free(p[i], 56);
    free(p);
    size_t n, calls = 0;
    while ((n = slab_release_some(SLAB_BYTES)) > 0) {
        cr_assert_leq(n, SLAB_BYTES + (size_t)2 * 1024 * 1024);
        calls++;
    }
    cr_assert_gt(calls, 1);
    struct slab_stats s;
    slab_stats_get(&s);
    cr_assert_eq(s.slabs, 1);
    slab_free(keep, 64);
}

Test(slab, whole_slabs_are_aligned_and_apart_from_blocks)
{
    enum { N = 100 };
    char *whole[N];
    void *small[N];
    for (int i = 0; i < N; i++) {
        whole[i] = slab_alloc_whole();
        cr_assert_eq((uintptr_t)whole[i] % SLAB_BYTES, 0);
        memset(whole[i], i, SLAB_BYTES);
        small[i] = slab_alloc(500); /* takes the first slabs of chunks, too */
        memset(small[i], 255, 500);
    }
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; k < SLAB_BYTES; k++)
            cr_assert_eq(whole[i][k], (char)i);
        slab_free_whole(whole[i]);
        slab_free(small[i], 500);
    }
    slab_free_whole(NULL);
    cr_assert_eq(slab_used_bytes(), 0);
}

Test(slab, a_block_is_no_whole_slab, .signal = SIGABRT)
{
    slab_free_whole(slab_alloc(8));
}

Test(slab, what_one_class_freed_another_uses)
{
    enum { N = 100000 };
    static void *p[N];
    struct slab_stats s;
    for (int i = 0; i < N; i++)
        p[i] = slab_alloc(64);
    slab_stats_get(&s);
    size_t peak = s.slab_bytes;
    for (int i = 0; i < N; i++)
        slab_free(p[i], 64);
    for (int i = 0; i < N; i++)
        p[i] = slab_alloc(48);
    slab_stats_get(&s);
    cr_assert_leq(s.slab_bytes, peak + SLAB_BYTES);
}

Test(slab, fuller_slabs_are_preferred_so_that_emptier_ones_drain)
{
    enum { N = 200000, SIZE = 64 };
    static void *p[N];
    struct prng r;
    prng_init(&r, 3);
    for (int i = 0; i < N; i++)
        p[i] = slab_alloc(SIZE);
    for (int i = 0; i < N; i++) /* thin out: one of eight stays, the first quarter nearly whole */
        if (prng_below(&r, 8) && (i > N / 4 || prng_below(&r, 8) == 0)) {
            slab_free(p[i], SIZE);
            p[i] = NULL;
        }
    struct slab_stats before, after;
    slab_stats_get(&before);
    /* Churn with a constant number: every block is replaced several times. */
    for (int round = 0; round < 2000000; round++) {
        size_t i = prng_below(&r, N);
        if (!p[i])
            continue;
        slab_free(p[i], SIZE);
        p[i] = slab_alloc(SIZE);
    }
    (void)slab_release_empty();
    slab_stats_get(&after);
    cr_assert_eq(after.used_bytes, before.used_bytes);
    cr_assert_lt(after.slab_bytes, before.slab_bytes * 6 / 10, "%zu of %zu", after.slab_bytes,
                 before.slab_bytes);
}

Test(slab, released_slabs_can_be_used_again)
{
    enum { N = 50000 };
    static struct block blocks[N];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < N; i++)
            fill(&blocks[i], 40 + (size_t)round * 8, (unsigned char)(i + round));
        struct block keep = blocks[N / 2];
        for (int i = 0; i < N; i++)
            if (i != N / 2)
                check_and_free(&blocks[i]);
        (void)slab_release_empty();
        struct slab_stats s;
        slab_stats_get(&s);
        cr_assert_eq(s.slabs, 1);
        check_and_free(&keep);
    }
}

#endif
