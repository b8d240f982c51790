/* A replica takes the place of its dead master: elections, and our vote in those of others.
 *
 * The wire and the rules of voting are Redis'. The candidate is quicker: Redis waits 500 to 1000 ms for the news of the
 * failure to get round; we ask early and ask those again who have not answered (one who voted in this epoch does not
 * vote in it twice). Replicas with less data wait, so that the best one asks first.
 *
 * A vote is granted only after the candidate has answered a PING of ours with the epoch for which it asks: a request in
 * its name alone gets nothing. */
#include "cluster/machine.h"

#include "common/alloc.h"

#define DELAY_MS      50
#define RANK_MS       300
#define ASK_AGAIN_MS  150

static msec_t auth_timeout(const struct cluster *c)
{
    return max_ms(2 * c->config.node_timeout_ms, 2000);
}

/* ---- the candidate ---- */

void election_stop(struct cluster *c)
{
    struct election *e = &c->election;
    e->state = ELECTION_IDLE;
    e->votes = 0;
    e->again_at = 0;
    e->why_not = NULL;
}

void election_masters_reset(struct cluster *c)
{
    c->election.votes = 0; /* pointers to voters may dangle; they are asked again */
    c->election.again_at = c->now;
}

/* How many replicas of our master have more data than we. */
static unsigned my_rank(const struct cluster *c)
{
    unsigned rank = 0;
    LIST_EACH(&c->me->master->replicas, r) {
        const struct cluster_node *n = LIST_ITEM(r, struct cluster_node, in_master);
        rank += n != c->me && n->offset > c->repl.offset &&
                !node_is(n, CLUSTER_NODE_NOFAILOVER | CLUSTER_NODE_PFAIL | CLUSTER_NODE_FAIL);
    }
    return rank;
}

static void why_not(struct cluster *c, const char *text)
{
    if (c->election.why_not == text)
        return;
    c->election.why_not = text;
    trace(c, CLUSTER_TRACE_NOTICE, "Currently unable to failover: %s", text);
}

static bool data_too_old(struct cluster *c)
{
    if (c->config.replica_validity_factor == 0 || c->manual.can_start || c->guard_until)
        return false;
    msec_t age = c->repl.heard ? c->now - c->repl.heard : c->now;
    age = age > c->config.node_timeout_ms ? age - c->config.node_timeout_ms : 0;
    return age > c->config.repl_ping_period_ms + c->config.node_timeout_ms * c->config.replica_validity_factor;
}

static bool wanted(struct cluster *c)
{
    struct cluster_node *m = c->me->master;
    if (!m || !m->n_slots)
        return false;
    if (c->manual.can_start)
        return true;
    if (c->config.replica_no_failover)
        return false;
    return node_is(m, CLUSTER_NODE_FAIL) || (c->guard_until && c->now < c->guard_until);
}

static void ask_for_votes(struct cluster *c)
{
    struct election *e = &c->election;
    struct frame f = frame_begin(c, WIRE_AUTH_REQUEST);
    f.current_epoch = e->epoch; /* whatever has been heard of since: a vote is for this one */
    if (e->forced)
        f.mflags[0] |= WIRE_FORCEACK;
    struct bytes b = frame_end(c, &f);
    e->again_at = c->now + ASK_AGAIN_MS;
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = c->nodes[i];
        bool voted = false;
        for (unsigned v = 0; v < e->votes && !voted; v++)
            voted = e->voters[v] == n;
        if (n != c->me && !voted && !node_is(n, CLUSTER_NODE_HANDSHAKE))
            node_send(c, n, b, WIRE_AUTH_REQUEST);
    }
}

static void start_waiting(struct cluster *c)
{
    struct election *e = &c->election;
    e->state = ELECTION_WAITING;
    e->forced = c->manual.can_start || c->guard_until;
    e->rank = my_rank(c);
    e->votes = 0;
    e->start_at = c->now;
    if (!c->manual.can_start)
        e->start_at += DELAY_MS + (msec_t)prng_below(&c->rng, DELAY_MS) + e->rank * RANK_MS;
    broadcast_pong(c, c->me->master); /* so that our siblings know how much we have */
    trace(c, CLUSTER_TRACE_NOTICE, "Start of election delayed for %lld milliseconds (rank #%u, offset %lld).",
          (long long)(e->start_at - c->now), e->rank, (long long)c->repl.offset);
}

