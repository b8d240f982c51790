/* The command line: getopt_long, one switch, ranges checked where the number is read. */
#include "tools/bench/options.h"

#include <getopt.h>
#include <stdio.h>

#include "common/num.h"
#include "tools/bench/workload.h"

#define DEFAULT_DURATION 10.0        /* seconds */
#define DEFAULT_COUNT_DURATION 120.0 /* seconds: the bound where requests are counted */
#define DEFAULT_WARMUP 0.5           /* seconds */
#define DEFAULT_LOAD_PIPELINE 32

enum {
    OPT_HELP = 256,
    OPT_USER,
    OPT_DB,
    OPT_RESP3,
    OPT_KEY_SIZE,
    OPT_KEY_PREFIX,
    OPT_FIELDS,
    OPT_DIST,
    OPT_MIX,
    OPT_COMMAND,
    OPT_LOAD,
    OPT_IDLE,
    OPT_TTL,
    OPT_RATE,
    OPT_POISSON,
    OPT_SPIN,
    OPT_WARMUP,
    OPT_ENGINE,
    OPT_PID,
    OPT_SEED,
    OPT_JSON,
    OPT_SVG,
    OPT_PLOT,
    OPT_NO_PLOT,
};

static const struct option long_options[] = {
    { "help", no_argument, NULL, OPT_HELP },
    { "host", required_argument, NULL, 'h' },
    { "port", required_argument, NULL, 'p' },
    { "socket", required_argument, NULL, 's' },
    { "password", required_argument, NULL, 'a' },
    { "user", required_argument, NULL, OPT_USER },
    { "db", required_argument, NULL, OPT_DB },
    { "resp3", no_argument, NULL, OPT_RESP3 },
    { "connections", required_argument, NULL, 'c' },
    { "pipeline", required_argument, NULL, 'P' },
    { "value-size", required_argument, NULL, 'd' },
    { "requests", required_argument, NULL, 'n' },
    { "duration", required_argument, NULL, 't' },
    { "keyspace", required_argument, NULL, 'r' },
    { "key-size", required_argument, NULL, OPT_KEY_SIZE },
    { "key-prefix", required_argument, NULL, OPT_KEY_PREFIX },
    { "fields", required_argument, NULL, OPT_FIELDS },
    { "dist", required_argument, NULL, OPT_DIST },
    { "mix", required_argument, NULL, OPT_MIX },
    { "command", required_argument, NULL, OPT_COMMAND },
    { "load", no_argument, NULL, OPT_LOAD },
    { "idle", no_argument, NULL, OPT_IDLE },
    { "ttl", required_argument, NULL, OPT_TTL },
    { "rate", required_argument, NULL, OPT_RATE },
    { "poisson", no_argument, NULL, OPT_POISSON },
    { "spin", no_argument, NULL, OPT_SPIN },
    { "warmup", required_argument, NULL, OPT_WARMUP },
    { "engine", required_argument, NULL, OPT_ENGINE },
    { "pid", required_argument, NULL, OPT_PID },
    { "seed", required_argument, NULL, OPT_SEED },
    { "json", no_argument, NULL, OPT_JSON },
    { "svg", required_argument, NULL, OPT_SVG },
    { "plot", no_argument, NULL, OPT_PLOT },
    { "no-plot", no_argument, NULL, OPT_NO_PLOT },
    { 0 },
};

