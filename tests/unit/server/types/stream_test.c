/* Streams against a plain array of entries, and what groups know. */
#include "server/types/stream.h"

#include <stdio.h>

#include "common/alloc.h"
#include "model.h"

static const struct types_limits nodes_of_5 = { .stream_node_max_entries = 5 };
static const struct types_limits nodes_of_100_bytes = { .stream_node_max_bytes = 100 };
static const struct types_limits defaults = { .stream_node_max_entries = 100,
                                              .stream_node_max_bytes = 4096 };

static struct stream_id sid(uint64_t ms, uint64_t seq)
{
    return (struct stream_id){ ms, seq };
}

static void append(struct stream *s, struct stream_id id, const struct types_limits *limits)
{
    char text[24];
    struct bytes fields[4] = { BYTES("n"), bytes_of(text, num_format_u64(text, id.ms)),
                               BYTES("kind"), BYTES("a") };
    if (id.ms % 7 == 3)
        fields[2] = BYTES("other"); /* not the fields of the node's first */
    cr_assert_eq(stream_append(s, id, fields, id.ms % 5 == 2 ? 2 : 4, limits), STREAM_ADDED);
}

/* ---- a model ---- */

enum { ENTRIES = 600 };

struct model {
    struct stream *s;
    bool there[ENTRIES];
    uint64_t n, next; /* entries; the next ID */
};

static void check_entry(struct stream_walk *w, uint64_t i)
{
    struct element field, value;
    int64_t v;
    cr_assert_eq(w->id.ms, i);
    cr_assert_eq(w->fields, i % 5 == 2 ? 1 : 2);
    stream_walk_field(w, &field, &value);
    cr_assert(bytes_eq(field.s, BYTES("n")));
    cr_assert(element_i64(&value, &v));
    cr_assert_eq((uint64_t)v, i);
    if (w->fields == 2) {
        stream_walk_field(w, &field, &value);
        cr_assert(bytes_eq(field.s, i % 7 == 3 ? BYTES("other") : BYTES("kind")));
        cr_assert(bytes_eq(value.s, BYTES("a")));
    }
}

static void check_range(const struct model *m, uint64_t from, uint64_t to)
{
    struct stream_walk w;
    stream_walk_begin(&w, m->s, sid(from, 0), sid(to, UINT64_MAX), false);
    for (uint64_t i = from; i <= to && i < ENTRIES; i++) {
        if (!m->there[i])
            continue;
        cr_assert(stream_walk_next(&w), "entry %llu", (unsigned long long)i);
        check_entry(&w, i);
    }
    cr_assert_not(stream_walk_next(&w));
    cr_assert_not(stream_walk_next(&w)); /* and it stays at the end */
    stream_walk_begin(&w, m->s, sid(from, 0), sid(to, UINT64_MAX), true);
    for (uint64_t i = to < ENTRIES ? to + 1 : ENTRIES; i-- > from;) {
        if (!m->there[i])
            continue;
        cr_assert(stream_walk_next(&w));
        check_entry(&w, i);
    }
    cr_assert_not(stream_walk_next(&w));
}

static void check(const struct model *m, struct prng *r)
{
    uint64_t first = 0, last = 0;
    struct stream_id id;
    size_t bytes = 0;
    for (uint64_t i = ENTRIES; i-- > 0;) {
        if (!m->there[i])
            continue;
        first = i;
        last = last ? last : i;
    }
    cr_assert_eq(m->s->length, m->n);
    cr_assert_eq(m->s->first.ms, first);
    cr_assert_eq(stream_last_valid(m->s, &id), m->n > 0);
    if (m->n)
        cr_assert_eq(id.ms, last);
    for (struct id_at at = id_tree_first(&m->s->nodes); at.leaf; id_at_next(&at)) {
        bytes += lp_memory(id_at_value(at));
        struct lp_facts facts;
        cr_assert(lp_validate(bytes_of(id_at_value(at), lp_bytes(id_at_value(at))), &facts));
    }
    cr_assert_eq(bytes, m->s->node_bytes);
    check_range(m, 0, UINT64_MAX);
    for (int i = 0; i < 10; i++) {
        uint64_t from = prng_below(r, ENTRIES), to = prng_below(r, ENTRIES);
        if (from <= to)
            check_range(m, from, to);
    }
}

static void trim_model(struct model *m, uint64_t keep)
{
    for (uint64_t i = 0; i < ENTRIES && m->n > keep; i++) {
        m->n -= m->there[i];
        m->there[i] = false;
    }
}

