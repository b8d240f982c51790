/* What ouro-lag makes of INFO replication. */
#include <criterion/criterion.h>
#include <string.h>

#include "lag.h"

static const char first[] = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"
                            "slave0:ip=10.0.0.2,port=6380,state=online,offset=1000,lag=0,lag_ms=12,lag_bytes=500\r\n"
                            "slave1:ip=10.0.0.3,port=6380,state=online,offset=1400,lag=1\r\n"
                            "master_repl_offset:1500\r\nrepl_backlog_size:2500\r\nrepl_backlog_histlen:1500\r\n";
static const char second[] = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n"
                             "slave0:ip=10.0.0.2,port=6380,state=online,offset=1200,lag=0,lag_ms=900,lag_bytes=1300\r\n"
                             "master_repl_offset:2500\r\nrepl_backlog_size:2500\r\nrepl_backlog_histlen:2500\r\n";

Test(lag, two_samples_tell_rates_and_when_the_backlog_is_left)
{
    struct lag_sample a, b;
    cr_assert(lag_parse(first, 10, NULL, &a));
    cr_expect_str_eq(a.role, "master");
    cr_expect_eq(a.replicas_n, 2);
    cr_expect_str_eq(a.replicas[0].name, "10.0.0.2:6380");
    cr_expect_eq(a.replicas[0].lag_ms, 12);
    cr_expect_eq(a.replicas[1].lag_ms, -1, "a Redis master does not say");
    cr_expect_eq(a.replicas[1].lag_bytes, 100);
    cr_expect_lt(a.replicas[0].drain, 0);
    cr_assert(lag_parse(second, 12, &a, &b));
    cr_expect_float_eq(b.produced, 500, 0.1);
    cr_expect_float_eq(b.replicas[0].drain, 100, 0.1);
    cr_expect_float_eq(b.replicas[0].leaves_s, 3, 0.01, "1200 bytes are left, 400 a second go");
}

Test(lag, a_replica_tells_its_master_and_its_own_age)
{
    struct lag_sample s;
    cr_assert(lag_parse("role:slave\r\nmaster_host:db\r\nmaster_port:6379\r\nmaster_link_status:up\r\n"
                        "connected_slaves:0\r\nslave_lag_ms:7\r\n",
                        1, NULL, &s));
    cr_expect_str_eq(s.master, "db:6379");
    cr_expect_str_eq(s.link, "up");
    cr_expect_eq(s.own_lag_ms, 7);
    cr_expect_eq(s.replicas_n, 0);
    cr_expect_not(lag_parse("-ERR\r\n", 1, NULL, &s));
}

Test(lag, json_is_one_line)
{
    struct lag_sample s;
    char text[4096] = "";
    lag_parse(first, 10, NULL, &s);
    FILE *f = fmemopen(text, sizeof(text), "w");
    lag_print_json(&s, f);
    fclose(f);
    cr_expect(strstr(text, "{\"replica\":\"10.0.0.2:6380\",\"state\":\"online\",\"offset\":1000,\"lag_ms\":12,"
                           "\"lag_bytes\":500,\"drain\":null"), "%s", text);
    cr_expect_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
