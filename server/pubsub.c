/* Publish/subscribe (see pubsub.h): a relation of names and clients, one space per kind.
 *
 * Patterns are tried one by one against a published channel: their number is known and small; each glob runs in bounded
 * time. A message to the client that runs right now is put behind its reply (client_push_writer). */
#include "server/pubsub.h"

#include <stdio.h>

#include "common/alloc.h"
#include "common/glob.h"
#include "server/relation.h"

enum { KINDS = 3 };

struct subscriptions { /* of a client */
    struct relation_side side[KINDS];
};

struct pubsub {
    struct relation names; /* space: enum pubsub_kind */
    uint64_t names_n[KINDS];
    struct list patterns;  /* of struct pattern: the distinct patterns, oldest first */
};

struct pubsub *pubsub_new(void)
{
    struct pubsub *p = mem_zalloc(sizeof(*p));
    relation_init(&p->names);
    list_init(&p->patterns);
    return p;
}

void pubsub_free(struct pubsub *p)
{
    if (!p)
        return;
    relation_done(&p->names);
    mem_free(p);
}

uint64_t pubsub_client_count(const struct client *c, enum pubsub_kind kind)
{
    return c->subs ? c->subs->side[kind].links_n : 0;
}

uint64_t pubsub_client_total(const struct client *c)
{
    return pubsub_client_count(c, PUBSUB_CHANNEL) + pubsub_client_count(c, PUBSUB_PATTERN);
}

/* The flag says "has any subscription"; the struct goes with the last one. */
static void update_client(struct client *c)
{
    if (pubsub_client_total(c) + pubsub_client_count(c, PUBSUB_SHARD)) {
        c->flags |= CLIENT_PUBSUB;
        return;
    }
    c->flags &= ~(unsigned)CLIENT_PUBSUB;
    mem_free(c->subs);
    c->subs = NULL;
}

/* A distinct pattern, so that publishing walks the patterns alone. */
struct pattern {
    struct list_node in_patterns;
    struct relation_name *name;
};

bool pubsub_add(struct pubsub *p, struct client *c, enum pubsub_kind kind, struct bytes name)
{
    if (!c->subs) {
        c->subs = mem_alloc(sizeof(*c->subs));
        for (int i = 0; i < KINDS; i++)
            relation_side_init(&c->subs->side[i]);
    }
    struct relation_link *l = relation_link(&p->names, &c->subs->side[kind], c, (int)kind, name);
    if (l && l->name->links_n == 1) {
        p->names_n[kind]++;
        if (kind == PUBSUB_PATTERN) {
            struct pattern *pat = mem_zalloc(sizeof(*pat));
            pat->name = l->name;
            l->name->user = pat;
            list_push_back(&p->patterns, &pat->in_patterns);
        }
    }
    update_client(c);
    return l != NULL;
}

static void unlink_one(struct pubsub *p, struct relation_link *l)
{
    struct relation_name *name = l->name;
    if (name->links_n == 1) {
        p->names_n[name->space]--;
        if (name->user) {
            struct pattern *pat = name->user;
            list_remove(&pat->in_patterns);
            mem_free(pat);
        }
    }
    relation_unlink(&p->names, l);
}

bool pubsub_remove(struct pubsub *p, struct client *c, enum pubsub_kind kind, struct bytes text)
{
    if (!c->subs)
        return false;
    struct relation_name *name = relation_find(&p->names, (int)kind, text);
    struct relation_link *l = name ? relation_find_link(&p->names, name, &c->subs->side[kind]) : NULL;
    if (!l)
        return false;
    unlink_one(p, l);
    update_client(c);
    return true;
}

void pubsub_forget(struct pubsub *p, struct client *c)
{
    if (!c->subs)
        return;
    for (int i = 0; i < KINDS; i++)
        while (!list_empty(&c->subs->side[i].links))
            unlink_one(p, LIST_ITEM(list_first(&c->subs->side[i].links), struct relation_link, in_side));
    update_client(c);
}

/* ---- publishing ---- */

static void send_message(struct client *c, const char *kind, const struct bytes *pattern, struct bytes channel,
                         struct bytes message)
{
    struct writer *w = client_push_writer(c);
    resp_push(w, pattern ? 4 : 3);
    resp_bulk_str(w, kind);
    if (pattern)
        resp_bulk(w, *pattern);
    resp_bulk(w, channel);
    resp_bulk(w, message);
    client_check_output_limit(c);
}

