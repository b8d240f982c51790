/* ouro-slots run: slots moved one after the other, stoppable anywhere.
 *
 * Of a slot under way the source says which keys are still there, so it is simply begun again: SETSLOT is repeatable,
 * and MIGRATE ... REPLACE settles a key that an interrupted run left on both sides (the source's is the newer: clients
 * go to the target only for keys that are not at the source). */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "commands.h"
#include "common/alloc.h"
#include "common/clock.h"
#include "json.h"
#include "live.h"
#include "planfile.h"

struct running {
    const struct options *o;
    struct options seed; /* o with the plan's address */
    struct slot_map map;
    struct planfile plan;
    struct live *live;
    FILE *journal; /* the plan, for appending */
    usec_t begun, told;
    double keys;     /* moved in this run */
    int slots, left; /* done in this run; to do */
};

static volatile sig_atomic_t stopped;

static void on_stop(int signo)
{
    (void)signo;
    stopped = 1;
}

static int find_master(const struct slot_map *map, const char *id)
{
    for (int i = 0; i < map->masters_n; i++)
        if (strcmp(map->masters[i].id, id) == 0)
            return i;
    return -1;
}

/* ---- what is told ---- */

static void tell(struct running *r, bool last)
{
    usec_t now = clock_monotonic_us();
    if (!last && now - r->told < 500 * 1000)
        return;
    r->told = now;
    double seconds = (double)(now - r->begun) / 1e6, rate = seconds > 0 ? r->keys / seconds : 0;
    double eta = r->slots ? seconds / r->slots * r->left : 0;
    if (r->o->json) {
        struct json j = { stdout, false };
        json_object(&j, NULL);
        json_number(&j, "slots_done", r->slots);
        json_number(&j, "slots_left", r->left);
        json_number(&j, "keys", r->keys);
        json_number(&j, "keys_per_second", rate);
        json_number(&j, "seconds", seconds);
        if (last)
            json_text(&j, "result", bytes_of_str(live_error(r->live) ? "failed" : r->left ? "stopped" : "done"));
        json_end_object(&j);
        putchar('\n');
    } else if (last || isatty(STDOUT_FILENO)) {
        printf("%s%d slots moved, %d left, %.0f keys, %.0f keys/s, %.0f s%s", isatty(STDOUT_FILENO) ? "\r" : "",
               r->slots, r->left, r->keys, rate, last ? seconds : eta, last ? "   \n" : " to go   ");
    }
    (void)fflush(stdout);
}

/* ---- one slot ---- */

static bool setslot(struct running *r, int master, int slot, const char *what, const char *id)
{
    char words[160];
    (void)snprintf(words, sizeof(words), "CLUSTER SETSLOT %d %s %s", slot, what, id);
    redisContext *c = live_master(r->live, master);
    redisReply *reply = c ? live_words(r->live, c, words) : NULL;
    if (reply)
        freeReplyObject(reply);
    return reply;
}

/* MIGRATE of the keys of one page. */
static bool migrate(struct running *r, redisContext *from, int to, const redisReply *keys)
{
    const struct master *m = &r->map.masters[to];
    char port[12], timeout[16];
    (void)snprintf(port, sizeof(port), "%d", m->port);
    (void)snprintf(timeout, sizeof(timeout), "%d", r->o->timeout_ms);
    size_t max = keys->elements + 12;
    const char **argv = mem_alloc(max * sizeof(*argv));
    size_t *lens = mem_alloc(max * sizeof(*lens));
    int argc = 0;
    const char *head[] = { "MIGRATE", m->host, port, "", "0", timeout, "REPLACE" };
    for (size_t i = 0; i < sizeof(head) / sizeof(*head); i++)
        argv[argc++] = head[i];
    if (r->o->password) {
        argv[argc++] = r->o->user ? "AUTH2" : "AUTH";
        if (r->o->user)
            argv[argc++] = r->o->user;
        argv[argc++] = r->o->password;
    }
    argv[argc++] = "KEYS";
    for (int i = 0; i < argc; i++)
        lens[i] = strlen(argv[i]);
    for (size_t i = 0; i < keys->elements; i++) {
        lens[argc] = (size_t)keys->element[i]->len;
        argv[argc++] = keys->element[i]->str;
    }
    redisReply *reply = live_command(r->live, from, argc, argv, lens);
    mem_free(argv);
    mem_free(lens);
    if (reply)
        freeReplyObject(reply);
    return reply;
}

/* Not faster than asked for. */
static void hold_back(const struct running *r)
{
    if (r->o->keys_per_second <= 0)
        return;
    double due = r->keys / r->o->keys_per_second * 1e6, now = (double)(clock_monotonic_us() - r->begun);
    if (due > now)
        (void)usleep((useconds_t)(due - now));
}

enum outcome { MOVED, STOPPED, FAILED };

