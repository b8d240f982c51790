/* The command line (see options.h). */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char help_all[] =
    "ouro-slots: hash slots, hash tags and where they should lie\n"
    "\n"
    "  ouro-slots analyse FILE | HOST:PORT   what is heavy, how even it would be on 3, 6, 12 masters\n"
    "  ouro-slots plan HOST:PORT | FILE      which slots to move, as a dry run with a picture\n"
    "  ouro-slots run PLAN                   moves them; can be stopped and started again\n"
    "  ouro-slots create HOST:PORT...        makes a cluster of empty nodes, or finishes one begun\n"
    "\n"
    "Each has its own --help. Passwords: --password WORD [--user NAME], or REDISCLI_AUTH in the\n"
    "environment.\n";

static const char help_analyse[] =
    "ouro-slots analyse FILE | HOST:PORT [options]\n"
    "\n"
    "FILE (- is stdin) has one key a line, then optional columns after TABs: bytes, operations. HOST:PORT\n"
    "is one server, or any node of a cluster: its keys are walked by SCAN, and memory is measured by MEMORY\n"
    "USAGE on a sample of them.\n"
    "\n"
    "Keys with the same hash tag lie on the same master whatever is moved. For the heaviest tags it tells\n"
    "the number of masters beyond which more of them cannot help; then how even the load is with slots\n"
    "dealt out evenly, what chance would give, and what moving slots can reach.\n"
    "\n"
    "  --by keys|memory|cpu|ops  what counts (default: memory if it is known, else keys)\n"
    "  --masters 3,6,12          numbers of masters to look at\n"
    "  --top 20                  heaviest tags to show\n"
    "  --sample 20000            keys whose memory is measured (live)\n"
    "  --map                     the 16384 slots as text\n"
    "  --svg FILE                and as a picture\n"
    "  --no-color                no ANSI colours\n"
    "  --json                    for machines\n"
    "  --user NAME --password WORD\n";

static const char help_plan[] =
    "ouro-slots plan HOST:PORT | FILE [options]\n"
    "\n"
    "Reads what a cluster counts by slot (CLUSTER SLOT-STATS; keys are counted and memory is sampled\n"
    "where a node does not have that) and finds a placement with few moves. Nothing is changed: it shows\n"
    "before and after, and how near the result is to the best possible. FILE is a table instead of a\n"
    "cluster, one slot a line: slot, owner, keys, bytes, cpu (us), ops, with TABs or spaces between.\n"
    "\n"
    "  --by memory|keys|cpu|ops  what to spread (default: memory)\n"
    "  --over SECONDS            cpu and ops: what is added in so many seconds, instead of since the start\n"
    "  --within 2                percent above the best possible at which it stops looking\n"
    "  --sample 5                keys of a slot whose memory is measured, where it is not counted\n"
    "  --out PLAN                writes the moves, for `ouro-slots run`\n"
    "  --svg FILE                before and after as a picture\n"
    "  --map                     before and after as text\n"
    "  --no-color --json --user NAME --password WORD\n";

static const char help_run[] =
    "ouro-slots run PLAN [options]\n"
    "\n"
    "Moves the slots of a plan, as redis-cli --cluster reshard does (SETSLOT IMPORTING and MIGRATING,\n"
    "GETKEYSINSLOT, MIGRATE, SETSLOT NODE): clients are served meanwhile. Ctrl-C stops after the batch\n"
    "under way; what is done is noted in PLAN, and the same command goes on where it stopped.\n"
    "\n"
    "  --keys-per-second N       not faster than this (default: as fast as it goes)\n"
    "  --batch 100               keys a MIGRATE\n"
    "  --timeout 60000           of a MIGRATE, ms\n"
    "  --dry-run                 tells what is left to do\n"
    "  --json                    progress and result as JSON, one object a line\n"
    "  --user NAME --password WORD\n";

static const char help_create[] =
    "ouro-slots create HOST:PORT... [options]\n"
    "\n"
    "Makes a cluster of nodes: the first are masters with even ranges of slots, the others their replicas in\n"
    "turn. It may be run again at any time: what is done already stays, so a cluster that is whole is left\n"
    "alone. Nodes that hold keys but no slots are refused.\n"
    "\n"
    "  --replicas 1              of each master\n"
    "  --wait 60                 seconds until all nodes must be there, and until all agree\n"
    "  --json --user NAME --password WORD\n";

static bool parse_number(const char *text, double min, double max, double *ret_v)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= min && v <= max))
        return false;
    *ret_v = v;
    return true;
}

static bool parse_int(const char *text, int min, int max, int *ret_v)
{
    double v;
    if (!parse_number(text, min, max, &v) || v != (int)v)
        return false;
    *ret_v = (int)v;
    return true;
}

static bool parse_masters(const char *text, struct options *o)
{
    o->masters_n = 0;
    while (*text && o->masters_n < (int)(sizeof(o->masters) / sizeof(*o->masters))) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || n < 1 || n > MASTERS_MAX || (*end && (*end != ',' || !end[1])))
            return false;
        o->masters[o->masters_n++] = (int)n;
        text = *end ? end + 1 : end;
    }
    return !*text && o->masters_n > 0;
}

