/* The inside of the configuration: what config.c, config_load.c and config_rewrite.c share. Nobody
 * else includes this. */
#pragma once

#include "common/arena.h"
#include "server/config.h"

struct config_entry {
    const struct config_row *row;
    void *base, *owner;
    char *default_text; /* as CONFIG GET prints it; NULL: has no fixed default (dir) */
    char *loaded_text;  /* the value after config_load, if in_include; else NULL */
    bool seen;          /* a line of the files or the command line has set it */
    bool in_include;    /* the last such line was in an included file */
};

struct config_rules {
    const struct config_line_rule *rules;
    void *owner;
};

struct config_rewriting; /* config_rewrite.c */

struct config {
    struct config_entry *entries;
    int n, cap;
    struct config_rules rules[8];
    int n_rules;
    struct config_line *lines; /* kept; their bytes are in `arena` */
    int n_lines, cap_lines;
    struct arena arena;
    char *file; /* or NULL */
    bool sentinel;
    struct config_rewriting *rewriting; /* while config_rewrite runs */
};

struct config_entry *config_entry_find(const struct config *, struct bytes name,
                                       bool *ret_by_alias);

/* Stores the words of a line. 0, or -EINVAL with the text of the error; the value may then be half
 * set (config_entry_restore brings back what config_entry_text gave). `adds`: see config_special.
 */
int config_entry_set(struct config_entry *, int argc, const struct bytes *argv, bool adds,
                     const char **ret_error);
void config_entry_text(const struct config_entry *,
                       struct buf *); /* appends what CONFIG GET prints */
void config_entry_restore(struct config_entry *, struct bytes text);
bool config_entry_is_default(const struct config_entry *);
static inline bool config_row_has_words(const struct config_row *r)
{
    return r->type == CONFIG_FLAGS || (r->flags & CONFIG_WORDS);
}
