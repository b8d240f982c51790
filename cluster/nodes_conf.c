/* nodes.conf, and CLUSTER NODES, which has nearly the same lines:
 *
 *   name ip:port@bus[,hostname[,aux=value]..] flags master|- ping pong epoch connected|disconnected slot slot-slot ..
 *   vars currentEpoch N lastVoteEpoch N
 *
 * After the slots of ourselves: [slot->-name] for what is leaving, [slot-<-name] for what is coming. */
#include "cluster/machine.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/num.h"

/* ---- writing ---- */

static const struct {
    unsigned flag;
    const char *name;
} flag_names[] = {
    { CLUSTER_NODE_MYSELF, "myself" },       { CLUSTER_NODE_MASTER, "master" }, { CLUSTER_NODE_REPLICA, "slave" },
    { CLUSTER_NODE_PFAIL, "fail?" },         { CLUSTER_NODE_FAIL, "fail" },     { CLUSTER_NODE_HANDSHAKE, "handshake" },
    { CLUSTER_NODE_NOADDR, "noaddr" },       { CLUSTER_NODE_NOFAILOVER, "nofailover" },
};
#define FLAG_NAMES (sizeof flag_names / sizeof flag_names[0])

static void write_flags(unsigned flags, struct buf *b)
{
    bool any = false;
    for (size_t i = 0; i < FLAG_NAMES; i++)
        if (flags & flag_names[i].flag) {
            (void)buf_printf(b, "%s%s", any ? "," : "", flag_names[i].name);
            any = true;
        }
    if (!any)
        (void)buf_append_str(b, "noflags");
}

static void write_slots(const struct cluster *c, const struct cluster_node *n, struct buf *b)
{
    for (unsigned s = 0, left = n->n_slots; left; s++) {
        if (c->owner[s] != n->index)
            continue;
        unsigned first = s;
        while (s + 1 < CLUSTER_SLOTS && c->owner[s + 1] == n->index)
            s++;
        left -= s - first + 1;
        (void)(first == s ? buf_printf(b, " %u", first) : buf_printf(b, " %u-%u", first, s));
    }
}

static msec_t to_wall(const struct cluster *c, msec_t t)
{
    return t ? c->wall - (c->now - t) : 0;
}

static void write_node(const struct cluster *c, const struct cluster_node *n, bool file, struct buf *b)
{
    const char *hostname = n == c->me ? c->hostname : n->hostname ? n->hostname : "";
    const char *human = n == c->me ? c->human : n->human ? n->human : "";
    (void)buf_printf(b, "%s %s:%u@%u", n->name, n->ip, n->port ? n->port : n->tls_port, n->bus_port);
    if (hostname[0] || file)
        (void)buf_printf(b, ",%s", hostname);
    if (file) {
        (void)buf_printf(b, ",tls-port=%u", n->tls_port);
        if (human[0])
            (void)buf_printf(b, ",nodename=%s", human);
        (void)buf_printf(b, ",shard-id=%s", n->shard);
    }
    (void)buf_append_char(b, ' ');
    write_flags(n->flags, b);
    bool me = n == c->me;
    (void)buf_printf(b, " %s %" PRId64 " %" PRId64 " %" PRIu64 " %s", n->master ? n->master->name : "-",
                     me ? 0 : to_wall(c, n->ping_sent), me ? c->wall / 1000 * 1000 : to_wall(c, n->pong_received),
                     n->master && n->master->config_epoch ? n->master->config_epoch : n->config_epoch,
                     me || (n->to && n->to->up) ? "connected" : "disconnected");
    write_slots(c, n, b);
    if (!me)
        return;
    for (size_t i = 0; i < c->migrating.n; i++)
        (void)buf_printf(b, " [%u->-%s]", c->migrating.v[i].slot, c->migrating.v[i].node->name);
    for (size_t i = 0; i < c->importing.n; i++)
        (void)buf_printf(b, " [%u-<-%s]", c->importing.v[i].slot, c->importing.v[i].node->name);
}

void cluster_write_node(const struct cluster *c, const struct cluster_node *n, struct buf *b)
{
    write_node(c, n, false, b);
}

