/* Hash tags and what they weigh (see tags.h).
 *
 * Tags are kept one by one; keys without a tag are millions, so only their sums are, and the heaviest of them. */
#include "tags.h"

#include <math.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/hash.h"
#include "common/table.h"

struct tags {
    struct table table; /* of struct tag */
    struct load total, tagged;
    double squares[METRICS]; /* of keys without a tag */
    uint64_t keys;
    struct tag *loners[METRICS][LONERS_KEPT]; /* heaps, the lightest on top */
    int loners_n[METRICS];
};

static struct bytes tag_key(const void *item)
{
    const struct tag *t = item;
    return bytes_of(t->text, t->n);
}

static uint64_t tag_hash(struct bytes key)
{
    return hash_bytes(key);
}

static const struct table_kind kind = { .key = tag_key, .hash = tag_hash };

struct tags *tags_new(void)
{
    struct tags *t = mem_zalloc(sizeof(*t));
    table_init(&t->table);
    return t;
}

static void free_item(void *ctx, void *item)
{
    (void)ctx;
    mem_free(item);
}

void tags_free(struct tags *t)
{
    if (!t)
        return;
    uint64_t pos = 0;
    while (!table_clear_some(&t->table, &pos, free_item, NULL))
        continue;
    for (int m = 0; m < METRICS; m++)
        for (int i = 0; i < t->loners_n[m]; i++)
            mem_free(t->loners[m][i]);
    mem_free(t);
}

static struct tag *new_tag(struct bytes text, unsigned slot)
{
    struct tag *t = mem_zalloc(sizeof(*t) + text.n);
    t->slot = (uint16_t)slot;
    t->n = (uint32_t)text.n;
    if (text.n)
        memcpy(t->text, text.p, text.n);
    return t;
}

static void load_add(struct load *sum, const struct load *l)
{
    for (int m = 0; m < METRICS; m++)
        sum->of[m] += l->of[m];
}

/* Puts the item at `i` of the heap in its place, downwards. */
static void sift_down(struct tag **heap, int n, int i, enum metric m)
{
    for (;;) {
        int least = i;
        for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
            if (heap[child]->load.of[m] < heap[least]->load.of[m])
                least = child;
        if (least == i)
            return;
        struct tag *t = heap[i];
        heap[i] = heap[least];
        heap[least] = t;
        i = least;
    }
}

static void remember_loner(struct tags *t, enum metric m, struct bytes key, unsigned slot, const struct load *l)
{
    struct tag **heap = t->loners[m];
    int n = t->loners_n[m];
    if (n == LONERS_KEPT && l->of[m] <= heap[0]->load.of[m])
        return;
    struct tag *k = new_tag(key, slot);
    k->is_key = true;
    k->load = *l;
    if (n == LONERS_KEPT) {
        mem_free(heap[0]);
        heap[0] = k;
        sift_down(heap, n, 0, m);
        return;
    }
    heap[n] = k;
    t->loners_n[m] = n + 1;
    for (int i = n; i > 0 && heap[(i - 1) / 2]->load.of[m] > heap[i]->load.of[m]; i = (i - 1) / 2) {
        struct tag *up = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = heap[i];
        heap[i] = up;
    }
}

static void add_tagged(struct tags *t, struct bytes text, unsigned slot, const struct load *l)
{
    struct table_at at;
    struct tag *found = table_find(&t->table, &kind, tag_hash(text), text, &at);
    if (!found) {
        found = new_tag(text, slot);
        table_insert(&t->table, &kind, tag_hash(text), found, TABLE_NOT_DUE);
    }
    load_add(&found->load, l);
    load_add(&t->tagged, l);
}

void tags_add(struct tags *t, struct bytes key, const struct load *l, struct slot_map *map)
{
    bool tagged;
    struct bytes text = hash_tag(key, &tagged);
    unsigned slot = key_slot(key);
    if (map)
        load_add(&map->loads[slot], l);
    load_add(&t->total, l);
    t->keys++;
    if (tagged) {
        add_tagged(t, text, slot, l);
        return;
    }
    for (int m = 0; m < METRICS; m++) {
        t->squares[m] += l->of[m] * l->of[m];
        if (l->of[m] > 0)
            remember_loner(t, (enum metric)m, key, slot, l);
    }
}

uint64_t tags_count(const struct tags *t)
{
    return t->table.count;
}