static uint64_t send_all(struct relation_name *name, const char *kind, const struct bytes *pattern,
                         struct bytes channel, struct bytes message)
{
    LIST_EACH(&name->links, n) {
        struct relation_link *l = LIST_ITEM(n, struct relation_link, in_name);
        send_message(l->owner, kind, pattern, channel, message);
    }
    return name->links_n;
}

uint64_t pubsub_publish(struct pubsub *p, struct bytes channel, struct bytes message, bool shard)
{
    uint64_t receivers = 0;
    struct relation_name *name = relation_find(&p->names, shard ? PUBSUB_SHARD : PUBSUB_CHANNEL, channel);
    if (name)
        receivers += send_all(name, shard ? "smessage" : "message", NULL, channel, message);
    if (shard)
        return receivers;
    LIST_EACH(&p->patterns, n) {
        struct relation_name *pat = LIST_ITEM(n, struct pattern, in_patterns)->name;
        struct bytes text = relation_text(pat);
        if (glob_match(text, channel))
            receivers += send_all(pat, "pmessage", &text, channel, message);
    }
    return receivers;
}

static void publish_event(struct pubsub *p, const char *kind, int db, struct bytes tail, struct bytes message)
{
    char small[512];
    size_t size = tail.n + 48;
    char *text = size <= sizeof(small) ? small : mem_alloc(size);
    int n = snprintf(text, size, "__%s@%d__:", kind, db);
    memcpy(text + n, tail.p, tail.n);
    pubsub_publish(p, bytes_of(text, (size_t)n + tail.n), message, false);
    if (text != small)
        mem_free(text);
}

void pubsub_keyspace_event(struct pubsub *p, unsigned notify_flags, int db, const char *event, struct bytes key)
{
    if (p->names_n[PUBSUB_CHANNEL] + p->names_n[PUBSUB_PATTERN] == 0)
        return;
    struct bytes name = bytes_of_str(event);
    if (notify_flags & NOTIFY_KEYSPACE)
        publish_event(p, "keyspace", db, key, name);
    if (notify_flags & NOTIFY_KEYEVENT)
        publish_event(p, "keyevent", db, name, key);
}

void pubsub_end_channel(struct pubsub *p, enum pubsub_kind kind, struct bytes text)
{
    static const char *const verbs[] = { "unsubscribe", "punsubscribe", "sunsubscribe" };
    struct relation_name *name;
    while ((name = relation_find(&p->names, (int)kind, text))) {
        struct client *c = LIST_ITEM(list_first(&name->links), struct relation_link, in_name)->owner;
        pubsub_remove(p, c, kind, text);
        struct writer *w = client_push_writer(c);
        resp_push(w, 3);
        resp_bulk_str(w, verbs[kind]);
        resp_bulk(w, text);
        resp_int(w, (int64_t)(kind == PUBSUB_SHARD ? pubsub_client_count(c, kind) : pubsub_client_total(c)));
    }
}

/* ---- figures ---- */

uint64_t pubsub_count(const struct pubsub *p, enum pubsub_kind kind)
{
    return p->names_n[kind];
}

uint64_t pubsub_subscribers(const struct pubsub *p, enum pubsub_kind kind, struct bytes text)
{
    struct relation_name *name = relation_find(&p->names, (int)kind, text);
    return name ? name->links_n : 0;
}

struct visit {
    enum pubsub_kind kind;
    void (*visit)(void *ctx, struct bytes name);
    void *ctx;
};

static void visit_name(void *ctx, void *item)
{
    const struct visit *v = ctx;
    const struct relation_name *name = item;
    if (name->space == (int)v->kind)
        v->visit(v->ctx, relation_text(name));
}

void pubsub_each(struct pubsub *p, struct client *c, enum pubsub_kind kind, void (*visit)(void *ctx, struct bytes name),
                 void *ctx)
{
    if (c) {
        if (!c->subs)
            return;
        LIST_EACH(&c->subs->side[kind].links, n)
            visit(ctx, relation_text(LIST_ITEM(n, struct relation_link, in_side)->name));
        return;
    }
    struct visit v = { kind, visit, ctx };
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&p->names.names, cursor, visit_name, &v);
    } while (cursor);
}

size_t pubsub_client_memory(const struct client *c)
{
    size_t links = pubsub_client_total(c) + pubsub_client_count(c, PUBSUB_SHARD);
    return c->subs ? sizeof(*c->subs) + links * sizeof(struct relation_link) : 0;
}
