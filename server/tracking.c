/* Client-side caching (see tracking.h).
 *
 * Keys and clients, prefixes and clients are relations. A key that changed is sent to those who read it and forgotten
 * at once: they read it again, or do not care. Broadcast changes are collected per prefix and sent at the end of the
 * turn, one message a client and prefix. Databases are not told apart, as in Redis. */
#include "server/tracking.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "common/prng.h"
#include "server/dispatch.h"
#include "server/node.h"

struct change { /* of a key under a prefix, this turn */
    struct change *next;
    uint64_t by; /* client id, for NOLOOP */
    size_t n;
    char key[];
};

struct prefix { /* hangs off a name of `prefixes` */
    struct list_node in_all;
    struct relation_name *name;
    struct change *changes;
    uint64_t changes_n;
};

struct tracking {
    struct node *node;
    struct relation keys, prefixes;
    struct list all_prefixes; /* of struct prefix */
    uint64_t clients;
    bool pending;             /* some prefix has changes */
    uint64_t turns_behind;    /* in which the table stayed above its limit: the effort grows with them */
    struct prng rng;
};

struct tracking *tracking_new(struct node *node)
{
    struct tracking *t = mem_zalloc(sizeof(*t));
    t->node = node;
    relation_init(&t->keys);
    relation_init(&t->prefixes);
    list_init(&t->all_prefixes);
    prng_init(&t->rng, (uint64_t)(uintptr_t)t);
    return t;
}

void tracking_free(struct tracking *t)
{
    if (!t)
        return;
    relation_done(&t->keys);
    relation_done(&t->prefixes);
    mem_free(t);
}

bool tracking_active(const struct tracking *t)
{
    return t->clients > 0;
}

uint64_t tracking_clients(const struct tracking *t)
{
    return t->clients;
}

uint64_t tracking_keys(const struct tracking *t)
{
    return t->keys.names.count;
}

uint64_t tracking_items(const struct tracking *t)
{
    return t->keys.links.count;
}

uint64_t tracking_prefixes(const struct tracking *t)
{
    return t->prefixes.names.count;
}

size_t tracking_client_memory(const struct client *c)
{
    if (!c->tracking)
        return 0;
    size_t links = c->tracking->keys.links_n + c->tracking->prefixes.links_n;
    return sizeof(*c->tracking) + links * sizeof(struct relation_link);
}

/* ---- messages ---- */

static void redirection_broken(struct client *c)
{
    c->flags |= CLIENT_TRACKING_BROKEN;
    if (c->resp < 3)
        return;
    struct writer *w = client_push_writer(c);
    resp_push(w, 2);
    resp_bulk_str(w, "tracking-redir-broken");
    resp_int(w, (int64_t)c->tracking->o.redirect);
}

/* Begins an invalidation for the client: the writer wants an array of keys (or a null) next. NULL: nobody to tell. */
static struct writer *begin_message(struct tracking *t, struct client *c, struct client **ret_to)
{
    struct client *to = c;
    if (c->tracking->o.redirect) {
        to = client_by_id(node_clients(t->node), c->tracking->o.redirect);
        if (!to || client_is_closing(to)) {
            redirection_broken(c);
            return NULL;
        }
    }
    if (to->resp < 3 && (to == c || !(to->flags & CLIENT_PUBSUB)))
        return NULL; /* RESP2 hears of it as a message of a channel, on a connection of its own */
    struct writer *w = client_push_writer(to);
    if (to->resp >= 3) {
        resp_push(w, 2);
        resp_bulk_str(w, "invalidate");
    } else {
        resp_array(w, 3);
        resp_bulk_str(w, "message");
        resp_bulk_str(w, "__redis__:invalidate");
    }
    *ret_to = to;
    return w;
}

static void send_key(struct tracking *t, struct client *c, struct bytes key)
{
    struct client *to;
    struct writer *w = begin_message(t, c, &to);
    if (!w)
        return;
    resp_array(w, 1);
    resp_bulk(w, key);
    client_check_output_limit(to);
}

