/* Who is known: records of nodes by name, who replicates whom, who reported whom, who was forgotten on purpose. */
#include "cluster/machine.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"

static bool has_name(const void *item, const void *name)
{
    return memcmp(((const struct cluster_node *)item)->name, name, CLUSTER_NAME) == 0;
}

static uint64_t hash_of(const char *name)
{
    return hash_bytes(bytes_of(name, CLUSTER_NAME));
}

struct cluster_node *node_find(const struct cluster *c, const char *name)
{
    return map_find(&c->by_name, hash_of(name), has_name, name);
}

struct cluster_node *node_add(struct cluster *c, const char *name, unsigned flags)
{
    ASSERT(c->n_nodes < NODES_MAX);
    if (c->n_nodes == c->cap_nodes) {
        c->cap_nodes = c->cap_nodes ? c->cap_nodes * 2 : 16;
        c->nodes = mem_realloc(c->nodes, c->cap_nodes * sizeof *c->nodes);
    }
    struct cluster_node *n = mem_zalloc(sizeof *n);
    if (name)
        memcpy(n->name, name, CLUSTER_NAME);
    else
        random_name(c, n->name);
    random_name(c, n->shard);
    n->flags = (uint16_t)flags;
    n->index = (uint32_t)c->n_nodes;
    n->created = c->now;
    list_init(&n->replicas);
    c->nodes[c->n_nodes++] = n;
    map_put(&c->by_name, hash_of(n->name), n);
    return n;
}

static void leave_master(struct cluster_node *n)
{
    list_remove(&n->in_master);
    if (--n->master->n_replicas == 0)
        n->master->flags &= (uint16_t)~CLUSTER_NODE_MIGRATE_TO;
    n->master = NULL;
}

static void forget_reports_by(struct cluster *c, const struct cluster_node *by)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i]->n_reports)
            node_report_remove(c->nodes[i], by);
}

static void moves_forget(struct moves *m, const struct cluster_node *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].node != n)
            m->v[kept++] = m->v[i];
    m->n = kept;
}

/* The last record moves into the gap; slots point to records by index. */
static void fill_gap(struct cluster *c, uint32_t gap)
{
    struct cluster_node *last = c->nodes[--c->n_nodes];
    if (last->index == gap)
        return;
    if (last->n_slots)
        for (unsigned s = 0; s < CLUSTER_SLOTS; s++)
            if (c->owner[s] == last->index)
                c->owner[s] = (uint16_t)gap;
    last->index = gap;
    c->nodes[gap] = last;
}

void node_remove(struct cluster *c, struct cluster_node *n)
{
    ASSERT(n != c->me);
    if (n->to)
        link_close(c, n->to);
    if (n->from)
        link_close(c, n->from);
    slots_drop_all(c, n);
    moves_forget(&c->migrating, n);
    moves_forget(&c->importing, n);
    forget_reports_by(c, n);
    election_masters_reset(c);
    if (c->manual.replica == n)
        manual_reset(c);
    while (!list_empty(&n->replicas)) {
        struct cluster_node *r = LIST_ITEM(list_first(&n->replicas), struct cluster_node, in_master);
        leave_master(r);
    }
    if (n->master)
        leave_master(n);
    list_remove(&n->in_suspects);
    c->n_hearsay -= n->hearsay;
    c->n_strangers -= n->stranger;
    if (c->header_of == n)
        c->header_of = NULL;
    map_remove(&c->by_name, hash_of(n->name), n);
    fill_gap(c, n->index);
    mem_free(n->hostname);
    mem_free(n->human);
    mem_free(n->reports);
    mem_free(n);
    c->todo_state = true;
}

void node_rename(struct cluster *c, struct cluster_node *n, const char *name)
{
    map_remove(&c->by_name, hash_of(n->name), n);
    memcpy(n->name, name, CLUSTER_NAME);
    map_put(&c->by_name, hash_of(n->name), n);
}

