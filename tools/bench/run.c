/* The driver. Two ways to keep a server busy:
 *
 *   closed loop: a connection sends a batch of `pipeline` requests, and the next one when all
 *     replies have come. Latency counts from the moment the batch is handed to the kernel.
 *   open loop (--rate): requests are due by the clock and go to the next connection with room.
 *     Latency counts from the due time, so that a server that stalls is charged for every request
 *     that had to wait for it.
 *
 *     connect   warm-up   window (measured)               rest: replies still out are waited for
 *     |--------|---------|-------------------------------|-----|
 *           start    measure_at                         end
 */
#include "tools/bench/run.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "common/alloc.h"
#include "tools/bench/clock.h"
#include "tools/bench/conns.h"
#include "tools/bench/engine.h"

#define REST_LIMIT (2 * NSEC_PER_SEC) /* how long replies are waited for after the window */
#define WAIT_MAX NSEC_PER_SEC

struct run {
    const struct options *options;
    struct workload *workload;
    struct run_result *result;
    struct conn *conns;
    uint32_t conns_n, alive;
    const struct engine_ops *ops;
    struct engine *engine;

    nsec_t now; /* since the last wake-up */
    nsec_t start, measure_at, end;
    bool measuring, stopping;
    uint64_t sent, replied, in_flight; /* all connections, all time */
    uint64_t replied_before;           /* the window */
    uint64_t left;                     /* requests that may still be sent */
    struct target_sample sample_before;
    uint64_t client_before;

    struct conn **fresh; /* filled since the last wait: to be stamped when it begins */
    uint32_t fresh_n;
    struct conn *current; /* whose replies are being read */

    /* open loop */
    uint64_t scheduled; /* requests whose time was drawn */
    double gap_ns, poisson_ns;
    nsec_t next_due;
    uint64_t room; /* free places of all pipelines */
    uint32_t turn; /* whose connection's turn it is */
    struct prng random;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    interrupted = 1;
}

static uint64_t client_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)(t.tv_sec * NSEC_PER_SEC + t.tv_nsec);
}

static nsec_t seconds(double s)
{
    return (nsec_t)(s * 1e9);
}

/* --- sending --- */

static void count_sent(struct run *r, uint8_t kind)
{
    r->result->commands[kind].sent++;
    r->sent++;
    r->in_flight++;
    r->left--;
}

/* Closed loop: the next batch of a connection that has none. */
static void fill(struct run *r, struct conn *c)
{
    struct workload *w = r->workload;
    uint32_t n = r->left < r->options->pipeline ? (uint32_t)r->left : r->options->pipeline;
    if (n == 0 || r->stopping || c->dead)
        return;
    c->head = 0;
    c->in_flight = n;
    if (w->fixed) {
        size_t stride = w->request_max;
        for (uint32_t i = 0; i < n; i++)
            workload_patch(w, c->out + i * stride);
        c->out_n = n * stride;
        r->result->commands[0].sent += n;
        r->sent += n;
        r->in_flight += n;
        r->left -= n;
    } else {
        c->out_n = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint8_t kind;
            c->out_n += workload_render(w, c->out + c->out_n, &kind);
            if (c->kinds)
                c->kinds[i] = kind;
            count_sent(r, kind);
        }
    }
    r->result->bytes_out += c->out_n;
    r->fresh[r->fresh_n++] = c;
    r->ops->send(r->engine, c);
}

static void stamp_fresh(struct run *r)
{
    if (!r->fresh_n)
        return;
    nsec_t now = bench_now();
    for (uint32_t i = 0; i < r->fresh_n; i++)
        r->fresh[i]->sent_at = now;
    r->fresh_n = 0;
}

static struct conn *next_with_room(struct run *r)
{
    for (;;) {
        struct conn *c = &r->conns[r->turn];
        r->turn = r->turn + 1 == r->conns_n ? 0 : r->turn + 1;
        if (!c->dead && c->in_flight < r->options->pipeline)
            return c;
    }
}