static void send_flush(struct tracking *t, struct client *c)
{
    struct client *to;
    struct writer *w = begin_message(t, c, &to);
    if (w)
        resp_null_array(w);
}

/* ---- on and off ---- */

void tracking_enable(struct tracking *t, struct client *c, const struct tracking_options *o)
{
    if (!c->tracking) {
        c->tracking = mem_zalloc(sizeof(*c->tracking));
        relation_side_init(&c->tracking->keys);
        relation_side_init(&c->tracking->prefixes);
        t->clients++;
    }
    c->flags |= CLIENT_TRACKING;
    c->flags &= ~(unsigned)CLIENT_TRACKING_BROKEN;
    c->tracking->o = *o;
}

void tracking_add_prefix(struct tracking *t, struct client *c, struct bytes text)
{
    struct relation_link *l = relation_link(&t->prefixes, &c->tracking->prefixes, c, 0, text);
    if (!l || l->name->user)
        return;
    struct prefix *p = mem_zalloc(sizeof(*p));
    p->name = l->name;
    l->name->user = p;
    list_push_back(&t->all_prefixes, &p->in_all);
}

static void drop_changes(struct prefix *p)
{
    while (p->changes) {
        struct change *ch = p->changes;
        p->changes = ch->next;
        mem_free(ch);
    }
    p->changes_n = 0;
}

static void unlink_prefix(struct tracking *t, struct relation_link *l)
{
    struct prefix *p = l->name->user;
    if (l->name->links_n == 1) {
        drop_changes(p);
        list_remove(&p->in_all);
        mem_free(p);
    }
    relation_unlink(&t->prefixes, l);
}

void tracking_forget(struct tracking *t, struct client *c)
{
    if (!c->tracking)
        return;
    struct list *keys = &c->tracking->keys.links, *prefixes = &c->tracking->prefixes.links;
    while (!list_empty(keys))
        relation_unlink(&t->keys, LIST_ITEM(list_first(keys), struct relation_link, in_side));
    while (!list_empty(prefixes))
        unlink_prefix(t, LIST_ITEM(list_first(prefixes), struct relation_link, in_side));
    mem_free(c->tracking);
    c->tracking = NULL;
    c->flags &= ~(unsigned)(CLIENT_TRACKING | CLIENT_TRACKING_BROKEN);
    t->clients--;
}

/* ---- reading ---- */

void tracking_remember(struct tracking *t, struct call *c)
{
    struct client_tracking *ct = c->client->tracking;
    if (!ct || ct->o.bcast || (ct->o.optin && !ct->caching) || (ct->o.optout && ct->caching))
        return;
    struct key_refs keys;
    if (command_keys(c->cmd, c->argv, c->argc, &keys) < 0)
        return;
    for (int i = 0; i < keys.n; i++)
        if (!(keys.refs[i].flags & KEY_NOT_KEY))
            relation_link(&t->keys, &ct->keys, c->client, 0, c->argv[keys.refs[i].index]);
    key_refs_done(&keys);
}

void tracking_end_of_request(struct client *c)
{
    if (!c->tracking || !c->tracking->caching || (c->flags & CLIENT_MULTI))
        return;
    const char *last = c->last_cmd ? c->last_cmd->full_name : "";
    if (strcmp(last, "client|caching") != 0)
        c->tracking->caching = false;
}

/* ---- changes ---- */

static void note_change(struct tracking *t, struct prefix *p, struct bytes key, uint64_t by)
{
    /* The same key twice in a row is common. */
    for (struct change *ch = p->changes; ch && p->changes_n < 64; ch = ch->next)
        if (ch->by == by && bytes_eq(bytes_of(ch->key, ch->n), key))
            return;
    struct change *ch = mem_alloc(sizeof(*ch) + key.n);
    *ch = (struct change){ p->changes, by, key.n };
    memcpy(ch->key, key.p, key.n);
    p->changes = ch;
    p->changes_n++;
    t->pending = true;
}

