#include <criterion/criterion.h>

#include "common/alloc.h"
#include "common/hash.h"
#include "common/prng.h"
#include "common/table_inner.h"

/* ---- items and a model ---- */

struct thing {
    uint64_t id;
    int64_t due;
    unsigned seen; /* by a scan */
};

static struct bytes thing_key(const void *item)
{
    return bytes_of(&((const struct thing *)item)->id, 8);
}

static int64_t thing_due(const void *item)
{
    return ((const struct thing *)item)->due;
}

static uint64_t hash_few_bits(struct bytes key) /* 4 values: everything collides */
{
    return hash_bytes(key) << 62 >> 3;
}

static uint64_t hash_skewed(struct bytes key) /* half of the items share 20 bits */
{
    uint64_t h = hash_bytes(key);
    return h & 1 ? h : h >> 20;
}

static const struct table_kind good = { thing_key, hash_bytes, thing_due };
static const struct table_kind bad = { thing_key, hash_few_bits, thing_due };
static const struct table_kind skewed = { thing_key, hash_skewed, thing_due };

struct model {
    const struct table_kind *kind;
    struct table t;
    struct thing **things; /* by id, NULL: not there */
    uint64_t n, ids;
    struct prng r;
};

static void model_init(struct model *m, const struct table_kind *kind, uint64_t ids, uint64_t seed)
{
    *m = (struct model){ .kind = kind, .ids = ids, .things = mem_zalloc(ids * sizeof(void *)) };
    prng_init(&m->r, seed);
    table_init(&m->t);
}

static void model_done(struct model *m)
{
    table_done(&m->t);
    for (uint64_t i = 0; i < m->ids; i++)
        mem_free(m->things[i]);
    mem_free(m->things);
}

static uint64_t id_hash(const struct model *m, uint64_t id)
{
    return m->kind->hash(bytes_of(&id, 8));
}

static struct thing *model_find(struct model *m, uint64_t id, struct table_at *ret_at)
{
    return table_find(&m->t, m->kind, id_hash(m, id), bytes_of(&id, 8), ret_at);
}

static void model_add(struct model *m, uint64_t id, int64_t due)
{
    struct thing *x = mem_alloc(sizeof *x);
    *x = (struct thing){ id, due, 0 };
    table_insert(&m->t, m->kind, id_hash(m, id), x, due);
    m->things[id] = x;
    m->n++;
}

static void model_remove(struct model *m, uint64_t id)
{
    struct table_at at;
    cr_assert_eq(model_find(m, id, &at), m->things[id]);
    table_remove(&m->t, m->kind, &at);
    mem_free(m->things[id]);
    m->things[id] = NULL;
    m->n--;
}

static void model_replace(struct model *m, uint64_t id, int64_t due)
{
    struct table_at at;
    cr_assert_eq(model_find(m, id, &at), m->things[id]);
    struct thing *x = mem_alloc(sizeof *x);
    *x = (struct thing){ id, due, 0 };
    table_replace(&m->t, &at, x, due);
    mem_free(m->things[id]);
    m->things[id] = x;
}

/* ---- what must hold after every step ---- */

static uint64_t check_segment(struct table *t, const struct table_kind *kind, uint64_t hash)
{
    struct table_place p = table_place(t, hash);
    struct table_segment *s = table_segment(t, hash);
    uint64_t items = 0;
    int64_t min = TABLE_NOT_DUE;
    unsigned *farthest = mem_zalloc(p.n * sizeof *farthest);
    for (uint32_t i = 0; i < p.n; i++) {
        for (unsigned slot = 0; slot < TABLE_SLOTS; slot++) {
            const struct table_bucket *b = &p.buckets[i];
            if (slot_is_empty(b, slot)) {
                cr_assert_eq(b->fragment[slot], 0);
                continue;
            }
            items++;
            const struct thing *x = table_slot_item(b, slot);
            uint64_t h = kind->hash(thing_key(x));
            cr_assert_eq(dir_index(t, h) >> (t->depth - p.depth),
                         dir_index(t, hash) >> (t->depth - p.depth));
            cr_assert_eq(b->fragment[slot], table_fragment(h, p.depth));
            uint32_t home = table_home(b->fragment[slot], p.n), far = (i + p.n - home) % p.n;
            farthest[home] = far > farthest[home] ? far : farthest[home];
            bool is_volatile = slot_word(b, slot) & SLOT_VOLATILE;
            cr_assert_eq(is_volatile, x->due != TABLE_NOT_DUE);
            if (is_volatile) {
                cr_assert_leq(segment_due(s, p, i), x->due);
                min = x->due < min ? x->due : min;
            }
        }
    }
    for (uint32_t i = 0; i < p.n; i++) {
        unsigned kept = table_displacement(&p.buckets[i]);
        cr_assert(kept == TABLE_FAR || farthest[i] == kept);
    }
    mem_free(farthest);
    cr_assert_eq(items, s->count);
    if (s->timed) {
        struct timed_segment *times = segment_times(s);
        cr_assert_leq(times->min, min);
        cr_assert_eq(heap_has(&times->node), times->min != TABLE_NOT_DUE);
        cr_assert(!heap_has(&times->node) || heap_key(t->due, &times->node) == times->min);
        cr_assert_eq(table_segment(t, times->hash), s);
    }
    return items;
}

