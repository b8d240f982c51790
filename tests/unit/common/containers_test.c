/* list.h, heap.h, ring.h and checked.h, each against a plain model. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/checked.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/prng.h"
#include "common/ring.h"

/* ---- list ---- */

struct thing {
    int id;
    struct list_node in_list;
};

static void expect_ids(struct list *l, const char *ids)
{
    char got[64];
    size_t n = 0;
    LIST_EACH(l, node)
        got[n++] = (char)('0' + LIST_ITEM(node, struct thing, in_list)->id);
    got[n] = '\0';
    cr_assert_str_eq(got, ids);
}

Test(list, things_enter_and_leave_anywhere)
{
    struct thing t[6] = { 0 };
    struct list l;
    list_init(&l);
    cr_assert(list_empty(&l));
    cr_assert_null(list_first(&l));
    cr_assert_null(list_last(&l));
    cr_assert_null(list_pop_front(&l));
    for (int i = 0; i < 6; i++) {
        t[i].id = i;
        cr_assert_not(list_linked(&t[i].in_list));
        if (i % 2)
            list_push_back(&l, &t[i].in_list);
        else
            list_push_front(&l, &t[i].in_list);
    }
    expect_ids(&l, "420135");
    list_remove(&t[0].in_list);
    list_remove(&t[0].in_list);
    cr_assert_not(list_linked(&t[0].in_list));
    expect_ids(&l, "42135");
    cr_assert_eq(list_first(&l), &t[4].in_list);
    cr_assert_eq(list_last(&l), &t[5].in_list);
    cr_assert_eq(list_next(&l, &t[3].in_list), &t[5].in_list);
    cr_assert_null(list_next(&l, &t[5].in_list));
    cr_assert_eq(list_pop_front(&l), &t[4].in_list);
    expect_ids(&l, "2135");
    LIST_EACH_SAFE(&l, n)
        if (LIST_ITEM(n, struct thing, in_list)->id % 2)
            list_remove(n);
    expect_ids(&l, "2");
}

Test(list, splicing_moves_all)
{
    struct thing t[4] = { { .id = 0 }, { .id = 1 }, { .id = 2 }, { .id = 3 } };
    struct list a, b;
    list_init(&a);
    list_init(&b);
    list_splice(&a, &b);
    expect_ids(&a, "");
    for (int i = 0; i < 4; i++)
        list_push_back(i < 2 ? &a : &b, &t[i].in_list);
    list_splice(&a, &b);
    expect_ids(&a, "0123");
    expect_ids(&b, "");
    list_splice(&b, &a);
    expect_ids(&b, "0123");
    cr_assert_eq(list_last(&b), &t[3].in_list);
}

/* ---- heap ---- */

struct timer {
    int64_t key;
    struct heap_node in_heap;
};

static void check_heap(const struct heap *h)
{
    for (size_t i = 0; i < h->n; i++) {
        cr_assert_eq(h->slots[i].node->place, i + 1);
        cr_assert_eq(h->slots[i].key, HEAP_ITEM(h->slots[i].node, struct timer, in_heap)->key);
        if (i)
            cr_assert_leq(h->slots[(i - 1) / 4].key, h->slots[i].key);
    }
}

Test(heap, random_traffic_keeps_the_order)
{
    enum { N = 500 };
    static struct timer t[N];
    struct heap h = { 0 };
    struct prng r;
    prng_init(&r, 1);
    cr_assert_eq(heap_top_key(&h), INT64_MAX);
    for (int round = 0; round < 50000; round++) {
        struct timer *x = &t[prng_below(&r, N)];
        if (prng_below(&r, 3)) {
            x->key = (int64_t)prng_below(&r, 1000) - 500;
            heap_set(&h, &x->in_heap, x->key);
            cr_assert_eq(heap_key(&h, &x->in_heap), x->key);
        } else {
            heap_remove(&h, &x->in_heap);
            cr_assert_not(heap_has(&x->in_heap));
        }
        if (round % 100 == 0)
            check_heap(&h);
        int64_t least = INT64_MAX;
        if (round % 100 == 0) {
            for (int i = 0; i < N; i++)
                if (heap_has(&t[i].in_heap) && t[i].key < least)
                    least = t[i].key;
            cr_assert_eq(heap_top_key(&h), least);
        }
    }
    int64_t last = INT64_MIN;
    for (struct heap_node *n; (n = heap_pop(&h));) {
        struct timer *x = HEAP_ITEM(n, struct timer, in_heap);
        cr_assert_geq(x->key, last);
        cr_assert_not(heap_has(n));
        last = x->key;
    }
    cr_assert_null(heap_top(&h));
    heap_done(&h);
}

Test(heap, done_lets_go_of_the_nodes_and_the_memory)
{
    size_t before = mem_used();
    static struct timer t[1000];
    struct heap h = { 0 };
    for (int i = 0; i < 1000; i++)
        heap_set(&h, &t[i].in_heap, t[i].key = i);
    size_t most = mem_used();
    while (h.n > 10)
        heap_pop(&h);
    cr_assert_lt(mem_used() - before, (most - before) / 8, "a burst does not stay in memory");
    heap_done(&h);
    cr_assert_eq(mem_used(), before);
    for (int i = 0; i < 1000; i++)
        cr_assert_not(heap_has(&t[i].in_heap));
}

