/* Parsing requests: bytes to argv of slices, without copying. Resumable: a frame that is cut anywhere goes on where
 * it stopped, so that a slow sender costs what it sends and no more.
 *
 * The caller keeps the bytes of an unfinished frame together: it passes the same frame again from its first byte,
 * with more bytes behind it (the memory may have moved). Large bulks leave that buffer: from RESP_BIG_MIN bytes on,
 * when not all there, the parser answers RESP_BIG, and the caller receives the rest straight into the blob.
 * Limits and error texts: Redis 7.2 (specs/info-7.2.json, "errors"). */
#pragma once

#include "common/arena.h"
#include "common/blob.h"
#include "common/bytes.h"

#define RESP_INLINE_MAX (64 * 1024)  /* bytes of an inline command or of a length line */
#define RESP_BIG_MIN (32 * 1024)     /* bytes: bulks from here on take their own receive path */
#define RESP_PREAUTH_ARGS 10         /* unauthenticated: most arguments, longest bulk */
#define RESP_PREAUTH_BULK 16384

enum resp_status {
    RESP_MORE,    /* the frame is not complete */
    RESP_COMMAND, /* a command; ret_command says how many bytes it took */
    RESP_EMPTY,   /* nothing to run (empty line, "*0", "*-1"): consumed */
    RESP_ERROR,   /* protocol error: `error` holds the text after "-"; the connection is to be closed */
    RESP_BIG,     /* a large bulk is under way: fill parser->big (see resp_parser_big) and call again */
};

struct resp_limits {
    size_t bulk_max;    /* proto-max-bulk-len */
    bool authenticated; /* small limits otherwise */
};

struct resp_command {
    struct bytes *argv;  /* in the arena; slices of the input or of blobs */
    struct blob **blobs; /* NULL, or argc entries: blob that holds argv[i] whole, NULL for slices; each owns a
                          * reference that passes to the caller */
    int argc;            /* 1 .. 1048576 */
    size_t used;         /* bytes of the input that the frame (or empty line, or error) took */
    const char *frame;   /* for whoever hands it on: its first byte, when it is an array that lies in one piece */
};

struct resp_parser;      /* 0 bytes of heap while no frame is cut */

struct resp_span {
    size_t off, n;       /* within the frame's bytes */
    struct blob *blob;   /* or here */
};

struct resp_parser {
    struct resp_span *spans; /* arguments so far of a cut frame */
    uint32_t spans_n, spans_cap;
    int32_t args_left;       /* of a cut frame; 0 = none begun */
    size_t pos;              /* bytes of the cut frame that are parsed */
    int64_t bulk_len;        /* announced length of the bulk under way, -1 none */
    struct blob *big;        /* large bulk under way */
    size_t big_have;         /* bytes of it received */
    const char *error;       /* after RESP_ERROR */
    char error_text[64];
};

enum resp_status resp_parse(struct resp_parser *, struct bytes input, const struct resp_limits *, struct arena *,
                            struct resp_command *ret_command);
/* Where the missing bytes of a large bulk go: [p, p+n). After n' of them were stored: resp_parser_big_got(n').
 * When all are there the next resp_parse goes on with the CRLF behind the bulk. */
struct bytes resp_parser_big(struct resp_parser *);
void resp_parser_big_got(struct resp_parser *, size_t n);
size_t resp_parser_memory(const struct resp_parser *); /* bytes held for a cut frame, without the caller's buffer */
void resp_parser_done(struct resp_parser *);
