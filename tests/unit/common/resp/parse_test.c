/* The request parser: whole frames, frames cut anywhere, every protocol error, large bulks. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/resp/parse.h"

static const struct resp_limits open_limits = { 512 * 1024 * 1024, true };
static const struct resp_limits shut_limits = { 512 * 1024 * 1024, false };

struct run {
    struct arena arena;
    struct resp_parser parser;
    struct resp_command cmd;
};

static enum resp_status parse(struct run *r, struct bytes in, const struct resp_limits *limits)
{
    return resp_parse(&r->parser, in, limits, &r->arena, &r->cmd);
}

static void drop(struct run *r)
{
    for (int i = 0; r->cmd.blobs && i < r->cmd.argc; i++)
        blob_unref(r->cmd.blobs[i]);
    r->cmd = (struct resp_command){ 0 };
}

static void done(struct run *r)
{
    drop(r);
    resp_parser_done(&r->parser);
    arena_done(&r->arena);
}

static void expect_args(const struct resp_command *cmd, int n, const char *const *words)
{
    cr_assert_eq(cmd->argc, n);
    for (int i = 0; i < n; i++)
        cr_assert(bytes_eq(cmd->argv[i], bytes_of_str(words[i])), "argument %d is '%.*s'", i, (int)cmd->argv[i].n,
                  cmd->argv[i].p);
}

Test(resp_parse, a_whole_frame_is_sliced_in_place)
{
    struct run r = { 0 };
    struct bytes in = BYTES("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n");
    cr_assert_eq(parse(&r, in, &open_limits), RESP_COMMAND);
    expect_args(&r.cmd, 3, (const char *const[]){ "SET", "k", "" });
    cr_assert_eq(r.cmd.used, 26);
    cr_assert(r.cmd.argv[0].p > in.p && r.cmd.argv[0].p < in.p + in.n, "the argument must be a slice of the input");
    done(&r);
}

Test(resp_parse, a_frame_cut_at_any_byte_goes_on_where_it_stopped)
{
    struct bytes in = BYTES("*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$12\r\nwith\r\nbreaks\r\n");
    for (size_t cut = 0; cut < in.n; cut++) {
        struct run r = { 0 };
        cr_assert_eq(parse(&r, bytes_of(in.p, cut), &open_limits), RESP_MORE, "cut at %zu", cut);
        cr_assert_eq(parse(&r, in, &open_limits), RESP_COMMAND, "cut at %zu", cut);
        expect_args(&r.cmd, 3, (const char *const[]){ "SET", "hello", "with\r\nbreaks" });
        cr_assert_eq(r.cmd.used, in.n);
        done(&r);
    }
}

Test(resp_parse, bytes_one_by_one_in_memory_that_moves)
{
    struct bytes in = BYTES("*2\r\n$4\r\nECHO\r\n$3\r\na\0b\r\n");
    struct run r = { 0 };
    enum resp_status st = RESP_MORE;
    for (size_t n = 1; n <= in.n; n++) {
        char *copy = mem_dup(in.p, n); /* each time somewhere else */
        st = parse(&r, bytes_of(copy, n), &open_limits);
        if (n < in.n) {
            cr_assert_eq(st, RESP_MORE, "after %zu bytes", n);
            mem_free(copy);
            continue;
        }
        cr_assert_eq(st, RESP_COMMAND);
        cr_assert(bytes_eq(r.cmd.argv[1], BYTES("a\0b")));
        mem_free(copy);
    }
    done(&r);
}

Test(resp_parse, inline_commands_with_quotes)
{
    struct run r = { 0 };
    cr_assert_eq(parse(&r, BYTES("set  \"a b\\x41\" 'c\\'d'\r\nnext"), &open_limits), RESP_COMMAND);
    expect_args(&r.cmd, 3, (const char *const[]){ "set", "a bA", "c'd" });
    cr_assert_eq(parse(&r, BYTES("PING\n"), &open_limits), RESP_COMMAND);
    expect_args(&r.cmd, 1, (const char *const[]){ "PING" });
    cr_assert_eq(parse(&r, BYTES("\r\n"), &open_limits), RESP_EMPTY);
    cr_assert_eq(r.cmd.used, 2);
    cr_assert_eq(parse(&r, BYTES("   \n"), &open_limits), RESP_EMPTY);
    cr_assert_eq(parse(&r, BYTES("PING"), &open_limits), RESP_MORE);
    done(&r);
}

Test(resp_parse, empty_and_negative_frames_are_consumed)
{
    static const char *const frames[] = { "*0\r\n", "*-1\r\n", "*-10\r\n" };
    for (size_t i = 0; i < 3; i++) {
        struct run r = { 0 };
        cr_assert_eq(parse(&r, bytes_of_str(frames[i]), &open_limits), RESP_EMPTY);
        cr_assert_eq(r.cmd.used, strlen(frames[i]));
        done(&r);
    }
}

