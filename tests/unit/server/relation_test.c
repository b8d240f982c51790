/* Names and sides, linked: found from both, gone with the last link. */
#include "server/relation.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/prng.h"

static struct relation r;
static struct relation_side a, b;

static void setup(void)
{
    relation_init(&r);
    relation_side_init(&a);
    relation_side_init(&b);
}

static void unlink_side(struct relation_side *s)
{
    while (!list_empty(&s->links))
        relation_unlink(&r, LIST_ITEM(list_first(&s->links), struct relation_link, in_side));
}

static void teardown(void)
{
    unlink_side(&a);
    unlink_side(&b);
    relation_done(&r);
}

TestSuite(relation, .init = setup, .fini = teardown, .timeout = 30);

Test(relation, a_name_lives_as_long_as_it_has_links)
{
    int owner;
    cr_expect_null(relation_find(&r, 0, BYTES("n")));
    struct relation_link *one = relation_link(&r, &a, &owner, 0, BYTES("n"));
    struct relation_link *two = relation_link(&r, &b, &owner, 0, BYTES("n"));
    struct relation_name *name = relation_find(&r, 0, BYTES("n"));
    cr_assert_not_null(name);
    cr_expect_eq(name->links_n, 2);
    cr_expect_null(name->user);
    cr_expect_eq(one->name, name);
    cr_expect_eq(two->owner, &owner);
    relation_unlink(&r, one);
    cr_expect_eq(relation_find(&r, 0, BYTES("n")), name);
    relation_unlink(&r, two);
    cr_expect_null(relation_find(&r, 0, BYTES("n")));
    cr_expect_eq(r.names.count + r.links.count, 0);
}

Test(relation, a_side_is_linked_to_a_name_once)
{
    cr_expect_not_null(relation_link(&r, &a, NULL, 0, BYTES("n")));
    cr_expect_null(relation_link(&r, &a, NULL, 0, BYTES("n")));
    cr_expect_eq(a.links_n, 1);
    struct relation_name *name = relation_find(&r, 0, BYTES("n"));
    cr_expect_not_null(relation_find_link(&r, name, &a));
    cr_expect_null(relation_find_link(&r, name, &b));
}

Test(relation, names_of_different_spaces_and_bytes_are_different)
{
    static const struct {
        int space;
        struct bytes text;
    } names[] = {
        { 0, { "", 0 } },     { 1, { "", 0 } },  { 0, { "\0", 1 } },
        { 0, { "\0\0", 2 } }, { 0, { "x", 1 } }, { -1, { "x", 1 } },
    };
    size_t n = sizeof(names) / sizeof(*names);
    for (size_t i = 0; i < n; i++)
        cr_expect_not_null(relation_link(&r, &a, NULL, names[i].space, names[i].text), "name %zu", i);
    cr_expect_eq(r.names.count, n);
    for (size_t i = 0; i < n; i++) {
        struct relation_name *name = relation_find(&r, names[i].space, names[i].text);
        cr_assert_not_null(name);
        cr_expect(bytes_eq(relation_text(name), names[i].text));
    }
}

Test(relation, a_name_longer_than_the_probe_on_the_stack_is_found)
{
    for (size_t n = 470; n < 520; n++) {
        char text[520];
        memset(text, 'x', sizeof(text));
        cr_expect_not_null(relation_link(&r, &a, NULL, 0, bytes_of(text, n)));
        cr_expect_not_null(relation_find(&r, 0, bytes_of(text, n)), "%zu bytes", n);
    }
}

Test(relation, both_sides_are_walked_in_the_order_of_linking)
{
    static struct relation_side sides[5];
    for (size_t i = 0; i < 5; i++) {
        relation_side_init(&sides[i]);
        relation_link(&r, &sides[i], &sides[i], 0, BYTES("n"));
    }
    size_t i = 0;
    LIST_EACH(&relation_find(&r, 0, BYTES("n"))->links, node)
        cr_expect_eq(LIST_ITEM(node, struct relation_link, in_name)->owner, &sides[i++]);
    cr_expect_eq(i, 5);
    for (i = 0; i < 5; i++)
        unlink_side(&sides[i]);
    relation_link(&r, &a, NULL, 0, BYTES("first"));
    relation_link(&r, &a, NULL, 0, BYTES("second"));
    struct relation_link *first = LIST_ITEM(list_first(&a.links), struct relation_link, in_side);
    cr_expect(bytes_eq(relation_text(first->name), BYTES("first")));
}

Test(relation, random_links_agree_with_a_matrix)
{
    enum { NAMES = 40, SIDES = 12, STEPS = 20000 };
    static bool linked[NAMES][SIDES];
    static struct relation_side sides[SIDES];
    struct prng rng;
    prng_init(&rng, 7);
    for (int i = 0; i < SIDES; i++)
        relation_side_init(&sides[i]);
    for (int step = 0; step < STEPS; step++) {
        unsigned n = (unsigned)prng_below(&rng, NAMES), s = (unsigned)prng_below(&rng, SIDES);
        char text[8];
        struct bytes name = bytes_of(text, (size_t)snprintf(text, sizeof(text), "n%u", n));
        struct relation_name *found = relation_find(&r, (int)(n % 3), name);
        struct relation_link *l = found ? relation_find_link(&r, found, &sides[s]) : NULL;
        cr_assert_eq(l != NULL, linked[n][s], "step %d", step);
        if (l)
            relation_unlink(&r, l);
        else
            cr_assert_not_null(relation_link(&r, &sides[s], NULL, (int)(n % 3), name));
        linked[n][s] = !linked[n][s];
    }
    for (int i = 0; i < SIDES; i++)
        unlink_side(&sides[i]);
    cr_expect_eq(r.names.count + r.links.count, 0);
}
