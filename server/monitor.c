/* MONITOR (see monitor.h). A line per command: `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`. */
#include "server/monitor.h"

#include "common/alloc.h"
#include "common/text.h"

enum { MONITORS_MAX_LINE = 64 * 1024 * 1024 };

struct monitors {
    struct list clients; /* of struct monitor */
    uint64_t n;
};

struct monitor {
    struct list_node in_list;
    struct client *client;
};

struct monitors *monitors_new(void)
{
    struct monitors *m = mem_zalloc(sizeof(*m));
    list_init(&m->clients);
    return m;
}

void monitors_free(struct monitors *m)
{
    mem_free(m); /* the clients left before */
}

bool monitors_any(const struct monitors *m)
{
    return m->n > 0;
}

uint64_t monitors_count(const struct monitors *m)
{
    return m->n;
}

void monitors_add(struct monitors *m, struct client *c)
{
    if (c->flags & CLIENT_MONITOR)
        return;
    struct monitor *mon = mem_zalloc(sizeof(*mon));
    mon->client = c;
    list_push_back(&m->clients, &mon->in_list);
    m->n++;
    c->flags |= CLIENT_MONITOR;
}

void monitors_forget(struct monitors *m, struct client *c)
{
    if (!(c->flags & CLIENT_MONITOR))
        return;
    LIST_EACH_SAFE(&m->clients, n) {
        struct monitor *mon = LIST_ITEM(n, struct monitor, in_list);
        if (mon->client != c)
            continue;
        list_remove(n);
        mem_free(mon);
        m->n--;
    }
    c->flags &= ~(unsigned)CLIENT_MONITOR;
}

void monitors_feed(struct monitors *m, struct client *c, int argc, const struct bytes *argv, usec_t wall_us)
{
    struct buf line = BUF_INIT(MONITORS_MAX_LINE);
    buf_printf(&line, "%lld.%06lld [%d ", (long long)(wall_us / 1000000), (long long)(wall_us % 1000000),
               db_id(c->db));
    if (!c->conn)
        buf_append_str(&line, "lua");
    else if (c->flags & CLIENT_UNIX)
        buf_printf(&line, "unix:%s", conn_local_name(c->conn));
    else
        buf_append_str(&line, conn_peer_name(c->conn));
    buf_append_str(&line, "]");
    for (int i = 0; i < argc; i++) {
        buf_append_str(&line, " ");
        text_quote(&line, argv[i]);
    }
    LIST_EACH(&m->clients, n) {
        struct client *to = LIST_ITEM(n, struct monitor, in_list)->client;
        resp_simple(client_push_writer(to), buf_bytes(&line));
        client_check_output_limit(to);
    }
    buf_done(&line);
}
