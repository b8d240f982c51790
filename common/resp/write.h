/* Writing RESP: replies are appended through a `struct writer`, a window of free memory [cur, end).
 *
 * Who owns the memory decides what happens when the window is full: the loop opens the next block of a
 * connection's output (server/loop/out.c), tests use a plain buffer (writer_buf). A reply primitive asks for room
 * once, then writes with plain stores. Formats: https://redis.io/docs/reference/protocol-spec (RESP2 and RESP3);
 * where the two differ the primitive looks at w->resp.
 *
 * A writer may be `muted` (CLIENT REPLY OFF, a master's stream): everything is accepted and dropped by the owner. */
#pragma once

#include "common/blob.h"
#include "common/bytes.h"

struct writer;

struct writer_ops {
    /* Makes room for at least `n` bytes at w->cur (n <= WRITER_ROOM_MAX). Does not fail. */
    void (*grow)(struct writer *w, size_t n);
    /* Appends bytes of any length by copying. */
    void (*copy)(struct writer *w, struct bytes);
    /* Appends b->data[off, off+n) by reference; takes one reference of its own. */
    void (*ref)(struct writer *w, struct blob *b, size_t off, size_t n);
    /* Leaves a gap of WRITER_GAP bytes for a header whose number is not known yet. Marks nest (last first). */
    struct writer_mark (*mark)(struct writer *w);
    /* Fills the gap with `header` (at most WRITER_GAP bytes); the rest of the gap vanishes. */
    void (*fill)(struct writer *w, struct writer_mark m, struct bytes header);
    /* An error was written; `text` without the leading '-' and CRLF. For error statistics. May be NULL. */
    void (*on_error)(struct writer *w, struct bytes text);
};

struct writer_mark {
    size_t a, b; /* the owner's business */
};

struct writer {
    char *cur, *end;
    uint8_t resp; /* 2 or 3 */
    bool muted;
    const struct writer_ops *ops;
    uint64_t errors; /* error replies written so far */
};

#define WRITER_ROOM_MAX 4096
#define WRITER_GAP 32
#define WRITER_REF_MIN (16 * 1024) /* bulks from here on are sent from their blob, not copied */

static inline char *writer_room(struct writer *w, size_t n)
{
    if (__builtin_expect((size_t)(w->end - w->cur) < n, 0))
        w->ops->grow(w, n);
    return w->cur;
}

void writer_append(struct writer *w, struct bytes raw); /* bytes that are RESP already */

void resp_ok(struct writer *w);                          /* +OK */
void resp_simple(struct writer *w, struct bytes text);   /* +text; CR and LF become spaces */
void resp_simple_str(struct writer *w, const char *text);
void resp_bulk(struct writer *w, struct bytes b);
void resp_bulk_str(struct writer *w, const char *s);
void resp_bulk_blob(struct writer *w, struct blob *b);   /* by reference when large */
void resp_bulk_i64(struct writer *w, int64_t v);         /* the number as a bulk string */
void resp_int(struct writer *w, int64_t v);              /* :v */
void resp_null(struct writer *w);                        /* $-1 or _ */
void resp_null_array(struct writer *w);                  /* *-1 or _ */
void resp_bool(struct writer *w, bool v);                /* :1/:0 or #t/#f */
void resp_double(struct writer *w, double v);            /* bulk or ,v: shortest text (7.2) */
void resp_long_double(struct writer *w, long double v);  /* bulk in both: human form of INCRBYFLOAT */
void resp_big_number(struct writer *w, struct bytes digits);
void resp_verbatim(struct writer *w, const char ext[3], struct bytes text); /* bulk or =n ext:text */
void resp_array(struct writer *w, int64_t n);
void resp_map(struct writer *w, int64_t pairs);          /* *2n or %n */
void resp_set(struct writer *w, int64_t n);              /* *n or ~n */
void resp_push(struct writer *w, int64_t n);             /* *n or >n */
void resp_attribute(struct writer *w, int64_t pairs);    /* RESP3 only: the caller asks w->resp */
void resp_empty_array(struct writer *w);

/* -text. `text` starts with its code ("ERR no such key", "WRONGTYPE ..."); CR and LF become spaces, so that no
 * content can split the reply. */
void resp_error(struct writer *w, struct bytes text);
void resp_error_str(struct writer *w, const char *text);
void resp_errorf(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Aggregates whose length comes later: m = resp_later(w); ... ; resp_later_array(w, m, n). */
struct writer_mark resp_later(struct writer *w);
void resp_later_array(struct writer *w, struct writer_mark m, int64_t n);
void resp_later_map(struct writer *w, struct writer_mark m, int64_t pairs);
void resp_later_set(struct writer *w, struct writer_mark m, int64_t n);

/* A writer over a growable memory of its own, for tests, scripts and effects. */
struct writer_buf {
    struct writer w; /* first */
    char *p;
    size_t n_cap;
};
void writer_buf_init(struct writer_buf *, int resp);
struct bytes writer_buf_bytes(struct writer_buf *); /* what was written so far; borrowed */
void writer_buf_reset(struct writer_buf *);
void writer_buf_done(struct writer_buf *);
