/* The real directives: each is documented, keeps its own value, and says what Redis says when it
 * refuses one. */
#include "server/options.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>

#include "config_harness.h"

TestSuite(options, .init = folder_enter);

static void value_of(struct config *c, const struct config_row *row, char *text, size_t n)
{
    struct buf b = BUF_INIT(n - 1);
    config_value(c, row, &b);
    (void)snprintf(text, n, "%s", b.n ? buf_cstr(&b) : "");
    buf_done(&b);
}

/* Whether the sample has the directive: as a line or, without a default to show, as "# name value".
 */
static bool documents(const char *sample, const char *name, bool has_default)
{
    char line[80];
    (void)snprintf(line, sizeof(line), has_default ? "\n%s " : "\n# %s ", name);
    return strstr(sample, line);
}

Test(options, the_sample_documents_every_directive_and_shows_its_default)
{
    char sample[64 * 1024];
    (void)snprintf(sample, sizeof(sample), "%s", read_file(SOURCE_ROOT "/redis.conf.sample"));
    struct loaded *d = LOAD("--hz", "10");
    for (int i = 0; i < config_count(d->config); i++) {
        const struct config_row *row = config_row_at(d->config, i);
        if (row->flags & CONFIG_HIDDEN)
            continue;
        bool has_default = row->type != CONFIG_STRING_OR_NULL &&
                           (row->type != CONFIG_SPECIAL || (row->def && row->def[0]) ||
                            strcmp(row->name, "notify-keyspace-events") == 0);
        cr_expect(documents(sample, row->name, has_default), "%s", row->name);
    }
    static const char *const lines[] = { "include", "rename-command", "user", "loadmodule" };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        cr_expect(documents(sample, lines[i], false), "%s", lines[i]);
    /* The other way round: it is read without a complaint, and changes nothing. */
    struct loaded *l = LOAD(SOURCE_ROOT "/redis.conf.sample");
    cr_assert_eq(l->result, 0, "%s", l->said);
    for (int i = 0; i < config_count(l->config); i++) {
        const struct config_row *row = config_row_at(l->config, i);
        char a[512], b[512];
        value_of(d->config, row, a, sizeof(a));
        value_of(l->config, row, b, sizeof(b));
        cr_expect_str_eq(b, a, "%s", row->name);
    }
    unload(l);
    unload(d);
}

Test(options, the_examples_of_the_sample_are_lines_that_can_be_used)
{
    char sample[64 * 1024], line[256];
    (void)snprintf(sample, sizeof(sample), "%s", read_file(SOURCE_ROOT "/redis.conf.sample"));
    int tried = 0;
    for (char *p = sample; (p = strstr(p, "\n# ")); p++) {
        size_t n = strcspn(p + 3, "\n"), name = strcspn(p + 3, " \n");
        (void)snprintf(line, sizeof(line), "%.*s\n", (int)n, p + 3);
        struct loaded *l = LOAD("--hz", "10");
        const struct config_row *row = config_find(l->config, bytes_of(p + 3, name));
        unload(l);
        if (!row || row->type != CONFIG_STRING_OR_NULL || isspace((unsigned char)p[3]))
            continue;
        l = load_text(line);
        cr_expect_eq(l->result, 0, "%s%s", line, l->said);
        unload(l);
        tried++;
    }
    cr_expect_geq(tried, 15);
}

/* What CONFIG GET prints, CONFIG SET takes: clients save and restore values that way. */
Test(options, every_value_can_be_set_to_what_it_is)
{
    struct loaded *l = LOAD("--save", "60 5", "--bind", "127.0.0.1", "--maxmemory-clients", "5%");
    char before[16 * 1024];
    (void)snprintf(before, sizeof(before), "%s", get(l->config, "*"));
    int n = 0;
    for (int i = 0; i < config_count(l->config); i++) {
        const struct config_row *row = config_row_at(l->config, i);
        if (row->flags & CONFIG_IMMUTABLE)
            continue;
        char value[512];
        value_of(l->config, row, value, sizeof(value));
        const char *names[] = { row->name, row->alias };
        for (int k = 0; k < 2 && names[k]; k++, n++) {
            struct bytes pair[2] = { bytes_of_str(names[k]), bytes_of_str(value) };
            struct buf error = BUF_INIT(512);
            cr_expect_eq(config_set(l->config, 2, pair, true, &error), 0, "%s", buf_cstr(&error));
            buf_done(&error);
        }
    }
    cr_expect_geq(n, 130);
    cr_expect_str_eq(get(l->config, "*"), before);
    cr_expect_eq(applied, 0);
    unload(l);
}

