/* Files, standard input and the command line, with the real directives. */
#include "server/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_harness.h"
#include "server/version.h"

TestSuite(config_load, .init = folder_enter);

#define TITLE                                                                                      \
    "\n*** FATAL CONFIG FILE ERROR (Redis " REDIS_VERSION                                          \
    ") ***\nReading the configuration file, at line "
#define ARG "(the line comes from the command line)\n"

struct refused {
    const char *words[8];
    const char *block; /* what follows the title */
};

static const struct refused refused_words[] = {
    { { "--port" }, "2\n>>> 'port'\nwrong number of arguments\n" ARG },
    { { "--port", "6379", "6380" },
      "2\n>>> 'port \"6379\" \"6380\"'\nwrong number of arguments\n" ARG },
    { { "--invalid" }, "2\n>>> 'invalid'\nBad directive or wrong number of arguments\n" ARG },
    { { "--loglevel", "--bla" },
      "2\n>>> 'loglevel \"--bla\"'\nargument(s) must be one of the following: debug, verbose, "
      "notice, warning, "
      "nothing\n" ARG },
    { { "--port 7", "foo" }, "2\n>>> 'port 7 \"foo\"'\nwrong number of arguments\n" ARG },
    { { "--hz", "5", "--port", "x" },
      "3\n>>> 'port \"x\"'\nargument couldn't be parsed into an integer\n" ARG },
    { { "--requirepass", "--port", "7" },
      "2\n>>> 'requirepass \"--port\" \"7\"'\nwrong number of arguments\n" ARG },
    { { "--requirepass", "a\001\n\"b", "c" },
      "2\n>>> 'requirepass \"a\\x01\\n\\\"b\" \"c\"'\nwrong number of arguments\n" ARG },
    { { "--save", "--hz", "a" },
      "3\n>>> 'hz \"a\"'\nargument couldn't be parsed into an integer\n" ARG },
    { { "--Save", "--SAVE", "--hz", "a" },
      "4\n>>> 'hz \"a\"'\nargument couldn't be parsed into an integer\n" ARG },
    { { "--port 7", "--daemonize", "--hz", "a" },
      "3\n>>> 'daemonize \"--hz\" \"a\"'\nwrong number of arguments\n" ARG },
    { { "-x" }, "2\n>>> '\"-x\"'\nBad directive or wrong number of arguments\n" ARG },
    { { "--hz", "5", "-", "--port", "7" },
      "2\n>>> 'hz \"5\" \"-\"'\nwrong number of arguments\n" ARG },
    { { "--shutdown-on-sigint", "nosave", "save" },
      "2\n>>> 'shutdown-on-sigint \"nosave\" \"save\"'\nshutdown options SAVE and NOSAVE can't be "
      "used "
      "simultaneously\n" ARG },
    { { "--save", "1" }, "2\n>>> 'save \"1\"'\nInvalid save parameters\n" ARG },
    { { "--replicaof", "127.0.0.1", "abc" },
      "2\n>>> 'replicaof \"127.0.0.1\" \"abc\"'\nInvalid master port\n" ARG },
    { { "--user", "default on nopass", "--user", "default" },
      "2\n>>> 'user \"default on nopass\"'\nany user but \"default on nopass ~* &* +@all\" is not "
      "supported yet\n" ARG },
    { { "--user", "default", "on", "--user", "default", "nopass" },
      "3\n>>> 'user \"default\" \"nopass\"'\nError in user declaration 'default': Duplicate user "
      "found. A user can only "
      "be defined once in config files\n" ARG },
    { { "--rename-command", "foo", "bar" },
      "2\n>>> 'rename-command \"foo\" \"bar\"'\nNo such command in rename-command\n" ARG },
    { { "--rename-command", "get", "set" },
      "2\n>>> 'rename-command \"get\" \"set\"'\nTarget command name already exists\n" ARG },
    { { "--rename-command", "get" },
      "2\n>>> 'rename-command \"get\"'\nBad directive or wrong number of arguments\n" ARG },
    { { "--sentinel", "monitor", "a", "b", "c" },
      "2\n>>> 'sentinel \"monitor\" \"a\" \"b\" \"c\"'\nsentinel directive while not in sentinel "
      "mode\n" ARG },
    { { "--dir", "/does/not/exist" },
      "2\n>>> 'dir \"/does/not/exist\"'\nNo such file or directory\n" ARG },
    { { "--appendonly", "yes" },
      "2\n>>> 'appendonly \"yes\"'\nany value of appendonly but \"no\" is not supported "
      "yet\n" ARG },
    { { "--tls-port", "1" },
      "2\n>>> 'tls-port \"1\"'\nany value of tls-port but \"0\" is not supported yet\n" ARG },
    { { "--loadmodule", "x.so" },
      "2\n>>> 'loadmodule \"x.so\"'\nloadmodule is not supported yet\n" ARG },
    { { "--maxmemmory", "1" },
      "2\n>>> 'maxmemmory \"1\"'\nBad directive or wrong number of arguments\nDid you mean "
      "'maxmemory'?\n" ARG },
};

