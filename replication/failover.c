/* FAILOVER: a master hands its role to a replica without losing a write.
 *
 *   NO_FAILOVER --FAILOVER: writes pause--> WAITING --a replica has all, or FORCE and time is over--> IN_PROGRESS
 *        ^                                     |                                                        |
 *        |<-----ABORT, time is over: -------- -+     the master becomes a replica of the target and     |
 *        |      writes go on                         asks PSYNC id offset FAILOVER                      |
 *        |<-----it answered: writes go on (they are refused now: we are a replica)----------------------+
 *        |<-----it refused, ABORT: we are a master again -----------------------------------------------+
 *
 * A replica has all when it acknowledged what was written before the pause; behind that there is only our GETACK. */
#include "replication/inner.h"

#include "common/num.h"

struct request {
    struct bytes host;
    int64_t port, timeout;
    bool to, force, abort, timed;
};

/* The error, or NULL. */
static const char *parse(const struct repl_command *c, struct request *q)
{
    for (int i = 1; i < c->argc; i++) {
        if (bytes_is(c->argv[i], "timeout") && i + 1 < c->argc && !q->timed) {
            if (!num_parse_i64(c->argv[++i], &q->timeout))
                return "ERR value is not an integer or out of range";
            if (q->timeout <= 0)
                return "ERR FAILOVER timeout must be greater than 0";
            q->timed = true;
        } else if (bytes_is(c->argv[i], "abort") && !q->abort) {
            q->abort = true;
        } else if (bytes_is(c->argv[i], "to") && i + 2 < c->argc && !q->to) {
            q->host = c->argv[++i];
            if (!num_parse_i64(c->argv[++i], &q->port))
                return "ERR value is not an integer or out of range";
            q->to = true;
        } else if (bytes_is(c->argv[i], "force") && !q->force) {
            q->force = true;
        } else {
            return "ERR syntax error";
        }
    }
    if (q->abort && (q->to || q->timed || q->force))
        return "ERR syntax error";
    return NULL;
}

static bool is_target(const struct replica *p, const char *host, size_t n, int64_t port)
{
    const char *ip = p->ip[0] ? p->ip : p->ip_seen;
    return p->port == port && bytes_is(bytes_of(host, n), ip);
}

static struct replica *find_target(const struct repl *r, const char *host, size_t n, int64_t port)
{
    LIST_EACH(&r->replicas, node)
    {
        struct replica *p = LIST_ITEM(node, struct replica, in_list);
        if (is_target(p, host, n, port))
            return p;
    }
    return NULL;
}

static void end(struct repl *r)
{
    r->failover = (struct failover){ 0 };
    r->link.psync_failover = false;
    repl_act(r, REPL_UNPAUSE_WRITES);
}

static void abort_failover(struct repl *r, const char *why)
{
    enum repl_failover_state was = r->failover.state;
    repl_trace(r, REPL_NOTICE, "Failover aborted: %s. %s", why,
          was == REPL_FAILOVER_WAITING ? "Writes go on." : "We are a master again.");
    end(r);
    if (was == REPL_FAILOVER_IN_PROGRESS)
        follow_promote(r);
}

void failover_cancel(struct repl *r)
{
    if (r->failover.state == REPL_NO_FAILOVER)
        return;
    repl_trace(r, REPL_NOTICE, "Failover aborted: our role was changed otherwise.");
    end(r);
}

void failover_refused(struct repl *r, const char *why)
{
    abort_failover(r, why);
}

void failover_linked(struct repl *r)
{
    if (r->failover.state != REPL_FAILOVER_IN_PROGRESS)
        return;
    repl_trace(r, REPL_NOTICE, "Failover succeeded: %s is the master now.", r->link.name);
    end(r);
}

