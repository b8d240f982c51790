/* See listpack.h for the layout. An element is encoded apart (struct form), then a hole of its size
 * is opened and filled: all changes are one `splice` that moves the rest of the block and keeps the
 * header true. */
#include "server/types/listpack.h"

#include "common/assert.h"
#include "common/num.h"
#include "server/types/block.h"

enum head {
    STRING_6 = 0x80,  /* 10xxxxxx */
    INT_13 = 0xC0,    /* 110xxxxx */
    STRING_12 = 0xE0, /* 1110xxxx */
    STRING_32 = 0xF0,
    INT_16,
    INT_24,
    INT_32,
    INT_64,
};

#define COUNT_UNKNOWN UINT16_MAX
#define HEAD_MAX      9 /* bytes: INT_64 */

/* ---- numbers in the block ---- */

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static void set32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static void set_count(uint8_t *lp, uint32_t n)
{
    uint16_t v = n < COUNT_UNKNOWN ? (uint16_t)n : COUNT_UNKNOWN;
    memcpy(lp + 4, &v, sizeof v);
}

/* Keeps the count true as elements come and go; one that is unknown stays so. */
static void add_count(uint8_t *lp, int64_t delta)
{
    uint16_t n;
    memcpy(&n, lp + 4, sizeof n);
    if (n != COUNT_UNKNOWN)
        set_count(lp, (uint32_t)(n + delta));
}

/* ---- forms ---- */

/* An element as it will be in the block: head, data, back length. */
struct form {
    uint8_t head[HEAD_MAX];
    uint8_t head_n, back_n;
    struct bytes data;
};

static void form_int(struct form *f, int64_t v)
{
    f->data = bytes_of(NULL, 0);
    f->back_n = 1;
    if (v >= 0 && v <= 127) {
        f->head[0] = (uint8_t)v;
        f->head_n = 1;
        return;
    }
    if (v >= -4096 && v <= 4095) {
        f->head[0] = (uint8_t)(INT_13 | ((uint64_t)v >> 8 & 31));
        f->head[1] = (uint8_t)v;
        f->head_n = 2;
        return;
    }
    unsigned n = v == (int16_t)v ? 2 : v >= -(1 << 23) && v < 1 << 23 ? 3 : v == (int32_t)v ? 4 : 8;
    f->head[0] = (uint8_t)(n == 8 ? INT_64 : INT_16 + n - 2);
    memcpy(f->head + 1, &v, sizeof v);
    f->head_n = (uint8_t)(1 + n);
}

/* True when the text is kept as a number. Most are told by their first byte. */
static inline bool text_i64(struct bytes s, int64_t *ret_v)
{
    if (s.n == 0 || s.n > NUM_I64_MAX)
        return false;
    unsigned char c = (unsigned char)s.p[0];
    return (c == '-' || (c >= '0' && c <= '9')) && num_parse_i64(s, ret_v);
}

static inline void form_string(struct form *f, struct bytes s)
{
    ASSERT(s.n < LP_MAX);
    f->data = s;
    if (s.n <= 63) {
        f->head[0] = (uint8_t)(STRING_6 | s.n);
        f->head_n = 1;
    } else if (s.n <= 4095) {
        f->head[0] = (uint8_t)(STRING_12 | s.n >> 8);
        f->head[1] = (uint8_t)s.n;
        f->head_n = 2;
    } else {
        f->head[0] = STRING_32;
        set32(f->head + 1, (uint32_t)s.n);
        f->head_n = 5;
    }
    f->back_n = (uint8_t)lp_back_size(f->head_n + s.n);
}

static inline void form_of(struct form *f, struct bytes s)
{
    int64_t v;
    if (text_i64(s, &v))
        form_int(f, v);
    else
        form_string(f, s);
}

static inline size_t form_bytes(const struct form *f)
{
    return f->head_n + f->data.n + f->back_n;
}

static void write_back(uint8_t *p, size_t size, unsigned n)
{
    for (unsigned i = n; i-- > 0; size >>= 7)
        p[i] = (uint8_t)(i ? (size & 127) | 128 : size);
}

/* Writes the entry, gives what follows it. */
static uint8_t *form_write(uint8_t *p, const struct form *f)
{
    memcpy(p, f->head, f->head_n);
    p += f->head_n;
    if (f->data.n)
        memcpy(p, f->data.p, f->data.n);
    p += f->data.n;
    if (f->back_n == 1)
        *p = (uint8_t)(f->head_n + f->data.n);
    else
        write_back(p, f->head_n + f->data.n, f->back_n);
    return p + f->back_n;
}

size_t lp_entry_bytes(struct bytes s)
{
    struct form f;
    form_of(&f, s);
    return form_bytes(&f);
}

/* ---- the whole ---- */

static uint8_t *new_of(size_t n)
{
    uint8_t *lp = block_new(n);
    set32(lp, (uint32_t)n);
    return lp;
}

