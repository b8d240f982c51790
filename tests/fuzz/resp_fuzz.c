/* The request parser on arbitrary bytes, whole and in pieces: both must give the same commands. The first byte of the
 * input chooses the size of the pieces and whether the client is authenticated. */
#include <stdint.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/hash.h"
#include "common/resp/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COMMANDS_MAX = 1000 };

struct seen {
    int n;
    uint64_t hash[COMMANDS_MAX];
    bool error;
};

static void note(struct seen *s, struct resp_command *cmd)
{
    uint64_t h = (uint64_t)cmd->argc;
    for (int i = 0; i < cmd->argc; i++) {
        h = hash_fold(h + 1, 0x9e3779b97f4a7c15ull) ^ hash_bytes(cmd->argv[i]);
        if (cmd->blobs)
            blob_unref(cmd->blobs[i]);
    }
    if (s->n < COMMANDS_MAX)
        s->hash[s->n++] = h;
}

/* What the client layer does, with a copy of the input that grows by `piece` bytes at a time. */
static void play(struct bytes in, size_t piece, const struct resp_limits *limits, struct seen *s)
{
    struct resp_parser parser = { 0 };
    struct arena arena = { 0 };
    size_t begin = 0, end = 0;
    while (!s->error) {
        struct resp_command cmd = { 0 };
        char *copy = mem_alloc(end - begin + 1); /* one more: never NULL */
        memcpy(copy, in.p + begin, end - begin);
        enum resp_status st = resp_parse(&parser, bytes_of(copy, end - begin), limits, &arena, &cmd);
        if (st == RESP_COMMAND)
            note(s, &cmd);
        if (st == RESP_COMMAND || st == RESP_EMPTY) {
            ASSERT(cmd.used > 0 && cmd.used <= end - begin);
            begin += cmd.used;
        }
        mem_free(copy);
        arena_reset(&arena);
        if (st == RESP_ERROR)
            s->error = true;
        if (st == RESP_BIG)
            break; /* the rest goes past the parser */
        if (st == RESP_MORE) {
            if (end == in.n)
                break;
            end = in.n - end > piece ? end + piece : in.n;
        }
    }
    resp_parser_done(&parser);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static struct seen whole, pieces;
    whole = pieces = (struct seen){ 0 };
    struct resp_limits limits = { 1 << 20, data[0] & 1 };
    struct bytes in = bytes_of(data + 1, size - 1);
    if (size > 20000)
        return 0;
    play(in, in.n, &limits, &whole);
    play(in, 1 + (data[0] >> 1) % 64, &limits, &pieces);
    int n = whole.n < pieces.n ? whole.n : pieces.n;
    for (int i = 0; i < n; i++)
        ASSERT(whole.hash[i] == pieces.hash[i]);
    return 0;
}
