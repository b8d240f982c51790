/* The latency monitor: one sample a second and event, the worst; histograms of commands. */
#include "server/latency.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/histogram.h"

static struct monitor_config config;
static struct latency *l;

static void setup(void)
{
    config = (struct monitor_config){ .latency_monitor_threshold = 10 };
    l = latency_new(&config);
}

static void teardown(void)
{
    latency_free(l);
}

TestSuite(latency, .init = setup, .fini = teardown, .timeout = 10);

Test(latency, only_what_reaches_the_threshold_is_kept)
{
    latency_event(l, "command", 9, 1000);
    cr_expect_eq(latency_series_count(l), 0);
    latency_event(l, "command", 10, 1000);
    cr_expect_eq(latency_series_count(l), 1);
    config.latency_monitor_threshold = 0;
    cr_expect(!latency_enabled(l));
    latency_event(l, "fork", 1000, 1000);
    cr_expect_eq(latency_series_count(l), 1);
}

Test(latency, a_second_has_one_sample_the_worst)
{
    latency_event(l, "command", 20, 5000);
    latency_event(l, "command", 50, 5400);
    latency_event(l, "command", 30, 5999);
    latency_event(l, "command", 15, 6000);
    const struct latency_series *s = latency_find(l, BYTES("COMMAND"));
    cr_assert_not_null(s);
    cr_expect_eq(s->next, 2);
    cr_expect_eq(s->samples[0].ms, 50);
    cr_expect_eq(s->samples[0].at_s, 5);
    cr_expect_eq(s->samples[1].ms, 15);
    cr_expect_eq(s->max, 50);
}

Test(latency, the_ring_keeps_the_last_160_and_the_maximum_of_all)
{
    latency_event(l, "command", 999, 1000);
    for (int i = 2; i <= LATENCY_SAMPLES + 2; i++)
        latency_event(l, "command", 10 + i, i * 1000);
    const struct latency_series *s = latency_series_at(l, 0);
    cr_expect_eq(s->max, 999);
    cr_expect_eq(s->samples[s->next].at_s, 3, "the oldest is overwritten next");
}

Test(latency, forgetting_one_event_leaves_the_others)
{
    static const char *const events[] = { "a", "b", "c" };
    for (int i = 0; i < 3; i++)
        latency_event(l, events[i], 10 + i, 1000);
    cr_expect(latency_forget(l, BYTES("a")));
    cr_expect(!latency_forget(l, BYTES("a")));
    cr_expect_eq(latency_series_count(l), 2);
    cr_expect_eq(latency_find(l, BYTES("c"))->max, 12);
    cr_expect_eq(latency_find(l, BYTES("b"))->max, 11);
}

Test(latency, the_number_of_events_is_bounded)
{
    static char names[40][8];
    for (int i = 0; i < 40; i++) {
        snprintf(names[i], sizeof(names[i]), "e%d", i);
        latency_event(l, names[i], 10, 1000);
    }
    cr_expect_eq(latency_series_count(l), 32);
}

Test(latency, a_command_gets_its_histogram_on_first_use)
{
    struct command_stats stats = { 0 };
    latency_record(&stats, 1000);
    latency_record(&stats, 3000);
    struct histogram *h = stats.latency;
    cr_expect_eq(h->n, 2);
    cr_expect_eq(h->max, 3000);
    histogram_free(h);
}
