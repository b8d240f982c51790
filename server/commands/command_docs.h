/* Facts about commands that only COMMAND, key extraction and ACL need: made from commands/docs.json
 * by gen_docs, one constant row per command and subcommand that Redis 7.2 knows, whether this
 * server has it or not. */
#pragma once

#include "server/command.h"

/* Order of bits and of printing. */
enum acl_category {
    ACL_CAT_KEYSPACE,
    ACL_CAT_READ,
    ACL_CAT_WRITE,
    ACL_CAT_SET,
    ACL_CAT_SORTEDSET,
    ACL_CAT_LIST,
    ACL_CAT_HASH,
    ACL_CAT_STRING,
    ACL_CAT_BITMAP,
    ACL_CAT_HYPERLOGLOG,
    ACL_CAT_GEO,
    ACL_CAT_STREAM,
    ACL_CAT_PUBSUB,
    ACL_CAT_ADMIN,
    ACL_CAT_FAST,
    ACL_CAT_SLOW,
    ACL_CAT_BLOCKING,
    ACL_CAT_DANGEROUS,
    ACL_CAT_CONNECTION,
    ACL_CAT_TRANSACTION,
    ACL_CAT_SCRIPTING,
    ACL_CATEGORIES
};
extern const char *const acl_category_names[ACL_CATEGORIES]; /* without the @ */
int acl_category_find(struct bytes name); /* in any case, without the @; -1: no such category */

/* ---- where the keys are (COMMAND INFO's key specifications) ---- */
enum key_begin {
    KEY_BEGIN_UNKNOWN,
    KEY_BEGIN_INDEX,   /* the first key is argument `start` */
    KEY_BEGIN_KEYWORD, /* it follows `keyword`, looked for from argument `start` on, or backwards
                        * from the end where `start` is negative */
};
enum key_find {
    KEY_FIND_UNKNOWN,
    KEY_FIND_RANGE,  /* every `step`-th up to `last`: >= 0: after the first; negative: from the end
                      * of the arguments, or of their `limit`-th part */
    KEY_FIND_KEYNUM, /* argument `count_at` after the begin holds the number of keys, the first is
                      * `first` after the begin */
};
struct key_spec {
    uint16_t flags; /* enum key_flags */
    uint8_t begin;  /* enum key_begin */
    uint8_t find;   /* enum key_find */
    int8_t start;
    int8_t last, limit;
    int8_t count_at, first;
    int8_t step; /* > 0 unless `find` is unknown */
    const char *keyword;
    const char *notes; /* or NULL */
};
/* The way to the keys: by the specs, or one that takes more than they say. */
enum keys_by {
    KEYS_BY_SPECS,
    KEYS_BY_ONE,      /* by the specs, which come to one key at a fixed argument: most commands */
    KEYS_BY_SORT,     /* STORE anywhere among the options */
    KEYS_BY_MIGRATE,  /* one key, or KEYS at the end */
    KEYS_BY_SET,      /* access depends on GET */
    KEYS_BY_BITFIELD, /* access depends on the operations */
};

/* ---- the grammar of the arguments ---- */
enum command_arg_type {
    ARG_STRING,
    ARG_INTEGER,
    ARG_DOUBLE,
    ARG_KEY,
    ARG_PATTERN,
    ARG_UNIX_TIME,
    ARG_PURE_TOKEN,
    ARG_ONEOF,
    ARG_BLOCK,
};
enum command_arg_flags {
    ARG_OPTIONAL = 1 << 0,
    ARG_MULTIPLE = 1 << 1,
    ARG_MULTIPLE_TOKEN = 1 << 2, /* the token is repeated with each value */
};
struct command_arg {
    const char *name;
    const char *display_text;                     /* NULL for oneof and block */
    const char *token, *since, *deprecated_since; /* or NULL */
    const struct command_arg *args;               /* of oneof and block */
    uint8_t args_n;
    uint8_t type;    /* enum command_arg_type */
    uint8_t flags;   /* enum command_arg_flags */
    int8_t key_spec; /* index into the command's specs, -1: none */
};

struct command_history {
    const char *version, *text;
};

enum command_doc_flags { DOC_DEPRECATED = 1 << 0, DOC_SYSCMD = 1 << 1 };
enum command_modes { MODE_SERVER = 1 << 0, MODE_SENTINEL = 1 << 1 };

struct command_docs {
    const char *name; /* full: "config|set" */
    const char *summary, *since, *group;
    const char *complexity, *deprecated_since, *replaced_by; /* or NULL */
    const char *const *tips;
    const struct command_history *history;
    const struct key_spec *specs;
    const struct command_arg *args;
    unsigned flags; /* enum command_flags: those that COMMAND prints */
    unsigned acl;   /* bits of enum acl_category */
    int16_t arity;
    struct command_keys_at keys;
    uint8_t tips_n, history_n, specs_n, args_n;
    uint8_t doc_flags; /* enum command_doc_flags */
    uint8_t modes;     /* enum command_modes */
    uint8_t keys_by;   /* enum keys_by */
};
extern const struct command_docs command_docs_table[]; /* by name */
extern const int command_docs_n;

/* By full name in lower case; NULL: nothing known. */
const struct command_docs *command_docs_find(const char *full_name);
/* The same for a registered command, remembered by its id: cheap. */
const struct command_docs *command_docs(const struct command_entry *);
/* The command takes keys: names that are routed like keys (shard channels) are not meant. */
bool command_docs_has_keys(const struct command_docs *);

/* Names of flags as COMMAND prints them, in order of printing; ended by a NULL name. */
struct flag_name {
    unsigned flag;
    const char *name;
};
extern const struct flag_name command_flag_names[]; /* enum command_flags */
extern const struct flag_name key_flag_names[];     /* enum key_flags */
unsigned command_flags_printed(void);               /* all flags in command_flag_names */
