/* INFO (see info.h): which sections there are, which are asked for, and how lines look. */
#include "server/info.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/text.h"
#include "server/loop/process.h"
#include "server/clients.h"
#include "server/node.h"

enum { DEFAULT = 1, ALL = 2, EVERYTHING = 4 };

static void info_modules(struct node *n, struct buf *b)
{
    (void)n;
    (void)b; /* there are none: the heading alone */
}

static const struct section {
    const char *name;
    info_section_fn *write;
    unsigned in; /* the sets it belongs to */
} sections[] = {
    { "Server", info_server, DEFAULT | ALL | EVERYTHING },
    { "Clients", info_clients, DEFAULT | ALL | EVERYTHING },
    { "Memory", info_memory, DEFAULT | ALL | EVERYTHING },
    { "Persistence", info_persistence, DEFAULT | ALL | EVERYTHING },
    { "Stats", info_stats, DEFAULT | ALL | EVERYTHING },
    { "Replication", info_replication, DEFAULT | ALL | EVERYTHING },
    { "CPU", info_cpu, DEFAULT | ALL | EVERYTHING },
    { "Modules", info_modules, DEFAULT | EVERYTHING },
    { "Commandstats", info_commandstats, ALL | EVERYTHING },
    { "Errorstats", info_errorstats, DEFAULT | ALL | EVERYTHING },
    { "Latencystats", info_latencystats, ALL | EVERYTHING },
    { "Cluster", info_cluster, DEFAULT | ALL | EVERYTHING },
    { "Keyspace", info_keyspace, DEFAULT | ALL | EVERYTHING },
    { "Debug", info_debug, 0 }, /* only when asked for by name */
};

void info_line(struct buf *b, const char *field, const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    buf_append_str(b, field);
    buf_append_char(b, ':');
    buf_append(b, bytes_of(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
    buf_append_str(b, "\r\n");
}

void info_u64(struct buf *b, const char *field, uint64_t v)
{
    info_line(b, field, "%llu", (unsigned long long)v);
}

void info_human(struct buf *b, const char *field, uint64_t bytes)
{
    char name[64], text[TEXT_MEMORY_MAX];
    info_u64(b, field, bytes);
    snprintf(name, sizeof(name), "%s_human", field);
    text_format_memory(text, bytes);
    info_line(b, name, "%s", text);
}

static bool wanted(const struct section *s, int n, const struct bytes *names)
{
    if (n == 0)
        return s->in & DEFAULT;
    for (int i = 0; i < n; i++) {
        if (bytes_is(names[i], s->name))
            return true;
        if ((s->in & DEFAULT) && bytes_is(names[i], "default"))
            return true;
        if ((s->in & ALL) && bytes_is(names[i], "all"))
            return true;
        if ((s->in & EVERYTHING) && bytes_is(names[i], "everything"))
            return true;
    }
    return false;
}

void info_build(struct node *node, int n, const struct bytes *names, struct buf *b)
{
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        if (!wanted(&sections[i], n, names))
            continue;
        if (b->n)
            buf_append_str(b, "\r\n");
        buf_printf(b, "# %s\r\n", sections[i].name);
        sections[i].write(node, b);
    }
}

/* Who is connected, and what runs now. */
static void describe_clients(struct node *node, struct buf *b)
{
    enum { CLIENTS_MAX = 100 };
    int n = 0;
    buf_append_str(b, "\n# Clients, one a line\n");
    LIST_EACH(clients_list(node_clients(node)), i) {
        if (n++ == CLIENTS_MAX)
            break;
        client_describe(LIST_ITEM(i, struct client, all), b);
        buf_append_char(b, '\n');
    }
    const struct call *c = dispatch_current(node_dispatch(node));
    for (int i = 0; c && i < c->argc && i < 32; i++)
        buf_printf(b, "argv[%d]: '%.*s'\n", i, (int)(c->argv[i].n < 128 ? c->argv[i].n : 128), c->argv[i].p);
}

void info_write_fd(struct node *node, int fd)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    struct bytes all = BYTES("everything");
    info_build(node, 1, &all, &b);
    describe_clients(node, &b);
    process_write(fd, b.p, b.n);
    buf_done(&b);
}