Test(config_load, a_bad_word_is_shown_with_its_reason)
{
    for (size_t i = 0; i < sizeof(refused_words) / sizeof(refused_words[0]); i++) {
        struct loaded *l = load(refused_words[i].words, NULL);
        char want[1024];
        (void)snprintf(want, sizeof(want), TITLE "%s", refused_words[i].block);
        cr_expect_eq(l->result, -EINVAL);
        cr_expect_str_eq(l->said, want);
        unload(l);
    }
}

Test(config_load, the_forms_of_the_command_line_that_work)
{
    static const struct {
        const char *words[8];
        const char *pattern, *values;
    } cases[] = {
        { { "--port", "7" }, "port", "port=7\n" },
        { { "--port 7" }, "port", "port=7\n" },
        { { "--port 7", "--hz 6" }, "port hz", "port=7\nhz=6\n" },
        { { "test.conf", "port", "8", "--hz", "6" }, "port hz", "port=8\nhz=6\n" },
        { { "", "--port", "8" }, "port", "port=8\n" },
        { { "--requirepass", "--secret" }, "requirepass", "requirepass=--secret\n" },
        { { "--requirepass", "" }, "requirepass", "requirepass=\n" },
        { { "--proc-title-template", "--my--title", "--hz", "6" },
          "proc* hz",
          "proc-title-template=--my--title\nhz=6\n" },
        { { "--save" }, "save", "save=\n" },
        { { "--save", "" }, "save", "save=\n" },
        { { "--save", "--port", "7" }, "save port", "port=7\nsave=\n" },
        { { "--save", "3600 1", "--save", "60", "5" }, "save", "save=3600 1 60 5\n" },
        { { "--bind" }, "bind", "bind=\n" },
        { { "--bind", "127.0.0.1", "-::1" }, "bind", "bind=127.0.0.1 -::1\n" },
        { { "--shutdown-on-sigint", "nosave", "force", "now" },
          "*sigint",
          "shutdown-on-sigint=nosave now force\n" },
        { { "--shutdown-on-sigint", "nosave force now" },
          "*sigint",
          "shutdown-on-sigint=nosave now force\n" },
        { { "--shutdown-on-sigint nosave force now" },
          "*sigint",
          "shutdown-on-sigint=nosave now force\n" },
        { { "--sentinel", "--port", "7" }, "port", "port=7\n" },
        { { "--port", "7", "--" }, "port", "port=7\n" },
        { { "--LOGLEVEL", "DEBUG" }, "loglevel", "loglevel=debug\n" },
        { { "--slave-priority", "5" }, "*-priority", "replica-priority=5\nslave-priority=5\n" },
        { { "--replicaof", "no", "one" }, "replicaof", "replicaof=\n" },
        { { "--slaveof", "h", "6379" }, "replicaof", "replicaof=h 6379\n" },
        { { "--rename-command", "GET", "" }, "port", "port=6379\n" },
        { { "--list-max-ziplist-entries", "5" }, "port", "port=6379\n" },
    };
    write_file("test.conf", "port 7\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded *l = load(cases[i].words, NULL);
        cr_expect_eq(l->result, 0, "%s: %s", cases[i].words[0], l->said);
        cr_expect_str_eq(l->said, "");
        cr_expect_str_eq(get(l->config, cases[i].pattern), cases[i].values);
        unload(l);
    }
}

