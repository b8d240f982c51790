/* Directives of the image file: rows over struct persist_config. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "common/alloc.h"
#include "common/num.h"
#include "server/apply.h"
#include "server/options_private.h"

#define BASE   persist_config
#define HIDDEN .flags = CONFIG_HIDDEN

static int on_change(void *owner, const char **ret_error)
{
    return apply_saving(owner, ret_error);
}
#define TELLS .apply = on_change

static int fail(const char **ret_error, const char *text)
{
    *ret_error = text;
    return -EINVAL;
}

/* ---- save <seconds> <changes>, any number of times; one empty word: none ---- */

static int save_set(void *base, const struct config_row *row, int argc, const struct bytes *argv,
                    bool adds, const char **ret_error)
{
    (void)row;
    struct persist_config *p = base;
    static const char invalid[] = "Invalid save parameters";
    if (argc == 0) {
        p->save_n = 0;
        return 0;
    }
    if (argc % 2)
        return fail(ret_error, invalid);
    int n = adds ? p->save_n : 0;
    struct save_point *save = mem_alloc((size_t)(n + argc / 2) * sizeof(*save));
    if (n)
        memcpy(save, p->save, (size_t)n * sizeof(*save));
    for (int i = 0; i < argc; i += 2, n++) {
        struct save_point *at = &save[n];
        if (!num_parse_i64(argv[i], &at->seconds) || !num_parse_i64(argv[i + 1], &at->changes) ||
            at->seconds < 1 || at->changes < 0) {
            mem_free(save);
            return fail(ret_error, invalid);
        }
    }
    mem_free(p->save);
    p->save = save;
    p->save_n = n;
    return 0;
}

static void save_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const struct persist_config *p = base;
    for (int i = 0; i < p->save_n; i++)
        (void)buf_printf(b, "%s%" PRId64 " %" PRId64, i ? " " : "", p->save[i].seconds,
                         p->save[i].changes);
}

static void save_rewrite(const void *base, const struct config_row *row, struct config *c)
{
    const struct persist_config *p = base;
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    save_get(base, row, &b);
    bool differs = bytes_cmp(buf_bytes(&b), bytes_of_str(row->def)) != 0;
    for (int i = 0; i < p->save_n; i++) {
        buf_clear(&b);
        (void)buf_printf(&b, "%" PRId64 " %" PRId64, p->save[i].seconds, p->save[i].changes);
        config_rewrite_line(c, row, buf_bytes(&b), differs);
    }
    if (!p->save_n)
        config_rewrite_line(c, row, BYTES("\"\""), true);
    buf_done(&b);
}

static const struct config_special special_save = { save_set, save_get, save_rewrite };

/* ---- rows ---- */

static const char *check_name(void *base)
{
    const struct persist_config *p = base;
    return p->dbfilename && strchr(p->dbfilename, '/')
               ? "dbfilename can't be a path, just a filename"
               : NULL;
}

enum { NO, YES, CLIENTS };
static const struct config_word sanitize_words[] = {
    { "no", NO }, { "yes", YES }, { "clients", CLIENTS }, { NULL }
};
static const struct config_word version_words[] = {
    { "10", RDB_SAVE_10 }, { "11", RDB_SAVE_11 }, { "auto", RDB_SAVE_AUTO }, { NULL }
};

const struct config_row persist_rows[] = {
    SPECIAL("save", special_save, "3600 1 300 100 60 10000", .flags = CONFIG_WORDS | CONFIG_MULTI, TELLS),
    STRING("dbfilename", dbfilename, "dump.rdb", .flags = CONFIG_PROTECTED, .check = check_name),
    BOOL("rdbcompression", rdbcompression, "yes"),
    BOOL("rdbchecksum", rdbchecksum, "yes", IMMUTABLE),
    BOOL("rdb-save-incremental-fsync", rdb_save_incremental_fsync, "yes"),
    BOOL("rdb-del-sync-files", rdb_del_sync_files, "no"),
    BOOL("stop-writes-on-bgsave-error", stop_writes_on_bgsave_error, "yes", TELLS),
    ENUM("sanitize-dump-payload", sanitize_dump_payload, "no", sanitize_words),
    INT("rdb-key-save-delay", rdb_key_save_delay, "0", INT_MIN, INT_MAX, HIDDEN),
    INT("key-load-delay", key_load_delay, "0", INT_MIN, INT_MAX, HIDDEN),
    INT("loading-process-events-interval-bytes", loading_process_events_interval_bytes, "2097152",
        1024, INT_MAX, HIDDEN),
    ENUM("rdb-save-version", rdb_save_version, "auto", version_words),
    CONFIG_ROWS_END,
};

void persist_config_done(struct persist_config *p)
{
    mem_free(p->save);
    p->save = NULL;
    p->save_n = 0;
}
