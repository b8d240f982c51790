/* Listpacks and intsets from outside: what is accepted can be walked, found, changed and loaded;
 * nothing is read beyond the bytes that are there.
 *
 * The input is tried as it is, and again as the entries of a listpack whose header and end are
 * right, so that mutations get past the first checks. */
#include "server/types/listpack.h"

#include <stdlib.h>

#include "common/assert.h"
#include "server/types/hash.h"
#include "server/types/intset.h"
#include "server/types/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct types_limits limits = {
    .hash_max_listpack_entries = 4,
    .hash_max_listpack_value = 64,
    .set_max_intset_entries = 4,
    .set_max_listpack_entries = 4,
    .set_max_listpack_value = 64,
};

/* From both ends the same elements are met; each one finds itself or an equal one before it. */
static void check_walk(const uint8_t *lp, const struct lp_facts *facts)
{
    uint32_t n = 0, back = 0;
    for (const uint8_t *p = lp_begin(lp); !lp_is_end(p); p = lp_skip(p), n++) {
        struct element e;
        char scratch[ELEMENT_SCRATCH];
        lp_get(p, &e);
        struct bytes text = element_text(&e, scratch);
        ASSERT(text.n <= facts->text_max);
        ASSERT(lp_equals(p, text));
        if (n < 64) {
            const uint8_t *first = lp_find(lp_begin(lp), text, 0);
            ASSERT(first && first <= p);
        }
    }
    for (const uint8_t *p = lp_last(lp); p; p = lp_prev(lp, p))
        back++;
    ASSERT(n == facts->count && back == n && lp_count(lp) == n);
}

/* Taking every second element away and adding some leaves a listpack. */
static void check_changes(uint8_t *lp)
{
    struct lp_facts facts;
    for (uint8_t *p = lp_begin(lp); !lp_is_end(p);) {
        p = lp_delete(&lp, p, 1);
        if (!lp_is_end(p))
            p = lp_skip(lp_replace(&lp, p, BYTES("replaced")));
    }
    lp_append_i64(&lp, -70000);
    lp_prepend(&lp, BYTES("first"));
    ASSERT(lp_validate(bytes_of(lp, lp_bytes(lp)), &facts));
    lp_free(lp);
}

static void check_loads(struct bytes b)
{
    struct value_ref v;
    if (hash_load_listpack(b, &limits, &v))
        hash_free(v);
    if (set_load_listpack(b, &limits, &v))
        set_free(v);
}

static void check_listpack(struct bytes b)
{
    struct lp_facts facts, ours;
    if (!lp_validate(b, &facts))
        return;
    uint8_t *lp = lp_from_bytes(b, &facts);
    ASSERT(lp_validate(bytes_of(lp, lp_bytes(lp)), &ours));
    ASSERT(ours.canonical && ours.count == facts.count);
    check_walk(lp, &ours);
    check_changes(lp);
    check_loads(b);
}

static void check_as_entries(const uint8_t *data, size_t size)
{
    uint32_t total = (uint32_t)(LP_EMPTY + size);
    uint8_t *lp = malloc(total);
    ASSERT(lp != NULL);
    memcpy(lp, &total, sizeof total);
    memset(lp + 4, 0xFF, 2); /* count unknown */
    if (size)
        memcpy(lp + LP_HEADER, data, size);
    lp[total - 1] = LP_END;
    check_listpack(bytes_of(lp, total));
    free(lp);
}

static void check_intset(struct bytes b)
{
    struct value_ref v;
    if (!intset_validate(b))
        return;
    struct intset *s = intset_from_bytes(b);
    uint32_t n = intset_count(s);
    for (uint32_t i = 0; i < n; i++)
        ASSERT(intset_has(s, intset_at(s, i)));
    intset_free(s);
    ASSERT(set_load_intset(b, &limits, &v));
    ASSERT(set_count(v) == n);
    set_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_listpack(bytes_of(data, size));
    check_as_entries(data, size);
    check_intset(bytes_of(data, size));
    return 0;
}
