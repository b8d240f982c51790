/* See harness.h. */
#include "harness.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/num.h"
#include "common/text.h"
#include "server/client.h"
#include "server/types/zset.h"

static struct harness *current; /* whose command runs */

/* ---- what the server would provide ---- */

size_t call_bulk_max(const struct call *c)
{
    (void)c;
    return current->bulk_max;
}

bool client_in_subscriber_mode(const struct client *client)
{
    (void)client;
    return current->subscriber;
}

void key_ready(struct call *c, struct bytes key)
{
    (void)c;
    if (current->woken.n)
        buf_append(&current->woken, BYTES(", "));
    buf_append(&current->woken, key);
}

/* ---- showing ---- */

static void show_text(struct buf *b, struct bytes s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        char text[8];
        int n = ch >= 32 && ch < 127 ? snprintf(text, sizeof(text), "%c", ch)
                                     : snprintf(text, sizeof(text), "\\x%02x", ch);
        buf_append(b, bytes_of(text, (size_t)n));
    }
}

static struct bytes take_line(struct bytes *in)
{
    const char *end = memchr(in->p, '\r', in->n);
    cr_assert(end && (size_t)(end - in->p) + 1 < in->n && end[1] == '\n',
              "a line of RESP without an end");
    struct bytes line = bytes_of(in->p, (size_t)(end - in->p));
    *in = bytes_of(end + 2, in->n - line.n - 2);
    return line;
}

static struct bytes take_bulk(struct bytes *in, size_t n)
{
    cr_assert(in->n >= n + 2 && in->p[n] == '\r' && in->p[n + 1] == '\n',
              "a bulk of RESP with a wrong length");
    struct bytes bulk = bytes_of(in->p, n);
    *in = bytes_of(in->p + n + 2, in->n - n - 2);
    return bulk;
}

static void show_value(struct buf *b, struct bytes *in);

static void show_many(struct buf *b, struct bytes *in, const char *brackets, int64_t n)
{
    buf_append(b, bytes_of(brackets, 1));
    for (int64_t i = 0; i < n; i++) {
        if (i)
            buf_append(b, BYTES(" "));
        show_value(b, in);
    }
    buf_append(b, bytes_of(brackets + 1, 1));
}

static void show_value(struct buf *b, struct bytes *in)
{
    struct bytes line = take_line(in);
    int64_t n = 0;
    cr_assert(line.n > 0);
    struct bytes rest = bytes_of(line.p + 1, line.n - 1);
    bool counted = memchr("$*%~", line.p[0], 4) != NULL;
    if (counted)
        cr_assert(num_parse_i64(rest, &n), "a header of RESP without a number");
    if (line.p[0] == '_' || n < 0) {
        buf_append(b, BYTES("nil"));
    } else if (line.p[0] == '+') {
        show_text(b, rest);
    } else if (line.p[0] == '$') {
        buf_append(b, BYTES("'"));
        show_text(b, take_bulk(in, (size_t)n));
        buf_append(b, BYTES("'"));
    } else if (line.p[0] == '*') {
        show_many(b, in, "[]", n);
    } else if (line.p[0] == '~') {
        show_many(b, in, "<>", n);
    } else if (line.p[0] == '%') {
        show_many(b, in, "{}", 2 * n);
    } else {
        show_text(b, line); /* errors and integers as they are */
    }
}

static const char *text_of(struct buf *b)
{
    buf_append(b, bytes_of("", 1));
    b->n--;
    return b->p;
}

/* ---- hooks ---- */

static void on_removed(void *ctx, struct db *db, struct bytes key, enum notify_class why)
{
    struct harness *h = ctx;
    (void)why;
    propagate_removed(h->propagate, db_id(db), key, false);
}

static void on_notify(void *ctx, int db, enum notify_class class, const char *event,
                      struct bytes key)
{
    struct harness *h = ctx;
    char text[64];
    cr_assert((unsigned)class & h->config.notify_flags);
    int n = snprintf(text, sizeof(text), db ? "%s%d:%s " : "%s%.0d%s ", h->events.n ? ", " : "", db,
                     event);
    buf_append(&h->events, bytes_of(text, (size_t)n));
    show_text(&h->events, key);
}

