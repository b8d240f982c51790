/* Who is dead: our own suspicion (PFAIL), the reports of the masters, and the verdict of their majority (FAIL).
 *
 *          silence > timeout, or its process is gone            reports of a majority of masters
 *    ok ---------------------------------------------> PFAIL ------------------------------------> FAIL (told to all)
 *     ^______________ it answers ________________________|                                           |
 *     |______________ it answers: at once without slots, else when nobody took them for 2 timeouts __|         */
#include "cluster/machine.h"

unsigned quorum(const struct cluster *c)
{
    return c->size / 2 + 1;
}

void failure_clear(struct cluster *c, struct cluster_node *n, unsigned flag)
{
    if (!node_is(n, flag))
        return;
    n->flags &= (uint16_t)~flag;
    if (flag & CLUSTER_NODE_PFAIL)
        list_remove(&n->in_suspects);
    c->todo_state = true;
    save_later(c);
}

/* Tells those who can make a verdict of it: everybody in a small cluster, else the replicas of the node and the masters
 * that stand next to it in the order of names, where the reports of all meet. */
static void tell_suspicion(struct cluster *c, struct cluster_node *n)
{
    enum { ASKED = 8 };
    if (!node_is(n, CLUSTER_NODE_MASTER) && c->n_nodes > SMALL_CLUSTER)
        return;
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *to = c->nodes[i];
        if (to == c->me || to == n || node_is(to, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE))
            continue;
        if (c->n_nodes <= SMALL_CLUSTER || to->master == n)
            send_report(c, to);
    }
    if (c->n_nodes <= SMALL_CLUSTER)
        return;
    struct cluster_node *next[ASKED] = { 0 };
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *to = c->nodes[i];
        if (to == c->me || to == n || !to->n_slots || node_is(to, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL))
            continue;
        /* Insertion into the sorted few that follow n's name, around the end. */
        for (int k = 0; k < ASKED; k++) {
            bool behind_a = memcmp(to->name, n->name, CLUSTER_NAME) > 0;
            bool behind_b = next[k] && memcmp(next[k]->name, n->name, CLUSTER_NAME) > 0;
            if (!next[k] || behind_a > behind_b ||
                (behind_a == behind_b && memcmp(to->name, next[k]->name, CLUSTER_NAME) < 0)) {
                struct cluster_node *swap = next[k];
                next[k] = to;
                to = swap;
                if (!to)
                    break;
            }
        }
    }
    for (int k = 0; k < ASKED && next[k]; k++)
        send_report(c, next[k]);
}

void failure_suspect(struct cluster *c, struct cluster_node *n, const char *why)
{
    if (node_is(n, CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE))
        return;
    n->flags |= CLUSTER_NODE_PFAIL;
    list_push_back(&c->suspects, &n->in_suspects);
    c->todo_state = true;
    trace(c, CLUSTER_TRACE_DEBUG, "*** NODE %.40s possibly failing: %s", n->name, why);
    failure_weigh(c, n);
    if (node_is(n, CLUSTER_NODE_PFAIL) && c->me->n_slots)
        tell_suspicion(c, n);
}

void failure_set(struct cluster *c, struct cluster_node *n, bool tell)
{
    if (node_is(n, CLUSTER_NODE_FAIL) || n == c->me)
        return;
    failure_clear(c, n, CLUSTER_NODE_PFAIL);
    n->flags |= CLUSTER_NODE_FAIL;
    n->fail_at = c->now;
    n->fail_told_at = 0;
    c->todo_state = true;
    save_later(c);
    trace(c, CLUSTER_TRACE_NOTICE, "Marking node %.40s as failing (%s).", n->name,
          tell ? "quorum reached" : "told by another node");
    if (tell) {
        struct frame f = frame_begin(c, WIRE_FAIL);
        f.fail.name = n->name;
        broadcast(c, frame_end(c, &f), WIRE_FAIL);
    }
    votes_retry(c, n);
}

static bool answers_us(const struct cluster *c, const struct cluster_node *n)
{
    return n->to && n->to->up && !node_is(n, CLUSTER_NODE_PFAIL) &&
           (!n->ping_sent || c->now - n->ping_sent < 2 * CRON_MS);
}

void failure_weigh(struct cluster *c, struct cluster_node *n)
{
    if (node_is(n, CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE) || n == c->me)
        return;
    bool told = n->fail_told_at != 0;
    if (!node_is(n, CLUSTER_NODE_PFAIL) && !told)
        return; /* it is fine as we see it, and nobody has said that the majority thinks otherwise */
    unsigned votes = node_reports(c, n) + (node_is(n, CLUSTER_NODE_PFAIL) && node_is(c->me, CLUSTER_NODE_MASTER));
    if (votes >= quorum(c))
        failure_set(c, n, !told);
    else if (told && !answers_us(c, n))
        failure_set(c, n, false);
}

void failure_report(struct cluster *c, struct cluster_node *n, struct cluster_node *by, bool failing)
{
    if (!failing) {
        if (n->n_reports)
            node_report_remove(n, by);
        return;
    }
    node_report_add(n, by, c->now);
    failure_weigh(c, n);
}

/* FAIL is the word of one node about what the majority thinks. A node that does not answer us is believed to be dead at
 * once; one that does must be reported by the majority itself, so that a single voice (or a stranger who uses the
 * name of a node) cannot bury the living. */
void failure_told(struct cluster *c, struct cluster_node *n, struct cluster_node *by)
{
    if (node_is(n, CLUSTER_NODE_FAIL | CLUSTER_NODE_HANDSHAKE) || n == c->me)
        return;
    n->fail_told_at = c->now;
    if (node_is(by, CLUSTER_NODE_MASTER))
        node_report_add(n, by, c->now);
    failure_weigh(c, n);
    if (!node_is(n, CLUSTER_NODE_FAIL))
        probe(c, n);
}

/* It answered on our own link. */
void failure_heard(struct cluster *c, struct cluster_node *n)
{
    n->dropped_at = n->refused_at = 0;
    failure_clear(c, n, CLUSTER_NODE_PFAIL);
    if (!node_is(n, CLUSTER_NODE_FAIL))
        return;
    if (node_is(n, CLUSTER_NODE_REPLICA) || n->n_slots == 0 ||
        c->now - n->fail_at > 2 * c->config.node_timeout_ms) {
        trace(c, CLUSTER_TRACE_NOTICE, "Clear FAIL state for node %.40s: it is reachable again.", n->name);
        failure_clear(c, n, CLUSTER_NODE_FAIL);
    }
}

/* Silence. Ten times a second for each node. */
void failure_cron(struct cluster *c, struct cluster_node *n)
{
    msec_t timeout = c->config.node_timeout_ms;
    if (n->fail_told_at) {
        failure_weigh(c, n);
        if (c->now - n->fail_told_at > timeout)
            n->fail_told_at = 0;
    }
    if (!n->ping_sent)
        return;
    msec_t silent = min_ms(c->now - n->ping_sent, c->now - n->data_received);
    if (silent > timeout)
        failure_suspect(c, n, "no answer within the node timeout");
    else if (node_is(n, CLUSTER_NODE_PFAIL))
        failure_weigh(c, n);
    /* The connection may be the trouble, not the node. */
    if (n->to && n->to->up && c->now - n->to->created > timeout && c->now - n->ping_sent > timeout / 2 &&
        c->now - n->data_received > timeout / 2)
        link_close(c, n->to);
}