/* Either all prefixes are compared with the key, or all beginnings of the key are looked up: whichever is less work, so
 * that very many prefixes do not slow down every write. */
static void touch_prefixes(struct tracking *t, struct bytes key, uint64_t by)
{
    if (tracking_prefixes(t) > (key.n + 1) * (4 + key.n / 64)) {
        for (size_t n = 0; n <= key.n; n++) {
            struct relation_name *name = relation_find(&t->prefixes, 0, bytes_of(key.p, n));
            if (name)
                note_change(t, name->user, key, by);
        }
        return;
    }
    LIST_EACH(&t->all_prefixes, n) {
        struct prefix *p = LIST_ITEM(n, struct prefix, in_all);
        struct bytes text = relation_text(p->name);
        if (text.n <= key.n && memcmp(text.p, key.p, text.n) == 0)
            note_change(t, p, key, by);
    }
}

/* Tells everybody who read the key, and forgets it. */
static void invalidate(struct tracking *t, struct relation_name *name, const struct client *by)
{
    struct bytes key = relation_text(name);
    for (uint64_t left = name->links_n; left; left--) { /* the name goes with its last link */
        struct relation_link *l = LIST_ITEM(list_first(&name->links), struct relation_link, in_name);
        struct client *c = l->owner;
        if (c != by || !c->tracking->o.noloop)
            send_key(t, c, key);
        relation_unlink(&t->keys, l);
    }
}

static void invalidate_all(struct tracking *t)
{
    struct list *all = clients_list(node_clients(t->node));
    LIST_EACH(all, n) {
        struct client *c = LIST_ITEM(n, struct client, all);
        if (!c->tracking)
            continue;
        send_flush(t, c);
        struct list *keys = &c->tracking->keys.links;
        while (!list_empty(keys))
            relation_unlink(&t->keys, LIST_ITEM(list_first(keys), struct relation_link, in_side));
    }
}

void tracking_touched(struct tracking *t, struct db *db, struct bytes key, struct client *by)
{
    (void)db;
    if (!key.p) {
        if (key.n == 0) /* KS_SWAPPED is not told, as in Redis: keys are followed by name, whatever their database */
            invalidate_all(t);
        return;
    }
    if (!list_empty(&t->all_prefixes))
        touch_prefixes(t, key, by ? by->id : 0);
    struct relation_name *name = relation_find(&t->keys, 0, key);
    if (name)
        invalidate(t, name, by);
}

/* The prefix's changes for one client, without its own when it asked for that. */
static void send_changes(struct tracking *t, const struct prefix *p, struct client *c)
{
    bool noloop = c->tracking->o.noloop;
    int64_t n = 0;
    for (const struct change *ch = p->changes; ch; ch = ch->next)
        n += !(noloop && ch->by == c->id);
    struct client *to;
    struct writer *w = n ? begin_message(t, c, &to) : NULL;
    if (!w)
        return;
    resp_array(w, n);
    for (const struct change *ch = p->changes; ch; ch = ch->next)
        if (!(noloop && ch->by == c->id))
            resp_bulk(w, bytes_of(ch->key, ch->n));
    client_check_output_limit(to);
}

void tracking_end_of_turn(struct tracking *t)
{
    if (t->pending) {
        t->pending = false;
        LIST_EACH(&t->all_prefixes, n) {
            struct prefix *p = LIST_ITEM(n, struct prefix, in_all);
            if (!p->changes)
                continue;
            LIST_EACH(&p->name->links, k)
                send_changes(t, p, LIST_ITEM(k, struct relation_link, in_name)->owner);
            drop_changes(p);
        }
    }
    uint64_t max = node_options(t->node)->client.tracking_table_max_keys;
    for (uint64_t effort = 100 * (1 + t->turns_behind); max && tracking_keys(t) > max && effort; effort--)
        invalidate(t, table_random(&t->keys.names, &t->rng), NULL);
    t->turns_behind = max && tracking_keys(t) > max ? t->turns_behind + 1 : 0;
}
