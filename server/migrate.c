/* Keys on their way (see migrate.h).
 *
 *   connecting -> greeting (AUTH, SELECT, if there is need) -> moving (a round of RESTOREs) -> done -> reply
 *                                                               ^   |
 *                                                               +---+ a further round for those that changed meanwhile,
 *                                                               or
 *                                                                     that an older server wants in an older form
 *
 * Login and database are settled before the first key is sent: a refusal leaves nothing on the other side. What is done
 * waits for `migrations_turn`, and longer while CLIENT PAUSE is in force: a failover may be counting bytes of the
 * stream. */
#include "server/migrate.h"

#include <errno.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/heap.h"
#include "common/list.h"
#include "common/num.h"
#include "server/client.h"
#include "server/dispatch.h"
#include "server/drivers/replication.h"
#include "server/guard.h"
#include "server/migrate_link.h"
#include "server/node.h"
#include "server/persist/rdb_format.h"
#include "server/persist/rdb_load.h"
#include "server/propagate.h"
#include "server/stats.h"

enum { ROUNDS_MAX = 8 };

enum phase { CONNECTING, GREETING, MOVING, DONE };

struct moved_key {
    struct guarded *name; /* COPY: a name only, not in the guard */
    bool acked;   /* the other side has it as it was when it was sent */
    bool again;   /* the other side wants it in an older form */
    bool replace; /* what is there came from us */
};

struct migration {
    struct migrations *all;
    struct list_node in_all;
    struct heap_node by_deadline; /* monotonic ms */
    uint64_t client_id;
    struct command_entry *cmd;
    usec_t begun;
    enum phase phase;
    struct migrate_link *link; /* NULL: not there any more */
    char *host;
    int port, db;   /* there */
    int source_db;  /* here */
    msec_t timeout, progress_at;
    size_t unsent;  /* when that was looked at last */
    bool copy, replace;
    struct buf login; /* "user\0password", "\0password", or empty */
    struct moved_key *keys;
    int keys_n;
    int *round, round_n, round_at; /* keys sent, in order; answered so far */
    int rounds;
    int greetings; /* replies to come before the keys go */
    struct buf error; /* empty: none. The first counts */
};

struct migrations {
    struct node *node;
    struct migrate_links *links;
    struct list running, done; /* of struct migration */
    struct heap deadlines;
};

static msec_t now_ms(const struct migrations *all)
{
    return io_now_monotonic(node_io(all->node)) / 1000;
}

/* ---- how it ends ---- */

static void settle_done(struct migration *m)
{
    if (m->phase == DONE)
        return;
    m->phase = DONE;
    heap_remove(&m->all->deadlines, &m->by_deadline);
    list_remove(&m->in_all);
    list_push_back(&m->all->done, &m->in_all);
}

/* Ends it; the link is of no more use. */
static void fail(struct migration *m, const char *text)
{
    migrate_link_drop(m->link);
    m->link = NULL;
    if (m->error.n == 0)
        (void)buf_append_str(&m->error, text);
    settle_done(m);
}

static void fail_io(struct migration *m, bool writing)
{
    fail(m, writing ? "IOERR error or timeout writing to target instance"
                    : "IOERR error or timeout reading to target instance");
}

static void note_refusal(struct migration *m, struct bytes text)
{
    if (m->error.n)
        return;
    (void)buf_append_str(&m->error, "ERR Target instance replied with error: ");
    (void)buf_append(&m->error, text);
}

static void free_migration(struct migration *m)
{
    struct guard *g = dispatch_guard(node_dispatch(m->all->node));
    for (int i = 0; i < m->keys_n; i++) {
        if (m->copy)
            mem_free(m->keys[i].name);
        else
            guard_remove(g, m->keys[i].name);
    }
    list_remove(&m->in_all);
    heap_remove(&m->all->deadlines, &m->by_deadline);
    buf_done(&m->login);
    buf_done(&m->error);
    mem_free(m->keys);
    mem_free(m->round);
    mem_free(m->host);
    mem_free(m);
}

/* ---- requests ---- */

static struct bytes number(char text[static 24], int64_t v)
{
    return bytes_of(text, num_format_i64(text, v));
}

