/* MIGRATE's connections (see migrate_link.h). The idle ones are few (MIGRATE_LINKS_IDLE_MAX): they are looked
 * through. */
#include "server/migrate_link.h"

#include <stdio.h>

#include "common/alloc.h"
#include "server/persist/rdb_format.h"

struct migrate_links {
    struct io *io;
    const struct peer_link_events *events;
    struct list idle; /* longest idle first */
    uint64_t idle_n, all_n;
};

struct migrate_links *migrate_links_new(struct io *io, const struct peer_link_events *events)
{
    struct migrate_links *all = mem_zalloc(sizeof(*all));
    all->io = io;
    all->events = events;
    list_init(&all->idle);
    return all;
}

static void leave_idle(struct migrate_link *l)
{
    if (!list_linked(&l->in_idle))
        return;
    list_remove(&l->in_idle);
    l->all->idle_n--;
}

static void free_link(struct migrate_link *l)
{
    leave_idle(l);
    l->all->all_n--;
    buf_done(&l->login);
    mem_free(l);
}

void migrate_links_free(struct migrate_links *all)
{
    if (!all)
        return;
    while (!list_empty(&all->idle)) {
        struct migrate_link *l = LIST_ITEM(list_first(&all->idle), struct migrate_link, in_idle);
        peer_link_free(l->peer);
        free_link(l);
    }
    mem_free(all);
}

uint64_t migrate_links_count(const struct migrate_links *all)
{
    return all->all_n;
}

void migrate_link_drop(struct migrate_link *l)
{
    if (!l)
        return;
    peer_link_close(l->peer);
    free_link(l);
}

/* ---- events: to the user; an idle link has none ---- */

static void on_up(void *owner)
{
    struct migrate_link *l = owner;
    l->all->events->up(l->user);
}

static void on_token(void *owner, const struct resp_token *t)
{
    struct migrate_link *l = owner;
    if (l->user)
        l->all->events->token(l->user, t);
    else
        migrate_link_drop(l); /* nobody asked anything: it is of no use */
}

static void on_down(void *owner, int err, size_t unsent)
{
    struct migrate_link *l = owner;
    if (l->user)
        l->all->events->down(l->user, err, unsent); /* may still look at the link */
    free_link(l);
}

/* ---- use ---- */

static struct migrate_link *find_idle(struct migrate_links *all, const char *name)
{
    LIST_EACH(&all->idle, n) {
        struct migrate_link *l = LIST_ITEM(n, struct migrate_link, in_idle);
        if (strcmp(l->name, name) == 0)
            return l;
    }
    return NULL;
}

static int open_link(struct migrate_links *all, const char *host, int port, const char *source_addr, const char *name,
                     struct migrate_link **ret_link)
{
    static const struct peer_link_events events = { .up = on_up, .token = on_token, .down = on_down };
    size_t n = strlen(name) + 1;
    struct migrate_link *l = mem_zalloc(sizeof(*l) + n);
    memcpy(l->name, name, n);
    l->all = all;
    l->login = BUF_INIT(BUF_UNLIMITED);
    l->version = RDB_VERSION;
    int r = peer_link_new(all->io, host, port, source_addr, &events, l, &l->peer);
    if (r < 0) {
        mem_free(l);
        return r;
    }
    all->all_n++;
    *ret_link = l;
    return 0;
}

int migrate_link_take(struct migrate_links *all, const char *host, int port, const char *source_addr, bool may_reuse,
                      void *user, struct migrate_link **ret_link)
{
    struct buf name = BUF_INIT(BUF_UNLIMITED);
    (void)buf_printf(&name, "%s:%d", host, port);
    struct migrate_link *l = may_reuse ? find_idle(all, buf_cstr(&name)) : NULL;
    int r = 0;
    if (l) {
        leave_idle(l);
        l->reused = true;
    } else {
        r = open_link(all, host, port, source_addr, buf_cstr(&name), &l);
    }
    buf_done(&name);
    if (r < 0)
        return r;
    l->user = user;
    *ret_link = l;
    return 0;
}

void migrate_link_give_back(struct migrate_link *l, msec_t now)
{
    struct migrate_links *all = l->all;
    l->user = NULL;
    l->idle_since = now;
    list_push_back(&all->idle, &l->in_idle);
    if (++all->idle_n > MIGRATE_LINKS_IDLE_MAX)
        migrate_link_drop(LIST_ITEM(list_first(&all->idle), struct migrate_link, in_idle));
}

void migrate_links_expire(struct migrate_links *all, msec_t now)
{
    while (!list_empty(&all->idle)) {
        struct migrate_link *l = LIST_ITEM(list_first(&all->idle), struct migrate_link, in_idle);
        if (now - l->idle_since < MIGRATE_LINK_IDLE_MS)
            return;
        migrate_link_drop(l);
    }
}