void node_set_text(char **field, struct bytes value)
{
    mem_free(*field);
    *field = NULL;
    if (value.n) {
        *field = mem_alloc(value.n + 1);
        memcpy(*field, value.p, value.n);
        (*field)[value.n] = '\0';
    }
}

bool node_set_text_if_new(char **field, struct bytes value)
{
    if (bytes_eq(*field ? bytes_of_str(*field) : BYTES(""), value))
        return false;
    node_set_text(field, value);
    return true;
}

void node_set_shard(struct cluster *c, struct cluster_node *n, const char *shard)
{
    if (memcmp(n->shard, shard, CLUSTER_NAME) == 0)
        return;
    memcpy(n->shard, shard, CLUSTER_NAME);
    save_later(c);
}

void node_set_master(struct cluster *c, struct cluster_node *n, struct cluster_node *master)
{
    ASSERT(n != master);
    if (n->master && n->master != master)
        leave_master(n);
    c->todo_state = true;
    if (!master) {
        n->flags = (uint16_t)((n->flags & ~CLUSTER_NODE_REPLICA) | CLUSTER_NODE_MASTER);
        return;
    }
    n->flags = (uint16_t)((n->flags & ~CLUSTER_NODE_MASTER) | CLUSTER_NODE_REPLICA);
    if (n->master == master)
        return;
    n->master = master;
    master->n_replicas++;
    master->flags |= CLUSTER_NODE_MIGRATE_TO;
    list_push_back(&master->replicas, &n->in_master);
    node_set_shard(c, n, master->shard);
}

/* ---- failure reports ---- */

bool node_report_add(struct cluster_node *n, struct cluster_node *by, msec_t now)
{
    for (unsigned i = 0; i < n->n_reports; i++)
        if (n->reports[i].by == by) {
            n->reports[i].at = now;
            return false;
        }
    if (n->n_reports == n->cap_reports) {
        n->cap_reports = n->cap_reports ? n->cap_reports * 2 : 4;
        n->reports = mem_realloc(n->reports, n->cap_reports * sizeof *n->reports);
    }
    n->reports[n->n_reports++] = (struct report){ by, now };
    return true;
}

bool node_report_remove(struct cluster_node *n, const struct cluster_node *by)
{
    for (unsigned i = 0; i < n->n_reports; i++)
        if (n->reports[i].by == by) {
            n->reports[i] = n->reports[--n->n_reports];
            return true;
        }
    return false;
}

unsigned node_reports(const struct cluster *c, const struct cluster_node *n)
{
    unsigned young = 0;
    for (unsigned i = 0; i < n->n_reports; i++)
        young += c->now - n->reports[i].at <= 2 * c->config.node_timeout_ms;
    return young;
}

/* ---- nodes that FORGET named ---- */

static size_t forgotten_place(struct cluster *c, const char *name)
{
    size_t kept = 0, found = SIZE_MAX;
    for (size_t i = 0; i < c->n_forgotten; i++) {
        if (c->forgotten[i].until <= c->now)
            continue;
        if (memcmp(c->forgotten[i].name, name, CLUSTER_NAME) == 0)
            found = kept;
        c->forgotten[kept++] = c->forgotten[i];
    }
    c->n_forgotten = kept;
    return found;
}

bool nodes_blacklisted(struct cluster *c, const char *name)
{
    return c->n_forgotten && forgotten_place(c, name) != SIZE_MAX;
}

void nodes_blacklist(struct cluster *c, const char *name, msec_t ms)
{
    size_t i = forgotten_place(c, name);
    if (i == SIZE_MAX) {
        if (c->n_forgotten == NODES_MAX)
            return;
        if (c->n_forgotten == c->cap_forgotten) {
            c->cap_forgotten = c->cap_forgotten ? c->cap_forgotten * 2 : 4;
            c->forgotten = mem_realloc(c->forgotten, c->cap_forgotten * sizeof *c->forgotten);
        }
        i = c->n_forgotten++;
        memcpy(c->forgotten[i].name, name, CLUSTER_NAME);
        c->forgotten[i].name[CLUSTER_NAME] = '\0';
    }
    c->forgotten[i].until = c->now + ms;
}
