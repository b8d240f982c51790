/* Intsets: the bytes are Redis', every change does what a sorted list does, and damage is found. */
#include "server/types/intset.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/prng.h"

static void expect_bytes(const struct intset *s, const char *hex)
{
    char text[256];
    for (size_t i = 0; i < intset_bytes(s); i++)
        snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)s)[i]);
    cr_expect_str_eq(text, hex);
}

Test(intset, widens_with_its_members_and_never_narrows)
{
    struct intset *s = intset_new();
    expect_bytes(s, "0200000000000000");
    cr_assert(intset_add(&s, 5));
    cr_assert(intset_add(&s, -32768));
    expect_bytes(s, "0200000002000000"
                    "00800500");
    cr_assert(intset_add(&s, 32768));
    expect_bytes(s, "0400000003000000"
                    "0080ffff"
                    "05000000"
                    "00800000");
    cr_assert(intset_add(&s, INT64_MIN));
    cr_assert_eq(intset_bytes(s), INTSET_HEADER + 4 * 8);
    cr_assert_eq(intset_at(s, 0), INT64_MIN);
    cr_assert_eq(intset_at(s, 3), 32768);
    cr_assert(intset_remove(&s, INT64_MIN));
    cr_assert_eq(intset_bytes(s), INTSET_HEADER + 3 * 8);
    cr_assert_not(intset_add(&s, 5));
    intset_free(s);
    intset_free(NULL);
}

struct model {
    int64_t v[600];
    uint32_t n;
};

static uint32_t place(const struct model *m, int64_t v)
{
    uint32_t i = 0;
    while (i < m->n && m->v[i] < v)
        i++;
    return i;
}

static bool model_has(const struct model *m, int64_t v)
{
    uint32_t i = place(m, v);
    return i < m->n && m->v[i] == v;
}

static void model_toggle(struct model *m, int64_t v)
{
    uint32_t i = place(m, v);
    if (model_has(m, v)) {
        memmove(m->v + i, m->v + i + 1, (m->n - i - 1) * sizeof(*m->v));
        m->n--;
    } else {
        memmove(m->v + i + 1, m->v + i, (m->n - i) * sizeof(*m->v));
        m->v[i] = v;
        m->n++;
    }
}

static int64_t random_member(struct prng *r, unsigned bits)
{
    int64_t near = (int64_t)prng_below(r, 40) - 20;
    uint64_t edge = (uint64_t)1 << prng_below(r, bits);
    return prng_below(r, 3) ? near * 3 : (int64_t)(edge + (uint64_t)near);
}

static void check(const struct intset *s, const struct model *m)
{
    cr_assert_eq(intset_count(s), m->n);
    cr_assert(intset_validate(bytes_of(s, intset_bytes(s))));
    for (uint32_t i = 0; i < m->n; i++)
        cr_assert_eq(intset_at(s, i), m->v[i]);
}

Test(intset, random_changes_do_what_a_sorted_list_does)
{
    size_t used = mem_used();
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct prng r;
        struct model m = { .n = 0 };
        struct intset *s = intset_new();
        prng_init(&r, seed);
        unsigned bits = seed % 3 == 0 ? 15 : seed % 3 == 1 ? 31 : 64;
        for (int i = 0; i < 500; i++) {
            int64_t v = random_member(&r, bits);
            bool there = model_has(&m, v);
            cr_assert_eq(intset_has(s, v), there);
            if (prng_below(&r, 3)) {
                cr_assert_eq(intset_add(&s, v), !there);
                if (!there)
                    model_toggle(&m, v);
            } else {
                cr_assert_eq(intset_remove(&s, v), there);
                if (there)
                    model_toggle(&m, v);
            }
            check(s, &m);
        }
        struct intset *copy = intset_copy(s);
        intset_free(s);
        check(copy, &m);
        intset_free(copy);
    }
    cr_assert_eq(mem_used(), used);
}

Test(intset, memory_is_that_of_the_block)
{
    size_t used = mem_used();
    struct intset *s = intset_new();
    for (int i = 0; i < 512; i++) {
        intset_add(&s, i * 1000);
        cr_assert_eq(mem_used() - used, intset_memory(s));
    }
    intset_free(s);
}

Test(intset, damaged_bytes_are_refused)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool ok;
    } cases[] = {
        { "", 0, false },
        { "\2\0\0\0\0\0\0", 7, false },
        { "\2\0\0\0\0\0\0\0", 8, true },
        { "\3\0\0\0\0\0\0\0", 8, false }, /* width */
        { "\0\0\0\0\0\0\0\0", 8, false },
        { "\2\0\0\0\1\0\0\0\5\0", 10, true },
        { "\2\0\0\0\1\0\0\0\5\0\0", 11, false }, /* too long */
        { "\2\0\0\0\2\0\0\0\5\0", 10, false },   /* too short */
        { "\2\0\0\0\2\0\0\0\5\0\6\0", 12, true },
        { "\2\0\0\0\2\0\0\0\5\0\5\0", 12, false },    /* twice */
        { "\2\0\0\0\2\0\0\0\6\0\5\0", 12, false },    /* order */
        { "\2\0\0\0\2\0\0\0\xff\xff\5\0", 12, true }, /* -1, 5 */
        { "\2\0\0\0\2\0\0\0\5\0\xff\xff", 12, false },
        { "\2\0\0\0\xff\xff\xff\xff\5\0", 10, false }, /* count */
        { "\x8\0\0\0\0\0\0\x20\5\0", 10, false },      /* count * width wraps */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *exact = malloc(cases[i].n + 1);
        memcpy(exact + 1, cases[i].bytes, cases[i].n); /* not aligned */
        struct bytes b = bytes_of(exact + 1, cases[i].n);
        cr_expect_eq(intset_validate(b), cases[i].ok, "case %zu", i);
        if (cases[i].ok) {
            struct intset *s = intset_from_bytes(b);
            cr_expect(bytes_eq(bytes_of(s, intset_bytes(s)), b));
            intset_free(s);
        }
        free(exact);
    }
}
