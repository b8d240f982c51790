/* Slots of keys, even ranges, sums. */
#include "tools/slots/model.h"

#include <criterion/criterion.h>
#include <math.h>

static struct slot_map map;

Test(slots_model, a_key_lies_where_redis_puts_it)
{
    static const struct {
        const char *key, *tag;
        unsigned slot;
    } cases[] = { /* as CLUSTER KEYSLOT says */
        { "foo", "foo", 12182 },       { "{foo}.bar", "foo", 12182 }, { "a{foo}{bar}", "foo", 12182 },
        { "foo{}{bar}", "foo{}{bar}", 8363 }, { "{}", "{}", 15257 },         { "", "", 0 },
        { "123456789", "123456789", 12739 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool tagged;
        struct bytes tag = hash_tag(bytes_of_str(cases[i].key), &tagged);
        cr_expect(bytes_eq(tag, bytes_of_str(cases[i].tag)), "%s", cases[i].key);
        cr_expect_eq(tagged, strcmp(cases[i].key, cases[i].tag) != 0, "%s", cases[i].key);
        cr_expect_eq(key_slot(bytes_of_str(cases[i].key)), cases[i].slot, "%s: %u", cases[i].key,
                     key_slot(bytes_of_str(cases[i].key)));
    }
}

Test(slots_model, even_ranges_are_those_of_redis_cli)
{
    slot_map_init(&map);
    slot_map_even(&map, 3);
    cr_expect_eq(map.owner[5460], 0);
    cr_expect_eq(map.owner[5461], 1);
    cr_expect_eq(map.owner[10922], 1);
    cr_expect_eq(map.owner[10923], 2);
    slot_map_even(&map, 7);
    cr_expect_eq(map.masters_n, 7);
    cr_expect_eq(map.owner[2340], 0);
    cr_expect_eq(map.owner[2341], 1);
    cr_expect_eq(map.owner[16383], 6);
    slot_map_done(&map);
}

Test(slots_model, sums_by_master)
{
    slot_map_init(&map);
    slot_map_even(&map, 4);
    map.loads[0].of[BY_OPS] = 3;
    map.loads[16383].of[BY_OPS] = 1;
    map.owner[100] = -1;
    map.loads[100].of[BY_OPS] = 50;
    double loads[4];
    cr_expect_eq(loads_by_master(&map, map.owner, BY_OPS, loads), 4);
    cr_expect_eq(loads[0], 3);
    cr_expect_eq(loads[3], 1);
    cr_expect_eq(max_over_mean(loads, 4), 3);
    cr_expect_eq(max_over_mean((double[]){ 0, 0 }, 2), 1);
    slot_map_done(&map);
}