/* clang-format off: lines as they are printed */
static const char help_head[] =
    "Usage: ouro-bench [options]\n"
    "Loads a server that speaks RESP; tells throughput, latency and server CPU time a request.\n"
    "\n"
    "Server\n"
    "  -h, --host HOST         address or name (127.0.0.1)\n"
    "  -p, --port PORT         (6379)\n"
    "  -s, --socket PATH       a unix socket instead\n"
    "  -a, --password SECRET   AUTH first; --user NAME for an ACL user\n"
    "      --db N              SELECT a database\n"
    "      --resp3             speak RESP3 (HELLO 3)\n"
    "      --pid PID           of the server, for CPU time and memory (a local one is asked)\n"
    "\n"
    "Load\n"
    "  -c, --connections N     (50)\n"
    "  -P, --pipeline N        requests a connection keeps in flight (1; with --load 32)\n"
    "      --mix LIST          commands with weights, as get:90,set:10 (get)\n"
    "      --command TEXT      a command of your own, may be repeated; quotes as in redis-cli;\n"
    "                          placeholders: __key__ __field__ __value__ __score__\n"
    "      --load              every key once, in order, then stop (SET, or --mix, --command)\n"
    "      --idle              hold the connections for the duration: memory a connection\n"
    "  -r, --keyspace N        keys (100000)\n"
    "      --key-size BYTES    prefix and digits (16); --key-prefix TEXT (key:)\n"
    "      --fields N          values of __field__ and __score__ (the key space)\n"
    "      --dist KIND         uniform, zipf, zipf:EXPONENT or sequential (uniform; zipf is 0.99)\n"
    "  -d, --value-size N|A-B  bytes of __value__, fixed or spread evenly (8)\n"
    "      --ttl SECONDS       SET with EX\n"
    "      --rate N            open loop: N requests a second whatever the server does; latency\n"
    "                          counts from the time a request was due; --poisson for exponential "
    "gaps;\n"
    "                          --spin to poll instead of sleeping between requests\n"
    "\n"
    "Time\n"
    "  -t, --duration SECONDS  (10); with --requests or --load a bound (120)\n"
    "  -n, --requests N        stop after N requests\n"
    "      --warmup SECONDS    not measured (0.5; with --requests or --load 0)\n"
    "\n"
    "Output\n"
    "      --json              one JSON object instead of text\n"
    "      --svg FILE          picture of the latency distribution\n"
    "      --plot, --no-plot   picture in the terminal (default: when it is one)\n"
    "      --engine KIND       auto, io_uring or epoll (auto)\n"
    "      --seed N            of keys and mix (1)\n"
    "\n"
    "Exit status: 0 all well; 1 could not run; 2 error replies or lost connections;\n"
    "3 --requests not reached in time.\n"
    "\n"
    "Commands for --mix:";
/* clang-format on */

static void print_help(void)
{
    fputs(help_head, stdout);
    int column = 80;
    for (uint32_t i = 0; builtin_at(i); i++) {
        int n = (int)strlen(builtin_at(i)->name) + 1;
        if (column + n > 78)
            column = printf("\n ") - 1;
        column += n;
        printf(" %s", builtin_at(i)->name);
    }
    putchar('\n');
}

static bool number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    uint64_t v;
    if (!num_parse_u64(bytes_of_str(text), &v) || v < min || v > max)
        return false;
    *ret = v;
    return true;
}

