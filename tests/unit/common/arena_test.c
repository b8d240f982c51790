/* The arena: aligned, disjoint, whole again after a reset, without allocating anew. */
#include "common/arena.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "common/alloc.h"
#include "common/prng.h"

Test(arena, blocks_are_aligned_and_do_not_overlap)
{
    enum { N = 5000 };
    static unsigned char *p[N];
    static size_t n[N];
    struct arena a = { 0 };
    struct prng r;
    prng_init(&r, 1);
    for (int i = 0; i < N; i++) {
        n[i] = prng_below(&r, i % 100 == 0 ? 3 * ARENA_CHUNK : 200) + 1;
        p[i] = arena_alloc(&a, n[i]);
        cr_assert_eq((uintptr_t)p[i] % 8, 0);
        memset(p[i], i & 255, n[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t k = 0; k < n[i]; k++)
            cr_assert_eq(p[i][k], i & 255);
    arena_done(&a);
    cr_assert_eq(arena_held(&a), 0);
}

Test(arena, a_reset_keeps_chunks_for_the_next_turn)
{
    struct arena a;
    arena_init(&a);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 1000; i++)
            (void)arena_alloc(&a, 100);
        size_t held = arena_held(&a), used = mem_used();
        arena_reset(&a);
        for (int i = 0; i < 1000; i++)
            (void)arena_alloc(&a, 100);
        cr_assert_eq(arena_held(&a), held);
        cr_assert_eq(mem_used(), used, "nothing was allocated");
        arena_reset(&a);
    }
    arena_done(&a);
}

Test(arena, a_reset_gives_back_what_is_unusually_large)
{
    size_t before = mem_used();
    struct arena a = { 0 };
    (void)arena_alloc(&a, 50 * 1024 * 1024);
    for (int i = 0; i < 10000; i++)
        (void)arena_alloc(&a, 1000);
    cr_assert_gt(arena_held(&a), (size_t)60 * 1000 * 1000);
    arena_reset(&a);
    cr_assert_leq(arena_held(&a), ARENA_KEEP);
    arena_done(&a);
    cr_assert_eq(mem_used(), before);
}

Test(arena, large_blocks_leave_the_current_chunk_in_use)
{
    struct arena a = { 0 };
    char *first = arena_alloc(&a, 8);
    (void)arena_alloc(&a, ARENA_CHUNK * 2);
    char *second = arena_alloc(&a, 8);
    cr_assert_eq(second, first + 8);
    arena_done(&a);
}

Test(arena, helpers_fill_what_they_allocate)
{
    struct arena a = { 0 };
    char *z = arena_zalloc(&a, 100);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(z[i], 0);
    struct bytes c = arena_copy(&a, BYTES("copy me"));
    cr_assert(bytes_eq(c, BYTES("copy me")));
    struct bytes f = arena_printf(&a, "%s-%d", "x", 12);
    cr_assert(bytes_eq(f, BYTES("x-12")));
    cr_assert_eq(f.p[f.n], '\0');
    cr_assert_eq(arena_copy(&a, bytes_of(NULL, 0)).n, 0);
    int *ints = arena_array(&a, 10, sizeof *ints);
    ints[9] = 1;
    arena_done(&a);
}

Test(arena, an_array_that_overflows_is_a_panic, .signal = SIGABRT)
{
    struct arena a = { 0 };
    (void)arena_array(&a, SIZE_MAX / 4, 8);
}

Test(arena, a_size_beyond_reason_is_a_panic, .signal = SIGABRT)
{
    struct arena a = { 0 };
    (void)arena_alloc(&a, SIZE_MAX - 3);
}