Test(config_load, standard_input_comes_after_the_file_and_before_the_words)
{
    write_file("test.conf", "port 1\nhz 1\ntimeout 1"); /* no newline at its end */
    static const char *const words[] = { "test.conf", "--timeout", "3", "-", NULL };
    struct loaded *l = load(words, "hz 2\ntimeout 2\n");
    cr_expect_str_eq(get(l->config, "port timeout hz"), "port=1\ntimeout=3\nhz=2\n");
    unload(l);
    static const char *const first[] = { "-", "--timeout", "3", NULL };
    l = load(first, "hz 2\ntimeout 2\n");
    cr_expect_str_eq(get(l->config, "timeout hz"), "timeout=3\nhz=2\n");
    cr_expect_null(config_file(l->config));
    unload(l);
    static const char *const alone[] = { "-", NULL };
    l = load(alone, "hz a\n");
    cr_expect_str_eq(l->said, TITLE "1\n>>> 'hz a'\nargument couldn't be parsed into an integer\n");
    unload(l);
}

Test(config_load, lines_of_a_file_are_split_as_redis_does)
{
    static const struct {
        const char *text, *pattern, *values;
    } cases[] = {
        { "requirepass 'it''s'", NULL,
          "1\n>>> 'requirepass 'it''s''\nUnbalanced quotes in configuration line\n" },
        { "requirepass \"a\\x41\\n\\\"\\\\\"", "requirepass", "requirepass=aA\n\"\\\n" },
        { "requirepass \"\\x00a\"", NULL,
          "1\n>>> 'requirepass \"\\x00a\"'\nargument must not contain a NUL byte\n" },
        { "requirepass 'a\\x41\\''", "requirepass", "requirepass=a\\x41'\n" },
        { "\n\r\n  # comment\n\t HZ \t 7 \r\n", "hz", "hz=7\n" },
        { "\"hz\" '7'", "hz", "hz=7\n" },
        { "hz 5 # five", NULL, "1\n>>> 'hz 5 # five'\nwrong number of arguments\n" },
        { "port 7\n\nlogfile \"abc\n", NULL,
          "3\n>>> 'logfile \"abc'\nUnbalanced quotes in configuration line\n" },
        { "save 10 1\nsave 20 2 30 3", "save", "save=10 1 20 2 30 3\n" },
        { "save ''\nsave 10 1", "save", "save=10 1\n" },
        { "save 10 1\nsave ''", "save", "save=\n" },
        { "client-output-buffer-limit normal 1kb 2k 3\nclient-output-buffer-limit SLAVE 1 2 3",
          "client-output*",
          "client-output-buffer-limit=normal 1024 2000 3 slave 1 2 3 pubsub 33554432 8388608 "
          "60\n" },
        { "user default on nopass ~* &* +@all", "port", "port=6379\n" },
        { "maxmemory 1gb\nmaxmemory 2gb", "maxmemory", "maxmemory=2147483648\n" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded *l = load_text(cases[i].text);
        if (cases[i].pattern) {
            cr_expect_eq(l->result, 0, "%s: %s", cases[i].text, l->said);
            cr_expect_str_eq(get(l->config, cases[i].pattern), cases[i].values);
        } else {
            char want[1024], cwd[256];
            (void)snprintf(want, sizeof(want), TITLE "%s(in %s/test.conf)\n", cases[i].values,
                           getcwd(cwd, sizeof(cwd)));
            cr_expect_str_eq(l->said, want);
        }
        unload(l);
    }
}

Test(config_load, a_file_that_is_not_there_is_an_error)
{
    struct loaded *l = LOAD("missing.conf");
    cr_expect_eq(l->result, -ENOENT);
    unload(l);
    l = load_text("include missing.conf\n");
    cr_expect_eq(l->result, -ENOENT);
    unload(l);
}

Test(config_load, includes_may_be_nested_and_globbed)
{
    mkdir("conf.d", 0755);
    write_file("conf.d/10.conf", "hz 10\ntimeout 10\n");
    write_file("conf.d/20.conf", "hz 20\ninclude deep.conf");
    write_file("deep.conf", "tcp-keepalive 99\n");
    struct loaded *l = load_text("hz 1\ninclude conf.d/*.conf\ninclude nothing/*\ntimeout 5\n");
    cr_expect_eq(l->result, 0, "%s", l->said);
    cr_expect_str_eq(get(l->config, "hz timeout tcp-keepalive"),
                     "tcp-keepalive=99\ntimeout=5\nhz=20\n");
    unload(l);
}

Test(config_load, a_bad_line_of_an_included_file_names_that_file)
{
    write_file("other.conf", "\nhz a\n");
    struct loaded *l = load_text("port 7\n\n\n\ninclude other.conf\n");
    cr_expect_str_eq(
        l->said,
        TITLE "2\n>>> 'hz a'\nargument couldn't be parsed into an integer\n(in other.conf)\n");
    unload(l);
}

Test(config_load, files_that_include_each_other_are_an_error)
{
    write_file("a.conf", "include b.conf\n");
    write_file("b.conf", "include a.conf\n");
    struct loaded *l = LOAD("a.conf");
    cr_expect_eq(l->result, -EINVAL);
    cr_expect_not_null(
        strstr(l->said, "include: files are nested too deeply, or include each other"));
    cr_expect_null(strstr(strstr(l->said, "FATAL") + 1, "FATAL"), "said once");
    unload(l);
    /* and wide: each of the files includes the next one eight times */
    for (int i = 0; i < 20; i++) {
        char name[16], text[512] = "";
        for (int k = 0; k < 8; k++)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "include %d.conf\n",
                           i + 1);
        (void)snprintf(name, sizeof(name), "%d.conf", i);
        write_file(name, text);
    }
    write_file("20.conf", "hz 5\n");
    l = LOAD("0.conf");
    cr_expect_eq(l->result, -EINVAL);
    unload(l);
}

