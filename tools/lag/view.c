/* Samples for people and for programs. */
#include "lag.h"

static void print_bytes(char text[static 24], double v)
{
    static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
    int u = 0;
    for (; v >= 1024 && u < 4; u++)
        v /= 1024;
    snprintf(text, 24, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void print_rate(char text[static 32], double v)
{
    char bytes[24];
    if (v < 0) {
        snprintf(text, 32, "-");
        return;
    }
    print_bytes(bytes, v);
    snprintf(text, 32, "%s/s", bytes);
}

static void print_age(char text[static 24], int64_t ms)
{
    if (ms < 0)
        snprintf(text, 24, "?");
    else if (ms < 10000)
        snprintf(text, 24, "%lld ms", (long long)ms);
    else
        snprintf(text, 24, "%.1f s", (double)ms / 1000);
}

static const char *colour_of(const struct lag_replica *r)
{
    return r->lag_ms > 5000 || r->leaves_s >= 0 ? "\033[31m" : r->lag_ms > 500 ? "\033[33m" : "\033[32m";
}

static void print_replica(const struct lag_sample *s, const struct lag_replica *r, bool colours, FILE *f)
{
    char age[24], bytes[24], drain[32], leaves[48] = "";
    print_age(age, r->lag_ms);
    print_bytes(bytes, (double)r->lag_bytes);
    print_rate(drain, r->drain);
    if (r->leaves_s >= 0)
        snprintf(leaves, sizeof(leaves), "leaves the backlog in %.0f s", r->leaves_s);
    else if (r->lag_bytes > s->backlog_size)
        snprintf(leaves, sizeof(leaves), "behind the backlog");
    fprintf(f, "  %-24s %-12s %s%10s%s %12s %14s  %s\n", r->name, r->state, colours ? colour_of(r) : "", age,
            colours ? "\033[0m" : "", bytes, drain, leaves);
}

void lag_print_text(const struct lag_sample *s, const char *address, bool colours, FILE *f)
{
    char size[24], rate[32], age[24];
    print_bytes(size, (double)s->backlog_size);
    print_rate(rate, s->produced);
    fprintf(f, "%s  %s  offset %lld  backlog %s  writes %s\n", address, s->role, (long long)s->offset, size, rate);
    if (s->master[0]) {
        print_age(age, s->own_lag_ms);
        fprintf(f, "  follows %s, link %s, data %s old\n", s->master, s->link, age);
    }
    if (s->replicas_n == 0) {
        fprintf(f, "  no replicas\n");
        return;
    }
    fprintf(f, "  %-24s %-12s %10s %12s %14s\n", "replica", "state", "lag", "behind", "takes");
    for (int i = 0; i < s->replicas_n; i++)
        print_replica(s, &s->replicas[i], colours, f);
}

static void json_text(const char *name, const char *value, FILE *f)
{
    fprintf(f, "\"%s\":\"", name);
    for (; *value; value++)
        fprintf(f, *value == '"' || *value == '\\' ? "\\%c" : (unsigned char)*value < ' ' ? " " : "%c", *value);
    fputc('"', f);
}

static void json_rate(const char *name, double value, FILE *f)
{
    if (value < 0)
        fprintf(f, ",\"%s\":null", name);
    else
        fprintf(f, ",\"%s\":%.1f", name, value);
}

static void json_replica(const struct lag_replica *r, FILE *f)
{
    fputc('{', f);
    json_text("replica", r->name, f);
    fputc(',', f);
    json_text("state", r->state, f);
    fprintf(f, ",\"offset\":%lld,\"lag_ms\":%lld,\"lag_bytes\":%lld", (long long)r->offset, (long long)r->lag_ms,
            (long long)r->lag_bytes);
    json_rate("drain", r->drain, f);
    json_rate("leaves_backlog_in_s", r->leaves_s, f);
    fputc('}', f);
}

void lag_print_json(const struct lag_sample *s, FILE *f)
{
    fputc('{', f);
    json_text("role", s->role, f);
    fprintf(f, ",\"offset\":%lld,\"backlog_size\":%lld,", (long long)s->offset, (long long)s->backlog_size);
    json_text("master", s->master, f);
    fputc(',', f);
    json_text("link", s->link, f);
    fprintf(f, ",\"lag_ms\":%lld", (long long)s->own_lag_ms);
    json_rate("produced", s->produced, f);
    fprintf(f, ",\"replicas\":[");
    for (int i = 0; i < s->replicas_n; i++) {
        if (i)
            fputc(',', f);
        json_replica(&s->replicas[i], f);
    }
    fprintf(f, "]}\n");
}
