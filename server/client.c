/* Clients: birth, state, death (see client.h). Input is in client_input.c, description and memory in client_info.c. */
#include "server/client.h"

#include <errno.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"
#include "common/log.h"
#include "common/table.h"
#include "server/blocked.h"
#include "server/client_input.h"
#include "server/clients.h"
#include "server/drivers/replication.h"
#include "server/monitor.h"
#include "server/multi.h"
#include "server/node.h"
#include "server/pubsub.h"
#include "server/tracking.h"
#include "server/waiting.h"

struct clients {
    struct node *node;
    struct dispatch *dispatch;
    struct list all;    /* by `all`, oldest first */
    struct list later;  /* by `later` */
    struct table by_id;
    uint64_t count, next_id;
    struct list_node *cron_next; /* where clients_cron goes on; NULL: from the start */
    struct clients_stats stats;
};

static struct bytes id_key(const void *item)
{
    return bytes_of(&((const struct client *)item)->id, sizeof(uint64_t));
}

static uint64_t id_hash(struct bytes key)
{
    return hash_bytes(key);
}

static const struct table_kind by_id_kind = { .key = id_key, .hash = id_hash };

struct clients *clients_new(struct node *node)
{
    struct clients *all = mem_zalloc(sizeof(*all));
    all->node = node;
    all->next_id = 1;
    list_init(&all->all);
    list_init(&all->later);
    table_init(&all->by_id);
    return all;
}

void clients_free(struct clients *all)
{
    if (!all)
        return;
    while (!list_empty(&all->all))
        client_closed(LIST_ITEM(list_first(&all->all), struct client, all), 0);
    table_done(&all->by_id);
    mem_free(all);
}

void clients_attach_dispatch(struct clients *all, struct dispatch *d)
{
    all->dispatch = d;
}

struct dispatch *clients_dispatch(struct clients *all)
{
    return all->dispatch;
}

struct node *clients_node(struct clients *all)
{
    return all->node;
}

struct list *clients_later(struct clients *all)
{
    return &all->later;
}

uint64_t clients_count(const struct clients *all)
{
    return all->count;
}

struct clients_stats *clients_stats(struct clients *all)
{
    return &all->stats;
}

struct list *clients_list(struct clients *all)
{
    return &all->all;
}

struct client *client_by_id(struct clients *all, uint64_t id)
{
    struct bytes key = bytes_of(&id, sizeof(id));
    struct table_at at;
    return table_find(&all->by_id, &by_id_kind, id_hash(key), key, &at);
}

/* ---- birth ---- */

static struct client *new_client(struct node *node, struct conn *conn)
{
    struct client *c = mem_zalloc(sizeof(*c));
    c->conn = conn;
    c->node = node;
    c->db = ks_db(node_keyspace(node), 0);
    c->resp = 2;
    c->query = BUF_INIT(BUF_UNLIMITED);
    c->created = c->last_active = io_now_monotonic(node_io(node)) / 1000;
    if (node_options(node)->client.requirepass[0] == '\0')
        c->flags |= CLIENT_AUTHENTICATED;
    return c;
}

static struct client *enroll(struct clients *all, struct conn *conn)
{
    struct client *c = new_client(all->node, conn);
    c->id = all->next_id++;
    list_push_back(&all->all, &c->all);
    struct bytes key = bytes_of(&c->id, sizeof(c->id));
    table_insert(&all->by_id, &by_id_kind, id_hash(key), c, TABLE_NOT_DUE);
    all->count++;
    return c;
}

static const char protected_text[] =
    "DENIED Ouro is running in protected mode because protected mode is enabled and no password is set for the "
    "default user. In this mode connections are only accepted from the loopback interface. If you want to "
    "connect from external computers you may adopt one of the following solutions: 1) Just disable protected "
    "mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting from the "
    "same host the server is running, however MAKE SURE it is not publicly accessible from internet if you do "
    "so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected "
    "mode by editing the configuration file, and setting the protected mode option to 'no', and then restarting "
    "the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode "
    "no' option. 4) Set up an authentication password for the default user. NOTE: You only need to do one of the "
    "above things in order for the server to start accepting connections from the outside.";

/* Why a new connection may not become a client, or NULL. */
static const char *refusal(struct clients *all, struct conn *conn)
{
    const struct options *o = node_options(all->node);
    if (all->count >= (uint64_t)o->net.maxclients)
        return "ERR max number of clients reached";
    if (o->net.protected_mode && o->client.requirepass[0] == '\0' && !conn_is_loopback(conn))
        return protected_text;
    return NULL;
}

