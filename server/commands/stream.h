/* What the stream commands share: IDs as arguments and replies, entries as replies, groups by name.
 */
#pragma once

#include "server/call.h"
#include "server/commands/collection.h"
#include "server/types/stream.h"

extern const char
    err_stream_id[]; /* "ERR Invalid stream ID specified as stream command argument" */

#define STREAM_ID_TEXT 48 /* bytes of "ms-seq", rounded up */
struct bytes stream_id_text(char text[STREAM_ID_TEXT], struct stream_id);
struct bytes effect_stream_id(struct call *, struct stream_id); /* in the arena */
/* "ms-seq" or "ms" (then with `seq`). The names - and + are not taken. */
bool stream_id_parse(struct bytes, uint64_t seq, struct stream_id *ret_id);
bool arg_stream_id(struct call *, int i, uint64_t seq,
                   struct stream_id *ret_id); /* or the error was replied */
/* A bound of a range: also -, + and with a '(' in front for "not this one" */
enum stream_bound { STREAM_BOUND_START, STREAM_BOUND_END };
bool arg_stream_bound(struct call *, int i, enum stream_bound, struct stream_id *ret_id);

void reply_stream_id(struct writer *, struct stream_id);
void reply_stream_entry(struct writer *,
                        struct stream_walk *); /* [id, [field, value ..]] of what next has found */

static inline struct stream *stream_at(const struct entry *e)
{
    return e ? entry_object(e) : NULL;
}

/* MAXLEN and MINID with what belongs to them, of XADD and XTRIM. */
struct trim_args {
    struct stream_trim trim;
    int id_at;              /* XADD: where the ID is */
    int specifier_at;       /* of ~ or =, 0: not there */
    int threshold_at;       /* 0: no trimming */
    int limit_at;           /* of the word LIMIT, 0: not there */
    bool no_create;         /* NOMKSTREAM */
    bool auto_ms, auto_seq; /* XADD: *, ms-* */
    struct stream_id id;
};
bool trim_args_parse(struct call *, bool xadd, struct trim_args *ret_args);

/* ---- groups ---- */
void reply_no_group(struct call *, struct bytes key,
                    struct bytes group); /* as XPENDING, XCLAIM say it */
/* The consumer of this name, made if need be (which is announced). Notes that it was seen. */
struct stream_consumer *take_consumer(struct call *, struct bytes key, struct stream_group *,
                                      struct bytes name, bool *ret_made);
/* The effect of giving an entry to a consumer: an XCLAIM that makes it so; counted as a change. */
void effect_claim(struct call *, struct bytes key, const struct stream_group *,
                  const struct stream_consumer *, struct stream_id, const struct stream_pending *);
void effect_group_id(struct call *, struct bytes key,
                     const struct stream_group *); /* XGROUP SETID; counted too */
