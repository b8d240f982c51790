/* The scanner: a byte for the type, a line, and for bulks a run of bytes to pass over. It may stop
 * and go on anywhere. */
#include "tools/bench/replies.h"

#include <string.h>

#define BULK_MAX ((uint64_t)1 << 32)
#define ELEMENTS_MAX ((uint64_t)1 << 32)

static bool type_has_length(char type)
{
    return strchr("$*%~>|!=", type);
}

static void line_begin(struct replies *r, char type)
{
    if (type == 0 || !strchr("+-:$*_#,(!=%~>|", type)) {
        r->broken = true;
        return;
    }
    if (r->missing == 0) {
        r->missing = 1;
        r->failed = false;
        r->push = type == '>';
    }
    r->type = type;
    r->in_line = true;
    r->negative = false;
    r->number = 0;
    r->text_n = type == '-' || type == '!' ? 0 : r->text_n;
}

static void length_byte(struct replies *r, char c)
{
    if (c == '-')
        r->negative = true;
    else if (c >= '0' && c <= '9' && r->number <= BULK_MAX)
        r->number = r->number * 10 + (uint64_t)(c - '0');
    else if (c != '\r')
        r->broken = true;
}

/* Reads on in a line; returns the place behind what it took. in_line is false after its end. */
static const char *line_read(struct replies *r, const char *p, const char *end)
{
    if (type_has_length(r->type)) {
        for (; p < end && *p != '\n'; p++)
            length_byte(r, *p);
    } else {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;
        if (r->type == '-') {
            size_t room = sizeof r->text - r->text_n;
            size_t n = (size_t)(stop - p) < room ? (size_t)(stop - p) : room;
            memcpy(r->text + r->text_n, p, n);
            r->text_n = (uint8_t)(r->text_n + n);
        }
        p = stop;
    }
    if (p == end)
        return p;
    r->in_line = false;
    return p + 1;
}

/* An element is whole; true when it was the last of its reply. */
static bool element_done(struct replies *r)
{
    return --r->missing == 0;
}

/* Acts on a line that is complete; true when it completes a reply. */
static bool line_done(struct replies *r)
{
    uint64_t n = r->number;
    switch (r->type) {
    case '-':
        if (r->text_n && r->text[r->text_n - 1] == '\r')
            r->text_n--;
        r->failed = true;
        return element_done(r);
    case '!':
        r->failed = true;
        __attribute__((fallthrough));
    case '$':
    case '=':
        if (r->negative)
            return element_done(r);
        r->skip = n + 2;
        r->broken |= n > BULK_MAX;
        return false;
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
        if (r->negative || n == 0)
            return r->type == '|' ? false : element_done(r);
        r->broken |= n > ELEMENTS_MAX || r->missing > ELEMENTS_MAX;
        /* an attribute is no element itself: what it describes is still to come */
        r->missing += (r->type == '%' || r->type == '|' ? 2 * n : n) - (r->type != '|');
        return false;
    default: return element_done(r);
    }
}

static const char *bulk_skip(struct replies *r, const char *p, const char *end)
{
    uint64_t have = (uint64_t)(end - p);
    uint64_t n = have < r->skip ? have : r->skip;
    r->skip -= n;
    return p + n;
}

uint64_t replies_scan(struct replies *r, const char *p, size_t n, const struct replies_errors *e)
{
    const char *end = p + n;
    uint64_t count = 0;
    while (p < end && !r->broken) {
        bool whole = false;
        if (r->skip) {
            p = bulk_skip(r, p, end);
            whole = r->skip == 0 && element_done(r);
        } else {
            if (!r->in_line)
                line_begin(r, *p++);
            p = line_read(r, p, end);
            whole = !r->in_line && line_done(r);
        }
        if (!whole || r->push)
            continue;
        if (r->failed)
            e->on_error(e->ctx, count, r->text, r->text_n);
        count++;
    }
    return count;
}
