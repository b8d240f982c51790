/* Start: configuration files, standard input and the command line (see config.h).
 *
 * As in Redis the command line is turned into further lines of the file, so that one parser serves
 * both and the numbers of lines in errors are those users know. Files may include files: nesting
 * and their number are bounded, so that a loop ends in an error. Directives act in the order in
 * which they are read: `dir` changes what later relative paths mean. */
#include <errno.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/assert.h"
#include "common/log.h"
#include "common/text.h"
#include "server/config_private.h"
#include "server/io.h"
#include "server/version.h"

enum { FILE_MAX_BYTES = 64 << 20, INCLUDE_DEPTH_MAX = 32, INCLUDE_FILES_MAX = 4096 };

/* Redis' name in the block, since that is what scripts look for. */
static const char fatal_title[] = "\n*** FATAL CONFIG FILE ERROR (Redis " REDIS_VERSION ") ***\n";

struct source {
    const char *file; /* NULL: standard input */
    size_t args_at;   /* offset in the text at which the command line begins */
    int depth;        /* 0: the main file */
};

struct load {
    struct config *c;
    int n_files;
};

static int load_file(struct load *, const char *path, int depth);

void config_print_fatal(const char *text)
{
    fprintf(stderr, "%s%s\n", fatal_title, text);
}

/* ---- errors ---- */

static void nearest(struct bytes name, const char *candidate, const char **best,
                    size_t *best_distance)
{
    if (!candidate)
        return;
    size_t d = text_distance(name, bytes_of_str(candidate), *best_distance - 1);
    if (d == TEXT_FAR || d >= *best_distance)
        return;
    *best = candidate;
    *best_distance = d;
}

/* The directive that `name` may have been meant to be, or NULL. */
static const char *near_miss(const struct config *c, struct bytes name)
{
    const char *best = NULL;
    size_t distance = name.n < 4 ? 2 : name.n < 8 ? 3 : 4; /* one more than is forgiven */
    nearest(name, "include", &best, &distance);
    for (int i = 0; i < c->n && distance > 1; i++) {
        if (c->entries[i].row->flags & CONFIG_HIDDEN)
            continue;
        nearest(name, c->entries[i].row->name, &best, &distance);
        if (distance > 1)
            nearest(name, c->entries[i].row->alias, &best, &distance);
    }
    for (int i = 0; i < c->n_rules; i++)
        for (const struct config_line_rule *r = c->rules[i].rules; r->name && distance > 1; r++)
            nearest(name, r->name, &best, &distance);
    return best;
}

static void print_error(const struct source *s, int number, struct bytes line, bool is_arg,
                        const char *text, const char *meant)
{
    fprintf(stderr, "%sReading the configuration file, at line %d\n>>> '%.*s'\n%s\n", fatal_title,
            number, (int)(line.n < 4096 ? line.n : 4096), line.p, text);
    if (meant)
        fprintf(stderr, "Did you mean '%s'?\n", meant);
    if (is_arg)
        fprintf(stderr, "(the line comes from the command line)\n");
    else if (s->file)
        fprintf(stderr, "(in %s)\n", s->file);
}

/* ---- one line ---- */

static const char bad_directive[] = "Bad directive or wrong number of arguments";

static struct config_line *keep_line(struct config *c, const struct source *s, int number,
                                     bool is_arg, size_t argc, const struct bytes *argv)
{
    if (c->n_lines == c->cap_lines) {
        c->cap_lines = c->cap_lines ? c->cap_lines * 2 : 16;
        c->lines = mem_realloc(c->lines, (size_t)c->cap_lines * sizeof(*c->lines));
    }
    struct bytes *copy = arena_array(&c->arena, argc, sizeof(*copy));
    for (size_t i = 0; i < argc; i++)
        copy[i] = arena_copy(&c->arena, argv[i]);
    const char *file = is_arg || !s->file ? NULL : arena_printf(&c->arena, "%s", s->file).p;
    struct config_line *line = &c->lines[c->n_lines++];
    *line = (struct config_line){ file, number, (int)argc, copy };
    return line;
}

/* A line for one of the rules. 1: no rule knows it. */
static int rule_line(struct config *c, const struct source *s, int number, bool is_arg, size_t argc,
                     const struct bytes *argv, const char **ret_error)
{
    for (int i = 0; i < c->n_rules; i++)
        for (const struct config_line_rule *r = c->rules[i].rules; r->name; r++) {
            if (!bytes_is(argv[0], r->name))
                continue;
            if (argc - 1 < (size_t)r->words_min || argc - 1 > (size_t)r->words_max) {
                *ret_error = bad_directive;
                return -EINVAL;
            }
            struct config_line line = *keep_line(c, s, number, is_arg, argc, argv);
            return r->handle ? r->handle(c->rules[i].owner, c, &line, ret_error) : 0;
        }
    return 1;
}

