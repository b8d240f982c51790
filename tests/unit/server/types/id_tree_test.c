/* The ordered map of stream IDs against a plain array. */
#include "server/types/id_tree.h"

#include "common/alloc.h"
#include "model.h"

enum { IDS = 3000 };

static struct stream_id id_of(uint64_t i)
{
    return (struct stream_id){ i / 3 + 1, i % 3 };
}

static void *value_of(uint64_t i)
{
    return (void *)(uintptr_t)(i + 1);
}

struct model {
    struct id_tree tree;
    bool there[IDS];
    uint64_t n;
};

static void add(struct model *m, uint64_t i)
{
    cr_assert_eq(id_tree_insert(&m->tree, id_of(i), value_of(i)), !m->there[i]);
    m->n += !m->there[i];
    m->there[i] = true;
}

static void drop(struct model *m, uint64_t i)
{
    cr_assert_eq(id_tree_remove(&m->tree, id_of(i)), m->there[i] ? value_of(i) : NULL);
    m->n -= m->there[i];
    m->there[i] = false;
}

/* Everything that can be asked. */
static void check(const struct model *m)
{
    struct id_at at = id_tree_first(&m->tree);
    uint64_t n = 0, last = IDS;
    for (uint64_t i = 0; i < IDS; i++) {
        cr_assert_eq(id_tree_find(&m->tree, id_of(i)), m->there[i] ? value_of(i) : NULL);
        struct id_at ge = id_tree_ge(&m->tree, id_of(i)), le = id_tree_le(&m->tree, id_of(i));
        cr_assert_eq(ge.leaf, at.leaf);
        cr_assert_eq(ge.i, at.i);
        if (m->there[i]) {
            cr_assert_eq(id_at_value(at), value_of(i));
            cr_assert_eq(stream_id_cmp(id_at_id(at), id_of(i)), 0);
            id_at_next(&at);
            last = i;
            n++;
        }
        if (last == IDS)
            cr_assert_null(le.leaf);
        else
            cr_assert_eq(id_at_value(le), value_of(last));
    }
    cr_assert_null(at.leaf);
    cr_assert_eq(n, m->n);
    cr_assert_eq(n, m->tree.count);
    at = id_tree_last(&m->tree);
    for (uint64_t i = IDS; i-- > 0;) {
        if (!m->there[i])
            continue;
        cr_assert_eq(id_at_value(at), value_of(i));
        id_at_prev(&at);
    }
    cr_assert_null(at.leaf);
}

Test(id_tree, ids_that_are_appended_and_taken_from_the_front)
{
    struct model m = { 0 };
    for (uint64_t i = 0; i < IDS; i++)
        add(&m, i);
    check(&m);
    for (uint64_t i = 0; i < IDS - 7; i++)
        drop(&m, i);
    check(&m);
    for (uint64_t i = 0; i < IDS; i++)
        drop(&m, i);
    check(&m);
    cr_expect_eq(m.tree.bytes, 0);
    cr_expect_null(m.tree.root);
}

Test(id_tree, ids_come_and_go_in_any_order)
{
    struct prng r;
    prng_init(&r, 11);
    for (int round = 0; round < 8; round++) {
        struct model m = { 0 };
        for (int phase = 0; phase < 6; phase++) {
            unsigned adds = (unsigned)prng_below(&r, 101); /* of 100 */
            for (int i = 0; i < 4000; i++) {
                uint64_t id = prng_below(&r, IDS);
                if (prng_below(&r, 100) < adds)
                    add(&m, id);
                else
                    drop(&m, id);
            }
            check(&m);
        }
        id_tree_done(&m.tree);
        cr_expect_eq(m.tree.bytes, 0);
    }
}

Test(id_tree, a_small_tree_takes_little)
{
    struct id_tree t = { 0 };
    for (uint64_t i = 0; i < 4; i++)
        id_tree_insert(&t, id_of(i), value_of(i));
    cr_expect_leq(t.bytes, 128);
    id_tree_done(&t);
}

Test(id_tree, appending_fills_the_leaves)
{
    struct id_tree t = { 0 };
    const uint64_t n = 100000;
    for (uint64_t i = 0; i < n; i++)
        id_tree_insert(&t, id_of(i), value_of(i));
    cr_expect_leq(t.bytes, n * sizeof(struct id_slot) * 11 / 10);
    id_tree_done(&t);
}
