/* What handlers share: argument parsing, common replies, typed key access (see call.h). */
#include "server/call.h"

#include <stdio.h>

#include "common/alloc.h"
#include "common/arena.h"
#include "common/assert.h"
#include "common/num.h"

const char err_syntax[] = "ERR syntax error";
const char err_wrong_type[] = "WRONGTYPE Operation against a key holding the wrong kind of value";
const char err_not_integer[] = "ERR value is not an integer or out of range";
const char err_not_float[] = "ERR value is not a valid float";
const char err_no_key[] = "ERR no such key";
const char err_out_of_range[] = "ERR index out of range";
const char err_string_max[] = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
const char err_no_memory[] = "ERR insufficient memory for this value";

void reply_syntax_error(struct call *c)
{
    resp_error_str(c->w, err_syntax);
}

void reply_wrong_type(struct call *c)
{
    resp_error_str(c->w, err_wrong_type);
}

void reply_arity_error(struct call *c)
{
    resp_errorf(c->w, "ERR wrong number of arguments for '%s' command", c->cmd->full_name);
}

/* Upper-cased name of the container that the call belongs to, for "Try X HELP." */
static void container_name(const struct call *c, char name[static 64])
{
    const struct command_entry *e = c->cmd->parent ? c->cmd->parent : c->cmd;
    size_t n = 0;
    for (const char *s = e->full_name; *s && n < 63; s++)
        name[n++] = (char)(*s >= 'a' && *s <= 'z' ? *s - 32 : *s);
    name[n] = '\0';
}

void reply_help(struct call *c, const char *const *lines)
{
    char name[64];
    container_name(c, name);
    int n = 0;
    while (lines[n])
        n++;
    resp_array(c->w, n + 3);
    char first[192];
    snprintf(first, sizeof(first), "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    resp_simple_str(c->w, first);
    for (int i = 0; i < n; i++)
        resp_simple_str(c->w, lines[i]);
    resp_simple_str(c->w, "HELP");
    resp_simple_str(c->w, "    Prints this help.");
}

void reply_subcommand_error(struct call *c)
{
    char name[64];
    container_name(c, name);
    struct bytes sub = c->argc > 1 ? c->argv[1] : BYTES("");
    resp_errorf(c->w, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                (int)(sub.n < 128 ? sub.n : 128), sub.p, name);
}

bool arg_i64(struct call *c, int i, int64_t *ret_v)
{
    if (num_parse_i64(c->argv[i], ret_v))
        return true;
    resp_error_str(c->w, err_not_integer);
    return false;
}

bool arg_i64_range(struct call *c, int i, int64_t min, int64_t max, int64_t *ret_v)
{
    int64_t v;
    if (!arg_i64(c, i, &v))
        return false;
    if (v >= min && v <= max) {
        *ret_v = v;
        return true;
    }
    if (min == 0 && max == INT64_MAX)
        resp_error_str(c->w, "ERR value is out of range, must be positive");
    else
        resp_errorf(c->w, "ERR value is out of range, value must between %lld and %lld", (long long)min,
                    (long long)max);
    return false;
}

bool arg_double(struct call *c, int i, double *ret_v)
{
    if (num_parse_double(c->argv[i], ret_v))
        return true;
    resp_error_str(c->w, err_not_float);
    return false;
}

bool arg_is(const struct call *c, int i, const char *word)
{
    return i >= 0 && i < c->argc && bytes_is(c->argv[i], word);
}

struct blob *call_take_blob(struct call *c, int i)
{
    if (!c->blobs || !c->blobs[i])
        return NULL;
    struct blob *b = c->blobs[i];
    c->blobs[i] = NULL;
    return b;
}

static bool check_type(struct call *c, struct entry *e, enum value_type type)
{
    if (!e || entry_type(e) == type)
        return true;
    reply_wrong_type(c);
    return false;
}

bool read_typed(struct call *c, struct bytes key, enum value_type type, struct entry **ret_entry)
{
    struct entry *e = ks_read(c->db, key);
    if (!check_type(c, e, type))
        return false;
    *ret_entry = e;
    return true;
}

bool write_typed(struct call *c, struct bytes key, enum value_type type, struct entry **ret_entry)
{
    struct entry *e = ks_write(c->db, key);
    if (!check_type(c, e, type))
        return false;
    *ret_entry = e;
    return true;
}

struct bytes effect_i64(struct call *c, int64_t v)
{
    char *p = arena_alloc(c->arena, 24);
    return bytes_of(p, num_format_i64(p, v));
}

bool arg_timeout(struct call *c, int i, msec_t *ret_deadline)
{
    long double seconds;
    if (!num_parse_long_double(c->argv[i], &seconds)) {
        resp_error_str(c->w, "ERR timeout is not a float or out of range");
        return false;
    }
    long double ms = seconds * 1000;
    if (ms > (long double)INT64_MAX || ms + (long double)c->now > (long double)INT64_MAX) {
        resp_error_str(c->w, "ERR timeout is out of range");
        return false;
    }
    if (ms < 0) {
        resp_error_str(c->w, "ERR timeout is negative");
        return false;
    }
    msec_t wait = (msec_t)ms + ((long double)(msec_t)ms < ms); /* never shorter than asked */
    *ret_deadline = wait ? c->now + wait : 0;
    return true;
}
