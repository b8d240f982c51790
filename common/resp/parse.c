/* Parsing requests (see parse.h).
 *
 * Two ways through the same steps. A frame that is whole in the input is parsed straight into an argv in the arena: the
 * common case touches each byte once and keeps nothing. A frame that is cut leaves its arguments as offsets in
 * parser->spans and goes on from there, so a frame of a million arguments costs the same however it is chopped. */
#include "common/resp/parse.h"

#include <limits.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/buf.h"
#include "common/num.h"
#include "common/text.h"

/* Where arguments go while a frame is parsed: the arena's argv, or the parser's spans after a cut. */
struct frame {
    struct bytes in;
    size_t pos;         /* next byte to look at */
    struct bytes *argv; /* NULL: spans are used */
    uint32_t argc, argv_cap;
};

static enum resp_status fail(struct resp_parser *ps, const char *text)
{
    ps->error = text;
    return RESP_ERROR;
}

/* Finds the end of a length line at `pos`. Returns the offset of its CR, or -1 (not there yet). The LF must be in the
 * input too, though its value is not looked at. */
static inline int64_t find_line_end(struct bytes in, size_t pos)
{
    const char *cr = pos < in.n ? memchr(in.p + pos, '\r', in.n - pos) : NULL;
    if (!cr || (size_t)(cr - in.p) + 1 >= in.n)
        return -1;
    return cr - in.p;
}

/* A length of up to 9 digits, the usual case; -1 sends the caller to the strict parser. */
static inline int64_t small_length(const char *p, size_t n)
{
    if (n == 0 || n > 9 || (p[0] == '0' && n > 1))
        return -1;
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned char)p[i] - '0';
        if (digit > 9)
            return -1;
        v = v * 10 + digit;
    }
    return v;
}

static inline bool parse_length(const char *p, size_t n, int64_t *ret_v)
{
    int64_t v = small_length(p, n);
    if (v < 0)
        return num_parse_i64(bytes_of(p, n), ret_v);
    *ret_v = v;
    return true;
}

static void add_span(struct resp_parser *ps, struct resp_span span)
{
    if (ps->spans_n == ps->spans_cap) {
        ps->spans_cap = ps->spans_cap ? ps->spans_cap * 2 : 16;
        ps->spans = mem_realloc(ps->spans, ps->spans_cap * sizeof(*ps->spans));
    }
    ps->spans[ps->spans_n++] = span;
}

static inline void add_arg(struct resp_parser *ps, struct frame *f, size_t off, size_t n)
{
    if (f->argv)
        f->argv[f->argc++] = bytes_of(f->in.p + off, n);
    else
        add_span(ps, (struct resp_span){ off, n, NULL });
}

/* Turns the arguments parsed so far into spans, for the next call to go on with. */
static void save_frame(struct resp_parser *ps, struct frame *f)
{
    for (uint32_t i = 0; f->argv && i < f->argc; i++)
        add_span(ps, (struct resp_span){ (size_t)(f->argv[i].p - f->in.p), f->argv[i].n, NULL });
    f->argv = NULL;
    ps->pos = f->pos;
}

static void forget_frame(struct resp_parser *ps)
{
    for (uint32_t i = 0; i < ps->spans_n; i++)
        blob_unref(ps->spans[i].blob);
    mem_free(ps->spans);
    blob_unref(ps->big);
    *ps = (struct resp_parser){ .bulk_len = -1, .error = ps->error };
}

/* The frame is whole: its arguments become the command's argv. */
static enum resp_status finish_frame(struct resp_parser *ps, struct frame *f, struct arena *a, struct resp_command *ret)
{
    if (f->argv) {
        *ret = (struct resp_command){ f->argv, NULL, (int)f->argc, f->pos };
        return RESP_COMMAND;
    }
    uint32_t n = ps->spans_n;
    struct bytes *argv = arena_array(a, n, sizeof(*argv));
    struct blob **blobs = NULL;
    for (uint32_t i = 0; i < n; i++) {
        struct resp_span *s = &ps->spans[i];
        argv[i] = s->blob ? blob_bytes(s->blob) : bytes_of(f->in.p + s->off, s->n);
        if (!s->blob)
            continue;
        if (!blobs)
            blobs = memset(arena_array(a, n, sizeof(*blobs)), 0, n * sizeof(*blobs));
        blobs[i] = s->blob;
        s->blob = NULL;
    }
    *ret = (struct resp_command){ argv, blobs, (int)n, f->pos };
    forget_frame(ps);
    return RESP_COMMAND;
}

