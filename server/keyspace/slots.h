/* A database kept by hash slot (cluster mode): one table per slot, so that a slot can be counted, walked, sampled and
 * dropped alone, however unevenly hash tags fill the slots. Nobody outside of the keyspace includes this.
 *
 *   hash of a key:  | slot: 14 bits | 50 bits of hash_bytes |        the lower part, shifted up, is the table's hash
 *   struct slots -> page of 32 slots (4 KB, made with the first key) -> slot: two cache lines -> table
 *
 * A small table has its directory inside of itself, so a lookup touches the slot's first line, the bucket and the
 * entry: as many as in one large table. The counters of the slot are in its second line. */
#pragma once

#include "common/heap.h"
#include "common/keyslot.h"
#include "common/prng.h"
#include "common/table.h"
#include "server/keyspace/keyspace.h"

#define SLOT_HASH_BITS 50 /* of a full hash, below the slot */
#define SLOT_PAGE      32u
#define SLOT_PAGES     (KEY_SLOTS / SLOT_PAGE)

struct slot {
    struct table table;
    struct heap_node due; /* in slots.due when a key may expire */
    struct ks_slot_stats stats;
    uint16_t number;
    uint32_t collections; /* keys that hold one */
    uint64_t bytes;       /* of the entries and strings, exactly: see db_weigh */
};
STATIC_ASSERT(sizeof(struct slot) == 128, "two lines: the table's and the counters'");

struct slot_page { /* 4 KB */
    struct slot slots[SLOT_PAGE];
};

struct slots {
    uint64_t count; /* keys */
    struct heap due; /* of slot.due: no key of the slot is due before */
    uint64_t measured;    /* slots_measure: of the slot under way */
    uint64_t collections; /* keys that hold one */
    struct slot_page *pages[SLOT_PAGES]; /* without keys ever: all the same empty one */
    uint64_t page_count[SLOT_PAGES];     /* keys */
};

struct slots *slots_new(void);
void slots_free(struct slots *); /* without the keys, which must have gone */

void slots_copy_stats(struct slots *to, const struct slots *from); /* all but the memory */

static inline struct slot *slots_at(const struct slots *s, unsigned slot)
{
    return &s->pages[slot / SLOT_PAGE]->slots[slot % SLOT_PAGE];
}

struct slot *slots_make(struct slots *, unsigned slot); /* the same, to be written to */
void slots_note_due(struct slots *, struct slot *);     /* after a key with an expiry came or changed */
void slots_counted(struct slots *, const struct slot *, int64_t keys); /* that many came */
/* A slot chosen by its share of the keys; there must be some. */
struct slot *slots_pick(const struct slots *, struct prng *);
/* The next slot with keys from this one on; KEY_SLOTS: none. */
unsigned slots_next(const struct slots *, unsigned slot);
uint64_t slots_scan(const struct slots *, uint64_t cursor, void (*visit)(void *ctx, void *item), void *ctx);
/* Walks the slots that hold collections, adding up what `weigh` gives for each item; a slot's sum is in its stats when
 * it was seen whole. *pos counts on, 0 at the end of a round. */
void slots_measure(struct slots *, uint64_t *pos, unsigned buckets, uint64_t (*weigh)(const void *item));
/* Shrinks some tables; *pos counts through the slots, 0 at the end of a round. */
void slots_tidy(struct slots *, uint64_t *pos, unsigned segments);
unsigned slots_take_due(struct slots *, const struct table_kind *, int64_t now, void **ret_items, unsigned max);
void *slots_earliest(struct slots *, const struct table_kind *);
/* As table_sample and table_sample_due, from random slots. */
unsigned slots_sample(const struct slots *, struct prng *, enum table_sample, unsigned buckets, void **ret_items,
                      unsigned max);
unsigned slots_sample_due(const struct slots *, struct prng *, void **ret_items, unsigned max);
uint64_t slots_table_slots(const struct slots *);
size_t slots_bytes(const struct slots *);
/* Frees a part, as table_clear_some does; true when all is gone. */
bool slots_clear_some(struct slots *, uint64_t *pos, void (*give)(void *ctx, void *item), void *ctx);
