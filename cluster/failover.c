/* CLUSTER FAILOVER: a replica and its living master change places, without losing a write.
 *
 *   replica                         master
 *     MFSTART --------------------->  writes are paused
 *     <------- PING, PAUSED, offset
 *     reaches the offset
 *     election (FORCEACK) --------->  voters
 *     PONG to all: the slots are mine */
#include "cluster/machine.h"

void manual_reset(struct cluster *c)
{
    bool was = c->manual.end != 0;
    c->manual = (struct manual){ .master_offset = -1 };
    if (was && c->election.state != ELECTION_IDLE)
        election_stop(c);
}

/* FORCE does not ask the master. */
void manual_begin_replica(struct cluster *c)
{
    struct manual *m = &c->manual;
    manual_reset(c);
    election_stop(c);
    m->end = c->now + MANUAL_FAILOVER_MS;
}

/* The replica on `l` wants our place. */
void manual_asked(struct cluster *c, struct cluster_link *l, struct cluster_node *replica)
{
    struct manual *m = &c->manual;
    manual_reset(c);
    m->end = c->now + MANUAL_FAILOVER_MS;
    m->paused_until = c->now + 2 * MANUAL_FAILOVER_MS;
    m->replica = replica;
    trace(c, CLUSTER_TRACE_WARNING, "Manual failover requested by replica %.40s.", replica->name);
    struct frame f = frame_begin(c, WIRE_PING);
    link_send(c, l, frame_end(c, &f), WIRE_PING);
}

void manual_told_offset(struct cluster *c, int64_t offset)
{
    struct manual *m = &c->manual;
    if (!m->end || !c->me->master || m->master_offset >= 0)
        return;
    m->master_offset = offset;
    trace(c, CLUSTER_TRACE_NOTICE,
          "Received replication offset for paused master manual failover: %lld", (long long)offset);
}

void manual_step(struct cluster *c)
{
    struct manual *m = &c->manual;
    if (!m->end)
        return;
    if (c->now >= m->end) {
        trace(c, CLUSTER_TRACE_WARNING, "Manual failover timed out.");
        manual_reset(c);
    } else if (c->me->master && !m->can_start && m->master_offset >= 0 && c->repl.offset >= m->master_offset) {
        m->can_start = true;
        trace(c, CLUSTER_TRACE_NOTICE,
              "All master replication stream processed, manual failover can start.");
    }
}

msec_t manual_deadline(const struct cluster *c)
{
    return c->manual.end ? c->manual.end : INT64_MAX;
}

bool cluster_watches_offset(const struct cluster *c)
{
    return c->manual.end && c->me->master && !c->manual.can_start;
}
