/* The lines between a new connection and the payload or the stream: PING, AUTH, REPLCONF ..., PSYNC. All behind the
 * PING is sent at once; the answers are read in order. */
#include "common/num.h"
#include "replication/inner.h"

static void send_command(struct repl *r, int argc, const struct bytes *argv)
{
    send_bytes(r, r->link.peer, encode(r, argc, argv));
}

void handshake_begin(struct repl *r)
{
    struct bytes argv[] = { BYTES("PING") };
    send_command(r, 1, argv);
    r->link.expects = REPLY_PING;
}

static bool has(const char *s)
{
    return s && *s;
}

static void send_auth(struct repl *r)
{
    struct bytes argv[3] = { BYTES("AUTH") };
    int n = 1;
    if (has(r->config.master_user))
        argv[n++] = bytes_of_str(r->config.master_user);
    argv[n++] = bytes_of_str(r->config.master_auth);
    send_command(r, n, argv);
}

static void send_introduction(struct repl *r)
{
    struct link *l = &r->link;
    if (has(r->config.master_auth))
        send_auth(r);
    struct bytes port[] = { BYTES("REPLCONF"), BYTES("listening-port"),
                            arena_printf(&r->arena, "%d", r->config.listening_port) };
    send_command(r, 3, port);
    if (has(r->config.announce_ip)) {
        struct bytes ip[] = { BYTES("REPLCONF"), BYTES("ip-address"), bytes_of_str(r->config.announce_ip) };
        send_command(r, 3, ip);
    }
    struct bytes capa[] = { BYTES("REPLCONF"), BYTES("capa"), BYTES("eof"), BYTES("capa"), BYTES("psync2"),
                            BYTES("capa"), BYTES("ouro") };
    send_command(r, 7, capa);
    l->clock_asked_at = r->env.now;
    l->expects = has(r->config.master_auth) ? REPLY_AUTH : REPLY_PORT;
}

static void send_psync(struct repl *r)
{
    struct link *l = &r->link;
    struct bytes argv[4] = { BYTES("PSYNC"), BYTES("?"), BYTES("-1"), BYTES("FAILOVER") };
    if (l->trusted) {
        argv[1] = bytes_of_str(r->id.hex);
        argv[2] = arena_printf(&r->arena, "%lld", (long long)history_offset(r) + 1);
        repl_trace(r, REPL_NOTICE, "Trying a partial resynchronization (request %s:%s).", argv[1].p, argv[2].p);
    } else {
        repl_trace(r, REPL_NOTICE, "Partial resynchronization not possible (no cached master)");
    }
    send_command(r, l->psync_failover && l->trusted ? 4 : 3, argv);
    l->expects = REPLY_PSYNC;
}

static bool starts_with(struct bytes b, const char *prefix)
{
    size_t n = strlen(prefix);
    return b.n >= n && memcmp(b.p, prefix, n) == 0;
}

static struct bytes behind(struct bytes b, size_t n)
{
    return bytes_of(b.p + n, b.n - n);
}

/* ---- the answers ---- */

static void on_ping(struct repl *r, struct bytes line)
{
    bool ok = line.p[0] == '+' || starts_with(line, "-NOAUTH") || starts_with(line, "-NOPERM") ||
              starts_with(line, "-ERR operation not permitted");
    if (!ok) {
        link_fail(r, "Error reply to PING from master: '%s'", shown(r, line).p);
        return;
    }
    repl_trace(r, REPL_NOTICE, "Master replied to PING, replication can continue...");
    send_introduction(r);
}

static void say_not_critical(struct repl *r, const char *what, struct bytes line)
{
    if (line.p[0] == '-')
        repl_trace(r, REPL_NOTICE, "(Non critical) Master does not understand REPLCONF %s: %s", what, shown(r, line).p);
}

/* "+OK ouro <wall ms> master|replica": one of us. */
static void on_capa(struct repl *r, struct bytes line)
{
    struct link *l = &r->link;
    int64_t wall;
    say_not_critical(r, "capa", line);
    if (!starts_with(line, "+OK ouro "))
        return;
    struct bytes number = behind(line, 9), role = BYTES("");
    const char *space = memchr(number.p, ' ', number.n);
    if (space) {
        role = behind(number, (size_t)(space - number.p) + 1);
        number.n = (size_t)(space - number.p);
    }
    if (!num_parse_i64(number, &wall) || wall < 0 || wall > OFFSET_MAX)
        return;
    l->master_is_ouro = true;
    l->master_is_replica = bytes_is(role, "replica");
    l->clock_ahead = wall + (r->env.now - l->clock_asked_at) / 2 - r->env.wall;
}

