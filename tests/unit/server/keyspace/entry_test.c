#include <criterion/criterion.h>

#include "common/alloc.h"
#include "common/blob.h"
#include "common/prng.h"
#include "server/keyspace/entry.h"

static size_t size_of(size_t key_n, msec_t expire, struct entry_value v)
{
    char key[1000] = { 0 };
    struct entry *e = entry_new(bytes_of(key, key_n), expire, &v, 0);
    size_t n = entry_size(e);
    entry_free(e);
    return n;
}

static struct entry_value text(size_t n)
{
    static char bytes[1000];
    return entry_value_string(bytes_of(bytes, n), 16, ENC_RAW);
}

/* Ceilings of what a key costs; raise one only on purpose. */
Test(entry, has_a_size_that_is_planned)
{
    const msec_t soon = 1700000000000, far = (msec_t)1 << 60;
    cr_expect_eq(size_of(16, NO_EXPIRE, text(8)), 30);
    cr_expect_eq(size_of(16, NO_EXPIRE, text(32)), 54);
    cr_expect_eq(size_of(16, NO_EXPIRE, text(100)), 122);
    cr_expect_eq(size_of(16, soon, text(8)), 36);
    cr_expect_eq(size_of(16, far, text(8)), 44);
    cr_expect_eq(size_of(16, NO_EXPIRE, entry_value_i64(1000)), 23);
    cr_expect_eq(size_of(16, NO_EXPIRE, entry_value_i64(100000)), 25);
    cr_expect_eq(size_of(16, NO_EXPIRE, entry_value_i64(1LL << 40)), 29);
    cr_expect_eq(size_of(300, NO_EXPIRE, text(0)), 310);
    cr_expect_eq(size_of(16, NO_EXPIRE, text(300)), 324);
}

/* ---- every kind of entry into every other ---- */

static const size_t key_sizes[] = { 0, 1, 7, 16, 254, 255, 256, 480, 600, 5000 };
static const size_t text_sizes[] = { 0, 1, 8, 44, 45, 100, 254, 255, 400, 480, 1023 };
static const int64_t numbers[] = {
    0, -1, 32767, 32768, -32769, INT32_MIN, (int64_t)INT32_MAX + 1, INT64_MIN, INT64_MAX
};
static const msec_t expiries[] = { NO_EXPIRE, 0,  1700000000000, 0xFFFFFFFFFFFE, 0xFFFFFFFFFFFF,
                                   INT64_MAX, -5, INT64_MIN };
#define N(a) (sizeof(a) / sizeof(a)[0])

struct sample {
    char bytes[1024];
    struct entry_value v;
    msec_t expire;
};

static void draw(struct prng *r, struct sample *s, size_t key_n)
{
    s->expire = expiries[prng_below(r, N(expiries))];
    if (prng_below(r, 3) == 0) {
        s->v = entry_value_i64(numbers[prng_below(r, N(numbers))]);
        return;
    }
    size_t n = text_sizes[prng_below(r, N(text_sizes))];
    memset(s->bytes, 'a' + (int)prng_below(r, 26), n);
    s->v =
        entry_value_string(bytes_of(s->bytes, n), key_n, prng_below(r, 2) ? ENC_RAW : ENC_EMBSTR);
}

static void check(const struct entry *e, struct bytes key, const struct sample *s, uint32_t access)
{
    char scratch[24];
    cr_assert(bytes_eq(entry_key(e), key));
    cr_assert_eq(entry_expire(e), s->expire);
    cr_assert_eq(head_access(e), access);
    cr_assert_eq(entry_type(e), TYPE_STRING);
    int64_t i;
    if (form_is_int(s->v.form)) {
        cr_assert_eq(entry_encoding(e), ENC_INT);
        cr_assert(entry_string_i64(e, &i));
        cr_assert_eq(i, s->v.i);
        return;
    }
    cr_assert_eq(entry_encoding(e),
                 s->v.form == FORM_BLOB ? ENC_RAW : (enum value_encoding)s->v.form);
    struct bytes want = s->v.form == FORM_BLOB ? blob_bytes(s->v.pointer) : s->v.s;
    cr_assert(bytes_eq(entry_string(e, scratch), want));
    cr_assert(!entry_string_i64(e, &i));
}

