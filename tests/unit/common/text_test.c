/* Lines of arguments, quoting, sizes, near misses. */
#include "common/text.h"

#include <criterion/criterion.h>

#include "common/prng.h"

#define BAD "unbalanced"

/* Arguments joined with '|', or BAD. */
static const char *split(struct bytes line)
{
    static char out[1000];
    struct arena a = { 0 };
    struct bytes *argv;
    size_t argc, n = 0;
    if (!text_split(line, &a, &argv, &argc)) {
        arena_done(&a);
        return BAD;
    }
    for (size_t i = 0; i < argc; i++) {
        if (i)
            out[n++] = '|';
        memcpy(out + n, argv[i].p, argv[i].n);
        n += argv[i].n;
    }
    out[n] = '\0';
    arena_done(&a);
    return out;
}

Test(text, lines_split_by_the_rules_of_inline_commands)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "  \t ", "" },
        { "PING", "PING" },
        { " set  k\tv \r\n", "set|k|v" },
        { "ECHO \"a\\x41\\n\\q\\x4\"", "ECHO|aA\nqx4" },
        { "\"\\r\\t\\b\\a\\\\\\\"\"", "\r\t\b\a\\\"" },
        { "ECHO 'a\\'b\\n'", "ECHO|a'b\\n" },
        { "ECHO \"\"", "ECHO|" },
        { "ECHO '' x", "ECHO||x" },
        { "ECHO a\"b c\"", "ECHO|ab c" },
        { "ECHO a'b c'", "ECHO|ab c" },
        { "ECHO \"a\"b", BAD },
        { "ECHO 'a'b", BAD },
        { "ECHO a\"b c\"d", BAD },
        { "ECHO \"a", BAD },
        { "ECHO 'a", BAD },
        { "ECHO \"a\\", BAD },
        { "ECHO 'a\\", BAD },
        { "ECHO \"\\\"", BAD },
        { "ECHO \"\\x", BAD },
        { "ECHO \"\\x0g\"", "ECHO|x0g" },
        { "ECHO \\n", "ECHO|\\n" },
        { "ECHO\vfoo", "ECHO\vfoo" },
        { "\vECHO \"foo\"\v", "ECHO|foo" },
        { "save ''", "save|" },
        { "1 2 3 4 5 6 7 8 9 10", "1|2|3|4|5|6|7|8|9|10" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_assert_str_eq(split(bytes_of_str(cases[i][0])), cases[i][1], "%s gave %s", cases[i][0],
                         split(bytes_of_str(cases[i][0])));
    cr_assert_str_eq(split(BYTES("a b\0c d")), "a|b", "a NUL ends the line");
    cr_assert_str_eq(split(BYTES("a \"b\0c\"")), BAD);
    cr_assert_str_eq(split(bytes_of(NULL, 0)), "");
}

Test(text, quoting_shows_what_monitor_shows)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    cr_assert_eq(text_quote(&b, BYTES("a\"b\\c\n\r\t\a\b\0\x1f\x7f\xff ~'")), 0);
    cr_assert_str_eq(buf_cstr(&b), "\"a\\\"b\\\\c\\n\\r\\t\\a\\b\\x00\\x1f\\x7f\\xff ~'\"");
    buf_clear(&b);
    cr_assert_eq(text_quote(&b, bytes_of(NULL, 0)), 0);
    cr_assert_str_eq(buf_cstr(&b), "\"\"");
    buf_done(&b);
    struct buf small = BUF_INIT(6);
    cr_assert_neq(text_quote(&small, BYTES("\1\2\3")), 0);
    cr_assert_leq(small.n, 6);
    buf_done(&small);
}

Test(text, what_is_quoted_splits_back_to_itself)
{
    struct prng r;
    prng_init(&r, 1);
    struct arena a = { 0 };
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 20000; i++) {
        char raw[40];
        size_t n = prng_below(&r, sizeof raw);
        for (size_t k = 0; k < n; k++)
            raw[k] = (char)prng_u64(&r);
        buf_clear(&b);
        text_quote(&b, bytes_of(raw, n));
        buf_append_str(&b, " x");
        struct bytes *argv;
        size_t argc;
        cr_assert(text_split(buf_bytes(&b), &a, &argv, &argc));
        cr_assert_eq(argc, 2);
        cr_assert(bytes_eq(argv[0], bytes_of(raw, n)));
        arena_reset(&a);
    }
    buf_done(&b);
    arena_done(&a);
}

