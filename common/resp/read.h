/* Reading replies, as one who asks another server: token by token. A line and a bulk are one token each, an aggregate
 * is its header alone; the elements follow as tokens, and whoever asked counts them. So nothing here is recursive, and
 * nothing is allocated: texts are slices of the input.
 *
 * Stateless: a token that is cut is read again from its first byte when there are more (the caller keeps the bytes). */
#pragma once

#include "common/bytes.h"

#define RESP_READ_LINE_MAX 4096 /* bytes of a line: error texts are the longest */

enum resp_read_status {
    RESP_READ_MORE,  /* it is not complete */
    RESP_READ_TOKEN,
    RESP_READ_ERROR, /* that is no RESP: the connection is to be closed */
};

struct resp_token {
    char kind;         /* "+-:,(#_" lines, "$!=" bulks, "*%~>|" aggregates */
    bool null;         /* "$-1", "*-1", "_" */
    int64_t n;         /* of ':' the number, of bulks the bytes, of aggregates the tokens that follow on this level */
    struct bytes text; /* of lines and bulks */
    size_t used;       /* bytes of the input */
};

/* Bulks over bulk_max bytes are an error. */
enum resp_read_status resp_read(struct bytes in, size_t bulk_max, struct resp_token *ret_token);
