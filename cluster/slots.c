/* Who owns which slot, and what happens when somebody claims some. */
#include "cluster/machine.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"

struct cluster_node *slot_owner(const struct cluster *c, unsigned slot)
{
    uint16_t i = c->owner[slot];
    return i == NOBODY ? NULL : c->nodes[i];
}

void slot_assign(struct cluster *c, unsigned slot, struct cluster_node *n)
{
    struct cluster_node *old = slot_owner(c, slot);
    if (old == n)
        return;
    if (old)
        old->n_slots--;
    if (old == c->me)
        move_set(&c->migrating, slot, NULL);
    if (n)
        n->n_slots++;
    c->slots_assigned += (n != NULL) - (old != NULL);
    c->owner[slot] = n ? (uint16_t)n->index : NOBODY;
    c->slots_version++;
    c->todo_state = c->todo_slots = true;
    save_later(c);
}

void slots_drop_all(struct cluster *c, struct cluster_node *n)
{
    for (unsigned s = 0; n->n_slots && s < CLUSTER_SLOTS; s++)
        if (slot_owner(c, s) == n)
            slot_assign(c, s, NULL);
}

/* ---- slots on their way ---- */

static size_t move_place(const struct moves *m, unsigned slot)
{
    size_t lo = 0, hi = m->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (m->v[mid].slot < slot)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct cluster_node *move_get(const struct moves *m, unsigned slot)
{
    if (!m->n)
        return NULL;
    size_t i = move_place(m, slot);
    return i < m->n && m->v[i].slot == slot ? m->v[i].node : NULL;
}

void move_set(struct moves *m, unsigned slot, struct cluster_node *n)
{
    size_t i = move_place(m, slot);
    bool there = i < m->n && m->v[i].slot == slot;
    if (!n) {
        if (there)
            memmove(m->v + i, m->v + i + 1, (--m->n - i) * sizeof *m->v);
        return;
    }
    if (!there) {
        if (m->n == m->cap) {
            m->cap = m->cap ? m->cap * 2 : 4;
            m->v = mem_realloc(m->v, m->cap * sizeof *m->v);
        }
        memmove(m->v + i + 1, m->v + i, (m->n++ - i) * sizeof *m->v);
    }
    m->v[i] = (struct move){ (uint16_t)slot, n };
}

/* ---- bitmaps ---- */

const uint8_t *slots_bitmap(struct cluster *c, struct cluster_node *n, uint8_t *space)
{
    memset(space, 0, WIRE_SLOTS);
    for (unsigned s = 0, left = n->n_slots; left; s++)
        if (c->owner[s] == n->index) {
            bit_set(space, s);
            left--;
        }
    return space;
}

bool slots_all_of(const struct cluster *c, const struct cluster_node *n, const uint8_t *slots)
{
    unsigned seen = 0;
    for (unsigned s = 0; s < CLUSTER_SLOTS; s++)
        if (bit_get(slots, s)) {
            if (c->owner[s] != n->index)
                return false;
            seen++;
        }
    return seen == n->n_slots;
}

/* ---- claims ---- */

static uint64_t claim_hash(uint64_t epoch, const uint8_t *slots)
{
    return hash_bytes(bytes_of(slots, WIRE_SLOTS)) ^ epoch * UINT64_C(0x9e3779b97f4a7c15);
}

bool slots_claim_is_known(struct cluster *c, struct cluster_node *n, uint64_t epoch, const uint8_t *slots)
{
    return n->claim_version == c->slots_version + 1 && n->claim_hash == claim_hash(epoch, slots);
}

/* Somebody with an older epoch claims what belongs to another one now: tell it. */
static void tell_newer_owner(struct cluster *c, struct cluster_node *sender, struct cluster_node *owner)
{
    uint8_t space[WIRE_SLOTS];
    struct frame f = frame_begin(c, WIRE_UPDATE);
    f.update.epoch = owner->config_epoch;
    f.update.name = owner->name;
    f.update.slots = slots_bitmap(c, owner, space);
    node_send(c, sender, frame_end(c, &f), WIRE_UPDATE);
}

/* The slots of ours (or of our master) that were the last ones went to `sender`: we serve it from now on. */
static void follow_the_slots(struct cluster *c, struct cluster_node *sender, struct cluster_node *loser,
                             unsigned taken, const uint8_t *slots)
{
    bool all_of_its = taken == sender->n_slots; /* it holds nothing but what was ours: a failover of this shard */
    if (loser->n_slots == 0 && (c->config.allow_replica_migration || all_of_its)) {
        trace(c, CLUSTER_TRACE_NOTICE, "Configuration change detected. Reconfiguring myself as a replica of %.40s",
              sender->name);
        become_replica_of(c, sender);
    }
}

void slots_claim(struct cluster *c, struct cluster_node *sender, uint64_t epoch, const uint8_t *slots)
{
    if (sender == c->me)
        return;
    struct cluster_node *mine = c->me->master ? c->me->master : c->me, *newer = NULL;
    unsigned taken = 0;
    for (unsigned s = 0; s < CLUSTER_SLOTS; s++) {
        if (!slots[s >> 3]) {
            s |= 7;
            continue;
        }
        if (!bit_get(slots, s))
            continue;
        struct cluster_node *owner = slot_owner(c, s);
        if (owner == sender)
            continue;
        if (owner && owner->config_epoch > epoch)
            newer = owner;
        if (owner && owner->config_epoch >= epoch)
            continue;
        if (move_get(&c->importing, s))
            continue; /* it will be ours: the end of the move decides */
        taken += owner == mine;
        if (owner == c->me) {
            bit_set(c->lost, s);
            c->any_lost = true;
        }
        slot_assign(c, s, sender);
    }
    if (newer)
        tell_newer_owner(c, sender, newer);
    if (taken && mine != sender)
        follow_the_slots(c, sender, mine, taken, slots);
    sender->claim_version = c->slots_version + 1;
    sender->claim_hash = claim_hash(epoch, slots);
    if (newer)
        sender->claim_version = 0; /* it is to be told again until it knows */
}