/* "*<n>\r\n" at f->pos. RESP_COMMAND: go on with the bulks. */
static enum resp_status parse_multibulk_header(struct resp_parser *ps, struct frame *f,
                                               const struct resp_limits *limits, struct arena *a,
                                               struct resp_command *ret)
{
    int64_t end = find_line_end(f->in, 1);
    if (end < 0) {
        if (f->in.n > RESP_INLINE_MAX)
            return fail(ps, "ERR Protocol error: too big mbulk count string");
        return RESP_MORE;
    }
    int64_t n;
    if (!parse_length(f->in.p + 1, (size_t)end - 1, &n) || n > INT_MAX)
        return fail(ps, "ERR Protocol error: invalid multibulk length");
    if (n > RESP_PREAUTH_ARGS && !limits->authenticated)
        return fail(ps, "ERR Protocol error: unauthenticated multibulk length");
    f->pos = (size_t)end + 2;
    if (n <= 0) {
        *ret = (struct resp_command){ .used = f->pos };
        return RESP_EMPTY;
    }
    ps->args_left = (int32_t)n;
    ps->bulk_len = -1;
    /* An argument takes at least "$0\r\n\r\n": never more slices than the bytes here can fill. */
    size_t fit = (f->in.n - f->pos) / 6 + 1;
    f->argv_cap = (uint32_t)((size_t)n < fit ? (size_t)n : fit);
    f->argv = arena_array(a, f->argv_cap, sizeof(*f->argv));
    return RESP_COMMAND;
}

/* "$<n>\r\n" at f->pos: sets ps->bulk_len. RESP_COMMAND: done. */
static enum resp_status parse_bulk_header(struct resp_parser *ps, struct frame *f, const struct resp_limits *limits)
{
    int64_t end = find_line_end(f->in, f->pos);
    if (end < 0) {
        if (f->in.n - f->pos > RESP_INLINE_MAX)
            return fail(ps, "ERR Protocol error: too big bulk count string");
        return RESP_MORE;
    }
    char first = f->in.p[f->pos];
    if (first != '$') {
        snprintf(ps->error_text, sizeof(ps->error_text), "ERR Protocol error: expected '$', got '%c'", first);
        return fail(ps, ps->error_text);
    }
    int64_t n;
    if (!parse_length(f->in.p + f->pos + 1, (size_t)end - f->pos - 1, &n) || n < 0 || (uint64_t)n > limits->bulk_max)
        return fail(ps, "ERR Protocol error: invalid bulk length");
    if (n > RESP_PREAUTH_BULK && !limits->authenticated)
        return fail(ps, "ERR Protocol error: unauthenticated bulk length");
    f->pos = (size_t)end + 2;
    ps->bulk_len = n;
    return RESP_COMMAND;
}

/* A large bulk whose end is not here: give it a blob and let the rest come straight in. */
static enum resp_status begin_big(struct resp_parser *ps, struct frame *f)
{
    size_t n = (size_t)ps->bulk_len;
    size_t have = f->in.n - f->pos;
    if (have > n)
        have = n; /* only (part of) the CRLF is missing */
    struct blob *b = blob_try_new(n, n);
    if (!b)
        return fail(ps, "ERR Protocol error: insufficient memory for a bulk of this length");
    memcpy(b->data, f->in.p + f->pos, have);
    f->pos += have;
    ps->big = b;
    ps->big_have = have;
    save_frame(ps, f);
    return have == n ? RESP_MORE : RESP_BIG;
}

