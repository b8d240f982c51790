/* See text.h. The splitter is a plain state machine over one line; what it writes is never longer
 * than what it read, so one allocation holds all arguments. */
#include "common/text.h"

#include <stdio.h>

#include "common/num.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* ---- splitting ---- */

struct scan {
    const char *p, *end;
    char *out; /* where the next byte of the current argument goes */
};

/* At a backslash with something behind it, inside "...". */
static void unescape(struct scan *s)
{
    const char *p = s->p;
    if (s->end - p >= 4 && p[1] == 'x' && hex_value(p[2]) >= 0 && hex_value(p[3]) >= 0) {
        *s->out++ = (char)(hex_value(p[2]) << 4 | hex_value(p[3]));
        s->p += 4;
        return;
    }
    char c = p[1];
    switch (c) {
    case 'n': c = '\n'; break;
    case 'r': c = '\r'; break;
    case 't': c = '\t'; break;
    case 'b': c = '\b'; break;
    case 'a': c = '\a'; break;
    }
    *s->out++ = c;
    s->p += 2;
}

/* Behind an opening quote. False when it is not closed, or something sticks to the closing one. */
static bool scan_quoted(struct scan *s, char quote)
{
    while (s->p < s->end) {
        bool escape = *s->p == '\\' && s->end - s->p >= 2;
        if (escape && quote == '"') {
            unescape(s);
        } else if (escape && s->p[1] == '\'') {
            *s->out++ = '\'';
            s->p += 2;
        } else if (*s->p == quote) {
            s->p++;
            return s->p == s->end || is_space(*s->p);
        } else {
            *s->out++ = *s->p++;
        }
    }
    return false;
}

/* One argument, from its first byte. A quoted part ends it; so do the spaces below, which are fewer
 * than those that may separate arguments. */
static bool scan_argument(struct scan *s)
{
    while (s->p < s->end) {
        char c = *s->p;
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
            return true;
        s->p++;
        if (c == '"' || c == '\'')
            return scan_quoted(s, c);
        *s->out++ = c;
    }
    return true;
}

static struct bytes *argv_grow(struct arena *a, struct bytes *argv, size_t n, size_t *cap)
{
    size_t more = *cap ? *cap * 2 : 8;
    struct bytes *larger = arena_array(a, more, sizeof *larger);
    if (n)
        memcpy(larger, argv, n * sizeof *argv);
    *cap = more;
    return larger;
}

bool text_split(struct bytes line, struct arena *arena, struct bytes **ret_argv, size_t *ret_argc)
{
    const char *nul = line.n ? memchr(line.p, '\0', line.n) : NULL;
    struct scan s = { .p = line.p, .end = nul ? nul : line.p + line.n };
    s.out = arena_alloc(arena, (size_t)(s.end - s.p));
    struct bytes *argv = NULL;
    size_t argc = 0, cap = 0;
    for (;;) {
        while (s.p < s.end && is_space(*s.p))
            s.p++;
        if (s.p == s.end)
            break;
        char *begin = s.out;
        if (!scan_argument(&s))
            return false;
        if (argc == cap)
            argv = argv_grow(arena, argv, argc, &cap);
        argv[argc++] = bytes_of(begin, (size_t)(s.out - begin));
    }
    *ret_argv = argv;
    *ret_argc = argc;
    return true;
}

/* ---- quoting ---- */

int text_quote(struct buf *b, struct bytes s)
{
    static const char digits[] = "0123456789abcdef";
    int r = buf_append_char(b, '"');
    for (size_t i = 0; i < s.n && r == 0; i++) {
        unsigned char c = (unsigned char)s.p[i];
        switch (c) {
        case '\\': r = buf_append(b, BYTES("\\\\")); break;
        case '"':  r = buf_append(b, BYTES("\\\"")); break;
        case '\n': r = buf_append(b, BYTES("\\n")); break;
        case '\r': r = buf_append(b, BYTES("\\r")); break;
        case '\t': r = buf_append(b, BYTES("\\t")); break;
        case '\a': r = buf_append(b, BYTES("\\a")); break;
        case '\b': r = buf_append(b, BYTES("\\b")); break;
        default:
            if (c >= ' ' && c <= '~') {
                r = buf_append_char(b, (char)c);
            } else {
                char hex[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };
                r = buf_append(b, bytes_of(hex, sizeof hex));
            }
        }
    }
    return r < 0 ? r : buf_append_char(b, '"');
}

/* ---- sizes ---- */

bool text_parse_memory(struct bytes s, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = {
        { "", 1 },          { "b", 1 },
        { "k", 1000 },      { "kb", 1024 },
        { "m", 1000000 },   { "mb", 1024 * 1024 },
        { "g", 1000000000 }, { "gb", 1024 * 1024 * 1024 },
    };
    uint64_t v = 0;
    size_t i = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v))
            v = UINT64_MAX; /* stays there: one more digit overflows again */
    struct bytes unit = bytes_of(s.p + i, s.n - i);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        if (!bytes_is(unit, units[u].name))
            continue;
        if (__builtin_mul_overflow(v, units[u].factor, &v))
            return false;
        *ret_bytes = v;
        return true;
    }
    return false;
}

size_t text_format_memory(char dst[TEXT_MEMORY_MAX], uint64_t bytes)
{
    static const char units[] = "BKMGTP";
    int unit = 0;
    for (uint64_t n = bytes; n >= 1024 && unit < 5; n /= 1024)
        unit++;
    int n = unit == 0 ? snprintf(dst, TEXT_MEMORY_MAX, "%uB", (unsigned)bytes)
                      : snprintf(dst, TEXT_MEMORY_MAX, "%.2f%c",
                                 (double)bytes / (double)((uint64_t)1 << 10 * unit), units[unit]);
    return (size_t)n;
}

/* ---- letters ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

void text_lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = lower(p[i]);
}

void text_hex(char *dst, const void *src, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = src;
    for (size_t i = 0; i < n; i++) {
        dst[2 * i] = digits[p[i] >> 4];
        dst[2 * i + 1] = digits[p[i] & 15];
    }
}

bool text_unhex(void *dst, size_t n, struct bytes hex)
{
    if (hex.n / 2 != n || hex.n % 2)
        return false;
    for (size_t i = 0; i < hex.n; i++)
        if (hex_value(hex.p[i]) < 0)
            return false;
    unsigned char *p = dst;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(hex_value(hex.p[2 * i]) << 4 | hex_value(hex.p[2 * i + 1]));
    return true;
}

/* ---- distance ---- */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Optimal string alignment; three rows of the table suffice, since a swap looks two rows back. */
size_t text_distance(struct bytes a, struct bytes b, size_t limit)
{
    if (a.n > TEXT_DISTANCE_MAX || b.n > TEXT_DISTANCE_MAX)
        return TEXT_FAR;
    size_t rows[3][TEXT_DISTANCE_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.n; j++)
        last[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            char x = lower(a.p[i - 1]), y = lower(b.p[j - 1]);
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.p[j - 2]) && lower(a.p[i - 2]) == y &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *t = before;
        before = last;
        last = row;
        row = t;
    }
    return last[b.n] <= limit ? last[b.n] : TEXT_FAR;
}
