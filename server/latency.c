/* Latency (see latency.h): events of the monitor in rings of one sample a second, and a histogram per command. */
#include "server/latency.h"

#include "common/alloc.h"
#include "common/histogram.h"

enum { EVENTS_MAX = 32 };

struct latency {
    const struct monitor_config *config;
    struct latency_series events[EVENTS_MAX];
    int n;
};

struct latency *latency_new(const struct monitor_config *config)
{
    struct latency *l = mem_zalloc(sizeof(*l));
    l->config = config;
    return l;
}

void latency_free(struct latency *l)
{
    mem_free(l);
}

bool latency_enabled(const struct latency *l)
{
    return l->config->latency_monitor_threshold > 0;
}

msec_t latency_threshold(const struct latency *l)
{
    return l->config->latency_monitor_threshold;
}

struct latency_series *latency_find(struct latency *l, struct bytes event)
{
    for (int i = 0; i < l->n; i++)
        if (bytes_is(event, l->events[i].event))
            return &l->events[i];
    return NULL;
}

int latency_series_count(const struct latency *l)
{
    return l->n;
}

const struct latency_series *latency_series_at(const struct latency *l, int i)
{
    return &l->events[i];
}

bool latency_forget(struct latency *l, struct bytes event)
{
    struct latency_series *s = latency_find(l, event);
    if (!s)
        return false;
    *s = l->events[--l->n];
    return true;
}

void latency_event(struct latency *l, const char *event, msec_t ms, msec_t now)
{
    if (!latency_enabled(l) || ms < latency_threshold(l))
        return;
    struct latency_series *s = latency_find(l, bytes_of_str(event));
    if (!s) {
        if (l->n == EVENTS_MAX)
            return;
        s = &l->events[l->n++];
        *s = (struct latency_series){ .event = event };
    }
    if (ms > s->max)
        s->max = ms;
    int last = (s->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES;
    if (s->samples[last].at_s == now / 1000) { /* one sample a second: the worst */
        if (ms > s->samples[last].ms)
            s->samples[last].ms = ms;
        return;
    }
    s->samples[s->next] = (struct latency_sample){ now / 1000, ms };
    s->next = (s->next + 1) % LATENCY_SAMPLES;
}

void latency_record(struct command_stats *s, uint64_t ns)
{
    if (__builtin_expect(!s->latency, 0))
        s->latency = histogram_new();
    histogram_add(s->latency, ns);
}

void latency_reset_commands(void)
{
    for (int i = 0; i < command_ids(); i++) {
        struct command_stats *s = command_by_id(i)->stats;
        histogram_free(s->latency);
        s->latency = NULL;
    }
}
