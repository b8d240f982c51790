/* The sockets the node listens on (see listeners.h). */
#include "server/listeners.h"

#include <errno.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/log.h"
#include "server/node.h"

struct listeners {
    struct node *node;
    struct listener *tcp[BIND_MAX];
    int tcp_n;
    int port;              /* the port they are on */
    struct listener *unix_socket;
    char error[160];
};

/* Errors of an address that this machine does not have: a '-' in front of it, or the default wildcard, forgives
 * them. */
static bool not_here(int r)
{
    return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT || r == -ENOPROTOOPT || r == -EINVAL;
}

static void close_tcp(struct listener **tcp, int n)
{
    for (int i = 0; i < n; i++)
        listener_close(tcp[i]);
}

/* Opens all of `bind`; the caller owns what is in `tcp`. 0 or -errno, with nothing open. */
static int open_tcp(struct listeners *ls, struct listener **tcp, int *ret_n)
{
    const struct net_config *net = &node_options(ls->node)->net;
    int n = 0;
    for (int i = 0; i < net->bind_n; i++) {
        bool optional = net->bind[i][0] == '-';
        const char *addr = net->bind[i] + optional;
        int r = io_listen_tcp(node_io(ls->node), addr, net->port, net->tcp_backlog, &tcp[n]);
        if (r == 0) {
            n++;
            continue;
        }
        log_warning("Warning: Could not create server TCP listening socket %s:%d: %s", addr, net->port, strerror(-r));
        if (optional && not_here(r))
            continue;
        close_tcp(tcp, n);
        return r;
    }
    *ret_n = n;
    return 0;
}

static int open_all(struct listeners *ls)
{
    const struct net_config *net = &node_options(ls->node)->net;
    int r = 0;
    if (net->port) {
        r = open_tcp(ls, ls->tcp, &ls->tcp_n);
        if (r < 0) {
            log_warning("Failed listening on port %d (tcp), aborting.", net->port);
            return r;
        }
        ls->port = net->port;
    }
    if (net->unixsocket && net->unixsocket[0]) {
        r = io_listen_unix(node_io(ls->node), net->unixsocket, net->unixsocketperm, net->tcp_backlog, &ls->unix_socket);
        if (r < 0) {
            log_warning("Failed opening Unix socket: bind: %s", strerror(-r));
            return r;
        }
    }
    if (ls->tcp_n == 0 && !ls->unix_socket) {
        log_warning("Configured to not listen anywhere, exiting.");
        return -EINVAL;
    }
    return 0;
}

int listeners_new(struct node *node, struct listeners **ret_listeners)
{
    struct listeners *ls = mem_zalloc(sizeof(*ls));
    ls->node = node;
    int r = open_all(ls);
    if (r < 0) {
        listeners_close(ls);
        return r;
    }
    *ret_listeners = ls;
    return 0;
}

void listeners_close(struct listeners *ls)
{
    if (!ls)
        return;
    close_tcp(ls->tcp, ls->tcp_n);
    if (ls->unix_socket)
        listener_close(ls->unix_socket);
    mem_free(ls);
}

int listeners_renew(struct listeners *ls, const char **ret_error)
{
    const struct net_config *net = &node_options(ls->node)->net;
    struct listener *old[BIND_MAX], *fresh[BIND_MAX];
    int old_n = ls->tcp_n, n = 0;
    memcpy(old, ls->tcp, sizeof(old));
    bool same_port = net->port == ls->port;
    if (same_port) /* the same port cannot be bound twice: the old ones go first */
        close_tcp(old, old_n);
    int r = net->port ? open_tcp(ls, fresh, &n) : 0;
    if (r < 0) {
        ls->tcp_n = same_port ? 0 : old_n;
        snprintf(ls->error, sizeof(ls->error), "%s",
                 same_port ? "Failed to bind to specified addresses."
                           : "Unable to listen on this port. Check server logs.");
        *ret_error = ls->error;
        return r;
    }
    if (!same_port)
        close_tcp(old, old_n);
    memcpy(ls->tcp, fresh, sizeof(fresh));
    ls->tcp_n = n;
    ls->port = net->port;
    return 0;
}

int listeners_count(const struct listeners *ls)
{
    return (ls->tcp_n > 0) + (ls->unix_socket != NULL);
}

void listeners_describe(const struct listeners *ls, int i, struct buf *b)
{
    const struct net_config *net = &node_options(ls->node)->net;
    if (i > 0 || ls->tcp_n == 0) {
        buf_printf(b, "name=unix,bind=%s", net->unixsocket);
        return;
    }
    buf_append_str(b, "name=tcp");
    for (int k = 0; k < net->bind_n; k++)
        buf_printf(b, ",bind=%s", net->bind[k]);
    buf_printf(b, ",port=%d", ls->port);
}
