/* maxmemory-clients (see client_evict.h).
 *
 * The sum of all clients' memory is kept by clients_cron (a share of the clients each tick) and by the clients that
 * ran; only when it is over the limit are the clients looked through, and as many of the largest closed as bring it
 * below: one pass sorts them into powers of two, a second closes from the top. */
#include "server/client_evict.h"

#include "common/log.h"
#include "server/clients.h"
#include "server/node.h"

enum { BUCKETS = 64 };

uint64_t clients_memory_limit(struct clients *all)
{
    struct node *node = clients_node(all);
    int64_t limit = node_options(node)->client.maxmemory_clients;
    if (limit >= 0)
        return (uint64_t)limit;
    return ks_config(node_keyspace(node))->maxmemory / 100 * (uint64_t)-limit;
}

static bool may_go(const struct client *c)
{
    return !(c->flags & (CLIENT_NO_EVICT | CLIENT_REPLICA | CLIENT_MASTER)) && !client_is_closing(c);
}

static unsigned bucket_of(const struct client *c)
{
    return 63 - (unsigned)__builtin_clzll(c->memory_counted | 1);
}

static void evict(struct clients *all, struct client *c)
{
    struct buf line = BUF_INIT(4096);
    client_describe(c, &line);
    log_notice("Evicting client: %s", line.n ? buf_cstr(&line) : "");
    buf_done(&line);
    clients_stats(all)->evicted++;
    client_close(c);
}

void clients_evict(struct clients *all)
{
    uint64_t limit = clients_memory_limit(all);
    struct clients_stats *stats = clients_stats(all);
    if (limit == 0 || stats->memory_normal <= limit)
        return;
    uint64_t in_bucket[BUCKETS] = { 0 };
    LIST_EACH(clients_list(all), n) {
        struct client *c = LIST_ITEM(n, struct client, all);
        client_count_memory(c);
        if (may_go(c))
            in_bucket[bucket_of(c)]++;
    }
    size_t total = stats->memory_normal;
    for (int b = BUCKETS - 1; b >= 0 && total > limit; b--) {
        if (!in_bucket[b])
            continue;
        LIST_EACH(clients_list(all), n) {
            struct client *c = LIST_ITEM(n, struct client, all);
            if (total <= limit)
                break;
            if (!may_go(c) || bucket_of(c) != (unsigned)b)
                continue;
            total -= c->memory_counted;
            evict(all, c);
        }
    }
}
