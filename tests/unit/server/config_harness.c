#include "config_harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/text.h"
#include "server/apply.h"
#include "server/command.h"

int applied;
const char *fail_apply;

static int apply(const char **ret_error)
{
    applied++;
    if (!fail_apply)
        return 0;
    *ret_error = fail_apply;
    fail_apply = NULL; /* putting the old value back succeeds */
    return -EIO;
}

#define APPLY(name)                                                                                \
    int apply_##name(struct node *node, const char **ret_error)                                    \
    {                                                                                              \
        (void)node;                                                                                \
        return apply(ret_error);                                                                   \
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
APPLY(cluster)
APPLY(saving)
APPLY(replication)

void apply_child_title(struct node *node, const char *purpose)
{
    (void)node, (void)purpose;
}

void apply_child_oom_score(struct node *node)
{
    (void)node;
}

/* Two commands: get may be renamed to what is not "set". */
int command_rename(struct bytes old_name, struct bytes new_name)
{
    if (!bytes_is(old_name, "get"))
        return -ENOENT;
    return bytes_is(new_name, "set") ? -EEXIST : 0;
}

static char folder[64];

static void folder_leave(void)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        perror(command);
}

void folder_enter(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/ouro-config-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
    cr_assert_eq(atexit(folder_leave), 0);
}

void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f, "%s: %s", path, strerror(errno));
    cr_assert_geq(fputs(text, f), 0);
    cr_assert_eq(fclose(f), 0);
}

const char *read_file(const char *path)
{
    static char text[64 * 1024];
    FILE *f = fopen(path, "r");
    cr_assert_not_null(f, "%s: %s", path, strerror(errno));
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

struct loaded *load(const char *const *words, const char *input)
{
    struct loaded *l = mem_zalloc(sizeof(*l));
    l->config = config_new();
    options_attach(&l->options, l->config, NULL);
    char *argv[64] = { (char *)"ouro-server" };
    int argc = 1;
    while (words[argc - 1] && argc < 63) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    FILE *said = tmpfile();
    cr_assert_not_null(said);
    dup2(fileno(said), STDERR_FILENO);
    if (input) {
        FILE *in = tmpfile();
        cr_assert_not_null(in);
        fputs(input, in);
        fflush(in);
        lseek(fileno(in), 0, SEEK_SET);
        dup2(fileno(in), STDIN_FILENO);
        fclose(in);
    }
    l->result = config_load(l->config, argc, argv);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(said);
    size_t n = fread(l->said, 1, sizeof(l->said) - 1, said);
    l->said[n] = '\0';
    fclose(said);
    return l;
}

struct loaded *load_text(const char *text)
{
    write_file("test.conf", text);
    return LOAD("test.conf");
}

void unload(struct loaded *l)
{
    config_free(l->config);
    options_done(&l->options);
    mem_free(l);
}

static const char *set_as(struct config *c, const char *pairs, bool may_set_protected)
{
    static char text[2048];
    struct arena a;
    arena_init(&a);
    struct bytes *words;
    size_t n;
    cr_assert(text_split(bytes_of_str(pairs), &a, &words, &n));
    struct buf error = BUF_INIT(sizeof(text) - 1);
    int r = config_set(c, (int)n, words, may_set_protected, &error);
    (void)snprintf(text, sizeof(text), "%s", r == 0 ? "OK" : buf_cstr(&error));
    buf_done(&error);
    arena_done(&a);
    return text;
}

const char *set(struct config *c, const char *pairs)
{
    return set_as(c, pairs, false);
}

const char *set_protected(struct config *c, const char *pairs)
{
    return set_as(c, pairs, true);
}

static void emit(void *ctx, struct bytes name, struct bytes value)
{
    (void)buf_printf(ctx, "%.*s=%.*s\n", (int)name.n, name.p, (int)value.n, value.n ? value.p : "");
}

const char *get(struct config *c, const char *patterns)
{
    static struct buf b;
    buf_done(&b);
    buf_init(&b, BUF_UNLIMITED);
    struct arena a;
    arena_init(&a);
    struct bytes *words;
    size_t n;
    cr_assert(text_split(bytes_of_str(patterns), &a, &words, &n));
    config_get(c, (int)n, words, emit, &b);
    arena_done(&a);
    return b.n ? buf_cstr(&b) : "";
}
