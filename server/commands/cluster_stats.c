/* CLUSTER SLOT-STATS: what was done with the slots of this node, in the form of Valkey 8. Counted always. */
#include <stdlib.h>

#include "common/arena.h"
#include "common/keyslot.h"
#include "common/num.h"
#include "server/commands/cluster_cmd.h"

enum metric { KEY_COUNT, CPU_USEC, BYTES_IN, BYTES_OUT, READS, WRITES, MEMORY_BYTES, METRICS_N };

static const char *const metric_names[METRICS_N] = {
    "key-count", "cpu-usec", "network-bytes-in", "network-bytes-out", "reads", "writes", "memory-bytes",
};

static uint64_t value_of(struct db *db, unsigned slot, enum metric m)
{
    const struct ks_slot_stats *s = db_slot_stats(db, slot);
    switch (m) {
    case KEY_COUNT: return db_slot_size(db, slot);
    case CPU_USEC: return s->cpu_ns / 1000;
    case BYTES_IN: return s->bytes_in;
    case BYTES_OUT: return s->bytes_out;
    case READS: return s->reads;
    case WRITES: return s->writes;
    case MEMORY_BYTES: return db_slot_memory(db, slot);
    case METRICS_N: break;
    }
    return 0;
}

/* Slots that this node, or its master, serves. */
static bool is_ours(const struct cluster *machine, unsigned slot)
{
    const struct cluster_node *owner = cluster_owner(machine, slot), *me = cluster_myself(machine);
    if (owner == NULL || owner == me)
        return owner != NULL;
    struct cluster_node_view v;
    cluster_view(machine, me, &v);
    return v.master == owner;
}

static void reply_slot(struct call *c, struct db *db, unsigned slot)
{
    reply_array(c, 2);
    reply_int(c, slot);
    resp_map(c->w, METRICS_N);
    for (enum metric m = 0; m < METRICS_N; m++) {
        resp_bulk_str(c->w, metric_names[m]);
        reply_int(c, (int64_t)value_of(db, slot, m));
    }
}

static void slots_range(struct call *c)
{
    int first, last;
    if (!arg_slot(c, 3, &first) || !arg_slot(c, 4, &last))
        return;
    if (first > last) {
        resp_errorf(c->w, "ERR Start slot number %d is greater than end slot number %d", first, last);
        return;
    }
    struct writer_mark m = resp_later(c->w);
    int64_t n = 0;
    for (int slot = first; slot <= last; slot++) {
        if (!is_ours(cluster_of(c), (unsigned)slot))
            continue;
        reply_slot(c, ks_db(c->ks, 0), (unsigned)slot);
        n++;
    }
    resp_later_array(c->w, m, n);
}

/* ---- ORDERBY ---- */

struct order {
    enum metric by;
    bool ascending;
    int64_t limit;
};

static bool parse_order(struct call *c, struct order *ret)
{
    struct order o = { METRICS_N, false, KEY_SLOTS };
    bool has_limit = false, has_order = false;
    for (enum metric m = 0; m < METRICS_N; m++)
        if (arg_is(c, 3, metric_names[m]))
            o.by = m;
    if (o.by == METRICS_N) {
        reply_error(c, "ERR Unrecognized sort metric for ORDERBY.");
        return false;
    }
    for (int i = 4; i < c->argc; i++) {
        bool limit = arg_is(c, i, "limit") && i + 1 < c->argc, asc = arg_is(c, i, "asc"), desc = arg_is(c, i, "desc");
        if (!limit && !asc && !desc) {
            reply_syntax_error(c);
            return false;
        }
        if ((limit && has_limit) || (!limit && has_order)) {
            reply_error(c, "ERR Multiple filters of the same type are disallowed.");
            return false;
        }
        has_limit |= limit;
        has_order |= !limit;
        o.ascending |= asc;
        if (limit && (!num_parse_i64(c->argv[++i], &o.limit) || o.limit < 1 || o.limit > KEY_SLOTS)) {
            reply_error(c, "ERR Limit has to lie in between 1 and 16384 (maximum number of slots).");
            return false;
        }
    }
    *ret = o;
    return true;
}

struct ranked {
    uint64_t value;
    unsigned slot;
};

static int by_value_up(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->slot < y->slot ? -1 : 1;
}

static int by_value_down(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return x->slot < y->slot ? -1 : 1;
}

static void order_by(struct call *c)
{
    struct order o;
    if (!parse_order(c, &o))
        return;
    struct db *db = ks_db(c->ks, 0);
    struct ranked *list = arena_array(c->arena, KEY_SLOTS, sizeof(*list));
    size_t n = 0;
    for (unsigned slot = 0; slot < KEY_SLOTS; slot++)
        if (is_ours(cluster_of(c), slot))
            list[n++] = (struct ranked){ value_of(db, slot, o.by), slot };
    qsort(list, n, sizeof(*list), o.ascending ? by_value_up : by_value_down);
    if (n > (size_t)o.limit)
        n = (size_t)o.limit;
    reply_array(c, (int64_t)n);
    for (size_t i = 0; i < n; i++)
        reply_slot(c, db, list[i].slot);
}

void cmd_cluster_slot_stats(struct call *c)
{
    if (!cluster_is_on(c))
        return;
    if (c->argc == 5 && arg_is(c, 2, "slotsrange"))
        slots_range(c);
    else if (arg_is(c, 2, "orderby"))
        order_by(c);
    else
        reply_subcommand_error(c);
}