Test(options, all_names_of_redis_7_2_are_there)
{
    struct loaded *l = LOAD("--hz", "10");
    int names = 0;
    for (const char *p = get(l->config, "*"); *p; p++)
        names += *p == '\n';
    cr_expect_eq(names, 195 + 3 + 4); /* and io-backend, rdb-save-version, error-hints; four of replication */
    unload(l);
}

#define FAILED(name) "ERR CONFIG SET failed (possibly related to argument '" name "') - "
static const struct {
    const char *set, *error;
} refusals[] = {
    { "port 99999", FAILED("port") "argument must be between 0 and 65535 inclusive" },
    { "maxclients 0", FAILED("maxclients") "argument must be between 1 and 4294967295 inclusive" },
    { "proto-max-bulk-len 100", FAILED("proto-max-bulk-len") "argument must be between 1048576 and "
                                                             "9223372036854775807 inclusive" },
    { "slowlog-log-slower-than -2",
      FAILED("slowlog-log-slower-than") "argument must be between -1 and 9223372036854775807 "
                                        "inclusive" },
    { "save 1", FAILED("save") "Invalid save parameters" },
    { "save '0 1'", FAILED("save") "Invalid save parameters" },
    { "save '1 -1'", FAILED("save") "Invalid save parameters" },
    { "save 'a 1'", FAILED("save") "Invalid save parameters" },
    { "client-output-buffer-limit 'normal 1 2'",
      FAILED("client-output-buffer-limit") "Wrong number of arguments in buffer limit "
                                           "configuration." },
    { "client-output-buffer-limit 'master 1 2 3'",
      FAILED("client-output-buffer-limit") "Invalid client class specified in buffer limit "
                                           "configuration." },
    { "client-output-buffer-limit 'normal 1 2 3 replica 1 x 3'",
      FAILED("client-output-buffer-limit") "Error in hard, soft or soft_seconds setting in buffer "
                                           "limit configuration." },
    { "client-output-buffer-limit 'normal 1 2 -3'",
      FAILED("client-output-buffer-limit") "Error in hard, soft or soft_seconds setting in buffer "
                                           "limit configuration." },
    { "notify-keyspace-events KQ",
      FAILED("notify-keyspace-events") "Invalid event class character. Use 'Ag$lshzxeKEtmdn'." },
    { "oom-score-adj-values '1 2'", FAILED("oom-score-adj-values") "wrong number of arguments" },
    { "oom-score-adj-values '1 2 2001'",
      FAILED("oom-score-adj-values") "Invalid oom-score-adj-values, elements must be between -2000 "
                                     "and 2000." },
    { "latency-tracking-info-percentiles '50 x'",
      FAILED("latency-tracking-info-percentiles") "Invalid latency-tracking-info-percentiles "
                                                  "parameters" },
    { "latency-tracking-info-percentiles '50 100.1'",
      FAILED("latency-tracking-info-percentiles") "latency-tracking-info-percentiles parameters "
                                                  "should sit between [0.0,100.0]" },
    { "bind '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17'",
      FAILED("bind") "Too many bind addresses specified." },
    { "bind '127.0.0.1 \"a b\"'", FAILED("bind") "Failed to bind to specified addresses." },
    { "proc-title-template '{foo}'",
      FAILED("proc-title-template") "template format is invalid or contains unknown variables" },
    { "proc-title-template '{title}'",
      FAILED("proc-title-template") "template format is invalid or contains unknown variables" },
    { "proc-title-template 'a {port'",
      FAILED("proc-title-template") "template format is invalid or contains unknown variables" },
    { "locale-collate no_SUCH", FAILED("locale-collate") "Invalid locale name" },
    { "cluster-announce-hostname a_b",
      FAILED("cluster-announce-hostname") "Hostnames may only contain alphanumeric characters, "
                                          "hyphens or dots" },
    { "cluster-announce-human-nodename a$b",
      FAILED("cluster-announce-human-nodename") "Announced human node name contained invalid "
                                                "character" },
    { "maxmemory-policy foo",
      FAILED("maxmemory-policy") "argument(s) must be one of the following: volatile-lru, "
                                 "volatile-lfu, volatile-random, "
                                 "volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, "
                                 "noeviction" },
    { "databases 5", FAILED("databases") "can't set immutable config" },
    { "dir /tmp", FAILED("dir") "can't set protected config" },
    { "dbfilename x", FAILED("dbfilename") "can't set protected config" },
    { "appendonly yes",
      FAILED("appendonly") "any value of appendonly but \"no\" is not supported yet" },
    { "activedefrag yes",
      FAILED("activedefrag") "any value of activedefrag but \"no\" is not supported yet" },
    { "user x", "ERR Unknown option or number of arguments for CONFIG SET - 'user'" },
};

