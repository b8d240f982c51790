/* Routing (see route.h). The way of nearly every request: one hash that dispatch has computed anyway, one bit of the
 * machine's map of slots that are served without questions. */
#include "server/route.h"

#include "common/keyslot.h"
#include "server/drivers/cluster.h"
#include "server/gates.h"
#include "server/multi.h"
#include "server/node.h"
#include "server/options.h"

static const struct cluster *machine_of(const struct client *client)
{
    return cluster_driver_machine(node_cluster(client->node));
}

static bool is_shard_pubsub(const struct command_entry *cmd)
{
    const char *name = cmd->row->name;
    return (cmd->row->flags & CMD_PUBSUB) && name[0] == 's' &&
           (!strcmp(name, "ssubscribe") || !strcmp(name, "sunsubscribe") || !strcmp(name, "spublish"));
}

/* ---- keys ---- */

static void add_key(struct route *r, struct bytes key)
{
    int slot = (int)key_slot(key);
    if (r->slot == ROUTE_NO_KEYS) {
        r->slot = slot;
        r->key = key;
        r->keys = 1;
        return;
    }
    if (slot != r->slot && r->slot != ROUTE_SEVERAL_SLOTS) {
        r->slot = ROUTE_SEVERAL_SLOTS;
        r->other = key;
    }
    if (!bytes_eq(key, r->key))
        r->keys = 2;
}

static void add_request(const struct command_entry *cmd, int argc, const struct bytes *argv, struct route *r)
{
    if (cmd->row->keys.first == 0 && !(cmd->row->flags & CMD_MOVABLE_KEYS))
        return;
    struct key_refs keys;
    if (command_keys(cmd, argv, argc, &keys) < 0)
        return; /* it makes no sense: its handler says so */
    for (int i = 0; i < keys.n; i++)
        add_key(r, argv[keys.refs[i].index]);
    key_refs_done(&keys);
}

/* The hashes of dispatch are those of all keys. */
static bool hashes_suffice(const struct command_entry *cmd, int argc, const struct route_hashes *h)
{
    const struct command_keys_at *at = &cmd->row->keys;
    if (!h || h->n == 0 || (cmd->row->flags & CMD_MOVABLE_KEYS))
        return false;
    int last = at->last < 0 ? argc + at->last : at->last;
    return (int)h->n == (last - at->first) / at->step + 1;
}

void route_find(struct client *client, const struct command_entry *cmd, int argc, const struct bytes *argv,
                const struct route_hashes *h, struct route *ret_route)
{
    *ret_route = (struct route){ .slot = ROUTE_NO_KEYS };
    if (gate_is_exec(cmd)) {
        struct command_entry *queued;
        const struct kept *k;
        for (int i = 0; (k = multi_at(client, i, &queued)); i++)
            add_request(queued, k->argc, k->argv, ret_route);
        return;
    }
    if (hashes_suffice(cmd, argc, h)) {
        int first = (int)ks_hash_slot(h->hashes ? h->hashes[0] : h->hash);
        bool same = true;
        for (uint32_t i = 1; i < h->n && same; i++)
            same = (int)ks_hash_slot(h->hashes[i]) == first;
        if (same) {
            ret_route->slot = first;
            ret_route->keys = h->n; /* made exact if anybody asks */
            return;
        }
    }
    add_request(cmd, argc, argv, ret_route);
}