static void check_table(struct table *t, const struct table_kind *kind)
{
    uint64_t items = 0, deepest = 0;
    for (size_t i = 0; i < (size_t)1 << t->depth;) {
        uint64_t hash = t->depth ? (uint64_t)i << (64 - t->depth) : 0;
        struct table_place p = table_place(t, hash);
        cr_assert_leq(p.depth, t->depth);
        size_t span = (size_t)1 << (t->depth - p.depth);
        cr_assert_eq(i % span, 0);
        for (size_t j = i; j < i + span; j++) {
            cr_assert_eq(t->dir[j], t->dir[i]);
            cr_assert_eq(dir_segments(t)[j], dir_segments(t)[i]);
        }
        if (dir_segments(t)[i])
            items += check_segment(t, kind, hash);
        deepest += p.depth == t->depth;
        i += span;
    }
    cr_assert_eq(items, t->count);
    cr_assert_eq(deepest, t->deepest);
    cr_assert_eq(t->shift, 63 - t->depth);
    cr_assert(t->depth == 0 || t->deepest > 0);
}

static void check_model(struct model *m)
{
    check_table(&m->t, m->kind);
    cr_assert_eq(m->t.count, m->n);
    for (uint64_t id = 0; id < m->ids; id++)
        cr_assert_eq(model_find(m, id, NULL), m->things[id]);
}

static int64_t random_due(struct prng *r)
{
    switch (prng_below(r, 8)) {
    case 0:
        return (int64_t)prng_below(r, 100000);
    case 1:
        return (int64_t)1 << prng_below(r, 60); /* near and far: the base has to move */
    case 2:
        return 1000 + (int64_t)prng_below(r, 10);
    default:
        return TABLE_NOT_DUE;
    }
}

/* Grows and shrinks around changing targets with every kind of change, comparing with the model all
 * the time. */
static void walk_randomly(const struct table_kind *kind, uint64_t ids, unsigned steps,
                          unsigned check_every, uint64_t seed)
{
    struct model m;
    model_init(&m, kind, ids, seed);
    uint64_t target = ids / 2, pos = 0;
    for (unsigned step = 0; step < steps; step++) {
        if (step % (unsigned)(ids * 2) == 0)
            target = prng_below(&m.r, ids + 1);
        uint64_t id = prng_below(&m.r, ids);
        bool want = prng_below(&m.r, 8) ? m.n < target : m.n >= target;
        if (!m.things[id]) {
            if (want)
                model_add(&m, id, random_due(&m.r));
        } else if (!want) {
            model_remove(&m, id);
        } else {
            model_replace(&m, id, random_due(&m.r));
        }
        if (step % 64 == 0)
            table_tidy(&m.t, &pos, 1);
        if (step % check_every == 0)
            check_model(&m);
    }
    check_model(&m);
    for (uint64_t i = 0; i < ids; i++) {
        if (m.things[i])
            model_remove(&m, i);
    }
    check_model(&m);
    cr_assert_eq(m.t.depth, 0);
    cr_assert_eq(table_bytes(&m.t), 0, "an empty table owns nothing");
    model_done(&m);
}

Test(table, behaves_like_the_model_when_small)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        walk_randomly(&good, seed * 6, 1500, 1, seed);
}

Test(table, behaves_like_the_model_while_segments_split_and_merge)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        walk_randomly(&good, 6000, 60000, 1501, seed);
}

Test(table, stays_correct_when_hashes_collide)
{
    walk_randomly(&bad, 300, 4000, 7, 1);
    walk_randomly(&bad, 3000, 20000, 1501, 2);
    walk_randomly(&skewed, 6000, 40000, 1501, 3);
}

