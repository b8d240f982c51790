/* See stream.h; and the commands that look at entries or remove them: XLEN, XRANGE, XREVRANGE,
 * XDEL. */
#include "server/commands/stream.h"

#include "common/arena.h"
#include "common/num.h"

const char err_stream_id[] = "ERR Invalid stream ID specified as stream command argument";

/* ---- IDs ---- */

struct bytes stream_id_text(char text[STREAM_ID_TEXT], struct stream_id id)
{
    size_t n = num_format_u64(text, id.ms);
    text[n++] = '-';
    n += num_format_u64(text + n, id.seq);
    return bytes_of(text, n);
}

struct bytes effect_stream_id(struct call *c, struct stream_id id)
{
    return stream_id_text(arena_alloc(c->arena, STREAM_ID_TEXT), id);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* As strtoull reads it, since that is what clients could write all along: spaces, a plus and zeros
 * may be in front. */
static bool parse_part(struct bytes s, uint64_t *ret_v)
{
    size_t i = 0;
    uint64_t v = 0;
    while (i < s.n && is_space(s.p[i]))
        i++;
    if (i < s.n && s.p[i] == '+')
        i++;
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *ret_v = v;
    return true;
}

bool stream_id_parse(struct bytes s, uint64_t seq, struct stream_id *ret_id)
{
    enum { TEXT_MAX = 127 };
    struct stream_id id = { 0, seq };
    if (s.n == 0 || s.n > TEXT_MAX)
        return false;
    s.n = strnlen(s.p, s.n); /* an ID ends at a zero byte */
    const char *dash = memchr(s.p, '-', s.n);
    size_t n = dash ? (size_t)(dash - s.p) : s.n;
    if (!parse_part(bytes_of(s.p, n), &id.ms))
        return false;
    if (dash && !parse_part(bytes_of(dash + 1, s.n - n - 1), &id.seq))
        return false;
    *ret_id = id;
    return true;
}

bool arg_stream_id(struct call *c, int i, uint64_t seq, struct stream_id *ret_id)
{
    if (stream_id_parse(c->argv[i], seq, ret_id))
        return true;
    reply_error(c, err_stream_id);
    return false;
}

bool arg_stream_bound(struct call *c, int i, enum stream_bound bound, struct stream_id *ret_id)
{
    struct bytes s = c->argv[i];
    bool start = bound == STREAM_BOUND_START;
    if (s.n == 1 && (*s.p == '-' || *s.p == '+')) {
        *ret_id = *s.p == '-' ? STREAM_ID_MIN : STREAM_ID_MAX;
        return true;
    }
    bool open = s.n > 1 && *s.p == '(';
    struct stream_id id;
    if (!stream_id_parse(bytes_of(s.p + open, s.n - open), start ? 0 : UINT64_MAX, &id)) {
        reply_error(c, err_stream_id);
        return false;
    }
    if (open && !(start ? stream_id_next(&id) : stream_id_prev(&id))) {
        reply_error(c, start ? "ERR invalid start ID for the interval"
                             : "ERR invalid end ID for the interval");
        return false;
    }
    *ret_id = id;
    return true;
}

/* ---- replies ---- */

void reply_stream_id(struct writer *w, struct stream_id id)
{
    char text[STREAM_ID_TEXT];
    resp_bulk(w, stream_id_text(text, id));
}

void reply_stream_entry(struct writer *w, struct stream_walk *walk)
{
    resp_array(w, 2);
    reply_stream_id(w, walk->id);
    resp_array(w, 2 * (int64_t)walk->fields);
    for (uint32_t i = 0; i < walk->fields; i++) {
        struct element field, value;
        stream_walk_field(walk, &field, &value);
        reply_element(w, &field);
        reply_element(w, &value);
    }
}

/* ---- commands ---- */

static void cmd_xlen(struct call *c)
{
    struct entry *e;
    if (read_typed(c, c->argv[1], TYPE_STREAM, &e))
        reply_int(c, e ? (int64_t)stream_at(e)->length : 0);
}

/* XRANGE key start end [COUNT n], XREVRANGE key end start [COUNT n] */
static void range(struct call *c, bool reverse)
{
    struct stream_id start, end;
    int64_t count = -1;
    struct entry *e;
    if (!arg_stream_bound(c, 2 + reverse, STREAM_BOUND_START, &start) ||
        !arg_stream_bound(c, 3 - reverse, STREAM_BOUND_END, &end))
        return;
    for (int i = 4; i < c->argc; i += 2) {
        if (!arg_is(c, i, "COUNT") || i + 1 >= c->argc) {
            reply_syntax_error(c);
            return;
        }
        if (!arg_i64(c, i + 1, &count))
            return;
        if (count < 0)
            count = 0;
    }
    if (!read_typed(c, c->argv[1], TYPE_STREAM, &e))
        return;
    if (!e) {
        reply_array(c, 0);
        return;
    }
    if (count == 0) {
        resp_null_array(c->w);
        return;
    }
    struct writer_mark mark = resp_later(c->w);
    struct stream_walk w;
    int64_t n = 0;
    stream_walk_begin(&w, stream_at(e), start, end, reverse);
    for (; n != count && stream_walk_next(&w); n++)
        reply_stream_entry(c->w, &w);
    resp_later_array(c->w, mark, n);
}

static void cmd_xrange(struct call *c)
{
    range(c, false);
}

static void cmd_xrevrange(struct call *c)
{
    range(c, true);
}

static void cmd_xdel(struct call *c)
{
    struct entry *e;
    if (!write_typed(c, c->argv[1], TYPE_STREAM, &e))
        return;
    if (!e) {
        reply_int(c, 0);
        return;
    }
    struct stream_id *ids = arena_array(c->arena, (size_t)c->argc, sizeof(*ids));
    for (int i = 2; i < c->argc; i++) {
        if (!arg_stream_id(c, i, 0, &ids[i]))
            return;
    }
    uint64_t deleted = 0;
    for (int i = 2; i < c->argc; i++)
        deleted += stream_delete(stream_at(e), ids[i]);
    if (deleted)
        changed_elements(c, c->argv[1], NOTIFY_STREAM, "xdel", deleted);
    reply_int(c, (int64_t)deleted);
}

const struct command stream_commands[] = {
    { "xlen", cmd_xlen, 2, CMD_READ | CMD_FAST, KEY_1, NULL },
    { "xrange", cmd_xrange, -4, CMD_READ, KEY_1, NULL },
    { "xrevrange", cmd_xrevrange, -4, CMD_READ, KEY_1, NULL },
    { "xdel", cmd_xdel, -3, CMD_WRITE | CMD_FAST, KEY_1, NULL },
    COMMANDS_END,
};