Test(heap, a_node_of_another_heap_is_a_panic, .signal = SIGABRT)
{
    struct timer a = { 0 }, b = { 0 };
    struct heap one = { 0 }, two = { 0 };
    heap_set(&one, &a.in_heap, 1);
    heap_set(&two, &b.in_heap, 1);
    heap_remove(&one, &b.in_heap);
}

/* ---- ring ---- */

Test(ring, first_in_first_out_through_growth_and_wrapping)
{
    struct ring q;
    ring_init(&q, sizeof(uint32_t), SIZE_MAX);
    cr_assert_null(ring_front(&q));
    cr_assert_null(ring_back(&q));
    struct prng r;
    prng_init(&r, 1);
    uint32_t in = 0, out = 0;
    for (int round = 0; round < 100000; round++) {
        if (prng_below(&r, 1000) < (round / 20000 % 2 ? 450 : 550)) {
            *(uint32_t *)ring_push(&q) = in++;
        } else if (ring_count(&q)) {
            cr_assert_eq(*(uint32_t *)ring_front(&q), out++);
            ring_pop(&q);
        }
        cr_assert_eq(ring_count(&q), in - out);
        if (ring_count(&q)) {
            cr_assert_eq(*(uint32_t *)ring_back(&q), in - 1);
            size_t i = prng_below(&r, ring_count(&q));
            cr_assert_eq(*(uint32_t *)ring_at(&q, i), out + i);
        }
    }
    ring_done(&q);
}

Test(ring, the_maximum_holds)
{
    struct ring q;
    ring_init(&q, 3, 10);
    for (int i = 0; i < 10; i++)
        memset(ring_push(&q), i, 3);
    cr_assert_null(ring_push(&q));
    ring_pop(&q);
    cr_assert_not_null(ring_push(&q));
    cr_assert_eq(*(char *)ring_front(&q), 1);
    ring_done(&q);
}

Test(ring, an_empty_ring_gives_a_large_array_back)
{
    size_t before = mem_used();
    struct ring q;
    ring_init(&q, 64, SIZE_MAX);
    for (int i = 0; i < 10000; i++)
        (void)ring_push(&q);
    cr_assert_gt(mem_used() - before, 600000);
    for (int i = 0; i < 10000; i++)
        ring_pop(&q);
    cr_assert_eq(mem_used(), before);
    (void)ring_push(&q);
    ring_clear(&q);
    cr_assert_eq(ring_count(&q), 0);
    ring_done(&q);
    cr_assert_eq(mem_used(), before);
}

Test(ring, popping_from_an_empty_one_is_a_panic, .signal = SIGABRT)
{
    struct ring q;
    ring_init(&q, 1, 1);
    ring_pop(&q);
}

/* ---- checked arithmetic ---- */

Test(checked, sizes_overflow_into_false)
{
    size_t v = 7;
    cr_assert(checked_add(SIZE_MAX - 1, 1, &v) && v == SIZE_MAX);
    cr_assert_not(checked_add(SIZE_MAX, 1, &v));
    cr_assert(checked_sub(5, 5, &v) && v == 0);
    cr_assert_not(checked_sub(5, 6, &v));
    cr_assert(checked_mul(SIZE_MAX / 2, 2, &v) && v == SIZE_MAX - 1);
    cr_assert_not(checked_mul(SIZE_MAX / 2 + 1, 2, &v));
    cr_assert(checked_array(10, 20, 5, &v) && v == 205);
    cr_assert_not(checked_array(SIZE_MAX / 8, 8, 100, &v));
    cr_assert_not(checked_array(SIZE_MAX / 4, 8, 0, &v));
    cr_assert(checked_size(100, 100, &v) && v == 100);
    cr_assert_not(checked_size(101, 100, &v));
    cr_assert_eq(v, 100, "untouched");
}

Test(checked, ranges_lie_within)
{
    cr_assert(checked_range(0, 0, 0));
    cr_assert(checked_range(3, 7, 10));
    cr_assert(checked_range(10, 0, 10));
    cr_assert_not(checked_range(3, 8, 10));
    cr_assert_not(checked_range(11, 0, 10));
    cr_assert_not(checked_range(5, SIZE_MAX, 10));
    cr_assert_not(checked_range(SIZE_MAX, 5, 10));
}

Test(checked, signed_numbers_overflow_into_false)
{
    int64_t v = 7;
    cr_assert(checked_add_i64(INT64_MAX, -1, &v) && v == INT64_MAX - 1);
    cr_assert_not(checked_add_i64(INT64_MAX, 1, &v));
    cr_assert_not(checked_sub_i64(INT64_MIN, 1, &v));
    cr_assert(checked_sub_i64(-1, INT64_MAX, &v) && v == INT64_MIN);
    cr_assert_not(checked_mul_i64(INT64_MIN, -1, &v));
    cr_assert(checked_mul_i64(INT64_MIN, 1, &v) && v == INT64_MIN);
    cr_assert_not(checked_sub_i64(0, INT64_MIN, &v));
    cr_assert_eq(v, INT64_MIN, "untouched");
}
