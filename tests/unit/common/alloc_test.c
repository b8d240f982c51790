/* The general allocator: accounting returns to where it was, sizes are honest, failures can be
 * injected. */
#include "common/alloc.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "common/slab.h"

Test(alloc, accounting_counts_what_is_set_aside_and_returns_to_zero)
{
    static const size_t sizes[] = { 0, 1, 7, 8, 9, 100, 4096, 100000, 5 * 1024 * 1024 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t before = mem_used();
        char *p = mem_alloc(sizes[i]);
        cr_assert_geq(mem_usable(p), sizes[i]);
        cr_assert_eq(mem_used() - before, mem_usable(p), "size %zu", sizes[i]);
        memset(p, 0xa5, sizes[i]);
        mem_free(p);
        cr_assert_eq(mem_used(), before, "size %zu", sizes[i]);
    }
}

Test(alloc, good_size_is_at_least_the_request_and_is_what_is_set_aside)
{
    for (size_t n = 1; n < 40000; n = n * 5 / 4 + 1) {
        void *p = mem_alloc(n);
        cr_assert_geq(mem_good_size(n), n);
        cr_assert_eq(mem_good_size(n), mem_usable(p), "%zu: %zu, really %zu", n, mem_good_size(n),
                     mem_usable(p));
        mem_free(p);
    }
    cr_assert_geq(mem_good_size(SIZE_MAX - 1), SIZE_MAX - 1);
}

Test(alloc, realloc_keeps_the_content_and_the_books)
{
    size_t before = mem_used();
    char *p = mem_realloc(NULL, 10);
    memcpy(p, "0123456789", 10);
    p = mem_realloc(p, 200000);
    cr_assert_eq(memcmp(p, "0123456789", 10), 0);
    cr_assert_eq(mem_used() - before, mem_usable(p));
    p = mem_realloc(p, 5);
    cr_assert_eq(memcmp(p, "01234", 5), 0);
    cr_assert_eq(mem_used() - before, mem_usable(p));
    mem_free(p);
    mem_free(NULL);
    cr_assert_eq(mem_used(), before);
    cr_assert_eq(mem_usable(NULL), 0);
}

Test(alloc, zalloc_and_the_duplicates)
{
    char *z = mem_zalloc(5000);
    for (int i = 0; i < 5000; i++)
        cr_assert_eq(z[i], 0);
    char *s = mem_strdup("hello");
    cr_assert_str_eq(s, "hello");
    char *d = mem_dup("a\0b", 3);
    cr_assert_eq(memcmp(d, "a\0b", 3), 0);
    char *none = mem_dup(NULL, 0);
    cr_assert_not_null(none);
    mem_free(z);
    mem_free(s);
    mem_free(d);
    mem_free(none);
}

/* volatile: else the compiler knows that such sizes cannot be had */
static volatile size_t all_there_is = SIZE_MAX;

Test(alloc, a_size_beyond_reason_is_refused_by_the_try_forms)
{
    size_t before = mem_used();
    cr_assert_null(mem_try_alloc(all_there_is));
    cr_assert_null(mem_try_alloc(all_there_is / 4));
    char *p = mem_try_alloc(16);
    cr_assert_not_null(p);
    memcpy(p, "0123456789abcdef", 16);
    cr_assert_null(mem_try_realloc(p, all_there_is - 100));
    cr_assert_eq(memcmp(p, "0123456789abcdef", 16), 0, "the old block stays as it is");
    mem_free(p);
    cr_assert_eq(mem_used(), before);
}

Test(alloc, a_size_beyond_reason_is_a_panic_in_the_others, .signal = SIGABRT)
{
    (void)mem_alloc(all_there_is / 4);
}

Test(alloc, the_nth_try_fails_once_when_asked_to)
{
    mem_fail_after(3);
    for (int i = 1; i <= 5; i++) {
        void *p = mem_try_alloc(10);
        cr_assert_eq(p == NULL, i == 3, "allocation %d", i);
        mem_free(p);
    }
    mem_fail_after(1);
    cr_assert_null(mem_try_realloc(NULL, 5));
    mem_fail_after(1);
    mem_fail_after(0);
    void *p = mem_try_alloc(10);
    cr_assert_not_null(p);
    mem_free(p);
}

static void *allocate_much(void *blocks)
{
    void **b = blocks;
    for (int i = 0; i < 1000; i++)
        b[i] = mem_alloc((size_t)i + 1);
    return NULL;
}

Test(alloc, what_one_thread_allocates_another_may_free)
{
    static void *blocks[4][1000];
    size_t before = mem_used();
    pthread_t threads[4];
    for (int t = 0; t < 4; t++)
        cr_assert_eq(pthread_create(&threads[t], NULL, allocate_much, blocks[t]), 0);
    for (int t = 0; t < 4; t++)
        pthread_join(threads[t], NULL);
    size_t held = 0;
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 1000; i++)
            held += mem_usable(blocks[t][i]);
    cr_assert_eq(mem_used() - before, held);
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 1000; i++)
            mem_free(blocks[t][i]);
    cr_assert_eq(mem_used(), before);
}

Test(alloc, slabs_and_other_allocators_count_too)
{
    size_t before = mem_used();
    mem_account(1000);
    void *p = slab_alloc(20);
    cr_assert_eq(mem_used() - before, 1000 + 24);
    slab_free(p, 20);
    mem_account(-1000);
    cr_assert_eq(mem_used(), before);
}

Test(alloc, statistics_fit_the_allocator)
{
    struct mem_stats s;
    void *p = mem_alloc(100000);
    mem_stats_get(&s);
    if (strcmp(mem_allocator_name(), "libc") == 0) {
        cr_assert_eq(s.allocated, 0);
        cr_assert_eq(s.resident, 0);
    } else {
        cr_assert_eq(strncmp(mem_allocator_name(), "jemalloc-", 9), 0);
        cr_assert_geq(s.allocated, 100000);
        cr_assert_geq(s.active, s.allocated);
        cr_assert_geq(s.resident, s.active);
    }
    mem_free(p);
    mem_purge();
}