static void schedule_next(struct run *r)
{
    r->scheduled++;
    if (r->options->poisson) {
        r->poisson_ns -= log(1 - prng_double(&r->random)) * r->gap_ns;
        r->next_due = r->start + (nsec_t)r->poisson_ns;
    } else {
        r->next_due = r->start + (nsec_t)((double)r->scheduled * r->gap_ns);
    }
}

/* Open loop: sends what is due and has room. Requests due after the end are never sent. */
static void pace(struct run *r, nsec_t now)
{
    while (r->next_due <= now && r->next_due < r->end && r->room && r->left) {
        struct conn *c = next_with_room(r);
        uint32_t at = (c->head + c->in_flight) % r->options->pipeline;
        uint8_t kind;
        size_t n = workload_render(r->workload, c->out + c->out_n, &kind);
        c->out_n += n;
        c->due[at] = r->next_due;
        if (c->kinds)
            c->kinds[at] = kind;
        c->in_flight++;
        r->room--;
        r->result->bytes_out += n;
        count_sent(r, kind);
        if (now - r->next_due > r->result->late_max)
            r->result->late_max = now - r->next_due;
        r->ops->send(r->engine, c);
        schedule_next(r);
    }
}

/* --- receiving --- */

static void record(struct command_result *c, nsec_t latency, uint64_t times)
{
    c->replies += times;
    histogram_record(&c->latency, latency > 0 ? (uint64_t)latency : 0, times);
}

static void record_each(struct run *r, struct conn *c, uint64_t n)
{
    uint32_t at = c->head;
    for (uint64_t i = 0; i < n; i++) {
        nsec_t since = c->due ? c->due[at] : c->sent_at;
        record(&r->result->commands[c->kinds ? c->kinds[at] : 0], r->now - since, 1);
        at = at + 1 == r->options->pipeline ? 0 : at + 1;
    }
    c->head = at;
}

static void on_closed(void *ctx, struct conn *c, int error)
{
    struct run *r = ctx;
    c->dead = true;
    (void)shutdown(c->fd, SHUT_RDWR);
    r->alive--;
    r->result->lost_connections++;
    r->result->unanswered += c->in_flight;
    r->in_flight -= c->in_flight;
    if (c->due)
        r->room -= r->options->pipeline - c->in_flight;
    c->in_flight = 0;
}

static void on_error_reply(void *ctx, uint64_t nth, const char *text, size_t n)
{
    struct run *r = ctx;
    struct conn *c = r->current;
    if (nth >= c->in_flight)
        return; /* more replies than requests: on_data ends the connection */
    uint8_t kind = c->kinds ? c->kinds[(c->head + nth) % r->options->pipeline] : 0;
    struct command_result *result = &r->result->commands[kind];
    if (result->errors++ == 0) {
        memcpy(result->first_error, text, n);
        result->first_error[n] = '\0';
    }
}

static void on_data(void *ctx, struct conn *c, const char *p, size_t n)
{
    struct run *r = ctx;
    struct replies_errors errors = { on_error_reply, r };
    r->current = c;
    r->result->bytes_in += n;
    uint64_t count = replies_scan(&c->replies, p, n, &errors);
    if (c->replies.broken || count > c->in_flight) {
        on_closed(r, c, EBADMSG);
        return;
    }
    if (count == 0)
        return;
    if (c->kinds || c->due)
        record_each(r, c, count);
    else
        record(&r->result->commands[0], r->now - c->sent_at, count);
    c->in_flight -= (uint32_t)count;
    r->in_flight -= count;
    r->replied += count;
    if (c->due)
        r->room += count;
    else if (c->in_flight == 0)
        fill(r, c);
}

/* --- the course of a run --- */

static void window_begin(struct run *r)
{
    r->measuring = true;
    for (uint32_t i = 0; i < r->result->commands_n; i++) {
        struct command_result *c = &r->result->commands[i];
        histogram_clear(&c->latency);
        c->measured = c->replies; /* the window's end makes it the difference */
    }
    r->replied_before = r->replied;
    target_sample(&r->result->target, &r->sample_before);
    r->client_before = client_cpu();
    r->measure_at = bench_now();
}

