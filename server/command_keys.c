/* Where the keys of a request are: for COMMAND GETKEYS, ACL, cluster routing and client tracking
 * (command.h).
 *
 * The key specifications of docs.json say it for nearly every command: where to begin (a fixed
 * argument, or one after a keyword) and which arguments from there on are keys (a range, or as many
 * as another argument says). Four commands need more (enum keys_by). A key that only looks like one
 * and is routed alike, a shard channel, comes with KEY_NOT_KEY. */
#include "server/command.h"

#include <errno.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/num.h"
#include "server/commands/command_docs.h"

/* What a ref's flags keep of its spec's: the others tell about the spec itself. */
#define SPEC_ONLY ((unsigned)(KEY_INCOMPLETE | KEY_VARIABLE_FLAGS))

#define SMALL_MAX ((int)(sizeof(((struct key_refs *)0)->small) / sizeof(struct key_ref)))

/* Makes room for `more` refs. */
static void refs_reserve(struct key_refs *k, int more)
{
    if (__builtin_expect(more <= SMALL_MAX - k->n, 1))
        return;
    ASSERT(more <= INT32_MAX / 4 && k->n <= INT32_MAX / 4); /* both are bounded by argc */
    size_t bytes = (size_t)(k->n + more) * sizeof(struct key_ref);
    struct key_ref *big = mem_alloc(bytes);
    memcpy(big, k->refs, (size_t)k->n * sizeof(*big));
    if (k->refs != k->small)
        mem_free(k->refs);
    k->refs = big;
}

/* Every step-th argument from first to last. */
static void refs_add(struct key_refs *k, int first, int last, int step, unsigned flags)
{
    ASSERT(first > 0 && first <= last && step > 0);
    refs_reserve(k, (last - first) / step + 1);
    for (int i = first; i <= last; i += step)
        k->refs[k->n++] = (struct key_ref){ .index = i, .flags = flags & ~SPEC_ONLY };
}

void key_refs_done(struct key_refs *k)
{
    if (k->refs != k->small)
        mem_free(k->refs);
    k->refs = k->small;
    k->n = 0;
}

/* ---- by specification ---- */

/* The argument after the keyword; 0: not there. A keyword with nothing after it does not count. */
static int after_keyword(const struct key_spec *s, const struct bytes *argv, int argc)
{
    if (s->start >= 0) {
        for (int i = s->start; i < argc - 1; i++)
            if (bytes_is(argv[i], s->keyword))
                return i + 1;
        return 0;
    }
    for (int i = argc + s->start; i > 0; i--)
        if (bytes_is(argv[i], s->keyword))
            return i + 1;
    return 0;
}

static int spec_range(const struct key_spec *s, int begin, int argc, struct key_refs *k)
{
    int last = begin + s->last;
    if (s->last < 0)
        last = s->limit > 1 ? begin + (argc - begin) / s->limit + s->last : argc + s->last;
    if (begin >= argc || last >= argc || last < begin)
        return -EINVAL;
    refs_add(k, begin, last, s->step, s->flags);
    return 0;
}

/* The number of keys as Redis' helpers read it, which is as C's atoi does: spaces before and anything behind the
 * digits, and the upper half of the number, are not looked at. The command itself is stricter. */
static int count_of_keys(struct bytes s)
{
    size_t i = 0;
    while (i < s.n && (s.p[i] == ' ' || (s.p[i] >= '\t' && s.p[i] <= '\r')))
        i++;
    bool negative = i < s.n && s.p[i] == '-';
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
        i++;
    int64_t v = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        int digit = s.p[i] - '0';
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return 0; /* saturated: -1 or 0, no number of keys either way */
    }
    return (int)v;
}

/* 1: the count is one that only atoi reads. */
static int spec_keynum(const struct key_spec *s, int begin, const struct bytes *argv, int argc,
                       struct key_refs *k)
{
    int first = begin + s->first;
    if (begin + s->count_at >= argc || first >= argc)
        return -EINVAL;
    int count = count_of_keys(argv[begin + s->count_at]);
    if (count < 1 || count > (argc - 1 - first) / s->step + 1)
        return -EINVAL;
    refs_add(k, first, first + (count - 1) * s->step, s->step, s->flags);
    int64_t exact;
    return num_parse_i64(argv[begin + s->count_at], &exact) ? 0 : 1;
}

static int spec_keys(const struct key_spec *s, const struct bytes *argv, int argc,
                     struct key_refs *k)
{
    int begin = 0;
    if (s->begin == KEY_BEGIN_INDEX)
        begin = s->start;
    else if (s->begin == KEY_BEGIN_KEYWORD)
        begin = after_keyword(s, argv, argc);
    if (begin == 0)
        return 0; /* an optional keyword is absent, or the spec just says that there may be more */
    if (s->find == KEY_FIND_RANGE)
        return spec_range(s, begin, argc, k);
    if (s->find == KEY_FIND_KEYNUM)
        return spec_keynum(s, begin, argv, argc, k);
    return 0;
}

static int by_specs(const struct command_docs *d, const struct bytes *argv, int argc,
                    struct key_refs *k)
{
    bool flags_known = true;
    for (int i = 0; i < d->specs_n; i++) {
        int r = spec_keys(&d->specs[i], argv, argc, k);
        if (r < 0)
            return r;
        flags_known &= r == 0;
    }
    for (int i = 0; !flags_known && i < k->n; i++)
        k->refs[i].flags = 0; /* Redis finds them in an older way then, which knows no flags */
    return 0;
}

