/* See collection.h. */
#include "server/commands/collection.h"

#include "common/glob.h"
#include "common/num.h"
#include "server/commands/cursor.h"

void delete_empty(struct call *c, struct bytes key)
{
    ks_delete(c->db, key, KS_DEL_SYNC);
    ks_notify(c->db, key, NOTIFY_GENERIC, "del");
}

enum ks_del deleted_by_server(const struct call *c)
{
    return ks_config(c->ks)->lazyfree_lazy_server_del ? KS_DEL_LAZY : KS_DEL_SYNC;
}

struct prng *command_prng(void)
{
    static struct prng prng;
    static bool seeded;
    if (!seeded) {
        uint64_t seed;
        clock_random(&seed, sizeof(seed));
        prng_init(&prng, seed);
        seeded = true;
    }
    return &prng;
}

/* ---- scanning ---- */

static bool scan_options(struct call *c, struct scan_state *s)
{
    for (int i = 3; i < c->argc; i += 2) {
        int64_t count = 1;
        bool has_value = i + 1 < c->argc;
        if (has_value && arg_is(c, i, "COUNT")) {
            if (!arg_i64(c, i + 1, &count))
                return false;
            s->count = (uint64_t)count;
        } else if (has_value && arg_is(c, i, "MATCH")) {
            s->pattern = c->argv[i + 1];
            s->by_pattern = !bytes_eq(s->pattern, BYTES("*"));
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

/* The cursor is known only after the elements: gaps are left for it and for their number. */
bool scan_begin(struct call *c, enum value_type type, struct scan_state *s, uint64_t *ret_cursor,
                struct entry **ret_entry)
{
    *s = (struct scan_state){ .c = c, .count = 10 };
    struct entry *e;
    if (!cursor_parse(c->argv[2], ret_cursor)) {
        reply_error(c, "ERR invalid cursor");
        return false;
    }
    if (!read_typed(c, c->argv[1], type, &e))
        return false;
    if (!e) {
        reply_array(c, 2);
        resp_bulk_str(c->w, "0");
        reply_array(c, 0);
        return false;
    }
    if (!scan_options(c, s))
        return false;
    reply_array(c, 2);
    s->cursor_mark = c->w->ops->mark(c->w);
    s->array_mark = resp_later(c->w);
    *ret_entry = e;
    return true;
}

bool scan_wants(struct scan_state *s, const struct element *name)
{
    char scratch[ELEMENT_SCRATCH];
    s->seen++;
    return !s->by_pattern || glob_match(s->pattern, element_text(name, scratch));
}

bool scan_goes_on(const struct scan_state *s, uint64_t cursor, uint64_t *steps)
{
    enum { STEPS_PER_ELEMENT = 10 };
    uint64_t most;
    if (__builtin_mul_overflow(s->count, (uint64_t)STEPS_PER_ELEMENT, &most))
        most = UINT64_MAX;
    return cursor && s->seen < s->count && ++*steps < most;
}

void scan_end(struct scan_state *s, uint64_t cursor)
{
    struct writer *w = s->c->w;
    char text[NUM_I64_MAX], header[WRITER_GAP];
    size_t n = num_format_u64(text, cursor), at = 0;
    header[at++] = '$';
    at += num_format_u64(header + at, n);
    memcpy(header + at, "\r\n", 2);
    memcpy(header + at + 2, text, n);
    memcpy(header + at + 2 + n, "\r\n", 2);
    resp_later_array(w, s->array_mark, s->replied);
    w->ops->fill(w, s->cursor_mark, bytes_of(header, at + n + 4));
}
