/* See node_harness.h. */
#include "node_harness.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/num.h"
#include "server/apply.h"
#include "server/propagate.h"

enum { PORT_FIRST = 7860, PORT_LAST = 7879, PATIENCE_MS = 5000, SOON_MS = 100 };

struct peer {
    int fd;
    struct node_harness *h;
    char in[64 * 1024];
    size_t pos, n;
    bool gone;
    struct buf shown;
};

/* ---- the probe: LOLWUT's row gives way ---- */

static struct node_harness *probed; /* one node a process */

static void cmd_probe(struct call *c)
{
    probed->probe(c, probed->probe_ctx);
    reply_ok(c);
}

static const struct command probe_row = { "lolwut", cmd_probe, -1, CMD_NO_AUTH | CMD_SKIP_SLOWLOG | CMD_SKIP_MONITOR,
                                          NO_KEYS, NULL };

void node_replace_command(const char *name, const struct command *row)
{
    struct command_entry *e = command_find(bytes_of_str(name));
    cr_assert_not_null(e, "no command %s to replace", name);
    e->row = row;
}

void node_probe(struct node_harness *h, void (*probe)(struct call *, void *ctx), void *ctx)
{
    h->probe = probe;
    h->probe_ctx = ctx;
    if (!h->prober)
        h->prober = node_dial(h);
    cr_assert_str_eq(ask(h->prober, "LOLWUT"), "OK");
}

/* ---- what is propagated ---- */

static size_t take_number(struct bytes *in, char type)
{
    cr_assert(in->n > 3 && in->p[0] == type, "the stream holds something else than commands");
    const char *end = memchr(in->p, '\r', in->n);
    int64_t v;
    cr_assert(end && num_parse_i64(bytes_of(in->p + 1, (size_t)(end - in->p) - 1), &v));
    *in = bytes_of(end + 2, in->n - (size_t)(end + 2 - in->p));
    return (size_t)v;
}

static int64_t on_stream(void *ctx, struct bytes resp)
{
    struct node_harness *h = ctx;
    pthread_mutex_lock(&h->lock);
    while (resp.n) {
        size_t argc = take_number(&resp, '*');
        if (h->stream.n)
            buf_append_str(&h->stream, "; ");
        for (size_t i = 0; i < argc; i++) {
            size_t n = take_number(&resp, '$');
            if (i)
                buf_append_char(&h->stream, ' ');
            buf_append(&h->stream, bytes_of(resp.p, n));
            resp = bytes_of(resp.p + n + 2, resp.n - n - 2);
        }
    }
    pthread_mutex_unlock(&h->lock);
    return 0;
}

const char *node_stream(struct node_harness *h)
{
    static char text[64 * 1024];
    pthread_mutex_lock(&h->lock);
    snprintf(text, sizeof(text), "%.*s", (int)h->stream.n, h->stream.n ? h->stream.p : "");
    buf_clear(&h->stream);
    pthread_mutex_unlock(&h->lock);
    return text;
}

/* ---- the node ---- */

static void tell_started(struct node_harness *h, int started)
{
    pthread_mutex_lock(&h->lock);
    h->started = started;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void *serve(void *ctx)
{
    struct node_harness *h = ctx;
    int r = node_new(h->config, &h->options, h->words_n, h->words, &h->node);
    if (r < 0) {
        tell_started(h, r);
        return NULL;
    }
    config_set_owner(h->config, h->node);
    struct propagate_sink sink = { h, on_stream };
    propagate_attach(node_propagate(h->node), &sink);
    tell_started(h, 1);
    node_run(h->node, NULL, NULL);
    node_free(h->node);
    return NULL;
}

/* One try on h->port; what node_new returned. */
static int try_start(struct node_harness *h, const char *const *words)
{
    char port[16];
    snprintf(port, sizeof(port), "%d", h->port);
    const char *fixed[] = { "ouro-server", "--bind", "127.0.0.1", "--port", port, "--io-backend", "epoll",
                            "--loglevel", "warning", "--logfile", "/dev/null", "--enable-debug-command", "yes",
                            "--save", "", "--dbfilename", "none.rdb" };
    h->words_n = 0;
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        h->words[h->words_n++] = mem_strdup(fixed[i]);
    for (; words && *words; words++)
        h->words[h->words_n++] = mem_strdup(*words);
    h->config = config_new();
    node_owner_init(&h->options, h->config);
    cr_assert_eq(config_load(h->config, h->words_n, h->words), 0);
    apply_at_start(&h->options);
    h->started = 0;
    cr_assert_eq(pthread_create(&h->thread, NULL, serve, h), 0);
    pthread_mutex_lock(&h->lock);
    while (!h->started)
        pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
    return h->started;
}

static void drop_config(struct node_harness *h)
{
    pthread_join(h->thread, NULL);
    config_free(h->config);
    options_done(&h->options);
    while (h->words_n)
        mem_free(h->words[--h->words_n]);
}

void node_start(struct node_harness *h, const char *const *words)
{
    *h = (struct node_harness){ .stream = BUF_INIT(BUF_UNLIMITED) };
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    clock_ticks_calibrate();
    command_table_init();
    probed = h;
    node_replace_command("lolwut", &probe_row);
    int first = PORT_FIRST + (int)getpid() % (PORT_LAST - PORT_FIRST + 1);
    for (h->port = first;;) {
        int r = try_start(h, words);
        if (r == 1)
            return;
        drop_config(h);
        h->port = h->port == PORT_LAST ? PORT_FIRST : h->port + 1;
        cr_assert(r == -EADDRINUSE && h->port != first, "no node: %s", strerror(-r));
    }
}

static void stop_it(struct call *c, void *ctx)
{
    (void)ctx;
    node_shutdown(c->node, SHUTDOWN_NOSAVE);
}

void node_stop(struct node_harness *h)
{
    node_probe(h, stop_it, NULL);
    drop_config(h);
    peer_hang_up(h->prober);
    buf_done(&h->stream);
}

/* ---- clients ---- */

struct peer *node_dial(struct node_harness *h)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)h->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct peer *p = mem_zalloc(sizeof(*p));
    p->h = h;
    p->shown = BUF_INIT(BUF_UNLIMITED);
    p->fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(p->fd >= 0 && connect(p->fd, (struct sockaddr *)&a, sizeof(a)) == 0, "connect: %s", strerror(errno));
    return p;
}

