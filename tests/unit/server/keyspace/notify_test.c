#include <criterion/criterion.h>
#include <errno.h>

#include "server/keyspace/keyspace.h"

Test(notify, letters_are_read_and_printed_as_redis_does)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        { "", "" },       { "KEA", "AKE" }, { "KEgn", "gnKE" }, { "Kg$lshzxetd", "AK" },
        { "mKE", "KEm" }, { "n", "n" },     { "gE", "gE" },     { "KEnmA", "AKEm" },
        { "$", "$" },     { "xe", "xe" },   { "AA", "A" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned flags;
        char text[32];
        cr_assert_eq(notify_parse(bytes_of_str(cases[i].text), &flags), 0);
        notify_format(flags, text);
        cr_expect_str_eq(text, cases[i].printed);
    }
}

Test(notify, an_unknown_letter_is_refused)
{
    unsigned flags = 77;
    cr_expect_eq(notify_parse(BYTES("Kq"), &flags), -EINVAL);
    cr_expect_eq(notify_parse(bytes_of("K\0", 2), &flags), -EINVAL);
    cr_expect_eq(flags, 77);
}