void cluster_write_nodes(const struct cluster *c, struct buf *b)
{
    for (size_t i = 0; i < c->n_nodes; i++) {
        write_node(c, c->nodes[i], false, b);
        (void)buf_append_char(b, '\n');
    }
}

void nodes_conf_write(const struct cluster *c, struct buf *b)
{
    for (size_t i = 0; i < c->n_nodes; i++)
        if (!node_is(c->nodes[i], CLUSTER_NODE_HANDSHAKE)) {
            write_node(c, c->nodes[i], true, b);
            (void)buf_append_char(b, '\n');
        }
    (void)buf_printf(b, "vars currentEpoch %" PRIu64 " lastVoteEpoch %" PRIu64 "\n", c->current_epoch,
                     c->last_vote_epoch);
}

/* ---- reading ---- */

struct reader {
    struct cluster *c;
    struct bytes rest; /* of the line */
    unsigned line;
    bool defined[NODES_MAX]; /* by index: has had its line */
    bool vars;
};

static bool broken(struct reader *r, const char *what, struct bytes at)
{
    buf_clear(&r->c->text);
    (void)buf_printf(&r->c->text, "line %u: %s: \"%.*s\"", r->line, what, (int)(at.n < 60 ? at.n : 60), at.p);
    return false;
}

static struct bytes cut(struct bytes *rest, char at)
{
    const char *end = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    struct bytes word = bytes_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
    size_t used = end ? word.n + 1 : word.n;
    *rest = bytes_of(rest->p + used, rest->n - used);
    return word;
}

static struct bytes next_word(struct reader *r)
{
    struct bytes w;
    do
        w = cut(&r->rest, ' ');
    while (w.n == 0 && r->rest.n);
    return w;
}

/* A node may be named before its own line. NULL: that is no name. */
static struct cluster_node *node_named(struct reader *r, struct bytes name)
{
    if (name.n != CLUSTER_NAME || !wire_name_ok(name.p))
        return NULL;
    struct cluster_node *n = node_find(r->c, name.p);
    return n || r->c->n_nodes >= NODES_MAX ? n : node_add(r->c, name.p, 0);
}

static bool number(struct bytes s, uint64_t max, uint64_t *ret)
{
    uint64_t v;
    if (!num_parse_u64(s, &v) || v > max)
        return false;
    *ret = v;
    return true;
}

static bool read_aux(struct reader *r, struct cluster_node *n, struct bytes aux)
{
    static const char *const passed_over[] = {
        "tcp-port", "udp-port", "availability-zone", "client-ipv4", "client-ipv6",
    };
    struct bytes value = aux;
    struct bytes name = cut(&value, '=');
    uint64_t v;
    if (name.n == aux.n)
        return broken(r, "an attribute without a value", aux);
    if (bytes_eq(name, BYTES("shard-id"))) {
        if (value.n != CLUSTER_NAME || !wire_name_ok(value.p))
            return broken(r, "not a shard id", value);
        memcpy(n->shard, value.p, CLUSTER_NAME);
        return true;
    }
    if (bytes_eq(name, BYTES("nodename"))) {
        if (value.n >= CLUSTER_HOST || !wire_text_ok(value))
            return broken(r, "not a node's name for people", value);
        node_set_text(&n->human, value);
        return true;
    }
    if (bytes_eq(name, BYTES("tls-port"))) {
        if (!number(value, UINT16_MAX, &v))
            return broken(r, "not a port", value);
        n->tls_port = (uint16_t)v;
        return true;
    }
    for (size_t i = 0; i < sizeof passed_over / sizeof passed_over[0]; i++)
        if (bytes_eq(name, bytes_of_str(passed_over[i])))
            return true;
    return broken(r, "an attribute that is not known", name);
}