static int include(struct load *l, const struct source *s, size_t argc, const struct bytes *argv,
                   const char **ret_error)
{
    *ret_error = bad_directive;
    if (argc != 2)
        return -EINVAL;
    *ret_error = "include: files are nested too deeply, or include each other";
    if (s->depth >= INCLUDE_DEPTH_MAX)
        return -EINVAL;
    char *pattern = mem_alloc(argv[1].n + 1);
    memcpy(pattern, argv[1].p, argv[1].n);
    pattern[argv[1].n] = '\0';
    struct io_paths paths;
    io_glob(pattern, &paths);
    mem_free(pattern);
    int r = 0;
    for (size_t i = 0; i < paths.n && r == 0; i++)
        r = l->n_files++ < INCLUDE_FILES_MAX ? load_file(l, paths.v[i], s->depth + 1) : -EINVAL;
    if (r < 0 && l->n_files <= INCLUDE_FILES_MAX)
        *ret_error = NULL; /* said already */
    io_paths_done(&paths);
    return r;
}

static int sentinel_line(struct config *c, const struct source *s, int number, bool is_arg,
                         size_t argc, const struct bytes *argv, const char **ret_error)
{
    if (argc == 1)
        return 0; /* --sentinel: main has seen it */
    if (!c->sentinel) {
        *ret_error = "sentinel directive while not in sentinel mode";
        return -EINVAL;
    }
    (void)keep_line(c, s, number, is_arg, argc, argv);
    return 0;
}

static int directive(const struct source *s, struct config_entry *e, size_t argc,
                     const struct bytes *argv, const char **ret_error)
{
    bool adds = e->seen && (e->row->flags & CONFIG_MULTI);
    e->seen = true;
    e->in_include = s->depth > 0;
    return config_entry_set(e, (int)argc - 1, argv + 1, adds, ret_error);
}

/* Parts of Redis that went long ago; their lines still stand in many files. */
static bool is_retired(struct bytes name)
{
    return bytes_is(name, "list-max-ziplist-entries") || bytes_is(name, "list-max-ziplist-value") ||
           bytes_is(name, "lua-replicate-commands");
}

static int parse_line(struct load *l, const struct source *s, int number, struct bytes line,
                      bool is_arg, struct arena *scratch)
{
    struct bytes *argv;
    size_t argc;
    const char *error = bad_directive;
    const char *meant = NULL;
    int r = -EINVAL;
    if (!text_split(line, scratch, &argv, &argc) || argc > INT32_MAX) {
        error = "Unbalanced quotes in configuration line";
    } else if (argc == 0) {
        return 0;
    } else {
        struct config_entry *e = config_entry_find(l->c, argv[0], NULL);
        if (e)
            r = directive(s, e, argc, argv, &error);
        else if (bytes_is(argv[0], "include"))
            r = include(l, s, argc, argv, &error);
        else if (bytes_is(argv[0], "sentinel"))
            r = sentinel_line(l->c, s, number, is_arg, argc, argv, &error);
        else if (is_retired(argv[0]))
            r = argc == 2 ? 0 : -EINVAL;
        else
            r = rule_line(l->c, s, number, is_arg, argc, argv, &error);
        if (r == 1) {
            r = -EINVAL;
            meant = near_miss(l->c, argv[0]);
        }
    }
    if (r < 0 && error)
        print_error(s, number, line, is_arg, error, meant);
    return r;
}

static struct bytes trim(struct bytes b)
{
    while (b.n && strchr(" \t\r\n", b.p[0]) && b.p[0])
        b.p++, b.n--;
    while (b.n && strchr(" \t\r\n", b.p[b.n - 1]) && b.p[b.n - 1])
        b.n--;
    return b;
}

static int parse_text(struct load *l, const struct source *s, struct bytes text)
{
    struct arena scratch;
    arena_init(&scratch);
    int r = 0;
    size_t at = 0;
    for (int number = 1; at < text.n && r == 0; number++) {
        const char *end = memchr(text.p + at, '\n', text.n - at);
        size_t n = end ? (size_t)(end - (text.p + at)) : text.n - at;
        struct bytes line = trim(bytes_of(text.p + at, n));
        bool is_arg = at >= s->args_at;
        if (line.n && line.p[0] != '#')
            r = parse_line(l, s, number, line, is_arg, &scratch);
        at += n + 1;
        arena_reset(&scratch);
    }
    arena_done(&scratch);
    return r;
}

/* ---- files ---- */