void *clients_opened(struct clients *all, struct conn *conn, struct listener *listener)
{
    const char *why = refusal(all, conn);
    if (why) {
        all->stats.rejected++;
        char line[2048];
        int n = snprintf(line, sizeof(line), "-%s\r\n", why);
        writer_append(conn_writer(conn, 2), bytes_of(line, (size_t)n));
        return NULL;
    }
    struct client *c = enroll(all, conn);
    if (listener_is_unix(listener))
        c->flags |= CLIENT_UNIX;
    else
        conn_keepalive(conn, node_options(all->node)->net.tcp_keepalive);
    all->stats.total++;
    log_verbose("Accepted %s", conn_peer_name(conn));
    return c;
}

struct client *clients_add_master(struct clients *all, struct conn *conn, struct db *db)
{
    struct client *c = enroll(all, conn);
    c->flags |= CLIENT_MASTER | CLIENT_AUTHENTICATED;
    c->db = db;
    return c;
}

void clients_mark_replica(struct client *c)
{
    ASSERT(!(c->flags & (CLIENT_REPLICA | CLIENT_MASTER)));
    struct clients *all = node_clients(c->node);
    all->stats.memory_normal -= c->memory_counted;
    c->memory_counted = 0;
    all->count--;
    c->flags |= CLIENT_REPLICA;
}

/* ---- death ---- */

/* Everything that other parts hang off a client goes; it keeps its connection. */
static void leave_parts(struct client *c)
{
    struct node *node = c->node;
    blocked_forget(node_blocked(node), c);
    waiting_forget(node_waiting(node), c);
    dispatch_forget(node_dispatch(node), c);
    pubsub_forget(node_pubsub(node), c);
    tracking_forget(node_tracking(node), c);
    monitors_forget(node_monitors(node), c);
    watch_drop_all(node_watches(node), c);
    multi_discard(c);
}

void client_closed(struct client *c, int err)
{
    struct clients *all = node_clients(c->node);
    log_verbose("Client closed connection %s (%s)", c->conn ? conn_peer_name(c->conn) : "",
                err ? strerror(err) : "orderly");
    leave_parts(c);
    if (c->flags & CLIENT_REPLICATION)
        replication_client_gone(node_replication(c->node), c);
    client_input_forget(c);
    if (all->cron_next == &c->all)
        all->cron_next = list_next(&all->all, &c->all);
    list_remove(&c->all);
    struct bytes key = bytes_of(&c->id, sizeof(c->id));
    struct table_at at;
    if (table_find(&all->by_id, &by_id_kind, id_hash(key), key, &at))
        table_remove(&all->by_id, &by_id_kind, &at);
    all->count -= !(c->flags & CLIENT_REPLICA);
    if (client_class(c) == CLIENT_CLASS_REPLICA)
        all->stats.memory_replicas -= c->memory_counted;
    else
        all->stats.memory_normal -= c->memory_counted;
    if (c->pushes)
        writer_buf_done(c->pushes);
    mem_free(c->pushes);
    mem_free(c->name);
    mem_free(c->lib_name);
    mem_free(c->lib_ver);
    mem_free(c);
}

void client_close(struct client *c)
{
    if (!c->conn || (c->flags & CLIENT_CLOSE_ASAP))
        return;
    c->flags |= CLIENT_CLOSE_ASAP;
    conn_close(c->conn);
}

void client_close_after_reply(struct client *c)
{
    if (!c->conn || client_is_closing(c))
        return;
    c->flags |= CLIENT_CLOSE_AFTER;
    if (!(c->flags & CLIENT_PROTECTED)) /* else client_end_of_request does, when the reply is written */
        conn_close_after_output(c->conn);
}

bool client_is_closing(const struct client *c)
{
    return c->flags & (CLIENT_CLOSE_ASAP | CLIENT_CLOSE_AFTER);
}

/* ---- output ---- */

struct writer *client_writer(struct client *c)
{
    const unsigned mute = CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_CLOSE_ASAP | CLIENT_REPLICA | CLIENT_MASTER;
    if (!c->conn || (c->flags & mute))
        return io_null_writer(node_io(c->node), c->resp);
    return conn_writer(c->conn, c->resp);
}

struct writer *client_push_writer(struct client *c)
{
    if (!c->conn || client_is_closing(c)) /* nothing comes behind the last reply */
        return io_null_writer(node_io(c->node), c->resp);
    if (!(c->flags & CLIENT_PROTECTED))
        return conn_writer(c->conn, c->resp);
    if (!c->pushes) {
        c->pushes = mem_alloc(sizeof(*c->pushes));
        writer_buf_init(c->pushes, c->resp);
    }
    c->pushes->w.resp = c->resp;
    return &c->pushes->w;
}

static void flush_pushes(struct client *c)
{
    if (!client_is_closing(c))
        writer_append(conn_writer(c->conn, c->resp), writer_buf_bytes(c->pushes));
    writer_buf_done(c->pushes);
    mem_free(c->pushes);
    c->pushes = NULL;
}

