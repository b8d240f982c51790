#include "tests/unit/server/loop/harness.h"

#include <arpa/inet.h>

#include "common/log.h"

/* ---- the node ---- */

static struct peer *peer_new(struct world *w, struct conn *c)
{
    struct peer *p = calloc(1, sizeof *p);
    p->w = w;
    p->conn = c;
    p->number = w->n_peers;
    if (w->n_peers < PEERS_MAX)
        w->peers[w->n_peers++] = p;
    return p;
}

static void *on_opened(void *ctx, struct conn *c, struct listener *l)
{
    struct world *w = ctx;
    (void)l;
    if (w->refuse) {
        resp_error_str(conn_writer(c, 2), "ERR max number of clients reached");
        atomic_fetch_add(&w->opened, 1);
        return NULL;
    }
    struct peer *p = peer_new(w, c);
    if (w->on_opened)
        w->on_opened(p);
    atomic_fetch_add(&w->opened, 1);
    return p;
}

static void on_input(void *owner, struct bytes b)
{
    struct peer *p = owner;
    struct world *w = p->w;
    p->bytes_in += b.n;
    if (w->on_input) {
        w->on_input(p, b);
        return;
    }
    if (w->n_items == w->cap_items) {
        w->cap_items = w->cap_items ? w->cap_items * 2 : 64;
        w->items = realloc(w->items, w->cap_items * sizeof *w->items);
    }
    w->items[w->n_items++] = (struct item){ p, b };
}

static void on_placed(void *owner, size_t n)
{
    struct peer *p = owner;
    p->big_have += n;
    if (p->w->on_placed)
        p->w->on_placed(p, n);
}

static void on_closed(void *owner, int err)
{
    struct peer *p = owner;
    p->closed++;
    p->err = err;
    if (p->w->on_closed)
        p->w->on_closed(p);
    p->conn = NULL;
    atomic_fetch_add(&p->w->closed, 1);
}

static void on_connected(void *owner, int err)
{
    struct peer *p = owner;
    p->connected++;
    p->connect_err = err;
    if (p->w->on_connected)
        p->w->on_connected(p);
}

static void execute(void *ctx)
{
    struct world *w = ctx;
    atomic_fetch_add(&w->executes, 1);
    for (size_t i = 0; i < w->n_items; i++) {
        struct item *it = &w->items[i];
        if (!it->p->conn)
            continue;
        if (w->on_bytes)
            w->on_bytes(it->p, it->b);
        else
            writer_append(conn_writer(it->p->conn, 2), it->b);
    }
    w->n_items = 0;
}

static usec_t before_wait(void *ctx)
{
    struct world *w = ctx;
    if (w->on_turn)
        w->on_turn(w);
    return w->deadline;
}

static void after_wait(void *ctx)
{
    struct world *w = ctx;
    atomic_fetch_add(&w->turns, 1);
}

static void error_written(void *ctx, struct bytes text)
{
    struct world *w = ctx;
    (void)text;
    atomic_fetch_add(&w->errors, 1);
}

/* ---- the world ---- */

static void listen_somewhere(struct world *w)
{
    int r = -EADDRINUSE;
    for (w->port = 7500 + getpid() % 40; r == -EADDRINUSE; w->port++) {
        cr_assert(w->port < 7550, "no free port");
        r = io_listen_tcp(w->io, "127.0.0.1", w->port, 511, &w->listener);
    }
    w->port--;
    cr_assert_eq(r, 0, "io_listen_tcp: %s", strerror(-r));
    (void)snprintf(w->path, sizeof w->path, "/tmp/ouro-loop-test-%d.sock", (int)getpid());
    r = io_listen_unix(w->io, w->path, 0700, 16, &w->unix_listener);
    cr_assert_eq(r, 0, "io_listen_unix: %s", strerror(-r));
}

bool world_start(struct world *w, enum io_backend backend)
{
    static const struct io_handler hooks = {
        .opened = on_opened,
        .input = on_input,
        .input_placed = on_placed,
        .closed = on_closed,
        .connected = on_connected,
        .execute = execute,
        .before_wait = before_wait,
        .after_wait = after_wait,
        .error_written = error_written,
    };
    struct io_handler h = hooks;
    h.ctx = w;
    w->deadline = INT64_MAX;
    pthread_mutex_init(&w->lock, NULL);
    const struct log_config quiet = { .level = LOG_LEVEL_NOTHING };
    log_configure(&quiet);
    const struct io_config config = { .backend = backend };
    int r = io_new(&config, &h, &w->io);
    if (r < 0 && backend == IO_BACKEND_URING) {
        (void)fprintf(stderr, "skipped: no io_uring here: %s\n", strerror(-r));
        return false;
    }
    cr_assert_eq(r, 0);
    listen_somewhere(w);
    return true;
}

static void *script_main(void *arg)
{
    struct world *w = arg;
    w->script(w);
    atomic_store(&w->done, true);
    io_stop(w->io);
    return NULL;
}

void world_run(struct world *w, void (*script)(struct world *))
{
    pthread_t t;
    w->script = script;
    cr_assert_eq(pthread_create(&t, NULL, script_main, w), 0);
    io_run(w->io);
    pthread_join(t, NULL);
    cr_assert(!w->failure[0], "%s", w->failure);
}

void world_done(struct world *w)
{
    io_free(w->io);
    for (int i = 0; i < w->n_peers; i++) {
        cr_expect(w->peers[i]->closed <= 1, "`closed` was heard twice");
        free(w->peers[i]->big);
        free(w->peers[i]);
    }
    free(w->items);
}

void world_fail(struct world *w, const char *file, int line, const char *what)
{
    pthread_mutex_lock(&w->lock);
    if (!w->failure[0])
        (void)snprintf(w->failure, sizeof w->failure, "%s:%d: %s", file, line, what);
    pthread_mutex_unlock(&w->lock);
}

/* ---- for scripts ---- */

int dial(struct world *w)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)w->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        close(fd);
        fd = -1;
    }
    CHECK(w, fd >= 0);
    return fd;
}

int dial_unix(struct world *w)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    memcpy(a.sun_path, w->path, strlen(w->path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(w, fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

void send_all(struct world *w, int fd, const void *p, size_t n)
{
    const char *from = p;
    while (n) {
        ssize_t k = send(fd, from, n, MSG_NOSIGNAL);
        if (k <= 0) {
            world_fail(w, __FILE__, __LINE__, "send");
            return;
        }
        from += k;
        n -= (size_t)k;
    }
}

size_t recv_n(int fd, void *p, size_t n)
{
    size_t have = 0;
    while (have < n) {
        struct pollfd f = { .fd = fd, .events = POLLIN };
        if (poll(&f, 1, 5000) <= 0)
            break;
        ssize_t k = recv(fd, (char *)p + have, n - have, 0);
        if (k <= 0)
            break;
        have += (size_t)k;
    }
    return have;
}

void nap_ms(int ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    nanosleep(&t, NULL);
}

bool wait_for(atomic_int *v, int at_least)
{
    for (int i = 0; i < 5000 && atomic_load(v) < at_least; i++)
        nap_ms(1);
    return atomic_load(v) >= at_least;
}

void fill_pattern(char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)((i * 131 + (i >> 8) * 7 + seed) & 0xff);
}

bool is_pattern(const char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != (char)((i * 131 + (i >> 8) * 7 + seed) & 0xff))
            return false;
    }
    return true;
}
