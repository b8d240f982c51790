/* The reader of replies: every kind of token, cut anywhere, and what is none. */
#include "common/resp/read.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { BULK_MAX = 1000 };

struct whole {
    const char *in;
    char kind;
    bool null;
    int64_t n;
    const char *text;
};

static const struct whole wholes[] = {
    { "+OK\r\n", '+', false, 0, "OK" },
    { "+\r\n", '+', false, 0, "" },
    { "-ERR no such key\r\n", '-', false, 0, "ERR no such key" },
    { ":-12\r\n", ':', false, -12, "-12" },
    { ",1.5\r\n", ',', false, 0, "1.5" },
    { "#t\r\n", '#', false, 0, "t" },
    { "(123456789012345678901\r\n", '(', false, 0, "123456789012345678901" },
    { "_\r\n", '_', true, 0, "" },
    { "$5\r\nhello\r\n", '$', false, 5, "hello" },
    { "$2\r\n\r\n\r\n", '$', false, 2, "\r\n" },
    { "$0\r\n\r\n", '$', false, 0, "" },
    { "$-1\r\n", '$', true, 0, "" },
    { "=7\r\ntxt:abc\r\n", '=', false, 7, "txt:abc" },
    { "!3\r\nERR\r\n", '!', false, 3, "ERR" },
    { "*3\r\n", '*', false, 3, "3" },
    { "*0\r\n", '*', false, 0, "0" },
    { "*-1\r\n", '*', true, 0, "" },
    { "%2\r\n", '%', false, 4, "2" },
    { "~2\r\n", '~', false, 2, "2" },
    { ">2\r\n", '>', false, 2, "2" },
};

Test(resp_read, a_token_is_read_whole_and_more_is_asked_for_wherever_it_is_cut)
{
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        const struct whole *t = &wholes[i];
        size_t n = strlen(t->in);
        for (size_t cut = 0; cut < n; cut++) {
            char *copy = malloc(cut + 1); /* a sanitizer sees what is read behind it */
            memcpy(copy, t->in, cut);
            struct resp_token token;
            cr_assert_eq(resp_read(bytes_of(copy, cut), BULK_MAX, &token), RESP_READ_MORE, "%s cut at %zu", t->in, cut);
            free(copy);
        }
        struct resp_token token;
        char more[64];
        int all = snprintf(more, sizeof more, "%s+next\r\n", t->in);
        cr_assert_eq(resp_read(bytes_of(more, (size_t)all), BULK_MAX, &token), RESP_READ_TOKEN, "%s", t->in);
        cr_expect_eq(token.kind, t->kind);
        cr_expect_eq(token.null, t->null, "%s", t->in);
        cr_expect_eq(token.n, t->n, "%s: %lld", t->in, (long long)token.n);
        cr_expect(bytes_eq(token.text, bytes_of_str(t->text)), "%s: '%.*s'", t->in, (int)token.text.n, token.text.p);
        cr_expect_eq(token.used, n, "%s", t->in);
    }
}

Test(resp_read, what_is_no_resp_is_refused)
{
    static const char *const bad[] = {
        "hello\r\n", "\r\n", "+OK\rx", ":\r\n", ":1x\r\n", "$-2\r\n", "$x\r\n", "$1001\r\n", "$1\r\nab\r\n",
        "$9223372036854775807\r\n", "*-2\r\n", "*9223372036854775807\r\n", "%-1\r\n", "*1.5\r\n", "$3\r\nabc\rx",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct resp_token token = { .kind = 'x' };
        cr_expect_eq(resp_read(bytes_of_str(bad[i]), BULK_MAX, &token), RESP_READ_ERROR, "%s", bad[i]);
        cr_expect_eq(token.kind, 'x', "untouched on failure");
    }
    cr_expect_eq(resp_read(bytes_of("\0\r\n", 3), BULK_MAX, &(struct resp_token){ 0 }), RESP_READ_ERROR);
}

Test(resp_read, a_line_without_an_end_is_given_up)
{
    char line[RESP_READ_LINE_MAX + 10];
    memset(line, 'x', sizeof line);
    line[0] = '-';
    struct resp_token token;
    cr_expect_eq(resp_read(bytes_of(line, RESP_READ_LINE_MAX - 1), BULK_MAX, &token), RESP_READ_MORE);
    cr_expect_eq(resp_read(bytes_of(line, RESP_READ_LINE_MAX), BULK_MAX, &token), RESP_READ_ERROR);
}