static void run_model(const struct types_limits *limits, uint64_t seed)
{
    struct prng r;
    struct model m = { .s = stream_new(), .next = 1 };
    prng_init(&r, seed);
    while (m.next < ENTRIES) {
        uint64_t what = prng_below(&r, 100), i = prng_below(&r, ENTRIES);
        if (what < 60) {
            append(m.s, sid(m.next, 0), limits);
            m.there[m.next++] = true;
            m.n++;
        } else if (what < 98) {
            cr_assert_eq(stream_delete(m.s, sid(i, 0)), m.there[i]);
            m.n -= m.there[i];
            m.there[i] = false;
        } else {
            uint64_t keep = prng_below(&r, m.n + 2), before = m.n;
            struct stream_trim t = { .by = STREAM_TRIM_MAXLEN, .maxlen = keep };
            trim_model(&m, keep);
            cr_assert_eq(stream_trim(m.s, &t), before - m.n);
        }
        if (what > 90)
            check(&m, &r);
    }
    check(&m, &r);
    stream_free(m.s);
}

Test(stream, random_changes_leave_what_an_array_has)
{
    run_model(&nodes_of_5, 1);
    run_model(&nodes_of_5, 2);
    run_model(&nodes_of_100_bytes, 3);
    run_model(&defaults, 4);
}

/* ---- nodes and trimming ---- */

static struct stream *stream_with(const struct types_limits *limits, uint64_t n)
{
    struct stream *s = stream_new();
    for (uint64_t i = 1; i <= n; i++)
        append(s, sid(i, 0), limits);
    return s;
}

Test(stream, a_node_is_full_by_entries_deleted_ones_too)
{
    struct stream *s = stream_with(&nodes_of_5, 5);
    cr_expect_eq(s->nodes.count, 1);
    stream_delete(s, sid(2, 0));
    append(s, sid(6, 0), &nodes_of_5);
    cr_expect_eq(s->nodes.count, 2);
    stream_free(s);
}