Test(text, memory_sizes_are_read_as_in_the_configuration)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "1", true, 1 },
        { "007", true, 7 },
        { "10b", true, 10 },
        { "1k", true, 1000 },
        { "1KB", true, 1024 },
        { "1Kb", true, 1024 },
        { "1m", true, 1000000 },
        { "64mb", true, 64 * 1024 * 1024 },
        { "1g", true, 1000000000 },
        { "1gb", true, 1024 * 1024 * 1024 },
        { "100GB", true, 100ull * 1024 * 1024 * 1024 },
        { "", true, 0 }, /* no digits count as 0 */
        { "mb", true, 0 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", true, UINT64_MAX },
        { "99999999999999999999999", true, UINT64_MAX },
        { "17179869183gb", true, 17179869183ull << 30 },
        { "17179869184gb", false, 0 },
        { "99999999999999999999999k", false, 0 },
        { "1t", false, 0 },
        { "1tb", false, 0 },
        { "1bb", false, 0 },
        { "-1", false, 0 },
        { "-5mb", false, 0 },
        { "+5", false, 0 },
        { "1.5gb", false, 0 },
        { "1 gb", false, 0 },
        { "1gb ", false, 0 },
        { " 5", false, 0 },
        { "0x10", false, 0 },
        { "10%", false, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t v = 77;
        bool ok = text_parse_memory(bytes_of_str(cases[i].text), &v);
        cr_assert_eq(ok, cases[i].ok, "%s", cases[i].text);
        cr_assert_eq(v, ok ? cases[i].value : 77, "%s gave %llu", cases[i].text,
                     (unsigned long long)v);
    }
}

Test(text, memory_sizes_print_as_in_info)
{
    static const struct {
        uint64_t v;
        const char *text;
    } cases[] = {
        { 0, "0B" },
        { 812, "812B" },
        { 1023, "1023B" },
        { 1024, "1.00K" },
        { 1536, "1.50K" },
        { 1024 * 1024 - 1, "1024.00K" },
        { 1024 * 1024, "1.00M" },
        { 1572864, "1.50M" },
        { 2469606195, "2.30G" },
        { 1ull << 40, "1.00T" },
        { 1ull << 50, "1.00P" },
    };
    char text[TEXT_MEMORY_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(text_format_memory(text, cases[i].v), strlen(cases[i].text));
        cr_assert_str_eq(text, cases[i].text);
    }
    cr_assert_gt(text_format_memory(text, UINT64_MAX), 0);
}

Test(text, letters_and_hex)
{
    char s[] = "MaX-\xc4 9[`{";
    text_lower(s, sizeof s - 1);
    cr_assert_str_eq(s, "max-\xc4 9[`{");
    char hex[8];
    text_hex(hex, "\x00\xff\x1a\xb2", 4);
    cr_assert_eq(memcmp(hex, "00ff1ab2", 8), 0);
    char raw[4] = "....";
    cr_assert(text_unhex(raw, 4, BYTES("00fF1aB2")));
    cr_assert_eq(memcmp(raw, "\x00\xff\x1a\xb2", 4), 0);
    static const char *const refused[] = {
        "", "00ff1ab", "00ff1ab2c", "00ff1ab200", "00ff1ag2", "0x001122",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        cr_assert_not(text_unhex(raw, 4, bytes_of_str(refused[i])), "%s", refused[i]);
    cr_assert_eq(memcmp(raw, "\x00\xff\x1a\xb2", 4), 0, "untouched");
}

Test(text, distance_counts_edits)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        { "", "", 0 },
        { "abc", "", 3 },
        { "maxmemory", "MAXMEMORY", 0 },
        { "maxmemory", "maxmemroy", 1 }, /* neighbours swapped */
        { "maxmemory", "maxmemor", 1 },
        { "maxmemory", "maxxmemory", 1 },
        { "kitten", "sitting", 3 },
        { "ab", "ba", 1 },
        { "appendonly", "append-only", 1 },
        { "flaw", "lawn", 2 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes a = bytes_of_str(cases[i].a), b = bytes_of_str(cases[i].b);
        size_t d = cases[i].distance;
        cr_assert_eq(text_distance(a, b, 10), d, "%s %s", cases[i].a, cases[i].b);
        cr_assert_eq(text_distance(b, a, d), d);
        if (d)
            cr_assert_eq(text_distance(a, b, d - 1), TEXT_FAR);
    }
    char longest[TEXT_DISTANCE_MAX + 1];
    memset(longest, 'x', sizeof longest);
    cr_assert_eq(text_distance(bytes_of(longest, sizeof longest), BYTES("x"), SIZE_MAX), TEXT_FAR);
    struct bytes just = bytes_of(longest, sizeof longest - 1);
    cr_assert_eq(text_distance(just, BYTES("x"), SIZE_MAX - 1), TEXT_DISTANCE_MAX - 1);
}
