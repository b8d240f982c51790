/* CPU time comes from schedstat, which counts nanoseconds, summed over the threads (io_uring's
 * workers are threads as well); where the kernel has none, from stat, in ticks. */
#include "tools/bench/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "tools/bench/clock.h"
#include "tools/bench/link.h"

static bool info_field(const char *info, const char *name, char *ret_value, size_t size)
{
    size_t n = strlen(name);
    for (const char *p = info; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, name, n) == 0 && p[n] == ':') {
            (void)snprintf(ret_value, size, "%.*s", (int)strcspn(p + n + 1, "\r\n"), p + n + 1);
            return true;
        }
    }
    return false;
}

static bool is_local(const struct options *o)
{
    return o->socket || strncmp(o->host, "127.", 4) == 0 || strcmp(o->host, "localhost") == 0 ||
           strcmp(o->host, "::1") == 0;
}

int target_probe(struct target *t, const struct options *o, int fd)
{
    *t = (struct target){ .version = "?", .pid = o->pid };
    struct buf info = BUF_INIT(16 << 20);
    int r = link_ask(fd, (const char *[]){ "INFO", "server" }, 2, &info);
    const char *text = r == 0 ? buf_cstr(&info) : NULL;
    if (text) {
        char redis[24] = "", own[24] = "", pid[24] = "";
        (void)info_field(text, "redis_version", redis, sizeof redis);
        if (info_field(text, "ouro_version", own, sizeof own))
            (void)snprintf(t->version, sizeof t->version, "ouro %s (%s)", own, redis);
        else if (info_field(text, "valkey_version", own, sizeof own))
            (void)snprintf(t->version, sizeof t->version, "valkey %s (%s)", own, redis);
        else if (redis[0])
            (void)snprintf(t->version, sizeof t->version, "redis %s", redis);
        (void)info_field(text, "multiplexing_api", t->io, sizeof t->io);
        if (!t->pid && is_local(o) && info_field(text, "process_id", pid, sizeof pid))
            t->pid = strtoll(pid, NULL, 10);
    }
    buf_done(&info);
    return r == -EPROTO ? 0 : r; /* INFO may be forbidden: then we know less */
}

static bool read_small(const char *path, char *ret_text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, ret_text, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    ret_text[n] = '\0';
    return true;
}

/* Sum over the threads; false where schedstat is missing. */
static bool cpu_from_schedstat(int64_t pid, uint64_t *ret_ns)
{
    char path[96], text[256];
    (void)snprintf(path, sizeof path, "/proc/%lld/task", (long long)pid);
    DIR *d = opendir(path);
    if (!d)
        return false;
    uint64_t sum = 0;
    for (struct dirent *e; (e = readdir(d));) {
        long tid = strtol(e->d_name, NULL, 10);
        if (tid <= 0)
            continue;
        (void)snprintf(path, sizeof path, "/proc/%lld/task/%ld/schedstat", (long long)pid, tid);
        if (read_small(path, text, sizeof text))
            sum += strtoull(text, NULL, 10);
    }
    closedir(d);
    *ret_ns = sum;
    return sum > 0;
}

/* Fields 14 and 15 of stat, counted behind the name, which may hold spaces. */
static bool cpu_from_stat(int64_t pid, uint64_t *ret_ns)
{
    char path[64], text[1024];
    unsigned long long user, system;
    (void)snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (!read_small(path, text, sizeof text))
        return false;
    const char *p = strrchr(text, ')');
    if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                     &system) != 2)
        return false;
    *ret_ns = (user + system) * (uint64_t)(NSEC_PER_SEC / sysconf(_SC_CLK_TCK));
    return true;
}

void target_sample(const struct target *t, struct target_sample *s)
{
    *s = (struct target_sample){ 0 };
    char path[64], text[256];
    unsigned long long resident;
    if (!t->pid)
        return;
    (void)snprintf(path, sizeof path, "/proc/%lld/statm", (long long)t->pid);
    if (!read_small(path, text, sizeof text) || sscanf(text, "%*u %llu", &resident) != 1)
        return;
    s->rss_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE);
    s->ok = cpu_from_schedstat(t->pid, &s->cpu_ns) || cpu_from_stat(t->pid, &s->cpu_ns);
}