/* False: the key is not here (any more). */
static bool send_key(struct migration *m, struct moved_key *k, struct buf *payload)
{
    struct node *node = m->all->node;
    struct db *db = ks_db(node_keyspace(node), m->source_db);
    struct bytes name = guarded_key(k->name);
    struct entry *e = ks_find(db, name, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
    if (!e)
        return false;
    buf_clear(payload);
    if (rdb_dump_for(e, m->link->version, true, payload) < 0)
        return false;
    msec_t ttl = 0;
    if (entry_expire(e) != NO_EXPIRE) {
        ttl = entry_expire(e) - ks_now(node_keyspace(node));
        ttl = ttl < 1 ? 1 : ttl;
    }
    char text[24];
    bool replace = m->replace || k->replace;
    struct writer *w = peer_link_writer(m->link->peer);
    resp_array(w, replace ? 5 : 4);
    resp_bulk(w, ks_by_slot(node_keyspace(node)) ? BYTES("RESTORE-ASKING") : BYTES("RESTORE"));
    resp_bulk(w, name);
    resp_bulk(w, number(text, ttl));
    resp_bulk(w, buf_bytes(payload));
    if (replace)
        resp_bulk(w, BYTES("REPLACE"));
    k->name->touched = false;
    return true;
}

/* Sends the keys of the round; nothing left to send is the end. */
static void send_round(struct migration *m)
{
    struct buf payload = BUF_INIT(BUF_UNLIMITED);
    int n = 0;
    for (int i = 0; i < m->round_n; i++)
        if (send_key(m, &m->keys[m->round[i]], &payload))
            m->round[n++] = m->round[i];
    buf_done(&payload);
    m->round_n = n;
    m->round_at = 0;
    m->rounds++;
    m->phase = MOVING;
    m->unsent = peer_link_unsent(m->link->peer);
    if (n == 0)
        settle_done(m);
}

static bool same_login(const struct migration *m)
{
    return bytes_eq(buf_bytes(&m->login), buf_bytes(&m->link->login));
}

static void send_auth(struct migration *m)
{
    const char *password = memchr(m->login.p, '\0', m->login.n);
    ASSERT(password);
    struct bytes user = bytes_of(m->login.p, (size_t)(password - m->login.p));
    password++;
    struct bytes argv[3] = { BYTES("AUTH"), user, bytes_of(password, m->login.n - user.n - 1) };
    if (user.n == 0)
        argv[1] = argv[2];
    peer_request(peer_link_writer(m->link->peer), user.n ? 3 : 2, argv);
}

/* What the other side must be told first: then its answers, then the keys. */
static void greet(struct migration *m)
{
    m->greetings = 0;
    m->phase = GREETING;
    if (m->login.n && !same_login(m)) {
        send_auth(m);
        m->greetings++;
    }
    if (m->db != m->link->db) {
        char text[24];
        struct bytes argv[2] = { BYTES("SELECT"), number(text, m->db) };
        peer_request(peer_link_writer(m->link->peer), 2, argv);
        m->greetings++;
    }
    if (m->greetings == 0)
        send_round(m);
}

static void dial(struct migration *m, bool may_reuse)
{
    struct node *node = m->all->node;
    const char *source = node_options(node)->net.bind_source_addr;
    int r = migrate_link_take(m->all->links, m->host, m->port, source, may_reuse, m, &m->link);
    if (r < 0) {
        fail(m, "IOERR error or timeout connecting to the client");
        return;
    }
    m->phase = CONNECTING;
    if (m->link->reused)
        greet(m);
}

/* ---- events of the link ---- */

static void on_up(void *user)
{
    struct migration *m = user;
    m->progress_at = now_ms(m->all);
    greet(m);
}

static void on_down(void *user, int err, size_t unsent)
{
    (void)err;
    struct migration *m = user;
    bool reused = m->link->reused;
    m->link = NULL; /* it is gone */
    if (m->phase == DONE)
        return;
    /* A link out of the store may have been dead for long: once more over a new one, unless keys were answered for. */
    if (reused && m->rounds <= 1 && m->round_at == 0) {
        m->rounds = 0;
        dial(m, false);
        return;
    }
    fail_io(m, m->phase == CONNECTING || unsent > 0);
}

static void on_greeting(struct migration *m, const struct resp_token *t)
{
    if (t->kind == '-') {
        note_refusal(m, t->text);
        fail(m, "");
        return;
    }
    if (--m->greetings > 0)
        return;
    m->link->db = m->db;
    if (m->login.n) {
        buf_clear(&m->link->login);
        (void)buf_append(&m->link->login, buf_bytes(&m->login));
    }
    send_round(m);
}

static bool wants_older(const struct migration *m, struct bytes text)
{
    static const struct bytes refusal = BYTES("ERR DUMP payload version or checksum are wrong");
    return m->link->version > RDB_VERSION_7_0 && bytes_eq(text, refusal);
}

static void on_answer(struct migration *m, const struct resp_token *t)
{
    struct moved_key *k = &m->keys[m->round[m->round_at++]];
    if (t->kind == '+')
        k->acked = true;
    else if (wants_older(m, t->text))
        k->again = true;
    else
        note_refusal(m, t->text);
    if (m->round_at == m->round_n)
        settle_done(m);
}

static void on_token(void *user, const struct resp_token *t)
{
    struct migration *m = user;
    m->progress_at = now_ms(m->all);
    if (m->phase == DONE || (t->kind != '+' && t->kind != '-'))
        fail_io(m, false); /* nothing that we asked for is answered like this */
    else if (m->phase == GREETING)
        on_greeting(m, t);
    else
        on_answer(m, t);
}

/* ---- the end ---- */

/* Those that have to be sent once more: what changed after it was sent, what is wanted in an older form. */
static bool next_round(struct migration *m)
{
    int n = 0;
    if (!m->link)
        return false;
    for (int i = 0; i < m->round_n; i++) {
        struct moved_key *k = &m->keys[m->round[i]];
        bool changed = k->acked && k->name->touched;
        if (k->again)
            m->link->version = RDB_VERSION_7_0;
        if (!k->again && !changed)
            continue;
        k->replace = changed;
        k->again = k->acked = false;
        m->round[n++] = m->round[i];
    }
    m->round_n = n;
    if (n && m->rounds == ROUNDS_MAX) {
        fail(m, "IOERR keys kept changing while they were moved; they are still here");
        n = 0;
    }
    return n > 0;
}

/* What has arrived goes from here. */
static void delete_moved(struct migration *m)
{
    struct node *node = m->all->node;
    struct propagate *p = node_propagate(node);
    struct db *db = ks_db(node_keyspace(node), m->source_db);
    struct bytes *argv = mem_alloc(((size_t)m->keys_n + 1) * sizeof(*argv));
    int n = 0;
    argv[n++] = BYTES("DEL");
    propagate_multi_begin(p);
    for (int i = 0; i < m->keys_n; i++) {
        struct moved_key *k = &m->keys[i];
        struct bytes name = guarded_key(k->name);
        if (!k->acked || k->name->touched || !ks_delete(db, name, KS_DEL_LAZY))
            continue;
        ks_changed(db, name, NOTIFY_GENERIC, "del");
        argv[n++] = name;
    }
    if (n > 1)
        propagate_command(p, m->source_db, n, argv);
    propagate_multi_end(p);
    mem_free(argv);
}

static void reply(struct migration *m)
{
    struct client *client = client_by_id(node_clients(m->all->node), m->client_id);
    m->cmd->stats->calls++;
    m->cmd->stats->nsec += (uint64_t)(io_now_monotonic(node_io(m->all->node)) - m->begun) * 1000;
    m->cmd->stats->failed += m->error.n > 0;
    node_stats(m->all->node)->commands++;
    if (!client)
        return;
    if (m->error.n)
        resp_error(client_writer(client), buf_bytes(&m->error));
    else
        resp_ok(client_writer(client));
    client->flags &= ~(unsigned)CLIENT_BLOCKED;
    client_hold(client, false);
    client_end_of_request(client);
}

/* As blocked clients hear it. The keys are the new master's now: it says what becomes of them. */
static const char err_now_replica[] =
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";

static void finish(struct migration *m)
{
    struct migrations *all = m->all;
    bool mine = !replication_is_replica(node_replication(all->node));
    if (!m->copy && mine)
        delete_moved(m);
    else if (!mine && m->error.n == 0)
        (void)buf_append_str(&m->error, err_now_replica);
    if (m->link)
        migrate_link_give_back(m->link, now_ms(all));
    reply(m);
    free_migration(m);
    dispatch_guard_released(node_dispatch(all->node));
}

static void resume(struct migration *m)
{
    list_remove(&m->in_all);
    list_push_back(&m->all->running, &m->in_all);
    m->progress_at = now_ms(m->all);
    heap_set(&m->all->deadlines, &m->by_deadline, m->progress_at + m->timeout);
    send_round(m);
}

static void time_out(struct migration *m, msec_t now)
{
    size_t unsent = m->link ? peer_link_unsent(m->link->peer) : 0;
    if (unsent < m->unsent)
        m->progress_at = now;
    m->unsent = unsent;
    if (m->progress_at + m->timeout > now)
        heap_set(&m->all->deadlines, &m->by_deadline, m->progress_at + m->timeout);
    else if (m->phase == CONNECTING)
        fail(m, "IOERR error or timeout connecting to the client");
    else
        fail_io(m, unsent > 0);
}

void migrations_turn(struct migrations *all, usec_t now)
{
    while (heap_top_key(&all->deadlines) <= now / 1000)
        time_out(HEAP_ITEM(heap_top(&all->deadlines), struct migration, by_deadline), now / 1000);
    if (!list_empty(&all->done) && dispatch_paused(node_dispatch(all->node)) == PAUSE_NONE) {
        struct list done;
        list_init(&done);
        list_splice(&done, &all->done);
        while (!list_empty(&done)) {
            struct migration *m = LIST_ITEM(list_first(&done), struct migration, in_all);
            if (!replication_is_replica(node_replication(all->node)) && next_round(m))
                resume(m);
            else
                finish(m);
        }
    }
    migrate_links_expire(all->links, now / 1000);
}

usec_t migrations_deadline(const struct migrations *all)
{
    msec_t first = heap_top_key(&all->deadlines);
    return first == INT64_MAX ? INT64_MAX : first * 1000;
}

/* ---- the beginning ---- */

static struct guarded *lone_name(struct bytes key)
{
    struct guarded *k = mem_zalloc(sizeof(*k) + key.n);
    k->n = key.n;
    memcpy(k->text, key.p, key.n);
    return k;
}

static void take_keys(struct migration *m, const struct migrate_request *q)
{
    struct guard *g = dispatch_guard(node_dispatch(m->all->node));
    m->keys = mem_zalloc((size_t)q->keys_n * sizeof(*m->keys));
    m->round = mem_alloc((size_t)q->keys_n * sizeof(*m->round));
    for (int i = 0; i < q->keys_n; i++) {
        struct guarded *name = m->copy ? lone_name(q->keys[i]) : guard_add(g, q->keys[i]);
        if (!name)
            continue; /* given twice */
        m->round[m->keys_n] = m->keys_n;
        m->keys[m->keys_n++].name = name;
    }
    m->round_n = m->keys_n;
}

void migrate_begin(struct call *c, const struct migrate_request *q)
{
    ASSERT(call_may_block(c) && q->keys_n > 0);
    struct migrations *all = node_migrations(c->node);
    struct migration *m = mem_zalloc(sizeof(*m));
    m->all = all;
    m->client_id = c->client->id;
    m->cmd = (struct command_entry *)c->cmd;
    m->begun = io_now_monotonic(node_io(c->node));
    m->host = mem_strdup(q->host);
    m->port = q->port;
    m->db = q->db;
    m->source_db = db_id(c->db);
    m->timeout = q->timeout;
    m->progress_at = now_ms(all);
    m->copy = q->copy;
    m->replace = q->replace;
    m->login = BUF_INIT(BUF_UNLIMITED);
    m->error = BUF_INIT(BUF_UNLIMITED);
    if (q->password.p) {
        (void)buf_append(&m->login, q->user);
        (void)buf_append_char(&m->login, '\0');
        (void)buf_append(&m->login, q->password);
    }
    list_push_back(&all->running, &m->in_all);
    heap_set(&all->deadlines, &m->by_deadline, m->progress_at + m->timeout);
    take_keys(m, q);
    c->client->flags |= CLIENT_BLOCKED;
    client_hold(c->client, true);
    dial(m, true);
    dispatch_retarget(node_dispatch(c->node));
}

/* ---- all of them ---- */

struct migrations *migrations_new(struct node *node)
{
    static const struct peer_link_events events = { .up = on_up, .token = on_token, .down = on_down };
    struct migrations *all = mem_zalloc(sizeof(*all));
    all->node = node;
    all->links = migrate_links_new(node_io(node), &events);
    list_init(&all->running);
    list_init(&all->done);
    return all;
}

void migrations_free(struct migrations *all)
{
    if (!all)
        return;
    list_splice(&all->running, &all->done);
    while (!list_empty(&all->running)) {
        struct migration *m = LIST_ITEM(list_first(&all->running), struct migration, in_all);
        if (m->link)
            migrate_link_give_back(m->link, 0); /* goes with the others */
        free_migration(m);
    }
    migrate_links_free(all->links);
    heap_done(&all->deadlines);
    mem_free(all);
}

uint64_t migrations_sockets(const struct migrations *all)
{
    return migrate_links_count(all->links);
}