Test(table, collisions_do_not_make_the_directory_explode)
{
    struct model m;
    model_init(&m, &bad, 8000, 1);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, TABLE_NOT_DUE);
    check_model(&m);
    cr_assert_leq(m.t.depth, 8);
    model_done(&m);
}

/* ---- load and cost ---- */

Test(table, load_stays_high_at_any_size)
{
    struct model m;
    model_init(&m, &good, 60000, 7);
    double worst = 1, sum = 0, bytes = 0; /* bytes per item at worst */
    unsigned n = 0;
    for (uint64_t id = 0; id < m.ids; id++) {
        model_add(&m, id, TABLE_NOT_DUE);
        if (id > 100 && id % 50 == 0) {
            double load = (double)m.n / (double)table_slots(&m.t);
            worst = load < worst ? load : worst;
            sum += load;
            n++;
            double b = (double)table_bytes(&m.t) / (double)m.n;
            bytes = b > bytes ? b : bytes;
        }
    }
    cr_assert_geq(worst, 0.7);
    cr_assert_geq(sum / n, 0.81);
    cr_assert_leq(bytes, 12.0);
    model_done(&m);
}

Test(table, a_large_table_moves_into_a_pool_without_holes_and_out_again)
{
    struct model m;
    model_init(&m, &good, 400000, 8);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, id % 2 ? TABLE_NOT_DUE : (int64_t)id);
    check_model(&m);
    cr_assert(m.t.pool);
    cr_assert_leq((double)table_bytes(&m.t) / (double)m.n, 11.5);
    for (uint64_t id = 0; id < m.ids; id++) {
        if (id % 40)
            model_remove(&m, id);
        if (id % 100000 == 0)
            check_model(&m);
    }
    check_model(&m);
    cr_assert(!m.t.pool);
    model_done(&m);
}

Test(table, memory_comes_back_when_items_go)
{
    struct model m;
    model_init(&m, &good, 50000, 8);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, TABLE_NOT_DUE);
    for (uint64_t id = 0; id < m.ids; id++) {
        if (id % 20)
            model_remove(&m, id);
    }
    check_model(&m);
    cr_assert_leq(table_bytes(&m.t), m.n * 30);
    cr_assert_leq(m.t.depth, 5);
    model_done(&m);
}

Test(table, a_reserved_table_takes_its_items_without_growing_much)
{
    struct model m;
    model_init(&m, &good, 20000, 9);
    table_reserve(&m.t, m.ids);
    unsigned depth = m.t.depth;
    size_t bytes = table_bytes(&m.t);
    check_table(&m.t, &good);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, TABLE_NOT_DUE);
    check_model(&m);
    cr_assert_eq(m.t.depth, depth);
    cr_assert_leq(table_bytes(&m.t), bytes * 11 / 10);
    table_reserve(&m.t, 10); /* not empty: a hint without effect */
    check_model(&m);
    model_done(&m);

    model_init(&m, &good, 1, 9);
    table_reserve(&m.t, 100000);
    model_add(&m, 0, TABLE_NOT_DUE);
    cr_assert_eq(table_random(&m.t, &m.r), m.things[0], "found among many empty buckets");
    uint64_t pos = 0;
    for (unsigned i = 0; i < 3000; i++)
        table_tidy(&m.t, &pos, 1);
    check_model(&m);
    cr_assert_eq(m.t.depth, 0, "what was reserved in vain is given back");
    model_done(&m);
}

Test(table, swapping_two_tables_swaps_their_contents)
{
    struct model a, b;
    model_init(&a, &good, 10, 1);
    model_init(&b, &good, 3000, 1);
    for (uint64_t id = 0; id < 10; id++)
        model_add(&a, id, 5);
    for (uint64_t id = 0; id < 3000; id++)
        model_add(&b, id, 5);
    table_swap(&a.t, &b.t);
    cr_assert_eq(a.t.count, 3000);
    cr_assert_eq(b.t.count, 10);
    check_table(&a.t, &good);
    check_table(&b.t, &good);
    table_swap(&a.t, &b.t);
    check_model(&a);
    check_model(&b);
    model_done(&a);
    model_done(&b);
}

/* ---- scan ---- */

static void see(void *ctx, void *item)
{
    ((struct thing *)item)->seen++;
    ++*(uint64_t *)ctx;
}

