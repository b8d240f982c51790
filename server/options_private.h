/* What the files of rows share: macros that check a member's type against the row's, and the
 * special directives. */
#pragma once

#include <stddef.h>

#include "server/config.h"
#include "server/options.h"

/* The offset of member `m` of struct BASE, which is of type T: anything else does not compile. */
#define AT(m, T) (offsetof(struct BASE, m) + 0 * sizeof((T *)0 == &((struct BASE *)0)->m))
#define ROW(n, t, at, d, ...)                                                                      \
    {                                                                                              \
        .name = n, .type = t, .offset = at, .def = d, ##__VA_ARGS__                                \
    }

#define BOOL(n, m, d, ...) ROW(n, CONFIG_BOOL, AT(m, bool), d, ##__VA_ARGS__)
#define INT(n, m, d, lo, hi, ...)                                                                  \
    ROW(n, CONFIG_INT, AT(m, int), d, .min = lo, .max = hi, ##__VA_ARGS__)
#define I64(n, m, d, lo, hi, ...)                                                                  \
    ROW(n, CONFIG_I64, AT(m, int64_t), d, .min = lo, .max = hi, ##__VA_ARGS__)
#define MEMORY(n, m, d, lo, hi, ...)                                                               \
    ROW(n, CONFIG_MEMORY, AT(m, uint64_t), d, .min = lo, .max = hi, ##__VA_ARGS__)
#define MEMORY_I64(n, m, d, lo, hi, ...)                                                           \
    ROW(n, CONFIG_MEMORY, AT(m, int64_t), d, .min = lo, .max = hi, ##__VA_ARGS__)
#define ENUM(n, m, d, w, ...)     ROW(n, CONFIG_ENUM, AT(m, int), d, .values = w, ##__VA_ARGS__)
#define FLAGS(n, m, d, w, ...)    ROW(n, CONFIG_FLAGS, AT(m, unsigned), d, .values = w, ##__VA_ARGS__)
#define STRING(n, m, d, ...)      ROW(n, CONFIG_STRING, AT(m, char *), d, ##__VA_ARGS__)
#define STRING_OR_NULL(n, m, ...) ROW(n, CONFIG_STRING_OR_NULL, AT(m, char *), NULL, ##__VA_ARGS__)
#define SPECIAL(n, s, d, ...)     ROW(n, CONFIG_SPECIAL, 0, d, .special = &(s), ##__VA_ARGS__)
#define OLD_NAME(a)               .alias = a
#define IMMUTABLE                 .flags = CONFIG_IMMUTABLE

/* options_special.c: directives of several words or members. The base is the struct that the
 * comment names. */
extern const struct config_special special_bind;         /* net_config */
extern const struct config_special special_output_limit; /* client_config */
extern const struct config_special special_oom_values;   /* process_config */
extern const struct config_special special_dir;          /* none: the process's working directory */
extern const struct config_special special_percentiles;  /* monitor_config */
extern const struct config_special special_notify;       /* ks_config */
void special_bind_done(struct net_config *);

extern const struct config_row cluster_rows[]; /* options_cluster.c */
/* options_replication.c */
extern const struct config_row replication_rows[];
/* options_persist.c */
extern const struct config_row persist_rows[];
void persist_config_done(struct persist_config *);

/* options_later.c */
extern const struct config_row later_rows[];
extern const struct config_line_rule later_lines[];
struct later_config *later_new(void);
void later_free(struct later_config *);
