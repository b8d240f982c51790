/* Directives whose value is not one word or one member: each parses into its part's struct and
 * prints it back. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/num.h"
#include "common/text.h"
#include "server/io.h"
#include "server/options_private.h"

static int fail(const char **ret_error, const char *text)
{
    *ret_error = text;
    return -EINVAL;
}

static char *copy_text(struct bytes b)
{
    char *s = mem_alloc(b.n + 1);
    if (b.n)
        memcpy(s, b.p, b.n);
    s[b.n] = '\0';
    return s;
}

static void append_memory(uint64_t v, struct buf *b)
{
    static const struct {
        int shift;
        const char *unit;
    } units[] = { { 30, "gb" }, { 20, "mb" }, { 10, "kb" } };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (v && v % (1ull << units[i].shift) == 0) {
            (void)buf_printf(b, "%" PRIu64 "%s", v >> units[i].shift, units[i].unit);
            return;
        }
    (void)buf_printf(b, "%" PRIu64, v);
}

/* ---- bind ---- */

void special_bind_done(struct net_config *net)
{
    for (int i = 0; i < net->bind_n; i++)
        mem_free(net->bind[i]);
    net->bind_n = 0;
}

/* No name or address has such bytes, and words with them would not survive being joined. */
static bool can_be_address(struct bytes word)
{
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] <= ' ' || word.p[i] > '~' || strchr("\"'\\", word.p[i]))
            return false;
    return word.n > 0;
}

static int bind_set(void *base, const struct config_row *row, int argc, const struct bytes *argv,
                    bool adds, const char **ret_error)
{
    (void)row, (void)adds;
    struct net_config *net = base;
    if (argc > BIND_MAX)
        return fail(ret_error, "Too many bind addresses specified.");
    for (int i = 0; i < argc; i++)
        if (!can_be_address(argv[i]))
            return fail(ret_error, "Failed to bind to specified addresses.");
    special_bind_done(net);
    for (int i = 0; i < argc; i++)
        net->bind[net->bind_n++] = copy_text(argv[i]);
    return 0;
}

static void bind_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const struct net_config *net = base;
    for (int i = 0; i < net->bind_n; i++)
        (void)buf_printf(b, "%s%s", i ? " " : "", net->bind[i]);
}

const struct config_special special_bind = { bind_set, bind_get, NULL };

/* ---- client-output-buffer-limit: <class> <hard> <soft> <seconds>, any number of times; classes
 * not named stay ---- */

static const char *const class_names[CLIENT_CLASSES] = { "normal", "replica", "pubsub" };
/* What CONFIG GET has called the second one since before it was renamed. */
static const char *const class_names_get[CLIENT_CLASSES] = { "normal", "slave", "pubsub" };

static int class_of(struct bytes name)
{
    for (int i = 0; i < CLIENT_CLASSES; i++)
        if (bytes_is(name, class_names[i]) || bytes_is(name, class_names_get[i]))
            return i;
    return -1;
}

static bool parse_limit(const struct bytes *argv, struct output_limit *ret)
{
    struct output_limit l;
    int64_t seconds;
    if (!text_parse_memory(argv[0], &l.hard) || !text_parse_memory(argv[1], &l.soft) ||
        !num_parse_i64(argv[2], &seconds) || seconds < 0 || seconds > INT_MAX)
        return false;
    l.soft_s = (int)seconds;
    *ret = l;
    return true;
}

static int output_limit_set(void *base, const struct config_row *row, int argc,
                            const struct bytes *argv, bool adds, const char **ret_error)
{
    (void)row, (void)adds;
    struct client_config *client = base;
    struct output_limit limits[CLIENT_CLASSES];
    memcpy(limits, client->output_limit, sizeof(limits));
    if (argc % 4)
        return fail(ret_error, "Wrong number of arguments in buffer limit configuration.");
    for (int i = 0; i < argc; i += 4) {
        int class = class_of(argv[i]);
        if (class < 0)
            return fail(ret_error, "Invalid client class specified in buffer limit configuration.");
        if (!parse_limit(argv + i + 1, &limits[class]))
            return fail(
                ret_error,
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    memcpy(client->output_limit, limits, sizeof(limits));
    return 0;
}

static void output_limit_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const struct client_config *client = base;
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        const struct output_limit *l = &client->output_limit[i];
        (void)buf_printf(b, "%s%s %" PRIu64 " %" PRIu64 " %d", i ? " " : "", class_names_get[i],
                         l->hard, l->soft, l->soft_s);
    }
}

