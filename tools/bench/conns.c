/* Connections are opened in groups: each is greeted and the group's replies are read before the
 * next group starts, so that the server's listen backlog never overflows (a dropped SYN is repeated
 * only after a second). */
#include "tools/bench/conns.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tools/bench/link.h"

#define GROUP 100 /* below every server's backlog */
#define FILES_SPARE 64
#define OUTPUT_BYTES_MAX ((uint64_t)8 << 30)

static int tell(struct buf *error, const struct options *o, const char *what, int e)
{
    if (error->n == 0) {
        if (o->socket)
            (void)buf_printf(error, "%s %s: %s", what, o->socket, strerror(-e));
        else
            (void)buf_printf(error, "%s %s:%u: %s", what, o->host, (unsigned)o->port, strerror(-e));
    }
    return e;
}

static int greet_all(struct conn *conns, uint32_t n, const struct options *o, struct buf *ret_error)
{
    int e = 0;
    for (uint32_t i = 0; i < n && e == 0; i++)
        e = link_settle(conns[i].fd, o, ret_error);
    return e;
}

int conns_probe(const struct options *o, struct target *ret_target, struct buf *ret_error)
{
    int fd;
    int e = link_open(o, &fd);
    if (e < 0)
        return tell(ret_error, o, "cannot connect to", e);
    e = link_greet(fd, o);
    if (e == 0)
        e = link_settle(fd, o, ret_error);
    if (e == 0)
        e = target_probe(ret_target, o, fd);
    close(fd);
    return e < 0 ? tell(ret_error, o, "no sensible answer from", e) : 0;
}

static void allow_files(uint32_t n)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < n) {
        l.rlim_cur = n < l.rlim_max ? n : l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
}

/* Buffers; a fixed workload's requests are put in place once, later only their digits change. */
static void equip(struct conn *c, const struct options *o, const struct workload *w)
{
    bool open = o->rate > 0;
    c->out_cap = (size_t)o->pipeline * w->request_max;
    c->out = mem_alloc(c->out_cap);
    if (w->commands_n > 1)
        c->kinds = mem_zalloc(o->pipeline);
    if (open)
        c->due = mem_zalloc(o->pipeline * sizeof *c->due);
    for (uint32_t i = 0; w->fixed && !open && i < o->pipeline; i++)
        memcpy(c->out + i * w->request_max, w->commands[0].forms[0].bytes, w->request_max);
}

int conns_open(const struct options *o, const struct workload *w, struct conn **ret_conns,
               uint32_t *ret_n, struct buf *ret_error)
{
    uint32_t n = o->connections;
    if ((uint64_t)n * o->pipeline * w->request_max > OUTPUT_BYTES_MAX && !o->idle) {
        (void)buf_append_str(ret_error, "connections x pipeline x request size is too much memory");
        return -EINVAL;
    }
    allow_files(n + FILES_SPARE);
    struct conn *conns = mem_zalloc(n * sizeof *conns);
    for (uint32_t i = 0; i < n; i++)
        conns[i] = (struct conn){ .fd = -1, .index = i };
    int e = 0;
    uint32_t group = 0; /* first of the connections not settled yet */
    for (uint32_t i = 0; i < n && e == 0; i++) {
        e = link_open(o, &conns[i].fd);
        if (e < 0) {
            (void)tell(ret_error, o, "cannot connect to", e);
            break;
        }
        if (!o->idle)
            equip(&conns[i], o, w);
        e = link_greet(conns[i].fd, o);
        if (e == 0 && (i + 1 - group == GROUP || i + 1 == n)) {
            e = greet_all(conns + group, i + 1 - group, o, ret_error);
            group = i + 1;
        }
    }
    if (e < 0) {
        conns_close(conns, n);
        return tell(ret_error, o, "cannot greet", e);
    }
    *ret_conns = conns;
    *ret_n = n;
    return 0;
}

void conns_close(struct conn *conns, uint32_t n)
{
    for (uint32_t i = 0; conns && i < n; i++) {
        if (conns[i].fd >= 0)
            close(conns[i].fd);
        mem_free(conns[i].out);
        mem_free(conns[i].kinds);
        mem_free(conns[i].due);
    }
    mem_free(conns);
}
