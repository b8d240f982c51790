/* Writing RESP (see write.h). Every primitive asks for room once and stores plainly; only bulks and texts longer than
 * WRITER_ROOM_MAX go through the writer's copy. */
#include "common/resp/write.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/num.h"

enum { HEADER_MAX = 24 }; /* type byte, 20 digits, CRLF, rounded up */

/* Writes `<type><v>\r\n` at p, returns the end. */
static inline char *put_header(char *p, char type, int64_t v)
{
    *p++ = type;
    if (v >= 0 && v < 10)
        *p++ = (char)('0' + v);
    else
        p += num_format_i64(p, v);
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

static inline void put_number(struct writer *w, char type, int64_t v)
{
    w->cur = put_header(writer_room(w, HEADER_MAX), type, v);
}

void writer_append(struct writer *w, struct bytes raw)
{
    if (raw.n > WRITER_ROOM_MAX) {
        w->ops->copy(w, raw);
        return;
    }
    char *p = writer_room(w, raw.n);
    memcpy(p, raw.p, raw.n);
    w->cur = p + raw.n;
}

void resp_ok(struct writer *w)
{
    char *p = writer_room(w, 8);
    memcpy(p, "+OK\r\n", 5);
    w->cur = p + 5;
}

/* `<type>text\r\n` with line breaks made spaces, so that no content can end the line early. */
static void put_line(struct writer *w, char type, struct bytes text)
{
    for (bool first = true; first || text.n; first = false) {
        size_t n = text.n < 1024 ? text.n : 1024;
        char *p = writer_room(w, n + 1);
        if (first)
            *p++ = type;
        for (size_t i = 0; i < n; i++) {
            char ch = text.p[i];
            *p++ = ch == '\r' || ch == '\n' ? ' ' : ch;
        }
        w->cur = p;
        text = bytes_of(text.p + n, text.n - n);
    }
    char *p = writer_room(w, 2);
    p[0] = '\r';
    p[1] = '\n';
    w->cur = p + 2;
}

void resp_simple(struct writer *w, struct bytes text)
{
    put_line(w, '+', text);
}

void resp_simple_str(struct writer *w, const char *text)
{
    put_line(w, '+', bytes_of_str(text));
}

void resp_bulk(struct writer *w, struct bytes b)
{
    if (b.n > WRITER_ROOM_MAX - HEADER_MAX - 2) {
        put_number(w, '$', (int64_t)b.n);
        w->ops->copy(w, b);
        writer_append(w, BYTES("\r\n"));
        return;
    }
    char *p = put_header(writer_room(w, b.n + HEADER_MAX + 2), '$', (int64_t)b.n);
    if (b.n)
        memcpy(p, b.p, b.n);
    p += b.n;
    *p++ = '\r';
    *p++ = '\n';
    w->cur = p;
}

void resp_bulk_str(struct writer *w, const char *s)
{
    resp_bulk(w, bytes_of_str(s));
}

void resp_bulk_blob(struct writer *w, struct blob *b)
{
    if (b->n < WRITER_REF_MIN) {
        resp_bulk(w, blob_bytes(b));
        return;
    }
    put_number(w, '$', (int64_t)b->n);
    w->ops->ref(w, b, 0, b->n);
    writer_append(w, BYTES("\r\n"));
}

void resp_bulk_i64(struct writer *w, int64_t v)
{
    char text[24];
    resp_bulk(w, bytes_of(text, num_format_i64(text, v)));
}

void resp_int(struct writer *w, int64_t v)
{
    put_number(w, ':', v);
}

void resp_null(struct writer *w)
{
    writer_append(w, w->resp == 2 ? BYTES("$-1\r\n") : BYTES("_\r\n"));
}

void resp_null_array(struct writer *w)
{
    writer_append(w, w->resp == 2 ? BYTES("*-1\r\n") : BYTES("_\r\n"));
}

void resp_bool(struct writer *w, bool v)
{
    if (w->resp == 2)
        resp_int(w, v);
    else
        writer_append(w, v ? BYTES("#t\r\n") : BYTES("#f\r\n"));
}

void resp_double(struct writer *w, double v)
{
    char text[NUM_DOUBLE_MAX];
    size_t n = num_format_double(text, v);
    if (w->resp == 2) {
        resp_bulk(w, bytes_of(text, n));
        return;
    }
    char *p = writer_room(w, n + 3);
    *p++ = ',';
    memcpy(p, text, n);
    p += n;
    *p++ = '\r';
    *p++ = '\n';
    w->cur = p;
}

void resp_long_double(struct writer *w, long double v)
{
    char text[NUM_LONG_DOUBLE_MAX];
    resp_bulk(w, bytes_of(text, num_format_long_double(text, v)));
}

void resp_big_number(struct writer *w, struct bytes digits)
{
    if (w->resp == 2)
        resp_bulk(w, digits);
    else
        put_line(w, '(', digits);
}

void resp_verbatim(struct writer *w, const char ext[3], struct bytes text)
{
    if (w->resp == 2) {
        resp_bulk(w, text);
        return;
    }
    put_number(w, '=', (int64_t)text.n + 4);
    char *p = writer_room(w, 4);
    memcpy(p, ext, 3);
    p[3] = ':';
    w->cur = p + 4;
    writer_append(w, text);
    writer_append(w, BYTES("\r\n"));
}

void resp_array(struct writer *w, int64_t n)
{
    put_number(w, '*', n);
}

void resp_map(struct writer *w, int64_t pairs)
{
    put_number(w, w->resp == 2 ? '*' : '%', w->resp == 2 ? 2 * pairs : pairs);
}

void resp_set(struct writer *w, int64_t n)
{
    put_number(w, w->resp == 2 ? '*' : '~', n);
}

void resp_push(struct writer *w, int64_t n)
{
    put_number(w, w->resp == 2 ? '*' : '>', n);
}

void resp_attribute(struct writer *w, int64_t pairs)
{
    ASSERT(w->resp == 3);
    put_number(w, '|', pairs);
}

void resp_empty_array(struct writer *w)
{
    resp_array(w, 0);
}

void resp_error(struct writer *w, struct bytes text)
{
    while (text.n && (text.p[text.n - 1] == '\r' || text.p[text.n - 1] == '\n'))
        text.n--;
    w->errors++;
    if (w->ops->on_error)
        w->ops->on_error(w, text);
    put_line(w, '-', text);
}

void resp_error_str(struct writer *w, const char *text)
{
    resp_error(w, bytes_of_str(text));
}

void resp_errorf(struct writer *w, const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    ASSERT(n >= 0);
    resp_error(w, bytes_of(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

struct writer_mark resp_later(struct writer *w)
{
    return w->ops->mark(w);
}

static void fill_header(struct writer *w, struct writer_mark m, char type, int64_t n)
{
    char text[HEADER_MAX];
    char *end = put_header(text, type, n);
    w->ops->fill(w, m, bytes_of(text, (size_t)(end - text)));
}

void resp_later_array(struct writer *w, struct writer_mark m, int64_t n)
{
    fill_header(w, m, '*', n);
}

void resp_later_map(struct writer *w, struct writer_mark m, int64_t pairs)
{
    if (w->resp == 2)
        fill_header(w, m, '*', 2 * pairs);
    else
        fill_header(w, m, '%', pairs);
}

void resp_later_set(struct writer *w, struct writer_mark m, int64_t n)
{
    fill_header(w, m, w->resp == 2 ? '*' : '~', n);
}

/* ---- a writer over memory of its own ---- */

static void buf_grow(struct writer *w, size_t n)
{
    struct writer_buf *b = (struct writer_buf *)w;
    size_t used = (size_t)(w->cur - b->p);
    size_t cap = b->n_cap ? b->n_cap * 2 : 256;
    while (cap - used < n)
        cap *= 2;
    b->p = mem_realloc(b->p, cap);
    b->n_cap = cap;
    w->cur = b->p + used;
    w->end = b->p + cap;
}

static void buf_copy(struct writer *w, struct bytes raw)
{
    if ((size_t)(w->end - w->cur) < raw.n)
        buf_grow(w, raw.n);
    memcpy(w->cur, raw.p, raw.n);
    w->cur += raw.n;
}

static void buf_ref(struct writer *w, struct blob *blob, size_t off, size_t n)
{
    ASSERT(off <= blob->n && n <= blob->n - off);
    buf_copy(w, bytes_of(blob->data + off, n));
}

static struct writer_mark buf_mark(struct writer *w)
{
    struct writer_buf *b = (struct writer_buf *)w;
    struct writer_mark m = { .a = (size_t)(writer_room(w, 1) - b->p) };
    return m;
}

static void buf_fill(struct writer *w, struct writer_mark m, struct bytes header)
{
    struct writer_buf *b = (struct writer_buf *)w;
    writer_room(w, header.n);
    memmove(b->p + m.a + header.n, b->p + m.a, (size_t)(w->cur - b->p) - m.a);
    memcpy(b->p + m.a, header.p, header.n);
    w->cur += header.n;
}

static const struct writer_ops buf_ops = { buf_grow, buf_copy, buf_ref, buf_mark, buf_fill, NULL };

void writer_buf_init(struct writer_buf *b, int resp)
{
    *b = (struct writer_buf){ .w = { .resp = (uint8_t)resp, .ops = &buf_ops } };
}

struct bytes writer_buf_bytes(struct writer_buf *b)
{
    return bytes_of(b->p, b->p ? (size_t)(b->w.cur - b->p) : 0);
}

void writer_buf_reset(struct writer_buf *b)
{
    b->w.cur = b->p;
}

void writer_buf_done(struct writer_buf *b)
{
    mem_free(b->p);
    writer_buf_init(b, b->w.resp);
}