Test(stream, approximate_trimming_removes_whole_nodes_up_to_the_limit)
{
    static const struct {
        uint64_t maxlen, limit, left;
    } cases[] = {
        { 12, 0, 15 }, { 10, 0, 10 }, { 1, 0, 5 },  { 0, 0, 0 },
        { 0, 9, 15 },  { 0, 10, 10 }, { 0, 4, 20 }, { 99, 0, 20 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct stream *s = stream_with(&nodes_of_5, 20);
        struct stream_trim t = { .by = STREAM_TRIM_MAXLEN,
                                 .approximate = true,
                                 .maxlen = cases[i].maxlen,
                                 .limit = cases[i].limit };
        cr_expect_eq(stream_trim(s, &t), 20 - cases[i].left, "case %zu", i);
        cr_expect_eq(s->length, cases[i].left, "case %zu", i);
        cr_expect_eq(s->first.ms, cases[i].left ? 21 - cases[i].left : 0);
        stream_free(s);
    }
}

Test(stream, trimming_by_id)
{
    struct stream *s = stream_with(&nodes_of_5, 20);
    struct stream_trim t = { .by = STREAM_TRIM_MINID, .approximate = true, .minid = sid(8, 0) };
    cr_expect_eq(stream_trim(s, &t), 5);
    t.approximate = false;
    cr_expect_eq(stream_trim(s, &t), 2);
    cr_expect_eq(s->first.ms, 8);
    t.minid = sid(100, 0);
    cr_expect_eq(stream_trim(s, &t), 13);
    cr_expect_eq(s->nodes.count, 0);
    cr_expect_eq(s->node_bytes, 0);
    cr_expect_eq(s->entries_added, 20);
    stream_free(s);
}

Test(stream, a_copy_is_equal_and_apart)
{
    unsigned char a[20], b[20];
    struct stream *s = stream_with(&nodes_of_5, 23);
    struct stream_group *g = stream_group_add(s, BYTES("g"), sid(5, 0), 5);
    struct stream_consumer *c = stream_consumer_add(g, BYTES("alice"), 1);
    stream_pend(g, c, sid(4, 0))->deliveries = 3;
    struct stream *copy = stream_value_ops.copy(s, ENC_STREAM);
    stream_value_ops.digest(s, ENC_STREAM, a);
    stream_value_ops.digest(copy, ENC_STREAM, b);
    cr_expect_eq(memcmp(a, b, sizeof a), 0);
    cr_expect_eq(stream_value_ops.memory(s, ENC_STREAM, 0),
                 stream_value_ops.memory(copy, ENC_STREAM, 0));
    stream_delete(s, sid(7, 0));
    stream_acknowledge(g, sid(4, 0));
    stream_value_ops.digest(s, ENC_STREAM, a);
    cr_expect_neq(memcmp(a, b, sizeof a), 0);
    g = stream_group_find(copy, BYTES("g"));
    struct stream_pending *p = id_tree_find(&g->pending, sid(4, 0));
    cr_assert_not_null(p);
    cr_expect_eq(p->deliveries, 3);
    cr_expect_eq(p->consumer, stream_consumer_find(g, BYTES("alice")));
    stream_free(s);
    stream_free(copy);
}

Test(stream, it_is_freed_in_parts_and_leaves_nothing)
{
    size_t before = mem_used();
    struct stream *s = stream_with(&nodes_of_5, 2000);
    struct stream_group *g = stream_group_add(s, BYTES("g"), sid(0, 0), 0);
    for (uint64_t i = 1; i <= 500; i++)
        stream_pend(g, i % 2 ? stream_consumer_find(g, BYTES("a")) ?: stream_consumer_add(g, BYTES("a"), 0)
                             : stream_consumer_find(g, BYTES("b")) ?: stream_consumer_add(g, BYTES("b"), 0), sid(i, 0));
    for (int i = 0; i < 300; i++) {
        char name[16];
        stream_group_add(s, bytes_of(name, (size_t)snprintf(name, sizeof(name), "g%d", i)), sid(0, 0), 0);
    }
    unsigned steps = 1, with_groups = 0;
    for (; !stream_value_ops.free_some(s, ENC_STREAM, 64); steps++)
        with_groups += s->nodes.count == 0;
    cr_expect_gt(steps, 30);
    cr_expect_gt(with_groups, 10, "groups go in parts too");
    cr_expect_eq(mem_used(), before);
}

/* ---- groups ---- */

Test(stream, a_pending_entry_belongs_to_one_consumer)
{
    struct stream *s = stream_with(&defaults, 10);
    struct stream_group *g = stream_group_add(s, BYTES("g"), sid(0, 0), 0);
    struct stream_consumer *a = stream_consumer_add(g, BYTES("a"), 0),
                           *b = stream_consumer_add(g, BYTES("b"), 0);
    cr_expect_null(stream_consumer_add(g, BYTES("a"), 0));
    cr_expect_null(stream_group_add(s, BYTES("g"), sid(0, 0), 0));
    struct stream_pending *p = stream_pend(g, a, sid(1, 0));
    cr_expect_eq(stream_pend(g, b, sid(1, 0)), p);
    cr_expect_eq(a->pending.count, 0);
    cr_expect_eq(b->pending.count, 1);
    stream_pend(g, b, sid(2, 0));
    stream_pend(g, a, sid(3, 0));
    cr_expect_eq(stream_consumer_remove(g, b), 2);
    cr_expect_eq(g->pending.count, 1);
    cr_expect(stream_acknowledge(g, sid(3, 0)));
    cr_expect_not(stream_acknowledge(g, sid(3, 0)));
    cr_expect_eq(a->pending.count, 0);
    stream_free(s);
}

Test(stream, groups_and_consumers_come_in_the_order_of_their_names)
{
    struct stream *s = stream_new();
    static const char *const names[] = { "b", "", "aa", "a", "c\xff", "c" };
    static const char *const sorted[] = { "", "a", "aa", "b", "c", "c\xff" };
    size_t n;
    for (int i = 0; i < 6; i++)
        stream_group_add(s, bytes_of_str(names[i]), sid(0, 0), 0);
    struct stream_group **groups = stream_groups_sorted(s, &n);
    cr_assert_eq(n, 6);
    for (int i = 0; i < 6; i++)
        cr_expect(bytes_eq(stream_name_bytes(groups[i]->name), bytes_of_str(sorted[i])));
    mem_free(groups);
    stream_free(s);
}

Test(stream, lag_is_known_unless_holes_make_it_a_guess)
{
    struct stream *s = stream_with(&defaults, 10);
    struct stream_group *g = stream_group_add(s, BYTES("g"), sid(0, 0), STREAM_READ_UNKNOWN);
    int64_t lag;
    cr_assert(stream_group_lag(s, g, &lag)); /* at the start: all of them */
    cr_expect_eq(lag, 10);
    stream_group_advance(s, g, sid(1, 0));
    cr_expect_eq(g->entries_read, 1);
    stream_group_advance(s, g, sid(2, 0));
    cr_expect_eq(g->entries_read, 2);
    cr_assert(stream_group_lag(s, g, &lag));
    cr_expect_eq(lag, 8);
    stream_delete(s, sid(5, 0)); /* ahead of the group */
    cr_expect_not(stream_group_lag(s, g, &lag));
    stream_group_advance(s, g, sid(10, 0)); /* at the end it is clear again */
    cr_assert(stream_group_lag(s, g, &lag));
    cr_expect_eq(lag, 0);
    stream_free(s);
}
