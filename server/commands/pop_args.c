/* See pop_args.h. */
#include "server/commands/pop_args.h"

#include "common/num.h"

bool arg_positive(struct call *c, int i, int64_t *ret_v)
{
    int64_t v;
    if (!num_parse_i64(c->argv[i], &v) || v < 0) {
        reply_error(c, "ERR value is out of range, must be positive");
        return false;
    }
    *ret_v = v;
    return true;
}

static bool arg_mpop_number(struct call *c, int i, const char *error, int64_t max, int64_t *ret_v)
{
    int64_t v;
    if (!num_parse_i64(c->argv[i], &v) || v < 1 || v > max) {
        reply_error(c, error);
        return false;
    }
    *ret_v = v;
    return true;
}

bool arg_mpop(struct call *c, int at, const char *first, const char *last, struct mpop_args *a)
{
    int64_t n;
    if (!arg_mpop_number(c, at, "ERR numkeys should be greater than 0", INT64_MAX, &n))
        return false;
    if (n >= c->argc - at - 1) { /* no argument is left for the end */
        reply_syntax_error(c);
        return false;
    }
    int where = at + 1 + (int)n;
    *a = (struct mpop_args){
        .keys = c->argv + at + 1, .n = (int)n, .last = arg_is(c, where, last), .count = 0
    };
    if (!a->last && !arg_is(c, where, first)) {
        reply_syntax_error(c);
        return false;
    }
    for (int i = where + 1; i < c->argc; i += 2) {
        if (a->count || !arg_is(c, i, "COUNT") || i + 1 >= c->argc) {
            reply_syntax_error(c);
            return false;
        }
        if (!arg_mpop_number(c, i + 1, "ERR count should be greater than 0", INT64_MAX, &a->count))
            return false;
    }
    if (!a->count)
        a->count = 1;
    return true;
}
