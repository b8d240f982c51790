/* Connections of MIGRATE to other servers, kept for a while after use: moving a slot is thousands of small requests to
 * the same one. A link knows what it has told the other side (login, database) and how new a payload that can read. */
#pragma once

#include "common/buf.h"
#include "common/list.h"
#include "server/peer_link.h"

#define MIGRATE_LINK_IDLE_MS 10000 /* an unused link is closed after this */
#define MIGRATE_LINKS_IDLE_MAX 64

struct migrate_links;

struct migrate_link {
    struct peer_link *peer;
    struct list_node in_idle; /* while nobody uses it */
    msec_t idle_since;        /* monotonic ms */
    void *user;               /* whose it is now */
    int db;                   /* selected there */
    int version;              /* RDB version of payloads */
    bool reused;              /* it may have died without our hearing of it */
    struct buf login;         /* user and password that were accepted; empty: none */
    struct migrate_links *all;
    char name[];              /* "host:port" */
};

struct migrate_links *migrate_links_new(struct io *, const struct peer_link_events *for_users);
void migrate_links_free(struct migrate_links *);
/* One that is there and idle, if `may_reuse`; else a new one. The events go to `user`, until it is given back or
 * dropped; after `down` it is gone. 0 or -errno. */
int migrate_link_take(struct migrate_links *, const char *host, int port, const char *source_addr, bool may_reuse,
                      void *user, struct migrate_link **ret_link);
void migrate_link_give_back(struct migrate_link *, msec_t now); /* nothing is under way on it */
void migrate_link_drop(struct migrate_link *);                  /* closes it; NULL is fine */
void migrate_links_expire(struct migrate_links *, msec_t now);
uint64_t migrate_links_count(const struct migrate_links *);
