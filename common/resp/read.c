/* Tokens of replies (see read.h). */
#include "common/resp/read.h"

#include "common/num.h"

/* The line behind the kind, without CRLF. */
static enum resp_read_status read_line(struct bytes in, struct bytes *ret_line)
{
    size_t look = in.n < RESP_READ_LINE_MAX ? in.n : RESP_READ_LINE_MAX;
    const char *cr = memchr(in.p, '\r', look);
    if (!cr)
        return look == RESP_READ_LINE_MAX ? RESP_READ_ERROR : RESP_READ_MORE;
    size_t n = (size_t)(cr - in.p);
    if (n + 1 == in.n)
        return RESP_READ_MORE;
    if (cr[1] != '\n')
        return RESP_READ_ERROR;
    *ret_line = bytes_of(in.p + 1, n - 1);
    return RESP_READ_TOKEN;
}

static enum resp_read_status read_bulk(struct bytes in, size_t bulk_max, struct resp_token *t)
{
    if (t->n < 0 || (uint64_t)t->n > bulk_max)
        return RESP_READ_ERROR;
    size_t n = (size_t)t->n;
    if (in.n - t->used < n + 2)
        return RESP_READ_MORE;
    t->text = bytes_of(in.p + t->used, n);
    t->used += n + 2;
    return in.p[t->used - 2] == '\r' && in.p[t->used - 1] == '\n' ? RESP_READ_TOKEN : RESP_READ_ERROR;
}

enum resp_read_status resp_read(struct bytes in, size_t bulk_max, struct resp_token *ret_token)
{
    if (in.n == 0)
        return RESP_READ_MORE;
    struct resp_token t = { .kind = in.p[0] };
    if (!t.kind || !strchr("+-:,(#_$!=*%~>|", t.kind))
        return RESP_READ_ERROR;
    enum resp_read_status st = read_line(in, &t.text);
    if (st != RESP_READ_TOKEN)
        return st;
    t.used = t.text.n + 3;
    t.null = t.kind == '_';
    if (strchr(":$!=*%~>|", t.kind) && !num_parse_i64(t.text, &t.n))
        return RESP_READ_ERROR;
    if (strchr("$*", t.kind) && t.n == -1) {
        t.null = true;
        t.n = 0;
        t.text.n = 0;
    } else if (strchr("$!=", t.kind)) {
        st = read_bulk(in, bulk_max, &t);
    } else if (strchr("*%~>|", t.kind)) {
        if (t.n < 0 || t.n > INT32_MAX)
            return RESP_READ_ERROR;
        if (t.kind == '%' || t.kind == '|')
            t.n *= 2;
    }
    if (st == RESP_READ_TOKEN)
        *ret_token = t;
    return st;
}
