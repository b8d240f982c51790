/* One row per command, in the file that implements it (DESIGN.md 7). The rows carry what dispatch needs; facts for
 * COMMAND INFO / DOCS come from commands/docs.json by full name and are compared with the rows by a test. */
#pragma once

#include "common/bytes.h"

struct call;
struct command_stats;

enum command_flags {
    CMD_WRITE = 1 << 0,
    CMD_READ = 1 << 1,
    CMD_DENY_OOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NOSCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7,  /* allowed while loading */
    CMD_STALE = 1 << 8,    /* allowed on a stale replica */
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_ASKING = 1 << 11,
    CMD_FAST = 1 << 12,
    CMD_NO_AUTH = 1 << 13, /* allowed before authentication */
    CMD_MAY_REPLICATE = 1 << 14,
    CMD_PROTECTED = 1 << 15, /* gated by enable-debug-command etc. inside the handler */
    CMD_MOVABLE_KEYS = 1 << 16, /* keys are found by command_keys, not by the position alone */
    CMD_NO_ASYNC_LOADING = 1 << 17,
    CMD_NO_MULTI = 1 << 18,
    CMD_NO_MANDATORY_KEYS = 1 << 19,
    CMD_ALLOW_BUSY = 1 << 20,
    CMD_CONTAINER = 1 << 21, /* has subcommands: `subs` */
};

/* Position of the keys in argv: first, last (negative: from the end, -1 = last), step; {0} = none. */
struct command_keys_at {
    int16_t first, last, step;
};
#define NO_KEYS { 0, 0, 0 }
#define KEY_1 { 1, 1, 1 }
#define KEYS_AT(first, last, step) { first, last, step }

struct command {
    const char *name;              /* lower case; of a subcommand: the word only ("set" of "config|set") */
    void (*handler)(struct call *);
    int arity;                     /* as COMMAND prints it: n exactly, -n at least n, name included */
    unsigned flags;
    struct command_keys_at keys;
    const struct command *subs;    /* containers: rows of the subcommands, ended by COMMANDS_END */
};
#define COMMANDS_END { .name = NULL }

/* A command as registered: the row plus what is known at run time. */
struct command_entry {
    const struct command *row;
    const struct command_entry *parent; /* of a subcommand */
    struct command_entry *subs;         /* subs_n registered subcommands */
    uint16_t subs_n;
    bool on_objects;        /* of a collection's family: the objects of its keys are worth fetching ahead */
    uint16_t id;            /* dense, stable within a process; index for statistics and ACL bits */
    const char *full_name;  /* "get", "config|set" */
    struct command_stats *stats;
};

/* Statistics of INFO commandstats / latencystats. */
struct command_stats {
    uint64_t calls, nsec, rejected, failed; /* nsec: time spent in the handler */
    void *latency; /* histogram, made on first use (server/latency.c) */
};

/* command_table.c: registers all families at start (names hashed, case-insensitive). */
void command_table_init(void);
void command_table_done(void);
struct command_entry *command_find(struct bytes name);                /* NULL: unknown; "config|set" form too */
struct command_entry *command_find_sub(struct command_entry *, struct bytes name);
/* What argv[0] (and argv[1]) mean. NULL: unknown command. A container with an unknown subcommand gives the container
 * itself; the caller tells by `row->flags & CMD_CONTAINER`. */
struct command_entry *command_resolve(const struct bytes *argv, int argc);
int command_rename(struct bytes old_name, struct bytes new_name); /* rename-command; "" removes; 0 or -errno */
int command_count(void);                                          /* top level */
struct command_entry *command_at(int i);                          /* 0 <= i < command_count(), order of registration */
int command_ids(void);                                            /* entries in all, subcommands included */
struct command_entry *command_by_id(int id);
bool command_arity_ok(const struct command *, int argc);

/* command_keys.c: where the keys of a request are. */
struct key_ref {
    int index;      /* into argv */
    unsigned flags; /* enum key_flags */
};
enum key_flags {
    KEY_RO = 1 << 0, KEY_RW = 1 << 1, KEY_OW = 1 << 2, KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4, KEY_UPDATE = 1 << 5, KEY_INSERT = 1 << 6, KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8, KEY_INCOMPLETE = 1 << 9, KEY_VARIABLE_FLAGS = 1 << 10,
};
struct key_refs {
    int n;
    struct key_ref *refs; /* `small` or allocated */
    struct key_ref small[16];
};
/* 0, or -EINVAL when the arguments make no sense for the command (COMMAND GETKEYS says so). */
int command_keys(const struct command_entry *, const struct bytes *argv, int argc, struct key_refs *ret_keys);
void key_refs_done(struct key_refs *);
