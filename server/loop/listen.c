/* Listeners: sockets that accept. TCP_NODELAY is set here once, as accepted sockets inherit it.
 *
 * When accepting fails because something ran out (descriptors, memory), the connection stays in the
 * kernel's queue and would be reported again at once: the listener rests for LOOP_ACCEPT_RETRY_US
 * instead of spinning. */
#include "server/loop/loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "server/loop/backend.h"

#define BIND_RETRY_US    (2 * 1000)
#define BIND_PATIENCE_US (150 * 1000)

static uint32_t listener_slot(struct io *io)
{
    for (uint32_t i = 0; i < io->n_listeners; i++) {
        if (!io->listeners[i])
            return i;
    }
    io->listeners = mem_realloc(io->listeners, (io->n_listeners + 1) * sizeof(struct listener *));
    io->listeners[io->n_listeners] = NULL;
    return io->n_listeners++;
}

/* Takes over fd and, when it succeeds, path. */
static int listener_new(struct io *io, int fd, char *path, int backlog,
                        struct listener **ret_listener)
{
    if (listen(fd, backlog) < 0)
        return -errno;
    struct listener *l = mem_zalloc(sizeof *l);
    l->io = io;
    l->fd = fd;
    l->refs = 1;
    l->is_unix = path != NULL;
    l->path = path;
    l->index = listener_slot(io);
    l->generation = ++io->listener_generation & 0xffffff;
    int r = io->ops->listen(l);
    if (r < 0) {
        mem_free(l);
        return r;
    }
    io->listeners[l->index] = l;
    *ret_listener = l;
    return 0;
}

/* When a process with an io_uring is killed, the kernel lets go of its listening sockets some 10 ms
 * after it is gone. A server that is restarted at once must not trip over its own ghost; once it
 * runs, it does not wait. */
static int bind_patiently(const struct io *io, int fd, const struct sockaddr *a, socklen_t n)
{
    for (usec_t waited = 0;; waited += BIND_RETRY_US) {
        if (bind(fd, a, n) == 0)
            return 0;
        if (errno != EADDRINUSE || io->stats.turns > 0 || waited >= BIND_PATIENCE_US)
            return -errno;
        (void)usleep(BIND_RETRY_US);
    }
}

int io_listen_tcp(struct io *io, const char *addr, int port, int backlog,
                  struct listener **ret_listener)
{
    struct sockaddr_storage a;
    socklen_t n;
    int r = addr_resolve(addr, port, &a, &n);
    if (r < 0)
        return r;
    int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (a.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    r = bind_patiently(io, fd, (struct sockaddr *)&a, n);
    if (r == 0)
        r = listener_new(io, fd, NULL, backlog, ret_listener);
    if (r < 0)
        (void)close(fd);
    return r;
}

/* A path left behind by a process that is gone would make bind fail; anything but a socket is not
 * ours to remove. */
static void remove_stale_socket(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
}

int io_listen_unix(struct io *io, const char *path, unsigned perm, int backlog,
                   struct listener **ret_l)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    if (n >= sizeof a.sun_path)
        return -ENAMETOOLONG;
    memcpy(a.sun_path, path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    remove_stale_socket(path);
    int r = 0;
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0)
        r = -errno;
    else if (perm && chmod(path, (mode_t)perm) < 0)
        r = -errno;
    if (r == 0) {
        char *copy = mem_strdup(path);
        r = listener_new(io, fd, copy, backlog, ret_l);
        if (r < 0)
            mem_free(copy);
    }
    if (r < 0)
        (void)close(fd);
    return r;
}

void listener_unref(struct listener *l)
{
    if (!l || --l->refs > 0)
        return;
    mem_free(l->path);
    mem_free(l);
}

void listener_close(struct listener *l)
{
    struct io *io = l->io;
    io->ops->unlisten(l);
    (void)shutdown(l->fd,
                   SHUT_RDWR); /* the port is free at once, whoever else holds the descriptor */
    (void)close(l->fd);
    l->fd = -1;
    if (l->is_unix)
        (void)unlink(l->path);
    io->listeners[l->index] = NULL;
    listener_unref(l);
}

bool listener_is_unix(const struct listener *l)
{
    return l->is_unix;
}

void listener_failed(struct listener *l, int err)
{
    struct io *io = l->io;
    io->stats.accept_errors++;
    bool lasts = err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS;
    if (lasts)
        l->retry_at = io->now_monotonic + LOOP_ACCEPT_RETRY_US;
    if (io->accept_logged_at && io->now_monotonic - io->accept_logged_at < 1000 * 1000)
        return;
    io->accept_logged_at = io->now_monotonic;
    log_warning("Accepting client connection: accept: %s", strerror(err));
}

usec_t listeners_deadline(const struct io *io)
{
    usec_t first = INT64_MAX;
    for (uint32_t i = 0; i < io->n_listeners; i++) {
        const struct listener *l = io->listeners[i];
        if (l && l->retry_at && l->retry_at < first)
            first = l->retry_at;
    }
    return first;
}

void listeners_retry(struct io *io)
{
    for (uint32_t i = 0; i < io->n_listeners; i++) {
        struct listener *l = io->listeners[i];
        if (!l || !l->retry_at || l->retry_at > io->now_monotonic)
            continue;
        l->retry_at = 0;
        if (io->ops->listen(l) < 0)
            l->retry_at = io->now_monotonic + LOOP_ACCEPT_RETRY_US;
    }
}

void listeners_free(struct io *io)
{
    for (uint32_t i = 0; i < io->n_listeners; i++) {
        if (io->listeners[i])
            listener_close(io->listeners[i]);
    }
    mem_free(io->listeners);
}
