/* A database kept by hash slot (see slots.h). */
#include "server/keyspace/slots.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/prng.h"

#define TABLE_CURSOR_BITS 48 /* of table_scan */

/* Of all slots that never had a key. Lookups find empty tables in it; nothing writes to it after it was set up. */
static struct slot_page empty_page;

static void page_init(struct slot_page *p, unsigned first)
{
    *p = (struct slot_page){ 0 };
    for (unsigned i = 0; i < SLOT_PAGE; i++) {
        table_init(&p->slots[i].table);
        p->slots[i].number = first + i;
    }
}

struct slots *slots_new(void)
{
    if (!empty_page.slots[0].table.dir)
        page_init(&empty_page, 0);
    struct slots *s = mem_zalloc(sizeof(*s));
    for (unsigned i = 0; i < SLOT_PAGES; i++)
        s->pages[i] = &empty_page;
    return s;
}

void slots_free(struct slots *s)
{
    if (!s)
        return;
    ASSERT(s->count == 0);
    heap_done(&s->due);
    for (unsigned i = 0; i < SLOT_PAGES; i++) {
        if (s->pages[i] == &empty_page)
            continue;
        for (unsigned j = 0; j < SLOT_PAGE; j++)
            table_done(&s->pages[i]->slots[j].table);
        mem_free(s->pages[i]);
    }
    mem_free(s);
}

struct slot *slots_make(struct slots *s, unsigned slot)
{
    struct slot_page **p = &s->pages[slot / SLOT_PAGE];
    if (__builtin_expect(*p == &empty_page, 0)) {
        *p = mem_alloc(sizeof(**p));
        page_init(*p, slot - slot % SLOT_PAGE);
    }
    return &(*p)->slots[slot % SLOT_PAGE];
}

void slots_copy_stats(struct slots *to, const struct slots *from)
{
    for (unsigned slot = 0; slot < KEY_SLOTS; slot++) {
        struct ks_slot_stats s = slots_at(from, slot)->stats;
        s.collections_bytes = 0;
        if (s.reads + s.writes + s.bytes_in)
            slots_make(to, slot)->stats = s;
    }
}

void slots_note_due(struct slots *s, struct slot *slot)
{
    int64_t due = table_next_due(&slot->table);
    if (due != TABLE_NOT_DUE && (!heap_has(&slot->due) || due < heap_key(&s->due, &slot->due)))
        heap_set(&s->due, &slot->due, due);
}

/* What the heap knows of a slot may be too early: makes it exact. */
static void renew_due(struct slots *s, struct slot *slot)
{
    int64_t due = table_next_due(&slot->table);
    if (due == TABLE_NOT_DUE)
        heap_remove(&s->due, &slot->due);
    else
        heap_set(&s->due, &slot->due, due);
}

void slots_counted(struct slots *s, const struct slot *slot, int64_t keys)
{
    s->count += (uint64_t)keys;
    s->page_count[slot->number / SLOT_PAGE] += (uint64_t)keys;
}

struct slot *slots_pick(const struct slots *s, struct prng *r)
{
    ASSERT(s->count > 0);
    uint64_t at = prng_below(r, s->count);
    unsigned page = 0, i = 0;
    for (; at >= s->page_count[page]; page++)
        at -= s->page_count[page];
    for (; at >= s->pages[page]->slots[i].table.count; i++)
        at -= s->pages[page]->slots[i].table.count;
    return &s->pages[page]->slots[i];
}

unsigned slots_next(const struct slots *s, unsigned slot)
{
    while (slot < KEY_SLOTS) {
        if (s->page_count[slot / SLOT_PAGE] == 0) {
            slot = (slot / SLOT_PAGE + 1) * SLOT_PAGE;
            continue;
        }
        if (slots_at(s, slot)->table.count)
            return slot;
        slot++;
    }
    return KEY_SLOTS;
}

/* A cursor is a slot and the cursor of its table: 62 bits. */
uint64_t slots_scan(const struct slots *s, uint64_t cursor, void (*visit)(void *ctx, void *item), void *ctx)
{
    if (cursor >> TABLE_CURSOR_BITS >= KEY_SLOTS)
        return 0;
    unsigned slot = (unsigned)(cursor >> TABLE_CURSOR_BITS);
    uint64_t in_table = cursor & (((uint64_t)1 << TABLE_CURSOR_BITS) - 1);
    if (slots_at(s, slot)->table.count == 0) {
        slot = slots_next(s, slot);
        in_table = 0;
        if (slot == KEY_SLOTS)
            return 0;
    }
    in_table = table_scan(&slots_at(s, slot)->table, in_table, visit, ctx);
    if (in_table == 0)
        slot = slots_next(s, slot + 1);
    return slot == KEY_SLOTS ? 0 : (uint64_t)slot << TABLE_CURSOR_BITS | in_table;
}

/* The position is a slot in the upper 14 bits and a segment of its table below. A table of more than 2^50 positions
 * does not exist: positions are multiples of the shallowest segment. */
