/* INFO replication to figures. Fields that only Ouro has (lag_ms, lag_bytes) may be missing: then bytes are the
 * difference of the offsets, and the age is not known. */
#include <stdlib.h>
#include <string.h>

#include "lag.h"

static bool field(const char *line, const char *name, const char **ret_value)
{
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0 || line[n] != ':')
        return false;
    *ret_value = line + n + 1;
    return true;
}

static void copy(char *to, size_t size, const char *from, const char *stops)
{
    size_t n = strcspn(from, stops);
    n = n < size - 1 ? n : size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

/* The value of `name=` in "ip=..,port=..,..." of one line. */
static bool part(const char *line, const char *name, const char **ret_value)
{
    size_t n = strlen(name);
    for (const char *p = line; p; p = strpbrk(p, ",\r\n")) {
        p += *p == ',';
        if (*p == '\r' || *p == '\n')
            return false;
        if (strncmp(p, name, n) == 0 && p[n] == '=') {
            *ret_value = p + n + 1;
            return true;
        }
    }
    return false;
}

static int64_t number_of(const char *line, const char *name, int64_t otherwise)
{
    const char *v;
    return part(line, name, &v) ? strtoll(v, NULL, 10) : otherwise;
}

static void parse_replica(const char *line, struct lag_sample *s)
{
    if (s->replicas_n == LAG_REPLICAS_MAX)
        return;
    struct lag_replica *r = &s->replicas[s->replicas_n++];
    const char *v;
    char ip[256] = "?";
    if (part(line, "ip", &v))
        copy(ip, sizeof(ip), v, ",\r\n");
    snprintf(r->name, sizeof(r->name), "%s:%lld", ip, (long long)number_of(line, "port", 0));
    if (part(line, "state", &v))
        copy(r->state, sizeof(r->state), v, ",\r\n");
    r->offset = number_of(line, "offset", 0);
    r->lag_ms = number_of(line, "lag_ms", -1);
    r->lag_bytes = number_of(line, "lag_bytes", -1);
    r->drain = r->leaves_s = -1;
}

static void parse_line(const char *line, struct lag_sample *s)
{
    const char *v;
    if (field(line, "role", &v))
        copy(s->role, sizeof(s->role), v, "\r\n");
    else if (field(line, "master_host", &v))
        copy(s->master, sizeof(s->master) - 8, v, "\r\n");
    else if (field(line, "master_port", &v))
        snprintf(s->master + strlen(s->master), sizeof(s->master) - strlen(s->master), ":%d", atoi(v));
    else if (field(line, "master_link_status", &v))
        copy(s->link, sizeof(s->link), v, "\r\n");
    else if (field(line, "slave_lag_ms", &v))
        s->own_lag_ms = strtoll(v, NULL, 10);
    else if (field(line, "master_repl_offset", &v))
        s->offset = strtoll(v, NULL, 10);
    else if (field(line, "repl_backlog_size", &v))
        s->backlog_size = strtoll(v, NULL, 10);
    else if (field(line, "repl_backlog_histlen", &v))
        s->backlog_histlen = strtoll(v, NULL, 10);
    else if (strncmp(line, "slave", 5) == 0 && line[5] >= '0' && line[5] <= '9' && strchr(line, ':'))
        parse_replica(strchr(line, ':') + 1, s);
}

static const struct lag_replica *same(const struct lag_sample *s, const char *name)
{
    for (int i = 0; i < s->replicas_n; i++)
        if (strcmp(s->replicas[i].name, name) == 0)
            return &s->replicas[i];
    return NULL;
}

/* How fast the stream grows, how fast each replica takes it, and when one that is too slow leaves the backlog. */
static void add_rates(const struct lag_sample *before, struct lag_sample *s)
{
    double passed = s->at - before->at;
    if (passed <= 0 || s->offset < before->offset)
        return;
    s->produced = (double)(s->offset - before->offset) / passed;
    for (int i = 0; i < s->replicas_n; i++) {
        struct lag_replica *r = &s->replicas[i];
        const struct lag_replica *old = same(before, r->name);
        if (!old || r->offset < old->offset)
            continue;
        r->drain = (double)(r->offset - old->offset) / passed;
        double grows = (double)(r->lag_bytes - old->lag_bytes) / passed;
        if (grows > 0 && r->lag_bytes < s->backlog_size)
            r->leaves_s = (double)(s->backlog_size - r->lag_bytes) / grows;
    }
}

bool lag_parse(const char *info, double at, const struct lag_sample *before, struct lag_sample *ret)
{
    *ret = (struct lag_sample){ .at = at, .own_lag_ms = -1, .produced = -1 };
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        parse_line(line, ret);
    }
    for (int i = 0; i < ret->replicas_n; i++)
        if (ret->replicas[i].lag_bytes < 0)
            ret->replicas[i].lag_bytes = ret->offset - ret->replicas[i].offset;
    if (before)
        add_rates(before, ret);
    return ret->role[0] != '\0';
}
