/* What the tests of the types share: random elements, and a plain list of texts to compare with. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/prng.h"
#include "server/types/value.h"

struct text {
    char *p;
    size_t n;
};

static inline struct bytes text_bytes(struct text t)
{
    return bytes_of(t.p, t.n);
}

static inline struct text text_new(struct bytes b)
{
    struct text t = { malloc(b.n + 1), b.n };
    cr_assert(t.p);
    if (b.n)
        memcpy(t.p, b.p, b.n);
    t.p[b.n] = '\0';
    return t;
}

/* A random element: numbers of all widths at their edges, texts that only look like numbers,
 * strings around the lengths at which forms change. `kinds` small keeps the number of different
 * ones small, so that they meet again. */
static inline struct text text_random(struct prng *r, unsigned kinds)
{
    static const size_t lengths[] = {
        0, 1, 5, 12, 62, 63, 64, 65, 126, 127, 128, 4094, 4095, 4096
    };
    static const char *const odd[] = { "",
                                       "-0",
                                       "007",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "-",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1e3",
                                       "0x10" };
    char buf[64];
    uint64_t pick = prng_below(r, 100), k = prng_below(r, kinds);
    if (pick < 40) {
        unsigned bits = (unsigned)prng_below(r, 8);
        int64_t edge = (int64_t)((uint64_t)1 << (bits == 7 ? 62 : bits * 8 + 4)) + (int64_t)k -
                       (int64_t)kinds / 2;
        int n = snprintf(buf, sizeof(buf), "%lld", (long long)(prng_below(r, 2) ? edge : -edge));
        return text_new(bytes_of(buf, (size_t)n));
    }
    if (pick < 50)
        return text_new(bytes_of_str(odd[prng_below(r, sizeof(odd) / sizeof(*odd))]));
    if (pick < 90) {
        int n = snprintf(buf, sizeof(buf), "member:%llu", (unsigned long long)k);
        return text_new(bytes_of(buf, (size_t)n));
    }
    size_t n = lengths[prng_below(r, sizeof(lengths) / sizeof(*lengths))];
    struct text t = { malloc(n + 1), n };
    cr_assert(t.p);
    memset(t.p, 'a' + (int)(k % 26), n);
    t.p[n] = '\0';
    return t;
}

static inline bool element_is(const struct element *e, struct bytes text)
{
    char scratch[ELEMENT_SCRATCH];
    return bytes_eq(element_text(e, scratch), text);
}

/* ---- a list of texts ---- */

struct texts {
    struct text *v;
    size_t n, cap;
};

static inline void texts_insert(struct texts *t, size_t at, struct text take)
{
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->v = realloc(t->v, t->cap * sizeof(*t->v));
        cr_assert(t->v);
    }
    memmove(t->v + at + 1, t->v + at, (t->n - at) * sizeof(*t->v));
    t->v[at] = take;
    t->n++;
}

static inline void texts_delete(struct texts *t, size_t at)
{
    free(t->v[at].p);
    memmove(t->v + at, t->v + at + 1, (t->n - at - 1) * sizeof(*t->v));
    t->n--;
}

static inline ptrdiff_t texts_find(const struct texts *t, struct bytes s, size_t from, size_t step)
{
    for (size_t i = from; i < t->n; i += step) {
        if (bytes_eq(text_bytes(t->v[i]), s))
            return (ptrdiff_t)i;
    }
    return -1;
}

static inline void texts_done(struct texts *t)
{
    while (t->n)
        texts_delete(t, t->n - 1);
    free(t->v);
    *t = (struct texts){ 0 };
}
