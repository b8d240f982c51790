/* Matching without recursion: see glob.h.
 *
 * Every element but the star takes exactly one byte of the text. So on a mismatch it is enough to
 * go back to the last star and let it take one byte more: what matched before it needs no second
 * try, since an earlier star taking more could only make less text available to the rest. */
#include "common/glob.h"

/* What Redis compares: plain char, signed on our machines. This decides how a range with bytes over
 * 127 is read. */
static int fold(char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (signed char)c;
}

/* One set, from behind its '['. Returns where the pattern goes on; *ret_match: whether c is meant.
 * */
static const char *match_set(const char *p, const char *end, char text_c, bool nocase,
                             bool *ret_match)
{
    bool inverted = p < end && *p == '^';
    p += inverted;
    int c = fold(text_c, nocase);
    bool match = false;
    while (p < end && *p != ']') {
        if (*p == '\\' && end - p >= 2) {
            match |= p[1] == text_c; /* Redis minds the case of escaped bytes */
            p += 2;
        } else if (end - p >= 3 && p[1] == '-') {
            int from = (signed char)p[0], to = (signed char)p[2];
            if (from > to) {
                int t = from;
                from = to;
                to = t;
            }
            if (nocase) {
                from = fold((char)from, true);
                to = fold((char)to, true);
            }
            match |= c >= from && c <= to;
            p += 3;
        } else {
            match |= fold(*p, nocase) == c;
            p++;
        }
    }
    *ret_match = match != inverted;
    return p < end ? p + 1 : p; /* behind the ']' when there is one */
}

/* One element that is not a star against one byte. Returns behind it, or NULL where they differ. */
static inline const char *match_one(const char *p, const char *end, char c, bool nocase)
{
    bool match;
    switch (*p) {
    case '?':
        return p + 1;
    case '[':
        p = match_set(p + 1, end, c, nocase, &match);
        return match ? p : NULL;
    case '\\':
        if (end - p >= 2)
            p++;
        break;
    default:
        break;
    }
    match = nocase ? fold(*p, true) == fold(c, true) : *p == c;
    return match ? p + 1 : NULL;
}

static inline bool is_special(char c)
{
    return c == '*' || c == '?' || c == '[' || c == '\\';
}

static inline bool match(struct bytes pattern, struct bytes text, bool nocase)
{
    const char *p = pattern.p, *p_end = pattern.p + pattern.n;
    const char *t = text.p, *t_end = text.p + text.n;
    const char *star = NULL, *star_t = NULL; /* behind the last star; where its rest was tried */

    if (t == t_end) /* not even a star matches the empty text: Redis' loop wants both to be there */
        return p == p_end;
    while (t < t_end) {
        if (p < p_end && *p == '*') {
            while (p < p_end && *p == '*')
                p++;
            if (p == p_end)
                return true;
            star = p;
            star_t = t;
        } else {
            const char *next = p < p_end ? match_one(p, p_end, *t, nocase) : NULL;
            if (next) {
                p = next;
                t++;
                continue;
            }
            if (!star)
                return false;
            p = star;
            star_t++;
        }
        if (!nocase && !is_special(*star)) { /* straight to where the rest can begin */
            star_t = memchr(star_t, *star, (size_t)(t_end - star_t));
            if (!star_t)
                return false;
        }
        t = star_t;
    }
    while (p < p_end && *p == '*')
        p++;
    return p == p_end;
}

bool glob_match(struct bytes pattern, struct bytes text)
{
    return match(pattern, text, false);
}

bool glob_match_nocase(struct bytes pattern, struct bytes text)
{
    return match(pattern, text, true);
}

bool glob_is_literal(struct bytes pattern)
{
    for (size_t i = 0; i < pattern.n; i++)
        if (is_special(pattern.p[i]))
            return false;
    return true;
}