static void hand_over(struct repl *r, const char *host, int port)
{
    struct failover *f = &r->failover;
    struct bytes target = arena_printf(&r->arena, "%s", host);
    repl_trace(r, REPL_NOTICE, "Failover target is %s:%d, becoming its replica.", host, port);
    struct failover was = *f;
    *f = (struct failover){ 0 }; /* follow() must not take it for a change of role by somebody else */
    follow(r, target, port);
    *f = was;
    f->state = REPL_FAILOVER_IN_PROGRESS;
    f->deadline = 0;
    r->link.psync_failover = true;
}

void failover_acked(struct repl *r)
{
    struct failover *f = &r->failover;
    if (f->state != REPL_FAILOVER_WAITING)
        return;
    LIST_EACH(&r->replicas, n)
    {
        const struct replica *p = LIST_ITEM(n, struct replica, in_list);
        if (p->state != ONLINE || p->acked < f->need || p->sync_only)
            continue;
        if (f->named && !is_target(p, f->host, strlen(f->host), f->port))
            continue;
        const char *ip = p->ip[0] ? p->ip : p->ip_seen;
        if (p->port <= 0)
            continue;
        hand_over(r, ip, p->port);
        return;
    }
}

void failover_tick(struct repl *r)
{
    struct failover *f = &r->failover;
    if (f->state != REPL_FAILOVER_WAITING || f->deadline == 0 || r->env.now < f->deadline)
        return;
    if (f->force) {
        repl_trace(r, REPL_WARNING, "Failover target %s:%d has not all writes in time, but FORCE was given.", f->host,
              f->port);
        hand_over(r, f->host, f->port);
    } else {
        abort_failover(r, "no replica had all writes in time");
    }
}

msec_t failover_deadline(const struct repl *r)
{
    const struct failover *f = &r->failover;
    return f->state == REPL_FAILOVER_WAITING && f->deadline ? f->deadline : REPL_NEVER;
}

static void begin(struct repl *r, const struct request *q)
{
    struct failover *f = &r->failover;
    *f = (struct failover){ .state = REPL_FAILOVER_WAITING, .named = q->to, .force = q->force };
    if (q->to) {
        memcpy(f->host, q->host.p, q->host.n);
        f->port = (int)q->port;
    }
    if (q->timed && !checked_add_i64(r->env.now, q->timeout, &f->deadline))
        f->deadline = REPL_NEVER;
    repl_trace(r, REPL_NOTICE, "FAILOVER requested%s%s.", q->to ? " to " : "", q->to ? f->host : "");
    repl_act(r, REPL_PAUSE_WRITES);
    f->need = history_offset(r);
    struct bytes argv[] = { BYTES("REPLCONF"), BYTES("GETACK"), BYTES("*") };
    history_append_command(r, 3, argv);
    failover_acked(r);
}

/* The error, or NULL. */
static const char *check(struct repl *r, const struct request *q)
{
    if (r->failover.state != REPL_NO_FAILOVER)
        return "ERR FAILOVER already in progress.";
    if (r->replica)
        return "ERR FAILOVER is not valid when server is a replica.";
    if (r->replicas_n == 0)
        return "ERR FAILOVER requires connected replicas.";
    if (q->force && (!q->timed || !q->to))
        return "ERR FAILOVER with force option requires both a timeout and target HOST and IP.";
    if (!q->to)
        return NULL;
    struct replica *p = q->host.n <= REPL_ADDR_MAX ? find_target(r, q->host.p, q->host.n, q->port) : NULL;
    if (!p)
        return "ERR FAILOVER target HOST and PORT is not a replica.";
    if (p->state != ONLINE)
        return "ERR FAILOVER target replica is not online.";
    return NULL;
}

void failover_command(struct repl *r, uint64_t client, const struct repl_command *c)
{
    struct request q = { 0 };
    const char *error = parse(c, &q);
    if (!error && q.abort && r->failover.state == REPL_NO_FAILOVER)
        error = "ERR No failover in progress.";
    if (!error && !q.abort)
        error = check(r, &q);
    if (error) {
        send_text(r, client, "-%s\r\n", error);
        return;
    }
    send_bytes(r, client, BYTES("+OK\r\n"));
    if (q.abort)
        abort_failover(r, "asked to");
    else
        begin(r, &q);
}
