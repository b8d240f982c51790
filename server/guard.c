/* Keys under way (see guard.h): a table of names. */
#include "server/guard.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"
#include "common/table.h"
#include "server/client.h"
#include "server/gates.h"
#include "server/multi.h"

struct guard {
    struct table names; /* of struct guarded */
};

static struct bytes name_key(const void *item)
{
    return guarded_key(item);
}

static uint64_t name_hash(struct bytes key)
{
    return hash_bytes(key);
}

static const struct table_kind kind = { .key = name_key, .hash = name_hash };

struct guard *guard_new(void)
{
    struct guard *g = mem_zalloc(sizeof(*g));
    table_init(&g->names);
    return g;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    ASSERT(g->names.count == 0);
    table_done(&g->names);
    mem_free(g);
}

uint64_t guard_keys(const struct guard *g)
{
    return g->names.count;
}

static struct guarded *find(const struct guard *g, struct bytes key)
{
    struct table_at at;
    return table_find(&g->names, &kind, name_hash(key), key, &at);
}

struct guarded *guard_add(struct guard *g, struct bytes key)
{
    if (find(g, key))
        return NULL;
    struct guarded *k = mem_alloc(sizeof(*k) + key.n);
    k->n = key.n;
    k->touched = false;
    if (key.n)
        memcpy(k->text, key.p, key.n);
    table_insert(&g->names, &kind, name_hash(key), k, TABLE_NOT_DUE);
    return k;
}

void guard_remove(struct guard *g, struct guarded *k)
{
    struct table_at at = table_locate(&g->names, name_hash(guarded_key(k)), k);
    table_remove(&g->names, &kind, &at);
    mem_free(k);
}

static bool names_guarded(const struct guard *g, const struct command_entry *cmd, int argc, const struct bytes *argv)
{
    struct key_refs keys;
    if (command_keys(cmd, argv, argc, &keys) < 0)
        return false; /* it will be refused */
    bool found = keys.n == 0 && (cmd->row->flags & CMD_WRITE); /* FLUSHALL, SWAPDB: all keys */
    for (int i = 0; i < keys.n && !found; i++)
        found = find(g, argv[keys.refs[i].index]) != NULL;
    key_refs_done(&keys);
    return found;
}

static bool queued_is_guarded(void *ctx, const struct command_entry *cmd, int argc, const struct bytes *argv)
{
    return names_guarded(ctx, cmd, argc, argv);
}

bool guard_stops(const struct guard *g, const struct client *client, const struct command_entry *cmd, int argc,
                 const struct bytes *argv)
{
    if (g->names.count == 0 || !cmd || (client->flags & (CLIENT_REPLICA | CLIENT_MASTER)))
        return false;
    if (!(client->flags & CLIENT_MULTI))
        return names_guarded(g, cmd, argc, argv);
    return gate_is_exec(cmd) && multi_any(client, queued_is_guarded, (void *)g);
}

static void mark_touched(void *ctx, void *item)
{
    (void)ctx;
    ((struct guarded *)item)->touched = true;
}

void guard_touched(struct guard *g, struct bytes key)
{
    if (key.p) {
        struct guarded *k = find(g, key);
        if (k)
            k->touched = true;
        return;
    }
    uint64_t cursor = 0; /* a whole database */
    do {
        cursor = table_scan(&g->names, cursor, mark_touched, NULL);
    } while (cursor);
}