/* Appends a file; says why not. */
static int read_source(const char *path, struct buf *text)
{
    struct buf b;
    int r = io_read_file(path, FILE_MAX_BYTES, &b);
    if (r < 0) {
        log_warning("Fatal error, can't open config file '%s': %s", path, strerror(-r));
        return r;
    }
    if (text->n && text->p[text->n - 1] != '\n')
        (void)buf_append_char(text, '\n');
    (void)buf_append(text, buf_bytes(&b));
    buf_done(&b);
    return 0;
}

/* (Recursion: by way of `include`, at most INCLUDE_DEPTH_MAX deep.) */
static int load_file(struct load *l, const char *path, int depth)
{
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    int r = read_source(path, &text);
    struct source s = { .file = path, .args_at = SIZE_MAX, .depth = depth };
    if (r == 0)
        r = parse_text(l, &s, buf_bytes(&text));
    buf_done(&text);
    return r;
}

/* ---- the command line ---- */

/* Whether an option stands complete without a value, so that a word beginning with "--" after it is
 * the next option. For all others it is the value: --requirepass --secret. */
static bool option_has_value(struct bytes option)
{
    struct arena scratch;
    arena_init(&scratch);
    struct bytes *words;
    size_t n = 0;
    bool has = !text_split(option, &scratch, &words, &n) || n > 1;
    if (n == 1)
        has = bytes_is(words[0], "save") || bytes_is(words[0], "sentinel");
    arena_done(&scratch);
    return has;
}

/* Appends the options as lines: --name v w becomes `name "v" "w"`. */
static void append_options(int argc, char **argv, struct buf *text)
{
    (void)buf_append_char(text, '\n');
    bool has_value = true; /* nothing waits for one */
    for (int i = 0; i < argc; i++) {
        struct bytes word = bytes_of_str(argv[i]);
        bool is_option = word.n >= 2 && word.p[0] == '-' && word.p[1] == '-';
        if (is_option && has_value) {
            struct bytes option = bytes_of(word.p + 2, word.n - 2);
            if (i)
                (void)buf_append_char(text, '\n');
            (void)buf_append(text, option);
            (void)buf_append_char(text, ' ');
            has_value = option_has_value(option);
        } else {
            (void)text_quote(text, word);
            (void)buf_append_char(text, ' ');
            has_value = true;
        }
    }
}

static char *absolute_path(const char *path)
{
    if (path[0] == '/')
        return mem_strdup(path);
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    if (io_getcwd(&b) < 0)
        buf_clear(&b);
    if (b.n && b.p[b.n - 1] != '/')
        (void)buf_append_char(&b, '/');
    while (path[0] == '.' && path[1] == '/')
        path += 2;
    while (path[0] == '.' && path[1] == '.' && path[2] == '/' && b.n > 1 && b.p[0] == '/') {
        size_t n = b.n - 1;
        while (b.p[n - 1] != '/')
            n--;
        b.n = n;
        path += 3;
    }
    (void)buf_append_str(&b, path);
    char *absolute = mem_strdup(buf_cstr(&b));
    buf_done(&b);
    return absolute;
}

static void note_loaded(struct config *c)
{
    for (int i = 0; i < c->n; i++) {
        struct config_entry *e = &c->entries[i];
        if (!e->in_include)
            continue;
        struct buf b = BUF_INIT(BUF_UNLIMITED);
        config_entry_text(e, &b);
        e->loaded_text = mem_strdup(buf_cstr(&b) ? b.p : "");
        buf_done(&b);
    }
}

int config_load(struct config *c, int argc, char **argv)
{
    int i = 1;
    bool from_stdin = false;
    const char *file = NULL;
    if (i < argc && argv[i][0] == '\0')
        i++; /* a script's empty variable: no file */
    if (i < argc && strcmp(argv[i], "-") == 0) {
        from_stdin = true;
        i++;
    } else if (i == 1 && i < argc && argv[i][0] != '-') {
        file = argv[i++];
    }
    if (!from_stdin && i < argc && strcmp(argv[argc - 1], "-") == 0) {
        from_stdin = true;
        argc--;
    }
    struct buf text = BUF_INIT(BUF_UNLIMITED);
    int r = 0;
    if (file) {
        c->file = absolute_path(file);
        r = read_source(c->file, &text);
    }
    if (r == 0 && from_stdin) {
        log_notice("Reading config from stdin");
        r = read_source("-", &text);
    }
    struct source s = { .file = c->file, .args_at = text.n, .depth = 0 };
    if (i < argc)
        append_options(argc - i, argv + i, &text);
    struct load l = { .c = c };
    if (r == 0)
        r = parse_text(&l, &s, buf_bytes(&text));
    buf_done(&text);
    if (r == 0)
        note_loaded(c);
    return r;
}
