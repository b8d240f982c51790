/* The growable buffer: it keeps its maximum, and its content when something does not fit. */
#include "common/buf.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "common/alloc.h"

Test(buf, appends_accumulate_in_order)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    cr_assert_eq(buf_append(&b, BYTES("one ")), 0);
    cr_assert_eq(buf_append_str(&b, "two"), 0);
    cr_assert_eq(buf_append_char(&b, ' '), 0);
    cr_assert_eq(buf_printf(&b, "%d-%s", 3, "three"), 0);
    cr_assert_eq(buf_append(&b, bytes_of(NULL, 0)), 0);
    cr_assert(bytes_eq(buf_bytes(&b), BYTES("one two 3-three")));
    cr_assert_str_eq(buf_cstr(&b), "one two 3-three");
    cr_assert_eq(b.n, 15, "the NUL does not count");
    buf_done(&b);
    cr_assert_eq(b.n + b.cap, 0);
    cr_assert_eq(buf_append_char(&b, 'x'), 0, "usable again");
    buf_done(&b);
}

Test(buf, the_maximum_is_exact_and_a_refused_append_changes_nothing)
{
    struct buf b;
    buf_init(&b, 10);
    cr_assert_eq(buf_append_str(&b, "01234567"), 0);
    cr_assert_eq(buf_append_str(&b, "89a"), -ENOMEM);
    cr_assert_eq(buf_printf(&b, "%s", "89a"), -ENOMEM);
    cr_assert_eq(buf_reserve(&b, SIZE_MAX), -ENOMEM);
    cr_assert(bytes_eq(buf_bytes(&b), BYTES("01234567")));
    cr_assert_eq(buf_append_str(&b, "89"), 0);
    cr_assert_eq(buf_append_char(&b, 'a'), -ENOMEM);
    cr_assert_null(buf_cstr(&b), "no room for the NUL");
    cr_assert(bytes_eq(buf_bytes(&b), BYTES("0123456789")));
    cr_assert_leq(b.cap, 10);
    buf_done(&b);
}

Test(buf, long_printf_is_whole)
{
    struct buf b = BUF_INIT(5000);
    cr_assert_eq(buf_printf(&b, "%*d", 4999, 7), 0);
    cr_assert_eq(b.n, 4999);
    cr_assert_eq(b.p[4998], '7');
    cr_assert_eq(b.p[0], ' ');
    cr_assert_eq(buf_printf(&b, "%s", "ab"), -ENOMEM);
    cr_assert_eq(buf_printf(&b, "%s", "a"), 0);
    buf_done(&b);
}

Test(buf, consume_drops_from_the_front)
{
    struct buf b = BUF_INIT(100);
    buf_append_str(&b, "abcdef");
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    cr_assert(bytes_eq(buf_bytes(&b), BYTES("cdef")));
    buf_consume(&b, 4);
    cr_assert_eq(b.n, 0);
    size_t cap = b.cap;
    buf_append_str(&b, "x");
    buf_clear(&b);
    cr_assert_eq(b.cap, cap, "clearing keeps the allocation");
    buf_done(&b);
}

Test(buf, growth_doubles)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    size_t growths = 0, cap = 0;
    for (int i = 0; i < 1000000; i++) {
        buf_append_char(&b, (char)i);
        growths += b.cap != cap;
        cap = b.cap;
    }
    cr_assert_leq(growths, 16);
    for (int i = 0; i < 1000000; i++)
        cr_assert_eq(b.p[i], (char)i);
    buf_done(&b);
}

Test(buf, missing_memory_is_reported_like_a_passed_maximum)
{
    struct buf b = BUF_INIT(1000000);
    buf_append_str(&b, "kept");
    mem_fail_after(1);
    cr_assert_eq(buf_reserve(&b, 500000), -ENOMEM);
    cr_assert(bytes_eq(buf_bytes(&b), BYTES("kept")));
    cr_assert_eq(buf_reserve(&b, 500000), 0);
    buf_done(&b);
}