void slots_tidy(struct slots *s, uint64_t *pos, unsigned segments)
{
    unsigned slot = (unsigned)(*pos >> SLOT_HASH_BITS);
    uint64_t in_table = *pos << (64 - SLOT_HASH_BITS);
    for (; segments > 0; segments--) {
        while (slot < KEY_SLOTS && s->pages[slot / SLOT_PAGE] == &empty_page)
            slot = (slot / SLOT_PAGE + 1) * SLOT_PAGE;
        if (slot == KEY_SLOTS)
            break;
        table_tidy(&slots_at(s, slot)->table, &in_table, 1);
        if (in_table == 0)
            slot++;
    }
    *pos = slot >= KEY_SLOTS ? 0 : (uint64_t)slot << SLOT_HASH_BITS | in_table >> (64 - SLOT_HASH_BITS);
}

struct measure {
    uint64_t (*weigh)(const void *item);
    uint64_t sum;
};

static void measure_item(void *ctx, void *item)
{
    struct measure *m = ctx;
    m->sum += m->weigh(item);
}

void slots_measure(struct slots *s, uint64_t *pos, unsigned buckets, uint64_t (*weigh)(const void *item))
{
    unsigned slot = (unsigned)(*pos >> TABLE_CURSOR_BITS);
    uint64_t cursor = *pos & (((uint64_t)1 << TABLE_CURSOR_BITS) - 1);
    for (; buckets > 0 && slot < KEY_SLOTS; buckets--) {
        struct slot *at = slots_at(s, slot);
        if (at->collections == 0) {
            slot = slots_next(s, slot + 1);
            cursor = s->measured = 0;
            continue;
        }
        struct measure m = { weigh, 0 };
        cursor = table_scan(&at->table, cursor, measure_item, &m);
        s->measured += m.sum;
        if (cursor)
            continue;
        at->stats.collections_bytes = s->measured;
        s->measured = 0;
        slot = slots_next(s, slot + 1);
    }
    *pos = slot >= KEY_SLOTS ? 0 : (uint64_t)slot << TABLE_CURSOR_BITS | cursor;
}

unsigned slots_take_due(struct slots *s, const struct table_kind *kind, int64_t now, void **ret_items, unsigned max)
{
    unsigned n = 0;
    while (max - n >= TABLE_SLOTS && heap_top_key(&s->due) < now) {
        struct slot *slot = HEAP_ITEM(heap_top(&s->due), struct slot, due);
        n += table_take_due(&slot->table, kind, now, ret_items + n, max - n);
        renew_due(s, slot);
    }
    return n;
}

void *slots_earliest(struct slots *s, const struct table_kind *kind)
{
    while (heap_top(&s->due)) {
        struct slot *slot = HEAP_ITEM(heap_top(&s->due), struct slot, due);
        int64_t before = heap_top_key(&s->due);
        void *item = table_earliest(&slot->table, kind);
        renew_due(s, slot);
        if (item && heap_key(&s->due, &slot->due) == before)
            return item;
    }
    return NULL;
}

/* A small slot has few keys to give: others are asked too. */
unsigned slots_sample(const struct slots *s, struct prng *r, enum table_sample which, unsigned buckets,
                      void **ret_items, unsigned max)
{
    unsigned n = 0;
    for (unsigned tries = 0; s->count && n < max && tries < max; tries++) {
        const struct table *t = &slots_pick(s, r)->table;
        unsigned most = t->count < max - n ? (unsigned)t->count : max - n;
        n += table_sample(t, prng_u64(r), which, buckets, ret_items + n, most);
    }
    return n;
}

unsigned slots_sample_due(const struct slots *s, struct prng *r, void **ret_items, unsigned max)
{
    if (s->due.n == 0)
        return 0;
    const struct slot *slot = HEAP_ITEM(s->due.slots[prng_below(r, s->due.n)].node, struct slot, due);
    return table_sample_due(&slot->table, prng_u64(r), ret_items, max);
}

uint64_t slots_table_slots(const struct slots *s)
{
    uint64_t n = 0;
    for (unsigned slot = slots_next(s, 0); slot < KEY_SLOTS; slot = slots_next(s, slot + 1))
        n += table_slots(&slots_at(s, slot)->table);
    return n;
}

size_t slots_bytes(const struct slots *s)
{
    size_t n = sizeof(*s) + s->due.cap * sizeof(*s->due.slots);
    for (unsigned i = 0; i < SLOT_PAGES; i++) {
        if (s->pages[i] == &empty_page)
            continue;
        n += sizeof(**s->pages);
        for (unsigned j = 0; j < SLOT_PAGE; j++)
            n += table_bytes(&s->pages[i]->slots[j].table);
    }
    return n;
}

bool slots_clear_some(struct slots *s, uint64_t *pos, void (*give)(void *ctx, void *item), void *ctx)
{
    unsigned slot = slots_next(s, (unsigned)(*pos >> SLOT_HASH_BITS));
    if (slot == KEY_SLOTS)
        return true;
    struct slot *at = slots_at(s, slot);
    uint64_t in_table = *pos << (64 - SLOT_HASH_BITS), before = at->table.count;
    if (slot != *pos >> SLOT_HASH_BITS)
        in_table = 0;
    if (in_table == 0)
        heap_remove(&s->due, &at->due);
    bool done = table_clear_some(&at->table, &in_table, give, ctx);
    slots_counted(s, at, (int64_t)at->table.count - (int64_t)before);
    *pos = (uint64_t)slot << SLOT_HASH_BITS | in_table >> (64 - SLOT_HASH_BITS);
    return done && s->count == 0;
}
