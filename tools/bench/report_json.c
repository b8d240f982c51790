/* The result as one JSON object. Times are in microseconds, CPU as well, memory in bytes. */
#include <inttypes.h>

#include "tools/bench/report.h"

static void string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static void latency(FILE *f, const struct histogram *h)
{
    fprintf(f, "\"latency_us\": {\"count\": %" PRIu64 ", \"mean\": %.3f, \"min\": %.3f", h->count,
            histogram_mean(h) / 1000, h->count ? (double)h->min / 1000 : 0.0);
    for (size_t i = 0; i < QUANTILES; i++)
        fprintf(f, ", \"%s\": %.3f", quantiles[i].name,
                (double)histogram_percentile(h, quantiles[i].percent) / 1000);
    fprintf(f, ", \"max\": %.3f}", (double)h->max / 1000);
}

static void server(FILE *f, const struct options *o, const struct run_result *r)
{
    fputs("  \"server\": {\"address\": ", f);
    if (o->socket) {
        string(f, o->socket);
    } else {
        char address[320];
        (void)snprintf(address, sizeof address, "%s:%u", o->host, (unsigned)o->port);
        string(f, address);
    }
    fputs(", \"version\": ", f);
    string(f, r->target.version);
    fputs(", \"multiplexing\": ", f);
    string(f, r->target.io);
    fprintf(f, ", \"pid\": %" PRId64, r->target.pid);
    if (r->server_known)
        fprintf(f, ", \"cpu_us\": %.3f, \"cpu_us_per_request\": %.4f",
                (double)r->server_cpu_ns / 1000, report_server_cpu_us(r));
    else
        fputs(", \"cpu_us\": null, \"cpu_us_per_request\": null", f);
    fprintf(f, ", \"rss_before\": %" PRIu64 ", \"rss_after\": %" PRIu64 "},\n", r->rss_before,
            r->rss_after);
}

static void asked(FILE *f, const struct options *o)
{
    static const char *const dists[] = { "uniform", "zipf", "sequential" };
    fprintf(f,
            "  \"options\": {\"connections\": %u, \"pipeline\": %u, \"keyspace\": %" PRIu64
            ", \"key_size\": %u, "
            "\"value_min\": %u, \"value_max\": %u, \"dist\": \"%s\", \"duration\": %.3f, "
            "\"warmup\": %.3f, "
            "\"requests\": %" PRIu64 ", \"rate\": %.3f, \"resp\": %d, \"seed\": %" PRIu64 "},\n",
            o->connections, o->pipeline, o->keyspace, o->key_size, o->value_min, o->value_max,
            dists[o->dist], o->duration, o->warmup, o->requests, o->rate, o->resp3 ? 3 : 2,
            o->seed);
}

static void commands(FILE *f, const struct run_result *r)
{
    fputs("  \"commands\": [", f);
    for (uint32_t i = 0; i < r->commands_n; i++) {
        const struct command_result *c = &r->commands[i];
        fprintf(f, "%s\n    {\"name\": ", i ? "," : "");
        string(f, c->name);
        fprintf(f,
                ", \"sent\": %" PRIu64 ", \"replies\": %" PRIu64 ", \"measured\": %" PRIu64
                ", \"errors\": %" PRIu64,
                c->sent, c->replies, c->measured, c->errors);
        fputs(", \"first_error\": ", f);
        if (c->errors)
            string(f, c->first_error);
        else
            fputs("null", f);
        fputs(",\n     ", f);
        latency(f, &c->latency);
        fputc('}', f);
    }
    fputs("\n  ]\n", f);
}

void report_json(FILE *f, const struct options *o, const struct run_result *r)
{
    fputs("{\n", f);
    server(f, o, r);
    asked(f, o);
    fprintf(f,
            "  \"client\": {\"engine\": \"%s\", \"cpu_us\": %.3f, \"cpu_us_per_request\": %.4f},\n",
            r->engine, (double)r->client_cpu_ns / 1000, report_client_cpu_us(r));
    fprintf(f,
            "  \"seconds\": %.6f, \"connect_seconds\": %.6f, \"requests\": %" PRIu64
            ", \"requests_total\": %" PRIu64 ", \"requests_per_second\": %.1f,\n"
            "  \"errors\": %" PRIu64 ", \"lost_connections\": %u, \"unanswered\": %" PRIu64
            ", \"complete\": %s, "
            "\"late_max_us\": %.3f, \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64 ",\n  ",
            r->seconds, r->connect_seconds, r->requests, r->requests_total, report_rate(r),
            r->errors, r->lost_connections, r->unanswered, r->complete ? "true" : "false",
            (double)r->late_max / 1000, r->bytes_in, r->bytes_out);
    latency(f, &r->latency);
    fputs(",\n", f);
    commands(f, r);
    fputs("}\n", f);
}
