/* ouro-slots analyse: tags first, then how even it can be. */
#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "commands.h"
#include "common/alloc.h"
#include "json.h"
#include "keyfile.h"
#include "live.h"
#include "picture.h"
#include "plan.h"
#include "tags.h"

enum { SAMPLE = 20000, SEED = 1 };

struct analysis {
    const struct options *o;
    struct slot_map map;
    struct tags *tags;
    enum metric by;
    bool has[METRICS];
};

/* ---- input ---- */

static bool read_file(struct analysis *a)
{
    const char *path = a->o->what;
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    long line = 0;
    if (!f)
        return complain("%s: %s", path, strerror(errno)) == 0;
    bool ok = keyfile_read(f, a->tags, &a->map, &a->has[BY_MEMORY], &a->has[BY_OPS], &line);
    if (f != stdin)
        (void)fclose(f);
    if (!ok && line)
        (void)complain("%s, line %ld: not a key with bytes and operations behind TABs", path, line);
    else if (!ok)
        (void)complain("%s: could not be read", path);
    return ok;
}

static void take_key(void *ctx, struct bytes key, double memory)
{
    struct analysis *a = ctx;
    struct load l = { .of = { [BY_KEYS] = 1, [BY_MEMORY] = memory } };
    tags_add(a->tags, key, &l, &a->map);
}

static bool read_live(struct analysis *a)
{
    struct live *l = live_open(a->o, &a->map);
    bool ok = !live_error(l);
    ok = ok && live_keys(l, &a->map, a->o->sample ? a->o->sample : SAMPLE, take_key, a);
    if (!ok)
        (void)complain("%s", live_error(l) ? live_error(l) : "the server answers strangely");
    live_close(l);
    a->has[BY_MEMORY] = true;
    return ok;
}

/* What counts: as asked, or memory, or keys. */
static bool choose_metric(struct analysis *a)
{
    a->has[BY_KEYS] = true;
    a->by = a->o->by_given ? a->o->by : a->has[BY_MEMORY] ? BY_MEMORY : BY_KEYS;
    if (a->has[a->by])
        return true;
    (void)complain("there is nothing about %s of single keys here", metric_names[a->by]);
    return false;
}

/* ---- results ---- */

struct balance {
    int masters;
    double even, bound, planned;
    struct chance chance;
};

static struct balance balance_of(const struct analysis *a, int masters)
{
    struct balance b = { .masters = masters };
    struct slot_map *even = mem_zalloc(sizeof(*even));
    struct plan plan;
    memcpy(even->loads, a->map.loads, sizeof(even->loads));
    slot_map_even(even, masters);
    plan_make(even, a->by, a->o->within, &plan);
    b.even = plan.before;
    b.planned = plan.after;
    b.bound = plan.bound;
    b.chance = tags_chance(a->tags, a->by, masters, SEED);
    plan_done(&plan);
    slot_map_done(even);
    mem_free(even);
    return b;
}

static void print_text(struct bytes t)
{
    enum { SHOWN = 48 };
    for (size_t i = 0; i < t.n && i < SHOWN; i++)
        putchar(t.p[i] >= ' ' && (unsigned char)t.p[i] != 0x7F ? t.p[i] : '?');
    if (t.n > SHOWN)
        fputs("...", stdout);
}

static void report_tags(const struct analysis *a, const struct tag **heaviest, int n)
{
    double total = tags_total(a->tags, a->by);
    printf("%llu keys, %llu hash tags; keys with a tag: %.1f %% of %s\n", (unsigned long long)tags_keys(a->tags),
           (unsigned long long)tags_count(a->tags), total > 0 ? tags_tagged(a->tags, a->by) * 100 / total : 0,
           metric_names[a->by]);
    if (n == 0)
        return;
    printf("\nHeaviest by %s; beyond so many masters, more of them do not help:\n", metric_names[a->by]);
    printf("  %14s %7s %8s %6s %8s\n", metric_units[a->by], "share", "keys", "slot", "masters");
    for (int i = 0; i < n; i++) {
        const struct tag *t = heaviest[i];
        double w = t->load.of[a->by];
        printf("  %14.0f %6.2f%% %8.0f %6u %8d  ", w, w * 100 / total, t->load.of[BY_KEYS], t->slot,
               masters_useful(w, total));
        putchar(t->is_key ? ' ' : '{');
        print_text(bytes_of(t->text, t->n));
        puts(t->is_key ? "" : "}");
    }
}

