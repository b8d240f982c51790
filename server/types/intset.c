/* See intset.h. */
#include "server/types/intset.h"

#include "common/assert.h"
#include "common/checked.h"
#include "server/types/block.h"

struct intset {
    uint32_t width; /* bytes of an integer */
    uint32_t count;
    uint8_t v[];
};
STATIC_ASSERT(sizeof(struct intset) == INTSET_HEADER, "the header");

static size_t bytes_for(uint32_t width, uint32_t count)
{
    return sizeof(struct intset) + (size_t)width * count;
}

static uint32_t width_of(int64_t v)
{
    return v == (int16_t)v ? 2 : v == (int32_t)v ? 4 : 8;
}

static inline int64_t get(const uint8_t *v0, uint32_t width, uint32_t i)
{
    const uint8_t *p = v0 + (size_t)width * i;
    if (width == 2) {
        int16_t v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    if (width == 4) {
        int32_t v;
        memcpy(&v, p, sizeof v);
        return v;
    }
    int64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void set(struct intset *s, uint32_t width, uint32_t i, int64_t v)
{
    memcpy(s->v + (size_t)width * i, &v, width); /* little-endian: the low bytes come first */
}

struct intset *intset_new(void)
{
    struct intset *s = block_new(sizeof *s);
    *s = (struct intset){ .width = 2 };
    return s;
}

void intset_free(struct intset *s)
{
    if (s)
        block_free(s, intset_bytes(s));
}

struct intset *intset_copy(const struct intset *s)
{
    size_t n = intset_bytes(s);
    return memcpy(block_new(n), s, n);
}

uint32_t intset_count(const struct intset *s)
{
    return s->count;
}

size_t intset_bytes(const struct intset *s)
{
    return bytes_for(s->width, s->count);
}

size_t intset_memory(const struct intset *s)
{
    return block_memory(intset_bytes(s));
}

int64_t intset_at(const struct intset *s, uint32_t i)
{
    ASSERT(i < s->count);
    return get(s->v, s->width, i);
}

/* The first place whose integer is not less than v. No branch depends on the integers. */
static inline __attribute__((always_inline)) uint32_t lower_bound(const struct intset *s,
                                                                  uint32_t width, int64_t v)
{
    uint32_t base = 0;
    for (uint32_t n = s->count; n > 1; n -= n / 2)
        base += get(s->v, width, base + n / 2 - 1) < v ? n / 2 : 0;
    return base + (s->count > 0 && get(s->v, width, base) < v);
}

/* True when v is there; *ret_i is its place, or the one where it belongs. */
static bool search(const struct intset *s, int64_t v, uint32_t *ret_i)
{
    uint32_t i = s->width == 2   ? lower_bound(s, 2, v)
                 : s->width == 4 ? lower_bound(s, 4, v)
                                 : lower_bound(s, 8, v);
    *ret_i = i;
    return i < s->count && get(s->v, s->width, i) == v;
}

bool intset_has(const struct intset *s, int64_t v)
{
    uint32_t i;
    return width_of(v) <= s->width && search(s, v, &i);
}

static struct intset *resize(struct intset *s, uint32_t width, uint32_t count)
{
    return block_resize(s, intset_bytes(s), bytes_for(width, count));
}

/* Gives all integers a larger width, that of v, which goes to one of the ends. */
static struct intset *widen(struct intset *s, uint32_t width, int64_t v)
{
    uint32_t old = s->width, count = s->count, shift = v < 0;
    s = resize(s, width, count + 1);
    for (uint32_t i = count; i-- > 0;)
        set(s, width, i + shift, get(s->v, old, i));
    s->width = width;
    s->count = count + 1;
    set(s, width, shift ? 0 : count, v);
    return s;
}

bool intset_add(struct intset **ref, int64_t v)
{
    struct intset *s = *ref;
    uint32_t width = width_of(v), i;
    ASSERT(s->count < INTSET_MAX);
    if (width > s->width) {
        *ref = widen(s, width, v);
        return true;
    }
    if (search(s, v, &i))
        return false;
    s = *ref = resize(s, s->width, s->count + 1);
    uint8_t *p = s->v + (size_t)s->width * i;
    memmove(p + s->width, p, (size_t)s->width * (s->count - i));
    set(s, s->width, i, v);
    s->count++;
    return true;
}

bool intset_remove(struct intset **ref, int64_t v)
{
    struct intset *s = *ref;
    uint32_t i;
    if (width_of(v) > s->width || !search(s, v, &i))
        return false;
    uint8_t *p = s->v + (size_t)s->width * i;
    memmove(p, p + s->width, (size_t)s->width * (s->count - i - 1));
    *ref = s = resize(s, s->width, s->count - 1);
    s->count--;
    return true;
}

bool intset_validate(struct bytes b)
{
    struct intset head;
    if (b.n < sizeof head)
        return false;
    memcpy(&head, b.p, sizeof head);
    size_t n;
    if ((head.width != 2 && head.width != 4 && head.width != 8) || head.count > INTSET_MAX ||
        !checked_array(head.count, head.width, sizeof head, &n) || n != b.n)
        return false;
    const uint8_t *v = (const uint8_t *)b.p + sizeof head;
    for (uint32_t i = 1; i < head.count; i++) {
        if (get(v, head.width, i - 1) >= get(v, head.width, i))
            return false;
    }
    return true;
}

struct intset *intset_from_bytes(struct bytes b)
{
    return memcpy(block_new(b.n), b.p, b.n);
}
