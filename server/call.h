/* One command under way: all that a data command sees. It cannot name the node (DESIGN.md 1).
 *
 * Handlers check their arguments first (nothing changes before an error reply), decide once, act on the keyspace,
 * reply, and state their effect. Effects: a handler that changed data calls ks_changed (which counts the change);
 * dispatch then propagates the request as it came, unless the handler stated another effect with effect_*. */
#pragma once

#include "common/bytes.h"
#include "common/clock.h"
#include "common/resp/write.h"
#include "server/command.h"
#include "server/keyspace/keyspace.h"
#include "server/types/limits.h"

struct client;
struct node;
struct arena;
struct effects;

enum call_flags {
    CALL_IN_EXEC = 1 << 0,      /* inside EXEC: may not block */
    CALL_DENY_BLOCKING = 1 << 1, /* script, EXEC, a master's stream */
    CALL_FROM_MASTER = 1 << 2,  /* the replication stream: obeyed without checks */
    CALL_REPROCESS = 1 << 3,    /* run again after a block ended */
};

struct call {
    int argc;
    unsigned flags;
    struct bytes *argv;    /* argv[0] is the command's name; borrowed for the call */
    struct blob **blobs;   /* NULL, or per argument the blob that holds it whole (see call_take_blob) */
    struct bytes frame;    /* the request as it came, when it is an array in one piece; else n = 0 */
    struct writer *w;
    struct db *db;
    struct keyspace *ks;
    msec_t now;            /* ms since 1970, frozen while the command (or transaction, script) runs */
    struct arena *arena;   /* scratch of the turn */
    const struct types_limits *limits; /* thresholds of the encodings */
    const struct command_entry *cmd;
    struct client *client;
    struct node *node;     /* for administrative families only */
    struct effects *fx;
    uint64_t redacted;     /* bit i: argv[i] is a secret (call_redact) */
};

/* ---- replies: resp_* of common/resp/write.h on c->w, and these common texts ---- */
#define reply_ok(c) resp_ok((c)->w)
#define reply_int(c, v) resp_int((c)->w, (v))
#define reply_bulk(c, b) resp_bulk((c)->w, (b))
#define reply_null(c) resp_null((c)->w)
#define reply_array(c, n) resp_array((c)->w, (n))
#define reply_error(c, text) resp_error_str((c)->w, (text))

extern const char err_syntax[];       /* "ERR syntax error" */
extern const char err_wrong_type[];   /* "WRONGTYPE Operation against a key holding the wrong kind of value" */
extern const char err_not_integer[];  /* "ERR value is not an integer or out of range" */
extern const char err_not_float[];    /* "ERR value is not a valid float" */
extern const char err_no_key[];       /* "ERR no such key" */
extern const char err_out_of_range[]; /* "ERR index out of range" */
extern const char err_string_max[];   /* "ERR string exceeds maximum allowed size (proto-max-bulk-len)" */
extern const char err_no_memory[];    /* "OOM command not allowed when used memory > 'maxmemory'." is dispatch's; this
                                       * one:    "ERR insufficient memory for this value" (allocation refused) */

void reply_syntax_error(struct call *);
void reply_wrong_type(struct call *);
void reply_arity_error(struct call *); /* "ERR wrong number of arguments for 'x' command" */
/* HELP of a container: an array of simple strings, first line and trailer as Redis prints them. */
void reply_help(struct call *, const char *const *lines /* NULL-terminated */);
/* "ERR unknown subcommand or wrong number of arguments for '%s'. Try X HELP." */
void reply_subcommand_error(struct call *);
size_t call_bulk_max(const struct call *); /* proto-max-bulk-len: the longest string a command may make */

/* ---- arguments: parse, or reply with the error and return false ---- */
bool arg_i64(struct call *, int i, int64_t *ret_v);                       /* err_not_integer */
bool arg_i64_range(struct call *, int i, int64_t min, int64_t max, int64_t *ret_v); /* "ERR value is out of range..." */
bool arg_double(struct call *, int i, double *ret_v);                     /* err_not_float */
bool arg_is(const struct call *, int i, const char *word);                /* case-insensitive; i may be out of range */
/* MONITOR and SLOWLOG show "(redacted)" for argument i (< 64). */
static inline void call_redact(struct call *c, int i)
{
    c->redacted |= i < 64 ? 1ull << i : 0;
}
/* Takes over the blob of argument i (NULL if it came as a slice). */
struct blob *call_take_blob(struct call *, int i);

/* ---- keys by type: NULL entry when not there; false after a WRONGTYPE reply ---- */
bool read_typed(struct call *, struct bytes key, enum value_type, struct entry **ret_entry);
bool write_typed(struct call *, struct bytes key, enum value_type, struct entry **ret_entry);

/* ---- effects ---- */
void effect_replace(struct call *, int argc, const struct bytes *argv); /* instead of the request; copied. May be called
                                                                         * several times: all in order */
void effect_none(struct call *);  /* changed nothing that others must hear */
void effect_force(struct call *); /* propagate the request even if nothing was counted (PUBLISH, ...) */
/* Number formatting for effects, in the arena. */
struct bytes effect_i64(struct call *, int64_t v);

/* ---- blocking on keys (server/blocked.c) ---- */
enum block_flags {
    BLOCK_NULL_BULK = 1,         /* the time-out's reply is a null (BLMOVE); else a null array */
    BLOCK_WAKE_WHEN_GONE = 2,    /* run again too when the key is deleted or changes its type (XREADGROUP) */
};
/* The client waits until one of the keys holds something of `type`, or `deadline` (ms since 1970, 0 = never). The
 * command is then run again from its arguments with CALL_REPROCESS in its flags; if it blocks again it keeps its
 * deadline. The keys are copied. Only when call_may_block. */
void block_on_keys(struct call *, const struct bytes *keys, int n, enum value_type type, msec_t deadline,
                   unsigned flags);
bool call_may_block(const struct call *);
/* The key (of a type that clients may wait for) got something: clients blocked on it are served after the command. */
void key_ready(struct call *, struct bytes key);
/* Parses a timeout argument (seconds, float) into a deadline; replies with the error and returns false. */
bool arg_timeout(struct call *, int i, msec_t *ret_deadline);