Test(resp_parse, every_protocol_error_has_its_text)
{
    static const struct {
        const char *in, *error;
        bool shut;
    } cases[] = {
        { "*abc\r\n", "ERR Protocol error: invalid multibulk length", false },
        { "*3000000000\r\n", "ERR Protocol error: invalid multibulk length", false },
        { "*1\r\n$abc\r\n", "ERR Protocol error: invalid bulk length", false },
        { "*1\r\n$-1\r\n", "ERR Protocol error: invalid bulk length", false },
        { "*1\r\n$600000000\r\n", "ERR Protocol error: invalid bulk length", false },
        { "*1\r\n$01\r\nx\r\n", "ERR Protocol error: invalid bulk length", false },
        { "*1\r\nPING\r\n", "ERR Protocol error: expected '$', got 'P'", false },
        { "ECHO \"x\r\n", "ERR Protocol error: unbalanced quotes in request", false },
        { "*11\r\n", "ERR Protocol error: unauthenticated multibulk length", true },
        { "*1\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length", true },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct run r = { 0 };
        enum resp_status st = parse(&r, bytes_of_str(cases[i].in), cases[i].shut ? &shut_limits : &open_limits);
        cr_assert_eq(st, RESP_ERROR, "case %zu", i);
        cr_assert_str_eq(r.parser.error, cases[i].error);
        done(&r);
    }
}

Test(resp_parse, lines_without_an_end_are_refused_at_64_kib)
{
    size_t n = RESP_INLINE_MAX + 1;
    char *p = mem_alloc(n);
    memset(p, 'a', n);
    struct run r = { 0 };
    cr_assert_eq(parse(&r, bytes_of(p, n), &open_limits), RESP_ERROR);
    cr_assert_str_eq(r.parser.error, "ERR Protocol error: too big inline request");
    done(&r);
    memset(p, '1', n);
    p[0] = '*';
    r = (struct run){ 0 };
    cr_assert_eq(parse(&r, bytes_of(p, n), &open_limits), RESP_ERROR);
    cr_assert_str_eq(r.parser.error, "ERR Protocol error: too big mbulk count string");
    done(&r);
    memcpy(p, "*1\r\n$", 5);
    r = (struct run){ 0 };
    size_t long_enough = n; /* 64 KiB behind the header are needed */
    char *q = mem_alloc(long_enough + 8);
    memset(q, '1', long_enough + 8);
    memcpy(q, "*1\r\n$", 5);
    cr_assert_eq(parse(&r, bytes_of(q, long_enough + 8), &open_limits), RESP_ERROR);
    cr_assert_str_eq(r.parser.error, "ERR Protocol error: too big bulk count string");
    done(&r);
    mem_free(p);
    mem_free(q);
}

Test(resp_parse, a_large_bulk_is_received_into_its_blob)
{
    enum { N = 100000, FIRST = 1000 };
    char head[64];
    int head_n = snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", N);
    char *in = mem_alloc((size_t)head_n + FIRST + 2);
    memcpy(in, head, (size_t)head_n);
    memset(in + head_n, 'v', FIRST);
    struct run r = { 0 };
    cr_assert_eq(parse(&r, bytes_of(in, (size_t)head_n + FIRST), &open_limits), RESP_BIG);
    struct bytes rest = resp_parser_big(&r.parser);
    cr_assert_eq(rest.n, N - FIRST);
    memset((char *)rest.p, 'v', rest.n);
    resp_parser_big_got(&r.parser, rest.n / 2);
    cr_assert_eq(resp_parser_big(&r.parser).n, rest.n - rest.n / 2);
    resp_parser_big_got(&r.parser, rest.n - rest.n / 2);
    memcpy(in + head_n + FIRST, "\r\n", 2);
    cr_assert_eq(parse(&r, bytes_of(in, (size_t)head_n + FIRST), &open_limits), RESP_MORE);
    cr_assert_eq(parse(&r, bytes_of(in, (size_t)head_n + FIRST + 2), &open_limits), RESP_COMMAND);
    cr_assert_eq(r.cmd.argc, 3);
    cr_assert(r.cmd.blobs && r.cmd.blobs[2] && !r.cmd.blobs[0]);
    cr_assert_eq(r.cmd.argv[2].n, N);
    cr_assert_eq(r.cmd.argv[2].p[N - 1], 'v');
    done(&r);
    mem_free(in);
}

Test(resp_parse, memory_refused_for_a_large_bulk_is_a_protocol_error)
{
    struct run r = { 0 };
    mem_fail_after(1);
    cr_assert_eq(parse(&r, BYTES("*1\r\n$100000\r\nabc"), &open_limits), RESP_ERROR);
    mem_fail_after(0);
    cr_assert(strstr(r.parser.error, "insufficient memory"));
    done(&r);
}

Test(resp_parse, a_million_arguments_in_small_pieces_cost_no_more_than_their_bytes)
{
    enum { ARGS = 1000000, PIECE = 16 * 1024 };
    struct buf all = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&all, "*%d\r\n", ARGS);
    for (int i = 0; i < ARGS; i++)
        buf_append(&all, BYTES("$1\r\nx\r\n"));
    struct run r = { 0 };
    for (size_t n = PIECE; n < all.n; n += PIECE)
        cr_assert_eq(parse(&r, bytes_of(all.p, n), &open_limits), RESP_MORE);
    cr_assert_eq(parse(&r, buf_bytes(&all), &open_limits), RESP_COMMAND);
    cr_assert_eq(r.cmd.argc, ARGS);
    cr_assert(bytes_eq(r.cmd.argv[ARGS - 1], BYTES("x")));
    done(&r);
    buf_done(&all);
}