/* What by_specs comes to for a lone key at a fixed argument. */
static int by_one(const struct command_docs *d, int argc, struct key_refs *k)
{
    const struct key_spec *s = &d->specs[0];
    if (s->start >= argc)
        return -EINVAL;
    k->small[0] = (struct key_ref){ .index = s->start, .flags = s->flags & ~SPEC_ONLY };
    k->n = 1;
    return 0;
}

/* ---- the commands with a way of their own ---- */

/* SORT key [BY p] [LIMIT a b] [GET p ...] [STORE target]: the last STORE counts, words after BY,
 * LIMIT and GET are not options. */
static int by_sort(const struct command_docs *d, const struct bytes *argv, int argc,
                   struct key_refs *k)
{
    int r = by_specs(d, argv, argc, k);
    if (r < 0)
        return r;
    int store = 0;
    for (int i = 2; i < argc; i++) {
        if (bytes_is(argv[i], "limit"))
            i += 2;
        else if (bytes_is(argv[i], "get") || bytes_is(argv[i], "by"))
            i++;
        else if (bytes_is(argv[i], "store") && i + 1 < argc)
            store = ++i;
    }
    if (store)
        refs_add(k, store, store, 1, d->specs[d->specs_n - 1].flags);
    return 0;
}

/* MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p | AUTH2 u p] [KEYS key ...]. A
 * password may be "KEYS". */
static int by_migrate(const struct command_docs *d, const struct bytes *argv, int argc,
                      struct key_refs *k)
{
    int first = 3, last = 3;
    if (argc <= first)
        return -EINVAL;
    for (int i = 6; i < argc; i++) {
        if (bytes_is(argv[i], "auth")) {
            i++;
        } else if (bytes_is(argv[i], "auth2")) {
            i += 2;
        } else if (bytes_is(argv[i], "keys") && i + 1 < argc) {
            if (argv[3].n > 0)
                return -EINVAL; /* either a key or KEYS */
            first = i + 1;
            last = argc - 1;
            break;
        }
    }
    refs_add(k, first, last, 1, d->specs[0].flags);
    return 0;
}

/* SET only overwrites, unless GET is among the options. */
static int by_set(const struct bytes *argv, int argc, struct key_refs *k)
{
    if (argc < 2)
        return -EINVAL;
    unsigned flags = KEY_OW | KEY_UPDATE;
    for (int i = 3; i < argc; i++)
        if (bytes_is(argv[i], "get"))
            flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    refs_add(k, 1, 1, 1, flags);
    return 0;
}

/* BITFIELD only reads while every operation is a whole GET (or OVERFLOW, which changes nothing by
 * itself). */
static int by_bitfield(const struct bytes *argv, int argc, struct key_refs *k)
{
    if (argc < 2)
        return -EINVAL;
    unsigned flags = KEY_RO | KEY_ACCESS;
    for (int i = 2; i < argc; i++) {
        int left = argc - i - 1;
        if (bytes_is(argv[i], "get") && left >= 2) {
            i += 2;
        } else if (bytes_is(argv[i], "overflow") && left >= 1) {
            i++;
        } else {
            flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
            break;
        }
    }
    refs_add(k, 1, 1, 1, flags);
    return 0;
}

/* ---- the whole ---- */

/* A command that docs.json does not know: what its row says, any access possible. */
static int by_row(const struct command *row, int argc, struct key_refs *k)
{
    if (row->keys.first <= 0)
        return 0;
    int last = row->keys.last < 0 ? argc + row->keys.last : row->keys.last;
    if (last >= argc || last < row->keys.first)
        return -EINVAL;
    refs_add(k, row->keys.first, last, row->keys.step > 0 ? row->keys.step : 1,
             KEY_RW | KEY_ACCESS | KEY_UPDATE);
    return 0;
}

static int find_keys(const struct command_docs *d, const struct bytes *argv, int argc,
                     struct key_refs *k)
{
    switch ((enum keys_by)d->keys_by) {
    case KEYS_BY_SPECS:
        return by_specs(d, argv, argc, k);
    case KEYS_BY_ONE:
        return by_one(d, argc, k);
    case KEYS_BY_SORT:
        return by_sort(d, argv, argc, k);
    case KEYS_BY_MIGRATE:
        return by_migrate(d, argv, argc, k);
    case KEYS_BY_SET:
        return by_set(argv, argc, k);
    case KEYS_BY_BITFIELD:
        return by_bitfield(argv, argc, k);
    }
    PANIC("keys_by %d of %s", d->keys_by, d->name);
}

int command_keys(const struct command_entry *e, const struct bytes *argv, int argc,
                 struct key_refs *ret_keys)
{
    ret_keys->n = 0;
    ret_keys->refs = ret_keys->small;
    const struct command_docs *d = command_docs(e);
    if (!d)
        return by_row(e->row, argc, ret_keys);
    if (d->specs_n == 0)
        return 0;
    int r = find_keys(d, argv, argc, ret_keys);
    if (r == 0 && ret_keys->n == 0 && !(d->flags & CMD_NO_MANDATORY_KEYS))
        r = -EINVAL;
    if (r < 0) {
        key_refs_done(ret_keys);
        if (d->flags & CMD_NO_MANDATORY_KEYS)
            r = 0; /* a count that makes no sense is the command's to refuse */
    }
    return r;
}
