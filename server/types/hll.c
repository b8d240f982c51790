/* See hll.h. Elements are hashed with MurmurHash64A, and the count is Ertl's improved estimator
 * ("New cardinality estimation algorithms for HyperLogLog sketches", 2017): both as all servers
 * that share these strings do it. */
#include "server/types/hll.h"

#include <math.h>

#include "common/assert.h"

enum {
    INDEX_BITS = 14,
    VALUE_BITS = 64 - INDEX_BITS, /* of the hash that a register's value comes from */
    SPARSE_VALUE_MAX = 32,
    SPARSE_RUN_MAX = 4, /* registers of one value in a run */
    ZERO_RUN_MAX = 64,
    CARD_AT = 8,
};

/* ---- hash ---- */

static uint64_t murmur64a(struct bytes b)
{
    const uint64_t m = 0xc6a4a7935bd1e995ull, seed = 0xadc83b19ull;
    uint64_t h = seed ^ (b.n * m), k;
    const char *p = b.p;
    size_t n = b.n;
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&k, p, sizeof k);
        k *= m;
        k ^= k >> 47;
        k *= m;
        h = (h ^ k) * m;
    }
    if (n) {
        k = 0;
        memcpy(&k, p, n);
        h = (h ^ k) * m;
    }
    h ^= h >> 47;
    h *= m;
    return h ^ h >> 47;
}

struct hll_place hll_place(struct bytes element)
{
    uint64_t h = murmur64a(element);
    uint64_t rest = h >> INDEX_BITS | (uint64_t)1
                                          << VALUE_BITS; /* so that there is an end to the zeros */
    return (struct hll_place){
        .index = (uint32_t)(h & (HLL_REGISTERS - 1)),
        .value = (uint8_t)(__builtin_ctzll(rest) + 1),
    };
}

/* ---- header ---- */

bool hll_is(struct bytes v)
{
    if (v.n < HLL_HEADER || memcmp(v.p, "HYLL", 4) != 0)
        return false;
    uint8_t encoding = (uint8_t)v.p[4];
    return encoding == HLL_SPARSE || (encoding == HLL_DENSE && v.n == HLL_DENSE_BYTES);
}

enum hll_encoding hll_encoding(struct bytes v)
{
    return v.p[4] == HLL_DENSE ? HLL_DENSE : HLL_SPARSE;
}

bool hll_cached(struct bytes v, uint64_t *ret_count)
{
    uint64_t count;
    memcpy(&count, v.p + CARD_AT, sizeof count);
    if (count >> 63)
        return false;
    *ret_count = count;
    return true;
}

void hll_set_cached(char *v, uint64_t count)
{
    memcpy(v + CARD_AT, &count, sizeof count);
}

void hll_forget_cached(char *v)
{
    v[CARD_AT + 7] = (char)(v[CARD_AT + 7] | 0x80);
}

void hll_new(struct buf *b)
{
    buf_clear(b);
    buf_append(b, BYTES("HYLL\1\0\0\0"
                        "\0\0\0\0\0\0\0\0"
                        "\x7f\xff"));
}

/* ---- dense ---- */

uint8_t hll_dense_get(const char *v, uint32_t index)
{
    const uint8_t *p = (const uint8_t *)v + HLL_HEADER + index * 6 / 8;
    unsigned shift = index * 6 & 7, two = p[0];
    if (shift > 2)
        two |= (unsigned)p[1] << 8;
    return two >> shift & 63;
}

static void dense_put(char *v, uint32_t index, uint8_t value)
{
    uint8_t *p = (uint8_t *)v + HLL_HEADER + index * 6 / 8;
    unsigned shift = index * 6 & 7, mask = 63u << shift, bits = (unsigned)value << shift;
    p[0] = (uint8_t)((p[0] & ~mask) | bits);
    if (shift > 2)
        p[1] = (uint8_t)((p[1] & ~(mask >> 8)) | bits >> 8);
}

enum hll_set hll_dense_raise(char *v, struct hll_place place)
{
    if (hll_dense_get(v, place.index) >= place.value)
        return HLL_SAME;
    dense_put(v, place.index, place.value);
    return HLL_CHANGED;
}

/* ---- sparse ---- */

struct run {
    uint8_t value; /* 0 .. SPARSE_VALUE_MAX */
    uint32_t n;    /* registers */
    unsigned bytes;
};

/* The run at p; false at the end. A last run that is cut (only clients write such strings) goes on
 * with a zero byte, as in servers whose strings have one behind them: r->bytes is then one more
 * than there are. */
