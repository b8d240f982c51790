/* Lines of arguments, quoting, sizes, hex and distances over any bytes. */
#include "common/text.h"

#include "common/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was split, quoted again, splits to the same. */
static void check_split(struct bytes line, struct arena *a)
{
    struct bytes *argv, *again;
    size_t argc, again_n, total = 0;
    if (!text_split(line, a, &argv, &argc))
        return;
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; i < argc; i++) {
        total += argv[i].n;
        ASSERT(text_quote(&b, argv[i]) == 0);
        ASSERT(buf_append_char(&b, ' ') == 0);
    }
    ASSERT(total <= line.n);
    ASSERT(text_split(buf_bytes(&b), a, &again, &again_n));
    ASSERT(again_n == argc);
    for (size_t i = 0; i < argc; i++)
        ASSERT(bytes_eq(argv[i], again[i]));
    buf_done(&b);
}

static void check_quote(struct bytes s, struct arena *a)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    ASSERT(text_quote(&b, s) == 0);
    struct bytes *argv;
    size_t argc;
    ASSERT(text_split(buf_bytes(&b), a, &argv, &argc));
    ASSERT(argc == 1);
    ASSERT(bytes_eq(argv[0], s));
    buf_done(&b);
}

static void check_memory(struct bytes s)
{
    uint64_t v;
    char text[TEXT_MEMORY_MAX];
    if (!text_parse_memory(s, &v))
        return;
    size_t n = text_format_memory(text, v);
    ASSERT(n > 0 && n < sizeof text && text[n] == '\0');
}

static void check_hex(struct bytes s, struct arena *a)
{
    char *hex = arena_alloc(a, 2 * s.n), *back = arena_alloc(a, s.n);
    text_hex(hex, s.p, s.n);
    ASSERT(text_unhex(back, s.n, bytes_of(hex, 2 * s.n)));
    ASSERT(bytes_eq(bytes_of(back, s.n), s));
    if (text_unhex(back, s.n / 2, s))
        ASSERT(s.n % 2 == 0);
}

static void check_distance(struct bytes s)
{
    struct bytes a = bytes_of(s.p, s.n / 2), b = bytes_of(s.p + s.n / 2, s.n - s.n / 2);
    size_t d = text_distance(a, b, TEXT_DISTANCE_MAX);
    ASSERT(d == text_distance(b, a, TEXT_DISTANCE_MAX));
    if (d == TEXT_FAR) {
        ASSERT(b.n > TEXT_DISTANCE_MAX);
        return;
    }
    ASSERT(d >= b.n - a.n);
    ASSERT(d <= b.n);
    if (d)
        ASSERT(text_distance(a, b, d - 1) == TEXT_FAR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena a;
    struct bytes s = bytes_of(data, size);
    check_split(s, &a);
    check_quote(s, &a);
    check_memory(s);
    if (size)
        check_hex(s, &a);
    check_distance(s);
    arena_reset(&a);
    return 0;
}
