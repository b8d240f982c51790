/* Globs. Odd patterns behave as servers were seen to behave; a slow recursive matcher written from
 * the rules of the header is the model for random ones. */
#include "common/glob.h"

#include <criterion/criterion.h>
#include <time.h>

#include "common/alloc.h"
#include "common/prng.h"

struct glob_case {
    const char *pattern, *text;
    bool match;
};

static const struct glob_case cases[] = {
    { "*", "anything", true },
    { "**", "anything", true },
    { "*", "", false }, /* needs a byte to begin with */
    { "**", "", false },
    { "", "", true },
    { "", "a", false },
    { "a", "", false },
    { "?", "", false },
    { "abc", "abc", true },
    { "abc", "abd", false },
    { "abc", "abcd", false },
    { "abcd", "abc", false },
    { "abc*", "abc", true },
    { "a?c", "abc", true },
    { "a?c", "ac", false },
    { "a*c", "abbbc", true },
    { "a*c", "abbb", false },
    { "a*b*c", "aXbYbZc", true },
    { "*a*b*", "xxaxxbxx", true },
    { "*ab", "aab", true },
    { "*aab", "aaab", true },
    { "*?", "a", true },
    { "?*", "a", true },
    { "*??", "a", false },
    { "h[ae]llo", "hello", true },
    { "h[ae]llo", "hillo", false },
    { "h[^e]llo", "hallo", true },
    { "h[^e]llo", "hello", false },
    { "h[a-c]llo", "hbllo", true },
    { "h[a-c]llo", "hdllo", false },
    { "h[c-a]llo", "hbllo", true }, /* backwards */
    { "[]", "a", false },
    { "[]", "]", false },
    { "[]]", "]", false },
    { "[^]", "a", true },
    { "[^]]", "a]", true },
    { "[", "a", false },
    { "[^", "a", true },
    { "[a", "a", true }, /* not closed: ends with the pattern */
    { "[a", "b", false },
    { "[a-", "a", true },
    { "[a-", "-", true },
    { "[a-c", "b", true },
    { "[a-]", "b", false }, /* a range up to ']', and then not closed */
    { "[a-]", "^", true },
    { "[a-]", "a", true },
    { "[--a]", "A", true },
    { "[a^]", "^", true },
    { "[^^]", "^", false },
    { "[\\]]", "]", true },
    { "[\\a-c]", "b", false }, /* an escape is no range */
    { "[\\a-c]", "-", true },
    { "[a-\\]]", "a]", true }, /* '\\' is the end of the range here */
    { "[\\", "\\", true },
    { "[[]", "[", true },
    { "\\*", "*", true },
    { "\\*", "a", false },
    { "\\", "\\", true },
    { "a\\", "a\\", true },
    { "\\\\", "\\", true },
    { "\\a", "a", true },
    { "*\\", "x\\", true },
    { "*[", "x", false },
    { "ABC", "abc", false },
    { "[A-Z]", "a", false },
    { "news.*", "news.", true },
    { "a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaac", false },
};

Test(glob, patterns_match_what_redis_matches)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct glob_case *c = &cases[i];
        cr_assert_eq(glob_match(bytes_of_str(c->pattern), bytes_of_str(c->text)), c->match,
                     "%s on %s", c->pattern, c->text);
    }
}

Test(glob, bytes_over_127_are_signed_in_ranges)
{
    cr_assert(glob_match(BYTES("[a-\xff]"), BYTES("\x10")));
    cr_assert_not(glob_match(BYTES("[a-\xff]"), BYTES("b")));
    cr_assert(glob_match(BYTES("[\x80-\xff]"), BYTES("\xc0")));
    cr_assert(glob_match(BYTES("\xe2\x82?"), BYTES("\xe2\x82\xac")));
    cr_assert(glob_match(BYTES("a\0*"), BYTES("a\0b")));
    cr_assert_not(glob_match(BYTES("a\0c"), BYTES("a\0b")));
}

