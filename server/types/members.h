/* What large sets and hashes are made of: the table of common/table.h with one slab allocation per
 * element.
 *
 *   item: length of the name, 1 byte (255: 8 more bytes have it) | name | what the type adds
 *
 * So an element costs its bytes rounded up to 8 and about 10 bytes of table; a lookup touches the
 * directory, one bucket and the item. All such tables share one hash function, hence one order:
 * walking one and asking another visits the buckets of both from front to back (set_ops.c lives on
 * that). */
#pragma once

#include "common/hash.h"
#include "common/prng.h"
#include "common/table.h"

struct members {
    struct table table;
    size_t item_bytes;  /* memory of all items */
    uint64_t clear_pos; /* members_free_some */
};

#define MEMBER_LONG 255u

static inline struct bytes member_name(const void *item)
{
    const uint8_t *p = item;
    if (__builtin_expect(*p != MEMBER_LONG, 1))
        return bytes_of(p + 1, *p);
    size_t n;
    memcpy(&n, p + 1, sizeof n);
    return bytes_of(p + 1 + sizeof n, n);
}

static const struct table_kind member_kind = { member_name, hash_bytes, NULL };

static inline size_t member_name_size(size_t n) /* bytes in an item */
{
    return n < MEMBER_LONG ? 1 + n : 1 + sizeof(size_t) + n;
}

uint8_t *member_write_name(void *item, struct bytes name); /* gives what follows it */

static inline void *members_find(const struct members *m, uint64_t hash, struct bytes name,
                                 struct table_at *ret_at)
{
    return table_find(&m->table, &member_kind, hash, name, ret_at);
}

struct members *members_new(uint64_t expected); /* presized for so many */

/* What the items of a type are, behind the name. */
struct member_ops {
    size_t (*size)(const void *item);    /* bytes that were asked of slab_alloc */
    void (*done)(void *item);            /* lets go of what the item points to; NULL: nothing */
    size_t (*outside)(const void *item); /* memory of what it points to; NULL: nothing */
    void (*copied)(void *item); /* a copy was made, bytes as they are; NULL: nothing to do */
};
void members_insert(struct members *, const struct member_ops *, uint64_t hash, void *take);
/* Frees the item. */
void members_remove(struct members *, const struct member_ops *, const struct table_at *);
size_t member_memory(const struct member_ops *, const void *item);
void members_free(struct members *, const struct member_ops *);
/* Frees about `effort` items; true: all are gone, and the table. */
bool members_free_some(struct members *, const struct member_ops *, unsigned effort);
struct members *members_copy(const struct members *, const struct member_ops *);
size_t members_memory(const struct members *);

/* ---- walking: all items, in the order of the table; it may not change meanwhile ---- */
struct members_walk {
    const struct table *table;
    struct table_place place;
    uint64_t hash; /* of the segment's begin */
    uint32_t bucket;
    unsigned slot;
    bool done;
};
void members_walk_begin(struct members_walk *, const struct members *);
void *members_walk_next(struct members_walk *); /* NULL: done */

/* ---- choosing ---- */
/* k different items, each choice equally likely; k <= items. The order is not random when k is
 * large. */
void members_pick(const struct members *, uint64_t k, struct prng *,
                  void (*visit)(void *ctx, void *item), void *ctx);

/* Choosing k of n in one walk: is the next one taken? (Knuth 3.4.2, algorithm S) */
struct choice {
    uint64_t wanted, left; /* elements still to be taken, to be seen */
};
static inline bool choice_next(struct choice *c, struct prng *r)
{
    bool take = prng_below(r, c->left) < c->wanted;
    c->left--;
    c->wanted -= take;
    return take;
}