Test(config_load, dir_acts_when_it_is_read_and_the_file_keeps_its_name)
{
    char cwd[256], want[512];
    cr_assert_not_null(getcwd(cwd, sizeof(cwd)));
    mkdir("data", 0755);
    write_file("data/more.conf", "hz 77\n");
    struct loaded *l = load_text("dir ./data\ninclude more.conf\n");
    cr_expect_eq(l->result, 0, "%s", l->said);
    (void)snprintf(want, sizeof(want), "dir=%s/data\nhz=77\n", cwd);
    cr_expect_str_eq(get(l->config, "dir hz"), want);
    (void)snprintf(want, sizeof(want), "%s/test.conf", cwd);
    cr_expect_str_eq(config_file(l->config), want);
    unload(l);
}

Test(config_load, lines_for_the_parts_are_kept)
{
    static const char *const words[] = { "test.conf", "--rename-command", "get", "", NULL };
    write_file("test.conf", "\nuser default on nopass\nhz 5\n");
    struct loaded *l = load(words, NULL);
    cr_assert_eq(config_line_count(l->config), 2);
    const struct config_line *line = config_line_at(l->config, 0);
    cr_expect_eq(line->number, 2);
    cr_expect_eq(line->argc, 4);
    cr_expect(bytes_eq(line->argv[3], BYTES("nopass")));
    cr_expect_not_null(strstr(line->file, "/test.conf"));
    line = config_line_at(l->config, 1);
    cr_expect_null(line->file);
    cr_expect_eq(line->argv[2].n, 0);
    unload(l);
}

Test(config_load, names_nearly_right_are_pointed_out)
{
    static const struct {
        const char *line, *meant;
    } cases[] = {
        { "maxmemmory 1", "maxmemory" },
        { "MaxMemory-Polcy noeviction", "maxmemory-policy" },
        { "prot 1", "port" },
        { "slave-prioritty 1", "slave-priority" },
        { "inclde x", "include" },
        { "renamecommand a b", "rename-command" },
        { "completely-different 1", NULL },
        { "x 1", NULL },
        { "watchdog-perio 1", NULL }, /* hidden ones are not told */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded *l = load_text(cases[i].line);
        char want[64];
        (void)snprintf(want, sizeof(want), "\nDid you mean '%s'?\n",
                       cases[i].meant ? cases[i].meant : "");
        cr_expect_eq(l->result, -EINVAL);
        cr_expect_eq(strstr(l->said, cases[i].meant ? want : "Did you mean") != NULL,
                     cases[i].meant != NULL, "%s: %s", cases[i].line, l->said);
        unload(l);
    }
}
