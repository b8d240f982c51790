/* Blocking sockets with time-outs; replies are read with the same scanner that counts them in the
 * run. */
#include "tools/bench/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tools/bench/replies.h"

static int connect_unix(const struct options *o, int *ret_fd)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (strlen(o->socket) >= sizeof a.sun_path)
        return -ENAMETOOLONG;
    memcpy(a.sun_path, o->socket, strlen(o->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

static int connect_tcp(const struct options *o, int *ret_fd)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *list;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)o->port);
    if (getaddrinfo(o->host, port, &hints, &list) != 0)
        return -EHOSTUNREACH;
    int r = -EHOSTUNREACH;
    for (struct addrinfo *a = list; a && r < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct timeval limit = { .tv_sec = LINK_TIMEOUT_S };
        if (fd >= 0)
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); /* for connect */
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
            *ret_fd = fd;
            r = 0;
        } else {
            r = -errno;
            if (fd >= 0)
                close(fd);
        }
    }
    freeaddrinfo(list);
    return r;
}

int link_open(const struct options *o, int *ret_fd)
{
    int fd = -1;
    int r = o->socket ? connect_unix(o, &fd) : connect_tcp(o, &fd);
    if (r < 0)
        return r;
    struct timeval limit = { .tv_sec = LINK_TIMEOUT_S };
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    *ret_fd = fd;
    return 0;
}

static void put_command(struct buf *b, const char *const *words, size_t n)
{
    (void)buf_printf(b, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(b, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
}

static int send_all(int fd, struct bytes b)
{
    while (b.n) {
        ssize_t n = send(fd, b.p, b.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        b = bytes_of(b.p + n, b.n - (size_t)n);
    }
    return 0;
}

/* The commands that open a connection, PING last; returns how many they are. */
static uint64_t greeting(const struct options *o, struct buf *b)
{
    char db[16];
    (void)snprintf(db, sizeof db, "%u", (unsigned)o->db);
    uint64_t n = 1;
    if (o->password) {
        put_command(b, (const char *[]){ "AUTH", o->user ? o->user : "default", o->password }, 3);
        n++;
    }
    if (o->resp3) {
        put_command(b, (const char *[]){ "HELLO", "3" }, 2);
        n++;
    }
    if (o->db) {
        put_command(b, (const char *[]){ "SELECT", db }, 2);
        n++;
    }
    put_command(b, (const char *[]){ "PING" }, 1);
    return n;
}

int link_greet(int fd, const struct options *o)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    (void)greeting(o, &b);
    int r = send_all(fd, buf_bytes(&b));
    buf_done(&b);
    return r;
}

static void keep_first_error(void *ctx, uint64_t nth, const char *text, size_t n)
{
    struct buf *b = ctx;
    if (b->n == 0)
        (void)buf_append(b, bytes_of(text, n));
}

/* Reads until `count` replies are whole; their bytes land in *raw, the first error's text in
 * *ret_error. */
static int read_replies(int fd, uint64_t count, struct buf *raw, struct buf *ret_error)
{
    struct replies state = { 0 };
    struct replies_errors errors = { keep_first_error, ret_error };
    while (count) {
        if (buf_reserve(raw, 16384) < 0)
            return -ENOMEM;
        ssize_t n = recv(fd, raw->p + raw->n, raw->cap - raw->n, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            return -ECONNRESET;
        uint64_t got = replies_scan(&state, raw->p + raw->n, (size_t)n, &errors);
        raw->n += (size_t)n;
        if (state.broken || got > count)
            return -EBADMSG;
        count -= got;
    }
    return ret_error->n ? -EPROTO : 0;
}

int link_settle(int fd, const struct options *o, struct buf *ret_error)
{
    struct buf hello = BUF_INIT(BUF_UNLIMITED), raw = BUF_INIT(1 << 20);
    uint64_t n = greeting(o, &hello);
    int r = read_replies(fd, n, &raw, ret_error);
    buf_done(&hello);
    buf_done(&raw);
    return r;
}

int link_ask(int fd, const char *const *words, size_t n, struct buf *ret_text)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED), error = BUF_INIT(1024);
    put_command(&b, words, n);
    int r = send_all(fd, buf_bytes(&b));
    buf_done(&b);
    if (r == 0)
        r = read_replies(fd, 1, ret_text, &error);
    buf_done(&error);
    if (r < 0)
        return r;
    /* the header's line goes; '$' and '=' differ only there */
    const char *newline = memchr(ret_text->p, '\n', ret_text->n);
    if (newline)
        buf_consume(ret_text, (size_t)(newline - ret_text->p) + 1);
    return 0;
}
