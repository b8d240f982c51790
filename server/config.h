/* Configuration: one row per directive, over a struct that its owner defines; one table of all.
 *
 * A part declares `struct x_config` and rows {name, alias, type, offset, default, range, flags}; a
 * node attaches rows to the struct's address once (config_attach). CONFIG GET/SET/REWRITE,
 * redis.conf, the command line and the test of redis.conf.sample work on the table alone. Texts of
 * errors are Redis 7.2's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/bytes.h"

struct config; /* the table with its values */
struct call;

enum config_type {
    CONFIG_BOOL,    /* bool: yes / no */
    CONFIG_INT,     /* int */
    CONFIG_I64,     /* int64_t */
    CONFIG_U64,     /* uint64_t */
    CONFIG_MEMORY,  /* uint64_t bytes: "1gb"; or int64_t in rows with max = INT64_MAX */
    CONFIG_MEMORY_SIGNED, /* int64_t: bytes, or percent of something as a negative number */
    CONFIG_OCTAL,   /* unsigned: unixsocketperm */
    CONFIG_ENUM,    /* int, by `values` */
    CONFIG_FLAGS,   /* unsigned, several words of `values` (shutdown-on-sigterm) */
    CONFIG_STRING,  /* char *, owned by the table (mem_alloc); never NULL, "" when unset */
    CONFIG_STRING_OR_NULL, /* char *, NULL when unset ("" sets NULL) */
    CONFIG_SPECIAL, /* parse / format by `special` */
};

enum config_flag {
    CONFIG_IMMUTABLE = 1 << 0,    /* only at start */
    CONFIG_PROTECTED = 1 << 1,    /* at run time only with enable-protected-configs */
    CONFIG_SENSITIVE = 1 << 2,    /* hidden in logs and SLOWLOG */
    CONFIG_MULTI = 1 << 3,        /* may be given several times, adds up (save, ...) */
    CONFIG_HIDDEN = 1 << 4,       /* CONFIG GET * leaves it out, exact name shows it */
    CONFIG_DEFAULT_ONLY = 1 << 5, /* its feature is not there yet: "... is not supported yet" */
    CONFIG_VOLATILE = 1 << 6,     /* never rewritten */
    CONFIG_WORDS = 1 << 7,        /* any number of words; one word is split (FLAGS: always) */
    CONFIG_KEYED = 1 << 8,        /* several lines, told apart by their first word */
};

struct config_word {
    const char *word;
    int value;
};

struct config_row;
struct config_special {
    /* Parses argc words into the value. `adds`: a further line of a CONFIG_MULTI directive in the
     * same files, which adds to the value instead of replacing it. 0, or -EINVAL with *ret_error
     * set to the text that follows "... - ". */
    int (*set)(void *base, const struct config_row *, int argc, const struct bytes *argv,
               bool adds, const char **ret_error);
    /* Appends what CONFIG GET prints; `set` must take the text back, in words (CONFIG_WORDS) or
     * whole. */
    void (*get)(const void *base, const struct config_row *, struct buf *);
    /* States the lines of CONFIG REWRITE by config_rewrite_line. NULL: one line, as `get`. */
    void (*rewrite)(const void *base, const struct config_row *, struct config *);
};

struct config_row {
    const char *name, *alias; /* alias: the old name, or NULL */
    enum config_type type;
    size_t offset;            /* of the value in the owner's struct */
    const char *def;          /* as it would stand in redis.conf */
    int64_t min, max;         /* numbers */
    const struct config_word *values; /* enums, ended by { NULL } */
    unsigned flags;           /* enum config_flag */
    const struct config_special *special;
    /* After the new value was stored, at run time only: makes it true. 0, or negative with
     * *ret_error: the whole CONFIG SET is rolled back and apply is called again. `owner` is
     * config_attach's. Called once per SET even if several rows share the function. */
    int (*apply)(void *owner, const char **ret_error);
    /* Extra check of a new value, at start too; may clip it. NULL or the error's text. */
    const char *(*check)(void *base);
};
#define CONFIG_ROWS_END { .name = NULL }