static uint64_t scan_all(struct table *t, uint64_t *ret_visits)
{
    uint64_t cursor = 0, calls = 0;
    *ret_visits = 0;
    do {
        cursor = table_scan(t, cursor, see, ret_visits);
        cr_assert_lt(cursor, (uint64_t)1 << 48);
        calls++;
    } while (cursor);
    return calls;
}

Test(table, a_scan_of_a_table_at_rest_visits_each_item_once)
{
    for (uint64_t n = 0; n < 5000; n = n * 3 / 2 + 1) {
        struct model m;
        model_init(&m, &good, n + 1, n);
        for (uint64_t id = 0; id < n; id++)
            model_add(&m, id, TABLE_NOT_DUE);
        uint64_t visits;
        (void)scan_all(&m.t, &visits);
        cr_assert_eq(visits, n);
        for (uint64_t id = 0; id < n; id++)
            cr_assert_eq(m.things[id]->seen, 1);
        model_done(&m);
    }
}

Test(table, a_scan_misses_no_item_that_stays_whatever_else_changes)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct model m;
        model_init(&m, seed % 4 ? &good : &skewed, 8000, seed);
        uint64_t stay = 1500, visits = 0, cursor = 0; /* ids below stay */
        bool growing = seed % 2;
        for (uint64_t id = 0; id < (growing ? stay : m.ids); id++)
            model_add(&m, id, TABLE_NOT_DUE);
        do {
            cursor = table_scan(&m.t, cursor, see, &visits);
            for (unsigned i = 0; i < 20; i++) {
                uint64_t id = stay + prng_below(&m.r, m.ids - stay);
                if (growing && !m.things[id])
                    model_add(&m, id, TABLE_NOT_DUE);
                else if (!growing && m.things[id])
                    model_remove(&m, id);
            }
        } while (cursor);
        for (uint64_t id = 0; id < stay; id++) {
            cr_assert_geq(m.things[id]->seen, 1);
            cr_assert(!growing || m.things[id]->seen == 1,
                      "no duplicates while the table only grows");
        }
        model_done(&m);
    }
}

Test(table, a_cursor_made_up_by_a_client_does_no_harm)
{
    struct model m;
    model_init(&m, &good, 3000, 4);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, TABLE_NOT_DUE);
    uint64_t visits = 0;
    for (unsigned i = 0; i < 10000; i++)
        (void)table_scan(&m.t, prng_u64(&m.r) >> prng_below(&m.r, 64), see, &visits);
    cr_assert_eq(table_scan(&m.t, (uint64_t)1 << 48, see, &visits), 0);
    cr_assert_eq(table_scan(&m.t, UINT64_MAX, see, &visits), 0);
    model_done(&m);
}

/* ---- random items, samples ---- */

static void check_even_draws(uint64_t n)
{
    struct model m;
    model_init(&m, &good, n, n);
    for (uint64_t id = 0; id < n; id++)
        model_add(&m, id, TABLE_NOT_DUE);
    unsigned draws = (unsigned)n * 200;
    for (unsigned i = 0; i < draws; i++)
        ((struct thing *)table_random(&m.t, &m.r))->seen++;
    double chi = 0;
    for (uint64_t id = 0; id < n; id++) {
        double off = m.things[id]->seen - 200.0;
        chi += off * off / 200.0;
    }
    cr_assert_lt(chi, (double)n + 5 * __builtin_sqrt(2.0 * (double)n), "n %lu chi-square %f", n,
                 chi);
    model_done(&m);
}

Test(table, random_items_are_drawn_evenly)
{
    for (uint64_t n = 1; n < 3000; n = n * 2 + 3)
        check_even_draws(n);
    struct table t;
    struct prng r;
    prng_init(&r, 1);
    table_init(&t);
    cr_assert_eq(table_random(&t, &r), NULL);
    table_done(&t);
}

Test(table, samples_come_from_the_place_asked_for)
{
    struct model m;
    model_init(&m, &good, 4000, 3);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, id % 100 ? TABLE_NOT_DUE : 77);
    void *items[64];
    for (unsigned i = 0; i < 200; i++) {
        cr_assert_eq(table_sample(&m.t, prng_u64(&m.r), TABLE_SAMPLE_ALL, 100, items, 5), 5);
        unsigned n = table_sample(&m.t, prng_u64(&m.r), TABLE_SAMPLE_VOLATILE, 500, items, 64);
        cr_assert_geq(n, 5);
        for (unsigned j = 0; j < n; j++)
            cr_assert_eq(((struct thing *)items[j])->due, 77);
        n = table_sample_due(&m.t, prng_u64(&m.r), items, 64);
        cr_assert_geq(n, 1);
        for (unsigned j = 0; j < n; j++)
            cr_assert_eq(((struct thing *)items[j])->due, 77);
    }
    model_done(&m);
}