static void window_end(struct run *r)
{
    struct run_result *out = r->result;
    struct target_sample s;
    r->stopping = true;
    if (!r->measuring)
        window_begin(r);
    out->seconds = (double)(bench_now() - r->measure_at) / 1e9;
    out->client_cpu_ns = client_cpu() - r->client_before;
    target_sample(&out->target, &s);
    out->server_known = s.ok && r->sample_before.ok && s.cpu_ns >= r->sample_before.cpu_ns;
    out->server_cpu_ns = out->server_known ? s.cpu_ns - r->sample_before.cpu_ns : 0;
    out->rss_after = s.rss_bytes;
    out->requests = r->replied - r->replied_before;
    for (uint32_t i = 0; i < out->commands_n; i++)
        out->commands[i].measured = out->commands[i].replies - out->commands[i].measured;
}

/* How long to sleep: until the next thing that happens by the clock. */
static nsec_t patience(const struct run *r, nsec_t now, nsec_t limit)
{
    if (r->options->spin && r->options->rate > 0)
        return 0;
    nsec_t until = limit < now + WAIT_MAX ? limit : now + WAIT_MAX;
    if (!r->measuring && r->measure_at < until)
        until = r->measure_at;
    if (r->options->rate > 0 && r->room && r->left && r->next_due < r->end && r->next_due < until)
        until = r->next_due;
    return until > now ? until - now : 0;
}

static int one_turn(struct run *r, nsec_t now, nsec_t limit)
{
    stamp_fresh(r);
    int e = r->ops->wait(r->engine, patience(r, now, limit));
    r->now = bench_now();
    r->ops->reap(r->engine);
    return e;
}

static bool all_done(const struct run *r)
{
    return (r->left == 0 && r->in_flight == 0) || r->alive == 0 || interrupted;
}

/* Warm-up and window. */
static int run_window(struct run *r)
{
    int e = 0;
    for (uint32_t i = 0; i < r->conns_n && !(r->options->rate > 0); i++)
        fill(r, &r->conns[i]);
    for (nsec_t now = bench_now(); now < r->end && e == 0 && !all_done(r); now = r->now) {
        if (!r->measuring && now >= r->measure_at)
            window_begin(r);
        if (r->options->rate > 0)
            pace(r, bench_now());
        e = one_turn(r, now, r->end);
    }
    return e;
}

/* The replies that are still out; in the open loop also the requests that were due before the end.
 * What is not answered then counts with the time it has waited so far. */
static int run_rest(struct run *r)
{
    nsec_t limit = bench_now() + REST_LIMIT;
    bool open = r->options->rate > 0;
    int e = 0;
    for (nsec_t now = bench_now(); now < limit && e == 0 && r->alive && !interrupted;
         now = r->now) {
        if (open)
            pace(r, now);
        if (r->in_flight == 0 && !(open && r->left && r->next_due < r->end))
            break;
        e = one_turn(r, now, limit);
    }
    r->result->unanswered += r->in_flight;
    nsec_t now = bench_now();
    for (uint32_t i = 0; i < r->conns_n && open; i++) {
        struct conn *c = &r->conns[i];
        for (uint32_t at = c->head; c->in_flight; c->in_flight--) {
            struct command_result *result = &r->result->commands[c->kinds ? c->kinds[at] : 0];
            histogram_record(&result->latency, (uint64_t)(now - c->due[at]), 1);
            at = at + 1 == r->options->pipeline ? 0 : at + 1;
        }
    }
    for (; open && r->left && r->next_due < r->end && r->next_due < now; schedule_next(r)) {
        histogram_record(&r->result->latency, (uint64_t)(now - r->next_due),
                         1); /* of no command yet */
        r->result->unanswered++;
        r->left--;
    }
    return e;
}