static void on_touched(void *ctx, struct db *db, struct bytes key)
{
    (void)ctx, (void)db, (void)key;
}

/* A command of the stream: "SET a 1"; SELECT is left out, the tests know where they are. */
static void show_command(struct buf *b, struct bytes *in)
{
    int64_t argc, n;
    struct bytes line = take_line(in);
    size_t before = b->n;
    cr_assert(line.p[0] == '*' && num_parse_i64(bytes_of(line.p + 1, line.n - 1), &argc));
    if (before)
        buf_append(b, BYTES("; "));
    size_t begin = b->n;
    for (int64_t i = 0; i < argc; i++) {
        line = take_line(in);
        cr_assert(line.p[0] == '$' && num_parse_i64(bytes_of(line.p + 1, line.n - 1), &n));
        if (i)
            buf_append(b, BYTES(" "));
        show_text(b, take_bulk(in, (size_t)n));
    }
    if (b->n - begin > 7 && memcmp(b->p + begin, "SELECT ", 7) == 0)
        b->n = before;
}

static int64_t on_effects(void *ctx, struct bytes resp)
{
    struct harness *h = ctx;
    while (resp.n)
        show_command(&h->effects, &resp);
    return 0;
}

/* ---- the harness ---- */

void harness_init(struct harness *h, const struct command *const *families)
{
    *h = (struct harness){ .now = HARNESS_NOW, .bulk_max = 512 * 1024 * 1024 };
    for (int i = 0; i < HARNESS_FAMILIES && families[i]; i++)
        h->families[i] = families[i];
    h->config = (struct ks_config){
        .maxmemory_policy = POLICY_NOEVICTION,
        .maxmemory_samples = 5,
        .lfu_log_factor = 10,
        .lfu_decay_time = 1,
        .active_expire_effort = 1,
        .notify_flags =
            NOTIFY_KEYSPACE | NOTIFY_KEYEVENT | NOTIFY_ALL | NOTIFY_KEY_MISS | NOTIFY_NEW,
    };
    h->limits = (struct types_limits){
        .hash_max_listpack_entries = 128,
        .hash_max_listpack_value = 64,
        .set_max_intset_entries = 512,
        .set_max_listpack_entries = 128,
        .set_max_listpack_value = 64,
        .zset_max_listpack_entries = 128,
        .zset_max_listpack_value = 64,
        .list_max_listpack_size = -2,
    };
    struct ks_hooks hooks = { h, on_removed, on_notify, on_touched };
    h->ks = ks_new(16, &h->config, &hooks);
    ks_set_now(h->ks, h->now);
    h->propagate = propagate_new();
    struct propagate_sink sink = { h, on_effects };
    cr_assert(propagate_attach(h->propagate, &sink) >= 0);
    arena_init(&h->arena);
    writer_buf_init(&h->out, 2);
    h->reply = h->events = h->effects = h->woken = BUF_INIT(BUF_UNLIMITED);
}

void harness_done(struct harness *h)
{
    ks_free(h->ks);
    propagate_free(h->propagate);
    arena_done(&h->arena);
    writer_buf_done(&h->out);
    buf_done(&h->reply);
    buf_done(&h->events);
    buf_done(&h->effects);
    buf_done(&h->woken);
}

void harness_add_zset(struct harness *h, const char *key)
{
    struct value_ref zset = zset_new();
    double score;
    cr_assert_eq(zset_add(&zset, 1, BYTES("element"), 0, &h->limits, &score), ZSET_ADDED);
    ks_add_object(ks_db(h->ks, h->db), bytes_of_str(key), TYPE_ZSET, zset.enc, zset.object);
}

static void execute(struct harness *h, struct command_entry *cmd, int argc, struct bytes *argv,
                    struct blob **blobs)
{
    struct call c = {
        .argc = argc,
        .flags = h->flags,
        .argv = argv,
        .blobs = blobs,
        .w = &h->out.w,
        .db = ks_db(h->ks, h->db),
        .ks = h->ks,
        .now = h->now,
        .arena = &h->arena,
        .limits = &h->limits,
        .cmd = cmd,
    };
    struct effects fx;
    c.fx = &fx;
    ks_set_now(h->ks, h->now);
    propagate_multi_begin(h->propagate);
    effects_begin(&fx, h->propagate, h->ks);
    cmd->row->handler(&c);
    effects_end(&fx, &c);
    propagate_multi_end(h->propagate);
}