static void drop_blob(const struct entry *e)
{
    blob_unref(entry_blob(e));
}

Test(entry, keeps_key_value_expiry_and_access_through_all_changes)
{
    struct prng r;
    prng_init(&r, 1);
    char key_bytes[5000];
    memset(key_bytes, 'k', sizeof key_bytes);
    size_t used = mem_used();
    for (size_t k = 0; k < N(key_sizes); k++) {
        struct bytes key = bytes_of(key_bytes, key_sizes[k]);
        struct sample now;
        draw(&r, &now, key.n);
        struct entry *e = entry_new(key, now.expire, &now.v, 77);
        for (uint32_t step = 0; step < 3000; step++) {
            check(e, key, &now, step ? step : 77);
            struct sample next;
            draw(&r, &next, key.n);
            if (prng_below(&r, 2) || !entry_fits(e, next.expire, &next.v)) {
                head_set_access(e, step + 1);
                if (step % 3) {
                    e = entry_with_expire(e, next.expire);
                    now.expire = next.expire;
                    if (next.v.form == FORM_BLOB)
                        blob_unref(next.v.pointer);
                    continue;
                }
                struct entry *new = entry_new(key, next.expire, &next.v, step + 1);
                drop_blob(e);
                entry_free(e);
                e = new;
            } else {
                drop_blob(e);
                entry_overwrite(e, next.expire, &next.v, step + 1);
            }
            now = next;
            if (form_is_short(now.v.form))
                now.v.s.p = now.bytes;
        }
        check(e, key, &now, 3000);
        struct bytes other = bytes_of(key_bytes, key_sizes[(k + 3) % N(key_sizes)]);
        e = entry_with_key(e, other);
        check(e, other, &now, 3000);
        drop_blob(e);
        entry_free(e);
    }
    cr_assert_eq(mem_used(), used);
}

Test(entry, text_that_is_a_number_is_read_as_one)
{
    static const struct {
        const char *text;
        bool is;
        int64_t v;
    } cases[] = {
        { "0", true, 0 },    { "-1", true, -1 }, { "12345678901234567890", false, 0 },
        { "007", false, 0 }, { "", false, 0 },   { "1 ", false, 0 },
        { "-0", false, 0 },  { "+1", false, 0 }, { "9223372036854775807", true, INT64_MAX },
        { "x", false, 0 },
    };
    for (size_t c = 0; c < N(cases); c++) {
        struct entry_value v = entry_value_string(bytes_of_str(cases[c].text), 1, ENC_RAW);
        struct entry *e = entry_new(BYTES("k"), NO_EXPIRE, &v, 0);
        int64_t i = 0;
        cr_expect_eq(entry_string_i64(e, &i), cases[c].is, "%s", cases[c].text);
        cr_expect_eq(i, cases[c].v);
        entry_free(e);
    }
}

Test(entry, stays_in_the_slabs_when_an_expiry_comes)
{
    for (size_t key_n = 0; key_n < 480; key_n += 7) {
        for (size_t n = 0; n < BLOB_MIN; n += 13) {
            if (!entry_string_is_short(n, key_n))
                continue;
            size_t size = size_of(key_n, 1700000000000, text(n < 400 ? n : 400));
            cr_assert_leq(size, SLAB_MAX);
        }
    }
    cr_expect(!entry_string_is_short(BLOB_MIN, 5));
    cr_expect(entry_string_is_short(BLOB_MIN - 1, 5000),
              "next to a key that needs its own block anyway");
    cr_expect(!entry_string_is_short(600, 16));
}