static void start_asking(struct cluster *c)
{
    struct election *e = &c->election;
    e->state = ELECTION_ASKING;
    e->epoch = ++c->current_epoch;
    e->deadline = c->now + auth_timeout(c);
    e->votes = 0;
    save_durable(c);
    trace(c, CLUSTER_TRACE_NOTICE, "Starting a failover election for epoch %llu.", (unsigned long long)e->epoch);
    ask_for_votes(c);
}

static void while_waiting(struct cluster *c)
{
    struct election *e = &c->election;
    unsigned rank = my_rank(c);
    if (!c->manual.can_start && rank > e->rank) {
        e->start_at += (msec_t)(rank - e->rank) * RANK_MS;
        e->rank = rank;
    }
    if (c->now >= e->start_at)
        start_asking(c);
}

/* Those who have not voted will not: they have heard of a newer epoch. */
static bool outdated(const struct cluster *c)
{
    const struct election *e = &c->election;
    msec_t asked_for = auth_timeout(c) - (e->deadline - c->now);
    return c->current_epoch > e->epoch && asked_for > (e->votes ? 4 : 1) * ASK_AGAIN_MS;
}

static void while_asking(struct cluster *c)
{
    struct election *e = &c->election;
    if (e->votes >= quorum(c)) {
        trace(c, CLUSTER_TRACE_NOTICE, "Failover election won: I'm the new master.");
        c->me->config_epoch = e->epoch;
        take_over(c);
    } else if (c->now >= e->deadline || outdated(c)) {
        why_not(c, c->now >= e->deadline ? "Failover attempt expired." : "Another epoch has begun.");
        e->state = ELECTION_IDLE;
        e->again_at = c->now + DELAY_MS + (msec_t)prng_below(&c->rng, 4 * DELAY_MS);
    } else if (c->now >= e->again_at) {
        ask_for_votes(c);
    }
}

void election_step(struct cluster *c)
{
    struct election *e = &c->election;
    if (!wanted(c)) {
        if (e->state != ELECTION_IDLE || e->why_not)
            election_stop(c);
        return;
    }
    if (data_too_old(c)) {
        why_not(c, "Disconnected from master for longer than allowed. Please check the "
                   "'cluster-replica-validity-factor' configuration option.");
        return;
    }
    if (e->state == ELECTION_IDLE && (c->now >= e->again_at || c->manual.can_start))
        start_waiting(c);
    if (e->state == ELECTION_WAITING)
        while_waiting(c);
    if (e->state == ELECTION_ASKING)
        while_asking(c);
}

msec_t election_deadline(const struct cluster *c)
{
    switch (c->election.state) {
    case ELECTION_WAITING:
        return c->election.start_at;
    case ELECTION_ASKING:
        return min_ms(c->election.again_at, c->election.deadline);
    default:
        return INT64_MAX;
    }
}

/* A vote for us. */
void recv_vote(struct cluster *c, struct cluster_node *n, const struct frame *f)
{
    struct election *e = &c->election;
    if (e->state != ELECTION_ASKING || !node_is(n, CLUSTER_NODE_MASTER) || !n->n_slots || f->current_epoch < e->epoch)
        return;
    for (unsigned v = 0; v < e->votes; v++)
        if (e->voters[v] == n)
            return;
    if (e->votes == e->cap_voters) {
        e->cap_voters = e->cap_voters ? e->cap_voters * 2 : 16;
        e->voters = mem_realloc(e->voters, e->cap_voters * sizeof *e->voters);
    }
    e->voters[e->votes++] = n;
}

/* ---- the voter ---- */

void recv_vote_request(struct cluster *c, struct cluster_node *n, const struct frame *f)
{
    if (!node_is(c->me, CLUSTER_NODE_MASTER) || !c->me->n_slots || f->current_epoch < c->current_epoch ||
        f->current_epoch <= c->last_vote_epoch)
        return;
    n->vote_epoch = f->current_epoch;
    n->vote_asked_at = c->now;
    n->vote_forced = f->mflags[0] & WIRE_FORCEACK;
    probe(c, n);
}

void votes_retry(struct cluster *c, struct cluster_node *master)
{
    LIST_EACH(&master->replicas, r) {
        struct cluster_node *n = LIST_ITEM(r, struct cluster_node, in_master);
        if (n->vote_epoch)
            probe(c, n);
    }
}

