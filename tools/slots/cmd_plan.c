/* ouro-slots plan: a dry run with a picture before and after. */
#include <errno.h>
#include <unistd.h>

#include "commands.h"
#include "common/alloc.h"
#include "json.h"
#include "keyfile.h"
#include "live.h"
#include "picture.h"
#include "plan.h"
#include "planfile.h"

enum { SAMPLE = 5 };

struct planning {
    const struct options *o;
    struct slot_map map;
    struct plan plan;
};

static bool read_table(struct planning *p)
{
    FILE *f = fopen(p->o->what, "r");
    long line = 0;
    if (!f)
        return complain("%s: %s", p->o->what, strerror(errno)) == 0;
    bool ok = slotfile_read(f, &p->map, &line);
    (void)fclose(f);
    if (!ok)
        (void)complain("%s, line %ld: not \"slot owner keys bytes cpu ops\"", p->o->what, line);
    return ok;
}

/* What is added within --over seconds, in place of the sums since the start. */
static bool measure_rates(struct planning *p, struct live *l, int sample, bool has[METRICS])
{
    struct load *before = mem_alloc(sizeof(p->map.loads));
    memcpy(before, p->map.loads, sizeof(p->map.loads));
    (void)usleep((useconds_t)(p->o->over_s * 1e6));
    bool ok = live_slot_loads(l, &p->map, sample, has);
    for (int s = 0; ok && s < SLOTS; s++) {
        for (int m = BY_CPU; m <= BY_OPS; m++) {
            double d = p->map.loads[s].of[m] - before[s].of[m];
            p->map.loads[s].of[m] = d > 0 ? d : 0;
        }
    }
    mem_free(before);
    return ok;
}

static bool read_cluster(struct planning *p)
{
    struct live *l = live_open(p->o, &p->map);
    int sample = p->o->sample ? p->o->sample : SAMPLE;
    bool has[METRICS] = { false };
    if (!live_error(l) && !live_is_cluster(l))
        live_fail(l, "%s is not a node of a cluster", p->o->what);
    bool ok = !live_error(l) && live_slot_loads(l, &p->map, sample, has);
    if (ok && p->o->over_s > 0)
        ok = measure_rates(p, l, sample, has);
    if (ok && !has[p->o->by])
        live_fail(l, "not all nodes count %s by slot", metric_names[p->o->by]);
    ok = ok && !live_error(l);
    if (!ok)
        (void)complain("%s", live_error(l) ? live_error(l) : "the cluster answers strangely");
    live_close(l);
    return ok;
}

/* ---- results ---- */

static void report_text(const struct planning *p)
{
    const struct plan *plan = &p->plan;
    bool colour = !p->o->no_color && isatty(STDOUT_FILENO);
    printf("before (by %s): heaviest master %.2f times the mean\n", metric_names[p->o->by], plan->before);
    picture_bars(stdout, &p->map, p->map.owner, p->o->by);
    if (p->o->map)
        picture_text(stdout, &p->map, p->map.owner, p->o->by, colour);
    printf("after: %.2f\n", plan->after);
    picture_bars(stdout, &p->map, plan->owner, p->o->by);
    if (p->o->map)
        picture_text(stdout, &p->map, plan->owner, p->o->by, colour);
    printf("\n%d slots move: %.0f keys, %.1f MB\n", plan->moves_n, plan->moved_load.of[BY_KEYS],
           plan->moved_load.of[BY_MEMORY] / 1e6);
    printf("the best possible is at least %.4f times the mean; this is %.1f %% above it\n", plan->bound,
           (plan->after / plan->bound - 1) * 100);
}

static void json_masters(struct json *j, const struct planning *p)
{
    double *before = mem_alloc((size_t)p->map.masters_n * sizeof(*before));
    double *after = mem_alloc((size_t)p->map.masters_n * sizeof(*after));
    (void)loads_by_master(&p->map, p->map.owner, p->o->by, before);
    (void)loads_by_master(&p->map, p->plan.owner, p->o->by, after);
    json_array(j, "masters");
    for (int i = 0; i < p->map.masters_n; i++) {
        json_object(j, NULL);
        json_text(j, "id", bytes_of_str(p->map.masters[i].id));
        json_text(j, "host", bytes_of_str(p->map.masters[i].host));
        json_number(j, "port", p->map.masters[i].port);
        json_number(j, "before", before[i]);
        json_number(j, "after", after[i]);
        json_end_object(j);
    }
    json_end_array(j);
    mem_free(before);
    mem_free(after);
}

static void report_json(const struct planning *p)
{
    struct json j = { stdout, false };
    json_object(&j, NULL);
    json_text(&j, "by", bytes_of_str(metric_names[p->o->by]));
    json_number(&j, "before", p->plan.before);
    json_number(&j, "after", p->plan.after);
    json_number(&j, "bound", p->plan.bound);
    json_number(&j, "above_bound", p->plan.after / p->plan.bound - 1);
    json_number(&j, "moved_keys", p->plan.moved_load.of[BY_KEYS]);
    json_number(&j, "moved_bytes", p->plan.moved_load.of[BY_MEMORY]);
    json_masters(&j, p);
    json_array(&j, "moves");
    for (int i = 0; i < p->plan.moves_n; i++) {
        const struct move *m = &p->plan.moves[i];
        json_object(&j, NULL);
        json_number(&j, "slot", m->slot);
        if (m->from >= 0)
            json_text(&j, "from", bytes_of_str(p->map.masters[m->from].id));
        json_text(&j, "to", bytes_of_str(p->map.masters[m->to].id));
        json_end_object(&j);
    }
    json_end_array(&j);
    json_end_object(&j);
    putchar('\n');
}

static int write_files(const struct planning *p)
{
    if (p->o->svg) {
        FILE *f = open_for_writing(p->o->svg);
        if (!f)
            return 1;
        char title[160];
        (void)snprintf(title, sizeof(title), "%.100s: %d slots move", p->o->what, p->plan.moves_n);
        picture_svg(f, &p->map, p->plan.owner, p->o->by, title);
        if (fclose(f) != 0)
            return complain("%s: could not be written", p->o->svg);
    }
    if (!p->o->out)
        return 0;
    if (!p->o->live)
        return complain("--out needs a cluster: the plan of a table cannot be run");
    FILE *f = open_for_writing(p->o->out);
    if (!f)
        return 1;
    int r = planfile_write(f, &p->map, &p->plan, p->o->host, p->o->port);
    if (fclose(f) != 0 || r < 0)
        return complain("%s: could not be written", p->o->out);
    if (!p->o->json)
        printf("ouro-slots run %s    moves them\n", p->o->out);
    return 0;
}

int cmd_plan(const struct options *o)
{
    struct planning *p = mem_zalloc(sizeof(*p));
    p->o = o;
    slot_map_init(&p->map);
    int code = 1;
    if (o->live ? read_cluster(p) : read_table(p)) {
        plan_make(&p->map, o->by, o->within, &p->plan);
        if (o->json)
            report_json(p);
        else
            report_text(p);
        code = write_files(p);
        plan_done(&p->plan);
    }
    slot_map_done(&p->map);
    mem_free(p);
    return code;
}
