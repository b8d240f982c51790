/* May a replica go on? As a table; and the ids that it names. */
#include "replication/psync.h"

#include <criterion/criterion.h>

#include "replication/ids.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A_UPPER "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"

Test(psync, a_replica_goes_on_if_its_history_is_ours_and_its_bytes_are_there)
{
    struct psync_history h = { A, B, 50, true, 20, 100 };
    static const struct {
        const char *id;
        int64_t offset;
        enum psync_answer answer;
    } cases[] = {
        { A, 21, PSYNC_CONTINUE },        { A, 101, PSYNC_CONTINUE },      { A_UPPER, 60, PSYNC_CONTINUE },
        { A, 20, PSYNC_TOO_OLD },         { A, 102, PSYNC_FROM_FUTURE },   { A, 0, PSYNC_TOO_OLD },
        { A, -1, PSYNC_TOO_OLD },         { A, INT64_MIN, PSYNC_TOO_OLD }, { A, INT64_MAX, PSYNC_FROM_FUTURE },
        { B, 50, PSYNC_CONTINUE },        { B, 51, PSYNC_OFFSET_FOREIGN }, { B, 20, PSYNC_TOO_OLD },
        { C, 60, PSYNC_ID_UNKNOWN },      { "?", -1, PSYNC_ASKED_FULL },   { "?", 60, PSYNC_ASKED_FULL },
        { "", 60, PSYNC_ID_UNKNOWN },     { "aaaa", 60, PSYNC_ID_UNKNOWN },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_assert_eq(psync_decide(&h, bytes_of_str(cases[i].id), cases[i].offset), cases[i].answer, "%s %lld",
                     cases[i].id, (long long)cases[i].offset);
    h.backlog = false;
    cr_assert_eq(psync_decide(&h, bytes_of_str(A), 60), PSYNC_NO_BACKLOG);
    h = (struct psync_history){ A, IDS_ZERO, -1, true, 0, 0 };
    cr_assert_eq(psync_decide(&h, bytes_of_str(IDS_ZERO), 0), PSYNC_ID_UNKNOWN, "no second id is no id");
}

Test(ids, are_forty_digits_that_differ_and_are_read_back)
{
    struct ids a = { .seed = { 1 } }, b = { .seed = { 2 } }, again = { .seed = { 1 } };
    struct repl_id x, y, z;
    ids_next(&a, &x);
    ids_next(&a, &y);
    ids_next(&b, &z);
    cr_assert_eq(strlen(x.hex), REPL_ID_LEN);
    cr_assert_str_neq(x.hex, y.hex);
    cr_assert_str_neq(x.hex, z.hex);
    ids_next(&again, &z);
    cr_assert_str_eq(x.hex, z.hex, "the same seed gives the same run");
    cr_assert(ids_parse(bytes_of_str(A_UPPER), &z));
    cr_assert_str_eq(z.hex, A);
    static const char *const bad[] = { "", "aa", A "a", "gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    for (int i = 0; i < 4; i++)
        cr_assert(!ids_parse(bytes_of_str(bad[i]), &z), "%s", bad[i]);
}