uint8_t *lp_new(void)
{
    uint8_t *lp = new_of(LP_EMPTY);
    set_count(lp, 0);
    lp[LP_HEADER] = LP_END;
    return lp;
}

void lp_free(uint8_t *lp)
{
    if (lp)
        block_free(lp, lp_bytes(lp));
}

uint8_t *lp_copy(const uint8_t *lp)
{
    size_t n = lp_bytes(lp);
    return memcpy(block_new(n), lp, n);
}

size_t lp_memory(const uint8_t *lp)
{
    return block_memory(lp_bytes(lp));
}

static uint32_t count_from(const uint8_t *p)
{
    uint32_t n = 0;
    for (; !lp_is_end(p); p = lp_skip(p))
        n++;
    return n;
}

uint32_t lp_count_walk(const uint8_t *lp)
{
    return count_from(lp_begin(lp));
}

/* ---- walking ---- */

size_t lp_size_rare(const uint8_t *p)
{
    if (*p < 0xE0)
        return 2;
    if (*p < 0xF0)
        return 2 + ((size_t)(*p & 15) << 8 | p[1]);
    switch (*p) {
    case STRING_32:
        return 5 + (size_t)get32(p + 1);
    case INT_16:
        return 3;
    case INT_24:
        return 4;
    case INT_32:
        return 5;
    case INT_64:
        return 9;
    default:
        PANIC("listpack entry with head %u", *p);
    }
}

uint8_t *lp_prev(const uint8_t *lp, const uint8_t *p)
{
    if (p == lp + LP_HEADER)
        return NULL;
    size_t n = 0;
    unsigned shift = 0;
    for (;; shift += 7) {
        p--;
        n |= (size_t)(*p & 127) << shift;
        if (!(*p & 128))
            break;
    }
    return (uint8_t *)p - n;
}

uint8_t *lp_seek(const uint8_t *lp, int64_t index)
{
    uint16_t n;
    memcpy(&n, lp + 4, sizeof n);
    if (n != COUNT_UNKNOWN) { /* the shorter way */
        if (index < -(int64_t)n || index >= n)
            return NULL;
        if (index >= 0 && index > n / 2)
            index -= n;
        else if (index < 0 && index < -(int64_t)n / 2)
            index += n;
    }
    if (index >= 0) {
        uint8_t *p = lp_begin(lp);
        for (; index > 0 && !lp_is_end(p); index--)
            p = lp_skip(p);
        return lp_is_end(p) ? NULL : p;
    }
    uint8_t *p = lp_last(lp);
    while (p && ++index < 0)
        p = lp_prev(lp, p);
    return p;
}

/* ---- reading ---- */

static bool is_string(const uint8_t *p)
{
    return *p >= 0x80 && *p <= STRING_32 && (*p & 0xE0) != INT_13;
}

static int64_t int_at(const uint8_t *p)
{
    int64_t v = 0;
    if (*p < 0x80)
        return *p;
    if ((*p & 0xE0) == INT_13)
        return (int64_t)((uint64_t)(*p & 31) << 59 | (uint64_t)p[1] << 51) >> 51;
    unsigned n = *p == INT_64 ? 8 : *p - INT_16 + 2u;
    memcpy(&v, p + 1, n);
    unsigned spare = 64 - 8 * n;
    return (int64_t)((uint64_t)v << spare) >> spare;
}

void lp_get_rare(const uint8_t *p, struct element *ret)
{
    ret->blob = NULL;
    if (!is_string(p)) {
        ret->s = bytes_of(NULL, 0);
        ret->i = int_at(p);
        return;
    }
    size_t head = *p < INT_13 ? 1 : *p < STRING_32 ? 2 : 5;
    ret->s = bytes_of(p + head, lp_size(p) - head);
}

bool lp_get_i64(const uint8_t *p, int64_t *ret_v)
{
    if (is_string(p))
        return false;
    *ret_v = int_at(p);
    return true;
}

/* Short data is most of what is compared: words, no call. */
static inline bool same(const uint8_t *a, const char *b, size_t n)
{
    if (n < 8 || n > 64)
        return memcmp(a, b, n) == 0;
    uint64_t x, y;
    for (size_t i = 0; i + 8 < n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            return false;
    }
    memcpy(&x, a + n - 8, 8);
    memcpy(&y, b + n - 8, 8);
    return x == y;
}

/* The head is compared byte by byte up to the first difference, which keeps the comparison inside
 * the entry. */
static inline bool form_is_at(const struct form *f, const uint8_t *p)
{
    for (unsigned i = 0; i < f->head_n; i++) {
        if (p[i] != f->head[i])
            return false;
    }
    return f->data.n == 0 || same(p + f->head_n, f->data.p, f->data.n);
}

bool lp_equals(const uint8_t *p, struct bytes s)
{
    struct form f;
    form_of(&f, s);
    return form_is_at(&f, p);
}

