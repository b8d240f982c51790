/* Packing slots on masters (see plan.h).
 *
 * Overloaded masters give up slots, heaviest first, as long as what is left fills them; the pool goes, heaviest first,
 * to whoever has least (LPT), and exchanges between the fullest master and others polish the end. With a tight bound
 * heavy slots that stayed may be in the way: then more of them are thrown into the pool, until in the last round all
 * are. */
#include "plan.h"

#include <math.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/assert.h"

struct packing {
    const struct slot_map *map;
    enum metric by;
    int n;              /* masters */
    double limit;       /* what a master should have at most */
    double *loads;
    int16_t owner[SLOTS];
    uint16_t heavy[SLOTS]; /* slots, heaviest first */
    bool pooled[SLOTS];
};

static double weight(const struct packing *p, int slot)
{
    return p->map->loads[slot].of[p->by];
}

static const struct packing *sorting; /* qsort has no context; the tool has one thread */

static int heavier_first(const void *a, const void *b)
{
    int x = *(const uint16_t *)a, y = *(const uint16_t *)b;
    double wx = weight(sorting, x), wy = weight(sorting, y);
    return wx != wy ? (wx < wy ? 1 : -1) : x - y;
}

static void sort_slots(struct packing *p)
{
    for (int s = 0; s < SLOTS; s++)
        p->heavy[s] = (uint16_t)s;
    sorting = p;
    qsort(p->heavy, SLOTS, sizeof(*p->heavy), heavier_first);
}

static double bound_of(const struct packing *p)
{
    double sum = 0;
    for (int s = 0; s < SLOTS; s++)
        sum += weight(p, s);
    if (sum <= 0)
        return 0;
    double bound = sum / p->n;
    if (weight(p, p->heavy[0]) > bound)
        bound = weight(p, p->heavy[0]);
    /* Of the k * n + 1 heaviest slots, k + 1 share a master: the lightest of them at least. */
    for (int k = 1; k * p->n < SLOTS; k++) {
        double together = 0;
        for (int i = 0; i <= k; i++)
            together += weight(p, p->heavy[k * p->n - i]);
        if (together > bound)
            bound = together;
        if (weight(p, p->heavy[k * p->n]) <= 0)
            break;
    }
    return bound;
}

double plan_bound(const struct slot_map *map, enum metric by)
{
    struct packing *p = mem_zalloc(sizeof(*p));
    *p = (struct packing){ .map = map, .by = by, .n = map->masters_n };
    sort_slots(p);
    double bound = bound_of(p), sum = 0;
    for (int s = 0; s < SLOTS; s++)
        sum += weight(p, s);
    mem_free(p);
    return sum > 0 ? bound * map->masters_n / sum : 1;
}

static int least_loaded(const struct packing *p)
{
    int at = 0;
    for (int i = 1; i < p->n; i++)
        if (p->loads[i] < p->loads[at])
            at = i;
    return at;
}

static int most_loaded(const struct packing *p)
{
    int at = 0;
    for (int i = 1; i < p->n; i++)
        if (p->loads[i] > p->loads[at])
            at = i;
    return at;
}

/* What goes into the pool: the first `thrown` of the heaviest, slots without an owner, and what is over the limit. */
static void fill_pool(struct packing *p, int thrown)
{
    memcpy(p->owner, p->map->owner, sizeof(p->owner));
    memset(p->pooled, 0, sizeof(p->pooled));
    (void)loads_by_master(p->map, p->owner, p->by, p->loads);
    for (int i = 0; i < SLOTS; i++) {
        int s = p->heavy[i], o = p->owner[s];
        if (o >= 0 && (weight(p, s) <= 0 || (i >= thrown && p->loads[o] <= p->limit)))
            continue;
        /* Over the limit: give it away if that does not leave the master far too empty. */
        if (o >= 0 && i >= thrown && p->loads[o] - weight(p, s) < p->limit * 0.9 && weight(p, s) > p->limit * 0.1)
            continue;
        if (o >= 0)
            p->loads[o] -= weight(p, s);
        p->pooled[s] = true;
    }
}

/* Each to its old master if that has room, else to the one with least. */
static void empty_pool(struct packing *p)
{
    int turn = 0;
    for (int i = 0; i < SLOTS; i++) {
        int s = p->heavy[i], o = p->owner[s];
        if (!p->pooled[s])
            continue;
        int to = least_loaded(p);
        if (weight(p, s) <= 0)
            to = turn++ % p->n; /* nobody's, and nothing in it */
        else if (o >= 0 && p->loads[o] + weight(p, s) <= p->limit && p->loads[o] <= p->loads[to] + p->limit * 0.01)
            to = o;
        p->owner[s] = (int16_t)to;
        p->loads[to] += weight(p, s);
    }
}

