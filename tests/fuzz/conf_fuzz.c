/* Configuration files of any bytes, with the real directives: loading ends well or with an error,
 * every value that CONFIG GET prints is taken back, and a server that starts with the rewritten
 * file has the same values.
 *
 * Input: the file; behind its first byte 0xff, if there is one, what "include x" reads; behind the
 * second one, lines of CONFIG SET. Files and folders are in memory here: a line can name what it
 * likes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/text.h"
#include "server/apply.h"
#include "server/command.h"
#include "server/config.h"
#include "server/io.h"
#include "server/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct bytes main_file, included_file;
static struct buf replaced = BUF_INIT(BUF_UNLIMITED);

int io_read_file(const char *path, size_t max, struct buf *ret_bytes)
{
    struct bytes file = strcmp(path, "/main") == 0 ? main_file : included_file;
    if (strcmp(path, "/main") != 0 && strcmp(path, "x") != 0)
        return -ENOENT;
    if (file.n > max)
        return -EFBIG;
    struct buf b = BUF_INIT(max);
    if (file.n)
        (void)buf_append(&b, file);
    *ret_bytes = b;
    return 0;
}

int io_replace_file(const char *path, struct bytes content, unsigned mode)
{
    ASSERT(strcmp(path, "/main") == 0);
    ASSERT(mode == 0640);
    buf_clear(&replaced);
    return content.n ? buf_append(&replaced, content) : 0;
}

int io_file_mode(const char *path, unsigned *ret_mode)
{
    (void)path;
    *ret_mode = 0640;
    return 0;
}

int io_chdir(const char *path)
{
    return path[0] ? 0 : -ENOENT;
}

int io_getcwd(struct buf *b)
{
    return buf_append_str(b, "/");
}

void io_glob(const char *pattern, struct io_paths *ret_paths)
{
    ret_paths->v = mem_alloc(sizeof(char *));
    ret_paths->v[0] = mem_strdup(pattern);
    ret_paths->n = 1;
}

void io_paths_done(struct io_paths *paths)
{
    mem_free(paths->v[0]);
    mem_free(paths->v);
}

#define APPLY(name)                                                                                \
    int apply_##name(struct node *node, const char **ret_error)                                    \
    {                                                                                              \
        (void)node, (void)ret_error;                                                               \
        return 0;                                                                                  \
    }
APPLY(log)
APPLY(bind)
APPLY(port)
APPLY(maxclients)
APPLY(maxmemory)
APPLY(client_memory)
APPLY(hz)
APPLY(title)
APPLY(oom_score)
APPLY(crash_log)
APPLY(watchdog)
APPLY(slowlog)
APPLY(tracking)
APPLY(latency)
APPLY(saving)
APPLY(cluster)
APPLY(replication)

void apply_child_title(struct node *node, const char *purpose)
{
    (void)node, (void)purpose;
}

void apply_child_oom_score(struct node *node)
{
    (void)node;
}

int command_rename(struct bytes old_name, struct bytes new_name)
{
    (void)new_name;
    return old_name.n ? 0 : -ENOENT;
}

struct loaded {
    struct options options;
    struct config *config;
};

static int load(struct loaded *l)
{
    static char *argv[] = { (char *)"ouro-server", (char *)"/main" };
    *l = (struct loaded){ .config = config_new() };
    options_attach(&l->options, l->config, NULL);
    return config_load(l->config, 2, argv);
}

static void unload(struct loaded *l)
{
    config_free(l->config);
    options_done(&l->options);
}

static void emit(void *ctx, struct bytes name, struct bytes value)
{
    (void)buf_printf(ctx, "%.*s=%.*s\n", (int)name.n, name.p, (int)value.n, value.n ? value.p : "");
}

/* The values of all directives as one text. */
static struct buf all_values(struct config *c)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    struct bytes all = BYTES("*");
    config_get(c, 1, &all, emit, &b);
    return b;
}

static void set_to_itself(struct config *c)
{
    struct buf value = BUF_INIT(BUF_UNLIMITED), error = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < config_count(c); i++) {
        const struct config_row *row = config_row_at(c, i);
        if (row->flags & CONFIG_IMMUTABLE)
            continue;
        buf_clear(&value);
        config_value(c, row, &value);
        struct bytes pair[2] = { bytes_of_str(row->name), value.n ? buf_bytes(&value) : BYTES("") };
        if (config_set(c, 2, pair, true, &error) < 0)
            PANIC("%s", buf_cstr(&error));
    }
    buf_done(&error);
    buf_done(&value);
}

static void set_lines(struct config *c, struct bytes text)
{
    while (text.n) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        struct arena scratch;
        arena_init(&scratch);
        struct bytes *words;
        size_t count;
        if (text_split(bytes_of(text.p, n), &scratch, &words, &count) && count > 1) {
            struct buf before = all_values(c), error = BUF_INIT(1024);
            if (config_set(c, (int)(count & ~(size_t)1), words, true, &error) < 0) {
                struct buf after = all_values(c);
                ASSERT(bytes_eq(buf_bytes(&before), buf_bytes(&after)));
                ASSERT(error.n > 4 && memcmp(error.p, "ERR ", 4) == 0);
                buf_done(&after);
            }
            buf_done(&error);
            buf_done(&before);
        }
        arena_done(&scratch);
        size_t step = n + (end != NULL);
        text = bytes_of(text.p + step, text.n - step);
    }
}

static void rewrite_and_load(struct config *c, bool force_all)
{
    struct buf error = BUF_INIT(1024);
    struct buf before = all_values(c);
    if (config_rewrite(c, force_all, &error) < 0)
        PANIC("%s", buf_cstr(&error));
    buf_done(&error);
    main_file = buf_bytes(&replaced);
    struct loaded again;
    ASSERT(load(&again) == 0);
    struct buf after = all_values(again.config);
    ASSERT(bytes_eq(buf_bytes(&before), buf_bytes(&after)));
    buf_done(&after);
    buf_done(&before);
    unload(&again);
}

/* The next part of the input, up to 0xff. */
static struct bytes next_part(struct bytes *rest)
{
    const char *end = rest->n ? memchr(rest->p, 0xff, rest->n) : NULL;
    struct bytes part = bytes_of(rest->p, end ? (size_t)(end - rest->p) : rest->n);
    size_t step = part.n + (end != NULL);
    *rest = bytes_of(rest->p + step, rest->n - step);
    return part;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    FILE *nowhere = fopen("/dev/null",
                          "w"); /* errors are expected; sanitizers write to the descriptor itself */
    ASSERT(nowhere);
    stderr = nowhere;
    log_configure(&(struct log_config){ .level = LOG_LEVEL_NOTHING });
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(size ? (const char *)data : "", size);
    main_file = next_part(&rest);
    included_file = next_part(&rest);
    struct loaded l;
    if (load(&l) == 0) {
        set_to_itself(l.config);
        set_lines(l.config, rest);
        rewrite_and_load(l.config, false);
        rewrite_and_load(l.config, true);
    }
    unload(&l);
    return 0;
}