static bool run_read(const uint8_t *p, const uint8_t *end, struct run *r)
{
    if (p >= end)
        return false;
    if (*p & 0x80) {
        *r = (struct run){ (uint8_t)((*p >> 2 & 31) + 1), (*p & 3u) + 1, 1 };
    } else if (*p & 0x40) {
        *r = (struct run){ 0, ((*p & 63u) << 8 | (end - p < 2 ? 0u : p[1])) + 1, 2 };
    } else {
        *r = (struct run){ 0, (*p & 63u) + 1, 1 };
    }
    return true;
}

static uint8_t *run_write(uint8_t *p, uint8_t value, uint32_t n)
{
    if (n == 0)
        return p;
    if (value) {
        *p++ = (uint8_t)(0x80 | (value - 1) << 2 | (n - 1));
    } else if (n > ZERO_RUN_MAX) {
        *p++ = (uint8_t)(0x40 | (n - 1) >> 8);
        *p++ = (uint8_t)(n - 1);
    } else {
        *p++ = (uint8_t)(n - 1);
    }
    return p;
}

static const uint8_t *end_of(struct bytes v)
{
    return (const uint8_t *)v.p + v.n;
}

/* All runs in order; false unless they are 16384 registers in all. */
static bool sparse_walk(struct bytes v,
                        void (*visit)(void *ctx, uint32_t index, const struct run *), void *ctx)
{
    const uint8_t *p = (const uint8_t *)v.p + HLL_HEADER, *end = end_of(v);
    uint32_t index = 0;
    struct run r;
    for (; run_read(p, end, &r); p += r.bytes, index += r.n) {
        if (r.n > HLL_REGISTERS - index)
            return false;
        if (visit)
            visit(ctx, index, &r);
    }
    return index == HLL_REGISTERS;
}

static void put_run(void *ctx, uint32_t index, const struct run *r)
{
    for (uint32_t i = 0; r->value && i < r->n; i++)
        dense_put(ctx, index + i, r->value);
}

bool hll_to_dense(struct buf *b)
{
    struct bytes v = buf_bytes(b);
    if (hll_encoding(v) == HLL_DENSE)
        return true;
    if (!sparse_walk(v, NULL, NULL))
        return false;
    struct buf dense = BUF_INIT(BUF_UNLIMITED);
    buf_reserve(&dense, HLL_DENSE_BYTES);
    memset(dense.p, 0, HLL_DENSE_BYTES);
    memcpy(dense.p, v.p, HLL_HEADER);
    dense.p[4] = HLL_DENSE;
    dense.n = HLL_DENSE_BYTES;
    sparse_walk(v, put_run, dense.p);
    buf_done(b);
    *b = dense;
    return true;
}

/* The run that has the register, and what is in front of it. */
struct found {
    size_t at, before; /* offsets; before: of the run in front, or the same when it is the first */
    uint32_t first;    /* register */
    struct run run;
};

static bool sparse_find(struct bytes v, uint32_t index, struct found *f)
{
    const uint8_t *p = (const uint8_t *)v.p + HLL_HEADER, *end = end_of(v), *before = p;
    uint32_t first = 0;
    for (; run_read(p, end, &f->run); before = p, p += f->run.bytes, first += f->run.n) {
        if (index >= first + f->run.n)
            continue;
        f->at = (size_t)(p - (const uint8_t *)v.p);
        f->before = (size_t)(before - (const uint8_t *)v.p);
        f->first = first;
        return true;
    }
    return false;
}

/* Joins runs of the same value among the five from `at` on. */
static void sparse_join(struct buf *b, size_t at)
{
    enum { RUNS = 5 };
    for (int i = 0; i < RUNS && at < b->n; i++) {
        struct run r, next;
        const uint8_t *p = (const uint8_t *)b->p + at, *end = end_of(buf_bytes(b));
        if (!run_read(p, end, &r))
            return;
        if (r.value && run_read(p + 1, end, &next) && next.value == r.value &&
            r.n + next.n <= SPARSE_RUN_MAX) {
            run_write((uint8_t *)b->p + at + 1, r.value, r.n + next.n);
            memmove(b->p + at, b->p + at + 1, b->n - at - 1);
            b->n--;
            continue; /* what came of it may be joined again */
        }
        at += r.bytes;
    }
}

static enum hll_set sparse_promote(struct buf *b, struct hll_place place)
{
    if (!hll_to_dense(b))
        return HLL_CORRUPT;
    return hll_dense_raise(b->p, place);
}

