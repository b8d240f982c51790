/* SETBIT GETBIT BITCOUNT BITPOS BITOP BITFIELD, and the functions on bits below them, these against
 * plain loops. */
#include <criterion/criterion.h>

#include "common/alloc.h"
#include "common/prng.h"
#include "harness.h"
#include "server/commands/bits.h"

extern const struct command string_commands[], string_range_commands[], bitmap_commands[],
    bitfield_commands[];
extern const struct command generic_commands[], expire_commands[];

static const struct command *const families[] = {
    string_commands,
    string_range_commands,
    bitmap_commands,
    bitfield_commands,
    generic_commands,
    expire_commands,
    NULL,
};
static struct harness h;

static void setup(void)
{
    harness_init(&h, families);
}

static void teardown(void)
{
    harness_done(&h);
}

TestSuite(bits, .timeout = 30);
TestSuite(bitmap, .init = setup, .fini = teardown, .timeout = 30);

/* ---- functions ---- */

static unsigned bit_at(const uint8_t *p, uint64_t i)
{
    return p[i / 8] >> (7 - i % 8) & 1u;
}

static void fill(struct prng *rng, uint8_t *p, size_t n)
{
    static const uint8_t runs[] = { 0, 0xff };
    for (size_t i = 0; i < n; i++)
        p[i] = prng_below(rng, 16) ? runs[n % 2] : (uint8_t)prng_u64(rng);
}

Test(bits, counting_and_finding_agree_with_plain_loops)
{
    struct prng rng;
    prng_init(&rng, 7);
    for (int round = 0; round < 20000; round++) {
        uint8_t data[160];
        size_t n = prng_below(&rng, sizeof(data)) + 1;
        fill(&rng, data, n);
        uint64_t from = prng_below(&rng, n * 8 + 1), to = prng_below(&rng, n * 8 + 1), ones = 0;
        int64_t first[2] = { -1, -1 };
        for (uint64_t i = from; i < to; i++) {
            unsigned bit = bit_at(data, i);
            ones += bit;
            if (first[bit] < 0)
                first[bit] = (int64_t)i;
        }
        cr_assert_eq(bits_count_range(data, from, to), ones);
        cr_assert_eq(bits_find(data, from, to, 0), first[0]);
        cr_assert_eq(bits_find(data, from, to, 1), first[1]);
    }
}

static uint8_t combined(enum bits_op op, const struct bytes *s, int n, size_t i)
{
    uint8_t v = 0;
    for (int k = 0; k < n; k++) {
        uint8_t x = i < s[k].n ? (uint8_t)s[k].p[i] : 0;
        if (op == BITS_NOT)
            v = (uint8_t)~x;
        else if (k == 0)
            v = x;
        else
            v = op == BITS_AND ? v & x : op == BITS_OR ? v | x : v ^ x;
    }
    return v;
}

Test(bits, combining_agrees_with_plain_loops)
{
    enum { MAX = 20000 };
    struct prng rng;
    prng_init(&rng, 8);
    uint8_t *data = mem_alloc(4 * MAX), *result = mem_alloc(MAX);
    for (int round = 0; round < 60; round++) {
        enum bits_op op = (enum bits_op)prng_below(&rng, 4);
        int n = op == BITS_NOT ? 1 : (int)prng_below(&rng, 4) + 1;
        struct bytes s[4];
        size_t longest = 1;
        for (int k = 0; k < n; k++) {
            s[k] = bytes_of(data + k * MAX, prng_below(&rng, prng_below(&rng, 2) ? 100 : MAX));
            fill(&rng, data + k * MAX, s[k].n);
            longest = s[k].n > longest ? s[k].n : longest;
        }
        bits_combine(op, (char *)result, longest, s, n);
        for (size_t i = 0; i < longest; i++)
            cr_assert_eq(result[i], combined(op, s, n, i), "op %d, byte %zu of %zu", op, i,
                         longest);
    }
    mem_free(data);
    mem_free(result);
}

