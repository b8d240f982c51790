/* Waiting for replicas before the end (see ending.h). */
#include "server/ending.h"

#include "common/alloc.h"
#include "common/log.h"
#include "server/dispatch.h"
#include "server/drivers/replication.h"
#include "server/node.h"

enum { HELD_MAX = 32, LOOK_MS = 20 };

struct ending {
    struct node *node;
    bool waits;
    unsigned flags;
    msec_t until;     /* monotonic */
    uint64_t held[HELD_MAX]; /* clients that asked for it */
    int held_n;
};

struct ending *ending_new(struct node *node)
{
    struct ending *e = mem_zalloc(sizeof(*e));
    e->node = node;
    return e;
}

void ending_free(struct ending *e)
{
    mem_free(e);
}

static msec_t now(const struct ending *e)
{
    return replication_now(node_replication(e->node));
}

static bool replicas_have_all(const struct ending *e)
{
    return repl_caught_up(replication_machine(node_replication(e->node)));
}

bool ending_begin(struct ending *e, unsigned flags)
{
    int timeout_s = node_options(e->node)->process.shutdown_timeout;
    if ((flags & SHUTDOWN_NOW) || timeout_s == 0 || replication_is_replica(node_replication(e->node)) ||
        replicas_have_all(e)) {
        e->waits = false;
        return false;
    }
    if (e->waits)
        return true;
    log_notice("Waiting for replicas before shutting down.");
    e->waits = true;
    e->flags = flags;
    e->until = now(e) + (msec_t)timeout_s * 1000;
    replication_ask_acks(node_replication(e->node)); /* before the stream stands still */
    dispatch_pause(node_dispatch(e->node), PAUSE_FOR_SHUTDOWN, PAUSE_WRITE, INT64_MAX);
    return true;
}

bool ending_waits(const struct ending *e)
{
    return e->waits;
}

/* What each replica has, for whoever wonders afterwards. */
static void tell(const struct ending *e)
{
    const struct repl *machine = replication_machine(node_replication(e->node));
    struct repl_view v;
    repl_view(machine, now(e), &v);
    int in_sync = 0;
    for (int i = 0; i < v.replicas; i++) {
        struct repl_replica_view r;
        repl_replica_at(machine, i, now(e), &r);
        if (r.ack_offset >= v.offset) {
            in_sync++;
            continue;
        }
        log_warning("Lagging replica %s:%d reported offset %lld behind master, lag=%lld, state=%s.", r.ip, r.port,
                    (long long)(v.offset - r.ack_offset), (long long)(r.ack_age_ms < 0 ? -1 : r.ack_age_ms / 1000),
                    r.state == REPL_REPLICA_ONLINE ? "online" : "send_bulk");
    }
    log_warning("%d of %d replicas are in sync when shutting down.", in_sync, v.replicas);
}

bool ending_is_over(struct ending *e, unsigned *ret_flags)
{
    if (!e->waits || (now(e) < e->until && !replicas_have_all(e)))
        return false;
    tell(e);
    e->waits = false;
    *ret_flags = e->flags | SHUTDOWN_NOW;
    return true;
}

void ending_hold(struct ending *e, struct client *client)
{
    if (e->held_n == HELD_MAX) {
        client_close(client);
        return;
    }
    e->held[e->held_n++] = client->id;
    client_hold(client, true);
}

bool ending_abort(struct ending *e)
{
    if (!e->waits)
        return false;
    log_warning("Shutdown manually aborted.");
    e->waits = false;
    dispatch_unpause(node_dispatch(e->node), PAUSE_FOR_SHUTDOWN);
    for (int i = 0; i < e->held_n; i++) {
        struct client *client = client_by_id(node_clients(e->node), e->held[i]);
        if (!client)
            continue;
        resp_error_str(client_writer(client), "ERR Errors trying to SHUTDOWN. Check logs.");
        client_hold(client, false);
    }
    e->held_n = 0;
    dispatch_retarget(node_dispatch(e->node));
    return true;
}

msec_t ending_left_ms(const struct ending *e)
{
    msec_t left = e->until - now(e);
    return e->waits ? left > 0 ? left : 0 : -1;
}

usec_t ending_deadline(const struct ending *e)
{
    msec_t next = now(e) + LOOK_MS;
    return e->waits ? (next < e->until ? next : e->until) * 1000 : INT64_MAX;
}
