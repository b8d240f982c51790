/* Freeing what keys pointed to: at once, or bit by bit between commands.
 *
 * A large collection or a whole database goes to a queue in O(1); ks_lazyfree_step works it off in
 * slices of some tens of microseconds. Blobs look after themselves (common/blob.h: large ones are
 * freed by a thread). */
#include "common/alloc.h"
#include "server/keyspace/inner.h"

#define LAZY_MIN       64 /* elements: below, freeing costs less than queueing */
#define SLICE_ELEMENTS 256

struct garbage {
    struct garbage *next;
    uint64_t counted; /* objects that are in garbage_pending for it */
    void *object;     /* a collection; else `slots`, else `table` */
    struct slots *slots;
    enum value_type type;
    enum value_encoding encoding;
    struct table table;
    uint64_t pos; /* table_clear_some */
};

static void queue(struct keyspace *ks, struct garbage *g)
{
    g->next = NULL;
    *ks->garbage_end = g;
    ks->garbage_end = &g->next;
    ks->garbage_pending += g->counted;
}

static void queue_object(struct keyspace *ks, const struct entry *e, uint64_t counted)
{
    struct garbage *g = mem_alloc(sizeof *g);
    *g = (struct garbage){
        .counted = counted,
        .object = entry_object(e),
        .type = head_type(e),
        .encoding = entry_encoding(e),
    };
    queue(ks, g);
}

static bool is_large(const struct entry *e)
{
    if (head_type(e) == TYPE_STRING)
        return false;
    return value_ops(head_type(e))->elements(entry_object(e), entry_encoding(e)) > LAZY_MIN;
}

static void free_now(struct entry *e)
{
    if (head_form(e) == FORM_BLOB)
        blob_unref(entry_blob(e));
    else if (head_type(e) != TYPE_STRING)
        value_ops(head_type(e))->free(entry_object(e), entry_encoding(e));
}

void value_free(struct keyspace *ks, struct entry *e, enum ks_del how)
{
    if (how == KS_DEL_LAZY && is_large(e))
        queue_object(ks, e, 1);
    else
        free_now(e);
}

void entry_free_all(struct keyspace *ks, struct entry *e, enum ks_del how)
{
    if (entry_has_pointer(e))
        value_free(ks, e, how);
    entry_free(e);
}

void lazyfree_table(struct keyspace *ks, struct table *t)
{
    struct garbage *g = mem_alloc(sizeof *g);
    *g = (struct garbage){ .counted = t->count };
    table_init(&g->table);
    table_swap(&g->table, t);
    queue(ks, g);
}

void lazyfree_db(struct db *db)
{
    if (db->slots) {
        struct slots *old = db->slots;
        db->slots = slots_new();
        slots_copy_stats(db->slots, old);
        if (old->count == 0) {
            slots_free(old);
        } else {
            struct garbage *g = mem_alloc(sizeof *g);
            *g = (struct garbage){ .counted = old->count, .slots = old };
            queue(db->ks, g);
        }
    } else if (db->table.count) {
        lazyfree_table(db->ks, &db->table);
    } else {
        table_done(&db->table);
    }
    db->volatile_n = 0;
    db->expire_sum = 0;
    db->tidy_pos = 0;
}

/* ---- working the queue off ---- */

static void give_entry(void *ctx, void *item)
{
    struct keyspace *ks = ctx;
    struct entry *e = item;
    if (is_large(e))
        queue_object(ks, e, 0); /* it was counted as a key of its database */
    else
        free_now(e);
    entry_free(e);
}

static void count_freed(struct keyspace *ks, struct garbage *g, uint64_t n)
{
    g->counted -= n;
    ks->garbage_pending -= n;
    ks->stats.lazyfreed += n;
}

/* Frees a slice of it; true when it is gone. */
static bool garbage_step(struct keyspace *ks, struct garbage *g)
{
    if (g->slots) {
        bool done = slots_clear_some(g->slots, &g->pos, give_entry, ks);
        count_freed(ks, g, g->counted - g->slots->count);
        if (done)
            slots_free(g->slots);
        return done;
    }
    if (!g->object) {
        bool done = table_clear_some(&g->table, &g->pos, give_entry, ks);
        count_freed(ks, g, g->counted - g->table.count);
        return done;
    }
    if (!value_ops(g->type)->free_some(g->object, g->encoding, SLICE_ELEMENTS))
        return false;
    count_freed(ks, g, g->counted);
    return true;
}

/* One slice of the first in the queue. */
static void queue_step(struct keyspace *ks)
{
    struct garbage *g = ks->garbage;
    if (!garbage_step(ks, g))
        return;
    ks->garbage = g->next;
    if (!ks->garbage)
        ks->garbage_end = &ks->garbage;
    mem_free(g);
}

bool ks_lazyfree_step(struct keyspace *ks, usec_t (*clock_us)(void), usec_t budget_us)
{
    if (!ks->garbage)
        return false;
    usec_t end = clock_us() + budget_us;
    do
        queue_step(ks);
    while (ks->garbage && clock_us() < end);
    return ks->garbage != NULL;
}

void lazyfree_all(struct keyspace *ks)
{
    while (ks->garbage)
        queue_step(ks);
}

void ks_dissolve(struct keyspace *take, struct keyspace *heir)
{
    for (int i = 0; i < take->databases; i++) {
        lazyfree_db(&take->dbs[i]);
        slots_free(take->dbs[i].slots);
    }
    if (take->garbage) {
        *heir->garbage_end = take->garbage;
        heir->garbage_end = take->garbage_end;
        heir->garbage_pending += take->garbage_pending;
    }
    mem_free(take);
}

uint64_t ks_lazyfree_pending(const struct keyspace *ks)
{
    return ks->garbage_pending + blob_lazy_pending();
}