Test(bits, fields_agree_with_plain_loops)
{
    struct prng rng;
    prng_init(&rng, 9);
    for (int round = 0; round < 20000; round++) {
        uint8_t data[20], before[20];
        for (size_t i = 0; i < sizeof(data); i++)
            data[i] = (uint8_t)prng_u64(&rng);
        memcpy(before, data, sizeof(data));
        unsigned bits = (unsigned)prng_below(&rng, 64) + 1;
        uint64_t offset = prng_below(&rng, sizeof(data) * 8 - bits + 1), v = prng_u64(&rng),
                 got = 0;
        for (unsigned i = 0; i < bits; i++)
            got = got << 1 | bit_at(data, offset + i);
        cr_assert_eq(bits_get(bytes_of(data, sizeof(data)), offset, bits), got);
        bits_put((char *)data, offset, bits, v);
        for (uint64_t i = 0; i < sizeof(data) * 8; i++) {
            bool inside = i >= offset && i < offset + bits;
            cr_assert_eq(bit_at(data, i),
                         inside ? v >> (offset + bits - 1 - i) & 1 : bit_at(before, i));
        }
    }
    cr_expect_eq(bits_get(BYTES("\xff"), 4, 8), 0xf0);
    cr_expect_eq(bits_get(BYTES("\xff"), 800, 64), 0);
}

/* ---- commands ---- */