/* ip:port@bus,hostname,aux=value,... */
static bool read_address(struct reader *r, struct cluster_node *n, struct bytes word)
{
    struct bytes rest = word, address = cut(&rest, ',');
    struct bytes bus = address;
    struct bytes host_port = cut(&bus, '@');
    size_t colon = host_port.n;
    while (colon > 0 && host_port.p[colon - 1] != ':')
        colon--;
    uint64_t port, bus_port;
    if (colon == 0)
        return broken(r, "an address without a port", word);
    struct bytes ip = bytes_of(host_port.p, colon - 1);
    if (ip.n >= CLUSTER_IP || !wire_text_ok(ip))
        return broken(r, "not an address", ip);
    if (!number(bytes_of(host_port.p + colon, host_port.n - colon), UINT16_MAX, &port))
        return broken(r, "not a port", host_port);
    bus_port = port + 10000;
    if (host_port.n < address.n && !number(bus, UINT16_MAX, &bus_port))
        return broken(r, "not a bus port", address);
    memset(n->ip, 0, CLUSTER_IP);
    memcpy(n->ip, ip.p, ip.n);
    n->port = (uint16_t)port;
    n->bus_port = (uint16_t)bus_port;
    if (address.n == word.n)
        return true;
    struct bytes hostname = cut(&rest, ',');
    if (hostname.n >= CLUSTER_HOST || !wire_text_ok(hostname))
        return broken(r, "not a host name", hostname);
    node_set_text(&n->hostname, hostname);
    while (rest.n)
        if (!read_aux(r, n, cut(&rest, ',')))
            return false;
    return true;
}

static bool read_flags(struct reader *r, struct cluster_node *n, struct bytes word)
{
    struct bytes rest = word;
    unsigned flags = 0;
    while (rest.n) {
        struct bytes name = cut(&rest, ',');
        size_t i = 0;
        while (i < FLAG_NAMES && !bytes_eq(name, bytes_of_str(flag_names[i].name)))
            i++;
        if (i < FLAG_NAMES)
            flags |= flag_names[i].flag;
        else if (!bytes_eq(name, BYTES("noflags")))
            return broken(r, "an unknown flag", name);
    }
    n->flags |= (uint16_t)(flags & ~(CLUSTER_NODE_PFAIL | CLUSTER_NODE_HANDSHAKE));
    if (flags & CLUSTER_NODE_FAIL)
        n->fail_at = r->c->now;
    if (flags & CLUSTER_NODE_PFAIL && !(flags & CLUSTER_NODE_FAIL)) {
        n->flags |= CLUSTER_NODE_PFAIL;
        list_push_back(&r->c->suspects, &n->in_suspects);
    }
    if (!(flags & CLUSTER_NODE_MYSELF))
        return true;
    if (r->c->me)
        return broken(r, "a second node that is \"myself\"", word);
    r->c->me = n;
    return true;
}

static bool read_move(struct reader *r, struct cluster_node *n, struct bytes word)
{
    struct bytes rest = bytes_of(word.p + 1, word.n - 2);
    struct bytes slot = cut(&rest, '-');
    uint64_t s;
    if (n != r->c->me || !number(slot, CLUSTER_SLOTS - 1, &s) || rest.n < 3 || (rest.p[0] != '>' && rest.p[0] != '<') ||
        rest.p[1] != '-')
        return broken(r, "not a slot on its way", word);
    struct cluster_node *other = node_named(r, bytes_of(rest.p + 2, rest.n - 2));
    if (!other)
        return broken(r, "not a node's name", word);
    move_set(rest.p[0] == '>' ? &r->c->migrating : &r->c->importing, (unsigned)s, other);
    return true;
}

static bool read_slots(struct reader *r, struct cluster_node *n, struct bytes word)
{
    if (word.n > 2 && word.p[0] == '[' && word.p[word.n - 1] == ']')
        return read_move(r, n, word);
    struct bytes last = word, first = cut(&last, '-');
    uint64_t a, b;
    if (!number(first, CLUSTER_SLOTS - 1, &a))
        return broken(r, "not a slot", word);
    b = a;
    if (first.n < word.n && (!number(last, CLUSTER_SLOTS - 1, &b) || b < a))
        return broken(r, "not a range of slots", word);
    for (; a <= b; a++) {
        if (slot_owner(r->c, (unsigned)a))
            return broken(r, "a slot that has an owner already", word);
        slot_assign(r->c, (unsigned)a, n);
    }
    return true;
}