Test(glob, without_case_letters_are_equal)
{
    cr_assert(glob_match_nocase(BYTES("MAX*"), BYTES("maxmemory")));
    cr_assert(glob_match_nocase(BYTES("[A-C]x"), BYTES("bX")));
    cr_assert(glob_match_nocase(BYTES("[B]"), BYTES("b")));
    cr_assert_not(glob_match_nocase(BYTES("[\\B]"), BYTES("b")), "escaped in a set: as it is");
    cr_assert(glob_match_nocase(BYTES("*\\B"), BYTES("ab")));
    cr_assert_not(glob_match_nocase(BYTES("max"), BYTES("min")));
    cr_assert(glob_match_nocase(BYTES("*E*y"), BYTES("maxmemorY")));
}

Test(glob, literals_are_recognized)
{
    cr_assert(glob_is_literal(BYTES("user:1000")));
    cr_assert(glob_is_literal(BYTES("a]-^")));
    cr_assert_not(glob_is_literal(BYTES("user:*")));
    cr_assert_not(glob_is_literal(BYTES("user:?")));
    cr_assert_not(glob_is_literal(BYTES("user:[1]")));
    cr_assert_not(glob_is_literal(BYTES("user\\:")));
}

/* The model: recursion on every star. */
static const char *model_set(const char *p, const char *end, char c, bool *ret_match)
{
    bool inverted = p < end && *p == '^', match = false;
    for (p += inverted; p < end && *p != ']';) {
        if (*p == '\\' && end - p >= 2) {
            match |= p[1] == c;
            p += 2;
        } else if (end - p >= 3 && p[1] == '-') {
            signed char a = (signed char)p[0], b = (signed char)p[2], x = (signed char)c;
            match |= a <= b ? x >= a && x <= b : x >= b && x <= a;
            p += 3;
        } else {
            match |= *p++ == c;
        }
    }
    *ret_match = match != inverted;
    return p < end ? p + 1 : p;
}

static bool model(const char *p, const char *end, const char *t, const char *t_end)
{
    if (p == end)
        return t == t_end;
    if (*p == '*') {
        for (const char *from = t; from <= t_end; from++)
            if (model(p + 1, end, from, t_end))
                return true;
        return false;
    }
    if (t == t_end)
        return false;
    if (*p == '[') {
        bool match;
        p = model_set(p + 1, end, *t, &match);
        return match && model(p, end, t + 1, t_end);
    }
    if (*p == '\\' && end - p >= 2)
        p++;
    else if (*p == '?')
        return model(p + 1, end, t + 1, t_end);
    return *p == *t && model(p + 1, end, t + 1, t_end);
}

Test(glob, random_patterns_agree_with_a_recursive_model)
{
    static const char alphabet[] = "ab-]^[\\*?*\xff";
    struct prng r;
    prng_init(&r, 1);
    int matches = 0;
    for (int i = 0; i < 500000; i++) {
        char p[10], t[10];
        size_t p_n = prng_below(&r, 9), t_n = prng_below(&r, 8) + 1;
        for (size_t k = 0; k < p_n; k++)
            p[k] = alphabet[prng_below(&r, sizeof alphabet - 1)];
        for (size_t k = 0; k < t_n; k++)
            t[k] = alphabet[prng_below(&r, 4)];
        bool expect = model(p, p + p_n, t, t + t_n);
        matches += expect;
        cr_assert_eq(glob_match(bytes_of(p, p_n), bytes_of(t, t_n)), expect, "%.*s on %.*s",
                     (int)p_n, p, (int)t_n, t);
    }
    cr_assert_gt(matches, 10000);
}

Test(glob, many_stars_do_not_take_exponential_time)
{
    enum { N = 20000 };
    char *text = mem_alloc(N), pattern[101];
    memset(text, 'a', N);
    for (int i = 0; i < 100; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[100] = 'b';
    clock_t begin = clock();
    cr_assert_not(glob_match(bytes_of(pattern, sizeof pattern), bytes_of(text, N)));
    cr_assert_lt((double)(clock() - begin) / CLOCKS_PER_SEC, 2.0);
    mem_free(text);
}
