/* Tags and lone keys: sums, the heaviest, chance. */
#include "tools/slots/tags.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static struct slot_map map;

static void add(struct tags *t, const char *key, double memory)
{
    struct load l = { .of = { [BY_KEYS] = 1, [BY_MEMORY] = memory } };
    tags_add(t, bytes_of_str(key), &l, &map);
}

Test(slots_tags, keys_of_a_tag_weigh_together)
{
    struct tags *t = tags_new();
    slot_map_init(&map);
    add(t, "{a}1", 10);
    add(t, "x{a}2", 20);
    add(t, "{b}", 5);
    add(t, "huge", 100);
    add(t, "small", 1);
    cr_expect_eq(tags_count(t), 2);
    cr_expect_eq(tags_keys(t), 5);
    cr_expect_eq(tags_total(t, BY_MEMORY), 136);
    cr_expect_eq(tags_tagged(t, BY_MEMORY), 35);
    cr_expect_eq(map.loads[key_slot(BYTES("a"))].of[BY_MEMORY], 30);
    const struct tag *heaviest[4];
    cr_assert_eq(tags_heaviest(t, BY_MEMORY, heaviest, 4), 4);
    static const char *const want[] = { "huge", "a", "b", "small" };
    for (int i = 0; i < 4; i++)
        cr_expect(bytes_eq(bytes_of(heaviest[i]->text, heaviest[i]->n), bytes_of_str(want[i])), "%d", i);
    cr_expect(heaviest[0]->is_key && !heaviest[1]->is_key);
    cr_expect_eq(heaviest[1]->load.of[BY_KEYS], 2);
    tags_free(t);
}

Test(slots_tags, of_very_many_lone_keys_the_heaviest_are_remembered)
{
    struct tags *t = tags_new();
    slot_map_init(&map);
    char key[32];
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        add(t, key, (i * 7919) % 20011);
    }
    const struct tag *heaviest[LONERS_KEPT + 1];
    int n = tags_heaviest(t, BY_MEMORY, heaviest, LONERS_KEPT + 1);
    cr_assert_eq(n, LONERS_KEPT);
    int above = 0;
    for (int i = 0; i < 20000; i++)
        above += (i * 7919) % 20011 > heaviest[n - 1]->load.of[BY_MEMORY];
    cr_expect_eq(above, LONERS_KEPT - 1);
    for (int i = 1; i < n; i++)
        cr_expect_geq(heaviest[i - 1]->load.of[BY_MEMORY], heaviest[i]->load.of[BY_MEMORY]);
    tags_free(t);
}

Test(slots_tags, the_number_of_masters_beyond_which_a_part_is_too_heavy)
{
    cr_expect_eq(masters_useful(50, 100), 2);
    cr_expect_eq(masters_useful(51, 100), 1);
    cr_expect_eq(masters_useful(100, 100), 1);
    cr_expect_eq(masters_useful(12, 100), 8);
    cr_expect_eq(masters_useful(10, 100), 10);
    cr_expect_eq(masters_useful(0, 100), MASTERS_MAX);
    cr_expect_eq(masters_useful(1e-9, 100), MASTERS_MAX);
}

Test(slots_tags, chance_is_near_what_can_be_reckoned)
{
    struct tags *t = tags_new();
    slot_map_init(&map);
    add(t, "{one}", 100); /* alone: all on one of n */
    struct chance c = tags_chance(t, BY_MEMORY, 6, 1);
    cr_expect(fabs(c.mean - 6) < 1e-9 && fabs(c.p95 - 6) < 1e-9);
    add(t, "{two}", 100); /* together with 1/2, on two masters: max is 2 or 1 times the mean */
    c = tags_chance(t, BY_MEMORY, 2, 1);
    cr_expect(c.mean > 1.35 && c.mean < 1.65, "%f", c.mean);
    char key[32];
    for (int i = 0; i < 200000; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        add(t, key, 100);
    }
    c = tags_chance(t, BY_MEMORY, 6, 1);
    cr_expect(c.mean > 1.001 && c.mean < 1.02, "many equal keys are even: %f", c.mean);
    tags_free(t);
}
