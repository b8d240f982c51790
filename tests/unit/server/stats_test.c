/* Counters of errors by their first word, and rates over 16 samples. */
#include "server/stats.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/buf.h"

static struct stats *s;
static struct buf seen;

static void setup(void)
{
    s = stats_new();
    seen = BUF_INIT(BUF_UNLIMITED);
}

static void teardown(void)
{
    stats_free(s);
    buf_done(&seen);
}

TestSuite(stats, .init = setup, .fini = teardown, .timeout = 10);

static void visit(void *ctx, struct bytes code, uint64_t count)
{
    buf_printf(ctx, "%.*s=%llu ", (int)code.n, code.p, (unsigned long long)count);
}

static const char *errors(void)
{
    buf_clear(&seen);
    stats_each_error(s, visit, &seen);
    return seen.n ? buf_cstr(&seen) : "";
}

Test(stats, errors_are_counted_by_their_first_word)
{
    static const char *const texts[] = {
        "ERR one", "ERR two", "WRONGTYPE Operation", "NOCODE", "ERR three", "LF\nx y"
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        stats_error(s, bytes_of_str(texts[i]));
    cr_expect_str_eq(errors(), "ERR=3 WRONGTYPE=1 NOCODE=1 LF=1 ");
    cr_expect_eq(s->errors, 6);
}

Test(stats, the_number_of_codes_is_bounded_but_not_that_of_errors)
{
    for (int i = 0; i < 1000; i++) {
        char text[16];
        stats_error(s, bytes_of(text, (size_t)snprintf(text, sizeof(text), "E%d x", i)));
    }
    int kinds = 0;
    for (const char *p = errors(); *p; p++)
        kinds += *p == '=';
    cr_expect_eq(kinds, 128);
    cr_expect_eq(s->errors, 1000);
    stats_error(s, BYTES("E5 again"));
    cr_expect_not_null(strstr(errors(), "E5=2 "), "a known code is still counted");
}

Test(stats, a_code_that_is_too_long_or_empty_has_no_line)
{
    char text[200];
    memset(text, 'A', sizeof(text));
    stats_error(s, bytes_of(text, sizeof(text)));
    stats_error(s, BYTES(" x"));
    stats_error(s, bytes_of("", 0));
    cr_expect_str_eq(errors(), "");
    cr_expect_eq(s->errors, 3);
    stats_error(s, bytes_of(text, 63));
    cr_expect_eq(strlen(errors()), 63 + 3);
}

Test(stats, a_rate_is_the_mean_of_sixteen_samples)
{
    msec_t now = 1000;
    uint64_t value = 0;
    stats_sample(s, RATE_COMMANDS, value, now);
    cr_expect_eq(stats_per_second(s, RATE_COMMANDS), 0, "one sample is no rate");
    for (int i = 0; i < 16; i++)
        stats_sample(s, RATE_COMMANDS, value += 50, now += 100);
    cr_expect_eq(stats_per_second(s, RATE_COMMANDS), 500);
    for (int i = 0; i < 8; i++)
        stats_sample(s, RATE_COMMANDS, value, now += 100);
    cr_expect_eq(stats_per_second(s, RATE_COMMANDS), 250);
    cr_expect_eq(stats_per_second(s, RATE_BYTES_IN), 0);
}

Test(stats, a_counter_that_went_back_or_a_clock_that_stands_gives_no_nonsense)
{
    stats_sample(s, RATE_TURNS, 1000, 1000);
    stats_sample(s, RATE_TURNS, 0, 1100);
    cr_expect_eq(stats_per_second(s, RATE_TURNS), 0);
    stats_sample(s, RATE_TURNS, 500, 1100);
    cr_expect_eq(stats_per_second(s, RATE_TURNS), 0);
}

Test(stats, a_reset_keeps_what_belongs_to_the_start)
{
    s->startup_memory = 77;
    s->commands = 5;
    stats_error(s, BYTES("ERR x"));
    stats_reset(s);
    cr_expect_eq(s->startup_memory, 77);
    cr_expect_eq(s->commands + s->errors, 0);
    cr_expect_str_eq(errors(), "");
    stats_error(s, BYTES("ERR x"));
    cr_expect_str_eq(errors(), "ERR=1 ");
}
