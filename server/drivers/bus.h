/* The links of the cluster bus: connections that carry frames. Private to the cluster's driver. */
#pragma once

#include "cluster/cluster.h"
#include "server/io.h"

struct bus;

struct bus_handler {
    void (*up)(void *ctx, cluster_link_id, const char *peer_ip, const char *local_ip);
    void (*down)(void *ctx, cluster_link_id, enum cluster_down);
    void (*frame)(void *ctx, cluster_link_id, struct bytes); /* one whole frame; may close the link */
    void *ctx;
};

struct bus *bus_new(struct io *, const struct cluster *, const struct bus_handler *);
void bus_free(struct bus *);
int bus_listen(struct bus *, const char *addr, int port, int backlog); /* one more address; 0 or -errno */
bool bus_listens(const struct bus *, const struct listener *);
void *bus_accept(struct bus *, struct conn *);
/* 0: up or down follows. -errno: nothing was begun. */
int bus_connect(struct bus *, cluster_link_id, const char *ip, int port, const char *source_addr);
void bus_close(struct bus *, cluster_link_id);                 /* nothing is heard of it any more */
size_t bus_send(struct bus *, cluster_link_id, struct bytes);  /* bytes that wait now; 0: there is no such link */
void bus_fail(struct bus *, cluster_link_id, enum cluster_down); /* closes it; down is called at the turn's end */
uint64_t bus_links(const struct bus *);
size_t bus_memory(const struct bus *);
size_t bus_link_queued(const struct bus *, cluster_link_id);
