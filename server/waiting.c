/* Clients in WAIT and WAITAOF (see waiting.h). Few at a time: a list. */
#include "server/waiting.h"

#include "common/alloc.h"
#include "common/assert.h"
#include "server/client.h"
#include "server/dispatch.h"
#include "server/drivers/replication.h"
#include "server/node.h"

struct waiter {
    struct list_node in_all;
    struct client *client;
    int64_t offset;
    bool fsynced, timed;
    int local; /* -1: WAIT */
};

struct waiting {
    struct node *node;
    struct list all;
    uint64_t n, timed;
};

struct waiting *waiting_new(struct node *node)
{
    struct waiting *w = mem_zalloc(sizeof(*w));
    w->node = node;
    list_init(&w->all);
    return w;
}

void waiting_free(struct waiting *w)
{
    if (!w)
        return;
    ASSERT(list_empty(&w->all)); /* the clients went first */
    mem_free(w);
}

uint64_t waiting_clients(const struct waiting *w)
{
    return w->n;
}

uint64_t waiting_with_deadline(const struct waiting *w)
{
    return w->timed;
}

static struct waiter *waiter_of(struct waiting *w, const struct client *client)
{
    LIST_EACH(&w->all, n) {
        struct waiter *k = LIST_ITEM(n, struct waiter, in_all);
        if (k->client == client)
            return k;
    }
    return NULL;
}

void wait_for_replicas(struct call *c, int replicas, msec_t timeout_ms, bool fsynced, int local)
{
    ASSERT(call_may_block(c));
    struct waiting *w = node_waiting(c->node);
    struct waiter *k = mem_zalloc(sizeof(*k));
    k->client = c->client;
    k->offset = c->client->write_offset;
    k->fsynced = fsynced;
    k->timed = timeout_ms != 0;
    k->local = local;
    list_push_back(&w->all, &k->in_all);
    w->n++;
    w->timed += k->timed;
    c->client->flags |= CLIENT_BLOCKED;
    client_hold(c->client, true);
    replication_wait(node_replication(c->node), c->client, replicas, timeout_ms, fsynced);
}

/* The client runs on. */
static void release(struct waiting *w, struct waiter *k)
{
    list_remove(&k->in_all);
    w->n--;
    w->timed -= k->timed;
    k->client->flags &= ~(unsigned)CLIENT_BLOCKED;
    client_hold(k->client, false);
    mem_free(k);
}

static void answer(struct waiting *w, struct waiter *k, int replicas)
{
    struct client *client = k->client;
    struct writer *out = client_writer(client);
    if (k->local >= 0) {
        resp_array(out, 2);
        resp_int(out, k->local);
    }
    resp_int(out, replicas);
    release(w, k);
    client_end_of_request(client);
    dispatch_retarget(node_dispatch(w->node));
}

void waiting_wake(struct waiting *w, uint64_t client_id, int replicas)
{
    struct client *client = client_by_id(node_clients(w->node), client_id);
    struct waiter *k = client ? waiter_of(w, client) : NULL;
    if (k)
        answer(w, k, replicas);
}

bool waiting_unblock(struct waiting *w, struct client *client, bool error)
{
    struct waiter *k = client->flags & CLIENT_BLOCKED ? waiter_of(w, client) : NULL;
    if (!k)
        return false;
    replication_unwait(node_replication(w->node), client);
    if (!error) {
        answer(w, k, replication_acked(node_replication(w->node), k->offset, k->fsynced));
        return true;
    }
    resp_error_str(client_writer(client), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    release(w, k);
    client_end_of_request(client);
    return true;
}

void waiting_end_all(struct waiting *w, const char *error)
{
    while (!list_empty(&w->all)) {
        struct waiter *k = LIST_ITEM(list_first(&w->all), struct waiter, in_all);
        struct client *client = k->client;
        replication_unwait(node_replication(w->node), client);
        resp_error_str(client_writer(client), error);
        release(w, k);
        client_close_after_reply(client);
    }
}

void waiting_forget(struct waiting *w, struct client *client)
{
    struct waiter *k = client->flags & CLIENT_BLOCKED ? waiter_of(w, client) : NULL;
    if (!k)
        return;
    replication_unwait(node_replication(w->node), client);
    release(w, k);
}
