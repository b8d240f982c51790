/* The text, and what all reports share. */
#include "tools/bench/report.h"

#include <string.h>

const struct quantile quantiles[QUANTILES] = {
    { "p50", 50 }, { "p90", 90 }, { "p99", 99 }, { "p99.9", 99.9 }, { "p99.99", 99.99 },
};

const char *report_time(char dst[REPORT_TIME_MAX], double nsec)
{
    static const char *const units[] = { "ns", "us", "ms", "s" };
    int u = 0;
    double v = nsec;
    while (u < 3 && v >= 999.5) {
        v /= 1000;
        u++;
    }
    int decimals = u == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
    (void)snprintf(dst, REPORT_TIME_MAX, "%.*f %s", decimals, v < 99999 ? v : 99999.0, units[u]);
    return dst;
}

double report_rate(const struct run_result *r)
{
    return r->seconds > 0 ? (double)r->requests / r->seconds : 0;
}

double report_server_cpu_us(const struct run_result *r)
{
    return r->server_known && r->requests ? (double)r->server_cpu_ns / 1000 / (double)r->requests
                                          : 0;
}

double report_client_cpu_us(const struct run_result *r)
{
    return r->requests ? (double)r->client_cpu_ns / 1000 / (double)r->requests : 0;
}

void report_workload(char *dst, size_t size, const struct options *o, const struct run_result *r)
{
    size_t n = 0;
    dst[0] = '\0';
    for (uint32_t i = 0; i < r->commands_n && n < size; i++)
        n += (size_t)snprintf(dst + n, size - n, "%s%s", i ? " " : "", r->commands[i].name);
    if (o->idle)
        (void)snprintf(dst, size, "idle");
}

static void latency_line(FILE *f, const char *name, const struct histogram *h)
{
    char t[REPORT_TIME_MAX];
    fprintf(f, "%-13s", name);
    for (size_t i = 0; i < QUANTILES; i++)
        fprintf(f, " %10s", report_time(t, (double)histogram_percentile(h, quantiles[i].percent)));
    fprintf(f, " %10s", report_time(t, (double)h->max));
    fprintf(f, " %10s\n", report_time(t, histogram_mean(h)));
}

static void latency_table(FILE *f, const struct run_result *r)
{
    fprintf(f, "%-13s", "latency");
    for (size_t i = 0; i < QUANTILES; i++)
        fprintf(f, " %10s", quantiles[i].name);
    fprintf(f, " %10s %10s\n", "max", "mean");
    for (uint32_t i = 0; r->commands_n > 1 && i < r->commands_n; i++)
        latency_line(f, r->commands[i].name, &r->commands[i].latency);
    latency_line(f, r->commands_n > 1 ? "all" : r->commands[0].name, &r->latency);
}

static void headline(FILE *f, const struct options *o, const struct run_result *r)
{
    char what[256];
    report_workload(what, sizeof what, o, r);
    if (o->socket)
        fprintf(f, "%s", o->socket);
    else
        fprintf(f, "%s:%u", o->host, (unsigned)o->port);
    fprintf(f, " (%s)  %s  %u connections, pipeline %u, %s\n", r->target.version, what,
            o->connections, o->pipeline, r->engine);
}

static void trouble(FILE *f, const struct options *o, const struct run_result *r)
{
    for (uint32_t i = 0; i < r->commands_n; i++) {
        const struct command_result *c = &r->commands[i];
        if (c->errors)
            fprintf(f, "ERRORS        %s: %llu replies, the first: %s\n", c->name,
                    (unsigned long long)c->errors, c->first_error);
    }
    if (r->lost_connections)
        fprintf(f, "LOST          %u connections\n", r->lost_connections);
    if (r->unanswered)
        fprintf(f, "UNANSWERED    %llu requests\n", (unsigned long long)r->unanswered);
    if (!r->complete)
        fprintf(f, "INCOMPLETE    %s\n",
                o->requests || o->load ? "the time was over first" : "interrupted");
}

static void memory_line(FILE *f, const struct options *o, const struct run_result *r)
{
    if (!r->rss_before || !r->rss_after)
        return;
    double grown = (double)r->rss_after - (double)r->rss_before;
    fprintf(f, "server RSS    %.1f MB, %+.1f MB in the run", (double)r->rss_after / 1e6,
            grown / 1e6);
    if (o->idle)
        fprintf(f, ", %.0f bytes a connection", grown / o->connections);
    fputc('\n', f);
}

void report_text(FILE *f, const struct options *o, const struct run_result *r)
{
    headline(f, o, r);
    if (!o->idle) {
        /* bytes are counted over the whole run, requests over the window */
        double mega = r->requests_total ? report_rate(r) / (double)r->requests_total / 1e6 : 0;
        fprintf(f, "requests      %llu in %.2f s: %.0f a second, %.1f MB/s in, %.1f MB/s out\n",
                (unsigned long long)r->requests, r->seconds, report_rate(r),
                (double)r->bytes_in * mega, (double)r->bytes_out * mega);
        fprintf(f, "CPU           server ");
        if (r->server_known)
            fprintf(f, "%.3f us a request (%.0f %% of a core)", report_server_cpu_us(r),
                    (double)r->server_cpu_ns / r->seconds / 1e7);
        else
            fprintf(f, "unknown (not local?)");
        fprintf(f, ", client %.3f us\n", report_client_cpu_us(r));
    }
    memory_line(f, o, r);
    if (o->rate > 0) {
        char t[REPORT_TIME_MAX];
        fprintf(f, "rate          %.0f a second asked for; a request waited up to %s to be sent\n",
                o->rate, report_time(t, (double)r->late_max));
    }
    if (!o->idle)
        latency_table(f, r);
    trouble(f, o, r);
}