/* The best single move or exchange between the fullest master and another. False: none makes it better. */
static bool improve(struct packing *p)
{
    enum { LOOK = 400 }; /* slots of each, heaviest first */
    int from = most_loaded(p), best_a = -1, best_b = -1, best_to = -1;
    double best = p->loads[from] * (1 - 1e-9);
    uint16_t a[LOOK];
    int a_n = 0;
    for (int i = 0; i < SLOTS && a_n < LOOK; i++)
        if (p->owner[p->heavy[i]] == from && weight(p, p->heavy[i]) > 0)
            a[a_n++] = p->heavy[i];
    for (int to = 0; to < p->n; to++) {
        if (to == from)
            continue;
        int b[LOOK + 1], b_n = 0;
        b[b_n++] = -1; /* nothing back */
        for (int i = 0; i < SLOTS && b_n <= LOOK; i++)
            if (p->owner[p->heavy[i]] == to)
                b[b_n++] = p->heavy[i];
        for (int x = 0; x < a_n; x++) {
            for (int y = 0; y < b_n; y++) {
                double shift = weight(p, a[x]) - (b[y] < 0 ? 0 : weight(p, b[y]));
                double one = p->loads[from] - shift, other = p->loads[to] + shift, worst = one > other ? one : other;
                if (shift <= 0 || worst >= best)
                    continue;
                best = worst;
                best_a = a[x];
                best_b = b[y];
                best_to = to;
            }
        }
    }
    if (best_to < 0)
        return false;
    double shift = weight(p, best_a) - (best_b < 0 ? 0 : weight(p, best_b));
    p->owner[best_a] = (int16_t)best_to;
    if (best_b >= 0)
        p->owner[best_b] = (int16_t)from;
    p->loads[from] -= shift;
    p->loads[best_to] += shift;
    return true;
}

static double pack(struct packing *p, int thrown)
{
    enum { EXCHANGES_MAX = 200 };
    fill_pool(p, thrown);
    empty_pool(p);
    for (int i = 0; i < EXCHANGES_MAX && p->loads[most_loaded(p)] > p->limit; i++)
        if (!improve(p))
            break;
    return p->loads[most_loaded(p)];
}

static void list_moves(const struct slot_map *map, enum metric by, struct plan *plan)
{
    plan->moves = mem_alloc(SLOTS * sizeof(*plan->moves));
    for (int s = 0; s < SLOTS; s++) {
        if (plan->owner[s] == map->owner[s])
            continue;
        plan->moves[plan->moves_n++] = (struct move){ (uint16_t)s, map->owner[s], plan->owner[s] };
        plan->moved += map->loads[s].of[by];
        for (int m = 0; m < METRICS; m++)
            plan->moved_load.of[m] += map->loads[s].of[m];
    }
}

void plan_make(const struct slot_map *map, enum metric by, double tolerance, struct plan *ret_plan)
{
    ASSERT(map->masters_n > 0 && tolerance >= 0);
    struct packing *p = mem_zalloc(sizeof(*p));
    *p = (struct packing){ .map = map, .by = by, .n = map->masters_n };
    p->loads = mem_alloc((size_t)p->n * sizeof(*p->loads));
    sort_slots(p);
    *ret_plan = (struct plan){ .bound = plan_bound(map, by) };
    (void)loads_by_master(map, map->owner, by, p->loads);
    ret_plan->before = max_over_mean(p->loads, p->n);
    double bound = bound_of(p), best = INFINITY;
    p->limit = bound * (1 + tolerance);
    for (int thrown = 0;; thrown = thrown ? thrown * 4 : p->n) {
        double worst = pack(p, thrown < SLOTS ? thrown : SLOTS);
        if (worst < best) {
            best = worst;
            memcpy(ret_plan->owner, p->owner, sizeof(ret_plan->owner));
        }
        if (best <= p->limit || thrown >= SLOTS)
            break;
    }
    (void)loads_by_master(map, ret_plan->owner, by, p->loads);
    ret_plan->after = max_over_mean(p->loads, p->n);
    list_moves(map, by, ret_plan);
    mem_free(p->loads);
    mem_free(p);
}

void plan_done(struct plan *p)
{
    mem_free(p->moves);
    p->moves = NULL;
    p->moves_n = 0;
}
