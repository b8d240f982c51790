/* Globs against a model without backtracking: the set of places in the text that the pattern so far
 * can reach.
 *
 * Input: one byte n, n bytes of pattern, the rest is text. */
#include "common/glob.h"

#include <stdlib.h>

#include "common/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fold(char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? c + 32 : (signed char)c;
}

static bool one(const char *p, const char *end, char c, bool nocase)
{
    int x = fold(c, nocase);
    if (*p == '?')
        return true;
    if (*p == '\\')
        return fold(end - p > 1 ? p[1] : *p, nocase) == x;
    if (*p != '[')
        return fold(*p, nocase) == x;
    bool match = false, inverted = end - p > 1 && p[1] == '^';
    for (p += inverted ? 2 : 1; p < end && *p != ']';) {
        if (*p == '\\' && end - p > 1) {
            match |= p[1] == c;
            p += 2;
        } else if (end - p > 2 && p[1] == '-') {
            signed char a = (signed char)p[0], b = (signed char)p[2];
            int low = fold((char)(a < b ? a : b), nocase),
                high = fold((char)(a < b ? b : a), nocase);
            match |= x >= low && x <= high;
            p += 3;
        } else {
            match |= fold(*p++, nocase) == x;
        }
    }
    return match != inverted;
}

static const char *behind(const char *p, const char *end)
{
    if (*p == '\\')
        return end - p > 1 ? p + 2 : p + 1;
    if (*p != '[')
        return p + 1;
    for (p += end - p > 1 && p[1] == '^' ? 2 : 1; p < end && *p != ']';)
        p += *p == '\\' && end - p > 1 ? 2 : end - p > 2 && p[1] == '-' ? 3 : 1;
    return p < end ? p + 1 : p;
}

static bool model(struct bytes pattern, struct bytes text, bool nocase)
{
    if (text.n == 0)
        return pattern.n == 0;
    bool *reached = calloc(text.n + 1, 1);
    ASSERT(reached != NULL);
    reached[0] = true;
    const char *end = pattern.p + pattern.n;
    for (const char *p = pattern.p; p < end;) {
        if (*p == '*') {
            for (size_t i = 0; i < text.n; i++)
                reached[i + 1] |= reached[i];
            p++;
            continue;
        }
        for (size_t i = text.n; i > 0; i--)
            reached[i] = reached[i - 1] && one(p, end, text.p[i - 1], nocase);
        reached[0] = false;
        p = behind(p, end);
    }
    bool match = reached[text.n];
    free(reached);
    return match;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t n = data[0] < size - 1 ? data[0] : size - 1;
    struct bytes pattern = bytes_of(data + 1, n), text = bytes_of(data + 1 + n, size - 1 - n);
    ASSERT(glob_match(pattern, text) == model(pattern, text, false));
    ASSERT(glob_match_nocase(pattern, text) == model(pattern, text, true));
    if (glob_is_literal(pattern))
        ASSERT(glob_match(pattern, text) == bytes_eq(pattern, text));
    return 0;
}