Test(bitmap, setbit_and_getbit)
{
    static const struct step steps[] = {
        { "SETBIT a 0 1", ":0", "new a, setbit a", "SETBIT a 0 1" },
        { "SETBIT a 0 1", ":1", "", "" },
        { "SETBIT a 0 0", ":1", "setbit a", "SETBIT a 0 0" },
        { "SETBIT a 100 0", ":0", "setbit a", "SETBIT a 100 0" },
        { "STRLEN a", ":13", "", "" },
        { "SETBIT a 0 2", "-ERR bit is not an integer or out of range", "", "" },
        { "SETBIT a 0 foo", "-ERR bit is not an integer or out of range", "", "" },
        { "SETBIT a foo 1", "-ERR bit offset is not an integer or out of range", "", "" },
        { "SETBIT a -1 1", "-ERR bit offset is not an integer or out of range", "", "" },
        { "SETBIT a 4294967296 1", "-ERR bit offset is not an integer or out of range", "", "" },
        { "GETBIT a -1", "-ERR bit offset is not an integer or out of range", "", "" },
        { "GETBIT a 4294967295", ":0", "", "" },
        { "GETBIT nokey 0", ":0", "keymiss nokey", "" },
        { "SET n 12", "OK", NULL, NULL },
        { "GETBIT n 2", ":1", "", "" },
        { "SETBIT n 6 1", ":0", "setbit n", "SETBIT n 6 1" },
        { "GET n", "'32'", "", "" },
        { "OBJECT ENCODING n", "'raw'", "", "" },
    };
    HARNESS_STEPS(&h, steps);
    harness_add_zset(&h, "z");
    static const struct step other_type[] = {
        { "SETBIT z 0 1", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "GETBIT z 0", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "BITCOUNT z foo bar",
          "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
        { "BITPOS z 1 foo", "-WRONGTYPE Operation against a key holding the wrong kind of value",
          "", "" },
        { "BITOP OR d z", "-WRONGTYPE Operation against a key holding the wrong kind of value", "",
          "" },
        { "BITFIELD z GET u8 0",
          "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
        { "BITFIELD z SET u8 0 1",
          "-WRONGTYPE Operation against a key holding the wrong kind of value", "", "" },
    };
    HARNESS_STEPS(&h, other_type);
}

Test(bitmap, bitcount)
{
    static const struct step steps[] = {
        { "BITCOUNT nokey", ":0", "keymiss nokey", "" },
        { "BITCOUNT nokey foo bar", ":0", NULL, NULL },
        { "SET m foobar", "OK", NULL, NULL },
        { "BITCOUNT m", ":26", "", "" },
        { "BITCOUNT m 0", "-ERR syntax error", "", "" },
        { "BITCOUNT m 0 foo", "-ERR value is not an integer or out of range", "", "" },
        { "BITCOUNT m 0 foo foo", "-ERR value is not an integer or out of range", "", "" },
        { "BITCOUNT m 0 1 foo", "-ERR syntax error", "", "" },
        { "BITCOUNT m 0 1 BIT BIT", "-ERR syntax error", "", "" },
        { "BITCOUNT m 0 0", ":4", "", "" },
        { "BITCOUNT m 1 1", ":6", "", "" },
        { "BITCOUNT m 5 30 BIT", ":17", "", "" },
        { "BITCOUNT m 5 30 byte", ":4", "", "" },
        { "BITCOUNT m -100 -200", ":0", "", "" },
        { "BITCOUNT m -100 -200 BAD", ":0", "", "" },
        { "BITCOUNT m -2 -1", ":7", "", "" },
        { "BITCOUNT m -5 -3 BIT", ":1", "", "" },
        { "BITCOUNT m 3 1", ":0", "", "" },
        { "BITCOUNT m 100 200", ":0", "", "" },
        { "BITCOUNT m -9223372036854775808 9223372036854775807 BIT", ":26", "", "" },
        { "SET n 12", "OK", NULL, NULL },
        { "BITCOUNT n", ":6", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(bitmap, bitpos)
{
    static const struct step steps[] = {
        { "BITPOS nokey 1", ":-1", "keymiss nokey", "" },
        { "BITPOS nokey 0 5 foo", ":0", NULL, NULL },
        { "SET m foobar", "OK", NULL, NULL },
        { "BITPOS m 2", "-ERR The bit argument must be 1 or 0.", "", "" },
        { "BITPOS m foo", "-ERR value is not an integer or out of range", "", "" },
        { "BITPOS m 1", ":1", "", "" },
        { "BITPOS m 0", ":0", "", "" },
        { "BITPOS m 1 2", ":17", "", "" },
        { "BITPOS m 1 -1 -1", ":41", "", "" },
        { "BITPOS m 1 -1 -3", ":-1", "", "" },
        { "BITPOS m 1 -100 -200", ":1", "", "" },
        { "BITPOS m 1 -200 -100 BIT", ":-1", "", "" },
        { "BITPOS m 1 7 15 BIT", ":9", "", "" },
        { "BITPOS m 0 7 15 BIT", ":7", "", "" },
        { "BITPOS m 1 7 15 foo", "-ERR syntax error", "", "" },
        { "BITPOS m 1 0 -1 BIT x", "-ERR syntax error", "", "" },
        { "BITPOS m 1 0 foo foo", "-ERR syntax error", "", "" },
        { "BITPOS m 1 BIT", "-ERR value is not an integer or out of range", "", "" },
        { "SET f \"\\xff\\xff\\xff\"", "OK", NULL, NULL },
        { "BITPOS f 0", ":24", "", "" },
        { "BITPOS f 0 0", ":24", "", "" },
        { "BITPOS f 0 -1", ":24", "", "" },
        { "BITPOS f 0 0 -1", ":-1", "", "" },
        { "BITPOS f 0 5", ":-1", "", "" },
        { "BITPOS f 0 3 5 BIT", ":-1", "", "" },
        { "SET k \"\\xff\\xf0\\x00\"", "OK", NULL, NULL },
        { "BITPOS k 0", ":12", "", "" },
        { "BITPOS k 1 2", ":-1", "", "" },
        { "BITPOS k 0 5 11 BIT", ":-1", "", "" },
        { "BITPOS k 0 5 12 BIT", ":12", "", "" },
        { "SET e \"\"", "OK", NULL, NULL },
        { "BITPOS e 0", ":-1", "", "" },
        { "BITPOS e 1", ":-1", "", "" },
    };
    HARNESS_STEPS(&h, steps);
}

Test(bitmap, bitop)
{
    static const struct step steps[] = {
        { "SET m foobar", "OK", NULL, NULL },
        { "SET f \"\\xff\\xff\\xff\\x01\\x02\\x03\\x04\"", "OK", NULL, NULL },
        { "BITOP FOO d m", "-ERR syntax error", "", "" },
        { "BITOP NOT d m f", "-ERR BITOP NOT must be called with a single source key.", "", "" },
        { "BITOP NOT d m", ":6", "new d, set d", "BITOP NOT d m" },
        { "GET d", "'\\x99\\x90\\x90\\x9d\\x9e\\x8d'", "", "" },
        { "OBJECT ENCODING d", "'raw'", "", "" },
        { "BITOP and d m f", ":7", "set d", "BITOP and d m f" },
        { "GET d", "'foo\\x00\\x00\\x02\\x00'", "", "" },
        { "BITOP XOR d m m", ":6", NULL, NULL },
        { "GET d", "'\\x00\\x00\\x00\\x00\\x00\\x00'", "", "" },
        { "BITOP AND d m nokey", ":6", "keymiss nokey, set d", NULL },
        { "BITOP OR d nokey", ":0", "keymiss nokey, del d", "BITOP OR d nokey" },
        { "BITOP OR d nokey", ":0", "keymiss nokey", "" },
        { "EXPIRE m 100", ":1", NULL, NULL },
        { "BITOP OR m m f", ":7", "set m", NULL },
        { "TTL m", ":-1", "", "" },
        { "GET m", "'\\xff\\xff\\xffccs\\x04'", NULL, NULL },
        { "SET n 12", "OK", NULL, NULL },
        { "BITOP OR d n n", ":2", NULL, NULL },
        { "GET d", "'12'", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(bitmap, bitop_of_long_strings)
{
    harness_run(&h, "SETRANGE a 99999 x");
    harness_run(&h, "SETRANGE b 9999 x");
    cr_expect_str_eq(harness_run(&h, "BITOP OR d a b"), ":100000");
    cr_expect_str_eq(harness_run(&h, "BITCOUNT d"), ":8");
    cr_expect_str_eq(harness_run(&h, "BITOP AND d a b"), ":100000");
    cr_expect_str_eq(harness_run(&h, "BITPOS d 1"), ":-1");
    cr_expect_str_eq(harness_run(&h, "BITOP NOT a a"), ":100000");
    cr_expect_str_eq(harness_run(&h, "BITCOUNT a"), ":799996");
    cr_expect_str_eq(harness_run(&h, "BITPOS a 0"), ":799993");
}

Test(bitmap, bitfield_arguments)
{
    static const char type[] = "-ERR Invalid bitfield type. Use something like i16 u8. Note that "
                               "u64 is not supported but i64 is.";
    static const struct step steps[] = {
        { "BITFIELD a", "[]", "keymiss a", "" },
        { "BITFIELD a GET", "-ERR syntax error", "", "" },
        { "BITFIELD a GET u8", "-ERR syntax error", "", "" },
        { "BITFIELD a SET u8 0", "-ERR syntax error", "", "" },
        { "BITFIELD a FOO u8 0", "-ERR syntax error", "", "" },
        { "BITFIELD a GET u64 0", type, "", "" },
        { "BITFIELD a GET i65 0", type, "", "" },
        { "BITFIELD a GET u0 0", type, "", "" },
        { "BITFIELD a GET u08 0", type, "", "" },
        { "BITFIELD a GET I8 0", type, "", "" },
        { "BITFIELD a GET u 0", type, "", "" },
        { "BITFIELD a GET i64 0 GET u63 #1", "[:0 :0]", "keymiss a", "" },
        { "BITFIELD a GET i8 #", "-ERR bit offset is not an integer or out of range", "", "" },
        { "BITFIELD a GET i8 -1", "-ERR bit offset is not an integer or out of range", "", "" },
        { "BITFIELD a GET i8 #536870912", "-ERR bit offset is not an integer or out of range", "",
          "" },
        { "BITFIELD a GET i64 #9223372036854775807",
          "-ERR bit offset is not an integer or out of range", "", "" },
        { "BITFIELD a GET i1 4294967296", "-ERR bit offset is not an integer or out of range", "",
          "" },
        { "BITFIELD a SET u8 0 foo", "-ERR value is not an integer or out of range", "", "" },
        { "BITFIELD a OVERFLOW", "-ERR syntax error", "", "" },
        { "BITFIELD a OVERFLOW foo", "-ERR Invalid OVERFLOW type specified", "", "" },
        { "BITFIELD a OVERFLOW sat", "[]", NULL, "" },
        { "BITFIELD_RO a SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand", "", "" },
        { "BITFIELD_RO a OVERFLOW wrap GET u8 0", "[:0]", NULL, "" },
        { "EXISTS a", ":0", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(bitmap, bitfield)
{
    static const struct step steps[] = {
        { "BITFIELD a SET u8 0 255", "[:0]", "new a, setbit a", "BITFIELD a SET u8 0 255" },
        { "BITFIELD a SET u8 0 255", "[:255]", "", "" },
        { "BITFIELD a SET u8 0 256", "[:255]", "setbit a", NULL },
        { "BITFIELD a SET u8 0 -1", "[:0]", NULL, NULL },
        { "BITFIELD a SET i8 0 200", "[:-1]", NULL, NULL },
        { "BITFIELD a SET i8 0 -129", "[:-56]", NULL, NULL },
        { "BITFIELD a OVERFLOW FAIL GET u8 0", "[:127]", "", "" },
        { "BITFIELD a OVERFLOW FAIL INCRBY u8 0 300", "[nil]", "", "" },
        { "BITFIELD a OVERFLOW SAT INCRBY u8 0 300 INCRBY u8 0 -1000", "[:255 :0]", "setbit a",
          NULL },
        { "BITFIELD a OVERFLOW WRAP INCRBY u8 0 300 INCRBY u8 0 -1000", "[:44 :68]", "setbit a",
          NULL },
        { "BITFIELD a OVERFLOW FAIL SET u8 0 300", "[nil]", "", "" },
        { "BITFIELD a OVERFLOW SAT SET u8 0 300 SET i8 8 -500 SET i8 8 500", "[:68 :0 :-128]",
          "setbit a", NULL },
        { "BITFIELD a INCRBY i64 0 9223372036854775807 INCRBY i64 0 9223372036854775807",
          "[:9187061764859101183 :-36310271995674626]", NULL, NULL },
        { "BITFIELD a OVERFLOW SAT INCRBY i64 0 9223372036854775807 INCRBY i64 0 "
          "9223372036854775807",
          "[:9187061764859101181 :9223372036854775807]", NULL, NULL },
        { "BITFIELD a OVERFLOW SAT INCRBY i64 0 -9223372036854775808 INCRBY i64 0 "
          "-9223372036854775808",
          "[:-1 :-9223372036854775808]", NULL, NULL },
        { "BITFIELD a OVERFLOW FAIL INCRBY i64 0 -9223372036854775808", "[nil]", "", "" },
        { "BITFIELD a OVERFLOW FAIL INCRBY u63 0 -1", "[:4611686018427387903]", NULL, NULL },
        { "BITFIELD a OVERFLOW SAT INCRBY u63 0 -1 INCRBY u63 0 9223372036854775807",
          "[:4611686018427387902 :9223372036854775807]", NULL, NULL },
        { "BITFIELD a OVERFLOW WRAP INCRBY u63 0 9223372036854775807 INCRBY u63 0 1",
          "[:9223372036854775806 :9223372036854775807]", NULL, NULL },
        { "BITFIELD a OVERFLOW SAT SET u63 0 -1", "[:9223372036854775807]", "", "" },
        { "BITFIELD a OVERFLOW FAIL SET u63 0 -1 GET u63 0", "[nil :9223372036854775807]", "", "" },
        { "BITFIELD i INCRBY i1 0 1 OVERFLOW SAT INCRBY i1 0 1", "[:-1 :0]", NULL, NULL },
        { "BITFIELD i OVERFLOW SAT SET i8 0 -9223372036854775000 GET i8 0 SET i8 0 "
          "-9223372036854775808 GET i8 0",
          "[:0 :-128 :-128 :127]", NULL, NULL },
        { "BITFIELD b SET u8 100 0", "[:0]", "new b, setbit b", NULL },
        { "STRLEN b", ":14", NULL, NULL },
        { "BITFIELD b GET u8 0 SET u8 8 9 INCRBY u4 3 1 GET i5 3", "[:0 :0 :1 :2]", NULL, NULL },
        { "GETRANGE b 0 1", "'\\x02\\x09'", NULL, NULL },
        { "SET n 12", "OK", NULL, NULL },
        { "BITFIELD n GET u8 0 GET u8 #1", "[:49 :50]", "", "" },
        { "OBJECT ENCODING n", "'int'", NULL, NULL },
        { "BITFIELD n INCRBY u8 0 1", "[:50]", NULL, NULL },
        { "GET n", "'22'", NULL, NULL },
        /* The string grows for what is then refused; replicas hear of it. */
        { "BITFIELD g OVERFLOW FAIL SET u8 0 300", "[nil]", "new g",
          "BITFIELD g OVERFLOW FAIL SET u8 0 300" },
        { "STRLEN g", ":1", NULL, NULL },
    };
    HARNESS_STEPS(&h, steps);
}

Test(bitmap, growth_that_memory_refuses_changes_nothing)
{
    harness_run(&h, "SET a x");
    mem_fail_after(1);
    cr_expect_str_eq(harness_run(&h, "SETBIT a 80000 1"),
                     "-ERR insufficient memory for this value");
    mem_fail_after(1);
    cr_expect_str_eq(harness_run(&h, "BITFIELD a SET u8 80000 1"),
                     "-ERR insufficient memory for this value");
    mem_fail_after(1);
    cr_expect_str_eq(harness_run(&h, "SETRANGE a 80000 y"),
                     "-ERR insufficient memory for this value");
    mem_fail_after(1);
    cr_expect_str_eq(harness_run(&h, "BITOP NOT d a"), "-ERR insufficient memory for this value");
    mem_fail_after(0);
    cr_expect_str_eq(harness_run(&h, "GET a"), "'x'");
    cr_expect_str_eq(harness_run(&h, "EXISTS d"), ":0");
}