/* ---- finding commands: of the given families only, so that a test links few of them ---- */

static const struct command *find_row(const struct command *rows, struct bytes name)
{
    for (; rows && rows->name; rows++)
        if (bytes_is(name, rows->name))
            return rows;
    return NULL;
}

static struct command_entry *new_entry(struct harness *h, const struct command *row,
                                       const struct command_entry *parent)
{
    struct command_entry *e = arena_zalloc(&h->arena, sizeof(*e));
    e->row = row;
    e->parent = parent;
    e->full_name =
        parent ? arena_printf(&h->arena, "%s|%s", parent->full_name, row->name).p : row->name;
    return e;
}

static struct command_entry *resolve(struct harness *h, int argc, const struct bytes *argv)
{
    const struct command *row = NULL;
    for (int i = 0; i < HARNESS_FAMILIES && !row; i++)
        row = find_row(h->families[i], argv[0]);
    if (!row)
        return NULL;
    struct command_entry *e = new_entry(h, row, NULL);
    const struct command *sub = argc > 1 ? find_row(row->subs, argv[1]) : NULL;
    return sub ? new_entry(h, sub, e) : e;
}

/* As dispatch refuses what is not well formed. */
static bool refuse(struct harness *h, struct command_entry *cmd, int argc, const struct bytes *argv)
{
    if (!cmd)
        resp_errorf(&h->out.w, "ERR unknown command '%.*s'", (int)argv[0].n, argv[0].p);
    else if (cmd->row->arity > 0 ? argc != cmd->row->arity : argc < -cmd->row->arity)
        resp_errorf(&h->out.w, "ERR wrong number of arguments for '%s' command", cmd->full_name);
    else
        return false;
    return true;
}

const char *harness_run_argv(struct harness *h, int argc, const struct bytes *given)
{
    current = h;
    writer_buf_reset(&h->out);
    buf_clear(&h->reply);
    buf_clear(&h->events);
    buf_clear(&h->effects);
    buf_clear(&h->woken);
    struct bytes *argv = arena_array(&h->arena, (size_t)argc, sizeof(*argv));
    struct blob **blobs = arena_zalloc(&h->arena, (size_t)argc * sizeof(*blobs));
    memcpy(argv, given, (size_t)argc * sizeof(*argv));
    if (h->large_arg && h->large_arg < argc) {
        struct blob *b = blobs[h->large_arg] = blob_new(argv[h->large_arg].n, argv[h->large_arg].n);
        memcpy(b->data, argv[h->large_arg].p, b->n);
        argv[h->large_arg] = blob_bytes(b);
    }
    struct command_entry *cmd = resolve(h, argc, argv);
    if (!refuse(h, cmd, argc, argv))
        execute(h, cmd, argc, argv, blobs);
    for (int i = 0; i < argc; i++)
        blob_unref(blobs[i]);
    arena_reset(&h->arena);
    struct bytes out = writer_buf_bytes(&h->out);
    show_value(&h->reply, &out);
    cr_assert(out.n == 0, "more than one reply");
    return text_of(&h->reply);
}

const char *harness_run(struct harness *h, const char *line)
{
    struct arena words = { 0 };
    struct bytes *argv;
    size_t argc;
    cr_assert(text_split(bytes_of_str(line), &words, &argv, &argc) && argc > 0, "cannot split: %s",
              line);
    const char *reply = harness_run_argv(h, (int)argc, argv);
    arena_done(&words);
    return reply;
}

void harness_steps(struct harness *h, const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct step *s = &steps[i];
        const char *reply = harness_run(h, s->line);
        cr_expect_str_eq(reply, s->reply, "%s\n  gave %s\n  want %s", s->line, reply, s->reply);
        const char *events = text_of(&h->events), *effects = text_of(&h->effects);
        if (s->events)
            cr_expect_str_eq(events, s->events, "%s\n  events %s\n  wanted %s", s->line, events,
                             s->events);
        if (s->effects)
            cr_expect_str_eq(effects, s->effects, "%s\n  effects %s\n  wanted %s", s->line, effects,
                             s->effects);
    }
}
