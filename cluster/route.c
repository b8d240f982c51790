/* Where a command belongs: the first rule that matches. Pure. */
#include "cluster/machine.h"


static enum cluster_route say(struct cluster_redirect *ret, enum cluster_route r, const char *text)
{
    ret->text = text;
    return r;
}

static enum cluster_route point(struct cluster_redirect *ret, enum cluster_route r, const struct cluster_node *n)
{
    ret->node = n;
    return r;
}

/* NULL: the cluster's state is no obstacle. */
static const char *down(const struct cluster *c, const struct cluster_query *q, const struct cluster_node *owner)
{
    if (!owner)
        return "CLUSTERDOWN Hash slot not served";
    if (c->ok)
        return NULL;
    if (q->shard_pubsub)
        return c->config.allow_pubsubshard_when_down ? NULL : "CLUSTERDOWN The cluster is down";
    if (!c->config.allow_reads_when_down || cluster_holds_back(c))
        return "CLUSTERDOWN The cluster is down";
    return q->write ? "CLUSTERDOWN The cluster is down and only accepts read commands" : NULL;
}

enum cluster_route cluster_route(const struct cluster *c, const struct cluster_query *q, struct cluster_redirect *ret)
{
    static const char try_again[] = "TRYAGAIN Multiple keys request during rehashing of slot";
    *ret = (struct cluster_redirect){ .slot = q->slot };
    if (q->slot == -1)
        return CLUSTER_ROUTE_SERVE;
    if (q->slot < 0)
        return say(ret, CLUSTER_ROUTE_CROSSSLOT, "CROSSSLOT Keys in request don't hash to the same slot");

    unsigned slot = (unsigned)q->slot;
    const struct cluster_node *owner = slot_owner(c, slot);
    const char *why = down(c, q, owner);
    if (why)
        return say(ret, CLUSTER_ROUTE_DOWN, why);

    const struct cluster_node *to = owner == c->me ? move_get(&c->migrating, slot) : NULL;
    const struct cluster_node *from = owner == c->me ? NULL : move_get(&c->importing, slot);
    bool imports = from && (q->asking || q->migrate);
    if ((to || imports) && q->migrate)
        return CLUSTER_ROUTE_SERVE;
    if ((to || imports) && !q->shard_pubsub && !q->counted)
        return CLUSTER_ROUTE_COUNT_KEYS;
    if (to && q->missing)
        return q->missing < q->keys ? say(ret, CLUSTER_ROUTE_TRYAGAIN, try_again) : point(ret, CLUSTER_ROUTE_ASK, to);
    if (imports)
        return q->keys > 1 && q->missing ? say(ret, CLUSTER_ROUTE_TRYAGAIN, try_again) : CLUSTER_ROUTE_SERVE;
    if (owner == c->me)
        return CLUSTER_ROUTE_SERVE;
    if (c->me->master == owner && ((q->readonly && !q->write) || q->shard_pubsub))
        return CLUSTER_ROUTE_SERVE;
    return point(ret, CLUSTER_ROUTE_MOVED, owner);
}

const char *cluster_endpoint(const struct cluster *c, const struct cluster_node *n)
{
    switch (c->config.endpoint) {
    case CLUSTER_ENDPOINT_IP:
        return n->ip;
    case CLUSTER_ENDPOINT_HOSTNAME:
        if (n == c->me)
            return c->hostname[0] ? c->hostname : "?";
        return n->hostname ? n->hostname : "?";
    default:
        return NULL;
    }
}

uint16_t cluster_client_port(const struct cluster *c, const struct cluster_node *n, bool tls)
{
    (void)c;
    return tls && n->tls_port ? n->tls_port : n->port ? n->port : n->tls_port;
}

void cluster_write_redirect(const struct cluster *c, enum cluster_route r, const struct cluster_redirect *to, bool tls,
                            struct buf *b)
{
    const char *host = cluster_endpoint(c, to->node);
    (void)buf_printf(b, "%s %d %s:%u", r == CLUSTER_ROUTE_ASK ? "ASK" : "MOVED", to->slot, host ? host : "",
                     cluster_client_port(c, to->node, tls));
}

const uint8_t *cluster_served(const struct cluster *c)
{
    return c->served;
}