static void on_full(struct repl *r, struct bytes rest)
{
    struct link *l = &r->link;
    struct repl_id id;
    int64_t offset;
    if (rest.n < REPL_ID_LEN + 2 || rest.p[REPL_ID_LEN] != ' ' || !ids_parse(bytes_of(rest.p, REPL_ID_LEN), &id) ||
        !num_parse_i64(behind(rest, REPL_ID_LEN + 1), &offset) || offset < 0 || offset > OFFSET_MAX) {
        link_fail(r, "it answered PSYNC with a malformed FULLRESYNC '%s'", shown(r, rest).p);
        return;
    }
    l->full_id = id;
    l->full_offset = offset;
    repl_trace(r, REPL_NOTICE, "Full resync from master: %s:%lld", id.hex, (long long)offset);
    if (guard_refuses(r))
        return;
    failover_linked(r);
    l->expects = REPLY_SIZE;
    link_move(r, REPL_LINK_TRANSFER);
}

static void on_continue(struct repl *r, struct bytes rest)
{
    struct link *l = &r->link;
    struct repl_id id = r->id;
    if (!l->trusted) {
        link_fail(r, "it wants to continue what we never began");
        return;
    }
    if (rest.n && (rest.p[0] != ' ' || !ids_parse(behind(rest, 1), &id))) {
        link_fail(r, "it answered PSYNC with a malformed CONTINUE '%s'", shown(r, rest).p);
        return;
    }
    repl_trace(r, REPL_NOTICE, "Successful partial resynchronization with master.");
    if (memcmp(id.hex, r->id.hex, REPL_ID_LEN) != 0) {
        repl_trace(r, REPL_NOTICE, "Master replication ID changed to %s", id.hex);
        history_continue_as(r, &id);
    }
    if (!r->has_backlog)
        history_backlog_make(r, history_offset(r));
    link_connected(r);
}

/* The old way: no id, no offset; the payload comes at once. */
static void fall_back(struct repl *r, struct bytes line)
{
    struct link *l = &r->link;
    repl_trace(r, REPL_NOTICE, "Master does not support PSYNC or is in error state (reply: %s). Retrying with SYNC...",
          shown(r, line).p);
    ids_next(&r->ids, &l->full_id);
    l->full_offset = 0;
    if (guard_refuses(r))
        return;
    l->plain_sync = true;
    send_bytes(r, l->peer, BYTES("SYNC\r\n"));
    l->expects = REPLY_SIZE;
    link_move(r, REPL_LINK_TRANSFER);
}

static void on_psync(struct repl *r, struct bytes line)
{
    if (starts_with(line, "+FULLRESYNC "))
        on_full(r, behind(line, 12));
    else if (starts_with(line, "+CONTINUE"))
        on_continue(r, behind(line, 9));
    else if (starts_with(line, "-NOMASTERLINK") || starts_with(line, "-LOADING"))
        link_fail(r, "it is not ready to sync: %s", shown(r, line).p);
    else if (line.p[0] == '-' && r->failover.state == REPL_FAILOVER_IN_PROGRESS)
        failover_refused(r, shown(r, line).p);
    else if (line.p[0] == '-')
        fall_back(r, line);
    else
        link_fail(r, "Unexpected reply to PSYNC from master: %s", shown(r, line).p);
}

void handshake_line(struct repl *r, struct bytes line)
{
    struct link *l = &r->link;
    ASSERT(line.n > 0);
    if (line.p[0] != '+' && line.p[0] != '-') {
        link_fail(r, "it does not speak our protocol: '%s'", shown(r, line).p);
        return;
    }
    switch (l->expects) {
    case REPLY_PING: on_ping(r, line); break;
    case REPLY_AUTH:
        if (line.p[0] == '-')
            link_fail(r, "Unable to AUTH to MASTER: %s", shown(r, line).p);
        l->expects = REPLY_PORT;
        break;
    case REPLY_PORT:
        say_not_critical(r, "listening-port", line);
        l->expects = has(r->config.announce_ip) ? REPLY_IP : REPLY_CAPA;
        break;
    case REPLY_IP:
        say_not_critical(r, "ip-address", line);
        l->expects = REPLY_CAPA;
        break;
    case REPLY_CAPA:
        on_capa(r, line);
        send_psync(r);
        break;
    case REPLY_PSYNC: on_psync(r, line); break;
    case REPLY_SIZE: PANIC("the payload's first line is transfer.c's"); break;
    }
}