/* What follows an entry that is likely as long as `guess`, the last of its kind. The length of an
 * entry is known only when its head has come from the cache, and each step would wait for the one
 * before; by a guess that a branch checks the processor runs ahead.
 * (The asm keeps the compiler from making the two ways one again.) */
static inline __attribute__((always_inline)) const uint8_t *guess_skip(const uint8_t *p, size_t *guess)
{
    size_t n = (size_t)(lp_skip(p) - p);
    if (__builtin_expect(n == *guess, 1)) {
        size_t same_n = *guess;
        __asm__("" : "+r"(same_n));
        return p + same_n;
    }
    *guess = n;
    return p + n;
}

static inline __attribute__((always_inline)) uint8_t *find(const uint8_t *p, const struct form *f,
                                                           unsigned skip)
{
    size_t guess = 0, guess_between = 0;
    while (!lp_is_end(p)) {
        if (*p == f->head[0] && form_is_at(f, p))
            return (uint8_t *)p;
        p = guess_skip(p, &guess);
        for (unsigned i = 0; i < skip; i++) {
            if (lp_is_end(p))
                return NULL;
            p = guess_skip(p, &guess_between);
        }
    }
    return NULL;
}

uint8_t *lp_find(const uint8_t *p, struct bytes s, unsigned skip)
{
    struct form f;
    form_of(&f, s);
    if (skip == 1)
        return find(p, &f, 1);
    return skip == 0 ? find(p, &f, 0) : find(p, &f, skip);
}

/* ---- changing ---- */

/* Replaces `cut` bytes at `at` by a hole of `add` bytes; gives the hole. */
static uint8_t *splice(uint8_t **lp, const uint8_t *at, size_t cut, size_t add)
{
    size_t offset = (size_t)(at - *lp), n = lp_bytes(*lp), rest = n - offset - cut;
    ASSERT(add <= cut || n - cut + add <= UINT32_MAX);
    uint8_t *p = *lp;
    if (add < cut)
        memmove(p + offset + add, p + offset + cut, rest);
    if (add != cut)
        p = block_resize(p, n, n - cut + add);
    if (add > cut)
        memmove(p + offset + add, p + offset + cut, rest);
    set32(p, (uint32_t)(n - cut + add));
    *lp = p;
    return p + offset;
}

static uint8_t *insert_form(uint8_t **lp, uint8_t *at, const struct form *f)
{
    at = splice(lp, at, 0, form_bytes(f));
    form_write(at, f);
    add_count(*lp, 1);
    return at;
}

static uint8_t *replace_form(uint8_t **lp, uint8_t *at, const struct form *f)
{
    size_t old = (size_t)(lp_skip(at) - at), n = form_bytes(f);
    if (old != n)
        at = splice(lp, at, old, n);
    form_write(at, f);
    return at;
}

uint8_t *lp_insert(uint8_t **lp, uint8_t *at, struct bytes s)
{
    struct form f;
    form_of(&f, s);
    return insert_form(lp, at, &f);
}

uint8_t *lp_insert_i64(uint8_t **lp, uint8_t *at, int64_t v)
{
    struct form f;
    form_int(&f, v);
    return insert_form(lp, at, &f);
}

uint8_t *lp_insert_pair(uint8_t **lp, uint8_t *at, struct bytes a, struct bytes b)
{
    struct form fa, fb;
    form_of(&fa, a);
    form_of(&fb, b);
    at = splice(lp, at, 0, form_bytes(&fa) + form_bytes(&fb));
    form_write(form_write(at, &fa), &fb);
    add_count(*lp, 2);
    return at;
}

uint8_t *lp_replace(uint8_t **lp, uint8_t *at, struct bytes s)
{
    struct form f;
    form_of(&f, s);
    return replace_form(lp, at, &f);
}

uint8_t *lp_replace_i64(uint8_t **lp, uint8_t *at, int64_t v)
{
    struct form f;
    form_int(&f, v);
    return replace_form(lp, at, &f);
}

uint8_t *lp_delete(uint8_t **lp, uint8_t *at, uint32_t n)
{
    const uint8_t *end = at;
    uint32_t count = 0;
    for (; count < n && !lp_is_end(end); count++)
        end = lp_skip(end);
    add_count(*lp, -(int64_t)count);
    return splice(lp, at, (size_t)(end - at), 0);
}

void lp_append_entries(uint8_t **lp, const uint8_t *entries, size_t n, uint32_t count)
{
    if (n)
        memcpy(splice(lp, lp_end(*lp), 0, n), entries, n);
    add_count(*lp, count);
}

uint8_t *lp_split(uint8_t **lp, uint8_t *at)
{
    size_t n = (size_t)(lp_end(*lp) - at);
    uint32_t count = count_from(at);
    uint8_t *tail = new_of(LP_EMPTY + n);
    memcpy(tail + LP_HEADER, at, n + 1);
    set_count(tail, count);
    add_count(*lp, -(int64_t)count);
    splice(lp, at, n, 0);
    return tail;
}
