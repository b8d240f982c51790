/* LCS: the longest common subsequence of two strings.
 *
 * Bit-parallel dynamic programming (Hyyro 2004): row i holds one bit per byte of b, 0 where the
 * length grows from column j to j + 1, and the next row follows from it by an addition and three
 * logical operations a word: 64 columns at a time. The rows are kept when the subsequence itself is
 * asked for: bits instead of the numbers of the textbook's matrix. They suffice to walk back,
 * because where the bytes differ, a growth at column j means that the length came from the row
 * above. */
#include "common/alloc.h"
#include "common/arena.h"
#include "common/checked.h"
#include "server/call.h"

struct lcs {
    struct bytes a, b;
    size_t words;   /* per row */
    uint64_t *rows; /* a.n of them, or one that is used again and again */
    size_t length;  /* of the subsequence */
};

/* What the reply is to hold. */
struct lcs_args {
    bool len, idx, with_len;
    int64_t min_len;
};

static bool parse_args(struct call *c, struct lcs_args *a)
{
    *a = (struct lcs_args){ 0 };
    for (int i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "LEN")) {
            a->len = true;
        } else if (arg_is(c, i, "IDX")) {
            a->idx = true;
        } else if (arg_is(c, i, "WITHMATCHLEN")) {
            a->with_len = true;
        } else if (arg_is(c, i, "MINMATCHLEN") && i + 1 < c->argc) {
            if (!arg_i64(c, ++i, &a->min_len))
                return false;
        } else {
            reply_syntax_error(c);
            return false;
        }
    }
    if (a->len && a->idx) {
        reply_error(c, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* One bit per byte of b and different byte of a: 1 where b holds it. NULL without memory. */
static uint64_t *match_bits(const struct lcs *l, uint16_t index[static 256])
{
    size_t n = 0, bytes;
    memset(index, 0xff, 256 * sizeof(*index));
    for (size_t i = 0; i < l->a.n; i++) {
        uint8_t byte = (uint8_t)l->a.p[i];
        if (index[byte] == UINT16_MAX)
            index[byte] = (uint16_t)n++;
    }
    if (!checked_mul(n, l->words, &bytes) || !checked_mul(bytes, sizeof(uint64_t), &bytes))
        return NULL;
    uint64_t *match = mem_try_alloc(bytes ? bytes : 1);
    if (!match)
        return NULL;
    memset(match, 0, bytes);
    for (size_t j = 0; j < l->b.n; j++) {
        uint16_t k = index[(uint8_t)l->b.p[j]];
        if (k != UINT16_MAX)
            match[k * l->words + j / 64] |= (uint64_t)1 << (j % 64);
    }
    return match;
}

static void next_row(const uint64_t *v, const uint64_t *match, uint64_t *to, size_t words)
{
    unsigned char carry = 0;
    for (size_t w = 0; w < words; w++) {
        uint64_t u = v[w] & match[w], sum;
        bool over = __builtin_add_overflow(v[w], u, &sum);
        over |= __builtin_add_overflow(sum, (uint64_t)carry, &sum);
        to[w] = sum | (v[w] & ~match[w]);
        carry = over;
    }
}

/* Zeros among the first n bits: the steps at which the length grows. */
static size_t count_zeros(const uint64_t *v, size_t n)
{
    size_t ones = 0;
    for (size_t w = 0; w < n / 64; w++)
        ones += (size_t)__builtin_popcountll(v[w]);
    if (n % 64)
        ones += (size_t)__builtin_popcountll(v[n / 64] & (((uint64_t)1 << n % 64) - 1));
    return n - ones;
}

/* Fills the rows. False without memory. */
static bool lcs_solve(struct lcs *l, bool keep)
{
    uint16_t index[256];
    size_t bytes;
    l->words = l->b.n / 64 + 1;
    if (!checked_mul(keep && l->a.n ? l->a.n : 1, l->words, &bytes) ||
        !checked_mul(bytes, sizeof(uint64_t), &bytes))
        return false;
    l->rows = mem_try_alloc(bytes);
    uint64_t *match = l->rows ? match_bits(l, index) : NULL;
    if (!match)
        return false;
    uint64_t *row = l->rows;
    memset(row, 0xff, l->words * sizeof(*row));
    for (size_t i = 0; i < l->a.n; i++) {
        uint64_t *to = keep ? l->rows + i * l->words : l->rows;
        next_row(row, match + index[(uint8_t)l->a.p[i]] * l->words, to, l->words);
        row = to;
    }
    l->length = count_zeros(row, l->b.n);
    mem_free(match);
    return true;
}

/* Walks back from (i, j), lengths of prefixes, to the next pair of equal bytes that belongs to the
 * subsequence, which are then a[i - 1] and b[j - 1]. False when there is none left. */
static bool lcs_back(const struct lcs *l, size_t *i, size_t *j)
{
    while (*i > 0 && *j > 0) {
        size_t column = *j - 1;
        if (l->a.p[*i - 1] == l->b.p[column])
            return true;
        bool grows = !(l->rows[(*i - 1) * l->words + column / 64] >> (column % 64) & 1);
        if (grows)
            (*i)--;
        else
            (*j)--;
    }
    return false;
}

static void reply_sequence(struct call *c, const struct lcs *l)
{
    char *text = arena_alloc(c->arena, l->length);
    size_t i = l->a.n, j = l->b.n, at = l->length;
    for (; lcs_back(l, &i, &j); i--, j--)
        text[--at] = l->a.p[i - 1];
    reply_bulk(c, bytes_of(text, l->length));
}

static void reply_range(struct call *c, size_t first, size_t n)
{
    reply_array(c, 2);
    reply_int(c, (int64_t)first);
    reply_int(c, (int64_t)(first + n - 1));
}

/* Runs of pairs that follow each other in both strings, from the last to the first. */
static void reply_matches(struct call *c, const struct lcs *l, const struct lcs_args *args)
{
    resp_map(c->w, 2);
    resp_bulk_str(c->w, "matches");
    struct writer_mark mark = resp_later(c->w);
    int64_t matches = 0;
    size_t i = l->a.n, j = l->b.n;
    while (lcs_back(l, &i, &j)) {
        size_t n = 0;
        for (; i > 0 && j > 0 && l->a.p[i - 1] == l->b.p[j - 1]; i--, j--)
            n++;
        if ((int64_t)n < args->min_len)
            continue;
        matches++;
        reply_array(c, args->with_len ? 3 : 2);
        reply_range(c, i, n);
        reply_range(c, j, n);
        if (args->with_len)
            reply_int(c, (int64_t)n);
    }
    resp_later_array(c->w, mark, matches);
    resp_bulk_str(c->w, "len");
    reply_int(c, (int64_t)l->length);
}

/* Redis keeps a matrix of 32-bit numbers and refuses what would make it longer than a string may
 * be. The same limit bounds our time. */
static bool small_enough(const struct call *c, struct bytes a, struct bytes b)
{
    size_t cells;
    return checked_mul(a.n + 1, b.n + 1, &cells) && checked_mul(cells, 4, &cells) &&
           cells <= call_bulk_max(c);
}

static bool is_string(const struct entry *e)
{
    return !e || entry_type(e) == TYPE_STRING;
}

static void cmd_lcs(struct call *c)
{
    struct lcs_args args;
    char scratch[2][24];
    struct entry *ea = ks_read(c->db, c->argv[1]);
    struct bytes a = ea && is_string(ea) ? entry_string(ea, scratch[0]) : BYTES("");
    struct entry *eb = ks_read(c->db, c->argv[2]);
    if (!is_string(ea) || !is_string(eb)) {
        reply_error(c, "ERR The specified keys must contain string values");
        return;
    }
    if (!parse_args(c, &args))
        return;
    struct lcs l = { .a = a, .b = eb ? entry_string(eb, scratch[1]) : BYTES("") };
    if (!small_enough(c, l.a, l.b)) {
        reply_error(c,
                    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
        return;
    }
    if (!lcs_solve(&l, !args.len))
        reply_error(c, "ERR Insufficient memory, failed allocating transient memory for LCS");
    else if (args.idx)
        reply_matches(c, &l, &args);
    else if (args.len)
        reply_int(c, (int64_t)l.length);
    else
        reply_sequence(c, &l);
    mem_free(l.rows);
}

const struct command lcs_commands[] = {
    { "lcs", cmd_lcs, -3, CMD_READ, KEYS_AT(1, 2, 1), NULL },
    COMMANDS_END,
};