uint64_t tags_keys(const struct tags *t)
{
    return t->keys;
}

double tags_total(const struct tags *t, enum metric m)
{
    return t->total.of[m];
}

double tags_tagged(const struct tags *t, enum metric m)
{
    return t->tagged.of[m];
}

/* ---- the heaviest ---- */

struct gather {
    const struct tag **all;
    size_t n;
};

static void gather_one(void *ctx, void *item)
{
    struct gather *g = ctx;
    g->all[g->n++] = item;
}

static void gather_tags(const struct tags *t, struct gather *g, size_t more)
{
    g->all = mem_alloc((t->table.count + more + 1) * sizeof(*g->all));
    g->n = 0;
    uint64_t cursor = 0;
    do {
        cursor = table_scan(&t->table, cursor, gather_one, g);
    } while (cursor);
}

static enum metric sort_by; /* qsort has no context; the tool has one thread */

static int heavier_first(const void *a, const void *b)
{
    const struct tag *x = *(const struct tag *const *)a, *y = *(const struct tag *const *)b;
    if (x->load.of[sort_by] != y->load.of[sort_by])
        return x->load.of[sort_by] < y->load.of[sort_by] ? 1 : -1;
    return bytes_cmp(bytes_of(x->text, x->n), bytes_of(y->text, y->n));
}

int tags_heaviest(const struct tags *t, enum metric m, const struct tag **ret_tags, int max)
{
    struct gather g;
    gather_tags(t, &g, LONERS_KEPT);
    for (int i = 0; i < t->loners_n[m]; i++)
        g.all[g.n++] = t->loners[m][i];
    sort_by = m;
    qsort(g.all, g.n, sizeof(*g.all), heavier_first);
    int n = 0;
    while (n < max && (size_t)n < g.n && g.all[n]->load.of[m] > 0) {
        ret_tags[n] = g.all[n];
        n++;
    }
    mem_free(g.all);
    return n;
}

int masters_useful(double part, double total)
{
    if (part <= 0 || total <= 0)
        return MASTERS_MAX;
    double n = floor(total / part + 1e-9);
    return n < 1 ? 1 : n > MASTERS_MAX ? MASTERS_MAX : (int)n;
}

/* ---- chance ---- */

/* From a normal distribution, roughly: twelve uniform numbers. */
static double prng_normal(struct prng *rng)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += prng_double(rng);
    return sum - 6;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct chance tags_chance(const struct tags *t, enum metric m, int masters, uint64_t seed)
{
    enum { TRIALS_MIN = 20, TRIALS_MAX = 400, WORK = 20 * 1000 * 1000 };
    struct gather g;
    gather_tags(t, &g, LONERS_KEPT);
    double rest = t->total.of[m] - t->tagged.of[m], squares = t->squares[m];
    for (int i = 0; i < t->loners_n[m]; i++) {
        const struct tag *k = g.all[g.n++] = t->loners[m][i];
        rest -= k->load.of[m];
        squares -= k->load.of[m] * k->load.of[m];
    }
    uint64_t trials = WORK / (g.n + 1);
    trials = trials < TRIALS_MIN ? TRIALS_MIN : trials > TRIALS_MAX ? TRIALS_MAX : trials;
    /* The many light keys without a tag: their sums on a master are as good as normal. */
    double share = 1.0 / masters, deviation = sqrt((squares > 0 ? squares : 0) * share * (1 - share));
    double *loads = mem_alloc((size_t)masters * sizeof(*loads)), *results = mem_alloc(trials * sizeof(*results));
    struct prng rng;
    prng_init(&rng, seed);
    struct chance c = { 0 };
    for (uint64_t k = 0; k < trials; k++) {
        for (int i = 0; i < masters; i++) {
            double l = rest * share + deviation * prng_normal(&rng);
            loads[i] = l > 0 ? l : 0;
        }
        for (size_t i = 0; i < g.n; i++)
            loads[prng_below(&rng, (uint64_t)masters)] += g.all[i]->load.of[m];
        results[k] = max_over_mean(loads, masters);
        c.mean += results[k] / (double)trials;
    }
    qsort(results, trials, sizeof(*results), ascending);
    c.p95 = results[trials * 95 / 100];
    mem_free(results);
    mem_free(loads);
    mem_free(g.all);
    return c;
}