/* The bytes (and CRLF) of the bulk under way. RESP_COMMAND: argument added. */
static enum resp_status parse_bulk_body(struct resp_parser *ps, struct frame *f)
{
    size_t n = (size_t)ps->bulk_len;
    if (ps->big) {
        if (ps->big_have < n)
            return RESP_BIG;
        if (f->in.n - f->pos < 2)
            return RESP_MORE;
        add_span(ps, (struct resp_span){ 0, n, ps->big });
        ps->big = NULL;
        f->pos += 2;
    } else {
        if (f->in.n - f->pos < n + 2)
            return n >= RESP_BIG_MIN ? begin_big(ps, f) : RESP_MORE;
        add_arg(ps, f, f->pos, n);
        f->pos += n + 2;
    }
    ps->bulk_len = -1;
    ps->args_left--;
    return RESP_COMMAND;
}

static enum resp_status parse_multibulk(struct resp_parser *ps, struct frame *f, const struct resp_limits *limits,
                                        struct arena *a, struct resp_command *ret)
{
    enum resp_status st = RESP_COMMAND;
    if (ps->args_left == 0) {
        st = parse_multibulk_header(ps, f, limits, a, ret);
        if (st != RESP_COMMAND)
            return st;
    }
    while (ps->args_left > 0) {
        if (f->argv && f->argc == f->argv_cap) /* fewer slices than arguments: the frame cannot be whole */
            save_frame(ps, f);
        if (ps->bulk_len < 0)
            st = parse_bulk_header(ps, f, limits);
        if (st == RESP_COMMAND)
            st = parse_bulk_body(ps, f);
        if (st == RESP_COMMAND)
            continue;
        if (st == RESP_MORE)
            save_frame(ps, f);
        return st;
    }
    return finish_frame(ps, f, a, ret);
}

static enum resp_status parse_inline(struct resp_parser *ps, struct bytes in, struct arena *a, struct resp_command *ret)
{
    const char *lf = memchr(in.p, '\n', in.n);
    if (!lf) {
        if (in.n > RESP_INLINE_MAX)
            return fail(ps, "ERR Protocol error: too big inline request");
        return RESP_MORE;
    }
    struct bytes line = bytes_of(in.p, (size_t)(lf - in.p));
    size_t used = line.n + 1;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    struct bytes *argv;
    size_t argc;
    if (!text_split(line, a, &argv, &argc))
        return fail(ps, "ERR Protocol error: unbalanced quotes in request");
    *ret = (struct resp_command){ argv, NULL, (int)argc, used };
    return argc ? RESP_COMMAND : RESP_EMPTY;
}

enum resp_status resp_parse(struct resp_parser *ps, struct bytes input, const struct resp_limits *limits,
                            struct arena *a, struct resp_command *ret)
{
    if (input.n == 0 && !ps->big)
        return RESP_MORE;
    if (ps->args_left == 0 && input.p[0] != '*')
        return parse_inline(ps, input, a, ret);
    struct frame f = { .in = input, .pos = ps->args_left ? ps->pos : 0 };
    return parse_multibulk(ps, &f, limits, a, ret);
}

struct bytes resp_parser_big(struct resp_parser *ps)
{
    ASSERT(ps->big);
    return bytes_of(ps->big->data + ps->big_have, (size_t)ps->bulk_len - ps->big_have);
}

void resp_parser_big_got(struct resp_parser *ps, size_t n)
{
    ASSERT(ps->big && n <= (size_t)ps->bulk_len - ps->big_have);
    ps->big_have += n;
}

size_t resp_parser_memory(const struct resp_parser *ps)
{
    size_t n = ps->spans_cap * sizeof(*ps->spans);
    for (uint32_t i = 0; i < ps->spans_n; i++)
        n += ps->spans[i].blob ? ps->spans[i].blob->cap : 0;
    return n + (ps->big ? ps->big->cap : 0);
}

void resp_parser_done(struct resp_parser *ps)
{
    forget_frame(ps);
}