/* Do the slots that it claims (its master's) belong to nobody with a newer configuration? */
static bool claim_is_current(const struct cluster *c, const struct frame *f)
{
    for (unsigned s = 0; s < CLUSTER_SLOTS; s++) {
        const struct cluster_node *owner = bit_get(f->slots, s) ? slot_owner(c, s) : NULL;
        if (owner && owner->config_epoch > f->config_epoch)
            return false;
    }
    return true;
}

static void refuse(struct cluster *c, struct cluster_node *n, const char *why)
{
    trace(c, CLUSTER_TRACE_WARNING, "Failover auth denied to %.40s: %s", n->name, why);
    n->vote_epoch = 0;
}

/* `n` has shown itself that it is in the epoch for which it asks. */
void vote_proved(struct cluster *c, struct cluster_node *n, const struct frame *f)
{
    struct cluster_node *m = n->master;
    uint64_t epoch = n->vote_epoch;
    if (c->now - n->vote_asked_at > auth_timeout(c)) {
        n->vote_epoch = 0;
        return;
    }
    if (f->current_epoch < epoch)
        return; /* its answer is older than its request, or the request was not its own */
    if (!node_is(c->me, CLUSTER_NODE_MASTER) || !c->me->n_slots || !node_is(n, CLUSTER_NODE_REPLICA) || !m)
        return refuse(c, n, "it is no replica of a known master");
    if (epoch < c->current_epoch)
        return refuse(c, n, "its epoch is over");
    if (epoch <= c->last_vote_epoch)
        return refuse(c, n, "already voted in this epoch");
    if (!node_is(m, CLUSTER_NODE_FAIL) && !n->vote_forced)
        return; /* its master is up, as far as we know: if we hear of its end soon, the answer is yes */
    if (m->voted_at && c->now - m->voted_at < 2 * c->config.node_timeout_ms &&
        memcmp(m->voted_for, n->name, sizeof m->voted_for) != 0)
        return refuse(c, n, "a replica of the same master has had our vote a short time ago");
    if (!claim_is_current(c, f))
        return refuse(c, n, "a slot that it claims is served under a newer epoch");
    n->vote_epoch = 0;
    m->voted_at = c->now;
    memcpy(m->voted_for, n->name, sizeof m->voted_for);
    c->last_vote_epoch = epoch;
    save_durable(c);
    struct frame ack = frame_begin(c, WIRE_AUTH_ACK);
    node_send(c, n, frame_end(c, &ack), WIRE_AUTH_ACK);
    trace(c, CLUSTER_TRACE_NOTICE, "Failover auth granted to %.40s for epoch %llu", n->name, (unsigned long long)epoch);
}

/* ---- changing places ---- */

void take_over(struct cluster *c)
{
    struct cluster_node *old = c->me->master;
    node_set_master(c, c->me, NULL);
    for (unsigned s = 0; old->n_slots && s < CLUSTER_SLOTS; s++)
        if (slot_owner(c, s) == old)
            slot_assign(c, s, c->me);
    c->slots_version++;
    election_stop(c);
    manual_reset(c);
    c->guard_until = 0;
    act(c, CLUSTER_BECOME_MASTER);
    save_durable(c);
    broadcast_pong(c, NULL);
}

void become_master(struct cluster *c)
{
    if (node_is(c->me, CLUSTER_NODE_MASTER))
        return;
    node_set_master(c, c->me, NULL);
    election_stop(c);
    c->guard_until = 0;
    c->todo_served = true;
    act(c, CLUSTER_BECOME_MASTER);
    save_durable(c);
}

void become_replica_of(struct cluster *c, struct cluster_node *master)
{
    if (c->me->master == master)
        return;
    if (node_is(c->me, CLUSTER_NODE_MASTER))
        slots_drop_all(c, c->me);
    c->me->flags &= (uint16_t)~CLUSTER_NODE_MIGRATE_TO;
    node_set_master(c, c->me, master);
    c->migrating.n = c->importing.n = 0;
    c->any_lost = false; /* all of the data will be its master's */
    memset(c->lost, 0, sizeof c->lost);
    master->synced = false;
    c->guard_until = 0;
    c->lease = (struct lease){ 0 };
    c->todo_state = c->todo_served = true;
    election_stop(c);
    manual_reset(c);
    save_durable(c);
    struct cluster_action *a = act(c, CLUSTER_FOLLOW);
    a->follow.name = master->name;
    a->follow.ip = arena_copy(&c->out->arena, bytes_of(master->ip, CLUSTER_IP)).p;
    a->follow.port = master->port;
}

bool cluster_refuses_resync(const struct cluster *c)
{
    return c->guard_until > c->now;
}
