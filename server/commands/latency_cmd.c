/* LATENCY: the latency monitor's events, and the histograms of commands. */
#include "server/latency.h"

#include <stdio.h>

#include "common/arena.h"
#include "common/histogram.h"
#include "server/node.h"

static int newest(const struct latency_series *s)
{
    return (s->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES;
}

static void cmd_latency_latest(struct call *c)
{
    struct latency *l = node_latency(c->node);
    reply_array(c, latency_series_count(l));
    for (int i = 0; i < latency_series_count(l); i++) {
        const struct latency_series *s = latency_series_at(l, i);
        reply_array(c, 4);
        resp_bulk_str(c->w, s->event);
        reply_int(c, s->samples[newest(s)].at_s);
        reply_int(c, s->samples[newest(s)].ms);
        reply_int(c, s->max);
    }
}

static void cmd_latency_history(struct call *c)
{
    const struct latency_series *s = latency_find(node_latency(c->node), c->argv[2]);
    int64_t n = 0;
    for (int i = 0; s && i < LATENCY_SAMPLES; i++)
        n += s->samples[i].at_s != 0;
    reply_array(c, n);
    for (int i = 0; s && i < LATENCY_SAMPLES; i++) {
        const struct latency_sample *p = &s->samples[(s->next + i) % LATENCY_SAMPLES];
        if (!p->at_s)
            continue;
        reply_array(c, 2);
        reply_int(c, p->at_s);
        reply_int(c, p->ms);
    }
}

static void cmd_latency_reset(struct call *c)
{
    struct latency *l = node_latency(c->node);
    int64_t n = 0;
    if (c->argc == 2) {
        for (; latency_series_count(l); n++)
            latency_forget(l, bytes_of_str(latency_series_at(l, 0)->event));
    }
    for (int i = 2; i < c->argc; i++)
        n += latency_forget(l, c->argv[i]);
    reply_int(c, n);
}

/* ---- GRAPH ---- */

static void age_label(char label[static 8], int64_t seconds)
{
    if (seconds < 60)
        snprintf(label, 8, "%ds", (int)seconds);
    else if (seconds < 3600)
        snprintf(label, 8, "%dm", (int)(seconds / 60));
    else if (seconds < 86400)
        snprintf(label, 8, "%dh", (int)(seconds / 3600));
    else
        snprintf(label, 8, "%dd", (int)(seconds / 86400 % 100000));
}

/* Columns of '#' under '_' and 'o' heads, four rows high, and the age of each sample written downwards. */
static void draw(struct buf *b, const struct latency_series *s, int64_t now_s)
{
    enum { ROWS = 4 };
    struct latency_sample list[LATENCY_SAMPLES];
    int n = 0;
    msec_t min = INT64_MAX, max = 0;
    for (int i = 0; i < LATENCY_SAMPLES; i++) {
        struct latency_sample p = s->samples[(s->next + i) % LATENCY_SAMPLES];
        if (!p.at_s)
            continue;
        list[n++] = p;
        min = p.ms < min ? p.ms : min;
        max = p.ms > max ? p.ms : max;
    }
    buf_printf(b, "%s - high %lld ms, low %lld ms (all time high %lld ms)\n", s->event, (long long)max, (long long)min,
               (long long)s->max);
    for (int i = 0; i < 80; i++)
        buf_append_char(b, '-');
    buf_append_char(b, '\n');
    for (int row = ROWS - 1; row >= 0; row--) {
        for (int i = 0; i < n; i++) {
            int64_t steps = max > min ? (list[i].ms - min) * (ROWS * 3 - 1) / (max - min) : ROWS * 3 - 1;
            int64_t top = steps / 3;
            buf_append_char(b, row > top ? ' ' : row < top ? '|' : "_o#"[steps % 3]);
        }
        buf_append_char(b, '\n');
    }
    buf_append_char(b, '\n');
    for (int line = 0; line < 7; line++) {
        bool any = false;
        for (int i = 0; i < n; i++) {
            char label[8] = "";
            age_label(label, now_s - list[i].at_s);
            bool has = (size_t)line < strlen(label);
            any |= has;
            buf_append_char(b, has ? label[line] : ' ');
        }
        buf_append_char(b, '\n');
        if (!any)
            break;
    }
}

static void cmd_latency_graph(struct call *c)
{
    const struct latency_series *s = latency_find(node_latency(c->node), c->argv[2]);
    if (!s) {
        resp_errorf(c->w, "ERR No samples available for event '%.*s'", (int)c->argv[2].n, c->argv[2].p);
        return;
    }
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    draw(&b, s, c->now / 1000);
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

/* ---- DOCTOR ---- */

static void describe_series(struct buf *b, const struct latency_series *s, int number)
{
    int64_t n = 0, sum = 0, first = INT64_MAX, last = 0;
    for (int i = 0; i < LATENCY_SAMPLES; i++) {
        if (!s->samples[i].at_s)
            continue;
        n++;
        sum += s->samples[i].ms;
        first = s->samples[i].at_s < first ? s->samples[i].at_s : first;
        last = s->samples[i].at_s > last ? s->samples[i].at_s : last;
    }
    buf_printf(b, "%d. %s: %lld latency spikes (average %lldms, period %.2f sec). Worst all time event %lldms.\n",
               number, s->event, (long long)n, (long long)(n ? sum / n : 0),
               n > 1 ? (double)(last - first) / (double)(n - 1) : 0.0, (long long)s->max);
}

static void cmd_latency_doctor(struct call *c)
{
    struct latency *l = node_latency(c->node);
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    if (!latency_enabled(l)) {
        buf_append_str(&b,
                       "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You "
                       "may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it.\n");
    } else if (latency_series_count(l) == 0) {
        buf_append_str(&b, "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the "
                           "slightest bit.\n");
    } else {
        buf_append_str(&b, "Dave, I have observed latency spikes in this Redis instance. These are the events:\n\n");
        for (int i = 0; i < latency_series_count(l); i++)
            describe_series(&b, latency_series_at(l, i), i + 1);
        buf_append_str(
            &b, "\nWhat to look at:\n\n"
                "- SLOWLOG GET names the commands that took long; KEYS, SORT and whole-collection reads on large "
                "keys are the usual ones. SCAN and its kin do the same work in small steps.\n"
                "- UNLINK and FLUSHALL ASYNC free large values outside of the command.\n"
                "- INFO commandstats and LATENCY HISTOGRAM show which commands cost the time.\n");
    }
    resp_verbatim(c->w, "txt", buf_bytes(&b));
    buf_done(&b);
}

/* ---- HISTOGRAM ---- */

/* Cumulative counts at powers of two of microseconds, as far as the largest value. */
static void reply_histogram(struct call *c, const struct command_entry *e)
{
    const struct histogram *h = e->stats->latency;
    resp_bulk_str(c->w, e->full_name);
    resp_map(c->w, 2);
    resp_bulk_str(c->w, "calls");
    reply_int(c, (int64_t)h->n);
    resp_bulk_str(c->w, "histogram_usec");
    struct writer_mark m = resp_later(c->w);
    int64_t pairs = 0;
    uint64_t seen = 0, said = 0;
    unsigned bucket = 0;
    for (uint64_t limit_us = 1; said < h->n; limit_us *= 2) {
        while (bucket < HISTOGRAM_BUCKETS && histogram_bucket_top(bucket) < (limit_us + 1) * 1000)
            seen += h->counts[bucket++];
        if (bucket == HISTOGRAM_BUCKETS)
            seen = h->n;
        if (seen == said)
            continue;
        said = seen;
        reply_int(c, (int64_t)limit_us);
        reply_int(c, (int64_t)seen);
        pairs++;
    }
    resp_later_map(c->w, m, pairs);
}

static bool has_histogram(const struct command_entry *e)
{
    const struct histogram *h = e->stats->latency;
    return h && h->n;
}

static void cmd_latency_histogram(struct call *c)
{
    struct writer_mark m = resp_later(c->w);
    int64_t n = 0;
    for (int i = 0; c->argc == 2 && i < command_ids(); i++) {
        if (!has_histogram(command_by_id(i)))
            continue;
        reply_histogram(c, command_by_id(i));
        n++;
    }
    for (int i = 2; i < c->argc; i++) {
        struct command_entry *e = command_find(c->argv[i]);
        if (!e)
            continue;
        if (has_histogram(e)) {
            reply_histogram(c, e);
            n++;
        }
        for (int k = 0; k < e->subs_n; k++) {
            if (!has_histogram(&e->subs[k]))
                continue;
            reply_histogram(c, &e->subs[k]);
            n++;
        }
    }
    resp_later_map(c->w, m, n);
}

static void cmd_latency_help(struct call *c)
{
    static const char *const lines[] = {
        "DOCTOR",
        "    Return a human readable latency analysis report.",
        "GRAPH <event>",
        "    Return an ASCII latency graph for the <event> class.",
        "HISTORY <event>",
        "    Return time-latency samples for the <event> class.",
        "LATEST",
        "    Return the latest latency samples for all events.",
        "RESET [<event> ...]",
        "    Reset latency data of one or more <event> classes.",
        "    (default: reset all data for all event classes)",
        "HISTOGRAM [COMMAND ...]",
        "    Return a cumulative distribution of latencies in the format of a histogram for the specified command "
        "names.",
        "    If no commands are specified then all histograms are replied.",
        NULL,
    };
    reply_help(c, lines);
}

#define FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
static const struct command latency_subs[] = {
    { "doctor", cmd_latency_doctor, 2, FLAGS, NO_KEYS, NULL },
    { "graph", cmd_latency_graph, 3, FLAGS, NO_KEYS, NULL },
    { "help", cmd_latency_help, 2, CMD_LOADING | CMD_STALE, NO_KEYS, NULL },
    { "histogram", cmd_latency_histogram, -2, FLAGS, NO_KEYS, NULL },
    { "history", cmd_latency_history, 3, FLAGS, NO_KEYS, NULL },
    { "latest", cmd_latency_latest, 2, FLAGS, NO_KEYS, NULL },
    { "reset", cmd_latency_reset, -2, FLAGS, NO_KEYS, NULL },
    COMMANDS_END,
};

const struct command latency_commands[] = {
    { "latency", NULL, -2, CMD_CONTAINER, NO_KEYS, latency_subs },
    COMMANDS_END,
};