void peer_hang_up(struct peer *p)
{
    if (!p)
        return;
    close(p->fd);
    buf_done(&p->shown);
    mem_free(p);
}

void peer_send_raw(struct peer *p, struct bytes b)
{
    while (b.n) {
        ssize_t n = send(p->fd, b.p, b.n, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the test hears that it is gone */
        b = bytes_of(b.p + n, b.n - (size_t)n);
    }
}

void peer_send(struct peer *p, const char *line)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    buf_append_str(&b, line);
    buf_append_str(&b, "\r\n");
    peer_send_raw(p, buf_bytes(&b));
    buf_done(&b);
}

/* The next byte, or -1. */
static int next_char(struct peer *p, int patience_ms)
{
    if (p->pos < p->n)
        return (unsigned char)p->in[p->pos++];
    struct pollfd f = { .fd = p->fd, .events = POLLIN };
    if (poll(&f, 1, patience_ms) <= 0)
        return -1;
    ssize_t n = recv(p->fd, p->in, sizeof(p->in), 0);
    p->gone = n <= 0;
    if (n <= 0)
        return -1;
    p->n = (size_t)n;
    p->pos = 1;
    return (unsigned char)p->in[0];
}

static void hear_line(struct peer *p, struct buf *line)
{
    for (;;) {
        int ch = next_char(p, PATIENCE_MS);
        cr_assert(ch >= 0, "a reply was cut");
        if (ch == '\n')
            break;
        buf_append_char(line, (char)ch);
    }
    line->n--; /* the CR */
}

static void show_value(struct peer *p, int type);

static void show_many(struct peer *p, int64_t n, const char *open, const char *close)
{
    buf_append_str(&p->shown, open);
    for (int64_t i = 0; i < n; i++) {
        if (i)
            buf_append_char(&p->shown, ' ');
        show_value(p, next_char(p, PATIENCE_MS));
    }
    buf_append_str(&p->shown, close);
}

static void show_bulk(struct peer *p, int64_t n)
{
    buf_append_char(&p->shown, '\'');
    for (int64_t i = 0; i < n + 2; i++) {
        int ch = next_char(p, PATIENCE_MS);
        cr_assert(ch >= 0, "a bulk was cut");
        if (i < n)
            buf_append_char(&p->shown, (char)ch);
    }
    buf_append_char(&p->shown, '\'');
}

static void show_value(struct peer *p, int type)
{
    struct buf line = BUF_INIT(BUF_UNLIMITED);
    hear_line(p, &line);
    int64_t n = 0;
    num_parse_i64(buf_bytes(&line), &n);
    if (type == '_' || ((type == '$' || type == '*') && n < 0)) {
        buf_append_str(&p->shown, "nil");
    } else if (type == '$' || type == '=') {
        show_bulk(p, n);
    } else if (type == '*') {
        show_many(p, n, "[", "]");
    } else if (type == '%') {
        show_many(p, 2 * n, "{", "}");
    } else if (type == '>' || type == '~') {
        show_many(p, n, type == '>' ? ">[" : "~[", "]");
    } else {
        if (type != '+')
            buf_append_char(&p->shown, (char)type);
        buf_append(&p->shown, buf_bytes(&line));
    }
    buf_done(&line);
}

static const char *hear(struct peer *p, int patience_ms)
{
    buf_clear(&p->shown);
    int type = next_char(p, patience_ms);
    if (type < 0)
        return p->gone ? GONE : SILENCE;
    show_value(p, type);
    return buf_cstr(&p->shown);
}

const char *peer_hear(struct peer *p)
{
    return hear(p, PATIENCE_MS);
}

const char *peer_hear_soon(struct peer *p)
{
    return hear(p, SOON_MS);
}

const char *ask(struct peer *p, const char *line)
{
    peer_send(p, line);
    return peer_hear(p);
}

void peer_ask_all(struct peer *p, const struct asked *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *reply = ask(p, cases[i].line);
        cr_expect_str_eq(reply, cases[i].reply, "%s\n  gave %s\n  want %s", cases[i].line, reply, cases[i].reply);
    }
}