static enum outcome move_keys(struct running *r, int slot, int from, int to)
{
    redisContext *c = live_master(r->live, from);
    for (;;) {
        char words[80];
        (void)snprintf(words, sizeof(words), "CLUSTER GETKEYSINSLOT %d %d", slot, r->o->batch);
        redisReply *keys = c ? live_words(r->live, c, words) : NULL;
        if (!keys)
            return FAILED;
        size_t n = keys->elements;
        bool ok = n == 0 || migrate(r, c, to, keys);
        freeReplyObject(keys);
        if (!ok)
            return FAILED;
        if (n == 0)
            return MOVED;
        r->keys += (double)n;
        tell(r, false);
        if (stopped)
            return STOPPED;
        hold_back(r);
    }
}

/* The new owner first: it is the one that must know. Those that cannot be told hear it from the bus. The old owner may
 * have heard already, and be a replica now, if this was its last slot. */
static bool hand_over(struct running *r, int slot, int from, int to)
{
    const char *id = r->map.masters[to].id;
    if (!setslot(r, to, slot, "NODE", id))
        return false;
    if (from >= 0 && !setslot(r, from, slot, "NODE", id)) {
        if (!strstr(live_error(r->live), "only with masters"))
            return false;
        live_forget_error(r->live);
    }
    for (int i = 0; i < r->map.masters_n; i++) {
        if (i == from || i == to || setslot(r, i, slot, "NODE", id))
            continue;
        live_forget_error(r->live);
    }
    return true;
}

static enum outcome move_slot(struct running *r, const struct planned_move *m)
{
    int from = find_master(&r->map, m->from), to = find_master(&r->map, m->to), owner = r->map.owner[m->slot];
    if (to < 0) {
        live_fail(r->live, "slot %d should go to %s, which is no master that is up", m->slot, m->to);
        return FAILED;
    }
    if (owner == to)
        return MOVED; /* stopped between the last word and its note */
    if (owner != from) {
        live_fail(r->live, "slot %d is not with %s any more: make a new plan", m->slot, m->from);
        return FAILED;
    }
    if (from >= 0) {
        if (!setslot(r, to, m->slot, "IMPORTING", m->from) || !setslot(r, from, m->slot, "MIGRATING", m->to))
            return FAILED;
        enum outcome how = move_keys(r, m->slot, from, to);
        if (how != MOVED)
            return how;
    }
    return hand_over(r, m->slot, from, to) ? MOVED : FAILED;
}

static void note_done(struct running *r, const struct planned_move *m)
{
    fprintf(r->journal, "done %d\n", m->slot);
    if (fflush(r->journal) != 0)
        live_fail(r->live, "%s: %s", r->o->what, strerror(errno));
    r->slots++;
    r->left--;
}

/* ---- the whole ---- */

static bool read_plan(struct running *r)
{
    long line = 0;
    FILE *f = fopen(r->o->what, "r");
    if (!f)
        return complain("%s: %s", r->o->what, strerror(errno)) == 0;
    bool ok = planfile_read(f, &r->plan, &line);
    (void)fclose(f);
    if (!ok)
        (void)complain("%s, line %ld: not a plan of ouro-slots", r->o->what, line);
    for (int i = 0; i < r->plan.moves_n; i++)
        r->left += !r->plan.moves[i].done;
    return ok;
}

static int work_off(struct running *r)
{
    for (int i = 0; i < r->plan.moves_n && !stopped && !live_error(r->live); i++) {
        if (r->plan.moves[i].done)
            continue;
        if (move_slot(r, &r->plan.moves[i]) == MOVED)
            note_done(r, &r->plan.moves[i]);
        tell(r, false);
    }
    tell(r, true);
    if (live_error(r->live))
        return complain("%s; what is done is noted, run it again to go on", live_error(r->live));
    if (r->left && !r->o->json)
        printf("stopped; run it again to go on\n");
    return 0;
}

static int connect_and_work(struct running *r)
{
    r->seed = *r->o;
    (void)snprintf(r->seed.host, sizeof(r->seed.host), "%s", r->plan.seed_host);
    r->seed.port = r->plan.seed_port;
    r->live = live_open(&r->seed, &r->map);
    if (!live_error(r->live) && !live_is_cluster(r->live))
        live_fail(r->live, "%s:%d is not a node of a cluster", r->seed.host, r->seed.port);
    if (live_error(r->live))
        return complain("%s", live_error(r->live));
    r->journal = fopen(r->o->what, "a");
    if (!r->journal)
        return complain("%s: %s", r->o->what, strerror(errno));
    struct sigaction act = { .sa_handler = on_stop };
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    r->begun = clock_monotonic_us();
    int code = work_off(r);
    (void)fclose(r->journal);
    return code;
}

int cmd_run(const struct options *o)
{
    struct running *r = mem_zalloc(sizeof(*r));
    r->o = o;
    slot_map_init(&r->map);
    int code = 1;
    if (read_plan(r)) {
        if (o->dry_run)
            code = printf("%d of %d slots are left to move\n", r->left, r->plan.moves_n) < 0;
        else
            code = connect_and_work(r);
    }
    live_close(r->live);
    planfile_done(&r->plan);
    slot_map_done(&r->map);
    mem_free(r);
    return code;
}