static bool number32(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
    uint64_t v;
    if (!number(text, min, max, &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

static bool real(const char *text, double min, double max, double *ret)
{
    double v;
    if (!num_parse_double(bytes_of_str(text), &v) || !(v >= min && v <= max))
        return false;
    *ret = v;
    return true;
}

static bool value_size(struct options *o, const char *text)
{
    char first[16];
    const char *dash = strchr(text, '-');
    if (!dash) {
        bool ok = number32(text, 0, OPTIONS_VALUE_MAX, &o->value_max);
        o->value_min = o->value_max;
        return ok;
    }
    size_t n = (size_t)(dash - text);
    if (n >= sizeof first)
        return false;
    memcpy(first, text, n);
    first[n] = '\0';
    return number32(first, 0, OPTIONS_VALUE_MAX, &o->value_min) &&
           number32(dash + 1, o->value_min, OPTIONS_VALUE_MAX, &o->value_max);
}

static bool distribution(struct options *o, const char *text)
{
    if (strcmp(text, "uniform") == 0)
        o->dist = DIST_UNIFORM;
    else if (strcmp(text, "sequential") == 0)
        o->dist = DIST_SEQUENTIAL;
    else if (strncmp(text, "zipf", 4) == 0)
        o->dist = DIST_ZIPF;
    else
        return false;
    if (o->dist == DIST_ZIPF && text[4])
        return text[4] == ':' && real(text + 5, 0.01, 10, &o->zipf_exponent);
    return true;
}

static bool engine(struct options *o, const char *text)
{
    static const char *const names[] = { "auto", "io_uring", "epoll" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            o->engine = (enum engine_kind)i;
            return true;
        }
    }
    return false;
}

/* Where, and as whom. False: not an option of this group, or a bad argument. */
static bool server_option(struct options *o, int opt, const char *arg)
{
    uint64_t v = 0;
    bool ok = true;
    switch (opt) {
    case 'h': o->host = arg; break;
    case 'p': ok = number(arg, 1, 65535, &v), o->port = (uint16_t)v; break;
    case 's': o->socket = arg; break;
    case 'a': o->password = arg; break;
    case OPT_USER: o->user = arg; break;
    case OPT_DB: ok = number32(arg, 0, 1 << 20, &o->db); break;
    case OPT_RESP3: o->resp3 = true; break;
    case OPT_PID: ok = number(arg, 1, INT32_MAX, &v), o->pid = (int64_t)v; break;
    default: return false;
    }
    return ok;
}

static bool load_option(struct options *o, int opt, const char *arg)
{
    switch (opt) {
    case 'c': return number32(arg, 1, OPTIONS_CONNECTIONS_MAX, &o->connections);
    case 'P': return number32(arg, 1, OPTIONS_PIPELINE_MAX, &o->pipeline);
    case 'd': return value_size(o, arg);
    case 'n': return number(arg, 1, (uint64_t)1 << 50, &o->requests);
    case 't': return real(arg, 0.01, 86400, &o->duration);
    case 'r': return number(arg, 1, 1000000000000, &o->keyspace);
    case OPT_KEY_SIZE: return number32(arg, 1, 65536, &o->key_size);
    case OPT_KEY_PREFIX: o->key_prefix = arg; return true;
    case OPT_FIELDS: return number(arg, 1, 1000000000000, &o->fields);
    case OPT_DIST: return distribution(o, arg);
    case OPT_MIX: o->mix = arg; return true;
    case OPT_COMMAND:
        if (o->commands_n == OPTIONS_COMMANDS_MAX)
            return false;
        o->commands[o->commands_n++] = arg;
        return true;
    case OPT_LOAD: o->load = true; return true;
    case OPT_IDLE: o->idle = true; return true;
    case OPT_TTL: return number(arg, 1, (uint64_t)1 << 40, &o->ttl_seconds);
    case OPT_RATE: return real(arg, 0.1, 1e8, &o->rate);
    case OPT_POISSON: o->poisson = true; return true;
    case OPT_SPIN: o->spin = true; return true;
    case OPT_WARMUP: return real(arg, 0, 3600, &o->warmup);
    default: return false;
    }
}

static bool other_option(struct options *o, int opt, const char *arg)
{
    switch (opt) {
    case OPT_ENGINE: return engine(o, arg);
    case OPT_SEED: return number(arg, 0, UINT64_MAX, &o->seed);
    case OPT_JSON: o->json = true; return true;
    case OPT_SVG: o->svg = arg; return true;
    case OPT_PLOT: o->plot = 1; return true;
    case OPT_NO_PLOT: o->plot = 0; return true;
    default: return false;
    }
}

/* What was left open, once everything is read. */
static const char *complete(struct options *o)
{
    bool counted = o->requests || o->load;
    if (o->load && (o->idle || o->rate > 0))
        return "--load goes neither with --idle nor with --rate";
    if (o->user && !o->password)
        return "--user needs --password";
    if (o->load)
        o->dist = DIST_SEQUENTIAL;
    if (!o->pipeline)
        o->pipeline = o->load ? DEFAULT_LOAD_PIPELINE : 1;
    if (!o->fields)
        o->fields = o->keyspace;
    if (o->duration < 0)
        o->duration = counted ? DEFAULT_COUNT_DURATION : DEFAULT_DURATION;
    if (o->warmup < 0 || o->load)
        o->warmup = counted || o->idle ? 0 : DEFAULT_WARMUP;
    return NULL;
}

int options_parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){
        .host = "127.0.0.1",
        .port = 6379,
        .connections = 50,
        .zipf_exponent = 0.99,
        .keyspace = 100000,
        .key_size = 16,
        .key_prefix = "key:",
        .value_min = 8,
        .value_max = 8,
        .duration = -1,
        .warmup = -1,
        .seed = 1,
        .plot = -1,
    };
    int opt, index = -1;
    while ((opt = getopt_long(argc, argv, "h:p:s:a:c:P:d:n:t:r:", long_options, &index)) != -1) {
        if (opt == OPT_HELP) {
            print_help();
            return 0;
        }
        if (opt == '?')
            return 1; /* getopt has told */
        if (!server_option(o, opt, optarg) && !load_option(o, opt, optarg) &&
            !other_option(o, opt, optarg)) {
            const char *name = index >= 0 ? long_options[index].name : (char[]){ (char)opt, 0 };
            fprintf(stderr, "ouro-bench: bad argument for %s%s: %s\n", index >= 0 ? "--" : "-",
                    name, optarg ? optarg : "");
            return 1;
        }
        index = -1;
    }
    const char *why = optind < argc ? "takes options only" : complete(o);
    if (!why)
        return -1;
    fprintf(stderr, "ouro-bench: %s (--help tells more)\n", why);
    return 1;
}
