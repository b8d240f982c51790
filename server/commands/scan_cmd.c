/* Walking the keys of a database: KEYS and SCAN.
 *
 * KEYS writes its replies while it walks. SCAN notes the entries of a step first, because the
 * cursor is replied before them; its work is bounded by COUNT, whatever the pattern. Expired keys
 * are not shown, and SCAN removes those it met. */
#include "common/alloc.h"
#include "common/arena.h"
#include "common/glob.h"
#include "common/num.h"
#include "server/call.h"
#include "server/commands/cursor.h"

/* Which entries are wanted. */
struct filter {
    bool by_pattern, by_type;
    bool none; /* TYPE of a name that no type has */
    struct bytes pattern;
    enum value_type type;
};

static void filter_pattern(struct filter *f, struct bytes pattern)
{
    f->pattern = pattern;
    f->by_pattern = !bytes_eq(pattern, BYTES("*")); /* a glob's star does not match the empty key */
}

static bool filter_passes(const struct filter *f, const struct entry *e)
{
    if (f->none || (f->by_type && entry_type(e) != f->type))
        return false;
    return !f->by_pattern || glob_match(f->pattern, entry_key(e));
}

/* ---- KEYS ---- */

struct keys_walk {
    struct call *c;
    struct filter filter;
    int64_t n;
};

static void keys_visit(void *ctx, struct entry *e)
{
    struct keys_walk *k = ctx;
    if (!filter_passes(&k->filter, e) || ks_is_expired(k->c->ks, e))
        return;
    reply_bulk(k->c, entry_key(e));
    k->n++;
}

/* A pattern without special bytes names one key at most. */
static void keys_literal(struct call *c)
{
    struct entry *e = ks_find(c->db, c->argv[1], KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
    reply_array(c, e ? 1 : 0);
    if (e)
        reply_bulk(c, entry_key(e));
}

static void cmd_keys(struct call *c)
{
    if (glob_is_literal(c->argv[1])) {
        keys_literal(c);
        return;
    }
    struct keys_walk k = { .c = c };
    filter_pattern(&k.filter, c->argv[1]);
    struct writer_mark mark = resp_later(c->w);
    uint64_t cursor = 0;
    do {
        cursor = db_scan(c->db, cursor, keys_visit, &k);
    } while (cursor);
    resp_later_array(c->w, mark, k.n);
}

/* ---- SCAN ---- */

enum { SCAN_SMALL = 64, SCAN_STEPS_PER_KEY = 10 };

struct scan_args {
    uint64_t cursor;
    uint64_t count;
    struct filter filter;
};

struct scan_walk {
    struct filter filter;
    uint64_t seen;    /* entries looked at */
    struct entry **v; /* those that passed: `small` or allocated */
    size_t n, cap;
    struct entry *small[SCAN_SMALL];
};

/* A name of no type is not an error in 7.2: nothing has it. */
static void filter_type(struct filter *f, struct bytes name)
{
    f->by_type = true;
    f->none = true;
    for (int type = 0; type < TYPES_N; type++) {
        if (!bytes_is(name, value_type_name((enum value_type)type)))
            continue;
        f->type = (enum value_type)type;
        f->none = false;
    }
}

static bool parse_scan(struct call *c, struct scan_args *a)
{
    *a = (struct scan_args){ .count = 10 };
    if (!cursor_parse(c->argv[1], &a->cursor)) {
        reply_error(c, "ERR invalid cursor");
        return false;
    }
    for (int i = 2; i < c->argc; i += 2) {
        int64_t count = 1;
        bool has_value = i + 1 < c->argc;
        if (has_value && arg_is(c, i, "COUNT")) {
            if (!arg_i64(c, i + 1, &count))
                return false;
            a->count = (uint64_t)count;
        } else if (has_value && arg_is(c, i, "MATCH")) {
            filter_pattern(&a->filter, c->argv[i + 1]);
        } else if (has_value && arg_is(c, i, "TYPE")) {
            filter_type(&a->filter, c->argv[i + 1]);
        } else {
            count = 0;
        }
        if (count < 1) {
            reply_syntax_error(c);
            return false;
        }
    }
    return true;
}

static void scan_note(struct scan_walk *s, struct entry *e)
{
    if (s->n == s->cap) {
        bool first = s->v == s->small;
        s->cap *= 4;
        s->v = mem_realloc(first ? NULL : s->v, s->cap * sizeof(struct entry *));
        if (first)
            memcpy(s->v, s->small, sizeof(s->small));
    }
    s->v[s->n++] = e;
}

static void scan_visit(void *ctx, struct entry *e)
{
    struct scan_walk *s = ctx;
    s->seen++;
    if (filter_passes(&s->filter, e))
        scan_note(s, e);
}

/* Parts the noted entries: those that live first; returns how many. */
static size_t part_expired(const struct keyspace *ks, struct scan_walk *s)
{
    size_t live = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct entry *e = s->v[i];
        if (ks_is_expired(ks, e))
            continue;
        s->v[i] = s->v[live];
        s->v[live++] = e;
    }
    return live;
}

/* Looking a key up is what removes it (a master's only; a replica waits for the DEL). */
static void remove_expired(struct call *c, const struct scan_walk *s, size_t live)
{
    for (size_t i = live; i < s->n; i++) {
        struct bytes key = arena_copy(c->arena, entry_key(s->v[i]));
        ks_find(c->db, key, KS_NO_TOUCH | KS_NO_STATS | KS_NO_NOTIFY);
    }
}

static void cmd_scan(struct call *c)
{
    struct scan_args a;
    if (!parse_scan(c, &a))
        return;
    struct scan_walk s = { .filter = a.filter, .cap = SCAN_SMALL };
    s.v = s.small;
    uint64_t cursor = a.cursor, steps = 0, steps_max;
    if (__builtin_mul_overflow(a.count, (uint64_t)SCAN_STEPS_PER_KEY, &steps_max))
        steps_max = UINT64_MAX;
    do {
        cursor = db_scan(c->db, cursor, scan_visit, &s);
    } while (cursor && s.seen < a.count && ++steps < steps_max);

    size_t live = part_expired(c->ks, &s);
    char text[NUM_I64_MAX];
    reply_array(c, 2);
    reply_bulk(c, bytes_of(text, num_format_u64(text, cursor)));
    reply_array(c, (int64_t)live);
    for (size_t i = 0; i < live; i++)
        reply_bulk(c, entry_key(s.v[i]));
    remove_expired(c, &s, live);
    if (s.v != s.small)
        mem_free(s.v);
}

const struct command scan_commands[] = {
    { "keys", cmd_keys, 2, CMD_READ, NO_KEYS, NULL },
    { "scan", cmd_scan, -2, CMD_READ, NO_KEYS, NULL },
    COMMANDS_END,
};