Test(options, refusals_have_the_words_of_redis)
{
    struct loaded *l = LOAD("--hz", "10");
    char before[16 * 1024];
    (void)snprintf(before, sizeof(before), "%s", get(l->config, "*"));
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        cr_expect_str_eq(set(l->config, refusals[i].set), refusals[i].error);
    cr_expect_str_eq(get(l->config, "*"), before);
    cr_expect_eq(applied, 0);
    unload(l);
}

Test(options, forms_of_values)
{
    static const struct {
        const char *set, *get;
    } cases[] = {
        { "notify-keyspace-events KEA", "notify-keyspace-events=AKE\n" },
        { "notify-keyspace-events gxK", "notify-keyspace-events=gxK\n" },
        { "latency-tracking-info-percentiles '0x10 1e1 1.23456789'",
          "latency-tracking-info-percentiles=16 10 1.234568\n" },
        { "latency-tracking-info-percentiles ''", "latency-tracking-info-percentiles=\n" },
        { "hz 0", "hz=1\n" },
        { "hz 501", "hz=500\n" },
        { "repl-backlog-size 1kb", "repl-backlog-size=16384\n" },
        { "client-output-buffer-limit 'NORMAL 1 2 3 slave 4 5 6'",
          "client-output-buffer-limit=normal 1 2 3 slave 4 5 6 pubsub 33554432 8388608 60\n" },
        { "oom-score-adj relative", "oom-score-adj=yes\n" },
        { "bind ''", "bind=\n" },
        { "save '1 2 3 4'", "save=1 2 3 4\n" },
        { "proc-title-template '{title} {port}'", "proc-title-template={title} {port}\n" },
        { "locale-collate C", "locale-collate=C\n" },
        { "slave-read-only no", "slave-read-only=no\n" },
        { "watchdog-period 200", "watchdog-period=200\n" },
    };
    struct loaded *l = LOAD("--hz", "10");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(cases[i].set, " "), cases[i].set);
        cr_expect_str_eq(set(l->config, cases[i].set), "OK", "%s", cases[i].set);
        cr_expect_str_eq(get(l->config, name), cases[i].get);
    }
    unload(l);
}

Test(options, dir_goes_back_when_another_value_is_refused)
{
    struct loaded *l = LOAD("--hz", "10");
    char before[512];
    (void)snprintf(before, sizeof(before), "%s", get(l->config, "dir"));
    cr_expect_str_eq(set_protected(l->config, "dir / dbfilename a/b"),
                     FAILED("dbfilename") "dbfilename can't be a path, just a filename");
    cr_expect_str_eq(get(l->config, "dir"), before);
    cr_expect_str_eq(set_protected(l->config, "dir /does/not/exist"),
                     FAILED("dir") "No such file or directory");
    cr_expect_str_eq(set_protected(l->config, "dir /"), "OK");
    cr_expect_str_eq(get(l->config, "dir"), "dir=/\n");
    unload(l);
}

Test(options, addresses_that_cannot_be_had_leave_the_old_ones)
{
    struct loaded *l = LOAD("--bind", "127.0.0.1");
    fail_apply = "Failed to bind to specified addresses.";
    cr_expect_str_eq(set(l->config, "hz 20 bind 1.2.3.4"),
                     FAILED("hz") "Failed to bind to specified addresses.");
    cr_expect_str_eq(get(l->config, "bind hz"), "bind=127.0.0.1\nhz=10\n");
    cr_expect_str_eq(l->options.net.bind[0], "127.0.0.1");
    unload(l);
}
