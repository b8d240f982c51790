/* The bus: any bytes are refused or decoded, what is decoded encodes to a frame that is read the same; and a machine
 * to which they come, from a stranger and from a node that it knows, goes on. */
#include "cluster/wire.h"

#include <stdlib.h>

#include "common/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_codec(struct bytes b)
{
    struct frame f, again;
    if (!wire_decode(b, &f))
        return;
    ASSERT(wire_size(&f) == b.n);
    char *p = malloc(b.n);
    ASSERT(p != NULL);
    wire_encode(&f, p);
    ASSERT(wire_decode(bytes_of(p, b.n), &again));
    ASSERT(again.type == f.type && again.count == f.count && again.current_epoch == f.current_epoch);
    for (size_t i = 0; i * WIRE_GOSSIP < f.gossip.n; i++) {
        struct gossip_entry e;
        wire_gossip_get(f.gossip, i, &e);
        ASSERT(strlen(e.ip) < CLUSTER_IP && wire_name_ok(e.name));
    }
    free(p);
}

#define NODES                                                                                   \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-99\n" \
    "d77938c03b65198bf42e3aa4527c6056578107f0 127.0.0.1:3@4 master - 0 0 2 connected 100-16383\n"     \
    "4e926fa3d00c8f064b4a5de51ac8609dc43acb05 127.0.0.1:5@6 master - 0 0 3 connected\n"               \
    "vars currentEpoch 3 lastVoteEpoch 0\n"

/* The same bytes on every link: the one that we opened to each node, and an accepted one. */
static void check_machine(struct bytes b)
{
    struct cluster_config config = { .port = 1, .bus_port = 2, .node_timeout_ms = 1000 };
    config.allow_replica_migration = true;
    struct cluster *c = cluster_new(&config, 1);
    struct cluster_actions acts;
    cluster_actions_init(&acts);
    const char *error;
    ASSERT(cluster_load(c, BYTES(NODES), 1000, 1000, &error));
    struct cluster_event ev = { .kind = CLUSTER_LOADED, .now = 1000, .wall = 1000 };
    cluster_step(c, &ev, &acts);
    for (cluster_link_id id = 1; id <= 2; id++) {
        ev = (struct cluster_event){ .kind = CLUSTER_LINK_UP, .now = 1001, .wall = 1001, .link.id = id };
        cluster_actions_clear(&acts);
        cluster_step(c, &ev, &acts);
    }
    ev = (struct cluster_event){ .kind = CLUSTER_LINK_UP, .now = 1001, .wall = 1001 };
    ev.link.id = CLUSTER_LINK_ACCEPTED | 1;
    ev.link.peer_ip = ev.link.local_ip = "10.0.0.9";
    cluster_actions_clear(&acts);
    cluster_step(c, &ev, &acts);
    for (int k = 0; k < 6; k++) {
        ev = (struct cluster_event){ .kind = CLUSTER_PACKET, .now = 1002 + k * 100, .wall = 2000 };
        ev.packet.id = k % 3 ? (cluster_link_id)(k % 3) : CLUSTER_LINK_ACCEPTED | 1;
        ev.packet.frame = b;
        cluster_actions_clear(&acts);
        cluster_step(c, &ev, &acts);
    }
    struct buf text = BUF_INIT(1 << 24);
    cluster_write_nodes(c, &text);
    cluster_write_info(c, &text);
    buf_done(&text);
    cluster_actions_done(&acts);
    cluster_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *p = malloc(size ? size : 1);
    ASSERT(p != NULL);
    if (size)
        memcpy(p, data, size);
    /* Mutations seldom keep the length right: mend it, so that they get further. */
    if (size >= 8) {
        memcpy(p, "RCmb", 4);
        for (int i = 0; i < 4; i++)
            p[4 + i] = (char)(size >> (24 - 8 * i));
    }
    check_codec(bytes_of(p, size));
    check_machine(bytes_of(p, size));
    free(p);
    return 0;
}
