/* Listpacks from outside (DUMP payloads, RDB files): nothing in them is believed. They are checked
 * whole before any verb of listpack.h may walk them. */
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/checked.h"
#include "common/hash.h"
#include "common/num.h"
#include "server/types/block.h"
#include "server/types/listpack.h"

/* ---- validation ---- */

/* Bytes that must be there to know the size of an entry with this head; 0: no such head. */
static size_t head_need(uint8_t head)
{
    if (head < 0xC0)
        return 1;
    if (head < 0xF0)
        return 2;
    return head == 0xF0 ? 5 : head <= 0xF4 ? 1 : 0;
}

/* The size of head and data of an entry of which `left` bytes are there; 0: cut short or no entry.
 */
static size_t checked_entry(const uint8_t *p, size_t left)
{
    size_t need = left ? head_need(*p) : 0;
    if (need == 0 || need > left)
        return 0;
    size_t n = lp_size(p);
    return n <= left ? n : 0;
}

static bool checked_back(const uint8_t *p, size_t left, size_t size)
{
    unsigned n = lp_back_size(size);
    if (n > left)
        return false;
    for (unsigned i = n; i-- > 0; size >>= 7) {
        if (p[i] != (uint8_t)(i ? (size & 127) | 128 : size))
            return false;
    }
    return true;
}

/* Notes what an entry (valid by itself) tells about the whole. */
static void note(struct lp_facts *f, const uint8_t *p, size_t size)
{
    struct element e;
    char text[ELEMENT_SCRATCH];
    lp_get(p, &e);
    f->count++;
    f->integers &= !e.s.p;
    struct bytes s = element_text(&e, text);
    if (s.n > f->text_max)
        f->text_max = s.n;
    if (lp_entry_bytes(s) !=
        size +
            lp_back_size(size)) /* as strings are never smaller than integers, equal is the same */
        f->canonical = false;
}

bool lp_validate(struct bytes b, struct lp_facts *ret_facts)
{
    const uint8_t *lp = (const uint8_t *)b.p;
    if (b.n < LP_EMPTY || b.n > UINT32_MAX || lp_bytes(lp) != b.n)
        return false;
    struct lp_facts f = { .canonical = true, .integers = true };
    const uint8_t *p = lp + LP_HEADER, *end = lp + b.n - 1;
    if (*end != LP_END)
        return false;
    while (p < end) {
        size_t left = (size_t)(end - p), n = checked_entry(p, left);
        if (n == 0 || !checked_back(p + n, left - n, n))
            return false;
        note(&f, p, n);
        p = lp_skip(p);
    }
    uint16_t count;
    memcpy(&count, lp + 4, sizeof count);
    if (count != UINT16_MAX && count != f.count)
        return false;
    *ret_facts = f;
    return true;
}

uint8_t *lp_from_bytes(struct bytes b, const struct lp_facts *facts)
{
    if (facts->canonical)
        return memcpy(block_new(b.n), b.p, b.n);
    uint8_t *lp = lp_new();
    for (const uint8_t *p = (const uint8_t *)b.p + LP_HEADER; !lp_is_end(p); p = lp_skip(p)) {
        struct element e;
        char text[ELEMENT_SCRATCH];
        lp_get(p, &e);
        lp_append(&lp, element_text(&e, text));
    }
    return lp;
}

/* ---- duplicates ---- */

struct mark {
    uint64_t hash;
    const uint8_t *p;
};

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct mark *)a)->hash, y = ((const struct mark *)b)->hash;
    return (x > y) - (x < y);
}

static struct bytes entry_bytes(const uint8_t *p)
{
    return bytes_of(p, lp_size(p));
}

bool lp_has_duplicates(const uint8_t *lp, unsigned step)
{
    ASSERT(step > 0);
    size_t n = 0, bytes;
    uint32_t count = lp_count(lp);
    if (!checked_mul(count / step + 1, sizeof(struct mark), &bytes))
        return true;
    struct mark *marks = mem_alloc(bytes);
    unsigned i = 0;
    for (const uint8_t *p = lp_begin(lp); !lp_is_end(p); p = lp_skip(p), i++) {
        if (i % step == 0)
            marks[n++] = (struct mark){ hash_bytes(entry_bytes(p)), p };
    }
    qsort(marks, n, sizeof *marks, by_hash);
    bool found = false;
    for (size_t k = 1; k < n && !found; k++)
        found = marks[k].hash == marks[k - 1].hash &&
                bytes_eq(entry_bytes(marks[k].p), entry_bytes(marks[k - 1].p));
    mem_free(marks);
    return found;
}
