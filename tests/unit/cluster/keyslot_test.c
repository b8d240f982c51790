/* Slots of keys: CRC16 of the key, or of its tag. */
#include "cluster/keyslot.h"

#include <criterion/criterion.h>

Test(keyslot, slots_are_those_of_redis)
{
    static const struct {
        const char *key;
        unsigned slot;
    } cases[] = {
        { "foo", 12182 }, { "123456789", 0x31c3 }, { "", 0 }, { "{foo}bar", 12182 }, { "x{foo}{bar}", 12182 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(key_slot(bytes_of_str(cases[i].key)), cases[i].slot, "%s", cases[i].key);
}

Test(keyslot, only_a_closed_tag_with_something_in_it_counts)
{
    static const struct {
        const char *key, *tag;
    } cases[] = {
        { "a{b}c", "b" },   { "{}a", "{}a" }, { "a{b", "a{b" }, { "a}b{c}", "c" },
        { "{{a}}b", "{a" }, { "a{", "a{" },   { "{a}", "a" },   { "{}{a}", "{}{a}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes tag = key_hashed_part(bytes_of_str(cases[i].key));
        cr_assert(bytes_eq(tag, bytes_of_str(cases[i].tag)), "%s", cases[i].key);
    }
}
