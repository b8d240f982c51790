/* DEBUG: what test suites and people who look for a bug ask of a server. Gated by enable-debug-command. */

#include "server/call.h"
#include "server/drivers/cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/arena.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/num.h"
#include "common/text.h"
#include "server/commands/debug_digest.h"
#include "server/config.h"
#include "server/io.h"
#include "server/loading.h"
#include "server/loop/process.h"
#include "server/node.h"
#include "server/persist/rdb_load.h"
#include "server/saving.h"

/* ---- looking ---- */

static struct entry *find_quietly(struct call *c, struct bytes key)
{
    return ks_find(c->db, key, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
}

/* Bytes of the value in a snapshot. */
static size_t serialized_length(const struct entry *e)
{
    enum { AROUND = 1 + 2 + 8 }; /* type, version and checksum of a DUMP payload */
    struct buf payload = BUF_INIT(BUF_UNLIMITED);
    size_t n = rdb_dump(e, true, &payload) < 0 ? 0 : payload.n - AROUND;
    buf_done(&payload);
    return n;
}

static void debug_object(struct call *c)
{
    struct entry *e = find_quietly(c, c->argv[2]);
    if (!e) {
        reply_error(c, err_no_key);
        return;
    }
    char text[256];
    snprintf(text, sizeof(text),
             "Value at:%p refcount:1 encoding:%s serializedlength:%zu lru:%u lru_seconds_idle:%" PRIu64,
             (const void *)e, value_encoding_name(entry_encoding(e)), serialized_length(e), entry_lru_bits(e),
             entry_idle_ms(c->ks, e) / 1000);
    resp_simple_str(c->w, text);
}

static void debug_digest(struct call *c)
{
    struct digest d;
    char text[41];
    digest_keyspace(c->ks, &d);
    digest_hex(&d, text);
    resp_simple_str(c->w, text);
}

static void debug_digest_value(struct call *c)
{
    reply_array(c, c->argc - 2);
    for (int i = 2; i < c->argc; i++) {
        struct digest d = { { 0 } };
        char text[41];
        struct entry *e = find_quietly(c, c->argv[i]);
        if (e)
            digest_value(e, &d);
        digest_hex(&d, text);
        resp_simple_str(c->w, text);
    }
}

static void describe_table(struct buf *b, uint64_t keys, uint64_t slots)
{
    if (keys == 0) {
        buf_append_str(b, "No stats available for empty dictionaries\n");
        return;
    }
    buf_printf(b, " table size: %" PRIu64 "\n number of elements: %" PRIu64 "\n load: %.2f\n", slots, keys,
               slots ? (double)keys / (double)slots : 0.0);
}

static void debug_htstats(struct call *c)
{
    int64_t id;
    if (!arg_i64(c, 2, &id))
        return;
    if (id < 0 || id >= ks_databases(c->ks)) {
        reply_error(c, "ERR Out of range database");
        return;
    }
    struct db *db = ks_db(c->ks, (int)id);
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_append_str(&b, "[Dictionary HT]\nHash table 0 stats (main hash table):\n");
    describe_table(&b, db_size(db), db_table_slots(db));
    buf_append_str(&b, "[Expires HT]\nHash table 0 stats (main hash table):\n");
    describe_table(&b, db_volatile(db), db_volatile(db));
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

static void debug_htstats_key(struct call *c)
{
    struct entry *e = find_quietly(c, c->argv[2]);
    if (!e) {
        reply_error(c, err_no_key);
        return;
    }
    enum value_encoding enc = entry_encoding(e);
    if (enc != ENC_HASHTABLE && enc != ENC_SKIPLIST) {
        reply_error(c, "ERR The value stored at the specified key is not represented using an hash table");
        return;
    }
    uint64_t n = value_ops(entry_type(e))->elements(entry_object(e), enc);
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_append_str(&b, "Hash table 0 stats (main hash table):\n");
    describe_table(&b, n, n);
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

static void debug_structsize(struct call *c)
{
    char text[128];
    snprintf(text, sizeof(text), "bits:%d client:%zu call:%zu", (int)sizeof(long) * 8, sizeof(struct client),
             sizeof(struct call));
    resp_simple_str(c->w, text);
}

/* ---- replies of every kind ---- */

static void protocol_aggregate(struct call *c, struct bytes kind)
{
    struct writer *w = c->w;
    if (bytes_is(kind, "array"))
        resp_array(w, 3);
    else if (bytes_is(kind, "set"))
        resp_set(w, 3);
    else
        resp_map(w, 3);
    for (int i = 0; i < 3; i++) {
        resp_int(w, i);
        if (bytes_is(kind, "map"))
            resp_bool(w, i == 1);
    }
}

static void protocol_attrib(struct call *c)
{
    if (c->w->resp > 2) {
        resp_attribute(c->w, 1);
        resp_bulk_str(c->w, "key-popularity");
        resp_array(c->w, 2);
        resp_bulk_str(c->w, "key:123");
        resp_int(c->w, 90);
    }
    resp_bulk_str(c->w, "Some real reply following the attribute");
}

static void protocol_push(struct call *c)
{
    if (c->w->resp < 3) {
        reply_error(c, "ERR RESP2 is not supported by this command");
        return;
    }
    resp_push(c->w, 2);
    resp_bulk_str(c->w, "server-cpu-usage");
    resp_int(c->w, 42);
    resp_bulk_str(c->w, "Some real reply following the push reply");
}

static void debug_protocol(struct call *c)
{
    struct bytes kind = c->argv[2];
    if (bytes_is(kind, "string"))
        resp_bulk_str(c->w, "Hello World");
    else if (bytes_is(kind, "integer"))
        resp_int(c->w, 12345);
    else if (bytes_is(kind, "double"))
        resp_double(c->w, 3.141);
    else if (bytes_is(kind, "bignum"))
        resp_big_number(c->w, BYTES("1234567999999999999999999999999999999"));
    else if (bytes_is(kind, "null"))
        resp_null(c->w);
    else if (bytes_is(kind, "array") || bytes_is(kind, "set") || bytes_is(kind, "map"))
        protocol_aggregate(c, kind);
    else if (bytes_is(kind, "attrib"))
        protocol_attrib(c);
    else if (bytes_is(kind, "push"))
        protocol_push(c);
    else if (bytes_is(kind, "verbatim"))
        resp_verbatim(c->w, "txt", BYTES("This is a verbatim\nstring"));
    else if (bytes_is(kind, "true"))
        resp_bool(c->w, true);
    else if (bytes_is(kind, "false"))
        resp_bool(c->w, false);
    else
        reply_error(c, "ERR Wrong protocol type name. Please use one of the following: "
                       "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
}

static void debug_error(struct call *c)
{
    resp_error(c->w, c->argv[2]);
}

/* ---- doing ---- */

static void debug_sleep(struct call *c)
{
    double seconds = strtod(arena_printf(c->arena, "%.*s", (int)c->argv[2].n, c->argv[2].p).p, NULL);
    process_sleep(seconds);
    io_refresh_now(node_io(c->node));
    reply_ok(c);
}

/* "prefix:N" -> "value:N", padded with zero bytes or cut to `size`. */
static void populate_one(struct call *c, struct bytes prefix, int64_t i, int64_t size)
{
    struct bytes key = arena_printf(c->arena, "%.*s:%lld", (int)prefix.n, prefix.p, (long long)i);
    if (ks_exists(c->db, key))
        return;
    struct bytes value = arena_printf(c->arena, "value:%lld", (long long)i);
    if (size) {
        char *p = memset(arena_alloc(c->arena, (size_t)size), 0, (size_t)size);
        memcpy(p, value.p, value.n < (size_t)size ? value.n : (size_t)size);
        value = bytes_of(p, (size_t)size);
    }
    ks_set_string(c->db, key, value, 0, NO_EXPIRE);
    ks_touched(c->db, key);
}

static void debug_populate(struct call *c)
{
    int64_t n, size = 0;
    if (!arg_i64_range(c, 2, 0, INT64_MAX, &n))
        return;
    if (c->argc > 4 && !arg_i64_range(c, 4, 0, (int64_t)call_bulk_max(c), &size))
        return;
    struct bytes prefix = c->argc > 3 ? c->argv[3] : BYTES("key");
    db_reserve(c->db, db_size(c->db) + (uint64_t)n);
    struct arena scratch;
    struct arena *outer = c->arena;
    arena_init(&scratch);
    c->arena = &scratch;
    for (int64_t i = 0; i < n; i++) {
        populate_one(c, prefix, i, size);
        arena_reset(&scratch);
    }
    c->arena = outer;
    arena_done(&scratch);
    reply_ok(c);
}

static void debug_set_active_expire(struct call *c)
{
    ks_set_active_expire(c->ks, atoi(arena_printf(c->arena, "%.*s", (int)c->argv[2].n, c->argv[2].p).p));
    reply_ok(c);
}

static void debug_pause_cron(struct call *c)
{
    node_pause_cron(c->node, atoi(arena_printf(c->arena, "%.*s", (int)c->argv[2].n, c->argv[2].p).p));
    reply_ok(c);
}

static void debug_log(struct call *c)
{
    log_warning("DEBUG LOG: %.*s", (int)c->argv[2].n, c->argv[2].p);
    reply_ok(c);
}

/* Accepted for the sake of test suites: the threshold belongs to a structure that we do not have. */
static void debug_packed_threshold(struct call *c)
{
    uint64_t v;
    if (!text_parse_memory(c->argv[2], &v) || v > UINT32_MAX)
        reply_error(c, "ERR argument must be a memory value bigger than 1 and smaller than 4gb");
    else
        reply_ok(c);
}

/* ---- RELOAD ---- */

static void on_reloaded(void *ctx, const struct rdb_load_report *report)
{
    *(bool *)ctx = report->error.failure == RDB_FINE;
}

/* From the file; unless the keys that are there stay (`onto`), they do so until the file has been found whole. */
static bool reload_from_disk(struct call *c, bool onto, bool merge)
{
    struct loading *l = node_loading(c->node);
    bool fine = false;
    struct loading_request req = { .path = saving_path(node_saving(c->node)),
                                   .beside = !onto,
                                   .onto = onto,
                                   .replace = merge,
                                   .done = on_reloaded,
                                   .ctx = &fine };
    int r = loading_begin(l, &req);
    if (r < 0) {
        log_warning("The RDB file %s cannot be loaded: %s", req.path, strerror(-r));
        return false;
    }
    loading_finish(l);
    return fine;
}

static void debug_reload(struct call *c)
{
    bool save = true, flush = true, merge = false;
    for (int i = 2; i < c->argc; i++) {
        if (arg_is(c, i, "merge")) {
            merge = true;
        } else if (arg_is(c, i, "noflush")) {
            flush = false;
        } else if (arg_is(c, i, "nosave")) {
            save = false;
        } else {
            reply_error(c, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return;
        }
    }
    if (loading_state(node_loading(c->node)) != LOADING_NONE) {
        reply_error(c, "ERR Data are being loaded already");
        return;
    }
    int r = save ? saving_now(node_saving(c->node)) : 0;
    if (r == -EBUSY) {
        reply_error(c, "ERR Background save already in progress");
    } else if (r < 0) {
        reply_error(c, "ERR");
    } else if (!reload_from_disk(c, !flush, merge)) {
        reply_error(c, "ERR Error trying to load the RDB dump, check server logs.");
    } else {
        log_warning("DB reloaded by DEBUG RELOAD");
        reply_ok(c);
    }
}

static void debug_accept(struct call *c)
{
    reply_ok(c);
}

static void debug_replybuffer(struct call *c)
{
    if (c->argc == 4 && (arg_is(c, 2, "peak-reset-time") || arg_is(c, 2, "resizing")))
        reply_ok(c);
    else
        reply_subcommand_error(c);
}

static void debug_rewrite_all(struct call *c)
{
    struct buf error = BUF_INIT(4096);
    if (config_rewrite(node_config(c->node), true, &error) < 0)
        resp_error(c->w, buf_bytes(&error));
    else
        reply_ok(c);
    buf_done(&error);
}

/* MALLCTL key [value], for the integers and the strings of jemalloc. */
static void debug_mallctl(struct call *c)
{
    struct buf out = BUF_INIT(4096);
    char *key = (char *)arena_printf(c->arena, "%.*s", (int)c->argv[2].n, c->argv[2].p).p;
    char *value = c->argc > 3 ? (char *)arena_printf(c->arena, "%.*s", (int)c->argv[3].n, c->argv[3].p).p : NULL;
    bool text = arg_is(c, 1, "mallctl-str");
    int64_t number = 0;
    int r = text ? mem_ctl_string(key, value, &out) : mem_ctl_number(key, value, &number);
    if (r < 0)
        resp_errorf(c->w, "ERR %s", strerror(-r));
    else if (text)
        reply_bulk(c, out.n ? buf_bytes(&out) : BYTES(""));
    else
        reply_int(c, number);
    buf_done(&out);
}

/* ---- dying ---- */

static void debug_segfault(struct call *c)
{
    (void)c;
    char *volatile nowhere = (char *)(uintptr_t)8;
    *nowhere = 'x';
}

static void debug_panic(struct call *c)
{
    (void)c;
    PANIC("called by DEBUG PANIC");
}

static void debug_assert(struct call *c)
{
    ASSERT(c == NULL && "called by DEBUG ASSERT");
}

static void debug_oom(struct call *c)
{
    (void)c;
    void *p = mem_alloc((size_t)SSIZE_MAX / 2);
    mem_free(p);
}

static void debug_drop_packets(struct call *c)
{
    int64_t type;
    if (!arg_i64(c, 2, &type))
        return;
    if (node_cluster(c->node))
        cluster_driver_drop_packets(node_cluster(c->node), type < INT32_MAX && type >= 0 ? (int)type : -1);
    reply_ok(c);
}

static void kill_link(struct call *c, const struct cluster_node *n, bool to)
{
    struct cluster_driver *d = node_cluster(c->node);
    cluster_link_id id = cluster_link_of(cluster_driver_machine(d), n, to);
    if (id)
        cluster_driver_kill_link(d, id);
}

static void debug_cluster_link(struct call *c)
{
    bool to = arg_is(c, 3, "to"), from = arg_is(c, 3, "from"), all = arg_is(c, 3, "all");
    if (!node_cluster(c->node)) {
        reply_error(c, "ERR Debug option only available for cluster mode enabled setup!");
        return;
    }
    const struct cluster_node *n = cluster_find(cluster_driver_machine(node_cluster(c->node)), c->argv[4]);
    if (!n) {
        resp_errorf(c->w, "ERR Unknown node %.*s", (int)c->argv[4].n, c->argv[4].p);
        return;
    }
    if (!arg_is(c, 2, "kill") || !(to || from || all)) {
        reply_subcommand_error(c);
        return;
    }
    if (to || all)
        kill_link(c, n, true);
    if (from || all)
        kill_link(c, n, false);
    reply_ok(c);
}

static const struct sub {
    const char *name;
    void (*run)(struct call *);
    int argc_min, argc_max;
} subs[] = {
    { "aof-flush-sleep", debug_accept, 3, 3 },
    { "assert", debug_assert, 2, 2 },
    { "config-rewrite-force-all", debug_rewrite_all, 2, 2 },
    { "digest", debug_digest, 2, 2 },
    { "digest-value", debug_digest_value, 2, INT32_MAX },
    { "clusterlink", debug_cluster_link, 5, 5 },
    { "drop-cluster-packet-filter", debug_drop_packets, 3, 3 },
    { "error", debug_error, 3, 3 },
    { "htstats", debug_htstats, 3, 4 },
    { "htstats-key", debug_htstats_key, 3, 4 },
    { "log", debug_log, 3, 3 },
    { "mallctl", debug_mallctl, 3, 4 },
    { "mallctl-str", debug_mallctl, 3, 4 },
    { "object", debug_object, 3, 4 },
    { "oom", debug_oom, 2, 2 },
    { "panic", debug_panic, 2, 2 },
    { "pause-cron", debug_pause_cron, 3, 3 },
    { "populate", debug_populate, 3, 5 },
    { "protocol", debug_protocol, 3, 3 },
    { "quicklist-packed-threshold", debug_packed_threshold, 3, 3 },
    { "reload", debug_reload, 2, 5 },
    { "replybuffer", debug_replybuffer, 3, 4 },
    { "segfault", debug_segfault, 2, 2 },
    { "set-active-expire", debug_set_active_expire, 3, 3 },
    { "set-disable-deny-scripts", debug_accept, 3, 3 },
    { "set-skip-checksum-validation", debug_accept, 3, 3 },
    { "sleep", debug_sleep, 3, 3 },
    { "structsize", debug_structsize, 2, 2 },
};

static void debug_help(struct call *c)
{
    static const char *const lines[] = {
        "ASSERT | OOM | PANIC | SEGFAULT",
        "    End the process the hard way, with a crash report.",
        "CLUSTERLINK KILL <to|from|all> <node-id>",
        "    Close the bus links to or from a node of the cluster.",
        "CONFIG-REWRITE-FORCE-ALL",
        "    Like CONFIG REWRITE, but writes all options.",
        "DIGEST",
        "    Hex digest of the whole data set; equal for equal contents.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Hex digests of the values at the keys.",
        "DROP-CLUSTER-PACKET-FILTER <packet-type>",
        "    Drop all packets of this type from the bus (-1: none).",
        "ERROR <string>",
        "    Reply with an error of this text.",
        "HTSTATS <dbid>",
        "    Figures of the hash table of a database.",
        "HTSTATS-KEY <key>",
        "    Figures of the hash table of a value.",
        "LOG <message>",
        "    Write <message> to the log.",
        "MALLCTL <key> [<val>]",
        "    Read or set a number of the allocator.",
        "MALLCTL-STR <key> [<val>]",
        "    Read or set a string of the allocator.",
        "OBJECT <key>",
        "    Address, encoding, length and idle time of a value.",
        "PAUSE-CRON <0|1>",
        "    Stop the periodic work.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys <prefix>:<num>.",
        "PROTOCOL <type>",
        "    Reply with a test value: string, integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
        "    Save the data set and load it again; on top of what is there with NOFLUSH, over it with MERGE as well.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Turn the background expiry off or on.",
        "SLEEP <seconds>",
        "    Stop the server for a time. Decimals allowed.",
        "STRUCTSIZE",
        "    Sizes of some structures.",
        "AOF-FLUSH-SLEEP, QUICKLIST-PACKED-THRESHOLD, REPLYBUFFER,",
        "SET-DISABLE-DENY-SCRIPTS, SET-SKIP-CHECKSUM-VALIDATION",
        "    Accepted, without an effect here.",
        NULL,
    };
    reply_help(c, lines);
}

static void cmd_debug(struct call *c)
{
    if (c->argc == 2 && arg_is(c, 1, "help")) {
        debug_help(c);
        return;
    }
    for (size_t i = 0; i < sizeof(subs) / sizeof(*subs); i++) {
        if (!arg_is(c, 1, subs[i].name))
            continue;
        if (c->argc < subs[i].argc_min || c->argc > subs[i].argc_max)
            break;
        subs[i].run(c);
        return;
    }
    reply_subcommand_error(c);
}

const struct command debug_commands[] = {
    { "debug", cmd_debug, -2, CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_PROTECTED, NO_KEYS, NULL },
    COMMANDS_END,
};