int client_class(const struct client *c)
{
    if ((c->flags & CLIENT_REPLICA) && !(c->flags & CLIENT_MONITOR))
        return CLIENT_CLASS_REPLICA;
    return c->flags & CLIENT_PUBSUB ? CLIENT_CLASS_PUBSUB : CLIENT_CLASS_NORMAL;
}

/* True when the queued output is over the hard limit, or has been over the soft one for too long. */
static bool over_output_limit(struct client *c)
{
    const struct output_limit *limit = &node_options(c->node)->client.output_limit[client_class(c)];
    size_t bytes = conn_out_bytes(c->conn);
    if (limit->hard && bytes > limit->hard)
        return true;
    if (!limit->soft || bytes <= limit->soft) {
        c->soft_limit_since = 0;
        return false;
    }
    uint64_t now = (uint64_t)io_now_monotonic(node_io(c->node)) / 1000;
    if (c->soft_limit_since == 0)
        c->soft_limit_since = now;
    return now - c->soft_limit_since > (uint64_t)limit->soft_s * 1000;
}

void client_check_output_limit(struct client *c)
{
    if (!c->conn || (c->flags & (CLIENT_CLOSE_ASAP | CLIENT_REPLICA | CLIENT_MASTER)) || !over_output_limit(c))
        return; /* what replicas have not read yet is the replication machine's to judge */
    node_clients(c->node)->stats.output_limit_closed++;
    struct buf line = BUF_INIT(4096);
    client_describe(c, &line);
    log_warning("Client %s scheduled to be closed ASAP for overcoming of output buffer limits.",
                line.n ? buf_cstr(&line) : "");
    buf_done(&line);
    client_close(c);
}

void client_end_of_request(struct client *c)
{
    enum { OUTPUT_CHECK_EVERY = 16 }; /* requests of a pipeline */
    if (c->flags & (CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT)) {
        unsigned skip = c->flags & CLIENT_REPLY_SKIP_NEXT ? CLIENT_REPLY_SKIP : 0;
        c->flags = (c->flags & ~(unsigned)(CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT)) | skip;
    }
    if (c->pushes)
        flush_pushes(c);
    if (c->tracking)
        tracking_end_of_request(c);
    if (c->flags & CLIENT_CLOSE_AFTER)
        conn_close_after_output(c->conn);
    else if (c->gathered == 0 || c->commands % OUTPUT_CHECK_EVERY == 0)
        client_check_output_limit(c);
}

/* ---- state ---- */

bool client_text_ok(struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '!' || text.p[i] > '~')
            return false;
    return true;
}

int client_set_name(struct client *c, struct bytes name)
{
    if (!client_text_ok(name))
        return -EINVAL;
    mem_free(c->name);
    c->name = NULL;
    if (name.n) {
        c->name = mem_alloc(name.n + 1);
        memcpy(c->name, name.p, name.n);
        c->name[name.n] = '\0';
    }
    return 0;
}

void client_reset(struct client *c)
{
    leave_parts(c);
    c->flags &= ~(unsigned)(CLIENT_MULTI | CLIENT_DIRTY_CAS | CLIENT_DIRTY_EXEC | CLIENT_MONITOR | CLIENT_REPLY_OFF |
                            CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT | CLIENT_READONLY | CLIENT_ASKING |
                            CLIENT_NO_EVICT | CLIENT_NO_TOUCH | CLIENT_TRACKING | CLIENT_AUTHENTICATED |
                            CLIENT_PUBSUB | CLIENT_TRACKING_BROKEN);
    if (node_options(c->node)->client.requirepass[0] == '\0')
        c->flags |= CLIENT_AUTHENTICATED;
    c->db = ks_db(node_keyspace(c->node), 0);
    c->resp = 2;
    c->user = 0;
    client_set_name(c, BYTES(""));
}

static bool timed_out(const struct client *c, msec_t now, int timeout_s)
{
    unsigned exempt = CLIENT_REPLICA | CLIENT_MASTER | CLIENT_BLOCKED | CLIENT_PUBSUB;
    return timeout_s && !(c->flags & exempt) && now - c->last_active > (msec_t)timeout_s * 1000;
}

void clients_cron(struct clients *all, msec_t now)
{
    enum { PER_CALL_MIN = 50 };
    int timeout_s = node_options(all->node)->net.timeout;
    size_t n = all->count / 10;
    n = n < PER_CALL_MIN ? PER_CALL_MIN : n;
    if (n > all->count)
        n = all->count;
    while (n--) {
        if (!all->cron_next)
            all->cron_next = list_first(&all->all);
        struct client *c = LIST_ITEM(all->cron_next, struct client, all);
        all->cron_next = list_next(&all->all, &c->all);
        if (timed_out(c, now, timeout_s)) {
            log_verbose("Closing idle client");
            client_close(c);
        } else {
            client_check_output_limit(c);
            client_count_memory(c);
        }
    }
}
