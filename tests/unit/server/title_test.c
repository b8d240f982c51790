/* proc-title-template. */
#include "server/title.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "server/loop/process.h"

TestSuite(title, .timeout = 10);

static const char *expanded(const struct options *o, const char *config_file)
{
    static char text[512];
    struct buf b = BUF_INIT(sizeof(text) - 1);
    title_expand(o, config_file, &b);
    snprintf(text, sizeof(text), "%.*s", (int)b.n, b.n ? b.p : "");
    buf_done(&b);
    return text;
}

Test(title, variables_are_expanded_and_trailing_spaces_dropped)
{
    static const struct {
        const char *template, *title;
    } cases[] = {
        { "{port}", "6379" },
        { "{listen-addr} {server-mode}", "127.0.0.1:6379" },
        { "a {config-file} b", "a /etc/o.conf b" },
        { "{tls-port}/{unixsocket}", "0//run/o.sock" },
        { "{unknown}x", "x" },
        { "{}x", "x" },
        { "open {port", "open {port" },
        { "}{port}{", "}6379{" },
        { "   ", "" },
        { "", "" },
        { "plain", "plain" },
    };
    struct options o = { .net = { .port = 6379, .bind = { (char *)"-127.0.0.1" }, .bind_n = 1,
                                  .unixsocket = (char *)"/run/o.sock" } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        o.process.proc_title_template = (char *)cases[i].template;
        cr_expect_str_eq(expanded(&o, "/etc/o.conf"), cases[i].title, "%s", cases[i].template);
    }
}

Test(title, begins_with_the_path_of_the_program)
{
    process_set_executable("/bin/sh");
    struct options o = { .net = { .bind_n = 0, .port = 0 },
                         .process = { .proc_title_template = (char *)"{title} {listen-addr}" } };
    cr_expect_not_null(strstr(expanded(&o, NULL), "sh"));
    o.process.proc_title_template = (char *)"{listen-addr}|{unixsocket}|{config-file}";
    cr_expect_str_eq(expanded(&o, NULL), "||");
}