/* ---- what is due ---- */

/* Lets time run in steps; all items due must be given at once, and none that is not. */
static void run_time(const struct table_kind *kind, uint64_t ids, int64_t start, int64_t step,
                     unsigned steps, uint64_t seed)
{
    struct model m;
    model_init(&m, kind, ids, seed);
    int64_t now = start;
    for (uint64_t id = 0; id < ids; id++)
        model_add(&m, id,
                  prng_below(&m.r, 4) ? start + (int64_t)prng_below(&m.r, (uint64_t)step * steps)
                                      : TABLE_NOT_DUE);
    for (unsigned i = 0; i < steps; i++, now += step) {
        void *items[64];
        while (table_next_due(&m.t) < now) {
            unsigned n = table_take_due(&m.t, kind, now, items, 64);
            for (unsigned j = 0; j < n; j++) {
                const struct thing *x = items[j];
                cr_assert_lt(x->due, now);
                if (prng_below(&m.r, 3))
                    model_remove(&m, x->id);
                else
                    model_replace(&m, x->id,
                                  now + (int64_t)prng_below(&m.r, (uint64_t)step * steps));
            }
        }
        for (uint64_t id = 0; id < ids; id++)
            cr_assert(!m.things[id] || m.things[id]->due >= now);
        uint64_t id = prng_below(&m.r, ids);
        if (m.things[id])
            model_replace(&m, id, prng_below(&m.r, 2) ? now + 1 : TABLE_NOT_DUE);
        if (i % 16 == 0)
            check_model(&m);
    }
    model_done(&m);
}

Test(table, due_items_are_found_at_their_time_and_not_before)
{
    run_time(&good, 100, 1700000000000, 10, 200, 1);
    run_time(&good, 3000, 1700000000000, 5, 200, 2);
    run_time(&good, 1000, 1700000000000, 200000000, 200,
             3); /* years: beyond the range of the offsets */
    run_time(&bad, 500, 0, 7, 100, 4);
}

Test(table, all_items_may_be_due_at_once)
{
    struct model m;
    model_init(&m, &good, 20000, 2);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, 10);
    void *items[128];
    while (table_next_due(&m.t) < 11) {
        unsigned n = table_take_due(&m.t, &good, 11, items, 128);
        for (unsigned i = 0; i < n; i++)
            model_remove(&m, ((struct thing *)items[i])->id);
        if (prng_below(&m.r, 20) == 0)
            check_table(&m.t, &good);
    }
    cr_assert_eq(m.n, 0);
    check_table(&m.t, &good);
    model_done(&m);
}

Test(table, times_without_volatile_items_go_away)
{
    struct model m;
    model_init(&m, &good, 2000, 3);
    cr_assert_eq(table_next_due(&m.t), TABLE_NOT_DUE);
    for (uint64_t id = 0; id < m.ids; id++)
        model_add(&m, id, 10);
    cr_assert_eq(table_next_due(&m.t), 10);
    for (uint64_t id = 0; id < m.ids; id++)
        model_replace(&m, id, TABLE_NOT_DUE);
    void *items[8];
    while (table_next_due(&m.t) < 11)
        cr_assert_eq(table_take_due(&m.t, &good, 11, items, 8), 0);
    cr_assert_eq(table_next_due(&m.t), TABLE_NOT_DUE);
    check_model(&m);
    model_done(&m);
}

/* ---- freeing bit by bit ---- */

static void give_thing(void *ctx, void *item)
{
    struct model *m = ctx;
    struct thing *x = item;
    m->things[x->id] = NULL;
    m->n--;
    mem_free(x);
}

Test(table, is_cleared_in_small_parts)
{
    for (uint64_t n = 0; n < 20000; n = n * 5 + 1) {
        struct model m;
        model_init(&m, &good, n + 1, 3);
        for (uint64_t id = 0; id < n; id++)
            model_add(&m, id, random_due(&m.r));
        uint64_t pos = 0;
        for (bool done = false; !done;) {
            uint64_t before = m.n;
            done = table_clear_some(&m.t, &pos, give_thing, &m);
            cr_assert_leq(before - m.n, 512);
            cr_assert_eq(m.t.count, m.n);
        }
        cr_assert_eq(m.n, 0);
        cr_assert_eq(table_bytes(&m.t), 0);
        model_done(&m);
    }
}