static void report_balance(const struct analysis *a)
{
    printf("\nHeaviest master over the mean (1.00 is even):\n");
    printf("  %8s %12s %20s %14s %14s\n", "masters", "even ranges", "by chance (95 %)", "slots moved", "bound");
    for (int i = 0; i < a->o->masters_n; i++) {
        struct balance b = balance_of(a, a->o->masters[i]);
        printf("  %8d %12.2f %12.2f (%5.2f) %14.2f %14.2f\n", b.masters, b.even, b.chance.mean, b.chance.p95,
               b.planned, b.bound);
    }
    printf("  even ranges: as redis-cli --cluster create deals slots; by chance: the same tags thrown at random;\n"
           "  slots moved: what `plan` reaches; bound: no placement of whole slots has less\n");
}

static void report_json(const struct analysis *a, const struct tag **heaviest, int n)
{
    struct json j = { stdout, false };
    double total = tags_total(a->tags, a->by);
    json_object(&j, NULL);
    json_text(&j, "by", bytes_of_str(metric_names[a->by]));
    json_number(&j, "keys", (double)tags_keys(a->tags));
    json_number(&j, "tags", (double)tags_count(a->tags));
    json_number(&j, "total", total);
    json_number(&j, "tagged", tags_tagged(a->tags, a->by));
    json_array(&j, "heaviest");
    for (int i = 0; i < n; i++) {
        json_object(&j, NULL);
        json_text(&j, heaviest[i]->is_key ? "key" : "tag", bytes_of(heaviest[i]->text, heaviest[i]->n));
        json_number(&j, "slot", heaviest[i]->slot);
        json_number(&j, "load", heaviest[i]->load.of[a->by]);
        json_number(&j, "share", heaviest[i]->load.of[a->by] / total);
        json_number(&j, "keys", heaviest[i]->load.of[BY_KEYS]);
        json_number(&j, "masters_useful", masters_useful(heaviest[i]->load.of[a->by], total));
        json_end_object(&j);
    }
    json_end_array(&j);
    json_array(&j, "balance");
    for (int i = 0; i < a->o->masters_n; i++) {
        struct balance b = balance_of(a, a->o->masters[i]);
        json_object(&j, NULL);
        json_number(&j, "masters", b.masters);
        json_number(&j, "even_ranges", b.even);
        json_number(&j, "chance_mean", b.chance.mean);
        json_number(&j, "chance_p95", b.chance.p95);
        json_number(&j, "planned", b.planned);
        json_number(&j, "bound", b.bound);
        json_end_object(&j);
    }
    json_end_array(&j);
    if (a->o->map) {
        json_array(&j, "slots");
        for (int s = 0; s < SLOTS; s++)
            json_number(&j, NULL, a->map.loads[s].of[a->by]);
        json_end_array(&j);
    }
    json_end_object(&j);
    putchar('\n');
}

static int draw(const struct analysis *a)
{
    if (!a->o->svg)
        return 0;
    FILE *f = open_for_writing(a->o->svg);
    if (!f)
        return 1;
    picture_svg(f, &a->map, NULL, a->by, a->o->what);
    return fclose(f) == 0 ? 0 : complain("%s: could not be written", a->o->svg);
}

static int report(struct analysis *a)
{
    const struct tag **heaviest = mem_alloc(((size_t)a->o->top + 1) * sizeof(*heaviest));
    int n = tags_heaviest(a->tags, a->by, heaviest, a->o->top);
    if (a->map.masters_n == 0)
        slot_map_even(&a->map, a->o->masters[0]);
    if (a->o->json) {
        report_json(a, heaviest, n);
    } else {
        report_tags(a, heaviest, n);
        report_balance(a);
        if (a->o->map) {
            putchar('\n');
            picture_text(stdout, &a->map, a->map.owner, a->by, !a->o->no_color && isatty(STDOUT_FILENO));
        }
    }
    mem_free(heaviest);
    return draw(a);
}

int cmd_analyse(const struct options *o)
{
    struct analysis *a = mem_zalloc(sizeof(*a));
    a->o = o;
    a->tags = tags_new();
    slot_map_init(&a->map);
    int code = 1;
    if ((o->live ? read_live(a) : read_file(a)) && choose_metric(a))
        code = report(a);
    slot_map_done(&a->map);
    tags_free(a->tags);
    mem_free(a);
    return code;
}