static void run_idle(struct run *r)
{
    nsec_t end = bench_now() + seconds(r->options->duration);
    window_begin(r);
    for (nsec_t now; (now = bench_now()) < end && !interrupted;) {
        struct timespec t = { (end - now) / NSEC_PER_SEC, (end - now) % NSEC_PER_SEC };
        (void)nanosleep(&t, NULL);
    }
    window_end(r);
    r->result->engine = "none";
    r->result->complete = !interrupted;
}

static int run_busy(struct run *r, struct buf *ret_error)
{
    const struct options *o = r->options;
    struct engine_config config = {
        .conns = r->conns,
        .conns_n = r->conns_n,
        .reply_hint = o->pipeline * ((size_t)o->value_max + 16),
        .batches = !(o->rate > 0),
        .sink = { on_data, on_closed, r },
    };
    int e = engine_open(o->engine, &config, &r->ops, &r->engine);
    if (e < 0) {
        (void)buf_printf(ret_error, "cannot set up the %s engine: %s",
                         o->engine == ENGINE_EPOLL ? "epoll" : "io_uring", strerror(-e));
        return e;
    }
    r->result->engine = r->ops->name;
    r->start = bench_now();
    r->next_due = r->start;
    r->measure_at = r->start + seconds(o->warmup);
    r->end = r->measure_at + seconds(o->duration);
    e = run_window(r);
    window_end(r);
    if (e == 0)
        e = run_rest(r);
    r->result->complete =
        o->requests || o->load ? r->left == 0 && !r->result->unanswered : !interrupted;
    r->ops->close(r->engine);
    if (e < 0)
        (void)buf_printf(ret_error, "the %s engine failed: %s", r->result->engine, strerror(-e));
    return e;
}

static void prepare(struct run *r, const struct options *o, struct workload *w,
                    struct run_result *result)
{
    *result = (struct run_result){ .commands_n = w->commands_n };
    result->commands = mem_zalloc(w->commands_n * sizeof *result->commands);
    for (uint32_t i = 0; i < w->commands_n; i++) {
        result->commands[i].name = w->commands[i].name;
        histogram_clear(&result->commands[i].latency);
    }
    histogram_clear(&result->latency);
    *r = (struct run){ .options = o, .workload = w, .result = result };
    r->left = o->requests ? o->requests : o->load ? workload_fill(w) : UINT64_MAX;
    r->gap_ns = o->rate > 0 ? 1e9 / o->rate : 0;
    r->fresh = mem_zalloc(o->connections * sizeof(struct conn *));
    prng_init(&r->random, o->seed + 3);
    struct sigaction action = { .sa_handler = on_signal };
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* requests are due to the microsecond */
}

static void summarize(struct run_result *result)
{
    for (uint32_t i = 0; i < result->commands_n; i++) {
        struct command_result *c = &result->commands[i];
        histogram_add(&result->latency, &c->latency);
        result->errors += c->errors;
        result->requests_total += c->replies;
    }
}

int run(const struct options *o, struct workload *w, struct run_result *ret_result,
        struct buf *ret_error)
{
    struct run r;
    struct target_sample before = { 0 };
    prepare(&r, o, w, ret_result);
    int e = conns_probe(o, &ret_result->target, ret_error);
    if (e == 0) {
        target_sample(&ret_result->target, &before);
        nsec_t begin = bench_now();
        e = conns_open(o, w, &r.conns, &r.conns_n, ret_error);
        ret_result->connect_seconds = (double)(bench_now() - begin) / 1e9;
    }
    if (e == 0) {
        r.alive = r.conns_n;
        r.room = (uint64_t)r.conns_n * o->pipeline;
        ret_result->rss_before = before.rss_bytes;
        if (o->idle)
            run_idle(&r);
        else
            e = run_busy(&r, ret_error);
        summarize(ret_result);
    }
    conns_close(r.conns, r.conns_n);
    mem_free(r.fresh);
    if (e < 0)
        run_result_done(ret_result);
    return e;
}

void run_result_done(struct run_result *result)
{
    mem_free(result->commands);
    result->commands = NULL;
    result->commands_n = 0;
}
