/* Transactions (see multi.h): WATCH as a relation of keys and clients, and the queue of MULTI. */
#include "server/multi.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "server/dispatch.h"
#include "server/node.h"
#include "server/propagate.h"
#include "server/relation.h"

enum { LOOK_ONLY = KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY | KS_EXPIRED_TOO };

static bool there(struct db *db, struct bytes key)
{
    return ks_find(db, key, LOOK_ONLY) != NULL;
}

/* ---- watch ---- */

struct watches { /* of a client; a link's mark: the key's time had passed already when it was watched */
    struct relation_side side;
};

struct watch_table {
    struct relation keys; /* space: the database */
    uint64_t clients;
};

struct watch_table *watch_table_new(void)
{
    struct watch_table *t = mem_zalloc(sizeof(*t));
    relation_init(&t->keys);
    return t;
}

void watch_table_free(struct watch_table *t)
{
    if (!t)
        return;
    relation_done(&t->keys); /* the clients went first */
    mem_free(t);
}

uint64_t watch_clients(const struct watch_table *t)
{
    return t->clients;
}

uint64_t watch_keys(const struct watch_table *t)
{
    return t->keys.names.count;
}

size_t watch_client_memory(const struct client *c)
{
    return c->watches ? sizeof(*c->watches) + c->watches->side.links_n * sizeof(struct relation_link) : 0;
}

void watch_add(struct watch_table *t, struct client *c, struct db *db, struct bytes key)
{
    if (!c->watches) {
        c->watches = mem_alloc(sizeof(*c->watches));
        relation_side_init(&c->watches->side);
        t->clients++;
    }
    struct relation_link *l = relation_link(&t->keys, &c->watches->side, c, db_id(db), key);
    if (!l)
        return;
    struct entry *e = ks_find(db, key, LOOK_ONLY);
    l->mark = e && ks_is_expired(db_keyspace(db), e);
}

void watch_drop_all(struct watch_table *t, struct client *c)
{
    c->flags &= ~(unsigned)CLIENT_DIRTY_CAS;
    if (!c->watches)
        return;
    struct list *links = &c->watches->side.links;
    while (!list_empty(links))
        relation_unlink(&t->keys, LIST_ITEM(list_first(links), struct relation_link, in_side));
    mem_free(c->watches);
    c->watches = NULL;
    t->clients--;
}

static void mark(struct relation_name *key, bool exists)
{
    LIST_EACH(&key->links, n) {
        struct relation_link *l = LIST_ITEM(n, struct relation_link, in_name);
        if (l->mark && !exists)
            l->mark = false; /* it was gone for this client already */
        else
            ((struct client *)l->owner)->flags |= CLIENT_DIRTY_CAS;
    }
}

static void mark_if_there(void *ctx, void *item)
{
    struct db *db = ctx;
    struct relation_name *key = item;
    if (key->space == db_id(db) && there(db, relation_text(key)))
        mark(key, true);
}

void watch_touched(struct watch_table *t, struct db *db, struct bytes key)
{
    if (__builtin_expect(t->keys.names.count == 0, 1))
        return;
    if (key.p) {
        struct relation_name *name = relation_find(&t->keys, db_id(db), key);
        if (name)
            mark(name, there(db, key));
        return;
    }
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&t->keys.names, cursor, mark_if_there, db);
    } while (cursor);
}

bool watch_is_stale(const struct client *c)
{
    if (!c->watches)
        return false;
    struct keyspace *ks = db_keyspace(c->db);
    LIST_EACH(&c->watches->side.links, n) {
        struct relation_link *l = LIST_ITEM(n, struct relation_link, in_side);
        if (l->mark)
            continue;
        struct entry *e = ks_find(ks_db(ks, l->name->space), relation_text(l->name), LOOK_ONLY);
        if (e && ks_is_expired(ks, e))
            return true;
    }
    return false;
}

/* ---- the queue ---- */

struct queued {
    struct command_entry *cmd;
    struct kept *request;
};

struct transaction {
    struct queued *queue;
    int n, cap;
    unsigned flags, lacks; /* what some of the commands have, and have not */
    size_t memory;  /* bytes */
};

void multi_begin(struct client *c)
{
    ASSERT(!c->multi);
    c->multi = mem_zalloc(sizeof(*c->multi));
    c->flags |= CLIENT_MULTI;
}

void multi_queue(struct client *c, struct command_entry *cmd, struct kept *k)
{
    struct transaction *t = c->multi;
    if (c->flags & (CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC)) { /* it will not run: keep nothing */
        kept_free(k);
        return;
    }
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 4;
        t->queue = mem_realloc(t->queue, (size_t)t->cap * sizeof(*t->queue));
    }
    t->queue[t->n++] = (struct queued){ cmd, k };
    t->memory += k->memory + sizeof(struct queued);
    t->flags |= cmd->row->flags;
    t->lacks |= ~cmd->row->flags;
}

void multi_discard(struct client *c)
{
    struct transaction *t = c->multi;
    c->multi = NULL;
    c->flags &= ~(unsigned)(CLIENT_MULTI | CLIENT_DIRTY_EXEC);
    if (!t)
        return;
    for (int i = 0; i < t->n; i++)
        kept_free(t->queue[i].request);
    mem_free(t->queue);
    mem_free(t);
}

int multi_count(const struct client *c)
{
    return c->multi ? c->multi->n : -1;
}

const struct kept *multi_at(const struct client *c, int i, struct command_entry **ret_cmd)
{
    if (!c->multi || i >= c->multi->n)
        return NULL;
    *ret_cmd = c->multi->queue[i].cmd;
    return c->multi->queue[i].request;
}

size_t multi_memory(const struct client *c)
{
    return c->multi ? c->multi->memory : 0;
}

bool multi_has_flags(const struct client *c, unsigned flags)
{
    return c->multi && (c->multi->flags & flags);
}

bool multi_any(const struct client *c,
               bool (*test)(void *ctx, const struct command_entry *, int argc, const struct bytes *argv), void *ctx)
{
    const struct transaction *t = c->multi;
    for (int i = 0; t && i < t->n; i++)
        if (test(ctx, t->queue[i].cmd, t->queue[i].request->argc, t->queue[i].request->argv))
            return true;
    return false;
}

bool multi_lacks_flags(const struct client *c, unsigned flags)
{
    return c->multi && (c->multi->lacks & flags);
}

static void run_queue(struct call *c)
{
    struct client *client = c->client;
    struct dispatch *d = node_dispatch(c->node);
    struct propagate *p = node_propagate(c->node);
    struct transaction *t = client->multi;
    propagate_multi_begin(p);
    unsigned flags = CALL_IN_EXEC | CALL_DENY_BLOCKING | (c->flags & CALL_FROM_MASTER);
    dispatch_freeze_time(d);
    resp_array(c->w, t->n);
    for (int i = 0; i < t->n; i++) {
        struct kept *k = t->queue[i].request;
        dispatch_call(d, client, t->queue[i].cmd, k->argc, k->argv, k->blobs, flags);
    }
    dispatch_thaw_time(d);
    propagate_multi_end(p);
}

void multi_exec(struct call *c)
{
    struct client *client = c->client;
    struct watch_table *watches = node_watches(c->node);
    if (watch_is_stale(client))
        client->flags |= CLIENT_DIRTY_CAS;
    unsigned dirty = client->flags & (CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC);
    watch_drop_all(watches, client);
    if (dirty & CLIENT_DIRTY_EXEC)
        resp_error_str(c->w, "EXECABORT Transaction discarded because of previous errors.");
    else if (dirty)
        resp_null_array(c->w);
    else
        run_queue(c);
    multi_discard(client);
}