static enum hll_set sparse_raise(struct buf *b, struct hll_place place, size_t sparse_max)
{
    enum { NEW_MAX = 8 };
    struct found f;
    if (place.value > SPARSE_VALUE_MAX)
        return sparse_promote(b, place);
    if (!sparse_find(buf_bytes(b), place.index, &f))
        return HLL_CORRUPT;
    if (f.run.value >= place.value)
        return HLL_SAME;
    uint8_t made[NEW_MAX], *p = made;
    uint32_t in_front = place.index - f.first;
    p = run_write(p, f.run.value, in_front);
    p = run_write(p, place.value, 1);
    p = run_write(p, f.run.value, f.run.n - in_front - 1);
    size_t n = (size_t)(p - made), old = f.run.bytes;
    if (n > old && b->n + n - old > sparse_max)
        return sparse_promote(b, place);
    if (buf_reserve(b, NEW_MAX) < 0)
        PANIC("no room in the buffer of a HyperLogLog");
    if (f.at + old <= b->n)
        memmove(b->p + f.at + n, b->p + f.at + old, b->n - f.at - old);
    memcpy(b->p + f.at, made, n);
    b->n = b->n + n - old; /* of a run that was cut the last byte stays away again */
    sparse_join(b, f.before);
    return HLL_CHANGED;
}

enum hll_set hll_raise(struct buf *b, struct hll_place place, size_t sparse_max)
{
    if (hll_encoding(buf_bytes(b)) == HLL_DENSE)
        return hll_dense_raise(b->p, place);
    return sparse_raise(b, place, sparse_max);
}

/* ---- counting ---- */

static void raise_run(void *ctx, uint32_t index, const struct run *r)
{
    uint8_t *max = (uint8_t *)ctx + index;
    for (uint32_t i = 0; r->value && i < r->n; i++) {
        if (max[i] < r->value)
            max[i] = r->value;
    }
}

/* Four registers are three bytes. */
static void merge_dense(const uint8_t *p, uint8_t *max)
{
    for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, p += 3) {
        uint32_t bits = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
        for (unsigned k = 0; k < 4; k++, bits >>= 6) {
            uint8_t v = bits & 63;
            max[i + k] = max[i + k] > v ? max[i + k] : v;
        }
    }
}

bool hll_merge(struct bytes v, uint8_t *max)
{
    if (hll_encoding(v) == HLL_SPARSE)
        return sparse_walk(v, raise_run, max);
    merge_dense((const uint8_t *)v.p + HLL_HEADER, max);
    return true;
}

static double tau(double x)
{
    if (x == 0 || x == 1)
        return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= pow(1 - x, 2) * y;
    } while (before != z);
    return z / 3;
}

static double sigma(double x)
{
    if (x == 1)
        return INFINITY;
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (before != z);
    return z;
}

/* histogram[v]: registers of value v. */
static uint64_t estimate(const uint32_t histogram[HLL_REGISTER_MAX + 1])
{
    const double alpha_infinite = 0.721347520444481703680, m = HLL_REGISTERS;
    double z = m * tau((m - histogram[VALUE_BITS + 1]) / m);
    for (int v = VALUE_BITS; v >= 1; v--) {
        z += histogram[v];
        z *= 0.5;
    }
    z += m * sigma(histogram[0] / m);
    return (uint64_t)llroundl(alpha_infinite * m * m / z);
}

uint64_t hll_count_registers(const uint8_t *registers)
{
    uint32_t histogram[HLL_REGISTER_MAX + 1] = { 0 };
    for (uint32_t i = 0; i < HLL_REGISTERS; i++)
        histogram[registers[i] & HLL_REGISTER_MAX]++;
    return estimate(histogram);
}

static void count_run(void *ctx, uint32_t index, const struct run *r)
{
    (void)index;
    ((uint32_t *)ctx)[r->value] += r->n;
}

bool hll_count(struct bytes v, uint64_t *ret_count)
{
    uint32_t histogram[HLL_REGISTER_MAX + 1] = { 0 };
    if (hll_encoding(v) == HLL_SPARSE) {
        if (!sparse_walk(v, count_run, histogram))
            return false;
    } else {
        const uint8_t *p = (const uint8_t *)v.p + HLL_HEADER;
        for (uint32_t i = 0; i < HLL_REGISTERS; i += 4, p += 3) {
            uint32_t bits = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
            histogram[bits & 63]++;
            histogram[bits >> 6 & 63]++;
            histogram[bits >> 12 & 63]++;
            histogram[bits >> 18]++;
        }
    }
    *ret_count = estimate(histogram);
    return true;
}

void hll_decode(struct bytes v, struct buf *text)
{
    const uint8_t *p = (const uint8_t *)v.p + HLL_HEADER, *end = end_of(v);
    struct run r;
    for (; run_read(p, end, &r); p += r.bytes) {
        if (text->n)
            buf_append_char(text, ' ');
        if (r.value)
            buf_printf(text, "v:%u,%u", r.value, r.n);
        else
            buf_printf(text, "%c:%u", r.bytes == 2 ? 'Z' : 'z', r.n);
    }
}
