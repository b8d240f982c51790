#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tools/bench/replies.h"

struct seen {
    uint64_t errors, last; /* last: which reply of the stream failed last */
    uint64_t before;       /* replies of earlier calls */
    char text[REPLIES_TEXT_MAX + 1];
};

static void on_error(void *ctx, uint64_t nth, const char *text, size_t n)
{
    struct seen *s = ctx;
    s->errors++;
    s->last = s->before + nth;
    memcpy(s->text, text, n);
    s->text[n] = '\0';
}

/* Feeds the stream in pieces of `step` bytes; returns the number of replies. */
static uint64_t feed(const char *stream, size_t n, size_t step, struct replies *r, struct seen *s)
{
    *r = (struct replies){ 0 };
    *s = (struct seen){ 0 };
    struct replies_errors errors = { on_error, s };
    for (size_t at = 0; at < n; at += step) {
        /* a copy of exactly the piece's size, so that a sanitizer sees a read beyond it */
        char piece[4096];
        size_t k = n - at < step ? n - at : step;
        cr_assert(k <= sizeof piece);
        memcpy(piece, stream + at, k);
        s->before += replies_scan(r, piece, k, &errors);
    }
    return s->before;
}

static const struct {
    const char *name, *stream;
    uint64_t replies, errors;
} cases[] = {
    { "simple string", "+OK\r\n", 1, 0 },
    { "integers", ":1\r\n:-23\r\n:0\r\n", 3, 0 },
    { "bulk", "$5\r\nhello\r\n", 1, 0 },
    { "empty bulk", "$0\r\n\r\n", 1, 0 },
    { "null bulk", "$-1\r\n", 1, 0 },
    { "bulk that looks like replies", "$10\r\n+OK\r\n+OK\r\n\r\n+OK\r\n", 2, 0 },
    { "array", "*2\r\n$1\r\na\r\n:2\r\n", 1, 0 },
    { "empty and null arrays", "*0\r\n*-1\r\n+x\r\n", 3, 0 },
    { "nested arrays", "*2\r\n*2\r\n:1\r\n*0\r\n*1\r\n$3\r\nabc\r\n+OK\r\n", 2, 0 },
    { "map", "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", 1, 0 },
    { "empty map and set", "%0\r\n~0\r\n", 2, 0 },
    { "set", "~2\r\n+a\r\n+b\r\n", 1, 0 },
    { "RESP3 scalars", "_\r\n#t\r\n,1.5\r\n(12345678901234567890\r\n=7\r\ntxt:abc\r\n", 5, 0 },
    { "attribute before a reply", "|1\r\n+ttl\r\n:5\r\n$2\r\nhi\r\n", 1, 0 },
    { "attribute within an array", "*2\r\n|1\r\n+k\r\n+v\r\n:1\r\n:2\r\n", 1, 0 },
    { "a push is no reply", ">2\r\n+message\r\n$1\r\nx\r\n+OK\r\n", 1, 0 },
    { "error", "-ERR no\r\n+OK\r\n", 2, 1 },
    { "error in an array", "*2\r\n-WRONGTYPE x\r\n:1\r\n", 1, 1 },
    { "bulk error", "!5\r\nERR x\r\n", 1, 1 },
    { "unfinished line", "+OK\r\n+O", 1, 0 },
    { "unfinished bulk", "$5\r\nhel", 0, 0 },
    { "unfinished array", "*3\r\n:1\r\n:2\r\n", 0, 0 },
};

Test(bench_replies, are_counted_however_the_stream_is_cut)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].stream);
        for (size_t step = 1; step <= n; step++) {
            struct replies r;
            struct seen s;
            uint64_t got = feed(cases[i].stream, n, step, &r, &s);
            cr_expect(got == cases[i].replies && s.errors == cases[i].errors && !r.broken,
                      "%s, in pieces of %zu: %llu replies, %llu errors", cases[i].name, step,
                      (unsigned long long)got, (unsigned long long)s.errors);
        }
    }
}

Test(bench_replies, tell_which_reply_failed_and_its_text)
{
    static const char stream[] = "+OK\r\n:1\r\n-ERR wrong number\r\n+OK\r\n";
    for (size_t step = 1; step < sizeof stream; step++) {
        struct replies r;
        struct seen s;
        cr_assert(feed(stream, sizeof stream - 1, step, &r, &s) == 4);
        cr_expect(s.last == 2);
        cr_expect_str_eq(s.text, "ERR wrong number");
    }
}

Test(bench_replies, keep_the_start_of_a_long_error)
{
    char stream[1000];
    memset(stream, 'x', sizeof stream);
    stream[0] = '-';
    memcpy(stream + sizeof stream - 2, "\r\n", 2);
    struct replies r;
    struct seen s;
    cr_assert(feed(stream, sizeof stream, 7, &r, &s) == 1);
    cr_expect(strlen(s.text) == REPLIES_TEXT_MAX);
}

Test(bench_replies, what_is_not_RESP_is_noticed)
{
    static const char *const streams[] = {
        "HTTP/1.1 400\r\n",          "+OK\r\nx",         "$x\r\n",
        "$99999999999999999999\r\n", "*99999999999\r\n", "\r\n",
    };
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        struct replies r;
        struct seen s;
        (void)feed(streams[i], strlen(streams[i]), 3, &r, &s);
        cr_expect(r.broken, "%s", streams[i]);
    }
}
