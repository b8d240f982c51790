/* Numbers as text: what is read prints back, and reading agrees with the C library where that is
 * the rule. */
#include "common/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "common/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_integers(struct bytes s)
{
    char text[NUM_I64_MAX];
    int64_t i;
    uint64_t u;
    bool is_i64 = num_parse_i64(s, &i), is_u64 = num_parse_u64(s, &u);
    if (is_i64) { /* canonical: printing gives the very text */
        ASSERT(bytes_eq(bytes_of(text, num_format_i64(text, i)), s));
        ASSERT(num_len_i64(i) == s.n);
    }
    if (is_u64) {
        ASSERT(bytes_eq(bytes_of(text, num_format_u64(text, u)), s));
        ASSERT(num_digits10(u) == s.n);
    }
    if (is_i64 && i >= 0)
        ASSERT(is_u64 && u == (uint64_t)i);
}

static void check_double_text(double v)
{
    char text[NUM_DOUBLE_MAX];
    size_t n = num_format_double(text, v);
    ASSERT(n > 0 && n <= sizeof text);
    double back;
    bool ok = num_parse_double(bytes_of(text, n), &back);
    ASSERT(ok == !isnan(v));
    if (ok)
        ASSERT(back == v && signbit(back) == signbit(v));
}

static void check_double(struct bytes s)
{
    char *text = malloc(s.n + 1);
    ASSERT(text != NULL);
    if (s.n)
        memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    char *end;
    errno = 0;
    double expect = strtod(text, &end);
    bool ok = s.n && !isspace((unsigned char)text[0]) && end == text + s.n && !isnan(expect) &&
              !(errno == ERANGE && (isinf(expect) || expect == 0));
    free(text);

    double v;
    ASSERT(num_parse_double(s, &v) == ok);
    if (ok) {
        ASSERT(v == expect);
        check_double_text(v);
    }
}

static void check_long_double(struct bytes s)
{
    char text[NUM_LONG_DOUBLE_MAX];
    long double v, back;
    if (!num_parse_long_double(s, &v))
        return;
    size_t n = num_format_long_double(text, v);
    ASSERT(n > 0 && n <= sizeof text);
    ASSERT(num_parse_long_double(bytes_of(text, n), &back));
    ASSERT(back == v || fabsl(back - v) < 1e-17L); /* 17 decimals are kept */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes s = bytes_of(data, size);
    check_integers(s);
    check_double(s);
    check_long_double(s);
    if (size >= sizeof(double)) {
        double v;
        memcpy(&v, data, sizeof v);
        check_double_text(v);
    }
    return 0;
}