bool options_address(const char *text, char *ret_host, size_t host_max, int *ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    if (n == 0 || n >= host_max || !parse_int(colon + 1, 1, 65535, ret_port))
        return false;
    (void)snprintf(ret_host, host_max, "%.*s", (int)n, text);
    return true;
}

/* An address where there is no such file. */
static bool parse_address(struct options *o)
{
    return access(o->what, F_OK) != 0 && options_address(o->what, o->host, sizeof(o->host), &o->port);
}

/* An option with a value. False: unknown, or the value is none. */
static bool parse_valued(struct options *o, const char *name, const char *v)
{
    double percent;
    if (strcmp(name, "--by") == 0)
        return o->by_given = metric_parse(v, &o->by);
    if (strcmp(name, "--top") == 0)
        return parse_int(v, 0, 10000, &o->top);
    if (strcmp(name, "--sample") == 0)
        return parse_int(v, 1, 1000000000, &o->sample);
    if (strcmp(name, "--replicas") == 0)
        return parse_int(v, 0, 100, &o->replicas);
    if (strcmp(name, "--wait") == 0)
        return parse_int(v, 0, 86400, &o->wait_s);
    if (strcmp(name, "--batch") == 0)
        return parse_int(v, 1, 100000, &o->batch);
    if (strcmp(name, "--timeout") == 0)
        return parse_int(v, 1, 1000000000, &o->timeout_ms);
    if (strcmp(name, "--masters") == 0)
        return parse_masters(v, o);
    if (strcmp(name, "--over") == 0)
        return parse_number(v, 0, 86400, &o->over_s);
    if (strcmp(name, "--keys-per-second") == 0)
        return parse_number(v, 1, 1e9, &o->keys_per_second);
    if (strcmp(name, "--within") == 0) {
        bool ok = parse_number(v, 0, 100, &percent);
        if (ok)
            o->within = percent / 100;
        return ok;
    }
    const char **text = strcmp(name, "--svg") == 0        ? &o->svg
                        : strcmp(name, "--out") == 0      ? &o->out
                        : strcmp(name, "--user") == 0     ? &o->user
                        : strcmp(name, "--password") == 0 ? &o->password
                                                          : NULL;
    if (!text)
        return false;
    *text = v;
    return true;
}

static bool parse_flag(struct options *o, const char *name)
{
    bool *flag = strcmp(name, "--json") == 0       ? &o->json
                 : strcmp(name, "--map") == 0      ? &o->map
                 : strcmp(name, "--no-color") == 0 ? &o->no_color
                 : strcmp(name, "--dry-run") == 0  ? &o->dry_run
                                                   : NULL;
    if (flag)
        *flag = true;
    return flag;
}

static int refuse(const char *format, const char *arg, int *ret_exit)
{
    fprintf(stderr, "ouro-slots: ");
    fprintf(stderr, format, arg);
    fprintf(stderr, " (see --help)\n");
    *ret_exit = 2;
    return -1;
}

static int show(const char *text, int *ret_exit)
{
    fputs(text, stdout);
    *ret_exit = 0;
    return -1;
}

int options_parse(int argc, char **argv, struct options *o, int *ret_exit)
{
    *o = (struct options){ .by = BY_MEMORY, .top = 20, .batch = 100, .timeout_ms = 60000, .within = 0.02,
                           .masters = { 3, 6, 12 }, .masters_n = 3, .replicas = 1, .wait_s = 60,
                           .password = getenv("REDISCLI_AUTH") };
    if (argc < 2)
        return refuse("what to do? %s", "", ret_exit);
    o->command = argv[1];
    const char *help = strcmp(o->command, "analyse") == 0 || strcmp(o->command, "analyze") == 0 ? help_analyse
                       : strcmp(o->command, "plan") == 0                                        ? help_plan
                       : strcmp(o->command, "run") == 0                                         ? help_run
                       : strcmp(o->command, "create") == 0                                      ? help_create
                                                                                                : NULL;
    if (!help) {
        bool asks = strcmp(o->command, "--help") == 0 || strcmp(o->command, "-h") == 0;
        return asks ? show(help_all, ret_exit) : refuse("unknown command '%s'", o->command, ret_exit);
    }
    bool create = help == help_create;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return show(help, ret_exit);
        if (argv[i][0] != '-' || strcmp(argv[i], "-") == 0) {
            if (create ? o->nodes_n == NODES_MAX : o->what != NULL)
                return refuse("too many files or addresses: '%s'", argv[i], ret_exit);
            if (create)
                o->nodes[o->nodes_n++] = argv[i];
            o->what = argv[i];
        } else if (!parse_flag(o, argv[i])) {
            if (i + 1 == argc || !parse_valued(o, argv[i], argv[i + 1]))
                return refuse("bad option or value: '%s'", argv[i], ret_exit);
            i++;
        }
    }
    if (!o->what)
        return refuse("'%s' needs a file or HOST:PORT", o->command, ret_exit);
    o->live = parse_address(o);
    if (o->password && !*o->password)
        o->password = NULL;
    return 0;
}
