/* nodes.conf: any text is refused with a reason, or loaded; what is loaded is saved as a text that loads. */
#include "cluster/cluster.h"

#include "common/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool load(struct bytes text, struct buf *ret_saved)
{
    struct cluster_config config = { .port = 1, .bus_port = 2, .node_timeout_ms = 1000 };
    struct cluster *c = cluster_new(&config, 1);
    const char *error = NULL;
    bool ok = cluster_load(c, text, 1000, 1000, &error);
    if (ok) {
        struct cluster_actions acts;
        cluster_actions_init(&acts);
        struct cluster_event ev = { .kind = CLUSTER_COMMAND, .now = 1000, .wall = 1000 };
        ev.command.kind = CLUSTER_SAVECONFIG;
        cluster_step(c, &ev, &acts);
        ASSERT(acts.v[0].kind == CLUSTER_SAVE);
        (void)buf_append(ret_saved, acts.v[0].save.bytes);
        cluster_actions_done(&acts);
    } else {
        ASSERT(error && error[0]);
    }
    cluster_free(c);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf saved = BUF_INIT(1 << 26), again = BUF_INIT(1 << 26);
    if (load(bytes_of(data, size), &saved))
        ASSERT(load(buf_bytes(&saved), &again));
    buf_done(&saved);
    buf_done(&again);
    return 0;
}
