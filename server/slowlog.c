/* The slow log (see slowlog.h): a list of entries, newest first, each one allocation. */
#include "server/slowlog.h"

#include <stdio.h>

#include "common/alloc.h"
#include "common/list.h"

enum { ARGS_MAX = 32, ARG_BYTES = 128 };

struct slowlog {
    const struct monitor_config *config;
    struct list entries;
    int64_t n;
    int64_t next_id;
};

struct slowlog *slowlog_new(const struct monitor_config *config)
{
    struct slowlog *s = mem_zalloc(sizeof(*s));
    s->config = config;
    list_init(&s->entries);
    return s;
}

static void free_entry(struct slowlog_entry *e)
{
    for (int i = 0; i < e->argc; i++)
        mem_free((char *)e->argv[i].p);
    mem_free(e->peer);
    mem_free(e->name);
    mem_free(e);
}

static void drop_to(struct slowlog *s, int64_t max)
{
    while (s->n > max) {
        struct list_node *last = list_last(&s->entries);
        list_remove(last);
        free_entry(LIST_ITEM(last, struct slowlog_entry, in_log));
        s->n--;
    }
}

void slowlog_free(struct slowlog *s)
{
    if (!s)
        return;
    drop_to(s, 0);
    mem_free(s);
}

void slowlog_reset(struct slowlog *s)
{
    drop_to(s, 0);
}

void slowlog_trim(struct slowlog *s)
{
    drop_to(s, s->config->slowlog_max_len);
}

int64_t slowlog_len(const struct slowlog *s)
{
    return s->n;
}

const struct slowlog_entry *slowlog_first(const struct slowlog *s)
{
    struct list_node *n = list_first(&s->entries);
    return n ? LIST_ITEM(n, struct slowlog_entry, in_log) : NULL;
}

const struct slowlog_entry *slowlog_next(const struct slowlog *s, const struct slowlog_entry *e)
{
    struct list_node *n = list_next(&s->entries, &e->in_log);
    return n ? LIST_ITEM(n, struct slowlog_entry, in_log) : NULL;
}

/* The argument, or its first 128 bytes and how many there are more. */
static struct bytes kept_arg(struct bytes arg)
{
    if (arg.n <= ARG_BYTES)
        return bytes_of(mem_dup(arg.p, arg.n ? arg.n : 1), arg.n);
    char *p = mem_alloc(ARG_BYTES + 64);
    memcpy(p, arg.p, ARG_BYTES);
    int more = snprintf(p + ARG_BYTES, 64, "... (%zu more bytes)", arg.n - ARG_BYTES);
    return bytes_of(p, ARG_BYTES + (size_t)more);
}

void slowlog_note(struct slowlog *s, struct client *client, int argc, const struct bytes *argv, usec_t us, msec_t now)
{
    if (s->config->slowlog_max_len == 0)
        return;
    int n = argc < ARGS_MAX ? argc : ARGS_MAX;
    struct slowlog_entry *e = mem_zalloc(sizeof(*e) + (size_t)n * sizeof(*e->argv));
    e->id = s->next_id++;
    e->at_s = now / 1000;
    e->us = us;
    e->argc = n;
    e->peer = mem_strdup(client->conn ? conn_peer_name(client->conn) : "");
    e->name = mem_strdup(client->name ? client->name : "");
    for (int i = 0; i < n; i++) {
        if (i == n - 1 && argc > n) {
            char text[64];
            int len = snprintf(text, sizeof(text), "... (%d more arguments)", argc - n + 1);
            e->argv[i] = bytes_of(mem_dup(text, (size_t)len), (size_t)len);
        } else {
            e->argv[i] = kept_arg(argv[i]);
        }
    }
    list_push_front(&s->entries, &e->in_log);
    s->n++;
    slowlog_trim(s);
}