static void output_limit_rewrite(const void *base, const struct config_row *row, struct config *c)
{
    const struct client_config *client = base;
    struct client_config standard = *client;
    const char *error;
    struct bytes def = bytes_of_str(row->def);
    struct arena scratch;
    arena_init(&scratch);
    struct bytes *words;
    size_t n;
    if (text_split(def, &scratch, &words, &n))
        (void)output_limit_set(&standard, row, (int)n, words, false, &error);
    arena_done(&scratch);
    for (int i = 0; i < CLIENT_CLASSES; i++) {
        const struct output_limit *l = &client->output_limit[i];
        const struct output_limit *s = &standard.output_limit[i];
        struct buf b = BUF_INIT(BUF_UNLIMITED);
        (void)buf_printf(&b, "%s ", class_names[i]);
        append_memory(l->hard, &b);
        (void)buf_append_char(&b, ' ');
        append_memory(l->soft, &b);
        (void)buf_printf(&b, " %d", l->soft_s);
        bool differs = l->hard != s->hard || l->soft != s->soft || l->soft_s != s->soft_s;
        config_rewrite_line(c, row, buf_bytes(&b), differs);
        buf_done(&b);
    }
}

const struct config_special special_output_limit = { output_limit_set, output_limit_get,
                                                     output_limit_rewrite };

/* ---- oom-score-adj-values ---- */

static int oom_values_set(void *base, const struct config_row *row, int argc,
                          const struct bytes *argv, bool adds, const char **ret_error)
{
    (void)row, (void)adds;
    struct process_config *process = base;
    int values[3];
    if (argc != 3)
        return fail(ret_error, "wrong number of arguments");
    for (int i = 0; i < 3; i++) {
        int64_t v;
        if (!num_parse_i64(argv[i], &v) || v < -2000 || v > 2000)
            return fail(ret_error,
                        "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
        values[i] = (int)v;
    }
    memcpy(process->oom_score_adj_values, values, sizeof(values));
    return 0;
}

static void oom_values_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const int *v = ((const struct process_config *)base)->oom_score_adj_values;
    (void)buf_printf(b, "%d %d %d", v[0], v[1], v[2]);
}

const struct config_special special_oom_values = { oom_values_set, oom_values_get, NULL };

/* ---- dir: the process itself holds the value ---- */

static int dir_set(void *base, const struct config_row *row, int argc, const struct bytes *argv,
                   bool adds, const char **ret_error)
{
    (void)base, (void)row, (void)adds, (void)argc;
    char *path = copy_text(argv[0]);
    int r = io_chdir(path);
    mem_free(path);
    return r < 0 ? fail(ret_error, strerror(-r)) : 0;
}

static void dir_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)base, (void)row;
    (void)io_getcwd(b); /* a folder that was removed has no name: "" */
}

/* Always told, as an absolute path: the next start may happen in another folder. */
static void dir_rewrite(const void *base, const struct config_row *row, struct config *c)
{
    struct buf path = BUF_INIT(BUF_UNLIMITED);
    dir_get(base, row, &path);
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    (void)text_quote(&b, buf_bytes(&path));
    if (path.n)
        config_rewrite_line(c, row, buf_bytes(&b), true);
    buf_done(&b);
    buf_done(&path);
}

const struct config_special special_dir = { dir_set, dir_get, dir_rewrite };

/* ---- latency-tracking-info-percentiles ---- */

static int percentiles_set(void *base, const struct config_row *row, int argc,
                           const struct bytes *argv, bool adds, const char **ret_error)
{
    (void)row, (void)adds;
    struct monitor_config *monitor = base;
    double values[PERCENTILES_MAX];
    if (argc > PERCENTILES_MAX)
        return fail(ret_error, "Too many latency-tracking-info-percentiles parameters");
    for (int i = 0; i < argc; i++) {
        if (!num_parse_double(argv[i], &values[i]))
            return fail(ret_error, "Invalid latency-tracking-info-percentiles parameters");
        if (values[i] < 0 || values[i] > 100)
            return fail(
                ret_error,
                "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
    }
    if (argc)
        memcpy(monitor->latency_tracking_info_percentiles, values,
               (size_t)argc * sizeof(values[0]));
    monitor->latency_tracking_info_percentiles_n = argc;
    return 0;
}

static void percentiles_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    const struct monitor_config *monitor = base;
    for (int i = 0; i < monitor->latency_tracking_info_percentiles_n; i++) {
        char text[40];
        int n = snprintf(text, sizeof(text), "%f", monitor->latency_tracking_info_percentiles[i]);
        while (text[n - 1] == '0')
            n--;
        if (text[n - 1] == '.')
            n--;
        (void)buf_printf(b, "%s%.*s", i ? " " : "", n, text);
    }
}

const struct config_special special_percentiles = { percentiles_set, percentiles_get, NULL };

/* ---- notify-keyspace-events ---- */

static int notify_set(void *base, const struct config_row *row, int argc, const struct bytes *argv,
                      bool adds, const char **ret_error)
{
    (void)row, (void)adds, (void)argc;
    struct ks_config *keyspace = base;
    if (notify_parse(argv[0], &keyspace->notify_flags) < 0)
        return fail(ret_error, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    return 0;
}

static void notify_get(const void *base, const struct config_row *row, struct buf *b)
{
    (void)row;
    char text[32];
    notify_format(((const struct ks_config *)base)->notify_flags, text);
    (void)buf_append_str(b, text);
}

const struct config_special special_notify = { notify_set, notify_get, NULL };