static void count_request(struct db *db, const struct command_entry *cmd, int argc, const struct bytes *argv,
                          struct route *r)
{
    struct key_refs keys;
    if (command_keys(cmd, argv, argc, &keys) < 0)
        return;
    for (int i = 0; i < keys.n; i++) {
        struct bytes key = argv[keys.refs[i].index];
        add_key(r, key);
        r->missing += !ks_find(db, key, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
    }
    key_refs_done(&keys);
}

/* How many different keys, and how many of all are not here. */
static void count_keys(struct client *client, const struct command_entry *cmd, int argc, const struct bytes *argv,
                       struct route *r)
{
    *r = (struct route){ .slot = ROUTE_NO_KEYS, .counted = true };
    if (!gate_is_exec(cmd)) {
        count_request(client->db, cmd, argc, argv, r);
    } else {
        struct command_entry *queued;
        const struct kept *k;
        for (int i = 0; (k = multi_at(client, i, &queued)); i++)
            count_request(client->db, queued, k->argc, k->argv, r);
    }
}

/* ---- deciding ---- */

enum cluster_route route_decide(struct client *client, const struct command_entry *cmd, int argc,
                                const struct bytes *argv, struct route *r, struct cluster_redirect *ret)
{
    const struct cluster *machine = machine_of(client);
    struct cluster_query q = {
        .slot = r->slot,
        .write = (cmd->row->flags & CMD_WRITE) || (gate_is_exec(cmd) && multi_has_flags(client, CMD_WRITE)),
        .readonly = client->flags & CLIENT_READONLY,
        .asking = (client->flags & CLIENT_ASKING) || (cmd->row->flags & CMD_ASKING),
        .migrate = !cmd->parent && !strcmp(cmd->row->name, "migrate"),
        .shard_pubsub = is_shard_pubsub(cmd),
    };
    enum cluster_route answer = cluster_route(machine, &q, ret);
    if (answer != CLUSTER_ROUTE_COUNT_KEYS)
        return answer;
    count_keys(client, cmd, argc, argv, r);
    q.counted = true;
    q.keys = r->keys;
    q.missing = r->missing;
    return cluster_route(machine, &q, ret);
}

/* ---- what the client is told ---- */

/* The longest common beginning that ends in front of a separator: what the keys could share as a tag. */
static size_t common_part(struct bytes a, struct bytes b)
{
    size_t n = 0, cut = 0;
    for (; n < a.n && n < b.n && a.p[n] == b.p[n]; n++)
        if (n && strchr(":./|-_", a.p[n]) && a.p[n])
            cut = n;
    return cut;
}

static void write_key(struct buf *b, struct bytes key)
{
    enum { SHOWN = 64 };
    size_t n = key.n < SHOWN ? key.n : SHOWN;
    buf_append_char(b, '\'');
    for (size_t i = 0; i < n; i++)
        buf_append_char(b, key.p[i] >= ' ' && key.p[i] < 0x7f ? key.p[i] : '?');
    buf_append_str(b, n < key.n ? "...'" : "'");
}

/* The key as it would have to be called: {tag} in place of its first `n` bytes, or a tag in front of it. */
static void write_cured(struct buf *b, struct bytes key, size_t n)
{
    enum { ROOM = 160 };
    char text[ROOM];
    size_t at = 0;
    struct bytes tag = n ? bytes_of(key.p, n) : BYTES("tag"), rest = bytes_of(key.p + n, key.n - n);
    text[at++] = '{';
    memcpy(text + at, tag.p, tag.n < 60 ? tag.n : 60);
    at += tag.n < 60 ? tag.n : 60;
    text[at++] = '}';
    if (!n)
        text[at++] = ':';
    memcpy(text + at, rest.p, rest.n < 60 ? rest.n : 60);
    at += rest.n < 60 ? rest.n : 60;
    write_key(b, bytes_of(text, at));
}

/* Behind Redis' sentence: which keys, and what would put them together. */
static void write_crossslot_hint(struct buf *b, const struct route *r)
{
    buf_append_str(b, ". ");
    write_key(b, r->key);
    buf_printf(b, " is in slot %u, ", key_slot(r->key));
    write_key(b, r->other);
    buf_printf(b, " in slot %u", key_slot(r->other));
    if (memchr(r->key.p, '{', r->key.n) || memchr(r->other.p, '{', r->other.n)) {
        buf_append_str(b, ": both need the same text in the first {...}");
        return;
    }
    size_t n = common_part(r->key, r->other);
    buf_append_str(b, ": a common hash tag, as in ");
    write_cured(b, r->key, n);
    buf_append_str(b, " and ");
    write_cured(b, r->other, n);
    buf_append_str(b, ", puts keys into one slot");
}

void route_write_error(struct client *client, enum cluster_route answer, const struct route *r,
                       const struct cluster_redirect *redirect, struct buf *b)
{
    switch (answer) {
    case CLUSTER_ROUTE_MOVED:
    case CLUSTER_ROUTE_ASK: cluster_write_redirect(machine_of(client), answer, redirect, false, b); return;
    case CLUSTER_ROUTE_CROSSSLOT:
        buf_append_str(b, redirect->text);
        if (node_options(client->node)->client.error_hints)
            write_crossslot_hint(b, r);
        return;
    default: buf_append_str(b, redirect->text); return;
    }
}

static bool tell(struct client *client, struct command_entry *cmd, enum cluster_route answer, const struct route *r,
                 const struct cluster_redirect *redirect)
{
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    route_write_error(client, answer, r, redirect, &text);
    if (gate_is_exec(cmd)) {
        multi_discard(client);
        watch_drop_all(node_watches(client->node), client);
    } else if (client->flags & CLIENT_MULTI) {
        client->flags |= CLIENT_DIRTY_EXEC;
    }
    cmd->stats->rejected++;
    resp_error(client_writer(client), buf_bytes(&text));
    buf_done(&text);
    return false;
}

bool route_pass(struct client *client, struct command_entry *cmd, int argc, const struct bytes *argv,
                const struct route_hashes *h, int *ret_slot)
{
    *ret_slot = ROUTE_NO_KEYS;
    if (__builtin_expect(h->n == 1 && !h->hashes && !(cmd->row->flags & CMD_MOVABLE_KEYS), 1)) {
        *ret_slot = (int)ks_hash_slot(h->hash);
        if (__builtin_expect(cluster_serves(cluster_served(machine_of(client)), (unsigned)*ret_slot), 1))
            return true;
    }
    bool exec = (client->flags & CLIENT_MULTI) && gate_is_exec(cmd);
    if (cmd->row->keys.first == 0 && !(cmd->row->flags & CMD_MOVABLE_KEYS) && !exec)
        return true;
    struct route r;
    route_find(client, cmd, argc, argv, h, &r);
    if (r.slot == ROUTE_NO_KEYS)
        return true;
    if (__builtin_expect(r.slot >= 0, 1)) {
        *ret_slot = r.slot;
        if (__builtin_expect(cluster_serves(cluster_served(machine_of(client)), (unsigned)r.slot), 1))
            return true;
    }
    struct cluster_redirect redirect = { 0 };
    enum cluster_route answer = route_decide(client, cmd, argc, argv, &r, &redirect);
    return answer == CLUSTER_ROUTE_SERVE || tell(client, cmd, answer, &r, &redirect);
}

bool route_still_served(struct client *client, const struct command_entry *cmd, int argc, const struct bytes *argv,
                        struct buf *ret_error)
{
    struct route r;
    struct cluster_redirect redirect = { 0 };
    route_find(client, cmd, argc, argv, NULL, &r);
    enum cluster_route answer = route_decide(client, cmd, argc, argv, &r, &redirect);
    if (answer != CLUSTER_ROUTE_MOVED && answer != CLUSTER_ROUTE_DOWN)
        return true; /* a slot on its way: its keys come and go here, until the owner changes */
    route_write_error(client, answer, &r, &redirect, ret_error);
    return false;
}
