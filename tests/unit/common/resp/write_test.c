/* The reply writer, in both protocols. */
#include <criterion/criterion.h>

#include "common/resp/write.h"

static struct writer_buf b;

static struct writer *w(int resp)
{
    writer_buf_done(&b);
    writer_buf_init(&b, resp);
    return &b.w;
}

static void expect(const char *text)
{
    struct bytes got = writer_buf_bytes(&b);
    cr_assert(bytes_eq(got, bytes_of_str(text)), "got '%.*s', not '%s'", (int)got.n, got.p, text);
}

Test(resp_write, kinds_differ_between_the_protocols)
{
    static const struct {
        void (*put)(struct writer *);
        const char *resp2, *resp3;
    } cases[] = {
        { resp_ok, "+OK\r\n", "+OK\r\n" },
        { resp_null, "$-1\r\n", "_\r\n" },
        { resp_null_array, "*-1\r\n", "_\r\n" },
        { resp_empty_array, "*0\r\n", "*0\r\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cases[i].put(w(2));
        expect(cases[i].resp2);
        cases[i].put(w(3));
        expect(cases[i].resp3);
    }
    resp_map(w(2), 3), expect("*6\r\n");
    resp_map(w(3), 3), expect("%3\r\n");
    resp_set(w(2), 3), expect("*3\r\n");
    resp_set(w(3), 3), expect("~3\r\n");
    resp_push(w(2), 3), expect("*3\r\n");
    resp_push(w(3), 3), expect(">3\r\n");
    resp_bool(w(2), true), expect(":1\r\n");
    resp_bool(w(3), true), expect("#t\r\n");
    resp_bool(w(3), false), expect("#f\r\n");
    resp_double(w(2), 0.1), expect("$3\r\n0.1\r\n");
    resp_double(w(3), 0.1), expect(",0.1\r\n");
    resp_big_number(w(2), BYTES("123")), expect("$3\r\n123\r\n");
    resp_big_number(w(3), BYTES("123")), expect("(123\r\n");
    resp_verbatim(w(2), "txt", BYTES("hi")), expect("$2\r\nhi\r\n");
    resp_verbatim(w(3), "txt", BYTES("hi")), expect("=6\r\ntxt:hi\r\n");
    writer_buf_done(&b);
}

Test(resp_write, numbers_at_their_limits)
{
    resp_int(w(2), INT64_MIN), expect(":-9223372036854775808\r\n");
    resp_int(w(2), 10), expect(":10\r\n");
    resp_bulk_i64(w(2), INT64_MAX), expect("$19\r\n9223372036854775807\r\n");
    writer_buf_done(&b);
}

Test(resp_write, no_content_can_split_a_line)
{
    resp_error(w(2), BYTES("ERR a\r\n+OK\nb"));
    expect("-ERR a  +OK b\r\n");
    resp_simple(w(2), BYTES("x\r\ny"));
    expect("+x  y\r\n");
    resp_simple(w(2), BYTES(""));
    expect("+\r\n");
    writer_buf_done(&b);
}

Test(resp_write, long_bulks_and_lines_are_whole)
{
    static char text[20000];
    memset(text, 'z', sizeof(text));
    resp_bulk(w(2), bytes_of(text, sizeof(text)));
    struct bytes got = writer_buf_bytes(&b);
    cr_assert_eq(got.n, 8 + sizeof(text) + 2);
    cr_assert(memcmp(got.p, "$20000\r\n", 8) == 0 && got.p[got.n - 3] == 'z');
    resp_simple(w(2), bytes_of(text, sizeof(text)));
    cr_assert_eq(writer_buf_bytes(&b).n, sizeof(text) + 3);
    writer_buf_done(&b);
}

Test(resp_write, lengths_that_come_later_may_nest)
{
    struct writer *to = w(2);
    struct writer_mark outer = resp_later(to);
    resp_int(to, 1);
    struct writer_mark inner = resp_later(to);
    resp_int(to, 2);
    resp_int(to, 3);
    resp_later_array(to, inner, 2);
    resp_later_array(to, outer, 2);
    expect("*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n");
    writer_buf_done(&b);
}

Test(resp_write, errors_are_counted)
{
    struct writer *to = w(2);
    resp_error_str(to, "ERR one");
    resp_errorf(to, "ERR %d", 2);
    cr_assert_eq(to->errors, 2);
    writer_buf_done(&b);
}