static bool read_vars(struct reader *r)
{
    r->vars = true;
    for (struct bytes name = next_word(r); name.n; name = next_word(r)) {
        struct bytes value = next_word(r);
        uint64_t v;
        if (!number(value, UINT64_MAX / 2, &v))
            return broken(r, "not an epoch", value);
        if (bytes_eq(name, BYTES("currentEpoch")))
            r->c->current_epoch = v;
        else if (bytes_eq(name, BYTES("lastVoteEpoch")))
            r->c->last_vote_epoch = v;
    }
    return true;
}

static bool read_node(struct reader *r, struct bytes name)
{
    struct cluster *c = r->c;
    struct cluster_node *n = node_named(r, name);
    if (!n)
        return broken(r, "not a node's name", name);
    if (r->defined[n->index])
        return broken(r, "a node that has a line already", name);
    r->defined[n->index] = true;
    if (!read_address(r, n, next_word(r)) || !read_flags(r, n, next_word(r)))
        return false;
    struct bytes master = next_word(r), ping = next_word(r), pong = next_word(r), epoch = next_word(r);
    uint64_t v;
    if (!number(ping, INT64_MAX, &v) || !number(pong, INT64_MAX, &v))
        return broken(r, "not a time", pong);
    n->pong_received = v ? c->now : 0;
    n->answered_at = c->now;
    if (!number(epoch, UINT64_MAX / 2, &n->config_epoch))
        return broken(r, "not an epoch", epoch);
    struct bytes link = next_word(r);
    if (!bytes_eq(link, BYTES("connected")) && !bytes_eq(link, BYTES("disconnected")))
        return broken(r, "not the state of a link", link);
    if (!bytes_eq(master, BYTES("-"))) {
        struct cluster_node *m = node_named(r, master);
        if (!m || m == n)
            return broken(r, "not a master's name", master);
        node_set_master(c, n, m);
    }
    for (struct bytes word = next_word(r); word.n; word = next_word(r))
        if (!read_slots(r, n, word))
            return false;
    return true;
}

static bool check_whole(struct reader *r)
{
    struct cluster *c = r->c;
    struct bytes none = BYTES("");
    if (!c->me)
        return broken(r, "no line says \"myself\"", none);
    for (size_t i = 0; i < c->n_nodes; i++) {
        struct cluster_node *n = c->nodes[i];
        if (!r->defined[n->index])
            return broken(r, "a node that is named but has no line", bytes_of(n->name, CLUSTER_NAME));
        if (n->n_slots && !node_is(n, CLUSTER_NODE_MASTER))
            return broken(r, "a node with slots that is no master", bytes_of(n->name, CLUSTER_NAME));
        if (n->config_epoch > c->current_epoch)
            c->current_epoch = n->config_epoch;
        if (n->master) /* whose line may have come later */
            memcpy(n->shard, n->master->shard, CLUSTER_NAME);
    }
    return true;
}

static bool read_lines(struct reader *r, struct bytes text)
{
    while (text.n) {
        if (!memchr(text.p, '\n', text.n))
            return broken(r, "the file ends within the line that follows", text);
        r->rest = cut(&text, '\n');
        r->line++;
        if (r->rest.n && r->rest.p[r->rest.n - 1] == '\r')
            r->rest.n--;
        struct bytes first = next_word(r);
        if (!first.n)
            continue;
        if (!(bytes_eq(first, BYTES("vars")) ? read_vars(r) : read_node(r, first)))
            return false;
    }
    return check_whole(r);
}

bool cluster_load(struct cluster *c, struct bytes text, msec_t now, msec_t wall, const char **ret_error)
{
    c->now = now;
    c->wall = wall;
    bool blank = true;
    for (size_t i = 0; i < text.n; i++)
        blank = blank && (text.p[i] == '\n' || text.p[i] == ' ' || text.p[i] == '\r');
    if (blank)
        return true; /* a new node */
    struct cluster_node *invented = c->me;
    c->me = NULL;
    node_remove(c, invented);
    struct reader *r = mem_zalloc(sizeof *r);
    r->c = c;
    bool ok = read_lines(r, text);
    mem_free(r);
    if (ok)
        start_from_file(c);
    else
        *ret_error = buf_cstr(&c->text);
    return ok;
}
