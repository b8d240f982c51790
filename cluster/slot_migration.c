/* CLUSTER SETSLOT: a slot moves from one master to another while both serve it. */
#include "cluster/machine.h"

/* The two ends of a move are masters that both know each other. NULL: the error is written. */
static struct cluster_node *other_end(struct cluster *c, const struct cluster_command *cmd, bool unknown_is_short)
{
    struct cluster_node *n = command_node(c, cmd->name);
    if (!n)
        reply_error(c, unknown_is_short ? "ERR Unknown node %.*s" : "ERR I don't know about node %.*s",
                    (int)(cmd->name.n < 200 ? cmd->name.n : 200), cmd->name.p);
    else if (node_is(n, CLUSTER_NODE_REPLICA))
        reply_error(c, "ERR Target node is not a master");
    else
        return n;
    return NULL;
}

static void migrating(struct cluster *c, const struct cluster_command *cmd)
{
    unsigned slot = (unsigned)cmd->slot;
    if (slot_owner(c, slot) != c->me) {
        reply_error(c, "ERR I'm not the owner of hash slot %u", slot);
        return;
    }
    struct cluster_node *n = other_end(c, cmd, false);
    if (!n)
        return;
    move_set(&c->migrating, slot, n);
    reply_ok(c);
}

static void importing(struct cluster *c, const struct cluster_command *cmd)
{
    unsigned slot = (unsigned)cmd->slot;
    if (slot_owner(c, slot) == c->me) {
        reply_error(c, "ERR I'm already the owner of hash slot %u", slot);
        return;
    }
    struct cluster_node *n = other_end(c, cmd, false);
    if (!n)
        return;
    move_set(&c->importing, slot, n);
    reply_ok(c);
}

/* The move is done: `n` owns the slot. The one who imported it takes a new epoch without asking, so that its claim
 * beats the old owner's everywhere. */
static void finish(struct cluster *c, const struct cluster_command *cmd)
{
    unsigned slot = (unsigned)cmd->slot;
    struct cluster_node *n = other_end(c, cmd, true), *owner = slot_owner(c, slot);
    if (!n)
        return;
    if (owner == c->me && n != c->me && cmd->keys_in_slot) {
        reply_error(c, "ERR Can't assign hashslot %u to a different node while I still hold keys for this hash slot.",
                    slot);
        return;
    }
    if (cmd->keys_in_slot == 0)
        move_set(&c->migrating, slot, NULL);
    bool imported = n == c->me && move_get(&c->importing, slot);
    slot_assign(c, slot, n);
    if (imported) {
        if (epoch_bump(c))
            trace(c, CLUSTER_TRACE_NOTICE, "configEpoch updated after importing slot %u", slot);
        move_set(&c->importing, slot, NULL);
        broadcast_pong(c, NULL);
    }
    reply_ok(c);
    if (owner == c->me && n != c->me && c->me->n_slots == 0 && c->config.allow_replica_migration) {
        trace(c, CLUSTER_TRACE_NOTICE, "Configuration change detected. Reconfiguring myself as a replica of %.40s",
              n->name);
        become_replica_of(c, n);
    }
}

void command_setslot(struct cluster *c, const struct cluster_command *cmd)
{
    if (node_is(c->me, CLUSTER_NODE_REPLICA)) {
        reply_error(c, "ERR Please use SETSLOT only with masters.");
        return;
    }
    switch (cmd->kind) {
    case CLUSTER_SETSLOT_MIGRATING:
        migrating(c, cmd);
        break;
    case CLUSTER_SETSLOT_IMPORTING:
        importing(c, cmd);
        break;
    case CLUSTER_SETSLOT_NODE:
        finish(c, cmd);
        break;
    default:
        move_set(&c->migrating, (unsigned)cmd->slot, NULL);
        move_set(&c->importing, (unsigned)cmd->slot, NULL);
        reply_ok(c);
    }
    c->todo_state = c->todo_served = true;
    /* A reshard is thousands of these: only a new epoch is worth an fsync (epoch_bump asks for it). */
    if (!c->out->reply.error)
        save_now(c);
}