/* Text of an error made up at run time, for ret_error and check: valid until the next call. */
const char *config_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- lines of files and of the command line that are no directives with a value ---- */
/* (rename-command, user, loadmodule; sentinel ...) */
struct config_line {
    const char *file; /* NULL: command line or standard input */
    int number;       /* 1 = first; of the command line: as the error block counts */
    int argc;
    const struct bytes *argv; /* argv[0] is the line's name; owned by the table */
};
struct config_line_rule {
    const char *name;
    int words_min, words_max; /* after the name; any other count is an error */
    /* 0, or -EINVAL with the error's text; the line is kept either way. NULL: kept. */
    int (*handle)(void *owner, struct config *, const struct config_line *,
                  const char **ret_error);
};
#define CONFIG_LINE_RULES_END { .name = NULL }

struct config *config_new(void);
/* Frees the strings in the attached structs too: they must still be there. */
void config_free(struct config *);
/* Adds rows over `base` and sets the defaults. `owner` is handed to apply; see config_set_owner. */
void config_attach(struct config *, const struct config_row *rows, void *base, void *owner);
void config_attach_lines(struct config *, const struct config_line_rule *rules, void *owner);
/* The owner of all rows and rules, once there is a node. */
void config_set_owner(struct config *, void *owner);
/* Lines that begin with "sentinel" are kept instead of refused. */
void config_allow_sentinel(struct config *);

/* ---- start: files and command line ---- */
/* Reads argv[1..]: [FILE|-] [--name value]... [-] as Redis does, include and all. What main acts on
 * by itself (--version, --help) must not be in it; `--sentinel` is passed over. On error the
 * FATAL CONFIG FILE ERROR block (line number, the quoted line, the reason, a near-miss suggestion,
 * the file) goes to stderr: -EINVAL; a file that cannot be read is logged: -errno. `dir` acts when
 * it is read. */
int config_load(struct config *, int argc, char **argv);
const char *config_file(const struct config *); /* absolute path, NULL when started without */
int config_line_count(const struct config *);   /* lines that were kept, in order */
const struct config_line *config_line_at(const struct config *, int i);
/* The block of a fatal error that no line is to blame for (the log file cannot be opened, ...). */
void config_print_fatal(const char *text);

/* ---- run time ---- */
/* Sets pairs (argc is even) atomically: all of them or none. 0, or -EINVAL with the full error text
 * (starting "ERR ...") in `error`. `may_set_protected`: what enable-protected-configs says of this
 * client. */
int config_set(struct config *, int argc, const struct bytes *pairs, bool may_set_protected,
               struct buf *error);
/* Calls `emit` once for every directive that matches one of the patterns (old names are directives
 * of their own). A name asked for literally comes back as it was asked for. */
void config_get(struct config *, int n, const struct bytes *patterns,
                void (*emit)(void *ctx, struct bytes name, struct bytes value), void *ctx);
/* Appends what CONFIG GET prints. */
void config_value(const struct config *, const struct config_row *, struct buf *);
/* CONFIG REWRITE: keeps comments, order and every line that still says the same; changes what
 * changed, omits defaults that were not there (unless `force_all`), appends the rest under
 * "# Generated by CONFIG REWRITE". Atomic. 0, or -errno with the error's text (starting "ERR ...")
 * in `error`; the old file is then untouched. */
int config_rewrite(struct config *, bool force_all, struct buf *error);
/* From special->rewrite: one line "name value". Not `force`: only if the file has such a line. */
void config_rewrite_line(struct config *, const struct config_row *, struct bytes value,
                         bool force);
const struct config_row *config_find(const struct config *, struct bytes name); /* or alias; NULL */
int config_count(const struct config *);
const struct config_row *config_row_at(const struct config *, int i);
